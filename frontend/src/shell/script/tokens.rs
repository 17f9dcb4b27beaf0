//! The script's tokens, found again in its text: nothing may have got lost on the way to the tree.

use brush_parser::{ParserOptions, Token, uncached_tokenize_str};

use super::super::names::KEYWORDS;
use super::NotSimple;

/// How many of the tokens may open something, or look like it: the parser calls itself for each.
const MAX_NESTING: usize = 64;

/// A token as the tree has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Text(String),
    /// The number of a file descriptor, written against its operator.
    Descriptor(String),
}

/// A token as it stands in the script.
pub(super) struct Found<'a> {
    pub(super) text: &'a str,
    /// Where it begins, in bytes.
    pub(super) at: usize,
    pub(super) operator: bool,
    /// Nothing stands between it and the token before.
    adjacent: bool,
}

/// The script's tokens, as the parser takes them and as they stand in the script.
pub(super) fn read<'a>(
    script: &'a str,
    options: &ParserOptions,
) -> Result<(Vec<Token>, Vec<Found<'a>>), NotSimple> {
    let tokens = uncached_tokenize_str(script, &options.tokenizer_options())
        .map_err(|e| NotSimple::Unreadable(e.to_string()))?;
    let found = find_again(script, &tokens)?;
    check(&found)?;
    Ok((tokens, found))
}

/// What no script may have that is given to the parser.
fn check(found: &[Found<'_>]) -> Result<(), NotSimple> {
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
    Ok(())
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
        let at = script.len() - after.len();
        found.push(Found { text: &after[..text.len()], at, operator, adjacent: gap.length == 0 });
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
pub(super) fn accounted(found: &[Found<'_>], seen: &[Seen]) -> Result<(), NotSimple> {
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
