//! Manifests, indexes, configs, and the caches of BuildKit in them: two documents, with a line of `---` between.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plinth_analyze::cache;
use plinth_analyze::source::{Config, Manifest};

fuzz_target!(|data: &[u8]| {
    const BETWEEN: &[u8] = b"\n---\n";
    let at = data.windows(BETWEEN.len()).position(|window| window == BETWEEN);
    let (manifest, config) = at.map_or((data, &b"{}"[..]), |at| (&data[..at], &data[at + BETWEEN.len()..]));
    let _ = Manifest::parse(manifest);
    let _ = Config::parse(config);
    let Ok(Some(chains)) = cache::of_bytes(manifest, config) else { return };
    // Whatever it says, places are places.
    assert!(chains.layers.iter().all(|layer| layer.parent.is_none_or(|at| at < chains.layers.len())));
    for record in &chains.records {
        assert!(record.results.iter().all(|at| *at < chains.layers.len()));
        assert!(record.chains.iter().flatten().all(|at| *at < chains.layers.len()));
        assert!(record.inputs.iter().all(|at| *at < chains.records.len()));
    }
});
