//! One word of a command: quotes removed, variables put in, as every shell would.

use brush_parser::ParserOptions;
use brush_parser::word::{Parameter, ParameterExpr, WordPiece, WordPieceWithSource, parse};

use super::NotSimple;

/// Variables that a shell sets or changes on its own, whatever the environment says.
const OWN: &[&str] = &[
    "_",
    "COLUMNS",
    "COMP_WORDBREAKS",
    "COPROC",
    "DIRSTACK",
    "EPOCHREALTIME",
    "EPOCHSECONDS",
    "EUID",
    "FLAGS",
    "FUNCNAME",
    "FUNCNEST",
    "GROUPS",
    "HISTCMD",
    "HOSTNAME",
    "HOSTTYPE",
    "IFS",
    "LINENO",
    "LINES",
    "MACHTYPE",
    "MAILCHECK",
    "MAPFILE",
    "OLDPWD",
    "OPTARG",
    "OPTERR",
    "OPTIND",
    "OSTYPE",
    "PIPESTATUS",
    "PPID",
    "PS1",
    "PS2",
    "PS3",
    "PS4",
    "PWD",
    "RANDOM",
    "READLINE_LINE",
    "REPLY",
    "SECONDS",
    "SHELLOPTS",
    "SHLVL",
    "SRANDOM",
    "TIMEFORMAT",
    "UID",
];

/// Variables that a shell or the container runtime sets if the environment doesn't have them.
const DEFAULTED: &[&str] = &["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"];

/// A word after expansion.
pub(super) struct Expanded {
    /// The text; nothing where the word vanishes.
    pub(super) text: Option<String>,
    /// The file name pattern, if the word is one, with what was quoted escaped by backslashes.
    pub(super) pattern: Option<String>,
}

/// Expands one word, as it is written in the script.
pub(super) fn expand(
    raw: &str,
    options: &ParserOptions,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Expanded, NotSimple> {
    let pieces = parse(raw, options).map_err(|e| NotSimple::Unreadable(e.to_string()))?;
    let mut word = Word { raw, env, text: String::new(), pattern: String::new(), globs: false, solid: false };
    tile(raw, 0, raw.len(), &pieces)?;
    for piece in &pieces {
        word.unquoted(raw, piece)?;
    }
    let vanishes = word.text.is_empty() && !word.solid;
    Ok(Expanded { text: (!vanishes).then_some(word.text), pattern: word.globs.then_some(word.pattern) })
}

struct Word<'a> {
    raw: &'a str,
    env: &'a dyn Fn(&str) -> Option<String>,
    text: String,
    pattern: String,
    /// Has an unquoted wildcard.
    globs: bool,
    /// Has something besides unquoted variables, so that it stays even if it is empty.
    solid: bool,
}

impl Word<'_> {
    fn unquoted(&mut self, raw: &str, piece: &WordPieceWithSource) -> Result<(), NotSimple> {
        match &piece.piece {
            WordPiece::Text(text) => self.plain(text),
            WordPiece::SingleQuotedText(text) => {
                self.quoted_text(text);
                Ok(())
            }
            WordPiece::DoubleQuotedSequence(inner) => {
                self.solid = true;
                tile(raw, piece.start_index + 1, piece.end_index.saturating_sub(1), inner)?;
                inner.iter().try_for_each(|piece| self.double_quoted(&piece.piece))
            }
            WordPiece::EscapeSequence(text) => {
                let escaped = text.strip_prefix('\\').filter(|t| t.len() == 1 && *t != "\n");
                self.quoted_text(escaped.ok_or_else(|| NotSimple::Uncertain(self.raw.to_owned()))?);
                Ok(())
            }
            WordPiece::ParameterExpansion(expression) => {
                let (name, value) = self.variable(expression)?;
                let value = value.unwrap_or_default();
                if value.contains([' ', '\t', '\n', '*', '?', '[', '\\']) {
                    return Err(NotSimple::Value(name));
                }
                self.text.push_str(&value);
                self.pattern.push_str(&value);
                Ok(())
            }
            other => Err(refused(other, self.raw)),
        }
    }

    fn double_quoted(&mut self, piece: &WordPiece) -> Result<(), NotSimple> {
        match piece {
            WordPiece::Text(text) if text.contains('$') => Err(NotSimple::Dollar),
            WordPiece::Text(text) => {
                self.quoted_text(text);
                Ok(())
            }
            WordPiece::EscapeSequence(text) => {
                let escaped = text.strip_prefix('\\').filter(|t| matches!(*t, "$" | "`" | "\"" | "\\"));
                self.quoted_text(escaped.ok_or_else(|| NotSimple::Uncertain(self.raw.to_owned()))?);
                Ok(())
            }
            WordPiece::ParameterExpansion(expression) => {
                let (_, value) = self.variable(expression)?;
                self.quoted_text(&value.unwrap_or_default());
                Ok(())
            }
            other => Err(refused(other, self.raw)),
        }
    }

    /// Unquoted literal text, in which some characters are the shell's.
    fn plain(&mut self, text: &str) -> Result<(), NotSimple> {
        let word = || self.raw.to_owned();
        if text.contains('$') {
            return Err(NotSimple::Dollar);
        }
        if text.contains(['\\', '"', '\'', '`', '(', ')', '<', '>', '|', '&', ';', ' ', '\t', '\n']) {
            return Err(NotSimple::Uncertain(word()));
        }
        if text.contains(['{', '}']) {
            return Err(NotSimple::Brace(word()));
        }
        // After `=` and `:`, bash expands it where the word looks like an assignment. `fastapi~=0.1` is none of these.
        if text.starts_with('~') || text.contains("=~") || text.contains(":~") {
            return Err(NotSimple::Tilde(word()));
        }
        self.solid = true;
        self.globs |= text.contains(['*', '?', '[']);
        self.text.push_str(text);
        self.pattern.push_str(text);
        Ok(())
    }

    fn quoted_text(&mut self, text: &str) {
        self.solid = true;
        self.text.push_str(text);
        for c in text.chars() {
            if !c.is_ascii_alphanumeric() {
                self.pattern.push('\\');
            }
            self.pattern.push(c);
        }
    }

    /// The name and value of a plain `$NAME` or `${NAME}`.
    fn variable(&self, expression: &ParameterExpr) -> Result<(String, Option<String>), NotSimple> {
        let ParameterExpr::Parameter { parameter, indirect: false } = expression else {
            return Err(NotSimple::Expansion(self.raw.to_owned()));
        };
        let name = match parameter {
            Parameter::Named(name) => name.clone(),
            Parameter::Positional(n) => return Err(NotSimple::Special(format!("${n}"))),
            Parameter::Special(special) => return Err(NotSimple::Special(format!("${special}"))),
            _ => return Err(NotSimple::Expansion(self.raw.to_owned())),
        };
        let value = (self.env)(&name);
        let own = OWN.contains(&name.as_str()) || name.starts_with("BASH") || name.starts_with("COMP_");
        if own || (value.is_none() && DEFAULTED.contains(&name.as_str())) {
            return Err(NotSimple::ShellVariable(name));
        }
        match value {
            Some(value) if !value.is_ascii() || value.contains('\0') => Err(NotSimple::ValueCharacter(name)),
            value => Ok((name, value)),
        }
    }
}

/// The pieces must cover the text from `start` to `end` without a gap: nothing that was written is lost.
fn tile(raw: &str, start: usize, end: usize, pieces: &[WordPieceWithSource]) -> Result<(), NotSimple> {
    let mut at = start;
    for piece in pieces {
        if piece.start_index != at || piece.end_index < at {
            return Err(NotSimple::Uncertain(raw.to_owned()));
        }
        at = piece.end_index;
    }
    if at == end { Ok(()) } else { Err(NotSimple::Uncertain(raw.to_owned())) }
}

/// The reason for a piece that no rule above takes.
fn refused(piece: &WordPiece, raw: &str) -> NotSimple {
    match piece {
        WordPiece::AnsiCQuotedText(_) => NotSimple::Quoting("an ANSI-C quote (`$'`)"),
        WordPiece::GettextDoubleQuotedSequence(_) => NotSimple::Quoting("a `$` before a double quote"),
        WordPiece::TildeExpansion(_) => NotSimple::Tilde(raw.to_owned()),
        WordPiece::CommandSubstitution(_) | WordPiece::BackquotedCommandSubstitution(_) => {
            NotSimple::Substitution("a command substitution")
        }
        WordPiece::ArithmeticExpression(_) => NotSimple::Substitution("an arithmetic expansion"),
        _ => NotSimple::Uncertain(raw.to_owned()),
    }
}
