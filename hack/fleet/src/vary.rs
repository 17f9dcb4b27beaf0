//! Services that are like a real one without being its copy, for fleets larger than the real one.

use crate::facts::{FileRef, Fleet, Service};
use crate::requirements::references;
use std::collections::BTreeMap;

/// The service with a random part of its requirements, three in four on average, and the facts of its requirement files.
/// The same number gives the same part. One that would ask for nothing asks for everything.
#[must_use]
pub fn varied(fleet: &Fleet, service: &Service, number: u64) -> (Fleet, Service) {
    let mut random = Random(number);
    let mut some = |all: &[String]| -> Vec<String> {
        all.iter().filter(|_| !random.next().is_multiple_of(4)).cloned().collect()
    };
    let mut part = service.clone();
    let mut files = BTreeMap::new();
    for reference in references(service) {
        // A file that several steps read is one file.
        for name in names(reference).filter(|name| !files.contains_key(*name)).collect::<Vec<_>>() {
            if let Some(lines) = fleet.files.get(name) {
                files.insert(name.to_owned(), some(lines));
            }
        }
    }
    for install in part.pip.iter_mut().flat_map(|step| &mut step.installs) {
        // Without anything, the command would be a mistake that the real service doesn't have.
        let specs = some(&install.specs);
        if !specs.is_empty() {
            install.specs = specs;
        }
    }
    if files.values().all(Vec::is_empty) {
        files = fleet.files.clone();
    }
    (Fleet { source: fleet.source.clone(), files, services: Vec::new() }, part)
}

fn names(reference: &FileRef) -> impl Iterator<Item = &str> {
    [&reference.file, &reference.moved_to].into_iter().flatten().map(String::as_str)
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_part_of_a_service_is_the_same_each_time() {
        let fleet = Fleet::load().unwrap();
        let service = fleet.services.iter().find(|service| service.name == "agents/aider").unwrap();
        let of = |number: u64| {
            let (files, part) = varied(&fleet, service, number);
            crate::requirements::contents(&files, &part, false)
        };
        let whole = crate::requirements::contents(&fleet, service, false);
        let lines = |text: &BTreeMap<String, String>| -> Vec<String> {
            text.values().flat_map(|text| text.lines().map(str::to_owned)).collect()
        };
        assert_eq!(of(7), of(7));
        assert!((1..20).any(|number| of(number) != of(number + 1)));
        for number in 1..100 {
            let some = lines(&of(number));
            assert!(!some.is_empty() && some.iter().all(|line| lines(&whole).contains(line)), "{some:?}");
        }
    }
}
