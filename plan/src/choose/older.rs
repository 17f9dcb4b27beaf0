//! Versions that somebody should look at: what a service asks for itself, and gets from an older series than by itself. Its
//! requirements allow that version, but a lower bound may be missing.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use pep440_rs::Version;
use plinth_layers::pip::Named;

use super::alone::Alone;
use super::{Chooser, Older, Pins, PlanError};
use crate::sets::Set;

impl Chooser<'_> {
    /// What is older in each request than by itself.
    pub(super) fn older(
        &self,
        closures: &[(&Set, Pins)],
        alone: &mut Alone,
    ) -> Result<Vec<Vec<Older>>, PlanError> {
        // No request gets more than its requirements do by themselves: only where it gets less, it is asked about.
        let doubtful = |(set, pins): &&(&Set, Pins)| {
            alone.of(set).is_none() && !older(set, pins, &alone.newest(set)).is_empty()
        };
        let unknown: Vec<&Set> = closures.iter().filter(doubtful).map(|(set, _)| *set).collect();
        self.each_alone(&unknown, alone)?;
        let of = |(set, pins): &(&Set, Pins)| {
            alone.of(set).map_or_else(Vec::new, |by_itself| older(set, pins, by_itself))
        };
        Ok(closures.iter().map(of).collect())
    }
}

/// What a request names itself and gets from an older series: another first number, or the second behind a zero.
fn older(set: &Set, pins: &Pins, by_itself: &[String]) -> Vec<Older> {
    let series = |version: &str| {
        let version = Version::from_str(version).ok()?;
        let release = version.release().to_vec();
        Some(release.iter().position(|part| *part != 0).map_or(release.clone(), |at| release[..=at].to_vec()))
    };
    let asked: BTreeSet<String> =
        set.requirements.iter().filter_map(|text| Some(Named::parse(text).ok()?.name)).collect();
    let pairs = by_itself.iter().filter_map(|pin| pin.split_once("=="));
    pairs
        .filter(|(name, _)| asked.contains(*name))
        .filter_map(|(name, alone)| {
            let planned = &pins.get(name)?.version;
            let (before, now) = (series(alone)?, series(planned)?);
            let older = now < before;
            older.then(|| Older { name: name.to_owned(), planned: planned.clone(), alone: alone.to_owned() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::resolver::Pin;

    #[test]
    fn older_series_are_told() {
        let set = Set {
            python: "3.11".into(),
            requirements: ["a", "b", "c>=1", "d"].map(str::to_owned).to_vec(),
            services: vec!["s".into()],
        };
        let pin = |name: &str, version: &str| {
            (
                name.to_owned(),
                Arc::new(Pin {
                    name: name.into(),
                    version: version.into(),
                    url: String::new(),
                    sha256: String::new(),
                    size: None,
                }),
            )
        };
        let pins = BTreeMap::from([
            pin("a", "0.18.0"),
            pin("b", "2.1"),
            pin("c", "1.9"),
            pin("d", "0.5.9"),
            pin("e", "1"),
        ]);
        let alone = ["a==0.86.2", "b==2.9", "c==2.0", "d==0.5.10", "e==3"].map(str::to_owned);
        let found: Vec<String> = older(&set, &pins, &alone)
            .iter()
            .map(|older| format!("{} {} {}", older.name, older.planned, older.alone))
            .collect();
        assert_eq!(found, ["a 0.18.0 0.86.2", "c 1.9 2.0"]);
    }
}
