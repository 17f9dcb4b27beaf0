//! What is copied.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::tree::fs::{self as tree_fs, Attributes, Context as _, IoError, has_xattrs};

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
    /// To this.
    Link(PathBuf),
}

/// An entry of the directory.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) attributes: Attributes,
    pub(super) inode: Inode,
}

/// What hard links have in common: device and number.
pub(super) type Inode = (u64, u64);

/// A directory with everything in it.
#[derive(Debug)]
pub(super) struct Tree {
    /// Where it goes: an absolute path.
    pub(super) path: String,
    /// By absolute path, the directory itself among them.
    pub(super) entries: BTreeMap<String, Entry>,
}

impl Tree {
    /// Reads the directory `from`, which goes to `path`. The inner error says why it can't be copied entry by entry.
    pub(super) fn read(from: &Path, path: &str) -> Result<Result<Self, String>, IoError> {
        let mut tree = Self { path: path.to_owned(), entries: BTreeMap::new() };
        let read = tree.add(from, path)?;
        Ok(match read {
            Ok(()) if tree.entries.get(path).is_some_and(|entry| entry.kind == Kind::Directory) => Ok(tree),
            Ok(()) => Err(format!("{path} is no directory")),
            Err(reason) => Err(reason),
        })
    }

    /// How many entries of the directory are one file.
    pub(super) fn names(&self) -> HashMap<Inode, usize> {
        let mut names = HashMap::new();
        for entry in self.entries.values().filter(|entry| entry.kind == Kind::File) {
            *names.entry(entry.inode).or_default() += 1;
        }
        names
    }

    /// Where an entry is in the directory that was read.
    pub(super) fn real(&self, from: &Path, path: &str) -> PathBuf {
        from.join(path.strip_prefix(&self.path).unwrap_or_default().trim_start_matches('/'))
    }

    fn add(&mut self, real: &Path, path: &str) -> Result<Result<(), String>, IoError> {
        let meta = fs::symlink_metadata(real).context("look at", real)?;
        let kind = if meta.is_dir() {
            Kind::Directory
        } else if meta.is_file() {
            Kind::File
        } else if meta.is_symlink() {
            Kind::Link(fs::read_link(real).context("read the link", real)?)
        } else {
            return Ok(Err(format!("{path} is a special file")));
        };
        if has_xattrs(real)? {
            return Ok(Err(format!("{path} has extended attributes")));
        }
        let descend = kind == Kind::Directory;
        self.entries.insert(
            path.to_owned(),
            Entry { kind, attributes: Attributes::of(&meta), inode: (meta.dev(), meta.ino()) },
        );
        if descend {
            for (name, _) in tree_fs::list(real)? {
                let Some(text) = name.to_str() else {
                    return Ok(Err(format!("{path} has a name in it that is not UTF-8")));
                };
                if let Err(reason) = self.add(&real.join(&name), &format!("{path}/{text}"))? {
                    return Ok(Err(reason));
                }
            }
        }
        Ok(Ok(()))
    }
}
