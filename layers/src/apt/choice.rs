//! The files that decide which version apt chooses, beside the archive: its configuration, sources, preferences and
//! keys, the architectures, and the programs themselves.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

use crate::facts::RootFs;
use crate::tree::sha256_of;

/// Directories of which every file counts. `inventory.sh` lists the same.
const DIRECTORIES: &[&str] = &["/etc/apt", "/usr/lib/apt/apt.conf.d", "/usr/share/apt"];
/// Files that count.
const FILES: &[&str] = &["/usr/bin/apt", "/usr/bin/apt-get", "/usr/bin/dpkg", "/var/lib/dpkg/arch"];
/// Directories within directories, at most.
const DEPTH: usize = 16;

/// A file that isn't as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is new.
    New(String),
    /// It is gone.
    Gone(String),
    /// Its content is another one.
    Content(String),
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New(path) => write!(f, "{path} wasn't there when the master's inventory was made"),
            Self::Gone(path) => write!(f, "{path} is gone since the master's inventory was made"),
            Self::Content(path) => write!(f, "{path} has changed since the master's inventory was made"),
        }
    }
}

/// Compares the files of a root file system with those of an inventory, `sha256:…` by path. Gives the first that isn't
/// the same.
///
/// # Errors
/// If one can't be read.
pub fn compare(root: &RootFs<'_>, wanted: &BTreeMap<String, String>) -> io::Result<Option<Changed>> {
    let mut there = BTreeMap::new();
    for directory in DIRECTORIES {
        walk(root, directory, DEPTH, &mut there)?;
    }
    for file in FILES {
        if root.physical(Path::new(file)).is_some() {
            there.insert((*file).to_owned(), digest(root, file)?);
        }
    }
    let changed = there.iter().find_map(|(path, digest)| match wanted.get(path) {
        None => Some(Changed::New(path.clone())),
        Some(before) if before != digest => Some(Changed::Content(path.clone())),
        Some(_) => None,
    });
    let gone = || wanted.keys().find(|path| !there.contains_key(*path)).cloned().map(Changed::Gone);
    Ok(changed.or_else(gone))
}

fn walk(
    root: &RootFs<'_>,
    directory: &str,
    depth: usize,
    found: &mut BTreeMap<String, String>,
) -> io::Result<()> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(io::Error::other(format!("{directory} is too deep")));
    };
    for name in root.names(Path::new(directory)) {
        let name = name.into_string().map_err(|_| io::Error::other(format!("a name in {directory}")))?;
        let path = format!("{directory}/{name}");
        // A link to a directory is read as a file, which fails: the inventory has no such thing.
        if root.is_directory_itself(Path::new(&path)) {
            walk(root, &path, depth, found)?;
        } else {
            found.insert(path.clone(), digest(root, &path)?);
        }
    }
    Ok(())
}

fn digest(root: &RootFs<'_>, path: &str) -> io::Result<String> {
    let file = root.open(Path::new(path)).map_err(|error| io::Error::new(error.kind(), path.to_owned()))?;
    Ok(format!("sha256:{}", sha256_of(file)?))
}
