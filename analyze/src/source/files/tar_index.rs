//! Where the files of a tar lie, so that they can be read without unpacking.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::source::error::{Error, quoted};
use crate::source::options::Options;

/// The files and links of a tar on disk.
pub(crate) struct TarIndex {
    pub(crate) path: PathBuf,
    entries: HashMap<String, Place>,
}

/// Where a file's bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

enum Place {
    File(Part),
    /// The path that a link leads to, from the root.
    Link(String),
}

/// Links to links. `docker save` writes one.
const MOST_LINKS: usize = 16;

impl TarIndex {
    pub(crate) fn read(path: &Path, options: &Options) -> Result<Self, Error> {
        let shown = path.display();
        let failed = |cause: io::Error| Error::new(format!("cannot read `{shown}`: {cause}"));
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut archive = tar::Archive::new(file);
        let mut entries = HashMap::new();
        let mut first = true;
        for entry in archive.entries_with_seek().map_err(failed)? {
            let entry = entry.map_err(|cause| broken(path, first, &cause))?;
            first = false;
            if options.stopped() {
                return Err(Error::new("it was given up"));
            }
            let name = normal(&entry.path_bytes(), "");
            let kind = entry.header().entry_type();
            if kind.is_file() || kind.is_contiguous() {
                let part = Part { offset: entry.raw_file_position(), size: entry.size() };
                if part.offset.checked_add(part.size).is_none_or(|end| end > length) {
                    return Err(Error::new(format!(
                        "`{shown}` ends in the middle of {}: it is not all there",
                        quoted(&name)
                    )));
                }
                entries.insert(name, Place::File(part));
            } else if let Some(target) =
                entry.link_name_bytes().filter(|_| kind.is_symlink() || kind.is_hard_link())
            {
                // A symbolic link starts from where it lies; a hard link from the root.
                let from =
                    if kind.is_symlink() { name.rsplit_once('/').map_or("", |(dir, _)| dir) } else { "" };
                let target = normal(&target, from);
                entries.insert(name, Place::Link(target));
            }
        }
        Ok(Self { path: path.to_owned(), entries })
    }

    /// The file of this name, links followed.
    pub(crate) fn find(&self, name: &str) -> io::Result<Part> {
        let mut at = name;
        for _ in 0..MOST_LINKS {
            match self.entries.get(at) {
                Some(Place::File(part)) => return Ok(*part),
                Some(Place::Link(target)) => at = target,
                None => {
                    return Err(io::Error::new(
                        io::ErrorKind::NotFound,
                        format!("{} isn't in the archive", quoted(at)),
                    ));
                }
            }
        }
        Err(io::Error::other(format!("{} is a link that leads nowhere", quoted(name))))
    }
}

/// Why a header can't be read. The reasons of the tar library have the header's own bytes in them, whatever those are.
fn broken(path: &Path, first: bool, cause: &io::Error) -> Error {
    let shown = path.display();
    let of_the_format = matches!(
        cause.kind(),
        io::ErrorKind::Other
            | io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::UnexpectedEof
    );
    Error::new(match (first, of_the_format) {
        (true, true) => format!("`{shown}` is no tar"),
        (false, true) => format!("`{shown}` is broken as a tar: {}", quoted(&cause.to_string())),
        (_, false) => format!("cannot read `{shown}`: {}", quoted(&cause.to_string())),
    })
}

/// A path from the root, without `.` and `..`; `from` is the directory that a relative one starts from.
fn normal(path: &[u8], from: &str) -> String {
    let path = String::from_utf8_lossy(path);
    let mut parts: Vec<&str> = Vec::new();
    let start = if path.starts_with('/') { "" } else { from };
    for part in start.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(normal(b"./a//b/", ""), "a/b");
        assert_eq!(normal(b"../b/layer.tar", "a"), "b/layer.tar");
        assert_eq!(normal(b"/x/../../y", "a"), "y");
    }
}
