//! What each request comes to with the versions that were chosen for it.
//!
//! With one version of every package, a request comes to what its requirements come to one by one, and it resolves if each of
//! them does. So in a large fleet, each requirement is resolved once with the chosen versions, and not each request.

use std::collections::{BTreeMap, BTreeSet};

use super::{Chooser, Pins, PlanError, broken, name};
use crate::sets::Set;

/// Requests, and the versions that were chosen for them.
pub(super) type Chosen<'a> = (&'a [&'a Set], &'a [String]);

/// What is asked: about requirements, with these versions.
struct Question<'a> {
    requirements: &'a [String],
    chosen: &'a [String],
}

impl Chooser<'_> {
    /// The wheels of every request, in the order of [`Set`].
    pub(super) fn closures<'a>(&self, all: &[Chosen<'a>]) -> Result<Vec<(&'a Set, Pins)>, PlanError> {
        let mut found = BTreeMap::new();
        // Groups of the same versions have the same answers.
        let mut groups: BTreeMap<&[String], Vec<&'a Set>> = BTreeMap::new();
        for (sets, chosen) in all {
            groups.entry(chosen).or_default().extend(*sets);
        }
        let (mut whole, mut parts): (Vec<(&Set, &[String])>, Vec<Question<'_>>) = (Vec::new(), Vec::new());
        let mut in_parts: Vec<(&Set, &[String])> = Vec::new();
        for (chosen, sets) in &groups {
            let texts: BTreeSet<&String> = sets.iter().flat_map(|set| &set.requirements).collect();
            let each = sets.iter().map(|set| (*set, *chosen));
            if sets.len() <= texts.len() {
                whole.extend(each);
                continue;
            }
            in_parts.extend(each);
            let texts = texts.into_iter().map(std::slice::from_ref);
            parts.extend(texts.map(|requirements| Question { requirements, chosen }));
        }
        let answers = self.each(&parts, "requirements with the plan", |question| {
            // What doesn't resolve by itself may do in a request: a version before a release, say, that it asks for too.
            Ok::<_, PlanError>(match self.wheels(question.requirements, question.chosen) {
                Err(PlanError::Broken { .. }) => None,
                answer => Some(answer?),
            })
        })?;
        let known: BTreeMap<(&[String], &String), Option<Pins>> = parts
            .iter()
            .zip(answers)
            .map(|(question, answer)| ((question.chosen, &question.requirements[0]), answer))
            .collect();
        for (set, chosen) in in_parts {
            let of = set.requirements.iter().map(|text| known.get(&(chosen, text))?.as_ref());
            match of.collect::<Option<Vec<&Pins>>>() {
                Some(pins) => {
                    let pins = pins.into_iter().flatten().map(|(name, pin)| (name.clone(), pin.clone()));
                    found.insert(set, checked(set, pins.collect(), chosen)?);
                }
                None => whole.push((set, chosen)),
            }
        }
        let answers = self.each(&whole, "requests with the plan", |(set, chosen)| {
            let pins = self.wheels(&set.requirements, chosen).map_err(|error| match error {
                PlanError::Broken { reason, .. } => broken(set, reason),
                other => other,
            })?;
            checked(set, pins, chosen)
        })?;
        found.extend(whole.into_iter().map(|(set, _)| set).zip(answers));
        Ok(found.into_iter().collect())
    }
}

/// Everything that a request comes to has a version in the plan.
fn checked(set: &Set, pins: Pins, chosen: &[String]) -> Result<Pins, PlanError> {
    let names: BTreeSet<&str> = chosen.iter().map(|pin| name(pin)).collect();
    match pins.keys().find(|name| !names.contains(name.as_str())) {
        Some(name) => Err(broken(set, format!("{name} has no version in the plan"))),
        None => Ok(pins),
    }
}
