//! The locks agree with each other and with the facts.

#![allow(clippy::unwrap_used)]

mod common;

use common::fleet;
use plinth_fleet::select::{Set, select};
use std::collections::{BTreeMap, BTreeSet};

const WHEELS: &str = include_str!("../wheels.lock");
const DEMO: &str = include_str!("../demo.lock");
const TESTS: &str = include_str!("../tests.lock");
const SETS: &str = include_str!("../sets.lock");

fn sets() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let pairs = SETS.lines().map(|line| line.split_once(':').unwrap());
    pairs.map(|(name, pins)| (name, pins.split_whitespace().collect())).collect()
}

fn pins(lock: &'static str) -> BTreeSet<&'static str> {
    lock.lines().map(|line| line.split(' ').next().unwrap()).collect()
}

#[test]
fn lines_are_whole_and_sorted() {
    for lock in [WHEELS, DEMO, TESTS] {
        let lines: Vec<&str> = lock.lines().collect();
        let mut names = BTreeSet::new();
        for line in &lines {
            let [pin, file, digest, size] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
            let (name, version) = pin.split_once("==").unwrap();
            assert!(
                file.to_lowercase().replace(['_', '.'], "-").starts_with(&name.replace('.', "-")),
                "{line}"
            );
            assert!(file.contains(version) && file.ends_with(".whl"), "{line}");
            assert!(digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()), "{line}");
            assert!(size.parse::<u64>().unwrap() > 0, "{line}");
            assert!(names.insert(file), "{file} twice");
        }
        assert!(!lock.contains("://"));
        let pins: Vec<Vec<&str>> =
            lines.iter().map(|line| line.split(' ').next().unwrap().split("==").collect()).collect();
        assert!(pins.is_sorted());
    }
}

#[test]
fn wheels_fit_cpython_3_11_on_linux() {
    for file in WHEELS.lines().map(|line| line.split(' ').nth(1).unwrap()) {
        let tags: Vec<&str> = file.trim_end_matches(".whl").rsplitn(4, '-').collect();
        let [platform, abi, python] = tags[..3] else { panic!("{file}") };
        assert!(platform == "any" || platform.contains("x86_64"), "{file}");
        assert!(["none", "abi3", "cp311"].iter().any(|a| abi.split('.').any(|t| t == *a)), "{file}");
        assert!(python.split('.').any(|tag| tag == "py3" || tag.starts_with("cp3")), "{file}");
    }
}

#[test]
fn the_union_is_what_the_services_get() {
    let sets = sets();
    assert_eq!(sets.values().flatten().copied().collect::<BTreeSet<_>>(), pins(WHEELS));
    let fleet = fleet();
    let dev: BTreeSet<&str> =
        select(&fleet, Set::Dev, &[]).unwrap().iter().map(|s| s.name.as_str()).collect();
    assert_eq!(sets.keys().copied().collect::<BTreeSet<_>>(), dev);
    assert_eq!(dev.len(), 40);
}

#[test]
fn the_demo_is_five_small_dev_services() {
    let fleet = fleet();
    let demo = select(&fleet, Set::Demo, &[]).unwrap();
    assert_eq!(demo.len(), 5);
    let sizes: BTreeMap<&str, u64> = DEMO
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .map(|fields| (fields[0], fields[3].parse().unwrap()))
        .collect();
    let sets = sets();
    let mut union = BTreeSet::new();
    for service in &demo {
        assert!(service.dev, "{}", service.name);
        let set = &sets[service.name.as_str()];
        let bytes: u64 = set.iter().map(|pin| sizes[pin]).sum();
        assert!(bytes < 60_000_000, "{}: {bytes} bytes", service.name);
        union.extend(set);
    }
    assert_eq!(union, pins(DEMO));
    let lines: BTreeSet<&str> = WHEELS.lines().collect();
    assert!(DEMO.lines().all(|line| lines.contains(line)));
    let forms: BTreeSet<&str> = demo.iter().flat_map(|s| &s.pip).map(|step| step.form.as_str()).collect();
    assert_eq!(forms, BTreeSet::from(["a-sole-r", "b-sole-pkgs", "i-fallback"]));
    assert!(demo.iter().any(|s| s.stages.len() > 1));
}

/// What the facts ask for by exact version is what the lock has.
#[test]
fn pinned_requirements_are_locked() {
    let sets = sets();
    let mut seen = 0;
    for service in fleet().services.iter().filter(|service| service.dev) {
        for pin in service.effective.requirements.iter().filter(|r| r.contains("==") && !r.contains('[')) {
            assert!(sets[service.name.as_str()].contains(pin.as_str()), "{}: {pin}", service.name);
            seen += 1;
        }
    }
    assert!(seen > 40, "only {seen} pins seen");
}

#[test]
fn names_are_checked_and_unique() {
    let fleet = fleet();
    let error = select(&fleet, Set::Demo, &["agents/no-such".to_owned()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no service is called \"agents/no-such\" in this set: `plinth-fleet list` prints the names"
    );
    let by_name = select(&fleet, Set::All, &["docker/shellgpt".to_owned()]).unwrap();
    let by_slug = select(&fleet, Set::All, &["docker-shellgpt".to_owned()]).unwrap();
    assert_eq!((by_name[0].name.as_str(), by_name.len()), ("docker/shellgpt", 1));
    assert_eq!(by_name[0].name, by_slug[0].name);
    let slugs: BTreeSet<String> = fleet.services.iter().map(|s| s.slug()).collect();
    assert_eq!(slugs.len(), 168);
    // An image repository's path component: lower case, digits, single separators inside.
    for slug in &slugs {
        let fine = slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b));
        assert!(fine && !slug.starts_with('-') && !slug.ends_with('-'), "{slug}");
    }
}
