//! What BuildKit's cache manifests say: which records there are, and which layers they hold.

mod config;

use serde::Serialize;

use crate::digest::Digest;
use crate::image::Blob;

pub use config::{Chains, inline_cache, manifest_cache, of_bytes};

/// The media type of the config of a cache that has a manifest of its own.
pub const CACHE_CONFIG: &str = "application/vnd.buildkit.cacheconfig.v0";

/// One build cache: of a registry, inline in an image, or a local directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cache {
    /// As for [`crate::image::Image::name`].
    pub name: String,
    /// As for [`crate::image::Image::place`].
    pub place: String,
    /// Where it was found.
    pub kind: CacheKind,
    /// The manifest or index, and the config: what it takes beside its layers. Empty for an inline cache, whose bytes
    /// are those of the image's config.
    pub own: Vec<Blob>,
    /// The layers; one stands here once for each chain that it is part of. Of an inline cache: those of its image.
    pub layers: Vec<CacheLayer>,
    /// The records.
    pub records: Vec<Record>,
}

/// How a cache is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheKind {
    /// `type=registry`, and what `type=local` writes: a manifest of its own.
    Manifest,
    /// `type=inline`: in an image's config.
    Inline,
}

/// A layer that a cache holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CacheLayer {
    /// Its bytes as they are stored.
    pub blob: Blob,
    /// SHA-256 of the uncompressed bytes, if an annotation says it.
    pub diff_id: Option<Digest>,
    /// The layer below it, by its place in [`Cache::layers`].
    pub parent: Option<usize>,
}

/// A cache record: what an operation with this cache key came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// The cache key.
    pub digest: Digest,
    /// The topmost layer of each of its results, by its place in [`Cache::layers`]: a result is that layer and those
    /// below it, by [`CacheLayer::parent`]. Without results whose layers the cache doesn't have.
    pub results: Vec<usize>,
    /// Results that are just these layers, from the lowest up, and not what is below them: of `COPY --link` and other
    /// merges in inline caches.
    pub chains: Vec<Vec<usize>>,
    /// The records that it needs as inputs, by their place in [`Cache::records`].
    pub inputs: Vec<usize>,
}
