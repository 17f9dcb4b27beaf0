//! Something that has blobs: a repository of a registry, a layout, an archive.

use std::io::{self, Read};

use super::error::Error;
use super::manifest::{LARGEST, digest_of};
use crate::image::Blob;

/// Something that has blobs. Its errors say "it" of a blob: whoever asks names it.
pub(crate) trait Contents: Send + Sync {
    /// A blob's bytes from this place on. What is read is at most its size; less is an error.
    fn open(&self, blob: &Blob, from: u64) -> io::Result<Box<dyn Read + Send>>;

    /// A manifest or an index, whole; its bytes are what its digest says.
    fn manifest(&self, blob: &Blob) -> Result<Vec<u8>, Error> {
        self.small(blob)
    }

    /// A config, whole; its bytes are what its digest says.
    fn small(&self, blob: &Blob) -> Result<Vec<u8>, Error> {
        if blob.size > LARGEST {
            return Err(Error::new(format!("it is too large: {} bytes, 16 MiB at most", blob.size)));
        }
        let failed = |cause: &io::Error| match cause.kind() {
            io::ErrorKind::NotFound => Error::missing(cause.to_string()),
            _ => Error::new(cause.to_string()),
        };
        let mut bytes = Vec::new();
        let reader = self.open(blob, 0).map_err(|cause| failed(&cause))?;
        reader.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|cause| failed(&cause))?;
        let found = digest_of(&bytes);
        if found != blob.digest {
            return Err(Error::new(format!("its bytes are those of {found}")));
        }
        Ok(bytes)
    }
}
