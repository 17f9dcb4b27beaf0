//! SHA-256 of what is written or read.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::fs::{Context as _, IoError};

/// Hashes what is written to it.
#[derive(Default)]
pub(super) struct HashWriter(Sha256);

impl HashWriter {
    /// Hexadecimal.
    pub(super) fn finish(self) -> String {
        hex::encode(self.0.finalize())
    }
}

impl Write for HashWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.update(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hexadecimal SHA-256 of a file.
///
/// # Errors
/// The operating system's.
pub fn sha256(path: &Path) -> Result<String, IoError> {
    sha256_of(File::open(path).context("open", path)?).context("read", path)
}

/// Hexadecimal SHA-256 of what is read.
///
/// # Errors
/// The reader's.
pub fn sha256_of(mut reader: impl Read) -> io::Result<String> {
    let mut hash = HashWriter::default();
    io::copy(&mut reader, &mut hash)?;
    Ok(hash.finish())
}
