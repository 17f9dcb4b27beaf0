//! What `plinth step payload` tells `plinth step record` about a wheel.

use serde::{Deserialize, Serialize};

use super::entry_points::Scripts;
use super::record::Row;
use crate::resolution::{Interpreter, Scheme};

/// Written as [`PayloadMeta::FILE`] into the meta directory. Deterministic: it depends on the wheel and the
/// specification of the payload, and on nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadMeta {
    /// Layout version: [`crate::tree::LAYOUT`].
    pub layout: u32,
    /// Name of the distribution, metadata spelling.
    pub name: String,
    /// Version of the distribution.
    pub version: String,
    /// File name of the wheel.
    pub filename: String,
    /// Hexadecimal SHA-256 of the wheel.
    pub sha256: String,
    /// Scheme over which the wheel was spread.
    pub scheme: Scheme,
    /// Interpreter that compiled.
    pub interpreter: Interpreter,
    /// `Root-Is-Purelib`.
    pub purelib: bool,
    /// Name of the `.dist-info` directory.
    pub dist_info: String,
    /// Installed files, in the installer's order: root, other schemes, scripts.
    pub entries: Vec<Entry>,
    /// Rows of the wheel's own RECORD, in its order.
    pub record: Vec<Row>,
    /// Names in `Requires-Dist`, as spelled there: a requirement's spelling can become the name of a directory.
    pub requires: Vec<String>,
    /// Scripts to generate.
    pub scripts: Scripts,
    /// Every directory of the payload tree, absolute, sorted.
    pub directories: Vec<String>,
}

impl PayloadMeta {
    /// Name of the file in the meta directory.
    pub const FILE: &str = "meta.json";
    /// Directory beside it that holds the files of [`Kind::Script`] and [`Kind::Kept`], named by
    /// [`PayloadMeta::kept_file`].
    pub const KEPT: &str = "kept";

    /// File name below [`PayloadMeta::KEPT`] of the entry with this index; `pyc` for its byte code.
    #[must_use]
    pub fn kept_file(index: usize, pyc: bool) -> String {
        if pyc { format!("{index}.pyc") } else { index.to_string() }
    }

    /// The directory that RECORD's paths are relative to.
    #[must_use]
    pub fn lib_dir(&self) -> &str {
        if self.purelib { &self.scheme.purelib } else { &self.scheme.platlib }
    }

    /// Files of the payload tree: absolute path, mode and SHA-256, byte code included.
    pub fn tree_files(&self) -> impl Iterator<Item = (&str, u32, &str)> {
        self.entries.iter().flat_map(|e| {
            let own = (e.kind == Kind::Payload).then_some((e.path.as_str(), e.mode, e.sha256.as_str()));
            let pyc = e.pyc.as_ref().filter(|_| matches!(e.kind, Kind::Payload));
            own.into_iter().chain(pyc.map(|p| (p.path.as_str(), 0o644, p.sha256.as_str())))
        })
    }
}

/// One file of the wheel that gets installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Path in the wheel.
    pub source: String,
    /// Absolute path of the installed file.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Bytes.
    pub size: u64,
    /// Hexadecimal SHA-256 of the wheel's file.
    pub sha256: String,
    /// Where it is put.
    pub kind: Kind,
    /// Part of the wheel it comes from.
    pub part: Part,
    /// Its byte code, if it is a Python file that compiles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pyc: Option<Pyc>,
}

/// Byte code of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pyc {
    /// Absolute path.
    pub path: String,
    /// Hexadecimal SHA-256.
    pub sha256: String,
}

/// What becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// In the payload tree.
    Payload,
    /// A script whose first line names the interpreter: kept, finished by the record step.
    Script,
    /// A file that belongs to the installer (INSTALLER, REQUESTED, `direct_url.json`) but is in the wheel:
    /// kept for the record step to decide.
    Kept,
    /// RECORD, which the record step writes anew.
    Record,
    /// Byte code that the wheel brings and that compiling replaces.
    Replaced,
}

/// Parts of a wheel, in the order in which an installer places them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The archive's root.
    Root,
    /// `purelib`, `platlib` or `data` of the `.data` directory.
    Data,
    /// `headers`: the installer spells the directory's name as the requirement does.
    Headers,
    /// `scripts`.
    Scripts,
}
