//! Looking into a root file system from outside: symlinks are resolved within it, as `chroot` would.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// A directory that is the root of something that is not running.
#[derive(Clone, Debug)]
pub struct RootFs<'a> {
    root: &'a Path,
}

/// As many as the kernel follows.
const MAX_LINKS: usize = 40;

impl<'a> RootFs<'a> {
    /// The root file system at `root`.
    pub fn new(root: &'a Path) -> Self {
        Self { root }
    }

    /// The absolute path inside the root that `path` leads to, with every symlink resolved. `None` if there
    /// is nothing, or if links lead in a circle. `..` at the root stays at the root.
    pub fn physical(&self, path: &Path) -> Option<PathBuf> {
        let mut todo: Vec<OsString> = parts(path);
        let mut done = PathBuf::from("/");
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part == ".." {
                done.pop();
                continue;
            }
            let next = done.join(&part);
            let meta = fs::symlink_metadata(self.outside(&next)).ok()?;
            if !meta.file_type().is_symlink() {
                // A file with something below it ends here, in the next round.
                done = next;
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return None;
            }
            let target = fs::read_link(self.outside(&next)).ok()?;
            if target.is_absolute() {
                done = PathBuf::from("/");
            }
            todo.extend(parts(&target));
        }
        Some(done)
    }

    /// Where a physical path is for this process.
    pub(super) fn outside(&self, physical: &Path) -> PathBuf {
        self.root.join(physical.strip_prefix("/").unwrap_or(physical))
    }

    /// Metadata of what `path` leads to.
    pub fn metadata(&self, path: &Path) -> Option<fs::Metadata> {
        fs::symlink_metadata(self.outside(&self.physical(path)?)).ok()
    }

    /// Opens the regular file that `path` leads to.
    ///
    /// # Errors
    /// There is none, or it can't be opened.
    pub fn open(&self, path: &Path) -> io::Result<File> {
        let physical = self.physical(path).ok_or(io::ErrorKind::NotFound)?;
        let outside = self.outside(&physical);
        if !fs::symlink_metadata(&outside)?.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        File::open(outside)
    }

    /// The first `limit` bytes of a file, or `None` if there is no such file.
    pub fn read(&self, path: &Path, limit: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(path).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Sorted names in the directory that `path` leads to; empty if there is none.
    pub fn names(&self, path: &Path) -> Vec<OsString> {
        let Some(physical) = self.physical(path) else { return Vec::new() };
        let Ok(entries) = fs::read_dir(self.outside(&physical)) else { return Vec::new() };
        let mut names: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
        names.sort();
        names
    }

    /// Whether `path` leads to a directory, its last part being no link.
    pub fn is_directory_itself(&self, path: &Path) -> bool {
        let Some((parent, name)) = path.parent().zip(path.file_name()) else { return false };
        let Some(parent) = self.physical(parent) else { return false };
        fs::symlink_metadata(self.outside(&parent).join(name)).is_ok_and(|meta| meta.is_dir())
    }

    /// Whether `path` leads to a file that somebody may execute.
    pub fn is_program(&self, path: &Path) -> bool {
        use std::os::unix::fs::PermissionsExt as _;
        self.metadata(path).is_some_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    }
}

/// The parts of a path, last first.
fn parts(path: &Path) -> Vec<OsString> {
    path.components()
        .rev()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_resolved_inside_and_never_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("usr/bin")).unwrap();
        fs::write(dir.path().join("secret"), "outside").unwrap();
        fs::write(root.join("usr/bin/sh"), "inside").unwrap();
        symlink("usr/bin", root.join("bin")).unwrap();
        symlink("../../../../../../secret", root.join("usr/up")).unwrap();
        symlink(dir.path().join("secret"), root.join("usr/abs")).unwrap();
        symlink("/bin/../bin/sh", root.join("usr/around")).unwrap();
        symlink("two", root.join("one")).unwrap();
        symlink("one", root.join("two")).unwrap();
        let fs = RootFs::new(&root);
        assert_eq!(fs.physical(Path::new("/bin/sh")), Some("/usr/bin/sh".into()));
        assert_eq!(fs.physical(Path::new("/usr/around")), Some("/usr/bin/sh".into()));
        assert_eq!(fs.read(Path::new("/bin/sh"), 3), Some(b"ins".to_vec()));
        for path in ["/usr/up", "/usr/abs", "/one", "/none", "/usr/bin/sh/x", "/../../secret"] {
            assert_eq!(fs.read(Path::new(path), 9), None, "{path}");
        }
        assert_eq!(fs.read(Path::new("/usr"), 9), None);
    }
}
