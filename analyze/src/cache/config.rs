//! The config of a cache: JSON as BuildKit's `cache/remotecache/v1` writes it.
//!
//! ```text
//! layers    [{blob, parent}]                       parent: a place in layers; left out it is 0, and -1 is none
//! records   [{digest, layers: [{layer}],           results: the topmost layer of a chain
//!                     chains: [{layers: […]}],     results whose layers aren't in the order of an image
//!                     inputs: [[{selector, link}]]}]   link: a place in records
//! ```
//!
//! An inline cache is the list of records alone: its layers are those of the image, each on top of the one before.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::Value;

use super::{CACHE_CONFIG, CacheLayer, Record};
use crate::digest::Digest;
use crate::source::{Config, Descriptor, Layers, Manifest, Unreadable};

/// The layers and records of a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chains {
    /// As in [`super::Cache::layers`].
    pub layers: Vec<CacheLayer>,
    /// As in [`super::Cache::records`].
    pub records: Vec<Record>,
    /// Layers that records refer to and the manifest doesn't have.
    pub absent: usize,
}

#[derive(Deserialize)]
struct RawConfig {
    layers: Option<Vec<RawLayer>>,
    records: Option<Vec<RawRecord>>,
}

#[derive(Deserialize)]
struct RawLayer {
    blob: Digest,
    // Go leaves out what is 0.
    #[serde(default)]
    parent: i64,
}

#[derive(Deserialize)]
struct RawRecord {
    digest: Digest,
    layers: Option<Vec<RawResult>>,
    chains: Option<Vec<RawChain>>,
    inputs: Option<Vec<Option<Vec<RawInput>>>>,
}

#[derive(Deserialize)]
struct RawResult {
    #[serde(default)]
    layer: i64,
}

#[derive(Deserialize)]
struct RawChain {
    layers: Vec<i64>,
}

#[derive(Deserialize)]
struct RawInput {
    #[serde(default)]
    link: i64,
}

/// Reads the config of a cache whose manifest or index has these layers.
///
/// # Errors
/// It isn't what BuildKit writes, refers to a place that there isn't, or its layers or records go in circles.
pub fn manifest_cache(bytes: &[u8], descriptors: &[Descriptor]) -> Result<Chains, Unreadable> {
    let config: RawConfig = serde_json::from_slice(bytes).map_err(|cause| unreadable(&cause))?;
    let raw = config.layers.unwrap_or_default();
    let mut known = HashMap::new();
    for descriptor in descriptors {
        known.entry(descriptor.digest).or_insert(descriptor);
    }
    // Where each layer of the config ends up; nowhere if the manifest doesn't have it.
    let mut places = Vec::with_capacity(raw.len());
    let mut layers: Vec<CacheLayer> = Vec::with_capacity(raw.len());
    for layer in &raw {
        let descriptor = known.get(&layer.blob);
        places.push(descriptor.map(|_| layers.len()));
        layers.extend(descriptor.map(|descriptor| cache_layer(descriptor)));
    }
    let mut parents = Vec::with_capacity(raw.len());
    for (at, layer) in raw.iter().enumerate() {
        let parent = if layer.parent == -1 { None } else { Some(place(layer.parent, raw.len(), "layer")?) };
        if let Some(to) = places[at] {
            layers[to].parent = parent.and_then(|parent| places[parent]);
        }
        parents.push(parent);
    }
    acyclic(raw.len(), "layer", |at| parents[at].into_iter().collect())?;
    let absent = places.iter().filter(|place| place.is_none()).count();
    let mut records = records(config.records.unwrap_or_default(), &places)?;
    if absent > 0 {
        // BuildKit takes no result that it can't put together.
        let broken = broken(&places, &parents);
        records.iter_mut().for_each(|record| record.results.retain(|top| !broken.contains(top)));
    }
    // What the manifest has beside those is stored too.
    let used: HashSet<_> = raw.iter().map(|layer| layer.blob).collect();
    layers.extend(descriptors.iter().filter(|one| !used.contains(&one.digest)).map(cache_layer));
    Ok(Chains { layers, records, absent })
}

/// Reads the inline cache of an image; nothing if its config has none.
///
/// # Errors
/// As for [`manifest_cache`]; or the config doesn't fit the manifest.
pub fn inline_cache(config: &Config, manifest: &Layers) -> Result<Option<Chains>, Unreadable> {
    use base64::Engine as _;
    let value = match &config.inline_cache {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text);
            let bytes = bytes.map_err(|_| Unreadable("the inline cache is no base64".into()))?;
            serde_json::from_slice(&bytes).map_err(|cause| unreadable(&cause))?
        }
        Some(value) => value.clone(),
    };
    let raw: Vec<RawRecord> = serde_json::from_value(value).map_err(|cause| unreadable(&cause))?;
    let count = manifest.layers.len();
    if config.diff_ids.len() != count {
        return Err(Unreadable(format!(
            "the inline cache is of no use: {count} layers in the manifest, {} in the config",
            config.diff_ids.len()
        )));
    }
    let layers = manifest.layers.iter().enumerate().map(|(at, descriptor)| CacheLayer {
        diff_id: config.diff_id(at, count),
        parent: at.checked_sub(1),
        ..cache_layer(descriptor)
    });
    let places: Vec<_> = (0..count).map(Some).collect();
    Ok(Some(Chains { layers: layers.collect(), records: records(raw, &places)?, absent: 0 }))
}

/// The cache that a manifest or an index and the config that belongs to it make up; nothing if it is none.
///
/// # Errors
/// As for [`manifest_cache`] and [`inline_cache`]; or the manifest or the config of the image can't be read.
pub fn of_bytes(manifest: &[u8], config: &[u8]) -> Result<Option<Chains>, Unreadable> {
    match Manifest::parse(manifest)? {
        Manifest::Index(mut children) => {
            let all = children.len();
            children.retain(|child| child.media_type != CACHE_CONFIG);
            let is_cache = children.len() < all;
            is_cache.then(|| manifest_cache(config, &children)).transpose()
        }
        Manifest::Layers(layers) if layers.is_cache() => manifest_cache(config, &layers.layers).map(Some),
        Manifest::Layers(layers) => inline_cache(&Config::parse(config)?, &layers),
        Manifest::Unknown { .. } => Ok(None),
    }
}

fn unreadable(cause: &serde_json::Error) -> Unreadable {
    Unreadable(format!("the cache config can't be read: {cause}"))
}

fn cache_layer(descriptor: &Descriptor) -> CacheLayer {
    CacheLayer { blob: descriptor.blob(), diff_id: descriptor.diff_id(), parent: None }
}

fn place(index: i64, len: usize, what: &str) -> Result<usize, Unreadable> {
    let found = usize::try_from(index).ok().filter(|index| *index < len);
    found.ok_or_else(|| Unreadable(format!("the cache config refers to {what} {index} of {len}")))
}

/// `places` says where the layers that records refer to are now.
fn records(raw: Vec<RawRecord>, places: &[Option<usize>]) -> Result<Vec<Record>, Unreadable> {
    let count = raw.len();
    let mut records = Vec::with_capacity(count);
    for record in raw {
        let mut results = Vec::new();
        for top in record.layers.unwrap_or_default() {
            results.extend(places[place(top.layer, places.len(), "layer")?]);
        }
        let mut chains = Vec::new();
        for chain in record.chains.unwrap_or_default() {
            let layers = chain.layers.into_iter().map(|layer| place(layer, places.len(), "layer"));
            let layers = layers.collect::<Result<Vec<_>, _>>()?;
            // All of them, or it is no result.
            chains.extend(layers.into_iter().map(|layer| places[layer]).collect::<Option<Vec<_>>>());
        }
        let mut inputs = Vec::new();
        for input in record.inputs.unwrap_or_default().into_iter().flatten().flatten() {
            inputs.push(place(input.link, count, "record")?);
        }
        inputs.sort_unstable();
        inputs.dedup();
        records.push(Record { digest: record.digest, results, chains, inputs });
    }
    acyclic(count, "record", |at| records[at].inputs.clone())?;
    Ok(records)
}

/// The layers with one below them that isn't there. The parents don't go in circles.
fn broken(places: &[Option<usize>], parents: &[Option<usize>]) -> HashSet<usize> {
    let mut known = vec![None; places.len()];
    for start in 0..places.len() {
        let mut way = Vec::new();
        let mut at = Some(start);
        let whole = loop {
            match at {
                None => break true,
                Some(here) => match known[here] {
                    Some(whole) => break whole,
                    None if places[here].is_none() => break false,
                    None => way.push(here),
                },
            }
            at = at.and_then(|here| parents[here]);
        };
        way.into_iter().for_each(|here| known[here] = Some(whole));
    }
    (0..places.len()).filter(|at| known[*at] == Some(false)).filter_map(|at| places[at]).collect()
}

/// Whoever walks along these would not come to an end otherwise.
fn acyclic(count: usize, what: &str, next: impl Fn(usize) -> Vec<usize>) -> Result<(), Unreadable> {
    // Not seen, on the way, done.
    let mut state = vec![0u8; count];
    for start in 0..count {
        if state[start] != 0 {
            continue;
        }
        state[start] = 1;
        let mut way = vec![(start, next(start))];
        while let Some((at, rest)) = way.last_mut() {
            match rest.pop() {
                None => {
                    state[*at] = 2;
                    way.pop();
                }
                Some(to) if state[to] == 1 => {
                    return Err(Unreadable(format!("{what} {to} of the cache config needs itself")));
                }
                Some(to) if state[to] == 0 => {
                    state[to] = 1;
                    way.push((to, next(to)));
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
