//! What couldn't be read. The rest is read all the same.

use serde::Serialize;

/// Something that couldn't be read, and why. It is part of the result: figures without it are figures without it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// What: a source as the user named it, a manifest, the digest of a blob.
    pub what: String,
    /// Why, in one clause without its full stop.
    pub reason: String,
}

impl Problem {
    /// `what` couldn't be read because of `reason`.
    pub fn new(what: impl ToString, reason: impl ToString) -> Self {
        Self { what: what.to_string(), reason: reason.to_string() }
    }
}
