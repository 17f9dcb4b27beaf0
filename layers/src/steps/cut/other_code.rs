//! Byte code that is not where Python keeps it for a source: below `PYTHONPYCACHEPREFIX`, of a link to the source, of a
//! source with another ending.
//!
//! It names its source by time and size alone (PEP 552). A source that some byte code may be of keeps its time, or that
//! byte code would be of no use any more.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::diff::Diff;
use crate::tree::fs::{Context as _, IoError};

/// Times and sizes of sources, the low 32 bits of each.
#[derive(Debug, Default)]
pub(super) struct OtherCode(HashSet<(u32, u32)>);

impl OtherCode {
    /// Of what a step changed.
    ///
    /// # Errors
    /// The operating system's.
    pub(super) fn of(diff: &Diff, after: &Path) -> Result<Self, IoError> {
        let mut named = HashSet::new();
        for (path, change) in &diff.changed {
            if !change.now.is_file() || path.extension().is_none_or(|extension| extension != "pyc") {
                continue;
            }
            let Some(source) = named_by(&after.join(path))? else { continue };
            if beside(&after.join(path)) != Some(source) {
                named.insert(source);
            }
        }
        Ok(Self(named))
    }

    /// Whether some of it may be of the file at an absolute path.
    pub(super) fn name(&self, diff: &Diff, path: &str) -> bool {
        let change = diff.changed.get(Path::new(&path[1..]));
        change.is_some_and(|change| self.0.contains(&low(&change.now)))
    }
}

/// Time and size of the source that byte code is of, if it goes by these.
fn named_by(pyc: &Path) -> Result<Option<(u32, u32)>, IoError> {
    let mut head = [0; 16];
    match File::open(pyc).context("open", pyc)?.read_exact(&mut head) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read.context("read", pyc)?,
    }
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    Ok((word(4) == 0).then(|| (word(8), word(12))))
}

/// Time and size of the source `a/b.py` of `a/__pycache__/b.TAG.pyc`.
fn beside(pyc: &Path) -> Option<(u32, u32)> {
    let directory = pyc.parent().filter(|directory| directory.ends_with("__pycache__"))?.parent()?;
    let stem = pyc.file_stem().map(Path::new)?.file_stem()?;
    let mut source = directory.join(stem).into_os_string();
    source.push(".py");
    fs::symlink_metadata(source).ok().filter(fs::Metadata::is_file).map(|meta| low(&meta))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "PEP 552: the low 32 bits")]
fn low(meta: &fs::Metadata) -> (u32, u32) {
    (meta.mtime() as u32, meta.size() as u32)
}
