//! From a script to the tree of what it runs.
//!
//! The grammar is the parser's. Around it, three checks, each of which can only refuse more: the tokens must be found
//! again in the script, with nothing but blanks, comments and line ends between them; what the tree is made of must be
//! just those tokens, in their order; and whatever the tree doesn't know is either refused or becomes a node at which
//! a walk ends.

use brush_parser::ast::{
    AndOr, AndOrList, Command, CommandPrefixOrSuffixItem, CompoundCommand, CompoundList, IoFileRedirectKind,
    IoFileRedirectTarget, IoRedirect, Pipeline, RedirectList, SeparatorOperator, SimpleCommand,
};
use brush_parser::{ParserOptions, Token, parse_tokens, uncached_tokenize_str};
use plinth_layers::script::{FileTest, Install, Node};

use super::names::{BUILTINS, KEYWORDS};
use super::word::expand;
use super::{NotSimple, guard};

/// How many of the tokens may open something, or look like it: the parser calls itself for each.
const MAX_NESTING: usize = 64;

/// What a script's words are read with.
struct Reader<'a> {
    options: ParserOptions,
    env: &'a dyn Fn(&str) -> Option<String>,
    /// Every token that the tree accounts for, in order.
    seen: Vec<Seen>,
}

/// A token as the tree has it.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Text(String),
    /// The number of a file descriptor, written against its operator.
    Descriptor(String),
}

/// What a redirection that is understood comes to.
enum Redirected {
    /// Standard error goes to nowhere.
    Silenced,
    /// Standard output goes to nowhere, or one stream goes where the other does.
    Elsewhere,
    /// Standard output goes to this file.
    Output(String),
}

/// A token as it stands in the script.
struct Found<'a> {
    text: &'a str,
    operator: bool,
    /// Nothing stands between it and the token before.
    adjacent: bool,
}

/// The tree of `sh -c SCRIPT`.
///
/// `env` is the step's *whole* environment: what it doesn't have counts as unset. That includes what the builder adds to
/// the environment of an exec (proxy variables, for instance), and no exported shell functions (`BASH_FUNC_…`) may be
/// in it; the caller sees to both. Shell options are assumed to be the defaults, up to what [`super::shell_of`] lets
/// through. `is_installer` tells by its name whether a program is one whose commands become [`Node::Install`].
///
/// # Errors
/// A construct that is not understood wherever it stands, or that shells don't all read alike.
///
/// # Examples
/// ```
/// # use plinth_frontend::shell::script;
/// # use plinth_layers::script::{Install, Node};
/// let read = |text: &str| script(text, &|_| None, &|program| program == "pip");
/// let argv = ["pip", "install", "fastapi>=0.115"].map(str::to_owned).to_vec();
/// assert_eq!(read("pip install 'fastapi>=0.115'").unwrap(), Node::Install(Install::new(argv)));
/// // Without quotes, it is a redirection.
/// let argv = ["pip", "install", "fastapi"].map(str::to_owned).to_vec();
/// let outputs = vec!["=0.115".to_owned()];
/// assert_eq!(
///     read("pip install fastapi>=0.115").unwrap(),
///     Node::Install(Install { outputs, ..Install::new(argv) })
/// );
/// ```
pub fn script(
    script: &str,
    env: &dyn Fn(&str) -> Option<String>,
    is_installer: &dyn Fn(&str) -> bool,
) -> Result<Node, NotSimple> {
    guard::check(script, env)?;
    let options = options();
    let tokens = uncached_tokenize_str(script, &options.tokenizer_options())
        .map_err(|e| NotSimple::Unreadable(e.to_string()))?;
    let found = find_again(script, &tokens)?;
    let opens = |token: &&Found<'_>| token.text == "(" || KEYWORDS.contains(&token.text);
    if found.iter().filter(opens).count() > MAX_NESTING {
        return Err(NotSimple::Nesting);
    }
    if let Some(refused) = found.iter().filter(|token| token.operator).find_map(|token| refused(token.text)) {
        return Err(refused);
    }
    let twice = |pair: &[Found<'_>]| pair[0].text == "(" && pair[1].text == "(" && pair[1].adjacent;
    if found.windows(2).any(twice) {
        return Err(NotSimple::Substitution("an arithmetic command (`((`)"));
    }
    let start = tokens.iter().position(|t| t.to_str() != "\n").ok_or(NotSimple::Nothing)?;
    let program =
        parse_tokens(&tokens[start..], &options).map_err(|e| NotSimple::Unreadable(e.to_string()))?;
    let mut reader = Reader { options, env, seen: Vec::new() };
    let mut nodes = Vec::new();
    for list in &program.complete_commands {
        nodes.extend(reader.items(list, is_installer)?);
    }
    accounted(&found, &reader.seen)?;
    Ok(sequence(nodes))
}

/// How scripts are parsed: as a plain `sh` would, with what shells do differently left to be refused.
fn options() -> ParserOptions {
    ParserOptions {
        enable_extended_globbing: false,
        posix_mode: true,
        sh_mode: true,
        tilde_expansion_at_word_start: false,
        tilde_expansion_after_colon: false,
        ..ParserOptions::default()
    }
}

fn sequence(mut nodes: Vec<Node>) -> Node {
    match nodes.len() {
        1 => nodes.remove(0),
        _ => Node::Sequence { nodes },
    }
}

/// Operators that no part of the tree has.
fn refused(operator: &str) -> Option<NotSimple> {
    match operator {
        "&&" | "||" | ";" | "\n" | "(" | ")" | ">" | ">>" | "<" | ">&" | "<&" => None,
        "|" | "|&" => Some(NotSimple::Pipeline),
        "&" => Some(NotSimple::Background),
        "<<" | "<<-" | "<<<" => Some(NotSimple::HereDocument),
        other => Some(NotSimple::Operator(other.to_owned())),
    }
}

/// Walks the script along its tokens. Line ends are left out.
fn find_again<'a>(script: &'a str, tokens: &[Token]) -> Result<Vec<Found<'a>>, NotSimple> {
    let uncertain = |rest: &str| NotSimple::Uncertain(rest.chars().take(20).collect());
    let (mut rest, mut found, mut newline, mut at_word) = (script, Vec::new(), true, false);
    for token in tokens {
        let operator = matches!(token, Token::Operator(..));
        if operator && token.to_str() == "\n" {
            newline = true;
            continue;
        }
        let (after, gap) = skip(rest, found.is_empty()).ok_or_else(|| uncertain(rest))?;
        let text = token.to_str();
        let fits = (gap.newline <= newline || found.is_empty())
            // Words need something between them, and a continuation alone joins what it stands between.
            && (operator || !at_word || gap.blank || gap.newline)
            && !text.is_empty();
        if !fits || !after.starts_with(text) {
            return Err(uncertain(rest));
        }
        found.push(Found { text: &after[..text.len()], operator, adjacent: gap.length == 0 });
        rest = &after[text.len()..];
        (newline, at_word) = (false, !operator);
    }
    match skip(rest, found.is_empty()) {
        Some(("", _)) => Ok(found),
        _ => Err(uncertain(rest)),
    }
}

#[derive(Clone, Copy, Default)]
struct Gap {
    length: usize,
    blank: bool,
    newline: bool,
}

/// Skips what may stand between tokens. A comment needs a blank or a line end before it.
fn skip(text: &str, at_start: bool) -> Option<(&str, Gap)> {
    let mut gap = Gap::default();
    let mut rest = text;
    let mut comment_may_start = at_start;
    loop {
        let mut characters = rest.chars();
        match characters.next() {
            Some(' ' | '\t') => {
                gap.blank = true;
                comment_may_start = true;
                rest = characters.as_str();
            }
            Some('\n') => {
                gap.newline = true;
                comment_may_start = true;
                rest = characters.as_str();
            }
            Some('\\') if characters.as_str().starts_with('\n') => {
                rest = &characters.as_str()[1..];
            }
            Some('#') if comment_may_start => {
                rest = rest.find('\n').map_or("", |end| &rest[end..]);
            }
            _ => break,
        }
    }
    gap.length = text.len() - rest.len();
    Some((rest, gap))
}

/// The tree must account for every token, in order; only separators may go uncounted.
fn accounted(found: &[Found<'_>], seen: &[Seen]) -> Result<(), NotSimple> {
    let uncertain = |text: &str| NotSimple::Uncertain(text.to_owned());
    let found: Vec<&Found<'_>> =
        found.iter().filter(|token| !(token.operator && token.text == ";")).collect();
    for (i, token) in found.iter().enumerate() {
        let digits = !token.operator && token.text.bytes().all(|b| b.is_ascii_digit());
        let next = found.get(i + 1);
        let against =
            next.is_some_and(|next| next.operator && next.adjacent && next.text.contains(['<', '>']));
        let expected = if digits && against {
            Seen::Descriptor(token.text.to_owned())
        } else {
            Seen::Text(token.text.to_owned())
        };
        if seen.get(i) != Some(&expected) {
            return Err(uncertain(token.text));
        }
    }
    if seen.len() == found.len() { Ok(()) } else { Err(uncertain(found.last().map_or("", |t| t.text))) }
}

impl Reader<'_> {
    fn text(&mut self, text: &str) {
        self.seen.push(Seen::Text(text.to_owned()));
    }

    fn items(
        &mut self,
        list: &CompoundList,
        is_installer: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<Node>, NotSimple> {
        let mut nodes = Vec::new();
        for item in &list.0 {
            if !matches!(item.1, SeparatorOperator::Sequence) {
                return Err(NotSimple::Background);
            }
            nodes.push(self.and_or(&item.0, is_installer)?);
        }
        Ok(nodes)
    }

    fn list(
        &mut self,
        list: &CompoundList,
        is_installer: &dyn Fn(&str) -> bool,
    ) -> Result<Box<Node>, NotSimple> {
        Ok(Box::new(sequence(self.items(list, is_installer)?)))
    }

    fn and_or(&mut self, list: &AndOrList, is_installer: &dyn Fn(&str) -> bool) -> Result<Node, NotSimple> {
        let mut node = self.pipeline(&list.first, is_installer)?;
        // Both operators bind alike, from the left.
        for more in &list.additional {
            node = match more {
                AndOr::And(pipeline) => {
                    self.text("&&");
                    let then = Box::new(self.pipeline(pipeline, is_installer)?);
                    Node::And { first: Box::new(node), then }
                }
                AndOr::Or(pipeline) => {
                    self.text("||");
                    let otherwise = Box::new(self.pipeline(pipeline, is_installer)?);
                    Node::Or { first: Box::new(node), otherwise }
                }
            };
        }
        Ok(node)
    }

    fn pipeline(
        &mut self,
        pipeline: &Pipeline,
        is_installer: &dyn Fn(&str) -> bool,
    ) -> Result<Node, NotSimple> {
        if pipeline.timed.is_some() {
            return Err(NotSimple::Keyword("time".to_owned()));
        }
        if pipeline.bang {
            self.text("!");
        }
        let [command] = pipeline.seq.as_slice() else { return Err(NotSimple::Pipeline) };
        let node = self.command(command, is_installer)?;
        Ok(if pipeline.bang { Node::Not { of: Box::new(node) } } else { node })
    }

    fn command(&mut self, command: &Command, is_installer: &dyn Fn(&str) -> bool) -> Result<Node, NotSimple> {
        match command {
            Command::Simple(simple) => self.simple(simple, is_installer),
            Command::Compound(compound, redirects) => {
                let node = self.compound(compound, is_installer)?;
                match redirects.as_ref().and_then(|RedirectList(all)| all.first()) {
                    Some(redirect) => Err(self.not_redirected(redirect)),
                    None => Ok(node),
                }
            }
            Command::Function(_) => Err(NotSimple::Parenthesis("(".to_owned())),
            Command::ExtendedTest(..) => Err(NotSimple::Keyword("[[".to_owned())),
        }
    }

    fn compound(
        &mut self,
        compound: &CompoundCommand,
        is_installer: &dyn Fn(&str) -> bool,
    ) -> Result<Node, NotSimple> {
        let keyword = |word: &str| Err(NotSimple::Keyword(word.to_owned()));
        match compound {
            CompoundCommand::BraceGroup(group) => {
                self.text("{");
                let inner = self.list(&group.list, is_installer)?;
                self.text("}");
                Ok(*inner)
            }
            CompoundCommand::Subshell(subshell) => {
                self.text("(");
                let of = self.list(&subshell.list, is_installer)?;
                self.text(")");
                Ok(Node::Subshell { of })
            }
            CompoundCommand::IfClause(clause) => {
                self.text("if");
                let condition = self.list(&clause.condition, is_installer)?;
                self.text("then");
                let then = self.list(&clause.then, is_installer)?;
                let mut elses = Vec::new();
                for branch in clause.elses.iter().flatten() {
                    let condition = match &branch.condition {
                        Some(condition) => {
                            self.text("elif");
                            let condition = self.list(condition, is_installer)?;
                            self.text("then");
                            Some(condition)
                        }
                        None => {
                            self.text("else");
                            None
                        }
                    };
                    elses.push((condition, self.list(&branch.body, is_installer)?));
                }
                self.text("fi");
                // From the last to the first: an `elif` is an `if` in the place of the `else`.
                let otherwise =
                    elses.into_iter().rev().fold(None, |otherwise, (condition, then)| match condition {
                        None => Some(then),
                        Some(condition) => Some(Box::new(Node::If { condition, then, otherwise })),
                    });
                Ok(Node::If { condition, then, otherwise })
            }
            CompoundCommand::ForClause(_) | CompoundCommand::ArithmeticForClause(_) => keyword("for"),
            CompoundCommand::CaseClause(_) => keyword("case"),
            CompoundCommand::WhileClause(_) => keyword("while"),
            CompoundCommand::UntilClause(_) => keyword("until"),
            CompoundCommand::Coprocess(_) => keyword("coproc"),
            CompoundCommand::Arithmetic(_) => Err(NotSimple::Substitution("an arithmetic command (`((`)")),
        }
    }

    fn simple(
        &mut self,
        simple: &SimpleCommand,
        is_installer: &dyn Fn(&str) -> bool,
    ) -> Result<Node, NotSimple> {
        if let Some(prefix) = &simple.prefix {
            return Err(match prefix.0.first() {
                Some(CommandPrefixOrSuffixItem::IoRedirect(redirect)) => self.not_redirected(redirect),
                first => NotSimple::Assignment(first.map(ToString::to_string).unwrap_or_default()),
            });
        }
        let name = simple.word_or_name.as_ref().ok_or(NotSimple::Nothing)?;
        let mut words = vec![name.value.as_str()];
        self.text(&name.value);
        let (mut outputs, mut refused, mut first, mut elsewhere) = (Vec::new(), None, None, false);
        for item in simple.suffix.iter().flat_map(|suffix| &suffix.0) {
            match item {
                CommandPrefixOrSuffixItem::Word(word)
                | CommandPrefixOrSuffixItem::AssignmentWord(_, word) => {
                    self.text(&word.value);
                    words.push(&word.value);
                }
                CommandPrefixOrSuffixItem::IoRedirect(redirect) => {
                    match self.redirect(redirect) {
                        Ok(Redirected::Silenced) => {}
                        Ok(Redirected::Output(file)) => {
                            first.get_or_insert_with(|| self.not_redirected(redirect));
                            outputs.push(file);
                        }
                        // Fine, but not together with a file.
                        Ok(Redirected::Elsewhere) => elsewhere = true,
                        Err(reason) => refused = refused.or(Some(reason)),
                    }
                }
                CommandPrefixOrSuffixItem::ProcessSubstitution(..) => {
                    return Err(NotSimple::Substitution("a process substitution"));
                }
            }
        }
        if let Some(reason) = refused.or_else(|| first.clone().filter(|_| elsewhere)) {
            return Err(reason);
        }
        match (self.meaning(&words, is_installer)?, first) {
            (Node::Install(install), _) => Ok(Node::Install(Install { outputs, ..install })),
            (_, Some(reason)) => Err(reason),
            (node, None) => Ok(node),
        }
    }

    /// A redirection that is understood: to nowhere, from one stream to another, or what an unquoted `>=` comes to.
    fn redirect(&mut self, redirect: &IoRedirect) -> Result<Redirected, NotSimple> {
        let IoRedirect::File(descriptor, kind, target) = redirect else {
            return Err(self.not_redirected(redirect));
        };
        if let Some(descriptor) = descriptor {
            self.seen.push(Seen::Descriptor(descriptor.to_string()));
        }
        let stream = matches!(descriptor, None | Some(1 | 2));
        let silenced = |file: &str| match descriptor {
            Some(2) if file == "/dev/null" => Some(Redirected::Silenced),
            None | Some(1) if file == "/dev/null" => Some(Redirected::Elsewhere),
            _ => None,
        };
        let (operator, word, meaning) = match (kind, target) {
            (IoFileRedirectKind::Write, IoFileRedirectTarget::Filename(file)) => {
                let output = || {
                    let output = descriptor.is_none() && is_version(&file.value);
                    output.then(|| Redirected::Output(file.value.clone()))
                };
                (">", file.value.clone(), silenced(&file.value).or_else(output))
            }
            (IoFileRedirectKind::Append, IoFileRedirectTarget::Filename(file)) => {
                (">>", file.value.clone(), silenced(&file.value))
            }
            (IoFileRedirectKind::DuplicateOutput, IoFileRedirectTarget::Fd(to)) => {
                (">&", to.to_string(), (stream && matches!(to, 1 | 2)).then_some(Redirected::Elsewhere))
            }
            (IoFileRedirectKind::DuplicateOutput, IoFileRedirectTarget::Duplicate(to)) => {
                let known = stream && matches!(to.value.as_str(), "1" | "2");
                (">&", to.value.clone(), known.then_some(Redirected::Elsewhere))
            }
            _ => return Err(self.not_redirected(redirect)),
        };
        self.text(operator);
        self.text(&word);
        meaning.ok_or_else(|| self.not_redirected(redirect))
    }

    #[allow(clippy::unused_self)]
    fn not_redirected(&self, redirect: &IoRedirect) -> NotSimple {
        let IoRedirect::File(_, kind, target) = redirect else { return NotSimple::HereDocument };
        let (operator, direction) = match kind {
            IoFileRedirectKind::Write => (">", "output to"),
            IoFileRedirectKind::Append => (">>", "output to"),
            IoFileRedirectKind::Clobber => (">|", "output to"),
            IoFileRedirectKind::Read => ("<", "input from"),
            IoFileRedirectKind::ReadAndWrite => ("<>", "input and output to"),
            IoFileRedirectKind::DuplicateInput => return NotSimple::Descriptor("<&".to_owned()),
            IoFileRedirectKind::DuplicateOutput => return NotSimple::Descriptor(">&".to_owned()),
        };
        NotSimple::Redirect { direction, file: target.to_string(), operator: operator.to_owned() }
    }

    /// What a command does, by its name.
    fn meaning(&self, words: &[&str], is_installer: &dyn Fn(&str) -> bool) -> Result<Node, NotSimple> {
        if KEYWORDS.contains(&words[0]) {
            return Err(NotSimple::Keyword(words[0].to_owned()));
        }
        let mut argv = Vec::new();
        let mut globs = Vec::new();
        for word in words {
            let expanded = match expand(word, &self.options, self.env) {
                Ok(expanded) => expanded,
                // Of a command that is not understood anyway, the words needn't be either.
                Err(reason) => return self.other(words[0], Some(reason)),
            };
            let Some(text) = expanded.text else { continue };
            // A bracket alone opens no pattern.
            if expanded.pattern.is_some() && *word != "[" {
                globs.push(text.chars().take_while(|c| !matches!(c, '*' | '?' | '[')).collect());
                if argv.is_empty() {
                    return Err(NotSimple::Glob(text));
                }
            }
            argv.push(text);
        }
        let arguments: Vec<&str> = argv.iter().map(String::as_str).collect();
        let Some((program, arguments)) = arguments.split_first() else { return Err(NotSimple::Nothing) };
        // `$X` for a name could be anything of the shell's, quoted or not.
        if words[0] != *program && (BUILTINS.contains(program) || KEYWORDS.contains(program)) {
            return Err(NotSimple::Builtin((*program).to_owned()));
        }
        if program.is_empty() || program.contains('=') || KEYWORDS.contains(program) {
            return Err(NotSimple::Keyword((*program).to_owned()));
        }
        if !globs.is_empty() && !is_installer(program) {
            return self.other(program, None);
        }
        let test = |test: FileTest, path: &str| Node::Test { test, path: path.to_owned() };
        let file = |operator: &str| match operator {
            "-e" => Some(FileTest::Exists),
            "-f" => Some(FileTest::File),
            "-d" => Some(FileTest::Directory),
            "-s" => Some(FileTest::NotEmpty),
            _ => None,
        };
        let asked = |operands: &[&str]| match operands {
            [operator, path] => file(operator).map(|operator| test(operator, path)),
            ["!", operator, path] => {
                file(operator).map(|operator| Node::Not { of: Box::new(test(operator, path)) })
            }
            _ => None,
        };
        let node = match (*program, arguments) {
            ("true" | ":", _) => Some(Node::Status { success: true }),
            ("false", _) => Some(Node::Status { success: false }),
            ("echo", _) => Some(Node::Status { success: true }),
            ("exit", ["0"]) => Some(Node::Exit { success: true }),
            ("exit", ["1" | "2"]) => Some(Node::Exit { success: false }),
            ("set", ["-e" | "-ex" | "-xe"]) => Some(Node::StopOnFailure),
            ("set", ["-x"]) => Some(Node::Status { success: true }),
            ("test", operands) => asked(operands),
            ("[", [operands @ .., "]"]) => asked(operands),
            ("rm", operands) => removed(operands).map(|paths| Node::Remove { paths }),
            ("cd", [path]) if self.plain_directory(path) => Some(Node::Cd { path: (*path).to_owned() }),
            _ => None,
        };
        match node {
            Some(node) => Ok(node),
            None if is_installer(program) => Ok(Node::Install(Install { globs, ..Install::new(argv) })),
            None => self.other(program, None),
        }
    }

    /// A directory that every shell's `cd` understands as it stands.
    fn plain_directory(&self, path: &str) -> bool {
        !path.is_empty()
            && !path.starts_with('-')
            && path.split('/').all(|part| part != "..")
            && (self.env)("CDPATH").is_none()
    }

    #[allow(clippy::unused_self)]
    fn other(&self, name: &str, reason: Option<NotSimple>) -> Result<Node, NotSimple> {
        let reason = reason.map_or_else(
            || format!("its script runs `{name}` beside the install"),
            |reason| reason.to_string(),
        );
        Ok(Node::Other { reason })
    }
}

/// Whether a file's name is what follows the `>` of a specifier that somebody forgot to quote. No other file is
/// understood: what an installer prints is not the same in two builds, and of these alone it is certain that nobody
/// wants to read them.
fn is_version(file: &str) -> bool {
    let plain =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b',' | b'=' | b'+' | b'_' | b'-' | b'!');
    file.starts_with('=') && file.bytes().all(plain)
}

/// The paths of a forced removal.
fn removed(operands: &[&str]) -> Option<Vec<String>> {
    let forced =
        |flags: &&&str| flags.contains('f') && flags[1..].bytes().all(|b| matches!(b, b'f' | b'r' | b'R'));
    let (flags, paths): (Vec<&str>, Vec<&str>) = operands.iter().partition(|word| word.starts_with('-'));
    // What a path means that ends in `/` or `/.`, programs don't agree on.
    let plain = |path: &&str| {
        !path.is_empty() && !path.ends_with('/') && path.split('/').all(|part| part != ".." && part != ".")
    };
    let understood =
        matches!(&flags[..], [flags] if forced(&flags)) && !paths.is_empty() && paths.iter().all(plain);
    // An option may stand behind a path, and `--` would end them: both are left alone.
    let first = operands.first().is_some_and(|word| word.starts_with('-'));
    (understood && first).then(|| paths.into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests;
