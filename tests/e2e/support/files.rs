//! Directories of files that a test writes in place.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A directory that goes away with the value.
pub(crate) struct Files {
    dir: TempDir,
}

impl Files {
    /// An empty directory.
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::Builder::new().prefix("plinth-e2e-").tempdir().unwrap() }
    }

    /// A context with this Dockerfile.
    pub(crate) fn dockerfile(text: &str) -> Self {
        Self::new().with("Dockerfile", text)
    }

    /// The same with one more file; its directories are made.
    pub(crate) fn with(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.write(path, content);
        self
    }

    /// Writes a file, over an older one too.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Where the files are.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Path of one of them.
    pub(crate) fn join(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }
}
