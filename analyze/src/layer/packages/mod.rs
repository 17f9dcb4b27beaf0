//! Packages, seen in passing: the few files that describe them are caught as they come by, in whatever order.
//!
//! Each is turned at once into names and numbers, so what is kept is eight bytes for each file that a package owns. Paths
//! are never looked for a second time: everything that depends on another file waits for the end of the layer.

mod debian;
mod npm;
mod python;

use super::{Entry, Kind, Limits, Package};

/// What is gathered of a layer's packages.
pub(super) struct Packages {
    python: python::Python,
    debian: debian::Debian,
    npm: npm::Npm,
    room: Room,
    file: u64,
    too_large: u64,
}

/// A file that says something about packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Python(python::File),
    Debian(debian::File),
    Npm,
}

/// What may still be kept.
struct Room {
    left: u64,
    all: u64,
    refused: bool,
}

impl Room {
    /// Whether there is room for that many bytes more.
    fn take(&mut self, bytes: usize) -> bool {
        match self.left.checked_sub(bytes as u64) {
            Some(left) => {
                self.left = left;
                true
            }
            None => {
                self.refused = true;
                false
            }
        }
    }
}

impl Packages {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            python: python::Python::default(),
            debian: debian::Debian::default(),
            npm: npm::Npm::default(),
            room: Room { left: limits.metadata_layer, all: limits.metadata_layer, refused: false },
            file: limits.metadata_file,
            too_large: 0,
        }
    }

    /// Whether the entry's content is wanted. To be asked once of every entry.
    pub(super) fn entry(&mut self, entry: &Entry) -> Option<Wanted> {
        if matches!(entry.kind, Kind::Whiteout | Kind::Opaque | Kind::Directory) {
            return None;
        }
        let python = self.python.entry(&entry.path, &mut self.room).map(Wanted::Python);
        let wanted = python
            .or_else(|| self.debian.entry(&entry.path, &mut self.room).map(Wanted::Debian))
            .or_else(|| npm::directory(&entry.path).map(|_| Wanted::Npm))
            // A link has no content of its own. Where it leads may be another layer.
            .filter(|_| entry.kind == Kind::File)?;
        if entry.size > self.file {
            self.too_large += 1;
            return None;
        }
        Some(wanted)
    }

    /// The content of one that was wanted.
    pub(super) fn content(&mut self, wanted: Wanted, path: &[u8], content: &[u8]) {
        match wanted {
            Wanted::Python(file) => self.python.content(file, path, content, &mut self.room),
            Wanted::Debian(file) => self.debian.content(file, path, content, &mut self.room),
            Wanted::Npm => self.npm.content(path, content, &mut self.room),
        }
    }

    /// What there is.
    pub(super) fn finish(self, notes: &mut Vec<String>) -> Vec<Package> {
        if self.too_large > 0 {
            notes.push(format!(
                "{} files that describe packages are larger than {} bytes, and passed over",
                self.too_large, self.file
            ));
        }
        if self.room.refused {
            notes.push(format!(
                "not all of its packages are known: no more than {} bytes are kept of them",
                self.room.all
            ));
        }
        let mut packages = self.python.finish();
        packages.extend(self.debian.finish(notes));
        packages.extend(self.npm.finish(notes));
        packages
    }
}

/// `NAME: VALUE` lines up to a blank one, as in METADATA and dpkg's status; lines that go on are left out.
fn fields(text: &[u8]) -> impl Iterator<Item = (&[u8], String)> {
    text.split(|byte| *byte == b'\n').filter_map(|line| {
        if line.first().is_none_or(u8::is_ascii_whitespace) {
            return None;
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((&line[..colon], String::from_utf8_lossy(line[colon + 1..].trim_ascii()).into_owned()))
    })
}

/// Sorted, and each once.
fn set(mut keys: Vec<u64>) -> Vec<u64> {
    keys.sort_unstable();
    keys.dedup();
    keys
}
