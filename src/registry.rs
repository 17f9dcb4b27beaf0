//! Reading images: from a registry, or from an OCI image layout on disk.
//!
//! Manifests and configs are read whole; layers are counted by their descriptors, and streamed if their content
//! matters.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use oci_distribution::Reference;
use oci_distribution::client::{Client, ClientConfig, ClientProtocol};
use oci_distribution::secrets::RegistryAuth;
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use plinth_analyze::source::Credentials;
pub(crate) use plinth_analyze::source::Platform;
use serde::Deserialize;

use crate::failure::{During as _, Failure};

const MANIFEST_TYPES: &[&str] = &[
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// More than any image config has: a registry must not be able to fill the memory.
const LARGEST_CONFIG: usize = 16 << 20;

/// A blob that a registry stores for an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Blob {
    /// Its digest, of the compressed bytes.
    pub(crate) digest: String,
    /// Its size in compressed bytes.
    pub(crate) size: u64,
}

/// What is known of an image without reading its layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// The digest of what its name stands for: an index or a manifest.
    pub(crate) digest: String,
    /// Layers and configs, of every platform; each once.
    pub(crate) blobs: BTreeSet<Blob>,
    /// The digests of those of them that are layers.
    pub(crate) layer_digests: BTreeSet<String>,
    /// The layers of the platform asked for.
    pub(crate) layers: usize,
    /// The labels of that platform's config.
    pub(crate) labels: std::collections::BTreeMap<String, String>,
}

/// Where an image is.
pub(crate) enum Source {
    /// In a registry.
    Registry(Box<Client>, Box<Reference>, RegistryAuth),
    /// In a directory with an OCI image layout.
    Layout(PathBuf),
}

/// The platform of this machine, for Linux containers.
pub(crate) fn host() -> Platform {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    };
    Platform { os: "linux".into(), architecture: architecture.into(), variant: None }
}

/// Whether `registry` (host, or host:port) is this machine.
pub(crate) fn loopback(registry: &str) -> bool {
    let host = registry.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let host = host.map_or(registry, |(host, _)| host);
    host == "localhost"
        || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl Source {
    /// `name` is an image reference, or `oci:DIR` for a layout. Plain HTTP is spoken with this machine, and with
    /// others only if `plain_http` asks for it.
    pub(crate) async fn open(name: &str, plain_http: bool) -> Result<Self, Failure> {
        if let Some(dir) = name.strip_prefix("oci:") {
            return Ok(Self::Layout(dir.into()));
        }
        let reference: Reference = name.parse().map_err(|cause| {
            Failure::new(format!("`{name}` is no image reference: {cause}"))
                .hint("an image looks like registry.example.com/team/app:1; a layout on disk like oci:DIR")
        })?;
        let registry = reference.resolve_registry().to_owned();
        let auth = credentials(&registry).await?;
        let protocol = if plain_http || loopback(&registry) {
            ClientProtocol::HttpsExcept(vec![registry])
        } else {
            ClientProtocol::Https
        };
        let config = ClientConfig {
            protocol,
            connect_timeout: Some(std::time::Duration::from_secs(20)),
            read_timeout: Some(std::time::Duration::from_secs(60)),
            user_agent: concat!("plinth/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).during("set up a connection to the registry")?;
        Ok(Self::Registry(Box::new(client), Box::new(reference), auth))
    }

    async fn manifest(&self, digest: Option<&str>) -> Result<(Vec<u8>, String), Failure> {
        match self {
            Self::Registry(client, reference, auth) => {
                let reference = match digest {
                    Some(digest) => reference.clone_with_digest(digest.to_owned()),
                    None => reference.as_ref().clone(),
                };
                let doing = format!("read the manifest of `{reference}`");
                let pulled = client.pull_manifest_raw(&reference, auth, MANIFEST_TYPES).await.during(doing);
                let (bytes, digest) = pulled.map_err(|failure| {
                    failure.hint(
                        "is the name right, and may you read it? Credentials come from docker's config.json; \
                         a registry without TLS on another machine needs --plain-http",
                    )
                })?;
                Ok((bytes.to_vec(), digest))
            }
            Self::Layout(dir) => match digest {
                Some(digest) => Ok((blob_of_layout(dir, digest)?, digest.to_owned())),
                None => {
                    let file = dir.join("index.json");
                    let bytes = std::fs::read(&file).map_err(|cause| {
                        Failure::new(format!("cannot read `{}`: {cause}", file.display()))
                            .hint("an OCI layout is a directory with an index.json and blobs/")
                    })?;
                    Ok((bytes, String::from("index.json")))
                }
            },
        }
    }

    async fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>, Failure> {
        let digest = descriptor.digest().to_string();
        match self {
            Self::Registry(client, reference, _) => {
                let mut bytes = Limited(Vec::new());
                let doing = format!("read the config of `{reference}`");
                client.pull_blob(reference, digest.as_str(), &mut bytes).await.during(doing)?;
                Ok(bytes.0)
            }
            Self::Layout(dir) => blob_of_layout(dir, &digest),
        }
    }

    /// The digest that the name stands for right now.
    pub(crate) async fn digest(&self) -> Result<String, Failure> {
        self.manifest(None).await.map(|(_, digest)| digest)
    }

    /// Writes the compressed bytes of a layer of this image to `out` as they arrive; those of a registry
    /// are compared with the digest in the end. What was written before an error is not to be trusted.
    pub(crate) async fn layer(
        &self,
        digest: &str,
        mut out: impl tokio::io::AsyncWrite + Unpin,
    ) -> Result<(), Failure> {
        let doing = format!("fetch the layer {digest}");
        match self {
            Self::Registry(client, reference, auth) => {
                client.store_auth_if_needed(reference.resolve_registry(), auth).await;
                client.pull_blob(reference, digest, out).await.during(doing)
            }
            Self::Layout(dir) => {
                let file = layout_file(dir, digest)?;
                let mut file = tokio::fs::File::open(&file).await.during(&doing)?;
                tokio::io::copy(&mut file, &mut out).await.map(|_| ()).during(doing)
            }
        }
    }

    /// The images behind the name, attestations left out, and the digest of what it stands for.
    async fn manifests(&self) -> Result<(String, Vec<(Platform, ImageManifest, Config)>), Failure> {
        let (bytes, digest) = self.manifest(None).await?;
        let mut manifests = Vec::new();
        let mut todo = vec![(bytes, digest.clone(), None)];
        while let Some((bytes, digest, of)) = todo.pop() {
            if let Some(index) = as_index(&bytes)? {
                for entry in index.manifests() {
                    // Attestations are no images; an index in a layout may hold another index.
                    let attestation = entry
                        .annotations()
                        .as_ref()
                        .is_some_and(|a| a.contains_key("vnd.docker.reference.type"));
                    if attestation || manifests.len() + todo.len() > 64 {
                        continue;
                    }
                    let of = entry.platform().as_ref().map(|p| Platform {
                        os: p.os().to_string(),
                        architecture: p.architecture().to_string(),
                        variant: p.variant().clone(),
                    });
                    let (bytes, digest) = self.manifest(Some(entry.digest().as_ref())).await?;
                    todo.push((bytes, digest, of));
                }
            } else {
                let manifest: ImageManifest =
                    serde_json::from_slice(&bytes).during(format!("read the manifest {digest}"))?;
                let config = self.config(manifest.config()).await?;
                let config: Config =
                    serde_json::from_slice(&config).during(format!("read the config of {digest}"))?;
                manifests.push((of.unwrap_or_else(|| config.platform()), manifest, config));
            }
        }
        Ok((digest, manifests))
    }

    /// Reads an image; of an index, `platform` chooses the manifest whose layers and labels are shown.
    pub(crate) async fn image(&self, platform: &Platform) -> Result<Image, Failure> {
        let (digest, manifests) = self.manifests().await?;
        let blobs = manifests.iter().flat_map(|(_, manifest, _)| blobs_of(manifest)).collect();
        let layers = manifests.iter().flat_map(|(_, manifest, _)| manifest.layers());
        let layer_digests = layers.map(|layer| layer.digest().to_string()).collect();
        let mut seen: Vec<String> = manifests.iter().map(|(of, ..)| of.to_string()).collect();
        let only = manifests.len() == 1;
        let chosen = manifests.into_iter().find(|(of, ..)| only || of.is(platform));
        let Some((_, manifest, config)) = chosen else {
            seen.sort();
            return Err(Failure::new(format!("{digest} has no image for {platform}"))
                .hint(format!("it has {}; choose one with --platform", seen.join(", "))));
        };
        Ok(Image {
            digest,
            blobs,
            layer_digests,
            layers: manifest.layers().len(),
            labels: config.config.unwrap_or_default().labels.unwrap_or_default(),
        })
    }

    /// What a registry stores for these platforms of an image. One that it doesn't have adds nothing.
    pub(crate) async fn blobs(&self, platforms: &[Platform]) -> Result<BTreeSet<Blob>, Failure> {
        let (_, manifests) = self.manifests().await?;
        let only = manifests.len() == 1;
        let used = manifests.iter().filter(|(of, ..)| only || platforms.iter().any(|p| of.is(p)));
        Ok(used.flat_map(|(_, manifest, _)| blobs_of(manifest)).collect())
    }

    /// Deletes the manifest that the name stands for; the registry's own collection frees the blobs.
    pub(crate) async fn delete(name: &str, digest: &str, plain_http: bool) -> Result<(), Failure> {
        let reference: Reference = name.parse().during(format!("delete `{name}`"))?;
        let registry = reference.resolve_registry();
        let scheme = if plain_http || loopback(registry) { "http" } else { "https" };
        let url = format!("{scheme}://{registry}/v2/{}/manifests/{digest}", reference.repository());
        let mut request =
            reqwest::Client::builder().build().during("set up a connection to the registry")?.delete(url);
        if let RegistryAuth::Basic(user, password) = credentials(registry).await? {
            request = request.basic_auth(user, Some(password));
        }
        let response = request.send().await.during(format!("delete `{name}`"))?;
        // Two names of one manifest: it went with the first of them.
        if response.status().is_success() || response.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(());
        }
        Err(Failure::new(format!("cannot delete `{name}`: the registry answers {}", response.status())))
    }
}

/// The parts of an image config that are read; a strict reading would refuse images that work everywhere.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
    config: Option<Runtime>,
}

#[derive(Default, Deserialize)]
struct Runtime {
    #[serde(rename = "Labels")]
    labels: Option<std::collections::BTreeMap<String, String>>,
}

impl Config {
    fn platform(&self) -> Platform {
        Platform {
            os: self.os.clone(),
            architecture: self.architecture.clone(),
            variant: self.variant.clone().filter(|v| !v.is_empty()),
        }
    }
}

fn blobs_of(manifest: &ImageManifest) -> impl Iterator<Item = Blob> {
    let descriptors = manifest.layers().iter().chain([manifest.config()]);
    descriptors.map(|descriptor| Blob { digest: descriptor.digest().to_string(), size: descriptor.size() })
}

/// A manifest and an index are told apart by what they hold: not every layout says it in `mediaType`.
fn as_index(bytes: &[u8]) -> Result<Option<ImageIndex>, Failure> {
    let value: serde_json::Value = serde_json::from_slice(bytes).during("read a manifest")?;
    if value.get("manifests").is_none() {
        return Ok(None);
    }
    serde_json::from_value(value).map(Some).during("read an index")
}

fn blob_of_layout(dir: &Path, digest: &str) -> Result<Vec<u8>, Failure> {
    let file = layout_file(dir, digest)?;
    std::fs::read(&file).during(format!("read `{}`", file.display()))
}

fn layout_file(dir: &Path, digest: &str) -> Result<PathBuf, Failure> {
    let (algorithm, hex) = digest
        .split_once(':')
        .filter(|(a, h)| [a, h].iter().all(|p| p.bytes().all(|b| b.is_ascii_alphanumeric())))
        .ok_or_else(|| Failure::new(format!("`{digest}` is no digest")))?;
    Ok(dir.join("blobs").join(algorithm).join(hex))
}

/// A buffer that refuses to grow past [`LARGEST_CONFIG`].
struct Limited(Vec<u8>);

impl tokio::io::AsyncWrite for Limited {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        if self.0.len() + bytes.len() > LARGEST_CONFIG {
            return std::task::Poll::Ready(Err(std::io::Error::other("the config is larger than 16 MiB")));
        }
        self.0.extend_from_slice(bytes);
        std::task::Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

/// Who one is to a registry, by docker's configuration and its credential helpers.
async fn credentials(registry: &str) -> Result<RegistryAuth, Failure> {
    // The name under which Docker's own registry answers isn't the one that people log in to.
    let host = if registry == "index.docker.io" { "docker.io" } else { registry };
    let login = Credentials::default().password(host).await.map_err(Failure::new)?;
    Ok(login.map_or(RegistryAuth::Anonymous, |(user, password)| RegistryAuth::Basic(user, password)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine() {
        for registry in ["localhost", "localhost:5000", "127.0.0.1:5051", "127.8.8.8", "[::1]:5000"] {
            assert!(loopback(registry), "{registry}");
        }
        for registry in ["registry.example.com", "localhost.example.com:5000", "10.0.0.1:5000", "128.0.0.1"] {
            assert!(!loopback(registry), "{registry}");
        }
    }

    fn layout() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let blobs = dir.path().join("blobs/sha256");
        std::fs::create_dir_all(&blobs).unwrap();
        let id = |n: u8| format!("{n:02x}").repeat(32);
        let descriptor = |media: &str, n: u8, size: usize, more: &str| {
            format!(r#"{{"mediaType":"{media}","digest":"sha256:{}","size":{size}{more}}}"#, id(n))
        };
        let layer = "application/vnd.oci.image.layer.v1.tar+gzip";
        let config = "application/vnd.oci.image.config.v1+json";
        let manifest = "application/vnd.oci.image.manifest.v1+json";
        for (n, architecture) in [(1, "amd64"), (2, "arm64")] {
            std::fs::write(
                blobs.join(id(n)),
                format!(r#"{{"os":"linux","architecture":"{architecture}","config":{{"Labels":{{"for":"{architecture}"}}}}}}"#),
            )
            .unwrap();
            // Layer 9 is in both platforms.
            let layers = [descriptor(layer, 9, 1000, ""), descriptor(layer, 10 + n, 100, "")].join(",");
            let text = format!(
                r#"{{"schemaVersion":2,"mediaType":"{manifest}","config":{},"layers":[{layers}]}}"#,
                descriptor(config, n, 10, "")
            );
            std::fs::write(blobs.join(id(20 + n)), text).unwrap();
        }
        let entry = |n: u8, architecture: &str| {
            descriptor(
                manifest,
                n,
                1,
                &format!(r#","platform":{{"os":"linux","architecture":"{architecture}"}}"#),
            )
        };
        let index =
            format!(r#"{{"schemaVersion":2,"manifests":[{},{}]}}"#, entry(21, "amd64"), entry(22, "arm64"));
        std::fs::write(dir.path().join("index.json"), index).unwrap();
        dir
    }

    #[tokio::test]
    async fn an_index_counts_every_platform_and_shows_one() {
        let dir = layout();
        let source = Source::open(&format!("oci:{}", dir.path().display()), false).await.unwrap();
        let image = source.image(&"linux/arm64".parse().unwrap()).await.unwrap();
        assert_eq!(image.labels["for"], "arm64");
        assert_eq!(image.layers, 2);
        assert_eq!(image.blobs.iter().map(|blob| blob.size).sum::<u64>(), 1000 + 2 * 100 + 2 * 10);
        let blobs = source.blobs(&["linux/arm64".parse().unwrap()]).await.unwrap();
        assert_eq!(blobs.iter().map(|blob| blob.size).sum::<u64>(), 1000 + 100 + 10);
        assert_eq!(source.blobs(&["linux/s390x".parse().unwrap()]).await.unwrap(), BTreeSet::new());
        let error = source.image(&"linux/s390x".parse().unwrap()).await.unwrap_err().to_string();
        assert!(error.contains("no image for linux/s390x"), "{error}");
        assert!(
            error.contains("hint: it has linux/amd64, linux/arm64; choose one with --platform"),
            "{error}"
        );
    }
}
