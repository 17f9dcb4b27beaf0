//! Which wheels of an install stand in one layer together: what the fleet's lock says, where it applies.
//!
//! A layer of the lock applies if the install has all of its wheels, byte for byte. Then the layer is the same in every
//! service that has them, whatever else these install. Any other wheel is by itself.

use std::collections::HashMap;

use plinth_layers::lock::Lock;
use plinth_layers::resolution::Plan;
use plinth_layers::wheel::name::canonical;

/// Some wheels of an install, by their number: what may become a layer.
pub(super) type Unit = Vec<usize>;

/// All wheels of an install, in the order in which their layers are merged: first those that the lock names, which it has
/// in the order of how many services have them, so that images share what comes first.
pub(super) fn units(plan: &Plan, lock: Option<&Lock>) -> Vec<Unit> {
    let mut left: HashMap<String, (usize, &str)> = HashMap::new();
    for (number, wheel) in plan.install.iter().enumerate() {
        left.insert(canonical(&wheel.name), (number, &wheel.sha256));
    }
    let python = plan.interpreter.version.rsplit_once('.').map_or("", |(python, _)| python);
    let mut units = Vec::new();
    for layer in lock.iter().flat_map(|lock| lock.layers(python)) {
        let find = |(name, sha256): &(&str, &str)| left.get(*name).filter(|wheel| wheel.1 == *sha256);
        let found: Option<Unit> = layer.iter().map(|wheel| find(wheel).map(|wheel| wheel.0)).collect();
        let Some(mut unit) = found.filter(|unit| !unit.is_empty()) else { continue };
        for (name, _) in layer {
            left.remove(name);
        }
        // The order of a layer's wheels is the lock's, and not that of this install.
        unit.sort_by_key(|number| canonical(&plan.install[*number].name));
        units.push(unit);
    }
    let mut rest: Vec<usize> = left.into_values().map(|(number, _)| number).collect();
    rest.sort_unstable();
    units.extend(rest.into_iter().map(|number| vec![number]));
    units
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use plinth_layers::lock::{Layer, Package};
    use plinth_layers::resolution::{Distribution, Interpreter, Scheme};

    use super::*;

    fn plan(wheels: &[&str]) -> Plan {
        let root = || "/x".to_owned();
        let distribution = |name: &&str| Distribution {
            name: (*name).to_owned(),
            version: "1".to_owned(),
            filename: format!("{name}.whl"),
            url: String::new(),
            sha256: format!("sha-{}", canonical(name)),
            requested: true,
            direct_url: None,
            spelling: None,
        };
        Plan {
            installer: "pip".to_owned(),
            installer_version: String::new(),
            interpreter: Interpreter { version: "3.11.2".to_owned(), ..Interpreter::default() },
            scheme: Scheme {
                purelib: root(),
                platlib: root(),
                headers: root(),
                scripts: root(),
                data: root(),
            },
            install: wheels.iter().map(distribution).collect(),
            remove: Vec::new(),
            satisfied: Vec::new(),
            left: Vec::new(),
            fetch_with: Vec::new(),
            locked: None,
            compiler: None,
        }
    }

    fn lock(layers: &[&[&str]], sha_of_b: &str) -> Lock {
        let mut lock = Lock::new("linux");
        for name in ["a", "b", "c", "d"] {
            lock.package.push(Package {
                python: "3.11".to_owned(),
                name: name.to_owned(),
                version: "1".to_owned(),
                url: String::new(),
                sha256: if name == "b" { sha_of_b.to_owned() } else { format!("sha-{name}") },
                size: None,
                apart: false,
                needs: None,
            });
        }
        for layer in layers {
            let packages = layer.iter().map(|name| format!("{name}==1")).collect();
            lock.layer.push(Layer { python: "3.11".to_owned(), packages });
        }
        lock
    }

    #[test]
    fn layers_apply_whole_or_not_at_all() {
        let plan = plan(&["C", "x", "b", "a"]);
        assert_eq!(units(&plan, None), [[0], [1], [2], [3]]);
        let layers: &[&[&str]] = &[&["a", "b"], &["c", "d"], &["c"]];
        assert_eq!(units(&plan, Some(&lock(layers, "sha-b"))), [vec![3, 2], vec![0], vec![1]]);
        // Another wheel of the same version.
        assert_eq!(units(&plan, Some(&lock(layers, "other"))), [[0], [1], [2], [3]]);
    }
}
