//! Byte code that is not where Python keeps it for a source: below `PYTHONPYCACHEPREFIX`, of a link to the source, of a
//! source with another ending.
//!
//! It names its source by time and size alone (PEP 552). A source that some byte code may be of keeps its time, or that
//! byte code would be of no use any more.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use super::diff::Diff;
use super::header::{self, Header, Source};
use crate::tree::fs::IoError;

/// The sources that some byte code is of.
#[derive(Debug, Default)]
pub(super) struct OtherCode(HashSet<Source>);

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
            let pyc = after.join(path);
            let Some(source) = Header::read(&pyc)?.and_then(|header| header.source()) else { continue };
            if beside(&pyc) != Some(source) {
                named.insert(source);
            }
        }
        Ok(Self(named))
    }

    /// Whether some of it may be of the file at an absolute path.
    pub(super) fn name(&self, diff: &Diff, path: &str) -> bool {
        let change = diff.changed.get(Path::new(&path[1..]));
        change.is_some_and(|change| self.0.contains(&header::source(&change.now)))
    }
}

/// Time and size of the source `a/b.py` of `a/__pycache__/b.TAG.pyc`.
fn beside(pyc: &Path) -> Option<Source> {
    let directory = pyc.parent().filter(|directory| directory.ends_with("__pycache__"))?.parent()?;
    let stem = pyc.file_stem().map(Path::new)?.file_stem()?;
    let mut source = directory.join(stem).into_os_string();
    source.push(".py");
    fs::symlink_metadata(source).ok().filter(fs::Metadata::is_file).map(|meta| header::source(&meta))
}
