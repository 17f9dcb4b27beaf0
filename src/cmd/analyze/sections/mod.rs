//! An analysis as headings, tables and lines.
//!
//! ```text
//! summary   everything at a glance
//! levels    the four levels, thing by thing
//! images    the images, and their waste
//! names     how images are named
//! caches    build caches
//! verdicts  rules, and what couldn't be read
//! drill     one image, layer, package or file
//! ```

mod caches;
pub(super) mod drill;
mod images;
mod levels;
mod names;
mod summary;
mod verdicts;

use plinth_analyze::image::Found;
use plinth_analyze::levels::{Analysis, Row};
use plinth_analyze::problem::Problem;
use plinth_analyze::rules::Verdict;

use crate::section::{Detail, Section};

/// What is to be told.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) found: &'a Found,
    pub(super) analysis: &'a Analysis,
    pub(super) problems: &'a [Problem],
    pub(super) verdicts: &'a [Verdict],
}

/// The whole report.
pub(super) fn of(told: Told<'_>, detail: Detail, top: usize) -> Vec<Section> {
    let mut sections = vec![summary::summary(told)];
    sections.extend([
        images::images(told, detail, top),
        levels::layers(told, detail, top),
        levels::packages(told, detail, top),
        levels::files(told, detail, top),
    ]);
    sections.extend(caches::caches(told, detail, top));
    sections.extend([verdicts::verdicts(told), verdicts::problems(told)]);
    sections.retain(|section| !section.rows.is_empty() || !section.lines.is_empty());
    sections
}

/// The first digits of a layer's digest: what `--layer` takes.
fn short(row: &Row) -> String {
    row.blob.digest.hex()[..12].to_owned()
}

/// A text that isn't longer than so many letters; the middle is left out.
fn shortened(text: &str, letters: usize) -> String {
    let all = text.chars().count();
    if all <= letters {
        return text.to_owned();
    }
    let (front, back) = ((letters - 1) / 2, letters - 1 - (letters - 1) / 2);
    let start: String = text.chars().take(front).collect();
    let end: String = text.chars().skip(all - back).collect();
    format!("{start}…{end}")
}

/// What made a layer, in one line.
fn command(created_by: Option<&str>) -> String {
    let text = created_by.unwrap_or_default();
    let text = text.strip_suffix("# buildkit").unwrap_or(text).trim();
    let text = text.strip_prefix("/bin/sh -c #(nop)").unwrap_or(text).trim();
    let text = text.strip_prefix("RUN /bin/sh -c").map_or(text.to_owned(), |rest| format!("RUN{rest}"));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
