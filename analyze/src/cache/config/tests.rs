//! Against what BuildKit 0.32 wrote: caches of both forms, and inline.
#![allow(clippy::unwrap_used)]

use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/", $name))
    };
}

/// A layer of two digits.
fn id(n: u8) -> String {
    format!("sha256:{}", format!("{n:02x}").repeat(32))
}

fn descriptors(of: &[u8]) -> Vec<Descriptor> {
    let list: Vec<_> = of.iter().map(|n| format!(r#"{{"digest":"{}","size":{n}}}"#, id(*n))).collect();
    let text = format!(r#"{{"manifests":[{}]}}"#, list.join(","));
    let Manifest::Index(list) = Manifest::parse(text.as_bytes()).unwrap() else { panic!("{text}") };
    list
}

fn reason(text: &str) -> String {
    manifest_cache(text.as_bytes(), &descriptors(&[1, 2])).unwrap_err().to_string()
}

/// The sizes of a layer and of those below it.
fn sizes(chains: &Chains, top: usize) -> Vec<u64> {
    let down = std::iter::successors(Some(top), |at| chains.layers[*at].parent);
    down.map(|at| chains.layers[at].blob.size).collect()
}

#[test]
fn an_index_of_layers() {
    let Manifest::Index(mut layers) = Manifest::parse(fixture!("cache-index.json")).unwrap() else {
        panic!()
    };
    let config = layers.pop().unwrap();
    assert_eq!(config.media_type, crate::cache::CACHE_CONFIG);
    let chains = manifest_cache(fixture!("cache-index-config.json"), &layers).unwrap();
    assert_eq!((chains.layers.len(), chains.records.len(), chains.absent), (7, 7, 0));
    assert!(chains.layers.iter().all(|layer| layer.diff_id.is_some()));
    // The base image of four layers and one on top of it; the second one says nothing of its parent: that is the first.
    assert_eq!(sizes(&chains, 3).len(), 5);
    assert_eq!(chains.layers[4].parent, Some(0));
    assert_eq!(chains.layers.iter().filter(|layer| layer.parent.is_none()).count(), 1);
    let results: Vec<_> = chains.records.iter().map(|record| record.results.clone()).collect();
    assert_eq!(results, [vec![], vec![5], vec![3], vec![3], vec![], vec![6], vec![]]);
    assert_eq!(chains.records[3].inputs, [0, 2, 4]);
}

#[test]
fn an_image_manifest() {
    let Manifest::Layers(manifest) = Manifest::parse(fixture!("cache-manifest.json")).unwrap() else {
        panic!()
    };
    assert!(manifest.is_cache());
    let chains = manifest_cache(fixture!("cache-manifest-config.json"), &manifest.layers).unwrap();
    assert_eq!((chains.layers.len(), chains.records.len(), chains.absent), (7, 6, 0));
}

#[test]
fn inline_with_merges() {
    let Manifest::Layers(manifest) = Manifest::parse(fixture!("inline-manifest.json")).unwrap() else {
        panic!()
    };
    let config = Config::parse(fixture!("inline-config.json")).unwrap();
    let chains = inline_cache(&config, &manifest).unwrap().unwrap();
    assert_eq!((chains.layers.len(), chains.records.len()), (7, 11));
    assert_eq!(chains.layers[6].parent, Some(5));
    assert_eq!(chains.layers[6].diff_id, Some(config.diff_ids[6]));
    let merged: Vec<_> = chains.records.iter().flat_map(|record| record.chains.clone()).collect();
    assert_eq!(merged, [[6], [5]]);
    let mut short = config.clone();
    short.diff_ids.pop();
    let error = inline_cache(&short, &manifest).unwrap_err().to_string();
    assert_eq!(error, "the inline cache is of no use: 7 layers in the manifest, 6 in the config");
    assert_eq!(inline_cache(&Config::default(), &manifest), Ok(None));
}

#[test]
fn inline_as_a_list_and_as_nonsense() {
    let Manifest::Layers(manifest) = Manifest::parse(fixture!("inline-manifest.json")).unwrap() else {
        panic!()
    };
    let mut config = Config::parse(fixture!("inline-config.json")).unwrap();
    config.inline_cache = Some(serde_json::json!([{"digest": id(1), "layers": [{"layer": 2}]}]));
    assert_eq!(inline_cache(&config, &manifest).unwrap().unwrap().records[0].results, [2]);
    config.inline_cache = Some(serde_json::json!("?"));
    assert_eq!(inline_cache(&config, &manifest).unwrap_err().to_string(), "the inline cache is no base64");
    config.inline_cache = Some(serde_json::json!([{"digest": id(1), "layers": [{"layer": 7}]}]));
    let error = inline_cache(&config, &manifest).unwrap_err().to_string();
    assert_eq!(error, "the cache config refers to layer 7 of 7");
}

#[test]
fn layers_that_only_one_side_has() {
    let text = format!(
        r#"{{"layers":[{{"blob":"{}","parent":-1}},{{"blob":"{}"}},{{"blob":"{}","parent":1}}],
            "records":[{{"digest":"{}","layers":[{{"layer":0}},{{"layer":1}},{{"layer":2}}],"chains":[{{"layers":[0,1]}},{{"layers":[2]}}]}}]}}"#,
        id(1),
        id(9),
        id(2),
        id(50)
    );
    let chains = manifest_cache(text.as_bytes(), &descriptors(&[1, 2, 3])).unwrap();
    assert_eq!(chains.absent, 1);
    // The third is in no record, but stored.
    assert_eq!(chains.layers.iter().map(|layer| layer.blob.size).collect::<Vec<_>>(), [1, 2, 3]);
    // What needs the one that isn't there can't be used.
    assert_eq!(chains.records[0].results, [0]);
    assert_eq!(chains.records[0].chains, [[1]]);
}

#[test]
fn refusals_say_what_is_wrong() {
    assert!(reason("[").starts_with("the cache config can't be read: "));
    assert!(reason(r#"{"layers":[{"blob":"sha256:1"}]}"#).contains("`sha256:1` is no sha256 digest"));
    let layer = |parent: i64| format!(r#"{{"blob":"{}","parent":{parent}}}"#, id(1));
    assert_eq!(
        reason(&format!(r#"{{"layers":[{}]}}"#, layer(0))),
        "layer 0 of the cache config needs itself"
    );
    assert_eq!(
        reason(&format!(r#"{{"layers":[{},{}]}}"#, layer(1), layer(0))),
        "layer 0 of the cache config needs itself"
    );
    for parent in [2, -2, i64::MAX] {
        let expected = format!("the cache config refers to layer {parent} of 1");
        assert_eq!(reason(&format!(r#"{{"layers":[{}]}}"#, layer(parent))), expected);
    }
    let record = |link: i64| format!(r#"{{"digest":"{}","inputs":[[{{"link":{link}}}]]}}"#, id(1));
    assert_eq!(
        reason(&format!(r#"{{"records":[{}]}}"#, record(0))),
        "record 0 of the cache config needs itself"
    );
    assert_eq!(
        reason(&format!(r#"{{"records":[{}]}}"#, record(1))),
        "the cache config refers to record 1 of 1"
    );
    let chain = format!(r#"{{"records":[{{"digest":"{}","chains":[{{"layers":[0]}}]}}]}}"#, id(1));
    assert_eq!(reason(&chain), "the cache config refers to layer 0 of 0");
}

#[test]
fn a_long_chain_takes_no_stack() {
    let layers: Vec<_> =
        (0..100_000i64).map(|n| format!(r#"{{"blob":"{}","parent":{}}}"#, id(1), n - 1)).collect();
    let text = format!(r#"{{"layers":[{}]}}"#, layers.join(","));
    assert_eq!(manifest_cache(text.as_bytes(), &descriptors(&[1])).unwrap().layers.len(), 100_000);
}

#[test]
fn from_the_bytes_of_both() {
    let count = |manifest: &[u8], config: &[u8]| of_bytes(manifest, config).unwrap().unwrap().records.len();
    assert_eq!(count(fixture!("cache-index.json"), fixture!("cache-index-config.json")), 7);
    assert_eq!(count(fixture!("cache-manifest.json"), fixture!("cache-manifest-config.json")), 6);
    assert_eq!(count(fixture!("inline-manifest.json"), fixture!("inline-config.json")), 11);
    assert_eq!(of_bytes(br#"{"manifests":[]}"#, b""), Ok(None));
}

proptest::proptest! {
    #[test]
    fn any_bytes(bytes: Vec<u8>, parents in proptest::collection::vec(-2i64..6, 0..6)) {
        let _ = manifest_cache(&bytes, &descriptors(&[1]));
        let layers: Vec<_> = parents.iter().map(|n| format!(r#"{{"blob":"{}","parent":{n}}}"#, id(1))).collect();
        let text = format!(r#"{{"layers":[{}]}}"#, layers.join(","));
        if let Ok(chains) = manifest_cache(text.as_bytes(), &descriptors(&[1])) {
            for at in 0..chains.layers.len() {
                assert!(sizes(&chains, at).len() <= chains.layers.len());
            }
        }
    }
}
