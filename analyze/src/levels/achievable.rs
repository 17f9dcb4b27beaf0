//! What plinth's layering would store for the same images.
//!
//! Without a plan: each distribution that the images install is stored once for each directory it is installed in, as often
//! as its content differs; what differs from install to install stays with its image, and what a run of pip leaves behind by
//! chance isn't there. With a plan, a distribution has the version that the fleet's lock has for it. A base's own
//! layers stay as they are, and so does everything that isn't a Python package.
//!
//! The figures are made of the bytes that these files take in the layers as they are. In layers of their own they compress
//! a little differently, and a layer has a header for each directory on the way to its files.

use std::collections::BTreeMap;

use plinth_layers::lock::Lock;
use serde::Serialize;

use super::parts::{Instance, Parts};
use super::table::Table;
use crate::image::Image;
use crate::layer::Ecosystem;

/// What would be stored, in stored bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Achievable {
    /// Layers and configs of the images as they are, each once.
    pub now: u64,
    /// Those of plinth's layering.
    pub layered: u64,
    /// Those of plinth's layering with the lock's versions, if there is a lock.
    pub planned: Option<u64>,
    /// What is the same in all of them: configs, bases, everything but distributions.
    pub rest: u64,
    /// What pip writes beside the wheels' files.
    pub records: u64,
    /// What a run of pip leaves behind: byte code of modules that it didn't install, and its cache. It isn't in
    /// `layered`, but that is no saving that anybody asked for.
    pub left_by_pip: u64,
    /// Distributions as they are stored now.
    pub packages: u64,
    /// Distributions, each once.
    pub packages_layered: u64,
    /// Distributions in the versions of the lock, each once.
    pub packages_planned: Option<u64>,
}

/// Reckons it up.
pub(super) fn achievable(
    images: &[Image],
    table: &Table,
    parts: &[Parts],
    lock: Option<&Lock>,
) -> Achievable {
    let bases = bases(images, table, parts);
    let configs: BTreeMap<_, u64> =
        images.iter().map(|image| (image.config.digest, image.config.size)).collect();
    let mut sum = Achievable { rest: configs.values().sum(), ..Achievable::default() };
    sum.now = sum.rest + table.rows.iter().map(|row| row.blob.size).sum::<u64>();
    let mut once: BTreeMap<_, u64> = BTreeMap::new();
    let mut planned: BTreeMap<_, (bool, u64)> = BTreeMap::new();
    for (at, parts) in parts.iter().enumerate() {
        if bases[at] {
            sum.rest += table.rows[at].blob.size;
            continue;
        }
        sum.rest += parts.rest;
        sum.records += parts.records;
        sum.left_by_pip += parts.stray_byte_code + parts.pip_cache;
        for instance in &parts.packages {
            if instance.ecosystem != Ecosystem::Python {
                sum.rest += instance.stored;
                continue;
            }
            sum.packages += instance.stored;
            let largest = |bytes: &mut u64| *bytes = (*bytes).max(instance.stored);
            let key = (&instance.name, &instance.site, &instance.version, instance.content);
            largest(once.entry(key).or_default());
            if let Some(lock) = lock {
                let (version, known) = chosen(lock, instance);
                // The bytes of another version stand in for one that no image has.
                let kept = planned.entry((&instance.name, &instance.site, version)).or_default();
                // True is the greater one: of two that are the version itself, or both stand in, the larger stays.
                *kept = (*kept).max((known, instance.stored));
            }
        }
    }
    sum.packages_layered = once.values().sum();
    sum.layered = sum.rest + sum.records + sum.packages_layered;
    if lock.is_some() {
        let packages = planned.values().map(|(_, bytes)| bytes).sum();
        sum.packages_planned = Some(packages);
        sum.planned = Some(sum.rest + sum.records + packages);
    }
    sum
}

/// The version that the lock has for a distribution, and whether that is the one that is there.
fn chosen<'a>(lock: &'a Lock, instance: &'a Instance) -> (&'a str, bool) {
    let python = instance.site.split('/').rev().find_map(|name| name.strip_prefix("python"));
    let mut packages = lock
        .package
        .iter()
        .filter(|package| Some(package.python.as_str()) == python && package.name == instance.name);
    // A version that the lock has for some service: it has it since that service needs it.
    if packages.clone().any(|package| package.version == instance.version) {
        return (&instance.version, true);
    }
    match packages.find(|package| !package.apart) {
        Some(package) => (&package.version, false),
        None => (&instance.version, true),
    }
}

/// Which layers are those of bases: up to the one that brings the interpreter, in any image.
fn bases(images: &[Image], table: &Table, parts: &[Parts]) -> Vec<bool> {
    let mut bases = vec![false; table.rows.len()];
    for image in images {
        let layers: Vec<usize> =
            image.layers.iter().filter_map(|layer| table.at(&layer.blob.digest)).collect();
        let interpreter = layers.iter().position(|at| parts[*at].interpreter);
        for at in layers.iter().take(interpreter.map_or(0, |at| at + 1)) {
            bases[*at] = true;
        }
    }
    bases
}
