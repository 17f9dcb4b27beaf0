//! Where images are, and their blobs as streams.
//!
//! ```text
//! spec        what a user writes to say what to read
//! options     how it is read: platform, mirrors, patience
//! find        from specs to images, caches and what else there is
//! wanted      which repositories and tags are meant
//! walk        from one name to everything behind it
//! manifest    manifests, indexes and configs: from bytes to what they say
//! files       layouts and archives
//! registry    registries
//! sources     the blobs of everything that was found
//! ```
//!
//! Nothing here may be called from within a tokio runtime: waiting blocks the thread.

mod contents;
pub(crate) mod error;
mod files;
mod find;
mod manifest;
mod memo;
mod notices;
mod options;
mod parallel;
mod pattern;
mod platform;
mod registry;
mod sources;
mod spec;
mod tally;
mod walk;
mod wanted;

use std::io::{self, Read};

pub use find::find;
pub use manifest::{Config, Descriptor, LARGEST, Layers, Manifest, Unreadable};
pub use options::{Counts, Mirror, Options, Patience, Progress};
pub use platform::Platform;
pub use registry::Credentials;
pub use sources::Sources;
pub use spec::{NoSource, Spec};

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
