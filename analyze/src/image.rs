//! Images, and what else manifests describe.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::digest::Digest;

/// A blob of a registry, a layout or an archive, as its descriptor has it (OCI image specification, "Descriptors").
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Blob {
    /// SHA-256 of its bytes as they are stored.
    pub digest: Digest,
    /// Bytes as they are stored.
    pub size: u64,
    /// `mediaType`; empty where the source has none (docker-archive).
    pub media_type: String,
}

/// One image for one platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Image {
    /// As a user would name it: `registry.example.com/team/app:1`, or a path and the name inside.
    pub name: String,
    /// What stores its blobs, each once: a registry's host, the path of a layout or an archive.
    pub place: String,
    /// `os/architecture[/variant]`; empty if neither index nor config says it.
    pub platform: String,
    /// The manifest: its digest, and the bytes that it takes itself.
    pub manifest: Blob,
    /// The config.
    pub config: Blob,
    /// From the lowest up.
    pub layers: Vec<Layer>,
    /// The labels of the config.
    pub labels: BTreeMap<String, String>,
}

/// A layer as an image refers to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// Its bytes as they are stored.
    pub blob: Blob,
    /// SHA-256 of the uncompressed bytes, as the config's `rootfs` says.
    pub diff_id: Option<Digest>,
    /// What made it, of the config's history.
    pub created_by: Option<String>,
}

/// Everything that sources have.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Images, one for each name and platform. The same manifest may have several names.
    pub images: Vec<Image>,
    /// BuildKit's build caches.
    pub caches: Vec<crate::cache::Cache>,
    /// Manifests and indexes that hold no image or cache (attestations, charts, signatures), with all that they refer to.
    pub others: Vec<Other>,
    /// What couldn't be read.
    pub problems: Vec<crate::problem::Problem>,
}

/// Something that has a manifest and is neither image nor cache; and an index, which has only itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Other {
    /// As for [`Image::name`].
    pub name: String,
    /// As for [`Image::place`].
    pub place: String,
    /// `artifactType`, or the config's media type, or that of the layers if the config is an image's;
    /// `attestation-manifest` where an index says so; `index` for an index.
    pub kind: String,
    /// The manifest itself and every blob that it refers to.
    pub blobs: Vec<Blob>,
}
