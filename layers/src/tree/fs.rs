//! Writing trees whose every attribute is decided here and not by umask, clock or order.

use std::fs::{self, File, FileTimes, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use super::MTIME;

/// A file system operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}: {source}")]
pub struct IoError {
    /// What was tried.
    pub action: &'static str,
    /// On which path.
    pub path: PathBuf,
    /// Cause.
    pub source: io::Error,
}

/// Adds the action and the path to an I/O error.
pub(crate) trait Context<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, IoError>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, IoError> {
        self.map_err(|source| IoError { action, path: path.to_owned(), source })
    }
}

/// [`MTIME`] as a time.
#[must_use]
pub fn mtime() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(MTIME)
}

/// The time of a file in a payload layer, by its SHA-256 (hexadecimal): in the 8 years from [`MTIME`] on.
///
/// Byte code names time and size of its source. It can be anywhere (`PYTHONPYCACHEPREFIX`, a link to the source), and
/// outlive the source: with one time for all, that of an old version would be taken for a new one of the same size.
///
/// An exporter that rewrites times to a `SOURCE_DATE_EPOCH` before 1989 makes byte code stale, as it does that of pip.
#[must_use]
pub fn time_of(sha256: &str) -> SystemTime {
    const RANGE: u64 = (1 << 28) - 1;
    let start = sha256.get(..8).and_then(|start| u64::from_str_radix(start, 16).ok()).unwrap_or_default();
    mtime() + Duration::from_secs(start & RANGE)
}

/// Mode, owner and time of a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits, set-id bits and the sticky bit.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time.
    pub mtime: SystemTime,
}

impl Attributes {
    /// Of everything that an installer running as root makes: root's, at [`MTIME`].
    #[must_use]
    pub fn canonical(mode: u32) -> Self {
        Self { mode, uid: 0, gid: 0, mtime: mtime() }
    }

    /// Of a file in a payload layer that root installed.
    #[must_use]
    pub fn of_content(mode: u32, sha256: &str) -> Self {
        Self { mtime: time_of(sha256), ..Self::canonical(mode) }
    }

    /// Those of an existing file.
    #[must_use]
    pub fn of(meta: &fs::Metadata) -> Self {
        let distance = Duration::from_secs(meta.mtime().unsigned_abs());
        let mtime = if meta.mtime() < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance };
        Self { mode: meta.mode() & 0o7777, uid: meta.uid(), gid: meta.gid(), mtime }
    }
}

/// Sets attributes of a file or directory, the time last.
///
/// # Errors
/// The operating system's.
pub fn set(path: &Path, attributes: Attributes) -> Result<(), IoError> {
    settle(&File::open(path).context("open", path)?, path, attributes)
}

/// As [`set`], for the file at `path` that is open: for writing too, if nothing is written any more.
///
/// # Errors
/// The operating system's.
pub fn settle(file: &File, path: &Path, attributes: Attributes) -> Result<(), IoError> {
    let now = file.metadata().context("look at", path)?;
    if (now.uid(), now.gid()) != (attributes.uid, attributes.gid) {
        fchown(file, Some(attributes.uid), Some(attributes.gid)).context("change the owner of", path)?;
    }
    // After the owner: changing that clears set-id bits.
    file.set_permissions(Permissions::from_mode(attributes.mode)).context("change the mode of", path)?;
    file.set_times(FileTimes::new().set_accessed(attributes.mtime).set_modified(attributes.mtime))
        .context("set the time of", path)
}

/// Creates a file that must not exist, with its missing parent directories, and gives it open.
///
/// # Errors
/// The operating system's; a file that exists.
pub fn create(path: &Path) -> Result<File, IoError> {
    let create = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let created = match (create(), path.parent()) {
        // Only the first file of a directory makes it.
        (Err(e), Some(parent)) if e.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(parent).context("create the directory", parent)?;
            create()
        }
        (created, _) => created,
    };
    created.context("create", path)
}

/// Writes a whole file, see [`create`], with its attributes.
///
/// # Errors
/// As [`create`].
pub fn write(path: &Path, content: &[u8], attributes: Attributes) -> Result<(), IoError> {
    let mut file = create(path)?;
    file.write_all(content).context("write", path)?;
    settle(&file, path, attributes)
}

/// The directory's entries, sorted by name: for each its name and whether it is a directory.
///
/// # Errors
/// The operating system's.
pub fn list(directory: &Path) -> Result<Vec<(std::ffi::OsString, fs::FileType)>, IoError> {
    let mut out = Vec::new();
    for entry in fs::read_dir(directory).context("list", directory)? {
        let entry = entry.context("list", directory)?;
        out.push((entry.file_name(), entry.file_type().context("look at", &entry.path())?));
    }
    out.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(out)
}

/// Gives every directory below and including `root` mode 0755, root as owner, and [`MTIME`]; deepest first, since
/// filling a directory changes its time.
///
/// # Errors
/// The operating system's.
pub fn settle_directories(root: &Path) -> Result<(), IoError> {
    for (name, kind) in list(root)? {
        if kind.is_dir() {
            settle_directories(&root.join(name))?;
        }
    }
    set(root, Attributes::canonical(0o755))
}

/// Copies a file, see [`create`], and gives it attributes.
///
/// # Errors
/// As [`create`].
pub fn copy(source: &Path, target: &Path, attributes: Attributes) -> Result<(), IoError> {
    let mut input = File::open(source).context("open", source)?;
    let mut output = create(target)?;
    io::copy(&mut input, &mut output).context("copy", source)?;
    settle(&output, target, attributes)
}

/// Makes a symlink with these attributes; a link has no mode of its own.
///
/// # Errors
/// The operating system's.
pub(crate) fn link(to: &Path, target: &Path, attributes: Attributes) -> Result<(), IoError> {
    symlink(to, target).context("create the link", target)?;
    lchown(target, Some(attributes.uid), Some(attributes.gid)).context("change the owner of", target)?;
    let seconds = |distance: Duration| i64::try_from(distance.as_secs()).unwrap_or_default();
    let time = match attributes.mtime.duration_since(UNIX_EPOCH) {
        Ok(since) => Timespec { tv_sec: seconds(since), tv_nsec: since.subsec_nanos().into() },
        Err(before) => match (seconds(before.duration()), before.duration().subsec_nanos()) {
            (whole, 0) => Timespec { tv_sec: -whole, tv_nsec: 0 },
            (whole, nanos) => Timespec { tv_sec: -whole - 1, tv_nsec: (1_000_000_000 - nanos).into() },
        },
    };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, target, &times, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(io::Error::from)
        .context("set the time of", target)
}

/// Whether a file, directory or link has extended attributes; links are not followed. What an overlay file system notes
/// for itself is none of the image's.
pub(crate) fn has_xattrs(path: &Path) -> Result<bool, IoError> {
    // Room for what an overlay file system notes; asked for every file, so no more than that.
    let mut names = [0_u8; 1024];
    let length = match rustix::fs::llistxattr(path, &mut names[..]) {
        Ok(length) => length,
        // A file system that has none.
        Err(rustix::io::Errno::NOTSUP) => 0,
        Err(rustix::io::Errno::RANGE) => return Ok(true),
        Err(errno) => {
            return Err(io::Error::from(errno)).context("list the extended attributes of", path);
        }
    };
    let mut names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.any(|name| !name.starts_with(b"trusted.overlay.") && !name.starts_with(b"user.overlay.")))
}

/// Copies the files of the tree `from` into the tree `to`, keeping modes and times. A file that is there already
/// is left alone: the caller made sure that it is the same. Directories are created and not yet settled.
///
/// # Errors
/// The operating system's; anything but files and directories.
pub fn copy_tree(from: &Path, to: &Path) -> Result<(), IoError> {
    fs::create_dir_all(to).context("create the directory", to)?;
    for (name, kind) in list(from)? {
        let (source, target) = (from.join(&name), to.join(&name));
        if kind.is_dir() {
            copy_tree(&source, &target)?;
        } else if !kind.is_file() {
            return Err(IoError {
                action: "copy",
                path: source,
                source: io::Error::other("neither a file nor a directory"),
            });
        } else if !target.exists() {
            let meta = fs::symlink_metadata(&source).context("look at", &source)?;
            copy(&source, &target, Attributes::of(&meta))?;
        }
    }
    Ok(())
}

/// The place of the absolute path `path` in a tree rooted at `root`.
#[must_use]
pub fn inside(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}
