//! The state before a step, as seen below a root directory, minus what the step removes first.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::fs::{Attributes, Context, IoError, inside};

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Nothing.
    Absent,
    /// A directory.
    Directory(Attributes),
    /// A regular file.
    File,
    /// A symbolic link; `dangling` if it leads nowhere.
    Link {
        /// Whether following it fails.
        dangling: bool,
    },
    /// A device, socket or pipe.
    Other,
}

/// A view of the state before a step, which nothing changes while it is looked at.
#[derive(Debug)]
pub struct State {
    root: PathBuf,
    removed: BTreeSet<String>,
    /// Directories that were looked at: an install has ten times as many files, and most go into new ones.
    directories: RefCell<HashMap<String, Node>>,
}

impl State {
    /// The state below `root`, as it is.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), removed: BTreeSet::new(), directories: RefCell::default() }
    }

    /// Leaves paths out from now on (a directory with everything below it).
    pub fn remove(&mut self, paths: impl IntoIterator<Item = String>) {
        self.removed.extend(paths);
        self.directories.get_mut().clear();
    }

    /// Where an absolute path of the state is in the file system.
    #[must_use]
    pub fn real(&self, path: &str) -> PathBuf {
        inside(&self.root, path)
    }

    fn is_removed(&self, path: &str) -> bool {
        self.removed.contains(path) || crate::wheel::name::ancestors(path).any(|a| self.removed.contains(a))
    }

    /// What is at an absolute path, without following a link there.
    ///
    /// # Errors
    /// The operating system's.
    pub fn node(&self, path: &str) -> Result<Node, IoError> {
        // What is not there holds nothing.
        match path.rsplit_once('/') {
            Some((parent, _)) if !parent.is_empty() && self.directory(parent)? == Node::Absent => {
                Ok(Node::Absent)
            }
            _ => self.look_at(path),
        }
    }

    /// As [`State::node`], remembered: for what others are in.
    fn directory(&self, path: &str) -> Result<Node, IoError> {
        if let Some(known) = self.directories.borrow().get(path) {
            return Ok(known.clone());
        }
        let node = self.look_at(path)?;
        self.directories.borrow_mut().insert(path.to_owned(), node.clone());
        Ok(node)
    }

    fn look_at(&self, path: &str) -> Result<Node, IoError> {
        if self.is_removed(path) {
            return Ok(Node::Absent);
        }
        let real = self.real(path);
        let meta = match fs::symlink_metadata(&real) {
            Ok(meta) => meta,
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(Node::Absent);
            }
            Err(e) => return Err(e).context("look at", &real),
        };
        Ok(if meta.is_dir() {
            Node::Directory(Attributes::of(&meta))
        } else if meta.is_file() {
            Node::File
        } else if meta.is_symlink() {
            // Followed outside of the view; good enough, since any doubt about it refuses.
            Node::Link { dangling: !real.exists() }
        } else {
            Node::Other
        })
    }

    /// The existing directories on the way to `path`, nearest first, excluding the root. Stops at what is
    /// missing; gives the path of a component that is not a directory as the error.
    ///
    /// # Errors
    /// Outer: the operating system's. Inner: the component on the way that is a link or a file.
    pub fn ancestors(&self, path: &str) -> Result<Result<BTreeMap<String, Attributes>, String>, IoError> {
        let mut out = BTreeMap::new();
        for ancestor in crate::wheel::name::ancestors(path) {
            match self.directory(ancestor)? {
                Node::Absent => {}
                Node::Directory(attributes) => {
                    out.insert(ancestor.to_owned(), attributes);
                }
                Node::File | Node::Link { .. } | Node::Other => return Ok(Err(ancestor.to_owned())),
            }
        }
        Ok(Ok(out))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_removed_is_forgotten() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("lib/old")).unwrap();
        fs::write(root.path().join("lib/old/file"), "").unwrap();
        fs::write(root.path().join("lib/file"), "").unwrap();
        let mut state = State::new(root.path());
        assert_eq!(state.node("/lib/old/file").unwrap(), Node::File);
        assert_eq!(state.node("/lib/new/file").unwrap(), Node::Absent);
        assert_eq!(state.node("/lib/file/below/it").unwrap(), Node::Absent);
        assert_eq!(state.ancestors("/lib/old/x").unwrap().unwrap().len(), 2);
        assert_eq!(state.ancestors("/lib/file/x").unwrap().unwrap_err(), "/lib/file");
        state.remove(["/lib/old".to_owned()]);
        assert_eq!(state.node("/lib/old/file").unwrap(), Node::Absent);
        assert_eq!(state.node("/lib/file").unwrap(), Node::File);
        assert_eq!(state.ancestors("/lib/old/x").unwrap().unwrap().len(), 1);
    }
}
