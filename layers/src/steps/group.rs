//! `plinth step group`: several wheels into one payload tree, which is a layer that the fleet's lock names.
//!
//! The tree is what the payloads of its wheels come to together, file by file: neither which wheels share a layer nor
//! their order shows in it.

use std::fs;
use std::path::Path;

use super::payload::{self, Error, PayloadSpec};
use super::summary::Mark;
use crate::install::compile::{at_once, in_order};
use crate::tree::fs::{self as tree_fs, Context as _, IoError};

/// The directory in `out` in which each wheel is spread by itself first.
const STAGE: &str = ".plinth-stage";

/// Spreads the wheels, `N/FILENAME` below `wheels`, together over `out`, and describes each in `N/` of `meta`; the
/// [marks](Mark) of all are in `meta` itself. Gives what is to be said about broken wheels, as [`payload::answer`] does.
///
/// # Errors
/// As [`payload::answer`].
pub fn run(specs: &[PayloadSpec], wheels: &Path, out: &Path, meta: &Path) -> Result<Vec<String>, Error> {
    let stage = out.join(STAGE);
    let spread = |(number, spec): &(usize, &PayloadSpec)| -> Result<Option<String>, Error> {
        let (tree, described) = (stage.join(number.to_string()), meta.join(number.to_string()));
        for directory in [&tree, &described] {
            fs::create_dir_all(directory).context("create the directory", directory)?;
        }
        let wheel = wheels.join(number.to_string()).join(&spec.filename);
        payload::answer(spec, &wheel, &tree, &described)
    };
    let numbered: Vec<(usize, &PayloadSpec)> = specs.iter().enumerate().collect();
    let mut refused = Vec::new();
    for (number, answer) in in_order(&numbered, at_once(), spread).into_iter().enumerate() {
        refused.extend(answer?);
        hoist(&meta.join(number.to_string()), meta)?;
        merge(&stage.join(number.to_string()), out)?;
    }
    fs::remove_dir(&stage).context("remove", &stage)?;
    for directory in [out, meta] {
        tree_fs::settle_directories(directory)?;
    }
    Ok(refused)
}

/// Moves the mark of a payload up, to those of the others.
fn hoist(described: &Path, meta: &Path) -> Result<(), IoError> {
    for (name, _) in tree_fs::list(described)? {
        if name.to_str().is_some_and(|name| Mark::parse(name).is_some()) {
            let from = described.join(&name);
            fs::rename(&from, meta.join(&name)).context("move", &from)?;
        }
    }
    Ok(())
}

/// Moves a tree into another. What is there already is the same, or no step takes this layer: see `record`.
fn merge(from: &Path, to: &Path) -> Result<(), IoError> {
    for (name, kind) in tree_fs::list(from)? {
        let (source, target) = (from.join(&name), to.join(&name));
        if kind.is_dir() && target.is_dir() {
            merge(&source, &target)?;
        } else {
            fs::rename(&source, &target).context("move", &source)?;
        }
    }
    fs::remove_dir(from).context("remove", from)
}
