//! Images in OCI layouts, as the builder wrote them.

use std::path::PathBuf;
use std::rc::Rc;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::tree::Tree;

/// A directory with an `index.json` and blobs.
pub(crate) struct Layout {
    root: PathBuf,
    _dir: TempDir,
}

/// One entry of an index.
#[derive(Clone, Debug)]
pub(crate) struct Descriptor {
    /// `sha256:…`
    pub(crate) digest: String,
    /// Bytes of the blob.
    pub(crate) size: u64,
    /// What the blob is.
    pub(crate) media_type: String,
    /// `os/architecture[/variant]`, empty if the entry names none.
    pub(crate) platform: String,
    /// Says, for one, that it is an attestation and of what.
    pub(crate) annotations: Value,
}

impl Layout {
    /// The layout at `name` inside a temporary directory.
    pub(crate) fn new(dir: TempDir, name: &str) -> Self {
        Self { root: dir.path().join(name), _dir: dir }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &std::path::Path {
        &self.root
    }

    /// The one descriptor at the top: of an image or of an index.
    pub(crate) fn top(&self) -> Descriptor {
        let text = std::fs::read(self.root.join("index.json")).expect("the build left no OCI layout");
        let index: Value = serde_json::from_slice(&text).unwrap();
        let manifests = index["manifests"].as_array().unwrap();
        assert_eq!(manifests.len(), 1, "one build gives one result: {index:#}");
        descriptor(&manifests[0])
    }

    /// The images and attestations under the top.
    pub(crate) fn entries(&self) -> Vec<Descriptor> {
        let top = self.top();
        if !top.media_type.contains("index") && !top.media_type.contains("manifest.list") {
            return vec![top];
        }
        self.json(&top.digest)["manifests"].as_array().unwrap().iter().map(descriptor).collect()
    }

    /// A blob; its digest is checked.
    pub(crate) fn blob(&self, digest: &str) -> Vec<u8> {
        let hex = digest.strip_prefix("sha256:").unwrap();
        let bytes = std::fs::read(self.root.join("blobs/sha256").join(hex)).unwrap();
        assert_eq!(hex::encode(Sha256::digest(&bytes)), hex, "a blob that isn't what its name says");
        bytes
    }

    /// A blob of JSON.
    pub(crate) fn json(&self, digest: &str) -> Value {
        serde_json::from_slice(&self.blob(digest)).unwrap()
    }

    /// The only image.
    pub(crate) fn image(self) -> Image {
        let mut images = self.images();
        assert_eq!(images.len(), 1, "this layout has several images");
        images.remove(0)
    }

    /// The images, without attestations.
    pub(crate) fn images(self) -> Vec<Image> {
        let layout = Rc::new(self);
        let entries = layout.entries().into_iter().filter(|entry| entry.platform != "unknown/unknown");
        entries
            .map(|entry| {
                let manifest = layout.json(&entry.digest);
                let config = layout.json(manifest["config"]["digest"].as_str().unwrap());
                Image {
                    layout: Rc::clone(&layout),
                    platform: entry.platform,
                    digest: entry.digest,
                    manifest,
                    config,
                }
            })
            .collect()
    }

    /// Statements attached to the images: predicate type and statement.
    pub(crate) fn attestations(&self) -> Vec<(String, Value)> {
        let mut found = Vec::new();
        for entry in self.entries() {
            if entry.annotations["vnd.docker.reference.type"] != "attestation-manifest" {
                continue;
            }
            for layer in self.json(&entry.digest)["layers"].as_array().unwrap() {
                let predicate = layer["annotations"]["in-toto.io/predicate-type"].as_str().unwrap();
                found.push((predicate.to_owned(), self.json(layer["digest"].as_str().unwrap())));
            }
        }
        found
    }
}

fn descriptor(value: &Value) -> Descriptor {
    let part = |key: &str| value["platform"][key].as_str().unwrap_or_default();
    let mut platform = format!("{}/{}", part("os"), part("architecture"));
    if !part("variant").is_empty() {
        platform = format!("{platform}/{}", part("variant"));
    }
    Descriptor {
        digest: value["digest"].as_str().unwrap().to_owned(),
        size: value["size"].as_u64().unwrap(),
        media_type: value["mediaType"].as_str().unwrap_or_default().to_owned(),
        platform: if platform == "/" { String::new() } else { platform },
        annotations: value["annotations"].clone(),
    }
}

/// An image of one platform.
pub(crate) struct Image {
    layout: Rc<Layout>,
    /// `os/architecture[/variant]`, if the index says.
    pub(crate) platform: String,
    /// Of the manifest.
    pub(crate) digest: String,
    /// The manifest.
    pub(crate) manifest: Value,
    /// The config.
    pub(crate) config: Value,
}

impl Image {
    /// Digests of the compressed layers, lowest first.
    pub(crate) fn layers(&self) -> Vec<String> {
        self.manifest["layers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|l| l["digest"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Digests of the layers' tars, lowest first.
    pub(crate) fn diff_ids(&self) -> Vec<String> {
        strings(&self.config["rootfs"]["diff_ids"])
    }

    /// `created_by` of the history entries that made a layer, lowest first.
    pub(crate) fn layer_history(&self) -> Vec<String> {
        let entries = self.config["history"].as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .filter(|entry| entry["empty_layer"] != true)
            .map(|entry| entry["created_by"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// A label, if it is set.
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.config["config"]["Labels"][name].as_str()
    }

    /// The file tree that a container of it sees.
    pub(crate) fn tree(&self) -> Tree {
        let mut tree = Tree::default();
        for digest in self.layers() {
            tree.apply(&self.layout, &digest);
        }
        tree
    }

    /// What one layer has, by its number from below.
    pub(crate) fn layer_tree(&self, number: usize) -> Tree {
        let mut tree = Tree::default();
        tree.apply(&self.layout, &self.layers()[number]);
        tree
    }

    /// Checks what must hold of any image: as many layers as diff IDs and as history entries that made one.
    #[track_caller]
    pub(crate) fn check(&self) {
        assert_eq!(self.layers().len(), self.diff_ids().len(), "layers and diff IDs: {:#}", self.config);
        if self.config.get("history").is_some() {
            assert_eq!(
                self.layers().len(),
                self.layer_history().len(),
                "layers and history: {:#}",
                self.config
            );
        }
    }
}

/// A JSON array of strings.
pub(crate) fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|v| v.as_str().unwrap().to_owned()).collect()
}
