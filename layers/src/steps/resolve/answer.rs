//! What pip and `pip/helper.py` answer.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;

use crate::described::Python;
use crate::resolution::Scheme;

/// Bytes of the helper's answer and of pip's report: the latter holds the whole metadata of each wheel.
const MAX_ANSWER: u64 = 256 << 20;

/// What `pip/helper.py` writes.
#[derive(Deserialize)]
pub(super) struct Answer {
    pub(super) code: i64,
    pub(super) error: Option<String>,
    pub(super) executable: String,
    pub(super) implementation: String,
    #[serde(flatten)]
    pub(super) described: Option<Described>,
    #[serde(flatten)]
    pub(super) concluded: Option<Concluded>,
}

#[derive(Deserialize)]
pub(super) struct Described {
    #[serde(flatten)]
    pub(super) python: Python,
    pub(super) prefix: String,
    pub(super) optimize: u8,
    pub(super) stdlib: String,
    pub(super) umask: u32,
    pub(super) root: bool,
    pub(super) pip_version: String,
    pub(super) pip_directory: String,
    pub(super) scheme: Scheme,
    pub(super) real: Scheme,
    pub(super) sites: Vec<String>,
    pub(super) customized: Vec<String>,
    pub(super) externally_managed: bool,
    pub(super) config: Vec<ConfigItem>,
    pub(super) netrc: bool,
    /// The stubs of the lock were taken for an index.
    pub(super) stubs: bool,
}

#[derive(Deserialize)]
pub(super) struct ConfigItem {
    pub(super) key: String,
    pub(super) set: bool,
    pub(super) credentials: bool,
}

#[derive(Deserialize)]
pub(super) struct Concluded {
    pub(super) order: Vec<OrderItem>,
    pub(super) installed: Vec<InstalledItem>,
    pub(super) satisfied: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct OrderItem {
    pub(super) name: String,
    pub(super) spelling: String,
    pub(super) replaces: bool,
    /// `direct_url.json`, by a pip that writes something else than it reports.
    pub(super) direct_url: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct InstalledItem {
    pub(super) name: String,
    pub(super) canonical: String,
    pub(super) version: String,
    pub(super) location: String,
    pub(super) info: String,
    pub(super) local: bool,
    pub(super) user: bool,
}

/// A file of the answer, unless it is too long.
pub(super) fn read_limited(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = fs::File::open(path).ok()?;
    let size = file.take(MAX_ANSWER).read_to_string(&mut text).ok()?;
    ((size as u64) < MAX_ANSWER).then_some(text)
}
