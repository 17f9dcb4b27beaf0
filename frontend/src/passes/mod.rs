//! The passes: graph in, graph out, decisions recorded.
//!
//! ```text
//! base/   puts stages on the master that the policy names
//! pip/    replaces `pip install` steps by one layer per wheel
//! ```

pub mod base;
pub mod chain;
pub mod pip;

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
