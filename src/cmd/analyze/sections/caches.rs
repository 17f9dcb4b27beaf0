//! Build caches: what they hold, and for whom.

use plinth_analyze::cache::CacheKind;

use super::{Told, shortened};
use crate::amount::bytes;
use crate::section::{Detail, Section, section};

pub(super) fn caches(told: Told<'_>, detail: Detail, top: usize) -> [Section; 2] {
    let caches = &told.analysis.caches;
    let row = |cache: &plinth_analyze::levels::CacheRow| {
        vec![
            shortened(&cache.name, 44),
            cache.records.to_string(),
            cache.layers.to_string(),
            bytes(cache.stored),
            bytes(cache.unused),
            // The layers of an inline cache are those of its image.
            match cache.kind {
                CacheKind::Inline => "-".to_owned(),
                CacheKind::Manifest => bytes(cache.unreachable),
            },
        ]
    };
    let rows = caches.list.iter().map(row).collect();
    let header = ["cache", "records", "layers", "stored", "in no image", "of no use"];
    let mut all = section("Build caches", &header, rows);
    if !caches.list.is_empty() {
        all.lines.push(format!(
            "{} of layers: {} in no image, {} in several caches, {} there in another compression too",
            bytes(caches.stored),
            bytes(caches.unused),
            bytes(caches.in_several),
            bytes(caches.recompressed)
        ));
    }
    let mut rows: Vec<(u64, Vec<String>)> = Vec::new();
    for cache in &caches.list {
        for served in &cache.serves {
            let image = &told.found.images[served.image];
            let layers = format!("{} of {}", served.layers, served.of);
            let names = vec![shortened(&image.name, 40), shortened(&cache.name, 40)];
            rows.push((served.stored, names.into_iter().chain([layers, bytes(served.stored)]).collect()));
        }
    }
    rows.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let rows = rows.into_iter().map(|(_, row)| row).collect();
    let serves =
        section("What the caches would serve of a build", &["image", "cache", "layers", "bytes"], rows);
    [all.at_most(top, detail), serves.at_most(top, detail)]
}
