//! What plinth did to one build, and why.
//!
//! One document, four readers: the image label, `plinth report`, `plinth explain` and `plinth compare`. It holds
//! decisions only. Times would make two equal builds differ, and URLs may hold credentials, so neither is ever in it.
//!
//! ```text
//! redact     taking URLs and credentials out of commands and reasons
//! text       for a terminal
//! markdown   for a pull request or a job summary
//! ```

mod markdown;
mod redact;
mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use markdown::render_markdown;
pub use redact::redact;
pub use text::{Plain, Role, Style, WIDTH, render, render_with};

/// The key of the image label that holds [`Report::to_label`].
pub const LABEL: &str = "dev.plinth.report";

/// The version of the document. A reader refuses every other.
pub const SCHEMA_VERSION: u32 = 1;

/// The longest command and the longest reason that are kept, in characters.
const MAX_TEXT: usize = 300;

/// What was done to a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The version of plinth that built it.
    pub plinth: String,
    /// One entry per platform of the build.
    pub platforms: Vec<Platform>,
}

/// What was done for one platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// The platform, like `linux/amd64` or `linux/arm/v7`.
    pub platform: String,
    /// The base images of the build's stages.
    pub bases: Vec<BaseEntry>,
    /// The steps that were looked at.
    pub steps: Vec<StepEntry>,
}

/// One base image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseEntry {
    /// The stage that builds on it, if it has a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// The image's familiar name.
    pub image: String,
    /// The line of the FROM, counted from 1, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// What was done.
    #[serde(flatten)]
    pub action: BaseAction,
}

/// What was done about a base image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum BaseAction {
    /// A master took its place.
    Substituted {
        /// The name of the base in the policy.
        by: String,
        /// The master's name.
        by_image: String,
        /// The master's digest, with its algorithm.
        digest: String,
    },
    /// The policy, or a built-in rule, keeps it.
    Kept {
        /// Why.
        reason: String,
    },
    /// The policy would replace it, but the images or the build don't allow it.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepEntry {
    /// The stage it is in, if that has a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Its line, counted from 1, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The command, without URLs and credentials.
    pub command: String,
    /// What was done.
    #[serde(flatten)]
    pub treatment: Treatment,
}

/// What was done about a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "treatment", rename_all = "snake_case")]
pub enum Treatment {
    /// Its result was put together from package layers, without running it.
    Assembled {
        /// How many distributions it installs.
        distributions: u32,
        /// How many layers it became, the record layer included.
        layers: u32,
        /// The distributions with a layer of their own, which other images share, each as `name version`.
        shared: Vec<String>,
        /// How many distributions are together in the tail layer, which isn't shared.
        tail: u32,
        /// Files that the shell makes of what the installer prints: an unquoted `>=` is a redirection.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        outputs: Vec<String>,
        /// Its versions are those of the fleet's lock, if `outside_lock` doesn't say otherwise of some install.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        locked: bool,
        /// Why its versions aren't those of the fleet's lock, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outside_lock: Option<String>,
        /// What it runs beside the installs, by itself and as it is written.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        runs: Vec<String>,
    },
    /// A COPY from another stage: the package layers in it came along, and only the rest was copied.
    Carried {
        /// How many layers it became, that of the rest included.
        layers: u32,
        /// The distributions whose layers came along, each as `name version`.
        shared: Vec<String>,
    },
    /// It ran as it is written, and what it left was cut into package layers and one layer with the rest.
    Split {
        /// How many layers it became, that of the rest included.
        layers: u32,
        /// The distributions with a layer of their own, each as `name version`.
        shared: Vec<String>,
        /// Why it wasn't assembled.
        reason: String,
    },
    /// What it asks for was there already, so it was removed.
    Satisfied {
        /// Why that is certain.
        reason: String,
    },
    /// It ran just as it is written.
    AsWritten {
        /// Why.
        reason: String,
    },
}

/// A label that isn't a report this release can read.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// Not the document.
    #[error("the label {LABEL} isn't a plinth report: {0}; was the image changed after it was built?")]
    Malformed(#[from] serde_json::Error),
    /// Another version of the document.
    #[error(
        "the label {LABEL} has version {found} of the report, and this release reads version {SCHEMA_VERSION}; use the \
         plinth release that built the image, or a later one"
    )]
    Version {
        /// The version in the label.
        found: u64,
    },
}

/// How often each thing was done, over all platforms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Base images replaced.
    pub substituted: usize,
    /// Base images kept.
    pub kept: usize,
    /// Substitutions refused.
    pub refused: usize,
    /// Steps assembled.
    pub assembled: usize,
    /// Copies that took layers along.
    pub carried: usize,
    /// Steps that ran, and whose result was cut into layers.
    pub split: usize,
    /// Steps satisfied already.
    pub satisfied: usize,
    /// Steps that ran as written.
    pub as_written: usize,
}

impl Report {
    /// An empty report of this release.
    pub fn new() -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            plinth: env!("CARGO_PKG_VERSION").to_owned(),
            platforms: Vec::new(),
        }
    }

    /// The label's text: one line of JSON, the same for the same decisions whatever the order in which they were
    /// made. Every command and every reason goes through [`redact`] once more.
    pub fn to_label(&self) -> String {
        let mut report = self.clone();
        report.platforms.sort_by(|a, b| a.platform.cmp(&b.platform));
        for platform in &mut report.platforms {
            platform.tidy();
        }
        // Strings, numbers and lists: there is nothing here that could fail to serialise.
        serde_json::to_string(&report).unwrap_or_default()
    }

    /// Reads a label's text.
    ///
    /// # Errors
    /// [`LabelError`] if it isn't a report, or one of another version.
    pub fn from_label(text: &str) -> Result<Self, LabelError> {
        #[derive(Deserialize)]
        struct Version {
            schema_version: u64,
        }
        let Version { schema_version: found } = serde_json::from_str(text)?;
        if found != u64::from(SCHEMA_VERSION) {
            return Err(LabelError::Version { found });
        }
        Ok(serde_json::from_str(text)?)
    }

    /// Whether the build differs from a plain one: something was substituted, assembled or removed. Only such an image
    /// carries the label.
    pub fn rewritten(&self) -> bool {
        let summary = self.summary();
        summary.substituted + summary.assembled + summary.carried + summary.split + summary.satisfied > 0
    }

    /// How often each thing was done.
    pub fn summary(&self) -> Summary {
        let mut sum = Summary::default();
        for base in self.platforms.iter().flat_map(|p| &p.bases) {
            match base.action {
                BaseAction::Substituted { .. } => sum.substituted += 1,
                BaseAction::Kept { .. } => sum.kept += 1,
                BaseAction::Refused { .. } => sum.refused += 1,
            }
        }
        for step in self.platforms.iter().flat_map(|p| &p.steps) {
            match step.treatment {
                Treatment::Assembled { .. } => sum.assembled += 1,
                Treatment::Carried { .. } => sum.carried += 1,
                Treatment::Split { .. } => sum.split += 1,
                Treatment::Satisfied { .. } => sum.satisfied += 1,
                Treatment::AsWritten { .. } => sum.as_written += 1,
            }
        }
        sum
    }

    /// The platforms, those with equal decisions together, in the order of their first occurrence.
    fn grouped(&self) -> Vec<(String, &Platform)> {
        let mut groups: Vec<(String, &Platform)> = Vec::new();
        for platform in &self.platforms {
            let same = |other: &Platform| other.bases == platform.bases && other.steps == platform.steps;
            match groups.iter_mut().find(|(_, other)| same(other)) {
                Some((names, _)) => {
                    names.push_str(", ");
                    names.push_str(&platform.platform);
                }
                None => groups.push((platform.platform.clone(), platform)),
            }
        }
        groups
    }
}

impl Default for Report {
    fn default() -> Self {
        Self::new()
    }
}

impl Platform {
    /// Sorted by line, without duplicates, redacted.
    fn tidy(&mut self) {
        let bases = std::mem::take(&mut self.bases).into_iter().map(|mut base| {
            match &mut base.action {
                BaseAction::Kept { reason } | BaseAction::Refused { reason } => *reason = shown(reason),
                BaseAction::Substituted { .. } => {}
            }
            ((base.line, base.stage.clone(), base.image.clone(), format!("{:?}", base.action)), base)
        });
        self.bases = bases.collect::<BTreeMap<_, _>>().into_values().collect();
        for step in &mut self.steps {
            step.command = shown(&step.command);
            match &mut step.treatment {
                Treatment::Assembled { shared, outputs, outside_lock, runs, .. } => {
                    shared.sort();
                    shared.dedup();
                    outputs.iter_mut().chain(runs).chain(outside_lock).for_each(|text| *text = shown(text));
                }
                Treatment::Carried { shared, .. } => shared.sort(),
                Treatment::Split { shared, reason, .. } => {
                    shared.sort();
                    *reason = shown(reason);
                }
                Treatment::Satisfied { reason } | Treatment::AsWritten { reason } => *reason = shown(reason),
            }
        }
        // Two steps can be equal and still be two, so these keep their number.
        self.steps.sort_by_key(|step| {
            (step.line, step.stage.clone(), step.command.clone(), format!("{:?}", step.treatment))
        });
    }
}

impl StepEntry {
    /// An entry for a step. The command may hold URLs, credentials and newlines: it is redacted, put on one line and
    /// cut at 300 characters.
    pub fn new(stage: Option<String>, line: Option<u32>, command: &str, treatment: Treatment) -> Self {
        Self { stage, line, command: shown(command), treatment }
    }
}

/// A text as the report holds it.
fn shown(text: &str) -> String {
    let redacted = redact(text);
    let line = one_line(&redacted);
    match line.char_indices().nth(MAX_TEXT) {
        Some(_) => {
            let cut: String = line.chars().take(MAX_TEXT - 1).collect();
            format!("{}…", cut.trim_end_matches([' ', '…']))
        }
        None => line,
    }
}

/// On one line, and without characters that steer a terminal: a label is other people's text.
fn one_line(text: &str) -> String {
    let words: Vec<String> = text
        .split_whitespace()
        .map(|w| w.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect())
        .collect();
    words.join(" ")
}

/// Control characters, and those that change the direction of text.
fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests;
