//! Package by package: do the specifiers of all services leave one version, and if not, who stands in the way?
//!
//! That is asked of the specifiers alone. Whether a version that they leave exists, and resolves with all others, is for
//! an index and a resolver to say (`plinth plan`).

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use pep440_rs::{Operator, Version, VersionSpecifiers};
use serde::Serialize;

use crate::service::Service;

/// A package that services ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// Its normalized name.
    pub name: String,
    /// How many services ask for it.
    pub services: usize,
    /// The distinct specifiers, the most frequent first.
    pub specifiers: Vec<SpecifierUse>,
    /// Whether one version satisfies all of them.
    pub one_version: bool,
    /// If not: the specifiers that the version satisfying most services leaves out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub in_the_way: Vec<SpecifierUse>,
}

/// A specifier, and who has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpecifierUse {
    /// Empty: any version.
    pub specifier: String,
    /// The services, sorted.
    pub services: Vec<String>,
}

/// The packages of these services, the most wanted first.
pub(crate) fn of(services: &[Service]) -> Vec<Conflict> {
    let mut packages: BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    for service in services {
        for requirement in service.requirements.iter().filter(|requirement| !requirement.by_url) {
            let uses = packages.entry(&requirement.name).or_default();
            uses.entry(&requirement.specifier).or_default().insert(&service.name);
        }
    }
    let mut all: Vec<Conflict> = packages.into_iter().map(|(name, uses)| conflict(name, &uses)).collect();
    all.sort_by(|a, b| {
        (b.services, b.specifiers.len(), &a.name).cmp(&(a.services, a.specifiers.len(), &b.name))
    });
    all
}

fn conflict(name: &str, uses: &BTreeMap<&str, BTreeSet<&str>>) -> Conflict {
    let everybody: BTreeSet<&str> = uses.values().flatten().copied().collect();
    let entry = |(specifier, services): (&&str, &BTreeSet<&str>)| SpecifierUse {
        specifier: (*specifier).to_owned(),
        services: services.iter().map(|service| (*service).to_owned()).collect(),
    };
    let mut specifiers: Vec<SpecifierUse> = uses.iter().map(entry).collect();
    specifiers.sort_by(|a, b| (b.services.len(), &a.specifier).cmp(&(a.services.len(), &b.specifier)));
    let parsed: Vec<VersionSpecifiers> = specifiers
        .iter()
        // What was parsed once is parsed again; a version that can't be compared (`===`) satisfies nothing else.
        .map(|entry| VersionSpecifiers::from_str(&entry.specifier).unwrap_or_default())
        .collect();
    let left_out = |version: &Version| -> Vec<usize> {
        (0..parsed.len()).filter(|index| !parsed[*index].contains(version)).collect()
    };
    let weight = |indexes: &[usize]| -> usize {
        let services = indexes.iter().flat_map(|index| &specifiers[*index].services);
        services.collect::<BTreeSet<_>>().len()
    };
    // Of several that satisfy as many services, the newest.
    let best = candidates(&parsed)
        .into_iter()
        .map(|version| {
            let out = left_out(&version);
            (weight(&out), std::cmp::Reverse(version), out)
        })
        .min_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let out = best.map(|(_, _, out)| out).unwrap_or_default();
    let in_the_way: Vec<SpecifierUse> = out.into_iter().map(|index| specifiers[index].clone()).collect();
    Conflict {
        name: name.to_owned(),
        services: everybody.len(),
        one_version: in_the_way.is_empty(),
        specifiers,
        in_the_way,
    }
}

/// Versions among which there is one that satisfies all specifiers, if any version does.
///
/// Each specifier leaves a set of intervals. If some point is in all of them, so is one at the lower end of an interval,
/// or just above it: the version that a specifier names, the next one after it, or, for what excludes or stops at a
/// prefix (`!=1.4.*`, `~=1.4`), the first one behind the prefix. Without any lower end it is 0.
fn candidates(specifiers: &[VersionSpecifiers]) -> Vec<Version> {
    let mut all = BTreeSet::from([Version::new([0_u64])]);
    for specifier in specifiers.iter().flat_map(|specifiers| specifiers.iter()) {
        let version = specifier.version();
        let release: Vec<u64> = version.release().to_vec();
        all.insert(version.clone());
        let above = Version::new(release.iter().copied().chain([0, 0, 1]));
        all.insert(above.with_epoch(version.epoch()));
        if matches!(specifier.operator(), Operator::NotEqualStar | Operator::EqualStar | Operator::TildeEqual)
        {
            let mut next = release;
            if let Some(last) = next.last_mut() {
                *last += 1;
            }
            all.insert(Version::new(next).with_epoch(version.epoch()));
        }
    }
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn of_specifiers(list: &[(&'static str, usize)]) -> Conflict {
        let names: Vec<String> = (0..100).map(|number| format!("s{number:02}")).collect();
        let mut uses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut next = names.iter().map(String::as_str);
        for (specifier, count) in list {
            uses.entry(specifier).or_default().extend(next.by_ref().take(*count));
        }
        conflict("x", &uses)
    }

    #[test]
    fn who_stands_in_the_way() {
        let found = of_specifiers(&[(">=2.5", 5), ("==2.5.0", 2), ("<2", 1), ("", 3)]);
        assert_eq!((found.services, found.specifiers.len(), found.one_version), (11, 4, false));
        assert_eq!(found.specifiers[0].specifier, ">=2.5");
        assert_eq!(found.in_the_way.iter().map(|s| s.specifier.as_str()).collect::<Vec<_>>(), ["<2"]);
        let found = of_specifiers(&[("==1.0", 1), ("==2.0", 1)]);
        assert_eq!(found.in_the_way[0].specifier, "==1.0");
    }

    #[test]
    fn one_version() {
        for (list, one) in [
            (vec!["<2"], true),
            (vec![">1", "<1.0.1"], true),
            (vec![">1", "<1.0.0.0.1"], false),
            (vec!["!=1.4.*", ">=1.4", "<1.6"], true),
            (vec!["!=1.4.*", ">=1.4", "<1.5"], false),
            (vec!["~=1.4", ">=2"], false),
            (vec!["~=1.4.2", ">=1.4.5"], true),
            (vec!["==1.*", "!=1.0", ">=1"], true),
            (vec!["==1!1.0", ">=1"], true),
            (vec![">=2.0rc1", "<2.0"], false),
        ] {
            let uses: Vec<(&'static str, usize)> = list.iter().map(|s| (*s, 1)).collect();
            assert_eq!(of_specifiers(&uses).one_version, one, "{list:?}");
        }
    }

    proptest! {
        #[test]
        fn a_version_that_satisfies_all_is_found(
            list in proptest::collection::vec(("(>=|<=|<|>|==|!=|~=)", 0_u64..4, 0_u64..4), 1..6),
            major in 0_u64..5, minor in 0_u64..5, patch in 0_u64..3,
        ) {
            let texts: Vec<String> = list.iter().map(|(op, major, minor)| format!("{op}{major}.{minor}")).collect();
            let parsed: Vec<VersionSpecifiers> = texts.iter().map(|t| VersionSpecifiers::from_str(t).unwrap()).collect();
            let some = Version::new([major, minor, patch]);
            if parsed.iter().all(|s| s.contains(&some)) {
                let found = candidates(&parsed).into_iter().any(|version| parsed.iter().all(|s| s.contains(&version)));
                prop_assert!(found, "{some} satisfies {texts:?}");
            }
        }
    }
}
