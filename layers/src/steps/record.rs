//! `plinth step record`: everything of an install that differs from one install to the next.

use serde::{Deserialize, Serialize};

/// Which payloads go into the tail layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordSpec {
    /// Layout version: [`crate::tree::LAYOUT`].
    pub layout: u32,
    /// Indices into [`crate::resolution::Plan::install`] of the wheels whose trees are copied into the tail.
    pub tail: Vec<usize>,
}

/// Whether the step may be assembled, written as [`Verdict::FILE`] beside the trees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Verdict {
    /// The layers give what the installer would have left.
    Assembled,
    /// They would not: the step must run as written.
    Refused {
        /// One sentence for the report.
        reason: String,
    },
}

impl Verdict {
    /// Name of the file in the status directory of `plinth step record`.
    pub const FILE: &str = "verdict.json";
}
