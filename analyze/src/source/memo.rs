//! What has been read of manifests and configs: each once, whoever has it and under however many names.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::contents::Contents;
use super::error::Error;
use super::manifest::{Config, Manifest};
use crate::digest::Digest;
use crate::image::Blob;

/// A manifest with the bytes that it really takes.
#[derive(Debug)]
pub(crate) struct ReadManifest {
    pub(crate) blob: Blob,
    pub(crate) manifest: Manifest,
}

#[derive(Default)]
pub(crate) struct Memo {
    manifests: Table<ReadManifest>,
    configs: Table<Config>,
}

impl Memo {
    /// What this digest stands for.
    pub(crate) fn manifest(
        &self,
        contents: &dyn Contents,
        blob: &Blob,
    ) -> Result<(Arc<ReadManifest>, bool), Error> {
        self.manifests.get(blob.digest, || {
            let bytes = contents.manifest(blob)?;
            parsed(blob, &bytes)
        })
    }

    /// A manifest whose bytes were read by another name than its digest.
    pub(crate) fn manifest_of(&self, blob: &Blob, bytes: &[u8]) -> Result<(Arc<ReadManifest>, bool), Error> {
        self.manifests.get(blob.digest, || parsed(blob, bytes))
    }

    /// The config of this digest.
    pub(crate) fn config(&self, contents: &dyn Contents, blob: &Blob) -> Result<Arc<Config>, Error> {
        let read = || Config::parse(&contents.small(blob)?).map_err(|cause| Error::new(cause.to_string()));
        self.configs.get(blob.digest, read).map(|(config, _)| config)
    }
}

fn parsed(blob: &Blob, bytes: &[u8]) -> Result<ReadManifest, Error> {
    let manifest = Manifest::parse(bytes).map_err(|cause| Error::new(cause.to_string()))?;
    let media_type = if blob.media_type.is_empty() { media_type(bytes) } else { blob.media_type.clone() };
    // A descriptor may say another size than the truth.
    Ok(ReadManifest { blob: Blob { digest: blob.digest, size: bytes.len() as u64, media_type }, manifest })
}

/// What a manifest calls itself, if anything.
fn media_type(bytes: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named {
        media_type: String,
    }
    serde_json::from_slice(bytes)
        .map(|named: Named| super::error::quoted(&named.media_type))
        .unwrap_or_default()
}

type Slot<T> = Arc<Mutex<Option<Arc<T>>>>;

struct Table<T>(Mutex<HashMap<Digest, Slot<T>>>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Table<T> {
    /// Reads what isn't there yet, and says whether it did. Who asks for the same meanwhile waits. What failed is tried
    /// again by the next one: it may come from elsewhere.
    fn get(&self, digest: Digest, read: impl FnOnce() -> Result<T, Error>) -> Result<(Arc<T>, bool), Error> {
        let slot = Arc::clone(locked(&self.0).entry(digest).or_default());
        let mut slot = locked(&slot);
        if let Some(known) = &*slot {
            return Ok((Arc::clone(known), false));
        }
        let fresh = Arc::new(read()?);
        *slot = Some(Arc::clone(&fresh));
        Ok((fresh, true))
    }
}

/// What is behind these locks is whole at any time, so that a panic elsewhere doesn't matter.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
