//! What `docker save` wrote before version 25, and skopeo still writes: a tar with a manifest.json.
//!
//! ```text
//! manifest.json   [{Config: PATH, RepoTags: [NAME], Layers: [PATH]}]
//! ```
//!
//! Layers are tars, most often not compressed, and may be links to each other. There are no digests of blobs: that of
//! one that isn't compressed is its diff ID, which the config says; that of another one is computed.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;

use serde::Deserialize;

use super::tree::Tree;
use crate::digest::Digest;
use crate::image::{Blob, Found, Image, Layer};
use crate::problem::Problem;
use crate::source::contents::Contents;
use crate::source::error::{Error, quoted};
use crate::source::manifest::{Config, digest_of};
use crate::source::options::Options;
use crate::source::spec::FilePlace;
use crate::source::tally::Tally;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

struct DockerArchive {
    tree: Arc<Tree>,
    paths: HashMap<Digest, String>,
}

impl Contents for DockerArchive {
    fn open(&self, blob: &Blob, from: u64) -> io::Result<Box<dyn Read + Send>> {
        let path = self.paths.get(&blob.digest);
        let path = path.ok_or_else(|| Error::missing("it isn't in the archive"))?;
        Ok(Box::new(self.tree.open(path, from)?))
    }
}

pub(crate) fn read(
    place: &FilePlace,
    tree: Arc<Tree>,
    options: &Options,
    tally: &Tally<'_>,
) -> Result<(Found, Arc<dyn Contents>), Error> {
    let shown = place.path.display();
    if place.digest.is_some() {
        return Err(Error::new(format!(
            "`{shown}` is a docker-archive, which has no digests of images; use a name"
        )));
    }
    let bytes = tree.small("manifest.json")?;
    let entries: Vec<Entry> = serde_json::from_slice(&bytes)
        .map_err(|cause| Error::new(unreadable(&bytes, &shown.to_string(), &cause)))?;
    let manifest = blob(digest_of(&bytes), bytes.len() as u64);
    let mut reader =
        Reader { tree: &tree, paths: HashMap::new(), hashed: HashMap::new(), found: Found::default() };
    reader.paths.insert(manifest.digest, "manifest.json".into());
    tally.repositories(1);
    let mut any = false;
    for entry in &entries {
        let tags = entry.repo_tags.clone().unwrap_or_default();
        let mut names: Vec<_> = tags.iter().map(|tag| Some(quoted(tag))).collect();
        if names.is_empty() {
            names.push(None);
        }
        let wanted = |name: &Option<String>| match (&place.name, name) {
            (Some(pattern), Some(name)) => pattern.is_image(name),
            (Some(_), None) => false,
            (None, _) => true,
        };
        names.retain(wanted);
        tally.names(names.len());
        for name in names {
            any = true;
            let inside = name.map(|name| format!(":{name}")).unwrap_or_default();
            reader.image(&format!("docker-archive:{shown}{inside}"), entry, &manifest, options);
            tally.name_read();
        }
    }
    if let (false, Some(name)) = (any, &place.name) {
        let mut known: Vec<_> =
            entries.iter().flat_map(|one| one.repo_tags.clone().unwrap_or_default()).collect();
        known.truncate(10);
        return Err(Error::new(format!("`{shown}` has no `{name}`; it has {}", quoted(&known.join(", ")))));
    }
    let Reader { paths, found, .. } = reader;
    Ok((found, Arc::new(DockerArchive { tree, paths })))
}

/// Why a manifest.json is no list of images.
fn unreadable(bytes: &[u8], shown: &str, cause: &serde_json::Error) -> String {
    let of_an_image = serde_json::from_slice::<serde_json::Value>(bytes)
        .is_ok_and(|value| value.is_object() && value.get("schemaVersion").is_some());
    match of_an_image {
        true => format!(
            "`{shown}` is in skopeo's dir: format; `skopeo copy dir:{shown} oci:OUT` makes a layout of it"
        ),
        false => format!("manifest.json of `{shown}` can't be read: {}", quoted(&cause.to_string())),
    }
}

fn blob(digest: Digest, size: u64) -> Blob {
    Blob { digest, size, media_type: String::new() }
}

struct Reader<'a> {
    tree: &'a Tree,
    paths: HashMap<Digest, String>,
    /// The digests of compressed layers.
    hashed: HashMap<String, Digest>,
    found: Found,
}

impl Reader<'_> {
    fn image(&mut self, name: &str, entry: &Entry, manifest: &Blob, options: &Options) {
        let bytes = match self.tree.small(&entry.config) {
            Ok(bytes) => bytes,
            Err(error) => return self.found.problems.push(Problem::new(name, error)),
        };
        let config = Config::parse(&bytes).unwrap_or_else(|cause| {
            self.found.problems.push(Problem::new(name, cause));
            Config::default()
        });
        if let (Some(wanted), Some(platform)) = (&options.platform, &config.platform)
            && !platform.is(wanted)
        {
            let reason = format!("it has no image for {wanted}, but for {platform}");
            return self.found.problems.push(Problem::new(name, reason));
        }
        let config_blob = blob(digest_of(&bytes), bytes.len() as u64);
        self.paths.insert(config_blob.digest, entry.config.clone());
        let paths = entry.layers.clone().unwrap_or_default();
        let mut layers = Vec::new();
        for (at, path) in paths.iter().enumerate() {
            let diff_id = config.diff_id(at, paths.len());
            match self.layer(path, diff_id, options) {
                Ok(blob) => {
                    let created_by = config.created_by(at, paths.len());
                    layers.push(Layer { blob, diff_id, created_by });
                }
                Err(cause) => {
                    let reason = format!("its layer {} of {} is left out: {cause}", at + 1, paths.len());
                    self.found.problems.push(Problem::new(name, reason));
                }
            }
        }
        self.found.images.push(Image {
            name: name.to_owned(),
            place: String::new(),
            platform: config.platform.map(|platform| platform.to_string()).unwrap_or_default(),
            manifest: manifest.clone(),
            config: config_blob,
            layers,
            labels: config.labels,
        });
    }

    fn layer(&mut self, path: &str, diff_id: Option<Digest>, options: &Options) -> io::Result<Blob> {
        let size = self.tree.size(path)?;
        let mut first = Vec::new();
        self.tree.open(path, 0)?.take(4).read_to_end(&mut first)?;
        let compressed = first.starts_with(&[0x1f, 0x8b]) || first == [0x28, 0xb5, 0x2f, 0xfd];
        let digest = match (diff_id.filter(|_| !compressed), self.hashed.get(path)) {
            (Some(digest), _) => digest,
            (None, Some(digest)) => *digest,
            (None, None) => hash(self.tree.open(path, 0)?, options)?,
        };
        self.hashed.insert(path.to_owned(), digest);
        self.paths.insert(digest, path.to_owned());
        Ok(blob(digest, size))
    }
}

fn hash(mut reader: impl Read, options: &Options) -> io::Result<Digest> {
    use sha2::Digest as _;
    let mut state = sha2::Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        if options.stopped() {
            return Err(io::Error::other("it was given up"));
        }
        match reader.read(&mut buffer)? {
            0 => return Ok(Digest(state.finalize().into())),
            n => state.update(&buffer[..n]),
        }
    }
}
