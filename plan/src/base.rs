//! The recipe of a master base image: the Debian packages whose presence in it pays.
//!
//! A package that a service installs with apt is a part of a layer that nobody shares: it is stored once for every such
//! service, and fetched and unpacked in every build. In the base it is stored once for all. Against that, services that
//! don't need it carry it. They do so in a layer that a node has anyway, whatever runs on it; so a byte that a service
//! carries in vain counts a quarter of one that is stored again. Whether a package pays then depends on one thing only:
//! whether one service in [`ONE_IN`] installs it, since its size stands on both sides.
//!
//! Python packages aren't in it. Each of them is a layer of its own that all services with it share, whatever base they
//! stand on: in the base they would store nothing less, and services without them would carry them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use plinth_layers::apt::INVENTORY_PROGRAM;
use plinth_scan::{Class, Fleet, Service};

/// A package is in the base if one service in so many installs it.
const ONE_IN: usize = 5;

/// The recipe of a base image for one interpreter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// `X.Y`.
    pub python: String,
    /// The image that it continues: the one that most services stand on.
    pub from: String,
    /// The packages, with how many services install each; the most popular first.
    pub packages: Vec<(String, usize)>,
    /// The services of the interpreter.
    pub services: usize,
    /// Those that install something with apt.
    pub installing: usize,
    /// Those that install nothing with apt but what is in the base.
    pub covered: usize,
}

/// The recipes for the services that move. `default` is the version of Python for a service whose base doesn't say.
#[must_use]
pub fn bases(fleet: &Fleet, default: &str) -> Vec<Base> {
    let mut by_python: BTreeMap<String, Vec<&Service>> = BTreeMap::new();
    for service in fleet.services.iter().filter(|service| service.class == Class::Migrate) {
        let python = service.python.clone().unwrap_or_else(|| default.to_owned());
        by_python.entry(python).or_default().push(service);
    }
    by_python.into_iter().filter_map(|(python, services)| base(python, &services)).collect()
}

/// None if nothing pays.
fn base(python: String, services: &[&Service]) -> Option<Base> {
    let from = most_common(services.iter().filter_map(|service| Some(&service.stages.last()?.base)))?;
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    for package in services.iter().flat_map(|service| &service.apt).filter(|package| is_name(package)) {
        *uses.entry(package).or_default() += 1;
    }
    let pays = |count: usize| count > 1 && count * ONE_IN >= services.len();
    let mut packages: Vec<(String, usize)> = uses
        .into_iter()
        .filter(|(_, count)| pays(*count))
        .map(|(name, count)| (name.to_owned(), count))
        .collect();
    packages.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    if packages.is_empty() {
        return None;
    }
    let there: BTreeSet<&str> = packages.iter().map(|(name, _)| name.as_str()).collect();
    let installing = services.iter().filter(|service| !service.apt.is_empty());
    let covered = |service: &&&Service| service.apt.iter().all(|package| there.contains(package.as_str()));
    let (installing, covered) = (installing.clone().count(), installing.clone().filter(covered).count());
    Some(Base { python, from, services: services.len(), installing, covered, packages })
}

/// The name of a package of Debian, and nothing else that apt takes.
fn is_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() > 1
        && text.bytes().next().is_some_and(letter)
        && text.bytes().all(|byte| letter(byte) || matches!(byte, b'+' | b'-' | b'.'))
}

fn most_common<'a>(all: impl Iterator<Item = &'a String>) -> Option<String> {
    let mut count: BTreeMap<&String, usize> = BTreeMap::new();
    for one in all {
        *count.entry(one).or_default() += 1;
    }
    // The first of those that are equally common.
    count.into_iter().rev().max_by_key(|(_, count)| *count).map(|(image, _)| image.clone())
}

impl Base {
    /// Its directory, relative to that of the plan.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("bases/python-{}", self.python)
    }

    /// The files of that directory, by name.
    #[must_use]
    pub fn files(&self) -> [(&'static str, String); 2] {
        [("Dockerfile", self.dockerfile()), ("inventory.sh", INVENTORY_PROGRAM.to_owned())]
    }

    fn dockerfile(&self) -> String {
        let Self { python, from, packages, services, installing, covered } = self;
        let mut out = String::from(
            "# Written by `plinth plan`: change the services' Dockerfiles, and write it again.\n",
        );
        let _ = writeln!(out, "#");
        let _ = writeln!(
            out,
            "# {services} services are on Python {python}; {installing} install something with apt, and {covered} of these nothing but:"
        );
        for (name, count) in packages {
            let _ = writeln!(out, "#   {name} ({count})");
        }
        let _ = writeln!(out, "FROM {from}");
        let _ = writeln!(out, "LABEL dev.plinth.inventory=\"1\" dev.plinth.python=\"{python}\"");
        out.push_str(
            "# Both together, so that the inventory is of the very archive that the packages are from.\n",
        );
        out.push_str("RUN --mount=type=bind,source=inventory.sh,target=/run/plinth-inventory.sh \\\n");
        out.push_str("    apt-get update \\\n && DEBIAN_FRONTEND=noninteractive apt-get install -y");
        for (name, _) in packages {
            let _ = write!(out, " \\\n      {name}");
        }
        out.push_str(" \\\n && sh /run/plinth-inventory.sh \\\n && rm -rf /var/lib/apt/lists/*\n");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_packages() {
        for name in ["g++", "libgl1", "python3.11-dev", "build-essential"] {
            assert!(is_name(name), "{name}");
        }
        for other in ["git=1:2.39", "libc6:i386", "-y", "$X", "a", "Curl", "x y", "pkg/stable"] {
            assert!(!is_name(other), "{other}");
        }
    }

    #[test]
    fn a_recipe() {
        let base = Base {
            python: "3.11".to_owned(),
            from: "python:3.11-slim".to_owned(),
            packages: vec![("curl".to_owned(), 3), ("git".to_owned(), 2)],
            services: 5,
            installing: 4,
            covered: 3,
        };
        let text = base.dockerfile();
        assert!(text.contains("\nFROM python:3.11-slim\n"), "{text}");
        assert!(text.contains(" apt-get install -y \\\n      curl \\\n      git \\\n && sh "), "{text}");
        assert!(!text.contains("USER") && !text.contains("ENTRYPOINT"), "{text}");
    }
}
