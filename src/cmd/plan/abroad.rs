//! `--for linux/arm64`: the plan for another platform than most of the fleet is built for.
//!
//! A build for several platforms finds the lock of each by its name. Versions are those of `plinth.lock` wherever there are
//! wheels of them for the platform too, so that an image is the same software on both.

use std::collections::BTreeMap;

use plinth_layers::lock;

use crate::planning::{Asked, platform};

/// A platform that has a lock of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Abroad {
    architecture: &'static str,
    file: &'static str,
}

impl Abroad {
    /// The name of its lock.
    pub(super) fn file(self) -> &'static str {
        self.file
    }

    /// uv's name of it.
    pub(super) fn platform(self, asked: &Asked) -> String {
        asked.platform.clone().unwrap_or_else(|| platform(self.architecture))
    }
}

/// Reads Docker's name of a platform.
pub(super) fn parse(text: &str) -> Result<Abroad, String> {
    let name = text.strip_prefix("linux/").map(|name| name.strip_suffix("/v8").unwrap_or(name));
    let known = lock::FOR.iter().find(|(architecture, _)| Some(*architecture) == name);
    let names =
        || lock::FOR.iter().map(|(architecture, _)| format!("linux/{architecture}")).collect::<Vec<_>>();
    known
        .map(|(architecture, file)| Abroad { architecture, file })
        .ok_or_else(|| format!("there are locks for {}", names().join(" and ")))
}

/// Puts the versions of `plinth.lock` in the place of those that are kept. All as `name==version`, by interpreter.
pub(super) fn follow(kept: &mut BTreeMap<String, Vec<String>>, general: &BTreeMap<String, Vec<String>>) {
    let name = |pin: &str| pin.split("==").next().unwrap_or_default().to_owned();
    for (python, pins) in general {
        let kept = kept.entry(python.clone()).or_default();
        kept.retain(|pin| !pins.iter().any(|other| name(other) == name(pin)));
        kept.extend(pins.iter().cloned());
        kept.sort();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn platforms_with_a_lock() {
        assert_eq!(parse("linux/arm64").unwrap().file(), "plinth.linux-arm64.lock");
        assert_eq!(parse("linux/arm64/v8").unwrap(), parse("linux/arm64").unwrap());
        assert_eq!(parse("linux/s390x").unwrap_err(), "there are locks for linux/amd64 and linux/arm64");
        assert!(parse("arm64").is_err());
    }

    #[test]
    fn the_fleets_versions_go_first() {
        let pins = |list: &[&str]| -> BTreeMap<String, Vec<String>> {
            [("3.11".to_owned(), list.iter().map(|pin| (*pin).to_owned()).collect())].into()
        };
        let mut kept = pins(&["a==1", "only==1"]);
        follow(&mut kept, &pins(&["a==2", "b==1"]));
        assert_eq!(kept, pins(&["a==2", "b==1", "only==1"]));
    }
}
