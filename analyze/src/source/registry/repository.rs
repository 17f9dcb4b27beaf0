//! A repository: manifests by tag and digest, and blobs.

use std::io::{self, Read};
use std::sync::Arc;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};

use super::Registry;
use super::download::Download;
use super::endpoint::{Ask, Endpoint};
use crate::digest::Digest;
use crate::image::Blob;
use crate::source::contents::Contents;
use crate::source::error::{Error, quoted};
use crate::source::manifest::{LARGEST, digest_of};

const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.artifact.manifest.v1+json";

/// The digest that a registry says an answer has.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// A repository of a registry.
pub(crate) struct Repository {
    pub(crate) registry: Arc<Registry>,
    pub(crate) name: String,
}

impl Repository {
    /// What a tag stands for, as the registry says it: without reading it. Nothing if the registry doesn't say.
    pub(crate) fn resolve(&self, tag: &str) -> Option<Digest> {
        let found = self.registry.first(|endpoint| {
            let ask = self.ask(endpoint, Method::HEAD, "manifests", tag, format!("{}:{tag}", self.name))?;
            let response = self.registry.transport.run(endpoint.send(&ask))?;
            said(response.headers()).ok_or_else(|| Error::new("no digest"))
        });
        found.ok()
    }

    /// The manifest of a tag.
    pub(crate) fn tagged(&self, tag: &str) -> Result<(Blob, Vec<u8>), Error> {
        self.registry.first(|endpoint| {
            let (headers, bytes) = self.fetch(endpoint, "manifests", tag, format!("{}:{tag}", self.name))?;
            let digest = digest_of(&bytes);
            if let Some(said) = said(&headers).filter(|said| *said != digest) {
                let host = &endpoint.host;
                let text = format!("{host} says that {}:{tag} is {said}, but sends {digest}", self.name);
                return Err(Error::new(text));
            }
            let media_type =
                headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
            Ok((Blob { digest, size: bytes.len() as u64, media_type: quoted(media_type) }, bytes))
        })
    }

    fn fetch(
        &self,
        endpoint: &Endpoint,
        kind: &str,
        name: &str,
        what: String,
    ) -> Result<(HeaderMap, Vec<u8>), Error> {
        let ask = self.ask(endpoint, Method::GET, kind, name, what)?;
        self.registry.transport.run(endpoint.fetch(&ask, LARGEST))
    }

    fn ask(
        &self,
        endpoint: &Endpoint,
        method: Method,
        kind: &str,
        name: &str,
        what: String,
    ) -> Result<Ask, Error> {
        let url = endpoint.url(&format!("{}/{kind}/{name}", endpoint.path_of(&self.name)))?;
        let accept = (kind == "manifests").then_some(ACCEPT);
        Ok(Ask { method, url, accept, from: 0, scope: endpoint.scope(&self.name), what })
    }

    /// Bytes that are what their digest says.
    fn verified(&self, kind: &str, digest: Digest) -> Result<Vec<u8>, Error> {
        self.registry.first(|endpoint| {
            let (_, bytes) =
                self.fetch(endpoint, kind, &digest.to_string(), format!("{}@{digest}", self.name))?;
            let found = digest_of(&bytes);
            if found != digest {
                let text = format!("{} sends {found} for {}@{digest}", endpoint.host, self.name);
                return Err(Error::new(text));
            }
            Ok(bytes)
        })
    }
}

impl Contents for Repository {
    fn open(&self, blob: &Blob, from: u64) -> io::Result<Box<dyn Read + Send>> {
        let asks = self.registry.endpoints.iter().map(|endpoint| {
            let what = format!("{}@{}", self.name, blob.digest);
            let ask = self.ask(endpoint, Method::GET, "blobs", &blob.digest.to_string(), what)?;
            Ok((Arc::clone(endpoint), ask))
        });
        let asks = asks.collect::<Result<Vec<_>, Error>>()?;
        Ok(Download::start(&self.registry.transport, asks, blob.size, from)?)
    }

    fn manifest(&self, blob: &Blob) -> Result<Vec<u8>, Error> {
        self.verified("manifests", blob.digest)
    }

    fn small(&self, blob: &Blob) -> Result<Vec<u8>, Error> {
        let bytes = self.verified("blobs", blob.digest)?;
        if bytes.len() as u64 != blob.size {
            let size = blob.size;
            return Err(Error::new(format!("it has {} bytes, its descriptor says {size}", bytes.len())));
        }
        Ok(bytes)
    }
}

fn said(headers: &HeaderMap) -> Option<Digest> {
    headers.get(CONTENT_DIGEST)?.to_str().ok()?.parse().ok()
}
