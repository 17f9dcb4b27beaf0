//! Everything at a glance.

use std::collections::BTreeSet;

use plinth_analyze::levels::Total;

use super::Told;
use crate::amount::{bytes, count, share};
use crate::section::{Section, section};

pub(super) fn summary(told: Told<'_>) -> Section {
    let Told { found, analysis, problems, .. } = told;
    let row = |level: &str, total: &Total| {
        let Total { distinct, copies, stored, repeated, saving } = *total;
        let figures =
            [distinct.to_string(), copies.to_string(), bytes(stored), bytes(repeated), bytes(saving)];
        [level.to_owned()].into_iter().chain(figures).chain([share(saving, stored)]).collect()
    };
    let rows = vec![
        row("blobs", &analysis.blobs.total),
        row("layers", &analysis.layers.total),
        row("packages", &analysis.packages.total),
        row("files", &analysis.files.total),
    ];
    let header = ["level", "different", "there", "stored", "more than once", "could be saved", "part"];
    let mut summary = section("What is stored", &header, rows);
    let manifests: BTreeSet<_> = found.images.iter().map(|image| image.manifest.digest).collect();
    let mut what = vec![count(manifests.len(), "image")];
    if !found.caches.is_empty() {
        what.push(count(found.caches.len(), "build cache"));
    }
    let others = found.others.iter().filter(|other| other.kind != "index").count();
    if others > 0 {
        what.push(count(others, "other artifact"));
    }
    let lines = &mut summary.lines;
    let mut line = format!(
        "{} in {}: {}, {} in all",
        what.join(", "),
        count(analysis.blobs.places.len(), "place"),
        count(analysis.table.len(), "layer"),
        bytes(analysis.blobs.total.stored)
    );
    // Of caches and artifacts there is no such figure.
    if found.caches.is_empty() && others == 0 {
        line.push_str(&format!("; {} if nothing were shared", bytes(analysis.blobs.summed)));
    }
    lines.push(line);
    if analysis.blobs.places.len() > 1 {
        lines.push("below the blobs, each blob counts once, in whatever places it is".to_owned());
    }
    let could = &analysis.achievable;
    if could.packages > 0 {
        let saved = |after: u64| share(could.now.saturating_sub(after), could.now);
        lines.push(format!(
            "with plinth's layers the images would take {} instead of {} ({} less)",
            bytes(could.layered),
            bytes(could.now),
            saved(could.layered)
        ));
        if let Some(planned) = could.planned {
            lines.push(format!("with the versions of the lock {} ({} less)", bytes(planned), saved(planned)));
        }
        if could.left_by_pip > 0 {
            lines.push(format!(
                "{} of this saving are byte code and caches that pip left behind by chance",
                bytes(could.left_by_pip)
            ));
        }
    }
    if !problems.is_empty() {
        lines.push(format!("without {} that couldn't be read: see below", count(problems.len(), "thing")));
    }
    summary
}
