//! Build caches: what they hold, what no image uses, what several hold, and what they would serve.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;

use super::table::Table;
use crate::cache::{Cache, CacheKind};
use crate::digest::Digest;
use crate::image::Image;

/// All caches together, and one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Caches {
    /// Bytes of the layers that caches hold, each once.
    pub stored: u64,
    /// Of these: bytes of layers that no image has.
    pub unused: u64,
    /// Bytes of the layers that more than one cache holds, each once.
    pub in_several: u64,
    /// Bytes of layers whose content another blob of a cache or an image has too: compressed otherwise, they share
    /// nothing.
    pub recompressed: u64,
    /// The caches.
    pub list: Vec<Row>,
}

/// One cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// How it is kept.
    pub kind: CacheKind,
    /// Number of its records.
    pub records: usize,
    /// Number of records that have a result, and all of whose layers are there.
    pub results: usize,
    /// Number of its layers.
    pub layers: usize,
    /// Bytes of its layers.
    pub stored: u64,
    /// Layers that no image has, and their bytes.
    pub unused_layers: usize,
    /// Bytes of those.
    pub unused: u64,
    /// Layers that no record leads to, and their bytes: no build can ever be served with them.
    pub unreachable_layers: usize,
    /// Bytes of those.
    pub unreachable: u64,
    /// What it would serve of the images, those first of which it has most.
    pub serves: Vec<Served>,
}

/// What a cache would serve of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Served {
    /// The image's place in the list.
    pub image: usize,
    /// How many of its layers, from the bottom up, are results of the cache. A build whose steps are the same takes these
    /// from the cache, and runs the rest.
    pub layers: usize,
    /// The number of layers that it has.
    pub of: usize,
    /// Bytes of the served ones.
    pub stored: u64,
}

/// What the caches hold.
#[must_use]
pub(super) fn caches(caches: &[Cache], images: &[Image], table: &Table) -> Caches {
    let mut holders: BTreeMap<Digest, (u64, BTreeSet<usize>)> = BTreeMap::new();
    let mut contents: HashMap<Digest, BTreeSet<Digest>> = HashMap::new();
    for row in &table.rows {
        if let Some(shape) = &row.shape {
            contents.entry(shape.diff_id).or_default().insert(row.blob.digest);
        }
    }
    for (at, cache) in caches.iter().enumerate() {
        for layer in &cache.layers {
            holders.entry(layer.blob.digest).or_insert((layer.blob.size, BTreeSet::new())).1.insert(at);
            if let Some(diff_id) = layer.diff_id {
                contents.entry(diff_id).or_default().insert(layer.blob.digest);
            }
        }
    }
    let twice: HashSet<Digest> = contents.into_values().filter(|blobs| blobs.len() > 1).flatten().collect();
    let sum = |which: &dyn Fn(&Digest, &BTreeSet<usize>) -> bool| {
        holders.iter().filter(|(digest, (_, by))| which(digest, by)).map(|(_, (size, _))| size).sum()
    };
    Caches {
        stored: sum(&|_, _| true),
        unused: sum(&|digest, _| table.at(digest).is_none()),
        in_several: sum(&|_, by| by.len() > 1),
        recompressed: sum(&|digest, _| twice.contains(digest)),
        list: caches.iter().map(|cache| row(cache, images, table)).collect(),
    }
}

fn row(cache: &Cache, images: &[Image], table: &Table) -> Row {
    let size = |which: &[usize]| which.iter().map(|at| cache.layers[*at].blob.size).sum();
    // An inline cache of an image may name a layer twice.
    let mut seen = HashSet::new();
    let all: Vec<usize> =
        (0..cache.layers.len()).filter(|at| seen.insert(cache.layers[*at].blob.digest)).collect();
    let unused: Vec<usize> =
        all.iter().copied().filter(|at| table.at(&cache.layers[*at].blob.digest).is_none()).collect();
    let mut reached = HashSet::new();
    for record in &cache.records {
        for result in &record.results {
            // A parent that was reached before has its own parents with it. So does a chain that bites its tail.
            let chain = std::iter::successors(Some(*result), |at| cache.layers.get(*at)?.parent);
            for at in chain.take(cache.layers.len()) {
                if !reached.insert(at) {
                    break;
                }
            }
        }
        reached.extend(record.chains.iter().flatten().filter(|at| **at < cache.layers.len()));
    }
    let unreachable: Vec<usize> = all.iter().copied().filter(|at| !reached.contains(at)).collect();
    let whole = |result: &usize| cache.layers.get(*result).is_some();
    let has = |record: &&crate::cache::Record| record.results.iter().any(whole) || !record.chains.is_empty();
    let results = cache.records.iter().filter(has).count();
    Row {
        name: cache.name.clone(),
        kind: cache.kind,
        records: cache.records.len(),
        results,
        layers: all.len(),
        stored: size(&all),
        unused_layers: unused.len(),
        unused: size(&unused),
        unreachable_layers: unreachable.len(),
        unreachable: size(&unreachable),
        serves: serves(cache, &reached, images, table),
    }
}

fn serves(cache: &Cache, reached: &HashSet<usize>, images: &[Image], table: &Table) -> Vec<Served> {
    let mut blobs = HashSet::new();
    let mut diff_ids = HashSet::new();
    for layer in reached.iter().filter_map(|at| cache.layers.get(*at)) {
        blobs.insert(layer.blob.digest);
        let known = || Some(table.rows[table.at(&layer.blob.digest)?].shape.as_ref()?.diff_id);
        diff_ids.extend(layer.diff_id.or_else(known));
    }
    let mut served: Vec<Served> = Vec::new();
    for (at, image) in images.iter().enumerate() {
        let has = |layer: &&crate::image::Layer| {
            blobs.contains(&layer.blob.digest) || layer.diff_id.is_some_and(|id| diff_ids.contains(&id))
        };
        let layers: Vec<_> = image.layers.iter().take_while(has).collect();
        if !layers.is_empty() {
            let stored = layers.iter().map(|layer| layer.blob.size).sum();
            served.push(Served { image: at, layers: layers.len(), of: image.layers.len(), stored });
        }
    }
    served.sort_by_key(|served| (std::cmp::Reverse(served.stored), served.image));
    served
}
