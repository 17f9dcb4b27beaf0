//! What may be wasted: limits, and who keeps them.

mod dive;

use std::collections::{HashMap, HashSet};

use serde::Serialize;

pub use self::dive::{DiveError, DiveRules};

use crate::digest::Digest;
use crate::image::{Found, Image};
use crate::levels::{Analysis, Total, Waste};

/// A limit, and what it is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Everything that was read.
    All(OfAll),
    /// Each image.
    Image(OfImage),
}

/// A limit for all that is stored. Of shares: 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OfAll {
    /// Of the stored bytes: the share that storing each file's content once would save.
    RepeatedPart(f64),
    /// The bytes that storing each file's content once would save.
    RepeatedBytes(u64),
}

/// A limit for each image by itself. Of shares: 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OfImage {
    /// Stored bytes that its own upper layers hide.
    HiddenBytes(u64),
    /// The share of its stored bytes that is hidden.
    HiddenPart(f64),
    /// Stored bytes that package managers left behind.
    LeftoverBytes(u64),
    /// Stored bytes of its layers.
    Bytes(u64),
    /// The least efficiency, as dive reckons it.
    Efficiency(f64),
    /// Wasted bytes, as dive reckons them.
    DiveWastedBytes(u64),
    /// Wasted bytes by the bytes of all layers but the first, as dive reckons them.
    DiveWastedPart(f64),
}

/// A rule, by the name that it has in its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// The name.
    pub name: &'static str,
    /// The rule.
    pub rule: Rule,
}

/// What came of a rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The rule's name.
    pub rule: String,
    /// What it is about: an image; none if it is about everything.
    pub image: Option<String>,
    /// The image's platform; empty if it is about everything, or nobody says it.
    pub platform: String,
    /// What the figures are.
    pub unit: Unit,
    /// What was found.
    pub found: f64,
    /// The limit.
    pub limit: f64,
    /// Whether it is kept.
    pub kept: bool,
}

/// What a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// A share of 1.
    Share,
}

/// A figure beside its limit.
struct Held {
    unit: Unit,
    found: f64,
    limit: f64,
    kept: bool,
}

impl Held {
    fn bytes(found: u64, limit: u64) -> Self {
        Self { unit: Unit::Bytes, found: found as f64, limit: limit as f64, kept: found <= limit }
    }

    fn share(found: f64, limit: f64) -> Self {
        Self { unit: Unit::Share, found, limit, kept: found <= limit }
    }
}

/// Holds the rules against what was found. An image with several names is held against them once. An image with a layer that couldn't be read is left out here; it is a problem
/// already.
#[must_use]
pub fn judge(rules: &[Named], found: &Found, analysis: &Analysis) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let shapes =
        analysis.table.iter().filter_map(|row| Some((row.blob.digest, row.shape.as_ref()?.file_bytes)));
    let sizes: HashMap<Digest, u64> = shapes.collect();
    for named in rules {
        let mut add = |image: Option<&Image>, held: Held| {
            verdicts.push(Verdict {
                rule: named.name.to_owned(),
                image: image.map(|image| image.name.clone()),
                platform: image.map(|image| image.platform.clone()).unwrap_or_default(),
                unit: held.unit,
                found: held.found,
                limit: held.limit,
                kept: held.kept,
            });
        };
        let rule = match named.rule {
            Rule::All(rule) => {
                add(None, of_all(rule, &analysis.files.total));
                continue;
            }
            Rule::Image(rule) => rule,
        };
        let mut seen = HashSet::new();
        for (image, waste) in found.images.iter().zip(&analysis.waste) {
            let Some(waste) = waste else { continue };
            if !seen.insert((&image.place, image.manifest.digest, image.config.digest)) {
                continue;
            }
            let stored = image.layers.iter().map(|layer| layer.blob.size).sum();
            let above = image.layers.iter().skip(1).filter_map(|layer| sizes.get(&layer.blob.digest));
            add(Some(image), of_image(rule, waste, stored, above.sum()));
        }
    }
    verdicts
}

fn of_all(rule: OfAll, files: &Total) -> Held {
    match rule {
        OfAll::RepeatedPart(limit) => Held::share(share(files.saving, files.stored), limit),
        OfAll::RepeatedBytes(limit) => Held::bytes(files.saving, limit),
    }
}

/// `stored`: bytes of its layers. `user`: bytes of the files of all layers but the first.
fn of_image(rule: OfImage, waste: &Waste, stored: u64, user: u64) -> Held {
    match rule {
        OfImage::HiddenBytes(limit) => Held::bytes(waste.hidden(), limit),
        OfImage::HiddenPart(limit) => Held::share(share(waste.hidden(), stored), limit),
        OfImage::LeftoverBytes(limit) => Held::bytes(waste.left_behind(), limit),
        OfImage::Bytes(limit) => Held::bytes(stored, limit),
        OfImage::Efficiency(limit) => {
            Held { kept: waste.efficiency >= limit, ..Held::share(waste.efficiency, limit) }
        }
        OfImage::DiveWastedBytes(limit) => Held::bytes(waste.by_path, limit),
        OfImage::DiveWastedPart(limit) => Held::share(share(waste.by_path, user), limit),
    }
}

/// A part of a whole; nothing of nothing is 0.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
