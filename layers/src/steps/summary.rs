//! What the frontend has to know of a payload before it can lay out the layers.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// Written into the meta directory of `plinth step payload` as [`Summary::FILE`].
///
/// A wheel that is broken is an answer and no failure: it is cached like any other, and the step that asked for
/// the wheel runs as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Summary {
    /// The payload tree is there.
    Payload {
        /// Sum of the sizes of its files, in bytes.
        bytes: u64,
        /// Number of its files.
        files: u64,
    },
    /// The wheel must not be assembled.
    Refused {
        /// One sentence for the report.
        reason: String,
    },
}

impl Summary {
    /// Name of the file.
    pub const FILE: &str = "summary.json";

    /// Writes the summary into a meta directory; the time of the file is fixed, as everything there.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write(&self, meta: &Path) -> std::io::Result<()> {
        let path = meta.join(Self::FILE);
        std::fs::write(&path, serde_json::to_vec(self)?)?;
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(crate::tree::MTIME);
        std::fs::File::open(&path)?.set_modified(time)?;
        std::fs::File::open(meta)?.set_modified(time)
    }

    /// Measures a payload tree.
    ///
    /// # Errors
    /// If the tree can't be read.
    pub fn of(tree: &Path) -> std::io::Result<Self> {
        let (mut bytes, mut files) = (0, 0);
        let mut todo = vec![tree.to_owned()];
        while let Some(directory) = todo.pop() {
            for entry in std::fs::read_dir(directory)? {
                let entry = entry?;
                let metadata = entry.metadata()?;
                if metadata.is_dir() {
                    todo.push(entry.path());
                } else {
                    bytes += metadata.len();
                    files += 1;
                }
            }
        }
        Ok(Self::Payload { bytes, files })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn counts_files_and_their_bytes() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir(tree.path().join("a")).unwrap();
        std::fs::write(tree.path().join("a/b"), "12345").unwrap();
        std::fs::write(tree.path().join("c"), "67").unwrap();
        assert_eq!(Summary::of(tree.path()).unwrap(), Summary::Payload { bytes: 7, files: 2 });
    }
}
