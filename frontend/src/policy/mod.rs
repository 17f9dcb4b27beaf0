//! The policy: which base images are replaced by which master, and which are left alone.
//!
//! One file, `plinth.toml`, is what a platform team edits. This module reads it, checks it and answers one question,
//! [`Policy::decide`]: what happens to an image that a Dockerfile builds on. It looks at names only. Whether the master
//! can stand in for an image (same system, same libc, same interpreter) is read from the two images by the pass that
//! does the substitution, not here.
//!
//! ```text
//! file        plinth.toml -> Policy, with every check and every message
//! pattern     the globs of `replaces` and `keep`
//! reference   image references and their familiar names
//! keep        the built-in keep rules, with their reasons
//! error       what is wrong, where, and what to do
//! ```
//!
//! # Who wins
//!
//! For one image, the first of these that applies:
//!
//! 1. **`[keep]` of the file.** It wins over every `[[base]]`: a team that writes an image down here means it.
//! 2. **A `[[base]]` whose `replaces` names the repository in full** (no wildcard before the tag). Whoever writes
//!    `pytorch/pytorch:2.2*` has looked at that image, so it overrides rule 3.
//! 3. **The built-in keep rules** (databases, CUDA, …). A wildcard such as `*/*` never takes a database along.
//! 4. **Any other `replaces` pattern.**
//! 5. **`move_from`.** A base with `replaces = ["python:3.12*"]` and `move_from = ["3.11"]` also takes what
//!    `python:3.11*` matches. These derived patterns come last, so an explicit pattern of another base goes first.
//!    Rules 1 and 3 hold here as they do above.
//!
//! Inside one rule the order of the file decides. An image that is itself the master of a base isn't replaced by it.

mod analyze;
mod error;
mod file;
mod keep;
mod pattern;
mod reference;

pub use analyze::{AnalyzeLimits, parse_bytes};
pub use error::{Position, Problem};
pub use file::PolicyError;
pub use keep::{Class, KeepRule, built_in_rules};
pub use pattern::{ImagePattern, PatternError};
pub use reference::{Reference, ReferenceError, familiar};

/// A checked policy.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The masters, in the order of the file.
    pub bases: Vec<Base>,
    /// The images of `[keep]`, in the order of the file.
    pub keep: Vec<ImagePattern>,
    /// What a build has to save.
    pub gates: Gates,
    /// What `plinth analyze` lets pass.
    pub analyze: AnalyzeLimits,
}

/// A master image and what it stands in for.
#[derive(Clone, Debug)]
pub struct Base {
    /// The name under which the report speaks of it. Unique in the policy.
    pub name: String,
    /// The image.
    pub image: Reference,
    /// The images it replaces, by familiar name. Never empty.
    pub replaces: Vec<ImagePattern>,
    /// The Python versions, as `X.Y`, that may move to the master's version.
    pub move_from: Vec<String>,
    /// The patterns that `move_from` adds; see the module's "Who wins".
    moved: Vec<ImagePattern>,
    /// The line of `plinth.toml` on which this base's name stands, counted from 1.
    pub line: usize,
}

/// What has to be saved, as shares of 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gates {
    /// The share of the unique compressed bytes that must go. 0.60 if the file says nothing.
    pub size_saved: f64,
    /// The share of the build time that must go. 0.70 if the file says nothing.
    pub build_time_saved: f64,
}

impl Default for Gates {
    fn default() -> Self {
        Self { size_saved: 0.60, build_time_saved: 0.70 }
    }
}

/// What the policy says about one image.
#[derive(Clone, Debug)]
pub enum BaseDecision<'a> {
    /// The image stays.
    Keep {
        /// Why, as a sentence without its full stop.
        reason: String,
        /// The pattern that matched, as it is written.
        rule: String,
    },
    /// The image is to be replaced, if the two images allow it.
    Replace {
        /// By this master.
        base: &'a Base,
        /// The pattern that matched.
        rule: &'a ImagePattern,
    },
    /// The policy doesn't speak of this image.
    Unmatched,
}

impl Policy {
    /// What happens to the image of this familiar name (see [`familiar`]), by the order of the module's
    /// documentation. A name that can't be read as an image reference is [`BaseDecision::Unmatched`].
    pub fn decide(&self, familiar: &str) -> BaseDecision<'_> {
        let Ok(image) = Reference::parse(familiar) else { return BaseDecision::Unmatched };
        if let Some(rule) = self.keep.iter().find(|p| p.matches(&image)) {
            let rule = rule.to_string();
            return BaseDecision::Keep { reason: format!("the policy keeps `{rule}`"), rule };
        }
        if let Some((base, rule)) = self.find(&image, |p| p.names_repository()) {
            return BaseDecision::Replace { base, rule };
        }
        if let Some(rule) = keep::find(&image) {
            return BaseDecision::Keep { reason: rule.reason(), rule: rule.pattern().to_owned() };
        }
        let moved = || {
            let mut candidates = self.bases.iter().filter(|b| !b.image.same_name(&image));
            candidates.find_map(|b| b.moved.iter().find(|p| p.matches(&image)).map(|p| (b, p)))
        };
        match self.find(&image, |_| true).or_else(moved) {
            Some((base, rule)) => BaseDecision::Replace { base, rule },
            None => BaseDecision::Unmatched,
        }
    }

    /// The first base, with its pattern, that replaces this image by a pattern of the wanted kind.
    fn find(&self, image: &Reference, wanted: fn(&ImagePattern) -> bool) -> Option<(&Base, &ImagePattern)> {
        let candidates = self.bases.iter().filter(|b| !b.image.same_name(image));
        candidates
            .flat_map(|b| b.replaces.iter().map(move |p| (b, p)))
            .find(|(_, p)| wanted(p) && p.matches(image))
    }
}

impl Base {
    /// Whether a service on Python `original` may run on this master, which has Python `master` (both `X.Y`, read
    /// from the images).
    ///
    /// # Errors
    /// The reason why not, as a sentence without its full stop, with what to do about it.
    pub fn accepts_minor(&self, original: &str, master: &str) -> Result<(), String> {
        if original == master || self.move_from.iter().any(|v| v == original) {
            return Ok(());
        }
        Err(format!(
            "the image has Python {original} and the base `{}` has Python {master}; to let such services move, add \
             move_from = [\"{original}\"] to that base",
            self.name
        ))
    }
}

#[cfg(test)]
mod tests;
