//! Why a layer couldn't be read.

use std::io;

use crate::digest::Digest;

use super::Compression;

/// Why a layer couldn't be read. Nothing is known of it then: what came before the error may be wrong as well.
///
/// If the bytes aren't those that the descriptor promises, that is the error, whatever else they lead to.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The source failed.
    #[error("{0}")]
    Source(io::Error),
    /// There are fewer or more bytes than the descriptor says.
    #[error("it has {}, its descriptor says {expected}", Got { got: *got, expected: *expected })]
    Size {
        /// What the descriptor says.
        expected: u64,
        /// How many there are; one more than expected if there are more, since no more than one is read then.
        got: u64,
    },
    /// The bytes are others than the digest says.
    #[error("its bytes have the digest {0}: they are not what was stored under this name")]
    Digest(Digest),
    /// The uncompressed bytes are others than the image's config says.
    #[error("the config of its image says diff ID {expected}, its uncompressed bytes have {got}")]
    DiffId {
        /// What the config says.
        expected: Digest,
        /// What it is.
        got: Digest,
    },
    /// The compressed stream is broken.
    #[error("broken {} stream at byte {at} of the stored bytes: {reason}", name(*compression))]
    Compressed {
        /// Of what.
        compression: Compression,
        /// About where: as far as had been taken in.
        at: u64,
        /// What is wrong.
        reason: String,
    },
    /// It would be more than [`super::Limits`] allow.
    #[error("{0}")]
    Limit(String),
    /// The tar archive is broken, or can be read in more than one way.
    #[error("tar archive, at byte {at} of the uncompressed bytes: {reason}")]
    Tar {
        /// Where the header is that it is about.
        at: u64,
        /// What is wrong.
        reason: String,
    },
    /// What the caller's function for entries gave back.
    #[error("{0}")]
    Entry(io::Error),
}

fn name(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "uncompressed",
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
    }
}

struct Got {
    got: u64,
    expected: u64,
}

impl std::fmt::Display for Got {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.got > self.expected {
            true => f.write_str("more bytes"),
            false => write!(f, "{} bytes", self.got),
        }
    }
}
