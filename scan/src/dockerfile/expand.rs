//! Variables, quotes and escapes in the words of instructions.
//!
//! What BuildKit expands: `$NAME`, `${NAME}`, `${NAME:-word}`, `${NAME-word}`, `${NAME:+word}`, `${NAME+word}`, and
//! `${NAME:?word}`. Patterns (`${NAME#…}`, `${NAME%…}`, `${NAME/…}`) are not: their result counts as unknown.

use std::collections::{BTreeMap, BTreeSet};

/// The longest text that variables may come to, in bytes: each can double the one before.
const LONGEST: usize = 64 * 1024;
/// Words within words, as in `${A:-${B}}`.
const MAX_DEPTH: usize = 32;

/// The variables that are set at some place of a Dockerfile.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    values: BTreeMap<String, String>,
    /// Set by somebody else, to nobody knows what: an ARG without a value.
    unknown: BTreeSet<String>,
    /// What isn't set here may be set elsewhere.
    open: bool,
}

impl Scope {
    /// A scope in which a variable that isn't set counts as unknown, and not as empty.
    pub(crate) fn open() -> Self {
        Self { open: true, ..Self::default() }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    pub(crate) fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        self.unknown.remove(&name);
        self.values.insert(name, value.into());
    }

    /// Somebody else may give it a value.
    pub(crate) fn set_unknown(&mut self, name: &str) {
        self.values.remove(name);
        self.unknown.insert(name.to_owned());
    }

    /// Whether its value, or that it has none, is known.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.values.contains_key(name) || !(self.open || self.unknown.contains(name))
    }

    /// All of them, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The names of those whose value isn't known.
    pub(crate) fn unknown(&self) -> impl Iterator<Item = &str> {
        self.unknown.iter().map(String::as_str)
    }
}

/// A word with its variables expanded and its quotes taken off. None where that can't be told.
pub(crate) fn expand(text: &str, scope: &Scope) -> Option<String> {
    if text.len() > LONGEST {
        return None;
    }
    let mut reader = Reader { letters: text.chars().collect(), at: 0, depth: 0, scope };
    reader.until(None).filter(|text| text.len() <= LONGEST)
}

/// The pairs of an ENV, ARG or LABEL: `A=1 B="2 3"`, or `A value to the end`. A value is none where it can't be told, or
/// where there is none.
pub(crate) fn pairs(text: &str, scope: &Scope) -> Vec<(String, Option<String>)> {
    let words = words(text);
    let first = words.first().map(String::as_str).unwrap_or_default();
    if !first.contains('=') && words.len() > 1 {
        let rest = text.trim_start()[first.len()..].trim();
        return vec![(first.to_owned(), expand(rest, scope))];
    }
    let pair = |word: &String| match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), expand(value, scope)),
        None => (word.clone(), None),
    };
    words.iter().map(pair).collect()
}

/// Words as they stand, with their quotes.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (None, letter) if letter.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            (None | Some('"'), '\\') => {
                word.push(letter);
                word.extend(letters.next());
                continue;
            }
            _ => {}
        }
        word.push(letter);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

struct Reader<'a> {
    letters: Vec<char>,
    at: usize,
    depth: usize,
    scope: &'a Scope,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let letter = self.letters.get(self.at).copied();
        self.at += usize::from(letter.is_some());
        letter
    }

    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    /// Up to the end, or up to and with an unquoted `end`.
    fn until(&mut self, end: Option<char>) -> Option<String> {
        let mut out = String::new();
        loop {
            match self.next() {
                None => return end.is_none().then_some(out),
                Some(letter) if Some(letter) == end => return Some(out),
                Some('\'') => loop {
                    match self.next()? {
                        '\'' => break,
                        letter => out.push(letter),
                    }
                },
                Some('"') => loop {
                    match self.next()? {
                        '"' => break,
                        '$' => out.push_str(&self.variable()?),
                        '\\' => match self.next()? {
                            letter @ ('"' | '$' | '\\') => out.push(letter),
                            letter => out.extend(['\\', letter]),
                        },
                        letter => out.push(letter),
                    }
                },
                Some('$') => out.push_str(&self.variable()?),
                Some('\\') => out.extend(self.next()),
                Some(letter) => out.push(letter),
            }
        }
    }

    fn variable(&mut self) -> Option<String> {
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if self.peek() != Some('{') {
            let mut name = String::new();
            while let Some(letter) = self.peek().filter(|letter| is_name(*letter)) {
                name.push(letter);
                self.at += 1;
            }
            if name.is_empty() {
                return Some("$".to_owned());
            }
            return self.scope.knows(&name).then(|| self.scope.get(&name).unwrap_or_default().to_owned());
        }
        self.at += 1;
        let mut name = String::new();
        while let Some(letter) = self.peek().filter(|letter| is_name(*letter)) {
            name.push(letter);
            self.at += 1;
        }
        let value = self.scope.get(&name).map(str::to_owned);
        let mut operator = self.next()?;
        if operator == '}' {
            return self.scope.knows(&name).then(|| value.unwrap_or_default());
        }
        let empty_counts = operator == ':';
        if empty_counts {
            operator = self.next()?;
        }
        self.depth += 1;
        let word = if self.depth < MAX_DEPTH { self.until(Some('}')) } else { None }?;
        self.depth -= 1;
        let set = value.as_deref().is_some_and(|value| !empty_counts || !value.is_empty());
        match operator {
            '-' => Some(if set { value.unwrap_or_default() } else { word }),
            '+' => Some(if set { word } else { String::new() }),
            '?' => value.filter(|_| set),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        let mut scope = Scope::default();
        scope.set("A", "1");
        scope.set("EMPTY", "");
        scope
    }

    #[test]
    fn words_of_instructions() {
        for (text, wanted) in [
            ("python:${A}-slim", Some("python:1-slim")),
            ("$A$A/x", Some("11/x")),
            ("${B:-3.11}", Some("3.11")),
            ("${EMPTY:-x}", Some("x")),
            ("${EMPTY-x}", Some("")),
            ("${A:+yes}${B:+no}", Some("yes")),
            ("${B:-${A}}", Some("1")),
            ("${A:?needed}", Some("1")),
            ("${B:?needed}", None),
            ("${A#x}", None),
            ("$B", Some("")),
            ("'$A'", Some("$A")),
            ("\"a $A\"", Some("a 1")),
            ("\\$A", Some("$A")),
            ("a\\ b", Some("a b")),
            ("'open", None),
            ("${A", None),
            ("$", Some("$")),
        ] {
            assert_eq!(expand(text, &scope()).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_unknown_and_what_is_too_much() {
        let mut scope = scope();
        scope.set_unknown("GIVEN");
        assert_eq!(expand("x-$GIVEN", &scope), None);
        assert_eq!(expand("x-${GIVEN:-y}", &scope).as_deref(), Some("x-y"));
        assert_eq!(expand("$NONE", &Scope::open()), None);
        let mut doubled = Scope::default();
        doubled.set("A0", "x".repeat(1000));
        for number in 1..40 {
            let Some(value) = expand(&format!("$A{0}$A{0}", number - 1), &doubled) else { return };
            doubled.set(format!("A{number}"), value);
        }
        panic!("forty doublings are too much");
    }

    #[test]
    fn nesting_has_an_end() {
        assert_eq!(expand(&"${A:-".repeat(10_000), &Scope::default()), None);
    }

    #[test]
    fn pairs_of_instructions() {
        let read = |text: &str| -> Vec<(String, Option<String>)> { pairs(text, &scope()) };
        let pair = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        assert_eq!(read("X=$A Y=\"2 3\""), [pair("X", Some("1")), pair("Y", Some("2 3"))]);
        assert_eq!(read("X some text $A"), [pair("X", Some("some text 1"))]);
        assert_eq!(read("X"), [pair("X", None)]);
        assert_eq!(read("X= Y"), [pair("X", Some("")), pair("Y", None)]);
        assert_eq!(read("P=/opt/venv/bin:$PATH"), [pair("P", Some("/opt/venv/bin:"))]);
    }
}
