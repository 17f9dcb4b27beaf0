//! What may be wasted: limits, and who keeps them.

mod dive;

use std::collections::{HashMap, HashSet};

use serde::Serialize;

pub use self::dive::{DiveError, DiveRules};

use crate::digest::Digest;
use crate::image::{Found, Image};
use crate::levels::{Analysis, Waste};

/// A limit, and what it is held against. Of shares: 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Of the stored bytes: the share that storing each file's content once would save.
    RepeatedPart(f64),
    /// The bytes that storing each file's content once would save.
    RepeatedBytes(u64),
    /// Of each image: stored bytes that its own upper layers hide.
    HiddenBytes(u64),
    /// Of each image: the share of its stored bytes that is hidden.
    HiddenPart(f64),
    /// Of each image: stored bytes that package managers left behind.
    LeftoverBytes(u64),
    /// Of each image: stored bytes of its layers.
    ImageBytes(u64),
    /// Of each image: the least efficiency, as dive reckons it.
    Efficiency(f64),
    /// Of each image: wasted bytes, as dive reckons them.
    DiveWastedBytes(u64),
    /// Of each image: wasted bytes by the bytes of all layers but the first, as dive reckons them.
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

impl Rule {
    /// What its limit is.
    #[must_use]
    pub fn unit(&self) -> Unit {
        match self {
            Self::RepeatedPart(_) | Self::HiddenPart(_) | Self::Efficiency(_) | Self::DiveWastedPart(_) => {
                Unit::Share
            }
            Self::RepeatedBytes(_)
            | Self::HiddenBytes(_)
            | Self::LeftoverBytes(_)
            | Self::ImageBytes(_)
            | Self::DiveWastedBytes(_) => Unit::Bytes,
        }
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
        let mut add = |image: Option<&Image>, value: f64, limit: f64, kept: bool| {
            verdicts.push(Verdict {
                rule: named.name.to_owned(),
                image: image.map(|image| image.name.clone()),
                platform: image.map(|image| image.platform.clone()).unwrap_or_default(),
                unit: named.rule.unit(),
                found: value,
                limit,
                kept,
            });
        };
        let files = &analysis.files.total;
        match named.rule {
            Rule::RepeatedPart(limit) => {
                let part = share(files.saving, files.stored);
                add(None, part, limit, part <= limit);
            }
            Rule::RepeatedBytes(limit) => add(None, files.saving as f64, limit as f64, files.saving <= limit),
            _ => {
                let mut seen = HashSet::new();
                for (image, waste) in found.images.iter().zip(&analysis.waste) {
                    let Some(waste) = waste else { continue };
                    if !seen.insert((&image.place, image.manifest.digest, image.config.digest)) {
                        continue;
                    }
                    let stored = image.layers.iter().map(|layer| layer.blob.size).sum();
                    let above = image.layers.iter().skip(1).filter_map(|layer| sizes.get(&layer.blob.digest));
                    let (value, limit, most) = of_image(named.rule, waste, stored, above.sum());
                    let kept = if most { value <= limit } else { value >= limit };
                    add(Some(image), value, limit, kept);
                }
            }
        }
    }
    verdicts
}

/// What an image has, the limit, and whether that is the most that it may have.
fn of_image(rule: Rule, waste: &Waste, stored: u64, user: u64) -> (f64, f64, bool) {
    match rule {
        Rule::HiddenBytes(limit) => (waste.hidden() as f64, limit as f64, true),
        Rule::HiddenPart(limit) => (share(waste.hidden(), stored), limit, true),
        Rule::LeftoverBytes(limit) => (waste.left_behind() as f64, limit as f64, true),
        Rule::ImageBytes(limit) => (stored as f64, limit as f64, true),
        Rule::Efficiency(limit) => (waste.efficiency, limit, false),
        Rule::DiveWastedBytes(limit) => (waste.by_path as f64, limit as f64, true),
        Rule::DiveWastedPart(limit) => (share(waste.by_path, user), limit, true),
        Rule::RepeatedPart(limit) => (0.0, limit, true),
        Rule::RepeatedBytes(limit) => (0.0, limit as f64, true),
    }
}

/// A part of a whole; nothing of nothing is 0.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
