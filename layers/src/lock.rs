//! `plinth.lock`: the versions that a platform team's plan gives its fleet.
//!
//! `plinth plan` writes it, people review and commit it, and a build takes from it the versions of the installs that it
//! covers. A request is *covered* by a planned one that asks for everything that it asks for: the versions of that
//! one satisfy it too, and everything that it brings along.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The version of the format. What locks of version 2 say of needs has extras that wheels don't declare.
pub const VERSION: u32 = 3;
/// The name of the file.
pub const FILE: &str = "plinth.lock";
/// The names of the files for one architecture of Linux alone. One of these goes before [`FILE`] there.
pub const FOR: &[(&str, &str)] =
    &[("amd64", "plinth.linux-amd64.lock"), ("arm64", "plinth.linux-arm64.lock")];

/// Layers that a lock gives one install at most. With the record layer and those of base and application, an image stays
/// well below the 127 at which Docker's classic store ends.
pub const LAYERS: usize = 38;

/// A lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    version: u32,
    /// uv's name of the platform that the wheels are for.
    pub platform: String,
    /// The address of the one index that the versions are from, without a user; none if there were several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    /// Images, by digest, whose interpreters make the byte code of packages: a newer image with the very same interpreter
    /// then makes none again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compilers: Vec<String>,
    /// The wheels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub package: Vec<Package>,
    /// The layers that wheels share, in the order in which images have them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layer: Vec<Layer>,
    /// The requests that were planned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<Set>,
    /// The requests that don't resolve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// One wheel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// `X.Y` of the interpreter.
    pub python: String,
    /// Normalized name (PEP 503).
    pub name: String,
    /// Version (PEP 440), normalized.
    pub version: String,
    /// The wheel's address, without a user.
    pub url: String,
    /// The wheel's SHA-256, in hexadecimal.
    pub sha256: String,
    /// Bytes of the wheel, if the index says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Not the version that most services share: only for those that name it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub apart: bool,
    /// What it needs. With that, nobody has to ask an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
}

/// What a wheel's METADATA says of the distributions that it needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// `Name`, as it is spelled there.
    pub name: String,
    /// `Requires-Python`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<String>,
    /// `Requires-Dist`, without those for extras that nobody asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// The extras that somebody asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extras: Vec<String>,
}

/// Wheels that stand in one layer, of every install that has them all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// `X.Y` of the interpreter.
    pub python: String,
    /// `name==version` of each, sorted.
    pub packages: Vec<String>,
}

/// What some services ask for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// `X.Y` of the interpreter.
    pub python: String,
    /// The services, sorted.
    pub services: Vec<String>,
    /// Requirements in their normal form ([`crate::pip::normalized`]), sorted.
    pub requirements: Vec<String>,
    /// `name==version` of what isn't the shared version, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    /// Why they have versions of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Services that don't resolve.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// `X.Y` of the interpreter.
    pub python: String,
    /// The services, sorted.
    pub services: Vec<String>,
    /// The resolver's reason.
    pub reason: String,
}

/// A lock that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// No such document.
    #[error("it is no plinth.lock: {0}")]
    Malformed(String),
    /// Of another release.
    #[error("it has format {0}, and this release knows {VERSION}; write it again with plinth plan")]
    Version(u32),
}

impl Lock {
    /// A lock with nothing in it.
    #[must_use]
    pub fn new(platform: &str) -> Self {
        let platform = platform.to_owned();
        Self {
            version: VERSION,
            platform,
            index: None,
            compilers: Vec::new(),
            package: Vec::new(),
            layer: Vec::new(),
            set: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// Reads a lock.
    ///
    /// # Errors
    /// When the text is none, or one of another release.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let malformed = |error: toml::de::Error| LockError::Malformed(error.to_string().trim().to_owned());
        let head: Head = toml::from_str(text).map_err(malformed)?;
        if head.version != VERSION {
            return Err(LockError::Version(head.version));
        }
        toml::from_str(text).map_err(malformed)
    }

    /// As text.
    ///
    /// # Errors
    /// When a value has no form in TOML.
    pub fn to_text(&self) -> Result<String, LockError> {
        let body = toml::to_string(self).map_err(|error| LockError::Malformed(error.to_string()))?;
        Ok(format!("# Written by `plinth plan`: change requirements, and write it again.\n{body}"))
    }

    /// The shared versions, by interpreter, as `name==version`.
    #[must_use]
    pub fn versions(&self) -> BTreeMap<String, Vec<String>> {
        let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for package in self.package.iter().filter(|package| !package.apart) {
            let text = format!("{}=={}", package.name, package.version);
            versions.entry(package.python.clone()).or_default().push(text);
        }
        versions
    }

    /// The layers of an interpreter, in their order: the wheels of each by name and SHA-256.
    pub fn layers<'a>(&'a self, python: &str) -> impl Iterator<Item = Vec<(&'a str, &'a str)>> {
        let here = |other: &str| other == python;
        let mut wheels: BTreeMap<(&str, &str), &str> = BTreeMap::new();
        for package in self.package.iter().filter(|package| here(&package.python)) {
            wheels.insert((&package.name, &package.version), &package.sha256);
        }
        let layers: Vec<&Layer> = self.layer.iter().filter(|layer| here(&layer.python)).collect();
        layers.into_iter().map(move |layer| {
            let pins = layer.packages.iter().filter_map(|pin| pin.split_once("=="));
            pins.filter_map(|pin| Some((pin.0, *wheels.get(&pin)?))).collect()
        })
    }

    /// The versions for a request, as constraints: those of a planned request that asks for all of it.
    ///
    /// # Errors
    /// Why it isn't covered. One clause without its full stop.
    pub fn cover(&self, python: &str, requirements: &BTreeSet<String>) -> Result<Vec<String>, String> {
        let sets: Vec<&Set> = self.set.iter().filter(|set| set.python == python).collect();
        if sets.is_empty() {
            return Err(format!("the lock has nothing for Python {python}"));
        }
        let has = |set: &&&Set| requirements.iter().all(|one| set.requirements.contains(one));
        // Several may: one with the shared versions goes first, then the order of the lock decides.
        let covering = sets.iter().filter(has).min_by_key(|set| !set.versions.is_empty());
        let Some(set) = covering else {
            let planned = |one: &&String| sets.iter().any(|set| set.requirements.contains(one));
            return Err(match requirements.iter().find(|one| !planned(one)) {
                Some(outside) => format!("the lock doesn't cover `{outside}`"),
                None => "no service of the lock asks for all of it together".to_owned(),
            });
        };
        let name = |pin: &str| pin.split("==").next().unwrap_or_default().to_owned();
        let own: BTreeMap<String, &String> = set.versions.iter().map(|pin| (name(pin), pin)).collect();
        let shared = self.versions().remove(python).unwrap_or_default();
        let shared = shared.into_iter().filter(|pin| !own.contains_key(&name(pin)));
        let mut all: Vec<String> = shared.chain(own.values().map(|pin| (*pin).clone())).collect();
        all.sort();
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn lock() -> Lock {
        let package = |name: &str, version: &str, apart| Package {
            python: "3.11".into(),
            name: name.into(),
            version: version.into(),
            url: format!("https://h/{name}-{version}.whl"),
            sha256: "0".repeat(64),
            size: None,
            apart,
            needs: None,
        };
        let set = |service: &str, requirements: &[&str], versions: &[&str]| Set {
            python: "3.11".into(),
            services: vec![service.into()],
            requirements: requirements.iter().map(|text| (*text).to_owned()).collect(),
            versions: versions.iter().map(|text| (*text).to_owned()).collect(),
            reason: None,
        };
        let mut lock = Lock::new("x86_64-manylinux_2_36");
        lock.package = vec![package("a", "1", true), package("a", "2", false), package("b", "1", false)];
        lock.layer = vec![Layer { python: "3.11".into(), packages: vec!["a==2".into(), "b==1".into()] }];
        lock.set =
            vec![set("old", &["a<2", "b"], &["a==1"]), set("api", &["a", "b"], &[]), set("odd", &["c"], &[])];
        lock
    }

    #[test]
    fn requests_are_covered_whole() {
        let of = |list: &[&str]| {
            lock()
                .cover("3.11", &list.iter().map(|text| (*text).to_owned()).collect())
                .map(|pins| pins.join(" "))
        };
        assert_eq!(of(&["a", "b"]).unwrap(), "a==2 b==1");
        // Both services that ask for it have an answer; the shared one goes first.
        assert_eq!(of(&["b"]).unwrap(), "a==2 b==1");
        assert_eq!(of(&["a<2"]).unwrap(), "a==1 b==1");
        assert_eq!(of(&["a>1"]).unwrap_err(), "the lock doesn't cover `a>1`");
        assert_eq!(of(&["a", "c"]).unwrap_err(), "no service of the lock asks for all of it together");
        assert_eq!(
            lock().cover("3.12", &BTreeSet::new()).unwrap_err(),
            "the lock has nothing for Python 3.12"
        );
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let lock = lock();
        let text = lock.to_text().unwrap();
        assert_eq!(Lock::parse(&text).unwrap(), lock);
        assert_eq!(lock.versions()["3.11"], ["a==2", "b==1"]);
        let zeros = "0".repeat(64);
        let layers: Vec<Vec<(&str, &str)>> = lock.layers("3.11").collect();
        assert_eq!(layers, [[("a", zeros.as_str()), ("b", zeros.as_str())]]);
        assert_eq!(lock.layers("3.12").count(), 0);
        assert!(matches!(Lock::parse("version = 2\n"), Err(LockError::Version(2))));
        assert!(matches!(Lock::parse("version = 3\nx = 1\n"), Err(LockError::Malformed(_))));
        assert!(matches!(Lock::parse("a"), Err(LockError::Malformed(_))));
    }
}
