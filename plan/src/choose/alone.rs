//! What each request comes to by itself.
//!
//! In a large fleet, that is put together from what its requirements come to one by one: where these agree on every version,
//! they are the answer, since each is the newest that there can be. Requirements that contradict each other are resolved
//! together. Many requests have the same ones, and a request that fits in with others needn't be asked about at all.

use std::collections::{BTreeMap, BTreeSet};

use plinth_layers::pip::Named;

use super::together::Answer;
use super::{Chooser, LeftOut, PlanError, name};
use crate::sets::Set;

/// What is known of requirements by themselves.
#[derive(Default)]
pub(super) struct Alone(BTreeMap<Vec<String>, Answer>);

impl Alone {
    /// Whether a request is known not to resolve.
    pub(super) fn fails(&self, set: &Set) -> bool {
        matches!(self.0.get(&set.requirements), Some(Err(_)))
    }

    /// The versions of a request by itself, if that is known.
    pub(super) fn of(&self, set: &Set) -> Option<&[String]> {
        self.0.get(&set.requirements)?.as_deref().ok()
    }

    /// The versions that a request's own requirements get, each by itself.
    pub(super) fn newest(&self, set: &Set) -> Vec<String> {
        let of = |text: &String| -> Option<String> {
            let pins = self.0.get(std::slice::from_ref(text))?.as_ref().ok()?;
            let wanted = Named::parse(text).ok()?.name;
            pins.iter().find(|pin| name(pin) == wanted).cloned()
        };
        set.requirements.iter().filter_map(of).collect()
    }

    /// Those that don't resolve.
    pub(super) fn left_out(&self, sets: &[&Set]) -> Vec<LeftOut> {
        let reason = |set: &Set| self.0.get(&set.requirements)?.as_ref().err().cloned();
        let of = |set: &&Set| Some(LeftOut { set: (*set).clone(), reason: reason(set)? });
        sets.iter().filter_map(of).collect()
    }

    /// Parts of a request as they are to be resolved: those whose answers contradict each other are one.
    fn merged(&self, parts: &[Vec<String>]) -> Vec<Vec<String>> {
        let mut place: Vec<usize> = (0..parts.len()).collect();
        let mut seen: BTreeMap<&str, (&String, usize)> = BTreeMap::new();
        for (at, part) in parts.iter().enumerate() {
            match self.0.get(part) {
                Some(Ok(pins)) => {
                    for pin in pins {
                        let (first, other) = *seen.entry(name(pin)).or_insert((pin, at));
                        if first != pin {
                            let (from, to) = (place[at], place[other]);
                            place.iter_mut().filter(|place| **place == from).for_each(|place| *place = to);
                        }
                    }
                }
                // What doesn't resolve by itself may do with others: a version before a release, say, that they ask for.
                Some(Err(_)) => place.fill(0),
                None => {}
            }
        }
        let mut merged: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (part, place) in parts.iter().zip(place) {
            merged.entry(place).or_default().extend(part.iter().cloned());
        }
        let sorted = |mut part: Vec<String>| {
            part.sort();
            part
        };
        merged.into_values().map(sorted).collect()
    }
}

impl Chooser<'_> {
    /// Asks about requests by themselves, or about their requirements, whichever are fewer.
    pub(super) fn alone(&self, sets: &[&Set]) -> Result<Alone, PlanError> {
        let mut alone = Alone::default();
        if !self.large {
            self.each_alone(sets, &mut alone)?;
            return Ok(alone);
        }
        let all: BTreeSet<&String> = sets.iter().flat_map(|set| &set.requirements).collect();
        self.ask_alone(all.into_iter().map(|text| vec![text.clone()]).collect(), &mut alone)?;
        let fails = |text: &String| matches!(alone.0.get(std::slice::from_ref(text)), Some(Err(_)));
        let doubtful: Vec<&Set> =
            sets.iter().copied().filter(|set| set.requirements.iter().any(fails)).collect();
        self.each_alone(&doubtful, &mut alone)?;
        Ok(alone)
    }

    /// Finds out about requests by themselves, if nobody has.
    pub(super) fn each_alone(&self, sets: &[&Set], alone: &mut Alone) -> Result<(), PlanError> {
        let unknown = |set: &&&Set| !alone.0.contains_key(&set.requirements);
        let unknown: Vec<&Set> = sets.iter().filter(unknown).copied().collect();
        if !self.large {
            return self.ask_alone(unknown.iter().map(|set| set.requirements.clone()).collect(), alone);
        }
        let each = |set: &&Set| set.requirements.iter().map(|text| vec![text.clone()]).collect();
        let mut open: Vec<Vec<Vec<String>>> = unknown.iter().map(each).collect();
        loop {
            let before: usize = open.iter().map(Vec::len).sum();
            open.iter_mut().filter(|parts| parts.len() > 1).for_each(|parts| *parts = alone.merged(parts));
            let wanted: BTreeSet<&Vec<String>> =
                open.iter().flatten().filter(|part| !alone.0.contains_key(*part)).collect();
            let wanted: Vec<Vec<String>> = wanted.into_iter().cloned().collect();
            if wanted.is_empty() && open.iter().map(Vec::len).sum::<usize>() == before {
                break;
            }
            self.ask_alone(wanted, alone)?;
        }
        for (set, parts) in unknown.into_iter().zip(open) {
            // Of several, each has an answer, and they agree.
            let pins: BTreeSet<&String> =
                parts.iter().filter_map(|part| alone.0.get(part)?.as_ref().ok()).flatten().collect();
            let pins = pins.into_iter().cloned().collect();
            alone.0.entry(set.requirements.clone()).or_insert(Ok(pins));
        }
        Ok(())
    }

    fn ask_alone(&self, all: Vec<Vec<String>>, alone: &mut Alone) -> Result<(), PlanError> {
        let phase = if self.large { "requirements by themselves" } else { "requests by themselves" };
        let answers = self.each(&all, phase, |requirements| self.uv.near(self.python, requirements, &[]))?;
        alone.0.extend(all.into_iter().zip(answers));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_contradicts_is_resolved_together() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mut alone = Alone::default();
        for (text, pins) in
            [("a", "a==1 x==2"), ("b", "b==1 x==1"), ("c", "c==1 x==2 y==1"), ("d", "d==1 y==2")]
        {
            alone.0.insert(words(text), Ok(words(pins)));
        }
        alone.0.insert(words("e"), Err("no".to_owned()));
        let merged = |parts: &[&str]| {
            let parts: Vec<Vec<String>> = parts.iter().map(|text| words(text)).collect();
            alone.merged(&parts).iter().map(|part| part.join(" ")).collect::<Vec<_>>()
        };
        assert_eq!(merged(&["a", "c"]), ["a", "c"]);
        assert_eq!(merged(&["c", "d", "a"]), ["c d", "a"]);
        assert_eq!(merged(&["b", "a", "d"]), ["a b", "d"]);
        assert_eq!(merged(&["a", "b", "c", "d"]), ["a b", "c d"]);
        // Nothing is known of it yet.
        assert_eq!(merged(&["a b", "d"]), ["a b", "d"]);
        assert_eq!(merged(&["a", "e", "d"]), ["a d e"]);
    }
}
