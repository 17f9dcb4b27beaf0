//! The third level: packages, by the records that their installers leave.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Total;
use super::parts::{Instance, Parts};
use super::table::Table;
use crate::digest::Digest;
use crate::layer::Ecosystem;

/// All packages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Packages {
    /// All of them; a copy is one in another layer.
    #[serde(flatten)]
    pub total: Total,
    /// By ecosystem.
    pub by_ecosystem: BTreeMap<Ecosystem, Total>,
    /// Those first that would save most.
    pub list: Vec<Package>,
}

/// One package in all its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Package {
    /// Whose.
    pub ecosystem: Ecosystem,
    /// Its name.
    pub name: String,
    /// The figures over all versions.
    #[serde(flatten)]
    pub total: Total,
    /// Number of images that have it.
    pub images: usize,
    /// The versions, sorted as text.
    pub versions: Vec<Version>,
}

/// One version of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Version {
    /// As its records say.
    pub version: String,
    /// The figures.
    #[serde(flatten)]
    pub total: Total,
    /// The layers that hold it, by their place in the table, with what each takes there.
    pub layers: Vec<Held>,
}

/// A package in a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// The layer's place in the table.
    pub layer: usize,
    /// Equal where names and content of the files are, byte code left out.
    pub content: Digest,
    /// The directory it is installed in; empty for Debian.
    pub site: String,
    /// Number of files.
    pub files: u64,
    /// Bytes of their content.
    pub bytes: u64,
    /// Bytes as they are stored.
    pub stored: u64,
}

/// Puts together what the layers hold of packages.
pub(super) fn packages(table: &Table, parts: &[Parts]) -> Packages {
    type ByVersion<'a> = BTreeMap<&'a str, Vec<(usize, &'a Instance)>>;
    let mut all: BTreeMap<(Ecosystem, &str), ByVersion<'_>> = BTreeMap::new();
    for (layer, parts) in parts.iter().enumerate() {
        for instance in &parts.packages {
            let package = all.entry((instance.ecosystem, &instance.name)).or_default();
            package.entry(&instance.version).or_default().push((layer, instance));
        }
    }
    let mut packages = Packages::default();
    for ((ecosystem, name), by_version) in all {
        let mut total = Total::default();
        let mut images: BTreeSet<usize> = BTreeSet::new();
        let mut versions = Vec::new();
        for (version, instances) in by_version {
            let version = one(version, &instances);
            total += version.total;
            images.extend(instances.iter().flat_map(|(layer, _)| &table.rows[*layer].images));
            versions.push(version);
        }
        packages.total += total;
        *packages.by_ecosystem.entry(ecosystem).or_default() += total;
        let images = images.len();
        packages.list.push(Package { ecosystem, name: name.to_owned(), total, images, versions });
    }
    packages.list.sort_by(|a, b| {
        let by = |package: &Package| (package.total.saving, package.total.stored);
        by(b).cmp(&by(a)).then_with(|| (a.ecosystem, &a.name).cmp(&(b.ecosystem, &b.name)))
    });
    packages
}

fn one(version: &str, instances: &[(usize, &Instance)]) -> Version {
    // What is counted once is what is the same: a version may well have been built twice.
    let mut same: BTreeMap<Digest, (u64, u64, u64)> = BTreeMap::new();
    for (_, instance) in instances {
        let (copies, stored, largest) = same.entry(instance.content).or_default();
        *copies += 1;
        *stored += instance.stored;
        *largest = (*largest).max(instance.stored);
    }
    let mut total = Total::default();
    same.into_values().for_each(|(copies, stored, largest)| total.add(copies, stored, largest));
    let held = |(layer, instance): &(usize, &Instance)| Held {
        layer: *layer,
        content: instance.content,
        site: instance.site.clone(),
        files: instance.files,
        bytes: instance.bytes,
        stored: instance.stored,
    };
    Version { version: version.to_owned(), total, layers: instances.iter().map(held).collect() }
}
