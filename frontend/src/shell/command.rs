//! From a script to the argument vector of its one command.
//!
//! Three steps, each of which can only refuse more: the tokenizer's operators are judged; the words must be found again in
//! the script, one after the other with nothing but blanks and comments between them; and the parser, given the same tokens,
//! must come to one simple command with those words.

use brush_parser::ast::{
    AndOrList, Command, CommandPrefixOrSuffixItem, CompoundListItem, Program, SeparatorOperator,
};
use brush_parser::{ParserOptions, Token, parse_tokens, uncached_tokenize_str};

use super::word::expand;
use super::{NotSimple, guard};

/// Words that are the shell's where a command starts: POSIX's, and those that bash adds.
pub(super) const KEYWORDS: &[&str] = &[
    "!", "{", "}", "case", "do", "done", "elif", "else", "esac", "fi", "for", "if", "in", "then", "until",
    "while", "[[", "]]", "coproc", "function", "select", "time",
];

/// Commands that dash, BusyBox ash or bash carry out themselves.
pub(super) const BUILTINS: &[&str] = &[
    ".",
    ":",
    "[",
    "alias",
    "bg",
    "bind",
    "break",
    "builtin",
    "caller",
    "cd",
    "chdir",
    "command",
    "compgen",
    "complete",
    "compopt",
    "continue",
    "declare",
    "dirs",
    "disown",
    "echo",
    "enable",
    "eval",
    "exec",
    "exit",
    "export",
    "false",
    "fc",
    "fg",
    "getopts",
    "hash",
    "help",
    "history",
    "jobs",
    "kill",
    "let",
    "local",
    "logout",
    "mapfile",
    "newgrp",
    "popd",
    "printf",
    "pushd",
    "pwd",
    "read",
    "readarray",
    "readonly",
    "return",
    "set",
    "shift",
    "shopt",
    "source",
    "suspend",
    "test",
    "times",
    "trap",
    "true",
    "type",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "unset",
    "wait",
];

/// One command, with the words that are file name patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimpleCommand {
    /// The argument vector, if no pattern of `globs` matches a file.
    pub argv: Vec<String>,
    /// The words that the shell would match against file names.
    pub globs: Vec<GlobWord>,
}

/// A word with an unquoted wildcard: a shell leaves it as it is only if no file matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobWord {
    /// Its place in the argument vector.
    pub index: usize,
    /// The pattern, relative to the step's working directory, with a backslash before each character that was quoted.
    pub pattern: String,
}

/// The argument vector that `sh -c SCRIPT` executes, if the script is exactly one simple command.
///
/// `env` is the step's *whole* environment: what it doesn't have counts as unset. That includes what the builder adds to
/// the environment of an exec (proxy variables, for instance), and no exported shell functions (`BASH_FUNC_…`) may be
/// in it; the caller sees to both. Shell options are assumed to be the defaults, up to what [`super::shell_of`] lets
/// through.
///
/// # Errors
/// The construct that makes the script something else than one simple command, or that shells don't all read alike.
///
/// # Examples
/// ```
/// # use plinth_frontend::shell::simple_command;
/// let env = |_: &str| None;
/// assert_eq!(simple_command("pip install 'fastapi>=0.115'", &env).unwrap(), ["pip", "install", "fastapi>=0.115"]);
/// assert_eq!(
///     simple_command("pip install fastapi>=0.115", &env).unwrap_err().to_string(),
///     "the shell redirects output to the file `=0.115` (an unquoted `>`)"
/// );
/// ```
pub fn simple_command(script: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Vec<String>, NotSimple> {
    let command = simple_command_with_globs(script, env)?;
    match command.globs.first() {
        // The word, not the pattern, is what the reader finds in the Dockerfile.
        Some(glob) => Err(NotSimple::Glob(command.argv[glob.index].clone())),
        None => Ok(command.argv),
    }
}

/// As [`simple_command`], but words with unquoted wildcards (`uvicorn[standard]`) are let through, to be judged by a caller
/// that knows the files: the argument vector holds only if **no** pattern of `globs` matches a file.
///
/// # Errors
/// As [`simple_command`].
pub fn simple_command_with_globs(
    script: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<SimpleCommand, NotSimple> {
    guard::check(script, env)?;
    let options = options();
    let tokens = uncached_tokenize_str(script, &options.tokenizer_options())
        .map_err(|e| NotSimple::Unreadable(e.to_string()))?;
    let words = words_of(&tokens)?;
    find_again(script, &words)?;
    parsed_alike(&tokens, &words, &options)?;

    let mut command = SimpleCommand { argv: Vec::new(), globs: Vec::new() };
    for word in &words {
        let expanded = expand(word, &options, env)?;
        let Some(text) = expanded.text else { continue };
        if let Some(pattern) = expanded.pattern {
            command.globs.push(GlobWord { index: command.argv.len(), pattern });
        }
        command.argv.push(text);
    }
    let program = command.argv.first().ok_or(NotSimple::Nothing)?;
    if program.is_empty() {
        return Err(NotSimple::Nothing);
    }
    if command.globs.first().is_some_and(|glob| glob.index == 0) {
        return Err(NotSimple::Glob(program.clone()));
    }
    if KEYWORDS.contains(&program.as_str()) {
        return Err(NotSimple::Keyword(program.clone()));
    }
    if BUILTINS.contains(&program.as_str()) {
        return Err(NotSimple::Builtin(program.clone()));
    }
    if program.contains('=') {
        return Err(NotSimple::Assignment(program.clone()));
    }
    Ok(command)
}

/// How scripts are parsed: as a plain `sh` would, with what shells do differently left to be refused.
pub(super) fn options() -> ParserOptions {
    ParserOptions {
        enable_extended_globbing: false,
        posix_mode: true,
        sh_mode: true,
        tilde_expansion_at_word_start: false,
        tilde_expansion_after_colon: false,
        ..ParserOptions::default()
    }
}

/// The words, if the operators between them only end the one command.
fn words_of(tokens: &[Token]) -> Result<Vec<&str>, NotSimple> {
    let mut words = Vec::new();
    let mut ended = None;
    for (i, token) in tokens.iter().enumerate() {
        match token {
            Token::Word(word, _) => match ended {
                Some(by) => return Err(NotSimple::List(by)),
                None if words.is_empty() && KEYWORDS.contains(&word.as_str()) => {
                    return Err(NotSimple::Keyword(word.clone()));
                }
                None => words.push(word.as_str()),
            },
            Token::Operator(operator, _) => match operator.as_str() {
                "\n" if words.is_empty() => {}
                "\n" => ended = ended.or(Some("a newline")),
                ";" if !words.is_empty() && ended.is_none() => ended = Some("`;`"),
                other => return Err(refused(other, tokens.get(i + 1))),
            },
        }
    }
    if words.is_empty() { Err(NotSimple::Nothing) } else { Ok(words) }
}

/// The reason for an operator that is more than an end.
fn refused(operator: &str, next: Option<&Token>) -> NotSimple {
    let redirect = |direction| NotSimple::Redirect {
        direction,
        file: next.map(|t| t.to_str().trim().to_owned()).unwrap_or_default(),
        operator: operator.to_owned(),
    };
    match operator {
        "&&" => NotSimple::List("`&&`"),
        "||" => NotSimple::List("`||`"),
        ";" => NotSimple::List("`;`"),
        "|" | "|&" => NotSimple::Pipeline,
        "&" => NotSimple::Background,
        "(" | ")" => NotSimple::Parenthesis(operator.to_owned()),
        ">" | ">>" | ">|" => redirect("output to"),
        "<" => redirect("input from"),
        "<>" => redirect("input and output to"),
        ">&" | "<&" => NotSimple::Descriptor(operator.to_owned()),
        "<<" | "<<-" | "<<<" => NotSimple::HereDocument,
        other => NotSimple::Operator(other.to_owned()),
    }
}

/// Walks the script along the words: nothing may lie between them but what surely separates words.
fn find_again(script: &str, words: &[&str]) -> Result<(), NotSimple> {
    let uncertain = |rest: &str| NotSimple::Uncertain(rest.chars().take(20).collect());
    let mut rest = skip_lines(script);
    for (i, word) in words.iter().enumerate() {
        if i > 0 {
            let after = skip_blanks(rest);
            // A continuation alone joins what it stands between.
            if !rest[..rest.len() - after.len()].contains([' ', '\t']) {
                return Err(uncertain(rest));
            }
            rest = after;
        }
        rest = rest.strip_prefix(word).ok_or_else(|| uncertain(rest))?;
    }
    let after = skip_blanks(rest);
    let blank = rest.len() > after.len();
    let rest = match after.strip_prefix(';') {
        Some(rest) => skip_lines(rest),
        None if after.starts_with('\n') || (blank && after.starts_with('#')) => skip_lines(after),
        None => after,
    };
    if rest.is_empty() { Ok(()) } else { Err(uncertain(rest)) }
}

/// Skips blanks and line continuations.
fn skip_blanks(text: &str) -> &str {
    let mut rest = text;
    loop {
        let next = rest.trim_start_matches([' ', '\t']);
        let next = next.strip_prefix("\\\n").unwrap_or(next);
        if next.len() == rest.len() {
            return rest;
        }
        rest = next;
    }
}

/// Skips blanks, continuations, comments and newlines.
fn skip_lines(text: &str) -> &str {
    let mut rest = text;
    loop {
        let mut next = skip_blanks(rest);
        if next.starts_with('#') {
            next = next.find('\n').map_or("", |newline| &next[newline..]);
        }
        next = next.strip_prefix('\n').unwrap_or(next);
        if next.len() == rest.len() {
            return rest;
        }
        rest = next;
    }
}

/// The parser must see one simple command, made of just these words.
fn parsed_alike(tokens: &[Token], words: &[&str], options: &ParserOptions) -> Result<(), NotSimple> {
    // Leading newlines are no part of the parser's grammar.
    let start = tokens.iter().position(|t| matches!(t, Token::Word(..))).unwrap_or(0);
    let program =
        parse_tokens(&tokens[start..], options).map_err(|e| NotSimple::Unreadable(e.to_string()))?;
    let uncertain = || NotSimple::Uncertain(words.join(" ").chars().take(20).collect());
    let simple = only_simple(&program).ok_or_else(uncertain)?;
    if let Some(prefix) = &simple.prefix {
        let first = prefix.0.first().map(ToString::to_string).unwrap_or_default();
        return Err(NotSimple::Assignment(first));
    }
    let mut parsed: Vec<&str> = simple.word_or_name.iter().map(|w| w.value.as_str()).collect();
    for item in simple.suffix.iter().flat_map(|suffix| &suffix.0) {
        match item {
            CommandPrefixOrSuffixItem::Word(word) | CommandPrefixOrSuffixItem::AssignmentWord(_, word) => {
                parsed.push(&word.value);
            }
            _ => return Err(uncertain()),
        }
    }
    if parsed == words { Ok(()) } else { Err(uncertain()) }
}

/// The program's one simple command, if that is all it has.
fn only_simple(program: &Program) -> Option<&brush_parser::ast::SimpleCommand> {
    let [list] = program.complete_commands.as_slice() else { return None };
    let [CompoundListItem(AndOrList { first, additional }, SeparatorOperator::Sequence)] = list.0.as_slice()
    else {
        return None;
    };
    let ([Command::Simple(simple)], true, None, false) =
        (first.seq.as_slice(), additional.is_empty(), &first.timed, first.bang)
    else {
        return None;
    };
    Some(simple)
}
