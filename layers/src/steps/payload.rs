//! `plinth step payload`: one wheel into its payload tree and its meta.

use serde::{Deserialize, Serialize};

use crate::resolution::{Interpreter, Scheme};

/// What decides a payload's bytes, besides the wheel itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadSpec {
    /// Layout version: [`crate::tree::LAYOUT`].
    pub layout: u32,
    /// Name of the distribution, metadata spelling.
    pub name: String,
    /// Version of the distribution.
    pub version: String,
    /// File name of the wheel.
    pub filename: String,
    /// Hexadecimal SHA-256 that the wheel must have.
    pub sha256: String,
    /// Where its parts go; physical paths.
    pub scheme: Scheme,
    /// The interpreter that compiles, [`Interpreter::fingerprint`] left empty: it is not part of a payload's identity.
    pub interpreter: Interpreter,
}
