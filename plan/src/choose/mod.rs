//! From the requests of a fleet to its versions.
//!
//! 1. Each request is resolved alone. What has no answer is left out.
//! 2. As many services as possible are resolved *together*, as one request: what comes out has one version per package.
//!    Requests that had the shared versions in an earlier plan come first, then the others in the order of how many
//!    services have them.
//! 3. Requests that don't fit in keep the versions that they had in an earlier plan. Others are resolved together with one
//!    another in the same way, near to the versions that there are: they have further versions only where they must, and
//!    the same ones where they can.
//! 4. Each request is resolved once more, with the versions that were chosen for it.
//!
//! A large fleet has many more requests than requirements. There, 1 and 4 go by requirements ([`alone`], [`closure`]).
//!
//! ```text
//! alone     what each request comes to by itself
//! together  as many requests as possible together
//! apart     those that don't fit in
//! closure   what each request comes to with the versions chosen for it
//! older     versions that somebody should look at
//! ```

mod alone;
mod apart;
mod closure;
mod older;
mod together;

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pep440_rs::Version;
use plinth_layers::lock;
use rayon::prelude::*;

use crate::resolver::{Pin, Uv, UvError, name};
use crate::sets::Set;
use together::Search;

/// Wheels by the names of their packages.
pub type Pins = BTreeMap<String, Arc<Pin>>;

/// A plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Requests with their versions, in the order of [`Set`].
    pub planned: Vec<Planned>,
    /// Requests that don't resolve.
    pub left_out: Vec<LeftOut>,
    /// By interpreter, the versions that most services share.
    pub shared: BTreeMap<String, Pins>,
}

/// A request with its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The request.
    pub set: Set,
    /// All that it installs, by name.
    pub pins: Pins,
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

/// Is told the phase of the work, and how far it is.
pub type Progress<'a> = dyn FnMut(&str, &str) + Send + 'a;

/// Chooses the versions. Those of an earlier plan are kept where they still fit: `kept` are its shared ones, by
/// interpreter, and `earlier` its requests with what was their own.
///
/// # Errors
/// When uv can't be asked, or contradicts itself.
pub fn choose(
    sets: &[Set],
    uv: &Uv,
    kept: &BTreeMap<String, Vec<String>>,
    earlier: &[lock::Set],
    progress: &mut Progress<'_>,
) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    let pythons: BTreeSet<&str> = sets.iter().map(|set| set.python.as_str()).collect();
    for python in pythons {
        let sets: Vec<&Set> = sets.iter().filter(|set| set.python == python).collect();
        let here = earlier.iter().filter(|set| set.python == python);
        let chooser = Chooser {
            uv,
            python,
            kept: kept.get(python).cloned().unwrap_or_default(),
            earlier: here.map(|set| (set.requirements.as_slice(), set)).collect(),
            large: sets.len() > union(&sets).len(),
            progress: Mutex::new(&mut *progress),
        };
        chooser.choose(&sets, &mut plan)?;
    }
    if plan.planned.is_empty() && !sets.is_empty() {
        let reason = plan.left_out.first().map(|left| left.reason.clone()).unwrap_or_default();
        return Err(PlanError::Nothing(reason));
    }
    plan.planned.sort_by(|a, b| a.set.cmp(&b.set));
    plan.left_out.sort_by(|a, b| a.set.cmp(&b.set));
    Ok(plan)
}

/// The choice for one interpreter.
struct Chooser<'a> {
    uv: &'a Uv,
    python: &'a str,
    /// The shared versions of the earlier plan.
    kept: Vec<String>,
    /// The requests of the earlier plan, by their requirements.
    earlier: BTreeMap<&'a [String], &'a lock::Set>,
    /// There are more requests than requirements.
    large: bool,
    progress: Mutex<&'a mut Progress<'a>>,
}

impl Chooser<'_> {
    fn choose(&self, sets: &[&Set], plan: &mut Plan) -> Result<(), PlanError> {
        let mut alone = self.alone(sets)?;
        let mut fit: Vec<&Set> = sets.iter().copied().filter(|set| !alone.fails(set)).collect();
        // The most wanted first; of those, the largest: what it brings along decides for others.
        fit.sort_by_key(|set| {
            let size = (set.services.len(), set.requirements.len());
            (!self.was_shared(set), std::cmp::Reverse(size), *set)
        });
        let ask = |all: &[String], near: &[String]| {
            self.say("requests together", &format!("{} requirements", all.len()));
            Ok(self.uv.shared(self.python, all, near)?)
        };
        let mut search = Search::new(&ask, &self.kept, self.large);
        search.add(&fit)?;
        let (together, apart) = (search.found, search.apart);
        let shared = self.wheels(&union(&together.sets), &together.pins)?;
        let pins: Vec<String> = shared.values().map(|pin| text(pin)).collect();
        // One that isn't among those that fit together may not resolve at all.
        let unknown: Vec<&Set> = apart.iter().map(|(set, _)| *set).collect();
        self.each_alone(&unknown, &mut alone)?;
        let apart = apart.into_iter().filter(|(set, _)| !alone.fails(set)).collect();
        let groups = self.apart(apart, &pins)?;
        let all = std::iter::once((together.sets.as_slice(), pins.as_slice()));
        let all: Vec<_> = all.chain(groups.iter().map(|group| (group.sets(), group.pins()))).collect();
        let reasons: BTreeMap<&Set, &String> = groups.iter().flat_map(apart::Group::reasons).collect();
        let closures = self.closures(&all)?;
        let older = self.older(&closures, &mut alone)?;
        for ((set, pins), older) in closures.into_iter().zip(older) {
            let apart = reasons.get(set).map(|reason| (*reason).clone());
            plan.planned.push(Planned { set: set.clone(), pins, apart, older });
        }
        plan.left_out.extend(alone.left_out(sets));
        plan.shared.insert(self.python.to_owned(), shared);
        Ok(())
    }

    /// Whether a request had the shared versions in the earlier plan: then another one doesn't drive it out.
    fn was_shared(&self, set: &Set) -> bool {
        self.earlier.get(set.requirements.as_slice()).is_some_and(|earlier| earlier.reason.is_none())
    }

    /// Does something with each of several, some at a time; the answers come in order.
    fn each<I: Sync, T: Send, E: Send>(
        &self,
        all: &[I],
        phase: &str,
        work: impl Fn(&I) -> Result<T, E> + Sync,
    ) -> Result<Vec<T>, E> {
        let begun = AtomicUsize::new(0);
        let one = |item: &I| {
            let number = begun.fetch_add(1, Ordering::Relaxed) + 1;
            self.say(phase, &format!("{number} of {}", all.len()));
            work(item)
        };
        all.par_iter().map(one).collect()
    }

    fn say(&self, phase: &str, what: &str) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress(&format!("Python {}: {phase}", self.python), what);
    }

    /// The wheels of requirements with the versions that were chosen for them.
    fn wheels(&self, requirements: &[String], chosen: &[String]) -> Result<Pins, PlanError> {
        if requirements.is_empty() {
            return Ok(Pins::new());
        }
        let answer = self.uv.resolve(self.python, requirements, chosen)?;
        let pins =
            answer.map_err(|reason| PlanError::Broken { services: requirements.join(", "), reason })?;
        Ok(pins.into_iter().map(|(name, pin)| (name, Arc::new(pin))).collect())
    }
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
        let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for planned in self.planned.iter().filter(|planned| planned.set.python == python) {
            for pin in planned.pins.values() {
                versions.entry(&pin.name).or_default().insert(&pin.version);
            }
        }
        let mut all: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, versions) in versions {
            let mut versions: Vec<&str> = versions.into_iter().collect();
            versions.sort_by_cached_key(|version| Version::from_str(version).ok());
            all.insert(name, versions);
        }
        all
    }
}
