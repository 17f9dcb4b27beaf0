//! Why something of a source can't be had.

use std::fmt;

/// What went wrong, where, and what can be done, in one clause. It never has credentials in it, nor what follows the `?`
/// of an address: storage behind a registry signs its addresses there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Error {
    missing: bool,
    text: String,
}

impl Error {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { missing: false, text: text.into() }
    }

    /// What was asked for isn't there, as opposed to: nobody knows.
    pub(crate) fn missing(text: impl Into<String>) -> Self {
        Self { missing: true, text: text.into() }
    }

    pub(crate) fn is_missing(&self) -> bool {
        self.missing
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        let kind = if error.missing { std::io::ErrorKind::NotFound } else { std::io::ErrorKind::Other };
        Self::new(kind, error)
    }
}

/// A text of somebody else, fit for one line of a message: short, and without control characters.
pub(crate) fn quoted(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    line.trim().to_owned()
}
