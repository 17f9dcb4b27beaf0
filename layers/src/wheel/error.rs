//! What can be wrong with a wheel.

use std::path::PathBuf;

/// A wheel that is not assembled. The step that asked for it runs as written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WheelError {
    /// The file could not be read.
    #[error("cannot read the wheel {path}: {source}")]
    Read {
        /// The wheel.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The bytes are not those that the resolution named.
    #[error(
        "the wheel's sha256 is {found}, expected {expected}: the index serves another file than it announced"
    )]
    Digest {
        /// Hexadecimal digest that was asked for.
        expected: String,
        /// Hexadecimal digest of the file.
        found: String,
    },
    /// Not a zip file, or one that readers could understand in two ways.
    #[error("not a well-formed zip archive: {0}")]
    Archive(String),
    /// An entry that must not be unpacked.
    #[error("unsafe entry {name:?}: {why}")]
    Entry {
        /// Name in the archive, as far as it can be shown.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// More data than any wheel has reason to hold.
    #[error("the wheel unpacks to more than {0}: it looks like a decompression bomb")]
    TooLarge(String),
    /// A violation of the wheel format.
    #[error("{file}: {why}")]
    Format {
        /// File inside the wheel.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// The wheel is for something else than was resolved.
    #[error("the wheel says it is {field} {found:?}, but {expected:?} was resolved")]
    Mismatch {
        /// `name` or `version`.
        field: &'static str,
        /// Resolved value.
        expected: String,
        /// The wheel's value.
        found: String,
    },
    /// RECORD and the archive disagree.
    #[error("RECORD does not describe the wheel: {path:?} {why}")]
    Record {
        /// Path in the wheel.
        path: String,
        /// How they disagree.
        why: String,
    },
}

impl WheelError {
    pub(crate) fn format(file: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Format { file: file.into(), why: why.into() }
    }
}
