//! Descriptors: what a manifest refers to.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_json::Value;

use super::Unreadable;
use crate::digest::Digest;
use crate::image::Blob;
use crate::source::error::quoted;
use crate::source::platform::Platform;

/// A descriptor (OCI image specification, "Descriptors"), as far as it is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// `mediaType`; empty if it has none.
    pub media_type: String,
    /// What it refers to.
    pub digest: Digest,
    /// Bytes of that.
    pub size: u64,
    /// In an index: what the manifest is for.
    pub platform: Option<Platform>,
    /// The annotations whose values are texts.
    pub annotations: BTreeMap<String, String>,
}

const LAYER_TYPES: &[&str] =
    &["application/vnd.oci.image.layer.v1.tar", "application/vnd.docker.image.rootfs.diff.tar"];
const FOREIGN_TYPES: &[&str] = &[
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
];

/// Said of attestations in an index, and of what else belongs to an image there.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

impl Descriptor {
    /// What it refers to.
    #[must_use]
    pub fn blob(&self) -> Blob {
        Blob { digest: self.digest, size: self.size, media_type: self.media_type.clone() }
    }

    /// The digest of the uncompressed bytes, if an annotation says it (containerd's `containerd.io/uncompressed`).
    #[must_use]
    pub fn diff_id(&self) -> Option<Digest> {
        self.annotations.get("containerd.io/uncompressed")?.parse().ok()
    }

    /// Whether it is a layer of files, of whatever compression; one that isn't distributed counts as one too.
    #[must_use]
    pub fn is_layer(&self) -> bool {
        let media_type = self.media_type.as_str();
        LAYER_TYPES.iter().any(|known| media_type.starts_with(known))
            || self.is_foreign()
            || media_type.is_empty()
    }

    /// Whether it is a layer that registries don't store, but its maker's own server.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        FOREIGN_TYPES.iter().any(|known| self.media_type.starts_with(known))
    }

    /// Of a manifest in an index: whether it may be one or an index itself, by its media type.
    pub(crate) fn may_be_manifest(&self) -> bool {
        let media_type = self.media_type.as_str();
        media_type.is_empty()
            || media_type.starts_with("application/vnd.oci.image.manifest.")
            || media_type.starts_with("application/vnd.oci.image.index.")
            || media_type.starts_with("application/vnd.oci.artifact.manifest.")
            || media_type.starts_with("application/vnd.docker.distribution.manifest.")
    }

    /// `attestation-manifest`, of a manifest in an index that is about another one there.
    pub(crate) fn reference_type(&self) -> Option<&str> {
        self.annotations.get(REFERENCE_TYPE).map(String::as_str)
    }

    /// What an attestation is about.
    pub(crate) fn reference(&self) -> Option<Digest> {
        self.annotations.get(REFERENCE_DIGEST)?.parse().ok()
    }
}

/// `at` says where it stands in the manifest.
pub(super) fn parse(value: &Value, at: &str) -> Result<Descriptor, Unreadable> {
    if !value.is_object() {
        return Err(Unreadable(format!("`{at}` is no descriptor")));
    }
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let digest = text("digest").unwrap_or_default();
    let digest = quoted(digest).parse().map_err(|cause| Unreadable(format!("`{at}`: {cause}")))?;
    let size = value.get("size").and_then(Value::as_u64);
    let size = size.ok_or_else(|| Unreadable(format!("`{at}` has no size that is a number of bytes")))?;
    let platform = value.get("platform").and_then(|platform| Platform::deserialize(platform).ok());
    let annotations = value.get("annotations").and_then(Value::as_object);
    let annotations = annotations.into_iter().flatten();
    Ok(Descriptor {
        media_type: quoted(text("mediaType").unwrap_or_default()),
        digest,
        size,
        platform: platform.map(Platform::foreign),
        annotations: annotations
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect(),
    })
}
