//! What is wrong with an archive.

use std::io;

/// What is wrong with an archive, and where.
#[derive(Debug)]
pub enum TarError {
    /// It is broken, or can be read in more than one way.
    Broken {
        /// Where the header is that it is about, in bytes from the start.
        at: u64,
        /// What is wrong.
        reason: String,
    },
    /// The stream failed.
    Stream(io::Error),
}

/// The same before it is known where.
#[derive(Debug)]
pub(super) enum Fault {
    Broken(String),
    Stream(io::Error),
}

impl Fault {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self::Broken(reason.into())
    }

    /// The stream ends before the archive does.
    pub(super) fn short() -> Self {
        Self::new("it ends in the middle of a member")
    }

    pub(super) fn at(self, at: u64) -> TarError {
        match self {
            Self::Broken(reason) => TarError::Broken { at, reason },
            Self::Stream(error) => TarError::Stream(error),
        }
    }
}
