//! Files below a directory, or in a tar.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use super::tar_index::TarIndex;
use crate::source::error::{Error, quoted};
use crate::source::manifest::LARGEST;

pub(crate) enum Tree {
    Directory(PathBuf),
    Archive(TarIndex),
}

impl Tree {
    /// Where a file lies below a directory. Names come from manifests, which anybody may have written.
    fn below(root: &Path, name: &str) -> io::Result<PathBuf> {
        if Path::new(name).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Ok(root.join(name));
        }
        Err(io::Error::other("its path leads out of the directory"))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        match self {
            Self::Directory(root) => root.join(name).is_file(),
            Self::Archive(index) => index.find(name).is_ok(),
        }
    }

    /// Bytes of a file. `name` is relative, without `..`.
    pub(crate) fn size(&self, name: &str) -> io::Result<u64> {
        match self {
            Self::Directory(root) => {
                let meta = Self::below(root, name)?.metadata()?;
                if !meta.is_file() {
                    return Err(io::Error::other("it is no file"));
                }
                Ok(meta.len())
            }
            Self::Archive(index) => index.find(name).map(|part| part.size),
        }
    }

    /// A file's bytes from this place on.
    pub(crate) fn open(&self, name: &str, from: u64) -> io::Result<io::Take<File>> {
        let size = self.size(name)?;
        let (mut file, start) = match self {
            Self::Directory(root) => (File::open(Self::below(root, name)?)?, 0),
            Self::Archive(index) => (File::open(&index.path)?, index.find(name)?.offset),
        };
        file.seek(SeekFrom::Start(start + from))?;
        Ok(file.take(size.saturating_sub(from)))
    }

    /// A small file, whole.
    pub(crate) fn small(&self, name: &str) -> Result<Vec<u8>, Error> {
        // The name may come from a manifest.
        let shown = quoted(name);
        let failed = |cause: io::Error| Error::new(format!("cannot read {shown}: {cause}"));
        if self.size(name).map_err(failed)? > LARGEST {
            return Err(Error::new(format!("{shown} is too large: 16 MiB at most")));
        }
        let mut bytes = Vec::new();
        self.open(name, 0).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(failed)?;
        Ok(bytes)
    }
}
