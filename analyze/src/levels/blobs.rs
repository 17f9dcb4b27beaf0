//! The first level: blobs, as registries and layouts store them.
//!
//! A registry stores a blob once, whatever the number of repositories that link it. So what counts is how many places
//! store it; that a hundred images refer to it is what it should be.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Total;
use crate::digest::Digest;
use crate::image::{Blob, Found};

/// What is stored, blob by blob.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Blobs {
    /// All blobs; a copy is one in another place.
    #[serde(flatten)]
    pub total: Total,
    /// The same by what they are for.
    pub by_kind: BTreeMap<&'static str, Total>,
    /// The bytes of the images one by one, as if none shared a blob with another. One with several names counts once.
    pub summed: u64,
    /// Bytes in each place.
    pub places: BTreeMap<String, u64>,
}

/// Counts every blob that is referred to, manifests too.
#[must_use]
pub(super) fn blobs(found: &Found) -> Blobs {
    let mut at: BTreeMap<Digest, (&'static str, u64, BTreeSet<&str>)> = BTreeMap::new();
    let mut summed = 0;
    let mut counted = BTreeSet::new();
    let mut add = |kind, place, blob: &Blob| {
        at.entry(blob.digest).or_insert((kind, blob.size, BTreeSet::new())).2.insert(place);
    };
    for image in &found.images {
        add("manifests", image.place.as_str(), &image.manifest);
        add("configs", &image.place, &image.config);
        let first = counted.insert((image.place.as_str(), image.manifest.digest, image.config.digest));
        if first {
            summed += image.manifest.size + image.config.size;
        }
        let mut own = BTreeSet::new();
        for layer in &image.layers {
            add("layers", &image.place, &layer.blob);
            if own.insert(layer.blob.digest) && first {
                summed += layer.blob.size;
            }
        }
    }
    for cache in &found.caches {
        cache.own.iter().for_each(|blob| add("caches", &cache.place, blob));
        cache.layers.iter().for_each(|layer| add("caches", &cache.place, &layer.blob));
    }
    for other in &found.others {
        let kind = if other.kind == "index" { "manifests" } else { "others" };
        other.blobs.iter().for_each(|blob| add(kind, &other.place, blob));
    }
    let mut all = Blobs { summed, ..Blobs::default() };
    for (kind, size, places) in at.values() {
        let copies = places.len() as u64;
        let mut total = Total::default();
        total.add(copies, copies * size, *size);
        *all.by_kind.entry(kind).or_default() += total;
        all.total += total;
        for place in places {
            *all.places.entry((*place).to_owned()).or_default() += size;
        }
    }
    all
}
