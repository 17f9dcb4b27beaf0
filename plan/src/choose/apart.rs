//! The requests that don't fit in with most: they have versions of their own, and as few as can be.
//!
//! One that had versions of its own in the earlier plan keeps them where they still satisfy it. The others are resolved
//! together with one another, and then drawn near to the versions that there are already.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use pep440_rs::Version;

use super::together::{Search, Together};
use super::{Chooser, PlanError, broken, name, union};
use crate::sets::Set;

/// Requests that have the same versions of their own.
pub(super) struct Group<'a> {
    together: Together<'a>,
    /// Why each of them doesn't fit in with most.
    reasons: Vec<String>,
    /// They have what they had, and nothing is better for others that are new.
    settled: bool,
}

impl<'a> Group<'a> {
    fn of(together: Together<'a>, why: &BTreeMap<&Set, String>, settled: bool) -> Self {
        let reasons = together.sets.iter().map(|set| why.get(set).cloned().unwrap_or_default()).collect();
        Self { together, reasons, settled }
    }

    pub(super) fn sets(&self) -> &[&'a Set] {
        &self.together.sets
    }

    pub(super) fn pins(&self) -> &[String] {
        &self.together.pins
    }

    pub(super) fn reasons(&self) -> impl Iterator<Item = (&'a Set, &String)> {
        self.together.sets.iter().copied().zip(&self.reasons)
    }
}

impl Chooser<'_> {
    /// Versions for requests that don't fit in with most, who have `shared`.
    pub(super) fn apart<'a>(
        &self,
        apart: Vec<(&'a Set, String)>,
        shared: &[String],
    ) -> Result<Vec<Group<'a>>, PlanError> {
        // Why they don't fit in with most is what matters, and not why with one another.
        let why: BTreeMap<&Set, String> = apart.iter().cloned().collect();
        let mut order: Vec<&Set> = apart.into_iter().map(|(set, _)| set).collect();
        let mut groups = self.as_before(&order, shared)?;
        for group in &mut groups {
            *group = Group::of(std::mem::take(&mut group.together), &why, group.settled);
            // The reason that was given still holds, and one in other words would only look like a change.
            for (set, reason) in group.together.sets.iter().zip(&mut group.reasons).filter(|_| group.settled)
            {
                let earlier = self.earlier.get(set.requirements.as_slice());
                *reason =
                    earlier.and_then(|earlier| earlier.reason.clone()).unwrap_or(std::mem::take(reason));
            }
        }
        let done: BTreeSet<&Set> = groups.iter().flat_map(|group| group.sets().to_vec()).collect();
        order.retain(|set| !done.contains(set));
        let ask = |all: &[String], near: &[String]| {
            self.say("requests apart", &format!("{} requirements", all.len()));
            Ok(self.uv.near(self.python, all, near)?)
        };
        while !order.is_empty() {
            let mut search = Search::new(&ask, shared, self.large);
            search.add(&order)?;
            if search.found.sets.is_empty() {
                let (set, reason) = search.apart.swap_remove(0);
                return Err(broken(set, reason));
            }
            groups.push(Group::of(search.found, &why, false));
            let left: BTreeSet<&Set> = search.apart.into_iter().map(|(set, _)| set).collect();
            order.retain(|set| left.contains(set));
        }
        for number in 0..groups.len() {
            if !groups[number].settled {
                self.draw_near(number, &mut groups, shared)?;
            }
        }
        Ok(groups)
    }

    /// Those that had versions of their own before, with these.
    fn as_before<'a>(&self, sets: &[&'a Set], shared: &[String]) -> Result<Vec<Group<'a>>, PlanError> {
        let mut alike: BTreeMap<&[String], Vec<&'a Set>> = BTreeMap::new();
        for set in sets {
            if let Some(earlier) = self.earlier.get(set.requirements.as_slice())
                && !earlier.versions.is_empty()
            {
                alike.entry(&earlier.versions).or_default().push(set);
            }
        }
        let alike: Vec<(&[String], Vec<&Set>)> = alike.into_iter().collect();
        let before: BTreeMap<&str, &String> = self.kept.iter().map(|pin| (name(pin), pin)).collect();
        let now: BTreeMap<&str, &String> = shared.iter().map(|pin| (name(pin), pin)).collect();
        let found = self.each(&alike, "versions of their own", |(own, sets)| {
            let mut wanted = now.clone();
            wanted.extend(own.iter().map(|pin| (name(pin), pin)));
            let near: Vec<String> = wanted.values().map(|pin| (*pin).clone()).collect();
            let answer = self.uv.near(self.python, &union(sets), &near)?;
            let Ok(pins) = answer else { return Ok(None) };
            // What others share may have changed since, so that fewer of their own are needed.
            let same = own.iter().all(|pin| before.get(name(pin)) == now.get(name(pin)));
            let settled = same && pins.iter().all(|pin| wanted.get(name(pin)) == Some(&pin));
            let together = Together { sets: sets.clone(), pins };
            Ok::<_, PlanError>(Some(Group { together, reasons: Vec::new(), settled }))
        })?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Gives a group the versions that others have, instead of further ones, where it can have them.
    fn draw_near(&self, number: usize, groups: &mut [Group<'_>], shared: &[String]) -> Result<(), PlanError> {
        let others = groups.iter().enumerate().filter(|(other, _)| *other != number);
        let others: BTreeSet<&String> =
            shared.iter().chain(others.flat_map(|(_, group)| group.pins())).collect();
        let further = |pins: &[String]| pins.iter().filter(|pin| !others.contains(pin)).count();
        let version = |pin: &str| Version::from_str(pin.split_once("==")?.1).ok();
        let mut known: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
        for pin in &others {
            known.entry(name(pin)).or_default().push(pin);
        }
        known.values_mut().for_each(|pins| pins.sort_by_key(|pin| std::cmp::Reverse(version(pin))));
        let union = union(groups[number].sets());
        let mut pins = groups[number].pins().to_vec();
        // The newest of the others first, then the next one, for all packages at once.
        for rank in 0..known.values().map(Vec::len).max().unwrap_or(0) {
            let instead = |pin: &String| {
                let other =
                    known.get(name(pin)).filter(|_| !others.contains(pin)).and_then(|all| all.get(rank));
                other.map_or(pin, |other| *other).clone()
            };
            let wanted: Vec<String> = pins.iter().map(instead).collect();
            if wanted == pins {
                continue;
            }
            self.say("fewer versions", &format!("{} requirements", union.len()));
            if let Ok(found) = self.uv.near(self.python, &union, &wanted)?
                && further(&found) < further(&pins)
            {
                pins = found;
            }
        }
        groups[number].together.pins = pins;
        Ok(())
    }
}
