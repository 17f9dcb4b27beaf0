//! What byte code says of its source (PEP 552).

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::tree::fs::{Context as _, IoError};

/// Time and size of a source, the low 32 bits of each.
pub(super) type Source = (u32, u32);

/// The first 16 bytes of a `.pyc`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header([u8; 16]);

impl Header {
    /// None of a file that is shorter.
    ///
    /// # Errors
    /// The operating system's.
    pub(super) fn read(pyc: &Path) -> Result<Option<Self>, IoError> {
        let mut head = [0; 16];
        match File::open(pyc).context("open", pyc)?.read_exact(&mut head) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            read => read.context("read", pyc).map(|()| Some(Self(head))),
        }
    }

    /// The format of the byte code, hexadecimal.
    pub(super) fn magic(&self) -> String {
        hex::encode(&self.0[..4])
    }

    /// The source that it is of, if it goes by time and size.
    pub(super) fn source(&self) -> Option<Source> {
        let word =
            |at: usize| u32::from_le_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]]);
        (word(4) == 0).then(|| (word(8), word(12)))
    }
}

/// How byte code names a source.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "PEP 552: the low 32 bits")]
pub(super) fn source(meta: &Metadata) -> Source {
    (meta.mtime() as u32, meta.size() as u32)
}
