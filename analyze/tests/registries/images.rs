//! A registry with one image in it, `team/app:1`, that behaves; tests change how it answers.

use std::collections::BTreeMap;

use crate::server::{Reply, Request};

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

pub(crate) fn digest(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    plinth_analyze::digest::Digest(sha2::Sha256::digest(bytes).into()).to_string()
}

pub(crate) fn descriptor(media_type: &str, bytes: &[u8]) -> serde_json::Value {
    serde_json::json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
}

/// What a registry has.
#[derive(Clone, Default)]
pub(crate) struct Store {
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    /// Each with its media type.
    pub(crate) manifests: BTreeMap<String, (String, Vec<u8>)>,
}

/// The layer of the image: large enough to break in the middle.
pub(crate) fn layer() -> Vec<u8> {
    (0..300_000u32).flat_map(u32::to_le_bytes).collect()
}

impl Store {
    /// `team/app:1`, of one layer.
    pub(crate) fn new() -> Self {
        let mut store = Self::default();
        let (_, manifest) = store.image(&layer());
        store.tag("1", MANIFEST, manifest);
        store
    }

    /// Adds an image; gives back its descriptor and its manifest.
    pub(crate) fn image(&mut self, layer: &[u8]) -> (serde_json::Value, Vec<u8>) {
        let config = serde_json::json!({
            "os": "linux", "architecture": "amd64",
            "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
            "history": [{"created_by": "COPY"}],
        });
        let config = config.to_string().into_bytes();
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &config), "layers": [descriptor(LAYER, layer)],
        });
        let manifest = manifest.to_string().into_bytes();
        self.blobs.insert(digest(layer), layer.to_vec());
        self.blobs.insert(digest(&config), config);
        self.manifests.insert(digest(&manifest), (MANIFEST.into(), manifest.clone()));
        (descriptor(MANIFEST, &manifest), manifest)
    }

    /// Adds an index; gives back its descriptor and its bytes.
    pub(crate) fn index(&mut self, children: &[serde_json::Value]) -> (serde_json::Value, Vec<u8>) {
        let index = serde_json::json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": children});
        let index = index.to_string().into_bytes();
        self.manifests.insert(digest(&index), (INDEX.into(), index.clone()));
        (descriptor(INDEX, &index), index)
    }

    pub(crate) fn tag(&mut self, tag: &str, media_type: &str, bytes: Vec<u8>) {
        self.manifests.insert(digest(&bytes), (media_type.to_owned(), bytes.clone()));
        self.manifests.insert(tag.to_owned(), (media_type.to_owned(), bytes));
    }

    /// Answers as a registry should.
    pub(crate) fn answer(&self, request: &Request) -> Reply {
        let path = request.path.split('?').next().unwrap();
        let last = path.rsplit('/').next().unwrap();
        let not_found = || Reply::new(404, r#"{"errors":[{"code":"UNKNOWN","message":"no such thing"}]}"#);
        if path.ends_with("/tags/list") {
            let tags: Vec<_> = self.manifests.keys().filter(|name| !name.contains(':')).collect();
            return Reply::ok(serde_json::json!({"name": "team/app", "tags": tags}).to_string());
        }
        if path.contains("/manifests/") {
            let Some((media_type, bytes)) = self.manifests.get(last) else { return not_found() };
            return Reply::ok(bytes.clone())
                .header("Content-Type", media_type)
                .header("Docker-Content-Digest", digest(bytes));
        }
        if path.contains("/blobs/") {
            return self.blobs.get(last).map_or_else(not_found, |bytes| part(bytes, request));
        }
        not_found()
    }
}

/// A blob from where it is asked for.
pub(crate) fn part(bytes: &[u8], request: &Request) -> Reply {
    let Some(from) = request.from() else { return Reply::ok(bytes) };
    let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
    Reply::new(206, &bytes[from..]).header("Content-Range", range)
}
