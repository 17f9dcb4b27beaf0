//! What is wrong with a policy file, where, and what to do.

use std::fmt;

use super::{PatternError, ReferenceError};

/// A place in a text file. Both count from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Position {
    /// The place of a byte offset in a text. An offset past the end is the end.
    pub fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self { line: before.matches('\n').count() + 1, column: before[start..].chars().count() + 1 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One thing that can be wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file isn't TOML, or a field is unknown, missing or of the wrong type.
    #[error("{0}")]
    Syntax(String),
    /// No `version`.
    #[error("the policy names no version; start the file with `version = 1`")]
    NoVersion,
    /// A version of the format that this release doesn't read.
    #[error(
        "this release reads policies of version 1, not {0}; use the plinth release that the policy was written for"
    )]
    Version(i64),
    /// A part of the format that is reserved.
    #[error("`{0}` is reserved and not supported by this release; remove it")]
    Reserved(&'static str),
    /// A base with a name that can't be shown.
    #[error("`{0}` is not a name for a base; use letters, digits, `.`, `_` and `-`")]
    Name(String),
    /// Two bases with one name.
    #[error("another base, on line {line}, is named `{name}` too; give each base a name of its own")]
    DuplicateName {
        /// The name.
        name: String,
        /// Where the first one is.
        line: usize,
    },
    /// The image isn't a reference.
    #[error("{0}")]
    Image(#[from] ReferenceError),
    /// A base that replaces nothing.
    #[error(
        "the base `{0}` replaces nothing; list the images it stands in for, like replaces = [\"python:3.12*-slim\"]"
    )]
    ReplacesNothing(String),
    /// A pattern isn't one.
    #[error("{0}")]
    Pattern(#[from] PatternError),
    /// One pattern twice.
    #[error("`{pattern}` is replaced by the base `{base}` on line {line} already; remove one of the two")]
    DuplicatePattern {
        /// The pattern.
        pattern: String,
        /// The base that has it first.
        base: String,
        /// Where that one is.
        line: usize,
    },
    /// `move_from` takes Python versions.
    #[error("`{0}` is not a Python version; write it as major and minor, like \"3.11\"")]
    MoveFrom(String),
    /// A gate outside its range.
    #[error("a gate is a share between 0 and 1, not {0}; write 60 % as 0.60")]
    Gate(String),
    /// A share outside its range.
    #[error("a share is between 0 and 1, not {0}; write 60 % as 0.60")]
    Share(String),
    /// No number of bytes.
    #[error("`{0}` is no number of bytes; write it like 20000000, \"20 MB\" or \"20 MiB\"")]
    Bytes(String),
}
