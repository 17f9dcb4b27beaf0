//! As many requests as possible together, so that each package has one version in all of them.
//!
//! Requests are added in halves, so that few resolutions find those that don't fit. In a large fleet, most requests are made
//! of the same few requirements: there, what stands in the way is narrowed down to the requirements that it takes, and no
//! other request that has them is asked about.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::PlanError;
use crate::sets::Set;

/// What a resolver says of requirements, near to some versions: versions, or why there are none.
pub(super) type Answer = Result<Vec<String>, String>;

/// Asks the resolver about requirements; the second are versions to be kept where they can be.
pub(super) type Ask<'a> = dyn Fn(&[String], &[String]) -> Result<Answer, PlanError> + Sync + 'a;

/// The search.
pub(super) struct Search<'a, 'b> {
    ask: &'b Ask<'b>,
    /// The versions that are preferred as long as nothing is found.
    preferred: &'b [String],
    /// Narrow down what stands in the way.
    learn: bool,
    /// What fits together.
    pub(super) found: Together<'a>,
    /// What the requests that fit ask for.
    asked: BTreeSet<&'a str>,
    /// Requirements that don't fit in all together, and why.
    against: Vec<(Vec<&'a str>, String)>,
    /// The requests that don't fit, and why.
    pub(super) apart: Vec<(&'a Set, String)>,
}

/// Requests that are resolved together, and what that comes to.
#[derive(Clone, Debug, Default)]
pub(super) struct Together<'a> {
    /// The requests.
    pub(super) sets: Vec<&'a Set>,
    /// Their versions, `name==version`.
    pub(super) pins: Vec<String>,
}

impl<'a, 'b> Search<'a, 'b> {
    pub(super) fn new(ask: &'b Ask<'b>, preferred: &'b [String], learn: bool) -> Self {
        Self {
            ask,
            preferred,
            learn,
            found: Together::default(),
            asked: BTreeSet::new(),
            against: Vec::new(),
            apart: Vec::new(),
        }
    }

    /// Adds requests as far as they fit, the first ones first.
    pub(super) fn add(&mut self, sets: &[&'a Set]) -> Result<(), PlanError> {
        let mut open = Vec::new();
        for set in sets {
            // What was found satisfies it already.
            if set.requirements.iter().all(|text| self.asked.contains(text.as_str())) {
                self.found.sets.push(set);
            } else if let Some(reason) = self.known(set) {
                self.apart.push((set, reason));
            } else {
                open.push(*set);
            }
        }
        if open.is_empty() {
            return Ok(());
        }
        let more: BTreeSet<&str> = open.iter().flat_map(|set| requirements(set)).collect();
        match self.together(&more)? {
            Ok(pins) => {
                self.found.sets.extend(open);
                self.found.pins = pins;
                self.asked.extend(more);
            }
            Err(reason) if open.len() == 1 => {
                let reason = if self.learn { self.narrowed(open[0], reason)? } else { reason };
                self.apart.push((open[0], reason));
            }
            Err(_) => {
                let (first, second) = open.split_at(open.len() / 2);
                self.add(first)?;
                self.add(second)?;
            }
        }
        Ok(())
    }

    /// Why a request doesn't fit, if that is known.
    fn known(&self, set: &Set) -> Option<String> {
        let has = |text: &&str| set.requirements.binary_search_by(|one| one.as_str().cmp(text)).is_ok();
        self.against.iter().find(|(texts, _)| texts.iter().all(has)).map(|(_, reason)| reason.clone())
    }

    /// Resolves what fits together with further requirements.
    fn together(&self, more: &BTreeSet<&'a str>) -> Result<Answer, PlanError> {
        let all: Vec<String> = self.asked.union(more).map(|text| (*text).to_owned()).collect();
        let earlier = if self.found.pins.is_empty() { self.preferred } else { &self.found.pins };
        (self.ask)(&all, earlier)
    }

    /// Finds out which requirements of a request don't fit in: each that doesn't by itself, or else the fewest that don't
    /// together.
    fn narrowed(&mut self, set: &'a Set, reason: String) -> Result<String, PlanError> {
        let new: Vec<&str> = requirements(set).filter(|text| !self.asked.contains(text)).collect();
        let known = self.against.len();
        if new.len() > 1 {
            let one = |text: &&'a str| self.together(&BTreeSet::from([*text]));
            let answers = new.par_iter().map(one).collect::<Result<Vec<Answer>, PlanError>>()?;
            let failing =
                new.iter().zip(answers).filter_map(|(text, answer)| Some((vec![*text], answer.err()?)));
            self.against.extend(failing);
        }
        if let Some((_, reason)) = self.against.get(known) {
            return Ok(reason.clone());
        }
        let (mut fewest, mut why) = (new, reason);
        let mut at = 0;
        while fewest.len() > 2 && at < fewest.len() {
            let mut fewer = fewest.clone();
            fewer.remove(at);
            match self.together(&fewer.iter().copied().collect())? {
                Err(reason) => (fewest, why) = (fewer, reason),
                Ok(_) => at += 1,
            }
        }
        self.against.push((fewest, why.clone()));
        Ok(why)
    }
}

fn requirements(set: &Set) -> impl Iterator<Item = &str> {
    set.requirements.iter().map(String::as_str)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Each word of a text is a requirement: `a1` and `a2` contradict each other, `x` and `y` do together with `z`.
    fn sets(texts: &[&str]) -> Vec<Set> {
        let set = |text: &&str| Set {
            python: "3.11".into(),
            requirements: text.split(' ').map(str::to_owned).collect(),
            services: vec![(*text).to_owned()],
        };
        texts.iter().map(set).collect()
    }

    fn search(sets: &[Set], learn: bool) -> (Vec<String>, Vec<String>, usize) {
        let asked = AtomicUsize::new(0);
        let ask = |all: &[String], _: &[String]| {
            asked.fetch_add(1, Ordering::Relaxed);
            let has = |text: &str| all.iter().any(|one| one == text);
            let contradict = (has("a1") && has("a2")) || (has("x") && has("y") && has("z"));
            Ok(if contradict { Err("no".to_owned()) } else { Ok(all.to_vec()) })
        };
        let mut search = Search::new(&ask, &[], learn);
        search.add(&sets.iter().collect::<Vec<_>>()).unwrap();
        let names = |sets: Vec<&Set>| sets.iter().map(|set| set.services[0].clone()).collect();
        let apart = search.apart.iter().map(|(set, _)| *set).collect();
        (names(search.found.sets), names(apart), asked.into_inner())
    }

    #[test]
    fn the_first_come_first() {
        for learn in [false, true] {
            let (found, apart, _) = search(&sets(&["a1 b", "c", "a2 b", "x y", "b z", "b c"]), learn);
            assert_eq!(apart, ["a2 b", "b z"], "{learn}");
            assert_eq!(found, ["a1 b", "c", "b c", "x y"], "{learn}");
        }
    }

    #[test]
    fn what_is_known_is_not_asked() {
        let words: Vec<String> =
            (0..400).map(|n| format!("a{} c{:02} d{:02}", 1 + n % 2, n % 20, n / 20)).collect();
        let many = sets(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let (found, apart, asked) = search(&many, true);
        assert_eq!((found.len(), apart.len()), (200, 200));
        assert!(asked < 40, "{asked}");
        let (same, also, asked) = search(&many, false);
        assert_eq!((same.len(), also), (200, apart));
        assert!(asked > 200, "{asked}");
    }
}
