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

    /// Writes the summary into the meta directory of the wheel with this SHA-256, and its [`Mark`]; times are fixed, as
    /// everything there.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write(&self, sha256: &str, meta: &Path) -> std::io::Result<()> {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(crate::tree::MTIME);
        let bytes = match self {
            Self::Payload { bytes, .. } => Some(*bytes),
            Self::Refused { .. } => None,
        };
        let mark = Mark { sha256: sha256.to_owned(), bytes }.to_string();
        for (name, content) in [(Self::FILE, serde_json::to_vec(self)?), (mark.as_str(), Vec::new())] {
            let path = meta.join(name);
            std::fs::write(&path, content)?;
            std::fs::File::open(&path)?.set_modified(time)?;
        }
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

/// The name of an empty file beside the summary, which says the same: so the marks of many payloads can be copied into
/// one directory, and read by listing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Hexadecimal SHA-256 of the wheel.
    pub sha256: String,
    /// Bytes of its payload; none if it must not be assembled.
    pub bytes: Option<u64>,
}

impl Mark {
    /// A pattern that matches all marks and nothing else of a meta directory.
    pub const PATTERN: &str = "mark-*";

    /// Reads a mark from a file name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (sha256, bytes) = name.strip_prefix("mark-")?.split_once('-')?;
        let bytes = match bytes {
            "refused" => None,
            bytes => Some(bytes.parse().ok()?),
        };
        Some(Self { sha256: sha256.to_owned(), bytes })
    }
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.bytes {
            Some(bytes) => write!(f, "mark-{}-{bytes}", self.sha256),
            None => write!(f, "mark-{}-refused", self.sha256),
        }
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

    #[test]
    fn marks_say_what_the_summary_says() {
        for (summary, wanted) in [
            (Summary::Payload { bytes: 7, files: 2 }, Mark { sha256: "ab".into(), bytes: Some(7) }),
            (Summary::Refused { reason: "x".into() }, Mark { sha256: "ab".into(), bytes: None }),
        ] {
            let meta = tempfile::tempdir().unwrap();
            summary.write("ab", meta.path()).unwrap();
            let names = std::fs::read_dir(meta.path())
                .unwrap()
                .map(|e| e.unwrap().file_name().into_string().unwrap());
            let marks: Vec<Mark> = names.filter_map(|name| Mark::parse(&name)).collect();
            assert_eq!(marks, [wanted]);
            let text = std::fs::read(meta.path().join(Summary::FILE)).unwrap();
            assert_eq!(serde_json::from_slice::<Summary>(&text).unwrap(), summary);
        }
        assert_eq!(Mark::parse("mark-ab-x"), None);
        assert_eq!(Mark::parse(Summary::FILE), None);
    }
}
