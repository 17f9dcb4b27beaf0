//! What a step left beside the layers that were cut out of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::diff::Diff;
use super::{Error, Places};
use crate::tree::fs::{self as tree_fs, Attributes, Context as _, IoError};
use crate::wheel::PayloadMeta;

/// Makes `root`, the state before with the layers on it, what the state after is, but for the times of the layers' files.
/// Whatever the layers have is read again: only what is the same stays.
pub(super) fn rest(diff: &Diff, metas: &[PayloadMeta], places: Places<'_>, root: &Path) -> Result<(), Error> {
    let mut work = Work { after: places.after, root, touched: BTreeSet::new(), links: BTreeMap::new() };
    let mut kept = BTreeSet::new();
    let mut layered = BTreeSet::new();
    for meta in metas {
        for entry in &meta.entries {
            let paths = [Some(&entry.path), entry.pyc.as_ref().map(|pyc| &pyc.path)];
            let paths = paths.into_iter().flatten().map(|path| PathBuf::from(&path[1..]));
            layered.extend(paths.clone());
            if work.is_there(entry)? {
                kept.extend(paths);
            }
        }
        let directories = meta.directories.iter().map(|path| PathBuf::from(&path[1..]));
        layered.extend(directories);
    }
    for path in diff.deleted.iter().rev() {
        work.remove(path)?;
    }
    // What a layer brings and the state after doesn't have, or has as something else.
    for path in layered.iter().rev().filter(|path| !kept.contains(*path) && !diff.changed.contains_key(*path))
    {
        let there = look(&places.after.join(path))?;
        match there {
            Some(meta) if meta.is_dir() => {}
            Some(meta) => work.put(path, &meta)?,
            None => work.remove(path)?,
        }
    }
    for (path, change) in &diff.changed {
        if !kept.contains(path) {
            work.put(path, &change.now)?;
        }
    }
    let above = layered.iter().flat_map(|path| path.ancestors().skip(1).map(Path::to_owned));
    let mut directories: BTreeSet<PathBuf> = above.collect();
    directories.extend(layered.iter().cloned());
    directories.extend(diff.changed.keys().cloned());
    directories.extend(work.touched.iter().cloned());
    for path in directories.iter().rev().filter(|path| !path.as_os_str().is_empty()) {
        let new = diff.changed.get(path).is_some_and(|change| change.before.is_none());
        work.settle(path, new)?;
    }
    Ok(())
}

struct Work<'a> {
    after: &'a Path,
    root: &'a Path,
    /// Directories in which something was made or removed.
    touched: BTreeSet<PathBuf>,
    /// The first name of each file that has several.
    links: BTreeMap<(u64, u64), PathBuf>,
}

impl Work<'_> {
    /// Whether a file of a layer, with its byte code, is what the state after has.
    fn is_there(&self, entry: &crate::wheel::Entry) -> Result<bool, IoError> {
        let source = Path::new(&entry.path[1..]);
        if !self.is_alike(source)? || crate::tree::sha256(&self.after.join(source))? != entry.sha256 {
            return Ok(false);
        }
        // Whose code is the same: that was looked at when the layer was cut.
        match &entry.pyc {
            Some(pyc) => self.is_alike(Path::new(&pyc.path[1..])),
            None => Ok(true),
        }
    }

    /// A file on both sides, with one mode and one owner.
    fn is_alike(&self, path: &Path) -> Result<bool, IoError> {
        let sides = (look(&self.root.join(path))?, look(&self.after.join(path))?);
        let (Some(here), Some(there)) = sides else { return Ok(false) };
        let attributes = |meta: &Metadata| (meta.mode(), meta.uid(), meta.gid());
        // Of a file that is part of a merge there may be other names elsewhere.
        Ok(here.is_file() && attributes(&here) == attributes(&there) && there.nlink() == 1)
    }

    fn remove(&mut self, path: &Path) -> Result<(), IoError> {
        let target = self.root.join(path);
        let Some(meta) = look(&target)? else { return Ok(()) };
        let gone = if meta.is_dir() { fs::remove_dir_all(&target) } else { fs::remove_file(&target) };
        gone.context("remove", &target)?;
        self.touch(path);
        Ok(())
    }

    /// Makes a path what it is after; a directory without what is in it.
    fn put(&mut self, path: &Path, meta: &Metadata) -> Result<(), Error> {
        let (source, target) = (self.after.join(path), self.root.join(path));
        if meta.is_dir() {
            if !look(&target)?.is_some_and(|meta| meta.is_dir()) {
                self.remove(path)?;
                fs::create_dir(&target).context("create the directory", &target)?;
                self.touch(path);
                // Whose time is set in the end.
                self.touched.insert(path.to_owned());
            }
            return Ok(());
        }
        self.remove(path)?;
        self.touch(path);
        if meta.nlink() > 1 {
            let inode = (meta.dev(), meta.ino());
            if let Some(first) = self.links.get(&inode) {
                return Ok(fs::hard_link(first, &target).context("create the hard link", &target)?);
            }
            self.links.insert(inode, target.clone());
        }
        if meta.is_symlink() {
            let to = fs::read_link(&source).context("read the link", &source)?;
            return Ok(tree_fs::link(&to, &target, exact(meta))?);
        }
        Ok(tree_fs::copy(&source, &target, exact(meta))?)
    }

    fn touch(&mut self, path: &Path) {
        self.touched.extend(path.parent().map(Path::to_owned));
    }

    /// Gives a directory what it has after. The time of a new one that nothing was put into is the layer's.
    fn settle(&self, path: &Path, new: bool) -> Result<(), IoError> {
        let target = self.root.join(path);
        let (Some(here), Some(there)) = (look(&target)?, look(&self.after.join(path))?) else {
            return Ok(());
        };
        if !here.is_dir() || !there.is_dir() {
            return Ok(());
        }
        let owner = |meta: &Metadata| (meta.mode(), meta.uid(), meta.gid());
        let stays_new = new && !self.touched.contains(path) && owner(&here) == owner(&there);
        if stays_new || (owner(&here) == owner(&there) && exact(&here) == exact(&there)) {
            return Ok(());
        }
        tree_fs::set(&target, exact(&there))
    }
}

/// Attributes with the time to the nanosecond.
fn exact(meta: &Metadata) -> Attributes {
    Attributes { mtime: meta.modified().unwrap_or(UNIX_EPOCH), ..Attributes::of(meta) }
}

fn look(path: &Path) -> Result<Option<Metadata>, IoError> {
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok(Some(meta)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error).context("look at", path),
    }
}
