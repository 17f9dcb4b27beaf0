//! What a step changed: the state before it against the state after it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::tree::fs::{self as tree_fs, Context as _, IoError, has_xattrs};
use crate::tree::sha256;

/// Paths are relative to the root.
#[derive(Debug, Default)]
pub(super) struct Diff {
    /// What is new or another than before; a directory comes before what is in it.
    pub(super) changed: BTreeMap<PathBuf, Change>,
    /// What is no more. Of a directory only itself.
    pub(super) deleted: Vec<PathBuf>,
    /// The root itself has another mode or owner.
    changes_root: bool,
}

/// A path that the step made or changed.
#[derive(Debug)]
pub(super) struct Change {
    /// As it is now.
    pub(super) now: Metadata,
    /// As it was, if it was.
    pub(super) before: Option<Metadata>,
}

/// What a container has mounted for itself, and what layers can't hold.
const MOUNTED: &[&str] = &[".plinth", "dev", "etc/hosts", "etc/resolv.conf", "proc", "sys"];

/// Holes in files up to this many bytes don't matter.
const SPARSE: u64 = 1 << 28;

impl Diff {
    /// Compares two trees.
    ///
    /// # Errors
    /// The operating system's.
    pub(super) fn between(before: &Path, after: &Path) -> Result<Self, IoError> {
        let root = |path: &Path| {
            let meta = fs::symlink_metadata(path).context("look at", path)?;
            Ok((meta.mode(), meta.uid(), meta.gid(), has_xattrs(path)?))
        };
        let mut diff = Self { changes_root: root(before)? != root(after)?, ..Self::default() };
        diff.walk(Some(before), after, Path::new(""))?;
        Ok(diff)
    }

    /// Why what changed can't be put into layers one by one, if so.
    pub(super) fn objection(&self, before: &Path, after: &Path) -> Result<Option<String>, IoError> {
        if self.changes_root {
            return Ok(Some("it changes / itself".to_owned()));
        }
        let mut links: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        for (path, change) in &self.changed {
            let shown = path.display();
            let kind = change.now.file_type();
            if !kind.is_file() && !kind.is_dir() && !kind.is_symlink() {
                return Ok(Some(format!("it makes /{shown}, a special file")));
            }
            if has_xattrs(&after.join(path))? || (change.before.is_some() && has_xattrs(&before.join(path))?)
            {
                return Ok(Some(format!("/{shown} has, or had, extended attributes")));
            }
            // Its holes would be written out.
            if change.now.size() > SPARSE && change.now.blocks() * 512 < change.now.size() / 2 {
                return Ok(Some(format!("/{shown} is a sparse file of {} bytes", change.now.size())));
            }
            // In a layer of its own it would mean that the file is to be deleted.
            if path.file_name().is_some_and(|name| name.as_bytes().starts_with(b".wh.")) {
                return Ok(Some(format!("/{shown} has a name by which layers mark deletions")));
            }
            if !kind.is_dir() && change.now.nlink() > 1 {
                *links.entry((change.now.dev(), change.now.ino())).or_insert(change.now.nlink()) -= 1;
            }
        }
        if links.values().any(|missing| *missing > 0) {
            return Ok(Some("it links to a file that was there before".to_owned()));
        }
        let touched = self.changed.keys().chain(&self.deleted);
        let mut mounted = touched.filter(|path| MOUNTED.iter().any(|mounted| path.starts_with(mounted)));
        Ok(mounted
            .next()
            .map(|path| format!("it changes /{}, where a container has a mount", path.display())))
    }

    fn walk(&mut self, before: Option<&Path>, after: &Path, at: &Path) -> Result<(), IoError> {
        let now: BTreeMap<OsString, _> = tree_fs::list(&after.join(at))?.into_iter().collect();
        let old = match before {
            Some(before) => tree_fs::list(&before.join(at))?.into_iter().map(|(name, _)| name).collect(),
            None => BTreeSet::new(),
        };
        self.deleted.extend(old.iter().filter(|name| !now.contains_key(*name)).map(|name| at.join(name)));
        for name in now.into_keys() {
            let path = at.join(&name);
            let real = after.join(&path);
            let meta = fs::symlink_metadata(&real).context("look at", &real)?;
            let was = match before.filter(|_| old.contains(&name)) {
                Some(before) => {
                    let real = before.join(&path);
                    Some((fs::symlink_metadata(&real).context("look at", &real)?, real))
                }
                None => None,
            };
            let below = meta.is_dir();
            let continues = was.as_ref().is_some_and(|(was, _)| was.is_dir());
            let same = match &was {
                Some((was, real_before)) => is_same(was, real_before, &meta, &real)?,
                None => false,
            };
            if !same {
                let before = was.map(|(was, _)| was);
                self.changed.insert(path.clone(), Change { now: meta, before });
            }
            if below {
                self.walk(before.filter(|_| continues), after, &path)?;
            }
        }
        Ok(())
    }
}

/// Whether a path is what it was. Two mounts of one file show the same number and the same times; of other files the
/// content is read.
fn is_same(was: &Metadata, before: &Path, now: &Metadata, after: &Path) -> Result<bool, IoError> {
    let attributes =
        |meta: &Metadata| (meta.mode(), meta.uid(), meta.gid(), meta.mtime(), meta.mtime_nsec(), meta.rdev());
    if attributes(was) != attributes(now) {
        return Ok(false);
    }
    let identity = |meta: &Metadata| (meta.ino(), meta.size(), meta.ctime(), meta.ctime_nsec());
    if identity(was) == identity(now) {
        return Ok(true);
    }
    // What they hold may differ, and nothing else tells.
    if has_xattrs(before)? || has_xattrs(after)? {
        return Ok(false);
    }
    if was.is_dir() {
        return Ok(true);
    }
    if was.size() != now.size() {
        return Ok(false);
    }
    if was.is_symlink() {
        let target = |path: &Path| fs::read_link(path).context("read the link", path);
        return Ok(target(before)? == target(after)?);
    }
    if !was.is_file() {
        return Ok(true);
    }
    Ok(sha256(before)? == sha256(after)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs::File;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn shown(diff: &Diff) -> (Vec<String>, Vec<String>) {
        let text = |path: &PathBuf| path.to_str().unwrap().to_owned();
        (diff.changed.keys().map(text).collect(), diff.deleted.iter().map(text).collect())
    }

    fn copy(from: &Path, to: &Path) {
        let done = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
        assert!(done.success());
    }

    #[test]
    fn says_what_is_new_what_changed_and_what_is_gone() {
        let temp = tempfile::tempdir().unwrap();
        let (before, after) = (temp.path().join("before"), temp.path().join("after"));
        fs::create_dir_all(before.join("keep/deep")).unwrap();
        for name in ["keep/a", "keep/deep/b", "content", "mode", "gone", "kind"] {
            fs::write(before.join(name), name).unwrap();
        }
        fs::create_dir(before.join("old")).unwrap();
        fs::write(before.join("old/x"), "x").unwrap();
        symlink("a", before.join("link")).unwrap();
        copy(&before, &after);
        let diff = Diff::between(&before, &after).unwrap();
        assert_eq!(shown(&diff), (vec![], vec![]), "a copy is the same, though no file is");

        let time = fs::metadata(after.join("content")).unwrap().modified().unwrap();
        fs::write(after.join("content"), "tnetnoc").unwrap();
        File::open(after.join("content")).unwrap().set_modified(time).unwrap();
        fs::set_permissions(after.join("mode"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::remove_file(after.join("gone")).unwrap();
        fs::remove_dir_all(after.join("old")).unwrap();
        fs::remove_file(after.join("kind")).unwrap();
        fs::create_dir(after.join("kind")).unwrap();
        fs::write(after.join("kind/y"), "y").unwrap();
        let diff = Diff::between(&before, &after).unwrap();
        let (changed, deleted) = shown(&diff);
        assert_eq!(changed, ["content", "kind", "kind/y", "mode"]);
        assert_eq!(deleted, ["gone", "old"]);
        assert!(diff.changed[Path::new("kind/y")].before.is_none());
        assert_eq!(diff.objection(&before, &after).unwrap(), None);
    }

    #[test]
    fn some_changes_are_no_layer() {
        let temp = tempfile::tempdir().unwrap();
        let (before, after) = (temp.path().join("before"), temp.path().join("after"));
        fs::create_dir_all(before.join("etc")).unwrap();
        fs::write(before.join("old"), "x").unwrap();
        copy(&before, &after);
        let reason = || Diff::between(&before, &after).unwrap().objection(&before, &after).unwrap();
        fs::write(after.join("one"), "x").unwrap();
        fs::hard_link(after.join("one"), after.join("two")).unwrap();
        assert_eq!(reason(), None);
        fs::write(after.join("etc/hosts"), "x").unwrap();
        assert_eq!(reason().unwrap(), "it changes /etc/hosts, where a container has a mount");
        fs::remove_file(after.join("etc/hosts")).unwrap();
        fs::hard_link(after.join("two"), temp.path().join("elsewhere")).unwrap();
        assert_eq!(reason().unwrap(), "it links to a file that was there before");
        fs::remove_file(temp.path().join("elsewhere")).unwrap();
        fs::write(after.join("etc/.wh.old"), "").unwrap();
        assert_eq!(reason().unwrap(), "/etc/.wh.old has a name by which layers mark deletions");
        fs::remove_file(after.join("etc/.wh.old")).unwrap();
        File::create(after.join("log")).unwrap().set_len(SPARSE + 1).unwrap();
        assert_eq!(reason().unwrap(), "/log is a sparse file of 268435457 bytes");
        fs::remove_file(after.join("log")).unwrap();
        fs::set_permissions(&after, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(reason().unwrap(), "it changes / itself");
        fs::set_permissions(&after, fs::metadata(&before).unwrap().permissions()).unwrap();
        let fifo = std::process::Command::new("mkfifo").arg(after.join("pipe")).status().unwrap();
        assert!(fifo.success());
        assert_eq!(reason().unwrap(), "it makes /pipe, a special file");
    }
}
