//! The files of a plan: `plinth.lock`, which holds all of it, and `constraints.txt`, which pip and uv take.
//!
//! The same plan gives the same bytes; nothing in them tells of the day, the machine or the order of the search.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use plinth_layers::lock::{Layer, LeftOut, Lock, Package, Set};

use crate::choose::Plan;
use crate::wheels::Wheels;

/// The lock of a plan, with what is known of its wheels, and with these layers. `head` is a lock with nothing in it but
/// platform and index.
#[must_use]
pub fn lock(plan: &Plan, wheels: &Wheels, layer: Vec<Layer>, head: Lock) -> Lock {
    let mut seen = BTreeSet::new();
    let mut lock = head;
    lock.layer = layer;
    for planned in &plan.planned {
        let python = &planned.set.python;
        let shared = plan.shared.get(python);
        let mut versions = Vec::new();
        for pin in planned.pins.values() {
            let apart = shared.and_then(|shared| shared.get(&pin.name)) != Some(pin);
            if apart {
                versions.push(format!("{}=={}", pin.name, pin.version));
            }
            // Many requests have the same ones.
            if !seen.insert((python, &pin.name, &pin.version)) {
                continue;
            }
            let known = wheels.get(&pin.sha256);
            lock.package.push(Package {
                python: python.clone(),
                name: pin.name.clone(),
                version: pin.version.clone(),
                url: pin.url.clone(),
                sha256: pin.sha256.clone(),
                size: known.and_then(|known| known.size),
                needs: known.and_then(|known| known.needs.clone()),
                apart,
            });
        }
        lock.set.push(Set {
            python: python.clone(),
            services: planned.set.services.clone(),
            requirements: planned.set.requirements.clone(),
            versions,
            reason: planned.apart.clone(),
        });
    }
    lock.package.sort();
    lock.set.sort();
    lock.left_out = plan
        .left_out
        .iter()
        .map(|left| LeftOut {
            python: left.set.python.clone(),
            services: left.set.services.clone(),
            reason: left.reason.clone(),
        })
        .collect();
    lock.left_out.sort();
    lock
}

/// `constraints.txt`: the shared versions. Services that go their own way don't resolve with it, and are named in it.
#[must_use]
pub fn constraints(plan: &Plan) -> String {
    let mut out = String::from("# Written by `plinth plan`: change requirements, and write it again.\n");
    for planned in plan.planned.iter().filter(|planned| planned.apart.is_some()) {
        let _ = writeln!(out, "# not for {}", planned.set.services.join(", "));
    }
    let mut lines: BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    for (python, pins) in &plan.shared {
        for pin in pins.values() {
            lines.entry(&pin.name).or_default().entry(&pin.version).or_default().insert(python);
        }
    }
    for (name, versions) in lines {
        let everywhere =
            versions.len() == 1 && versions.values().all(|pythons| pythons.len() == plan.shared.len());
        for (version, pythons) in versions {
            let which: Vec<String> =
                pythons.iter().map(|python| format!("python_version == \"{python}\"")).collect();
            let _ = match everywhere {
                true => writeln!(out, "{name}=={version}"),
                false => writeln!(out, "{name}=={version} ; {}", which.join(" or ")),
            };
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;
    use crate::choose::{LeftOut as Out, Pins, Planned};
    use crate::resolver::Pin;
    use crate::sets::Set as Request;

    fn pins(list: &[(&str, &str)]) -> Pins {
        let pin = |(name, version): &(&str, &str)| {
            let (name, version) = ((*name).to_owned(), (*version).to_owned());
            let (url, sha256) = (format!("https://h/{name}-{version}.whl"), "0".repeat(64));
            (name.clone(), Arc::new(Pin { name, version, url, sha256, size: None }))
        };
        list.iter().map(pin).collect()
    }

    fn set(python: &str, service: &str) -> Request {
        Request { python: python.into(), requirements: vec!["a".into()], services: vec![service.into()] }
    }

    fn plan() -> Plan {
        let planned = |set, list: &[(&str, &str)], apart: Option<&str>| Planned {
            set,
            pins: pins(list),
            apart: apart.map(str::to_owned),
            older: Vec::new(),
        };
        Plan {
            planned: vec![
                planned(set("3.11", "api"), &[("a", "2"), ("b", "1")], None),
                planned(set("3.11", "old"), &[("a", "1"), ("b", "1")], Some("it wants a<2")),
                planned(set("3.12", "new"), &[("a", "2"), ("b", "3")], None),
            ],
            left_out: vec![Out { set: set("3.11", "gone"), reason: "there is no x".into() }],
            shared: BTreeMap::from([
                ("3.11".to_owned(), pins(&[("a", "2"), ("b", "1")])),
                ("3.12".to_owned(), pins(&[("a", "2"), ("b", "3")])),
            ]),
        }
    }

    #[test]
    fn constraints_of_several_interpreters() {
        let expected = "# Written by `plinth plan`: change requirements, and write it again.\n# not for old\na==2\nb==1 ; python_version == \"3.11\"\nb==3 ; python_version == \"3.12\"\n";
        assert_eq!(constraints(&plan()), expected);
    }

    #[test]
    fn a_lock_has_every_wheel_once() {
        let lock = lock(&plan(), &Wheels::new(), Vec::new(), Lock::new("x86_64-manylinux_2_36"));
        let wheels: Vec<String> = lock
            .package
            .iter()
            .map(|p| format!("{} {}=={}{}", p.python, p.name, p.version, if p.apart { " apart" } else { "" }))
            .collect();
        assert_eq!(wheels, ["3.11 a==1 apart", "3.11 a==2", "3.11 b==1", "3.12 a==2", "3.12 b==3"]);
        let own: Vec<&str> = lock.set.iter().flat_map(|set| &set.versions).map(String::as_str).collect();
        assert_eq!(own, ["a==1"]);
        assert_eq!(lock.left_out[0].services, ["gone"]);
    }
}
