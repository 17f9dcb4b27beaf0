//! One layer: what it holds.
//!
//! ```text
//! read        the whole way, in three threads
//! limits      how much a layer may ask for
//! error       why one couldn't be read
//! pipe        buffers from thread to thread
//! decompress  from stored bytes to uncompressed ones
//! tar/        from there to the members of an archive, with no second way to read it
//! hash        SHA-256 of the same bytes for two digests at once
//! entries     from members to entries: names, whiteouts
//! canonical   one value for the entries, whatever their order and times
//! packages/   what is said of packages in passing
//! ```

mod canonical;
mod decompress;
mod entries;
mod error;
mod hash;
mod limits;
mod packages;
mod pipe;
mod read;
pub mod tar;

pub use error::ReadError;
pub use limits::Limits;
pub use read::read;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// What is known of a layer once it has been read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// How its bytes are stored.
    pub compression: Compression,
    /// Bytes as they are stored.
    pub stored: u64,
    /// SHA-256 of the uncompressed bytes.
    pub diff_id: Digest,
    /// Uncompressed bytes, the tar format's own included.
    pub uncompressed: u64,
    /// What its entries are, whatever their order and times: layers with the same value have the same content.
    pub canonical: Digest,
    /// Number of entries.
    pub entries: u64,
    /// Number of regular files among them.
    pub files: u64,
    /// Bytes of their content.
    pub file_bytes: u64,
    /// The packages whose own records lie in this layer.
    pub packages: Vec<Package>,
    /// What is odd about it, in one clause each: bytes behind its end, names that are absolute.
    pub notes: Vec<String>,
}

/// How a layer's bytes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// As they are.
    None,
    /// RFC 1952, of one member or several.
    Gzip,
    /// RFC 8878, of one frame or several.
    Zstd,
}

/// A package, as its own records in a layer have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Whose records.
    pub ecosystem: Ecosystem,
    /// Its name: normalized (PEP 503) for Python; as it is otherwise.
    pub name: String,
    /// Its version, as it is written there.
    pub version: String,
    /// Its directory: of a distribution the `.dist-info`, of an npm package its own; empty for Debian.
    pub directory: String,
    /// The files that its records name, as [`path_key`]; sorted. Empty for npm, whose files are those of its directory.
    pub owns: Vec<u64>,
}

/// Whose packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ecosystem {
    /// Distributions, by RECORD in `.dist-info` (PyPA, "Recording installed projects").
    Python,
    /// Packages of dpkg, by `var/lib/dpkg/info/*.list` and the versions of `var/lib/dpkg/status`.
    Debian,
    /// Packages below `node_modules`, by `package.json`.
    Npm,
}

/// One entry of a layer, in the order of the tar stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the root, without `./` and without a `/` at either end; raw bytes, as names needn't be UTF-8. Of a
    /// whiteout: what it hides.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, with setuid, setgid and sticky.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Bytes of content; 0 if it is no regular file.
    pub size: u64,
    /// The part of the layer's stored bytes that it takes, headers and padding included. Over a layer these add up to
    /// [`Content::stored`]: what stands before an entry is counted with it, and what is behind the last one with that.
    pub stored: u64,
    /// Of a regular file: SHA-256 of the content. Of a link: what it points to.
    pub data: Data,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A hard link to a path of the same layer (or, badly made, of one below).
    Hardlink,
    /// A device, or a named pipe.
    Special,
    /// `.wh.NAME`: NAME isn't there any more (OCI image specification, "Whiteouts").
    Whiteout,
    /// `.wh..wh..opq`: nothing of the layers below is in this directory.
    Opaque,
}

impl Kind {
    /// A number for it, below 8. It is part of what is stored, and of canonical digests: it never changes.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::File => 0,
            Self::Directory => 1,
            Self::Symlink => 2,
            Self::Hardlink => 3,
            Self::Special => 4,
            Self::Whiteout => 5,
            Self::Opaque => 6,
        }
    }
}

/// What belongs to an entry beside its metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// Nothing.
    None,
    /// SHA-256 of a file's content.
    Content(Digest),
    /// Where a link points, as it is written.
    Target(Vec<u8>),
}

/// A short name of a path: the first eight bytes, little end first, of its SHA-256. The path is as in [`Entry::path`].
///
/// Two paths of one image with one name are as good as impossible: with a million files, one in forty million images.
#[must_use]
pub fn path_key(path: &[u8]) -> u64 {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(path);
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    u64::from_le_bytes(first)
}
