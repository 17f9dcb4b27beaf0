//! Where images are, and their blobs as streams.

use std::io::{self, Read};

use crate::image::Blob;

/// Blobs that can be read.
pub trait Blobs: Send + Sync {
    /// A blob's bytes as they are stored, from the first to the last.
    ///
    /// What is read is what the source gives; whether it is what the digest says is for the reader to see. A broken
    /// connection is taken up again where it broke. A read that goes nowhere for too long is an error.
    ///
    /// # Errors
    /// Nobody has it, or nobody gives it.
    fn open(&self, blob: &Blob) -> io::Result<Box<dyn Read + Send>>;
}
