//! From one name to everything behind it: images, caches, and what is neither.

use std::collections::HashSet;
use std::sync::Arc;

use super::contents::Contents;
use super::error::{Error, quoted};
use super::manifest::{Config, Descriptor, Layers, Manifest};
use super::memo::{Memo, ReadManifest};
use super::options::Options;
use super::platform::Platform;
use super::tally::Tally;
use crate::cache::{CACHE_CONFIG, Cache, CacheKind, Chains, inline_cache, manifest_cache};
use crate::digest::Digest;
use crate::image::{Found, Image, Layer, Other};
use crate::problem::Problem;

/// Indexes within indexes. One level is usual, two occur in layouts.
const DEEPEST: usize = 8;
/// Manifests behind one name.
const MOST: usize = 1000;

/// What one name is looked through with.
pub(crate) struct Walk<'a> {
    pub(crate) contents: &'a dyn Contents,
    pub(crate) memo: &'a Memo,
    pub(crate) options: &'a Options,
    pub(crate) tally: &'a Tally<'a>,
    pub(crate) name: String,
    pub(crate) found: Found,
    seen: HashSet<Digest>,
    /// What was left out because of its platform.
    platforms: Vec<String>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(
        contents: &'a dyn Contents,
        memo: &'a Memo,
        options: &'a Options,
        tally: &'a Tally<'a>,
        name: String,
    ) -> Self {
        let (found, seen, platforms) = Default::default();
        Self { contents, memo, options, tally, name, found, seen, platforms }
    }

    /// Reads what the name stands for, and everything that this refers to.
    pub(crate) fn root(
        mut self,
        entry: &Descriptor,
        read: Result<(Arc<ReadManifest>, bool), Error>,
    ) -> Found {
        self.seen.insert(entry.digest);
        match read {
            Ok((manifest, fresh)) => {
                self.count(fresh);
                self.node(&manifest, entry, 0);
            }
            // Which manifest it is, unless the name says it or nobody knows.
            Err(error) if entry.digest != Digest([0; 32]) && !self.name.contains(&entry.digest.hex()) => {
                self.problem(&entry.digest, error);
            }
            Err(error) => self.found.problems.push(Problem::new(&self.name, error)),
        }
        let empty =
            self.found.images.is_empty() && self.found.caches.is_empty() && self.found.problems.is_empty();
        if let Some(wanted) = self.options.platform.as_ref().filter(|_| empty && !self.platforms.is_empty()) {
            self.platforms.sort();
            self.platforms.dedup();
            self.platforms.truncate(20);
            let reason = format!("it has no image for {wanted}, but for {}", self.platforms.join(", "));
            self.found.problems.push(Problem::new(&self.name, reason));
        }
        self.found
    }

    fn count(&self, fresh: bool) {
        if fresh {
            self.tally.manifest();
        }
    }

    fn node(&mut self, read: &ReadManifest, entry: &Descriptor, depth: usize) {
        match &read.manifest {
            Manifest::Index(children) => match children.iter().find(|one| one.media_type == CACHE_CONFIG) {
                Some(config) => {
                    let layers: Vec<_> =
                        children.iter().filter(|one| one.media_type != CACHE_CONFIG).cloned().collect();
                    self.cache(read, config, &layers);
                }
                None => self.index(read, children, depth),
            },
            Manifest::Layers(layers) if layers.is_cache() => self.cache(read, &layers.config, &layers.layers),
            Manifest::Layers(layers) => {
                let kind = entry.reference_type().or_else(|| layers.other_than_image());
                match kind {
                    Some(kind) => {
                        let config = std::iter::once(&layers.config);
                        self.other(kind, read, config.chain(&layers.layers));
                    }
                    None => self.image(read, layers, entry),
                }
            }
            Manifest::Unknown { kind, blobs } => self.other(kind, read, blobs.iter()),
        }
    }

    fn other<'b>(&mut self, kind: &str, read: &ReadManifest, blobs: impl Iterator<Item = &'b Descriptor>) {
        let mut known = HashSet::from([read.blob.digest]);
        let mut all = vec![read.blob.clone()];
        // The empty config is often there twice.
        all.extend(blobs.filter(|one| !one.is_foreign() && known.insert(one.digest)).map(Descriptor::blob));
        self.found.others.push(Other {
            name: self.name.clone(),
            place: String::new(),
            kind: quoted(kind),
            blobs: all,
        });
    }

    fn index(&mut self, read: &ReadManifest, children: &[Descriptor], depth: usize) {
        self.other("index", read, std::iter::empty());
        if depth == DEEPEST {
            self.problem(
                &read.blob.digest,
                format!("{} indexes within indexes; none is looked into further", depth + 1),
            );
            return;
        }
        let chosen: HashSet<Digest> =
            children.iter().filter(|one| self.wants(one)).map(|one| one.digest).collect();
        let mut absent = Vec::new();
        for child in children {
            // An attestation is read with the image that it is about.
            let wanted = child.reference().map_or_else(|| self.wants(child), |about| chosen.contains(&about));
            if !wanted {
                self.platforms
                    .extend(child.platform.as_ref().filter(|one| one.is_known()).map(Platform::to_string));
                continue;
            }
            if !self.seen.insert(child.digest) {
                continue;
            }
            if self.seen.len() > MOST {
                self.problem(&read.blob.digest, format!("more than {MOST} manifests; the rest isn't read"));
                return;
            }
            if !child.may_be_manifest() {
                let other = Other {
                    name: self.name.clone(),
                    place: String::new(),
                    kind: child.media_type.clone(),
                    blobs: vec![child.blob()],
                };
                self.found.others.push(other);
                continue;
            }
            match self.memo.manifest(self.contents, &child.blob()) {
                Ok((manifest, fresh)) => {
                    self.count(fresh);
                    self.node(&manifest, child, depth + 1);
                }
                Err(error) if error.is_missing() => absent.push(child),
                Err(error) => self.problem(&child.digest, error),
            }
        }
        // Copies of one platform often keep the index of all.
        if let [first, ..] = absent[..] {
            let which = first.platform.as_ref().map_or_else(|| first.digest.to_string(), Platform::to_string);
            let reason = match absent.len() {
                1 => format!("the manifest for {which} isn't there"),
                many => {
                    format!("{many} of the {} manifests aren't there, the first for {which}", children.len())
                }
            };
            self.found.problems.push(Problem::new(&self.name, reason));
        }
    }

    fn wants(&self, entry: &Descriptor) -> bool {
        let platform = entry.platform.as_ref().filter(|platform| platform.is_known());
        match (&self.options.platform, platform) {
            (Some(wanted), Some(platform)) => platform.is(wanted),
            _ => true,
        }
    }

    fn image(&mut self, read: &ReadManifest, layers: &Layers, entry: &Descriptor) {
        let config = match self.memo.config(self.contents, &layers.config.blob()) {
            Ok(config) => config,
            Err(error) => {
                // The layers are stored all the same.
                self.problem(&layers.config.digest, error);
                Arc::new(Config::default())
            }
        };
        let platform = entry.platform.clone().filter(Platform::is_known).or_else(|| config.platform.clone());
        if let (Some(wanted), Some(platform)) = (&self.options.platform, &platform)
            && !platform.is(wanted)
        {
            self.platforms.push(platform.to_string());
            return;
        }
        let count = layers.layers.len();
        let stored = layers.layers.iter().enumerate().filter(|(_, layer)| !layer.is_foreign());
        let image = Image {
            name: self.name.clone(),
            place: String::new(),
            platform: platform.map(|platform| platform.to_string()).unwrap_or_default(),
            manifest: read.blob.clone(),
            config: layers.config.blob(),
            layers: stored
                .map(|(at, layer)| Layer {
                    blob: layer.blob(),
                    diff_id: config.diff_id(at, count).or_else(|| layer.diff_id()),
                    created_by: config.created_by(at, count),
                })
                .collect(),
            labels: config.labels.clone(),
        };
        match inline_cache(&config, layers) {
            Ok(None) => {}
            Ok(Some(Chains { layers, records, .. })) => {
                let name = self.name.clone();
                self.found.caches.push(Cache {
                    name,
                    place: String::new(),
                    kind: CacheKind::Inline,
                    own: Vec::new(),
                    layers,
                    records,
                });
            }
            Err(cause) => self.problem(&layers.config.digest, cause),
        }
        self.found.images.push(image);
    }

    fn cache(&mut self, read: &ReadManifest, config: &Descriptor, layers: &[Descriptor]) {
        let bytes = self.contents.small(&config.blob());
        let chains = bytes
            .and_then(|bytes| manifest_cache(&bytes, layers).map_err(|cause| Error::new(cause.to_string())));
        let chains = chains.unwrap_or_else(|error| {
            self.problem(&config.digest, error);
            // The layers are stored all the same.
            manifest_cache(b"{}", layers).unwrap_or_default()
        });
        if chains.absent > 0 {
            let reason = format!("{} layers of the cache aren't in its manifest", chains.absent);
            self.problem(&config.digest, reason);
        }
        self.found.caches.push(Cache {
            name: self.name.clone(),
            place: String::new(),
            kind: CacheKind::Manifest,
            own: vec![read.blob.clone(), config.blob()],
            layers: chains.layers,
            records: chains.records,
        });
    }

    fn problem(&mut self, at: &Digest, reason: impl ToString) {
        self.found.problems.push(Problem::new(format!("{} ({at})", self.name), reason));
    }
}
