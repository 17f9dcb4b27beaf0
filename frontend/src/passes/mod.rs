//! The passes: graph in, graph out, decisions recorded.
//!
//! ```text
//! apt/    takes `apt-get install` steps out that have nothing to do
//! base/   puts stages on the master that the policy names
//! pip/    replaces `pip install` steps by one layer per wheel
//! ```

mod apt;
pub mod base;
pub mod chain;
pub mod pip;
pub mod switch;

use crate::error::BuildError;

/// Why a pass leaves something as it is.
pub(crate) enum Stop {
    /// Not shown to be equal: it stays as written, for this reason.
    Refused(String),
    /// There is nothing in it for the pass.
    Unrelated,
    /// The build can't go on.
    Failed(BuildError),
}

impl Stop {
    /// Refused for a reason, unless the error is that the build was stopped.
    pub(crate) fn refused(error: BuildError, reason: impl FnOnce(&BuildError) -> String) -> Self {
        if error.is_canceled() { Self::Failed(error) } else { Self::Refused(reason(&error)) }
    }

    /// As [`Stop::refused`]: what can't be done, and the first line of why.
    pub(crate) fn about(error: BuildError, what: &str) -> Self {
        Self::refused(error, |error| format!("{what}: {}", error.first_line()))
    }
}

impl From<String> for Stop {
    fn from(reason: String) -> Self {
        Self::Refused(reason)
    }
}

impl From<plinth_proto::graph::GraphError> for Stop {
    fn from(error: plinth_proto::graph::GraphError) -> Self {
        Self::Refused(format!("its operations can't be rewritten: {error}"))
    }
}
