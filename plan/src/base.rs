//! The recipe of a master base image: the Debian packages whose presence in it pays.
//!
//! A package that a service installs with apt is a part of a layer that nobody shares: it is stored once for every such
//! service, and fetched and unpacked in every build. In the base it is stored once for all. Against that, services that
//! don't need it carry it. They do so in a layer that a node has anyway, whatever runs on it; so a byte that a service
//! carries in vain counts a quarter of one that is stored again. Whether a package pays then depends on one thing only:
//! whether one service in five installs it, since its size stands on both sides.
//!
//! A new base is new bytes for everybody, so a package near that line doesn't come and go with single services: one that is
//! in the earlier recipe stays until fewer than [`OUT`] of a hundred install it, and the image that it continues stays while
//! three quarters as many stand on it as on the most common one. For the same reason nothing in a recipe changes but these.
//!
//! Python packages aren't in it. Each of them is a layer of its own that all services with it share, whatever base they
//! stand on: in the base they would store nothing less, and services without them would carry them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use plinth_layers::apt::INVENTORY_PROGRAM;
use plinth_scan::{Class, Fleet};

/// A package is in the base if so many of a hundred services install it, and two at least.
const IN: usize = 20;
/// One that is in the base leaves it if fewer do.
const OUT: usize = 15;

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

/// The recipes for the services that move. `default` is the version of Python for a service whose base doesn't say; `before`
/// gives the earlier Dockerfile of an interpreter's recipe, if there is one.
#[must_use]
pub fn bases(fleet: &Fleet, default: &str, before: impl Fn(&str) -> Option<String>) -> Vec<Base> {
    let mut by_python: BTreeMap<String, Vec<Installing<'_>>> = BTreeMap::new();
    for service in fleet.services.iter().filter(|service| service.class == Class::Migrate) {
        let python = service.python.clone().unwrap_or_else(|| default.to_owned());
        let from = service.stages.last().map(|stage| stage.base.as_str());
        by_python.entry(python).or_default().push(Installing { from, apt: &service.apt });
    }
    let of = |(python, services): (String, Vec<Installing<'_>>)| {
        let earlier = before(&directory(&python)).and_then(|text| Earlier::parse(&text)).unwrap_or_default();
        base(python, &services, &earlier)
    };
    by_python.into_iter().filter_map(of).collect()
}

/// What counts of a service.
struct Installing<'a> {
    /// The image that it stands on.
    from: Option<&'a str>,
    /// What it installs with apt.
    apt: &'a [String],
}

/// What an earlier recipe says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Earlier {
    from: String,
    packages: BTreeSet<String>,
}

impl Earlier {
    /// None if it wasn't written here.
    fn parse(text: &str) -> Option<Self> {
        let lines = text.strip_prefix(WRITTEN)?.lines();
        let from = lines.clone().find_map(|line| line.strip_prefix("FROM "))?.to_owned();
        let packages = lines.filter_map(|line| line.strip_prefix(PACKAGE)?.strip_suffix(" \\"));
        Some(Self { from, packages: packages.map(str::to_owned).collect() })
    }
}

/// None if nothing pays.
fn base(python: String, services: &[Installing<'_>], earlier: &Earlier) -> Option<Base> {
    let from = most_common(services.iter().filter_map(|service| service.from), &earlier.from)?;
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    for package in services.iter().flat_map(|service| service.apt).filter(|package| is_name(package)) {
        *uses.entry(package).or_default() += 1;
    }
    let pays = |name: &str, count: usize| match earlier.packages.contains(name) {
        true => count * 100 >= services.len() * OUT,
        false => count > 1 && count * 100 >= services.len() * IN,
    };
    let mut packages: Vec<(String, usize)> = uses
        .into_iter()
        .filter(|(name, count)| pays(name, *count))
        .map(|(name, count)| (name.to_owned(), count))
        .collect();
    packages.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    if packages.is_empty() {
        return None;
    }
    let there: BTreeSet<&str> = packages.iter().map(|(name, _)| name.as_str()).collect();
    let installing = services.iter().filter(|service| !service.apt.is_empty());
    let covered =
        |service: &&Installing<'_>| service.apt.iter().all(|package| there.contains(package.as_str()));
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

fn most_common<'a>(all: impl Iterator<Item = &'a str>, earlier: &str) -> Option<String> {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for one in all {
        *count.entry(one).or_default() += 1;
    }
    let before = count.iter().find(|(image, _)| **image == earlier).map(|(image, count)| (*image, *count));
    // The first of those that are equally common.
    let (image, most) = count.into_iter().rev().max_by_key(|(_, count)| *count)?;
    let stays = before.filter(|(_, count)| count * 4 >= most * 3);
    Some(stays.map_or(image, |(image, _)| image).to_owned())
}

/// How each recipe begins.
const WRITTEN: &str = "# Written by `plinth plan`";
/// How the line of a package in it begins.
const PACKAGE: &str = "      ";

fn directory(python: &str) -> String {
    format!("bases/python-{python}")
}

impl Base {
    /// Its directory, relative to that of the plan.
    #[must_use]
    pub fn directory(&self) -> String {
        directory(&self.python)
    }

    /// The files of that directory, by name.
    #[must_use]
    pub fn files(&self) -> [(&'static str, String); 2] {
        [("Dockerfile", self.dockerfile()), ("inventory.sh", INVENTORY_PROGRAM.to_owned())]
    }

    fn dockerfile(&self) -> String {
        let Self { python, from, packages, .. } = self;
        // By name, and without how many services want them: another service is no reason for another base.
        let packages: BTreeSet<&String> = packages.iter().map(|(name, _)| name).collect();
        let mut out = format!("{WRITTEN}: change the services' Dockerfiles, and write it again.\n");
        let _ = writeln!(out, "# What many services on Python {python} install with apt.");
        let _ = writeln!(out, "FROM {from}");
        let _ = writeln!(out, "LABEL dev.plinth.inventory=\"1\" dev.plinth.python=\"{python}\"");
        out.push_str(
            "# Both together, so that the inventory is of the very archive that the packages are from.\n",
        );
        out.push_str("RUN --mount=type=bind,source=inventory.sh,target=/run/plinth-inventory.sh \\\n");
        out.push_str("    apt-get update \\\n && DEBIAN_FRONTEND=noninteractive apt-get install -y");
        for name in packages {
            let _ = write!(out, " \\\n{PACKAGE}{name}");
        }
        out.push_str(" \\\n && sh /run/plinth-inventory.sh \\\n && rm -rf /var/lib/apt/lists/*\n");
        out
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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

    #[test]
    fn what_is_near_the_line_stays_where_it_is() {
        let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let of = |counts: &[(&str, usize)], services: usize, on: &[(&str, usize)], before: &str| {
            let apt: Vec<Vec<String>> = (0..services)
                .map(|n| counts.iter().filter(|one| n < one.1).flat_map(|one| names(one.0)).collect())
                .collect();
            let from = on.iter().flat_map(|(image, count)| std::iter::repeat_n(*image, *count));
            let all: Vec<_> =
                apt.iter().zip(from).map(|(apt, from)| Installing { from: Some(from), apt }).collect();
            base("3.11".to_owned(), &all, &Earlier::parse(before).unwrap_or_default())
                .map(|base| base.dockerfile())
        };
        let first = of(&[("git", 9), ("curl", 4), ("jq", 3)], 20, &[("a", 20)], "").unwrap();
        assert!(first.contains("      curl \\\n      git \\\n &&"), "{first}");
        // More services, and others that are more popular: not a byte.
        let more = [("git", 9), ("curl", 11), ("jq", 3)];
        assert_eq!(of(&more, 23, &[("a", 13), ("b", 10)], &first).unwrap(), first);
        // 4 of 24 are less than one in five, and 3 of 24 less than 15 %.
        assert_eq!(of(&[("git", 9), ("curl", 4)], 24, &[("a", 11), ("b", 13)], &first).unwrap(), first);
        let later = of(&[("git", 9), ("curl", 3)], 24, &[("a", 10), ("b", 14)], &first).unwrap();
        assert!(!later.contains("curl") && later.contains("FROM b\n"), "{later}");
        // Without an earlier one, or with somebody else's, the line is at one in five.
        for before in ["", "FROM a\nRUN apt-get install -y \\\n      curl \\\n && true\n"] {
            assert!(!of(&[("git", 9), ("curl", 4)], 24, &[("a", 24)], before).unwrap().contains("curl"));
        }
        assert_eq!(of(&[("curl", 3)], 24, &[("a", 24)], &first), None);
    }
}
