//! From the requests of a fleet to its versions.
//!
//! 1. Each request is resolved alone. What has no answer is left out.
//! 2. As many services as possible are resolved *together*, as one request: what comes out has one version per package.
//!    Requests are added in the order of how many services have them, in halves, so that few resolutions find those that
//!    don't fit.
//! 3. Requests that don't fit in are resolved together with one another in the same way, near to the versions of the
//!    others: they have further versions only where they must, and the same ones where they can.
//! 4. Each request is resolved once more, with the versions that were chosen for it.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use pep440_rs::Version;
use plinth_layers::pip::Named;
use rayon::prelude::*;

use crate::resolver::{Pin, Uv, UvError};
use crate::sets::Set;

/// A plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Requests with their versions, in the order of [`Set`].
    pub planned: Vec<Planned>,
    /// Requests that don't resolve.
    pub left_out: Vec<LeftOut>,
    /// By interpreter, the versions that most services share.
    pub shared: BTreeMap<String, BTreeMap<String, Pin>>,
}

/// A request with its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The request.
    pub set: Set,
    /// All that it installs, by name.
    pub pins: BTreeMap<String, Pin>,
    /// Why it doesn't have the shared versions, if it hasn't: the resolver's reason.
    pub apart: Option<String>,
    /// What it asks for itself, and gets in a much older version than by itself: its requirements allow that.
    pub older: Vec<Older>,
}

/// A version that somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Older {
    /// The package.
    pub name: String,
    /// Its version in the plan.
    pub planned: String,
    /// Its version if the request is resolved by itself.
    pub alone: String,
}

/// A request that doesn't resolve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The request.
    pub set: Set,
    /// The resolver's reason.
    pub reason: String,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// uv can't be asked.
    #[error(transparent)]
    Uv(#[from] UvError),
    /// No request resolves at all: that is hardly the fleet's fault.
    #[error("no service resolves, the first because: {0}")]
    Nothing(String),
    /// A request doesn't resolve with the versions that were chosen for it.
    #[error("{services} resolves alone and not with the plan, which is a mistake of plinth's: {reason}")]
    Broken {
        /// The first of its services.
        services: String,
        /// The resolver's reason.
        reason: String,
    },
}

/// Chooses the versions. `before` are those of an earlier plan, by interpreter, as `name==version`: they are kept where
/// they still fit. `progress` is told what is going on.
///
/// # Errors
/// When uv can't be asked, or contradicts itself.
pub fn choose(
    sets: &[Set],
    uv: &Uv,
    before: &BTreeMap<String, Vec<String>>,
    progress: &mut (dyn FnMut(&str) + Send),
) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    let pythons: BTreeSet<&str> = sets.iter().map(|set| set.python.as_str()).collect();
    for python in pythons {
        let sets: Vec<&Set> = sets.iter().filter(|set| set.python == python).collect();
        let kept = before.get(python).map_or(&[] as &[String], Vec::as_slice);
        Chooser { uv, python, kept, progress: Mutex::new(&mut *progress) }.choose(&sets, &mut plan)?;
    }
    if plan.planned.is_empty() && !sets.is_empty() {
        let reason = plan.left_out.first().map(|left| left.reason.clone()).unwrap_or_default();
        return Err(PlanError::Nothing(reason));
    }
    plan.planned.sort_by(|a, b| a.set.cmp(&b.set));
    plan.left_out.sort_by(|a, b| a.set.cmp(&b.set));
    Ok(plan)
}

struct Chooser<'a> {
    uv: &'a Uv,
    python: &'a str,
    kept: &'a [String],
    progress: Mutex<&'a mut (dyn FnMut(&str) + Send)>,
}

/// The requests that are resolved together, and what that comes to.
#[derive(Default)]
struct Together<'a> {
    sets: Vec<&'a Set>,
    pins: Vec<String>,
    /// They have versions of their own, and aren't bound by what is set by hand.
    apart: bool,
}

impl Chooser<'_> {
    fn choose(&self, sets: &[&Set], plan: &mut Plan) -> Result<(), PlanError> {
        let by_itself =
            self.each(sets, "by itself", |set| self.uv.near(self.python, &set.requirements, &[]))?;
        let mut alone = Vec::new();
        let mut versions = BTreeMap::new();
        for (set, answer) in sets.iter().zip(by_itself) {
            match answer {
                Ok(pins) => {
                    alone.push(*set);
                    versions.insert(*set, pins);
                }
                Err(reason) => plan.left_out.push(LeftOut { set: (*set).clone(), reason }),
            }
        }
        // The most wanted first; of those, the largest: what it brings along decides for others.
        alone.sort_by_key(|set| {
            (std::cmp::Reverse(set.services.len()), std::cmp::Reverse(set.requirements.len()), *set)
        });
        let mut together = Together::default();
        let mut apart = Vec::new();
        self.add(&mut together, &alone, self.kept, &mut apart)?;
        let (shared, _) = self.pinned(&union(&together.sets), &together.pins)?;
        let pins: Vec<String> = shared.values().map(text).collect();
        // With the versions that were chosen for it, and why they aren't the shared ones.
        let mut chosen: BTreeMap<&Set, (&[String], Option<String>)> =
            together.sets.iter().map(|set| (*set, (pins.as_slice(), None))).collect();
        // Those that don't fit in fit together with one another, as far as they do.
        let reasons: BTreeMap<&Set, String> = apart.iter().cloned().collect();
        let mut groups = Vec::new();
        while !apart.is_empty() {
            let left: BTreeSet<&Set> = apart.drain(..).map(|(set, _)| set).collect();
            let sets: Vec<&Set> = alone.iter().copied().filter(|set| left.contains(set)).collect();
            let mut together = Together { apart: true, ..Together::default() };
            self.add(&mut together, &sets, &pins, &mut apart)?;
            if together.sets.is_empty() {
                let (set, reason) = apart.remove(0);
                return Err(broken(set, reason));
            }
            groups.push(together);
        }
        for number in 0..groups.len() {
            self.draw_near(number, &mut groups, &pins)?;
        }
        for together in &groups {
            for set in &together.sets {
                // Why they don't fit in with most is what matters, and not why with one another.
                chosen.insert(set, (together.pins.as_slice(), reasons.get(set).cloned()));
            }
        }
        let sets: Vec<&Set> = chosen.keys().copied().collect();
        plan.planned.extend(self.each(&sets, "with the plan", |set| {
            let (pins, apart) = &chosen[set];
            self.planned(set, pins, &versions[set], apart.clone())
        })?);
        plan.shared.insert(self.python.to_owned(), shared);
        Ok(())
    }

    /// Does something with each request, several at a time; the answers come in order.
    fn each<T: Send, E: Send>(
        &self,
        sets: &[&Set],
        what: &str,
        work: impl Fn(&Set) -> Result<T, E> + Sync,
    ) -> Result<Vec<T>, E> {
        let begun = AtomicUsize::new(0);
        let one = |set: &&Set| {
            let number = begun.fetch_add(1, Ordering::Relaxed) + 1;
            self.say(&format!("request {number} of {} {what}", sets.len()));
            work(set)
        };
        sets.par_iter().map(one).collect()
    }

    fn say(&self, what: &str) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress(&format!("Python {}: {what}", self.python));
    }

    /// Adds requests to those that are resolved together, as far as they fit.
    fn add<'a>(
        &self,
        together: &mut Together<'a>,
        sets: &[&'a Set],
        preferred: &[String],
        apart: &mut Vec<(&'a Set, String)>,
    ) -> Result<(), PlanError> {
        if sets.is_empty() {
            return Ok(());
        }
        self.say(&format!("{} requests together", together.sets.len() + sets.len()));
        let all: Vec<&Set> = together.sets.iter().chain(sets).copied().collect();
        let earlier = if together.pins.is_empty() { preferred } else { &together.pins };
        let answer = match together.apart {
            true => self.uv.near(self.python, &union(&all), earlier)?,
            false => self.uv.shared(self.python, &union(&all), earlier)?,
        };
        match answer {
            Ok(pins) => *together = Together { sets: all, pins, apart: together.apart },
            Err(reason) if sets.len() == 1 => apart.push((sets[0], reason)),
            Err(_) => {
                let (first, second) = sets.split_at(sets.len() / 2);
                self.add(together, first, preferred, apart)?;
                self.add(together, second, preferred, apart)?;
            }
        }
        Ok(())
    }

    /// Gives a group the versions that others have, instead of further ones, where it can have them.
    fn draw_near(
        &self,
        number: usize,
        groups: &mut [Together<'_>],
        shared: &[String],
    ) -> Result<(), PlanError> {
        let others = groups.iter().enumerate().filter(|(other, _)| *other != number);
        let others: BTreeSet<&String> =
            shared.iter().chain(others.flat_map(|(_, group)| &group.pins)).collect();
        let further = |pins: &[String]| pins.iter().filter(|pin| !others.contains(pin)).count();
        let name = |pin: &str| pin.split("==").next().unwrap_or_default().to_owned();
        let version = |pin: &str| Version::from_str(pin.split_once("==")?.1).ok();
        let mut known: BTreeMap<String, Vec<&String>> = BTreeMap::new();
        for pin in &others {
            known.entry(name(pin)).or_default().push(pin);
        }
        known.values_mut().for_each(|pins| pins.sort_by_key(|pin| std::cmp::Reverse(version(pin))));
        let union = union(&groups[number].sets);
        let mut pins = groups[number].pins.clone();
        // The newest of the others first, then the next one, for all packages at once.
        for rank in 0..known.values().map(Vec::len).max().unwrap_or(0) {
            let instead = |pin: &String| {
                let other =
                    known.get(&name(pin)).filter(|_| !others.contains(pin)).and_then(|all| all.get(rank));
                other.map_or(pin, |other| *other).clone()
            };
            let wanted: Vec<String> = pins.iter().map(instead).collect();
            if wanted == pins {
                continue;
            }
            self.say("fewer versions");
            if let Ok(found) = self.uv.near(self.python, &union, &wanted)?
                && further(&found) < further(&pins)
            {
                pins = found;
            }
        }
        groups[number].pins = pins;
        Ok(())
    }

    /// What a request comes to with versions that were chosen for it.
    fn planned(
        &self,
        set: &Set,
        chosen: &[String],
        by_itself: &[String],
        apart: Option<String>,
    ) -> Result<Planned, PlanError> {
        let (pins, others) = self.pinned(&set.requirements, chosen)?;
        if let Some(name) = others.first() {
            return Err(broken(set, format!("{name} has no version in the plan")));
        }
        let older = older(set, &pins, by_itself);
        Ok(Planned { set: set.clone(), pins, apart, older })
    }

    /// Resolves with versions, and gives the packages that aren't among them.
    fn pinned(
        &self,
        requirements: &[String],
        chosen: &[String],
    ) -> Result<(BTreeMap<String, Pin>, Vec<String>), PlanError> {
        if requirements.is_empty() {
            return Ok((BTreeMap::new(), Vec::new()));
        }
        let answer = self.uv.resolve(self.python, requirements, chosen)?;
        let pins =
            answer.map_err(|reason| PlanError::Broken { services: requirements.join(", "), reason })?;
        let names: BTreeSet<&str> = chosen.iter().filter_map(|pin| pin.split("==").next()).collect();
        let others = pins.keys().filter(|name| !names.contains(name.as_str())).cloned().collect();
        Ok((pins, others))
    }
}

/// What a request names itself and gets from an older series: another first number, or the second behind a zero.
fn older(set: &Set, pins: &BTreeMap<String, Pin>, by_itself: &[String]) -> Vec<Older> {
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

fn broken(set: &Set, reason: String) -> PlanError {
    PlanError::Broken { services: set.services.first().cloned().unwrap_or_default(), reason }
}

/// Everything that some requests ask for.
fn union(sets: &[&Set]) -> Vec<String> {
    let all: BTreeSet<&String> = sets.iter().flat_map(|set| &set.requirements).collect();
    all.into_iter().cloned().collect()
}

/// As constraints and requirement files have it.
fn text(pin: &Pin) -> String {
    format!("{}=={}", pin.name, pin.version)
}

impl Plan {
    /// All versions of each package, over all requests of one interpreter; the oldest first.
    #[must_use]
    pub fn versions(&self, python: &str) -> BTreeMap<&str, Vec<&str>> {
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for planned in self.planned.iter().filter(|planned| planned.set.python == python) {
            for pin in planned.pins.values() {
                versions.entry(&pin.name).or_default().push(&pin.version);
            }
        }
        for versions in versions.values_mut() {
            versions.sort_by_key(|version| (Version::from_str(version).ok(), *version));
            versions.dedup();
        }
        versions
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
                Pin {
                    name: name.into(),
                    version: version.into(),
                    url: String::new(),
                    sha256: String::new(),
                    size: None,
                },
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
