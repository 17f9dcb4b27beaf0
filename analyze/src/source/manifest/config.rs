//! The config of an image.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::Unreadable;
use crate::digest::Digest;
use crate::source::platform::Platform;

/// What is read of an image's config (OCI image specification, "Image configuration").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// What the image runs on; nothing if the config doesn't say it.
    pub platform: Option<Platform>,
    /// SHA-256 of each layer's uncompressed bytes, from the lowest up.
    pub diff_ids: Vec<Digest>,
    /// What made each layer, from the lowest up: the entries of the history that made one.
    pub created_by: Vec<Option<String>>,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// `moby.buildkit.cache.v0`: the records of an inline cache.
    pub inline_cache: Option<Value>,
}

#[derive(Deserialize)]
struct Raw {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
    rootfs: Option<RootFs>,
    history: Option<Vec<History>>,
    config: Option<Runtime>,
    #[serde(rename = "moby.buildkit.cache.v0")]
    inline_cache: Option<Value>,
}

#[derive(Default, Deserialize)]
struct RootFs {
    diff_ids: Option<Vec<Digest>>,
}

#[derive(Deserialize)]
struct History {
    created_by: Option<String>,
    #[serde(default)]
    empty_layer: bool,
}

#[derive(Default, Deserialize)]
struct Runtime {
    #[serde(rename = "Labels")]
    labels: Option<BTreeMap<String, Option<String>>>,
}

impl Config {
    /// Reads a config.
    ///
    /// # Errors
    /// It is no JSON object, or one of the parts that are looked at isn't what it should be.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        let raw: Raw = serde_json::from_slice(bytes)
            .map_err(|cause| Unreadable(format!("the config can't be read: {cause}")))?;
        let known = |text: Option<String>| text.filter(|text| !text.is_empty());
        let platform = known(raw.os).zip(known(raw.architecture));
        let made_one = raw.history.unwrap_or_default().into_iter().filter(|entry| !entry.empty_layer);
        let labels = raw.config.unwrap_or_default().labels.unwrap_or_default();
        Ok(Self {
            platform: platform.map(|(os, architecture)| {
                Platform { os, architecture, variant: known(raw.variant) }.foreign()
            }),
            diff_ids: raw.rootfs.unwrap_or_default().diff_ids.unwrap_or_default(),
            created_by: made_one.map(|entry| known(entry.created_by)).collect(),
            labels: labels.into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect(),
            inline_cache: raw.inline_cache,
        })
    }

    /// The diff ID of the layer at this place, if there is one for each of `layers` layers.
    pub(crate) fn diff_id(&self, at: usize, layers: usize) -> Option<Digest> {
        (self.diff_ids.len() == layers).then(|| self.diff_ids.get(at).copied()).flatten()
    }

    /// What made the layer at this place, if the history speaks of as many.
    pub(crate) fn created_by(&self, at: usize, layers: usize) -> Option<String> {
        (self.created_by.len() == layers).then(|| self.created_by.get(at).cloned().flatten()).flatten()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn history_without_the_steps_that_made_no_layer() {
        let id = format!("sha256:{}", "0a".repeat(32));
        let text = format!(
            r#"{{"os":"linux","architecture":"arm64","variant":"","config":{{"Labels":{{"a":"b","c":null}}}},
              "rootfs":{{"type":"layers","diff_ids":["{id}","{id}"]}},
              "history":[{{"created_by":"ADD"}},{{"created_by":"ENV","empty_layer":true}},{{"comment":"none"}}]}}"#
        );
        let config = Config::parse(text.as_bytes()).unwrap();
        assert_eq!(config.platform.clone().unwrap().to_string(), "linux/arm64");
        assert_eq!(config.created_by(0, 2).as_deref(), Some("ADD"));
        assert_eq!(config.created_by(1, 2), None);
        assert_eq!(config.created_by(0, 3), None);
        assert!(config.diff_id(1, 2).is_some() && config.diff_id(1, 3).is_none());
        assert_eq!(config.labels["a"], "b");
        assert_eq!(Config::parse(b"{}").unwrap(), Config::default());
        assert!(Config::parse(b"[]").is_err());
    }
}
