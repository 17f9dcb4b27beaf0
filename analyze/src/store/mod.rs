//! The contents of layers, kept by the digest of their blobs.
//!
//! One file for each layer, in one directory:
//!
//! ```text
//! DIRECTORY/2/HEX           what is known of the layer sha256:HEX; 2 is the version of the format
//! DIRECTORY/2/.tmp-…        one that is being written
//! ```
//!
//! A file is written under another name and renamed when it is complete, so at every moment it is there as a whole or not at
//! all, and any number of processes can share the directory without a lock: who comes second writes the same once more.
//! Nothing waits for the disk (`fsync`): what a killed process has renamed is kept by the kernel, and what a power failure
//! leaves behind is seen by its checksum. Such a file counts as not there, and is written again when its layer is read.
//!
//! A file takes 35 to 50 bytes for an entry (32 of them are the digest of its content, which nothing makes smaller), 10 for
//! each file that a package owns, and some 500 besides: 600 KB for an image of 13,000 entries and 15,000 files of packages.

mod clean;
mod code;
mod file;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::layer::Content;

pub use file::{Entries, Writer};

/// The version of the format: in the name of the directory, so that two versions of plinth don't overwrite each other's
/// files, and in every file. It changes with what the values mean, too: `the_values_of_this_version` of the tests says when.
const VERSION: u32 = 2;

/// A store in a directory.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

/// The store can't be used, or not this file of it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system doesn't let it.
    #[error("{} can't be {action}: {error}", path.display())]
    Io {
        /// What was to be done with it.
        action: &'static str,
        /// Which file or directory.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// A file changed while it was read.
    #[error("{} is damaged; the layer is read again if the file is removed", .0.display())]
    Damaged(PathBuf),
    /// What is kept of a layer can't be written down.
    #[error("what is known of a layer can't be written down: {0}")]
    Code(serde_json::Error),
}

impl StoreError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |error| Self::Io { action, path, error }
    }

    /// There is no room left for anything.
    pub(crate) fn is_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Io { error, .. } if matches!(error.kind(), StorageFull | QuotaExceeded))
    }
}

impl Store {
    /// Opens the store in a directory, which is made if it isn't there. What dead processes left unfinished is removed.
    ///
    /// # Errors
    /// The directory can't be made or read.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let directory = directory.join(VERSION.to_string());
        fs::create_dir_all(&directory).map_err(StoreError::io("made", &directory))?;
        clean::clean(&directory)?;
        Ok(Self { directory })
    }

    /// Where a user's store is unless they say otherwise: `$XDG_CACHE_HOME/plinth/analyze`, or `~/.cache/plinth/analyze`.
    /// Nothing if neither variable is set to an absolute path.
    #[must_use]
    pub fn default_place() -> Option<PathBuf> {
        let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))?;
        Some(cache.join("plinth").join("analyze"))
    }

    /// What is known of a layer, its entries aside. Reads only that part of the file, and checks it.
    ///
    /// # Errors
    /// The file is there and can't be read.
    pub fn content(&self, digest: &Digest) -> Result<Option<Content>, StoreError> {
        let path = self.path(digest);
        match open(&path)? {
            Some(file) => file::content(file, digest).map_err(StoreError::io("read", &path)),
            None => Ok(None),
        }
    }

    /// The entries of a layer, in the order of its archive. The whole file is checked before, so they are all right.
    ///
    /// # Errors
    /// The file is there and can't be read.
    pub fn entries(&self, digest: &Digest) -> Result<Option<Entries>, StoreError> {
        let path = self.path(digest);
        match open(&path)? {
            Some(file) => Entries::open(file, digest, path),
            None => Ok(None),
        }
    }

    /// Whether everything is known of a layer; checks the whole file.
    ///
    /// # Errors
    /// The file is there and can't be read.
    pub fn has(&self, digest: &Digest) -> Result<bool, StoreError> {
        let path = self.path(digest);
        match open(&path)? {
            Some(mut file) => file::whole(&mut file, digest)
                .map(|whole| whole.is_some())
                .map_err(StoreError::io("read", &path)),
            None => Ok(false),
        }
    }

    /// Begins to write what is known of a layer. Nobody sees it before [`Writer::finish`].
    ///
    /// # Errors
    /// No file can be made.
    pub fn writer(&self, digest: &Digest) -> Result<Writer, StoreError> {
        Writer::new(&self.directory, self.path(digest), digest)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(digest.hex())
    }
}

fn open(path: &Path) -> Result<Option<File>, StoreError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("opened", path)(error)),
    }
}
