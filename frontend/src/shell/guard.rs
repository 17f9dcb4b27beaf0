//! What is refused before the script is parsed.
//!
//! Two purposes. Shells differ in what lies outside a plain ASCII script, and in a few constructs that the parser (a
//! parser of bash) would accept; and every construct that nests is refused here, by its characters alone, so that the parser
//! never recurses on input that someone else wrote. A quoted `$(` is refused, too: the price is a step that runs as
//! written.

use super::NotSimple;

/// The longest script that is read, in bytes. Linux passes at most 128 KiB in one argument.
pub(super) const MAX_SCRIPT: usize = 64 * 1024;

/// Variables that change how a shell reads a script: startup files, options, word splitting.
const STEERING: &[&str] =
    &["BASH_ENV", "ENV", "IFS", "SHELLOPTS", "BASHOPTS", "BASH_COMPAT", "POSIXLY_CORRECT", "GLOBIGNORE"];

/// Refuses what must not reach the parser.
pub(super) fn check(script: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<(), NotSimple> {
    if script.len() > MAX_SCRIPT {
        return Err(NotSimple::TooLong(script.len()));
    }
    let plain = |c: char| matches!(c, ' '..='~' | '\t' | '\n');
    if let Some(c) = script.chars().find(|c| !plain(*c)) {
        return Err(NotSimple::Character(c));
    }
    if let Some(name) = STEERING.iter().find(|name| env(name).is_some()) {
        return Err(NotSimple::Environment(name));
    }
    for (text, reason) in [
        ("$((", NotSimple::Substitution("an arithmetic expansion (`$((`)")),
        ("$(", NotSimple::Substitution("a command substitution (`$(`)")),
        ("`", NotSimple::Substitution("a command substitution (a backquote)")),
        ("$[", NotSimple::Substitution("an arithmetic expansion (`$[`)")),
        ("$'", NotSimple::Quoting("an ANSI-C quote (`$'`)")),
        ("$\"", NotSimple::Quoting("a `$` before a double quote")),
        ("<<", NotSimple::HereDocument),
    ] {
        if script.contains(text) {
            return Err(reason);
        }
    }
    braced_names_only(script)
}

/// Every `${` must be a plain `${NAME}`.
fn braced_names_only(script: &str) -> Result<(), NotSimple> {
    for (at, _) in script.match_indices("${") {
        let inner = script[at + 2..].split('}').next().unwrap_or_default();
        let closed = script[at + 2..].len() > inner.len();
        let special = inner.len() == 1 && "@*#?-$!".contains(inner);
        if closed && (special || (!inner.is_empty() && inner.chars().all(|c| c.is_ascii_digit()))) {
            return Err(NotSimple::Special(format!("${{{inner}}}")));
        }
        if !closed || !is_name(inner) {
            return Err(NotSimple::Expansion(script[at..].chars().take(20).collect()));
        }
    }
    Ok(())
}

/// A variable's name as POSIX defines it.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
