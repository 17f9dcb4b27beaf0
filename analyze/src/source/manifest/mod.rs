//! Manifests, indexes and configs: from bytes to what they say.
//!
//! They are read leniently, as images that work everywhere break one rule or another, but never guessed at: a digest, a
//! size or a list that is none makes the whole manifest unreadable, and the message says which one.

mod config;
mod descriptor;

use serde_json::Value;

pub use config::Config;
pub use descriptor::Descriptor;

use crate::cache::CACHE_CONFIG;
use crate::digest::Digest;
use crate::source::error::quoted;

/// More than any manifest or config has: a registry must not be able to fill the memory. The specification asks that
/// 4 MiB be accepted.
pub const LARGEST: u64 = 16 << 20;

/// What a manifest's bytes say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manifest {
    /// An image index or Docker's manifest list: other manifests.
    Index(Vec<Descriptor>),
    /// A manifest of layers with a config; of an image or of anything else.
    Layers(Layers),
    /// Something of a media type that nothing is known of. It may refer to blobs.
    Unknown {
        /// Its media type, or what it calls itself.
        kind: String,
        /// What it refers to.
        blobs: Vec<Descriptor>,
    },
}

/// A manifest of layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layers {
    /// `artifactType`, if there is one.
    pub artifact_type: Option<String>,
    /// The config.
    pub config: Descriptor,
    /// From the lowest up.
    pub layers: Vec<Descriptor>,
}

/// Why bytes are no manifest, index or config that can be read: one clause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub(crate) String);

impl Manifest {
    /// Reads a manifest or an index. What it is shows in what it holds, as not every one says it in `mediaType`.
    ///
    /// # Errors
    /// It is no JSON, has a descriptor that is none, is of Docker's schema 1, or could be read in two ways.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        let value: Value =
            serde_json::from_slice(bytes).map_err(|cause| Unreadable(format!("it is no JSON: {cause}")))?;
        let media_type = value.get("mediaType").and_then(Value::as_str).unwrap_or_default();
        let has = |key: &str| value.get(key).is_some_and(|value| !value.is_null());
        if has("manifests") && (has("layers") || has("config")) {
            // Two readers would see two images (CVE-2021-41190).
            return Err(Unreadable("it is an index and an image at once".into()));
        }
        if has("manifests") {
            return Ok(Self::Index(list(&value, "manifests")?));
        }
        if has("config") {
            let config = descriptor::parse(&value["config"], "config")?;
            let artifact_type =
                value.get("artifactType").and_then(Value::as_str).filter(|kind| !kind.is_empty());
            return Ok(Self::Layers(Layers {
                artifact_type: artifact_type.map(quoted),
                config,
                layers: list(&value, "layers")?,
            }));
        }
        if has("fsLayers") || value.get("schemaVersion").and_then(Value::as_u64) == Some(1) {
            return Err(Unreadable(
                "it is of Docker's schema 1, which says neither sizes nor a config; push the image again"
                    .into(),
            ));
        }
        if !value.is_object() {
            return Err(Unreadable("it is no JSON object".into()));
        }
        let artifact = value.get("artifactType").and_then(Value::as_str);
        let kind = artifact.unwrap_or(media_type);
        let kind = if kind.is_empty() { "unknown" } else { kind };
        Ok(Self::Unknown { kind: quoted(kind), blobs: list(&value, "blobs")? })
    }
}

impl Layers {
    /// What it is if it is no image, as for [`crate::image::Other::kind`].
    #[must_use]
    pub fn other_than_image(&self) -> Option<&str> {
        if let Some(kind) = &self.artifact_type {
            return Some(kind);
        }
        let config = self.config.media_type.as_str();
        if !["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json", ""]
            .contains(&config)
        {
            return Some(config);
        }
        // Signatures and attestations have the config of an image, but nothing that could be unpacked.
        let none = !self.layers.is_empty() && !self.layers.iter().any(Descriptor::is_layer);
        none.then(|| self.layers.first().map_or("", |layer| layer.media_type.as_str()))
    }

    /// Whether it is a build cache (`image-manifest=true`).
    #[must_use]
    pub fn is_cache(&self) -> bool {
        self.config.media_type == CACHE_CONFIG
    }
}

fn list(value: &Value, key: &str) -> Result<Vec<Descriptor>, Unreadable> {
    match value.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .iter()
            .enumerate()
            .map(|(at, item)| descriptor::parse(item, &format!("{key}[{at}]")))
            .collect(),
        Some(_) => Err(Unreadable(format!("`{key}` is no list"))),
    }
}

/// The SHA-256 of bytes.
pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    use sha2::Digest as _;
    Digest(sha2::Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn id(n: u8) -> String {
        format!("sha256:{}", format!("{n:02x}").repeat(32))
    }

    fn reason(text: &str) -> String {
        Manifest::parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn told_apart_by_what_they_hold() {
        let text = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"digest":"{}","size":1,"platform":{{"os":"linux","architecture":"arm","variant":"v7"}}}}]}}"#,
            id(1)
        );
        let Manifest::Index(children) = Manifest::parse(text.as_bytes()).unwrap() else { panic!("{text}") };
        assert_eq!(children[0].platform.as_ref().unwrap().to_string(), "linux/arm/v7");
        let text = format!(r#"{{"config":{{"digest":"{}","size":1}},"layers":null}}"#, id(1));
        let Manifest::Layers(layers) = Manifest::parse(text.as_bytes()).unwrap() else { panic!("{text}") };
        assert_eq!(layers.other_than_image(), None);
        let text = format!(r#"{{"artifactType":"x/y","blobs":[{{"digest":"{}","size":1}}]}}"#, id(1));
        let Manifest::Unknown { kind, blobs } = Manifest::parse(text.as_bytes()).unwrap() else {
            panic!("{text}")
        };
        assert_eq!((kind.as_str(), blobs.len()), ("x/y", 1));
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        assert!(reason("{").starts_with("it is no JSON"), "{}", reason("{"));
        assert_eq!(reason("[]"), "it is no JSON object");
        assert_eq!(reason(r#"{"manifests":[],"layers":[]}"#), "it is an index and an image at once");
        assert!(reason(r#"{"schemaVersion":1,"fsLayers":[]}"#).contains("schema 1"));
        assert_eq!(reason(r#"{"manifests":{}}"#), "`manifests` is no list");
        assert_eq!(reason(r#"{"manifests":[7]}"#), "`manifests[0]` is no descriptor");
        assert_eq!(
            reason(r#"{"manifests":[{"digest":"sha512:00","size":1}]}"#),
            "`manifests[0]`: `sha512:00` is no sha256 digest"
        );
        let text = format!(r#"{{"config":{{"digest":"{}","size":-1}}}}"#, id(1));
        assert_eq!(reason(&text), "`config` has no size that is a number of bytes");
    }

    #[test]
    fn signatures_are_no_images() {
        let config = format!(
            r#"{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":1}}"#,
            id(1)
        );
        let kind = |layer: &str| {
            let text = format!(
                r#"{{"config":{config},"layers":[{{"mediaType":"{layer}","digest":"{}","size":1}}]}}"#,
                id(2)
            );
            let Manifest::Layers(layers) = Manifest::parse(text.as_bytes()).unwrap() else {
                panic!("{text}")
            };
            layers.other_than_image().map(str::to_owned)
        };
        assert_eq!(kind("application/vnd.in-toto+json").as_deref(), Some("application/vnd.in-toto+json"));
        assert_eq!(kind("application/vnd.oci.image.layer.v1.tar+zstd"), None);
        assert_eq!(kind("application/vnd.docker.image.rootfs.diff.tar.gzip"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes(bytes: Vec<u8>) {
            let _ = Manifest::parse(&bytes);
            let _ = Config::parse(&bytes);
        }
    }
}
