//! From the requests of a fleet to its versions.
//!
//! 1. Each request is resolved alone. What has no answer is left out.
//! 2. As many services as possible are resolved *together*, as one request: what comes out has one version per package.
//!    Requests are added in the order of how many services have them, in halves, so that few resolutions find those that
//!    don't fit.
//! 3. A request that doesn't fit is resolved by itself, near to the versions of the others: it has further versions only
//!    where it must.
//! 4. Each request is resolved once more, with the versions that were chosen for it.

use std::collections::{BTreeMap, BTreeSet};

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
    progress: &mut dyn FnMut(&str),
) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    let pythons: BTreeSet<&str> = sets.iter().map(|set| set.python.as_str()).collect();
    for python in pythons {
        let sets: Vec<&Set> = sets.iter().filter(|set| set.python == python).collect();
        let kept = before.get(python).map_or(&[] as &[String], Vec::as_slice);
        Chooser { uv, python, kept, progress }.choose(&sets, &mut plan)?;
    }
    plan.planned.sort_by(|a, b| a.set.cmp(&b.set));
    plan.left_out.sort_by(|a, b| a.set.cmp(&b.set));
    Ok(plan)
}

struct Chooser<'a> {
    uv: &'a Uv,
    python: &'a str,
    kept: &'a [String],
    progress: &'a mut dyn FnMut(&str),
}

/// The requests that are resolved together, and what that comes to.
#[derive(Default)]
struct Together<'a> {
    sets: Vec<&'a Set>,
    pins: Vec<String>,
}

impl Chooser<'_> {
    fn choose(&mut self, sets: &[&Set], plan: &mut Plan) -> Result<(), PlanError> {
        let mut alone = Vec::new();
        for (number, set) in sets.iter().enumerate() {
            (self.progress)(&format!(
                "Python {}: request {} of {} by itself",
                self.python,
                number + 1,
                sets.len()
            ));
            match self.uv.near(self.python, &set.requirements, self.kept)? {
                Ok(_) => alone.push(*set),
                Err(reason) => plan.left_out.push(LeftOut { set: (*set).clone(), reason }),
            }
        }
        // The most wanted first; of those, the largest: what it brings along decides for others.
        alone.sort_by_key(|set| {
            (std::cmp::Reverse(set.services.len()), std::cmp::Reverse(set.requirements.len()), *set)
        });
        let mut together = Together::default();
        let mut apart = Vec::new();
        self.add(&mut together, &alone, &mut apart)?;
        let (shared, _) = self.pinned(&union(&together.sets), &together.pins)?;
        let pins: Vec<String> = shared.values().map(text).collect();
        for set in together.sets {
            self.planned(set, &pins, None, plan)?;
        }
        for (set, reason) in apart {
            (self.progress)(&format!("Python {}: {}, which goes its own way", self.python, set.services[0]));
            let near = self.uv.near(self.python, &set.requirements, &pins)?;
            let near = near.map_err(|reason| broken(set, reason))?;
            self.planned(set, &near, Some(reason), plan)?;
        }
        plan.shared.insert(self.python.to_owned(), shared);
        Ok(())
    }

    /// Adds requests to those that are resolved together, as far as they fit.
    fn add<'a>(
        &mut self,
        together: &mut Together<'a>,
        sets: &[&'a Set],
        apart: &mut Vec<(&'a Set, String)>,
    ) -> Result<(), PlanError> {
        if sets.is_empty() {
            return Ok(());
        }
        (self.progress)(&format!(
            "Python {}: {} requests together",
            self.python,
            together.sets.len() + sets.len()
        ));
        let all: Vec<&Set> = together.sets.iter().chain(sets).copied().collect();
        let earlier = if together.pins.is_empty() { self.kept } else { &together.pins };
        match self.uv.near(self.python, &union(&all), earlier)? {
            Ok(pins) => *together = Together { sets: all, pins },
            Err(reason) if sets.len() == 1 => apart.push((sets[0], reason)),
            Err(_) => {
                let (first, second) = sets.split_at(sets.len() / 2);
                self.add(together, first, apart)?;
                self.add(together, second, apart)?;
            }
        }
        Ok(())
    }

    /// What a request comes to with versions that were chosen for it.
    fn planned(
        &mut self,
        set: &Set,
        chosen: &[String],
        apart: Option<String>,
        plan: &mut Plan,
    ) -> Result<(), PlanError> {
        let (pins, others) = self.pinned(&set.requirements, chosen)?;
        if let Some(name) = others.first() {
            return Err(broken(set, format!("{name} has no version in the plan")));
        }
        plan.planned.push(Planned { set: set.clone(), pins, apart });
        Ok(())
    }

    /// Resolves with versions, and gives the packages that aren't among them.
    fn pinned(
        &mut self,
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
    /// All versions of each package, over all requests of one interpreter.
    #[must_use]
    pub fn versions(&self, python: &str) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for planned in self.planned.iter().filter(|planned| planned.set.python == python) {
            for pin in planned.pins.values() {
                versions.entry(&pin.name).or_default().insert(&pin.version);
            }
        }
        versions
    }
}
