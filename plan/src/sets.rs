//! The distinct requests of a fleet.

use std::collections::BTreeMap;

use plinth_scan::{Class, Fleet, Foreseen, Service};

/// What some services ask for, all of them the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Set {
    /// `X.Y`.
    pub python: String,
    /// Requirements (PEP 508), sorted.
    pub requirements: Vec<String>,
    /// The services, sorted.
    pub services: Vec<String>,
}

/// The requests of the services that move, by interpreter. Those with constraints of their own, and with requirements by
/// address, aren't among them: their author has decided. `default` is the version of Python for a service whose base
/// doesn't say.
#[must_use]
pub fn sets(fleet: &Fleet, default: &str) -> Vec<Set> {
    let mut groups: BTreeMap<(String, Vec<String>), Vec<String>> = BTreeMap::new();
    for service in fleet.services.iter().filter(|service| is_planned(service)) {
        let python = service.python.clone().unwrap_or_else(|| default.to_owned());
        let named = service.requirements.iter().filter(|requirement| !requirement.by_url);
        let mut requirements: Vec<String> = named.map(|one| one.text.clone()).collect();
        requirements.sort();
        requirements.dedup();
        if !requirements.is_empty() {
            groups.entry((python, requirements)).or_default().push(service.name.clone());
        }
    }
    groups
        .into_iter()
        .map(|((python, requirements), mut services)| {
            services.sort();
            Set { python, requirements, services }
        })
        .collect()
}

fn is_planned(service: &Service) -> bool {
    let installs = |step: &plinth_scan::Step| step.needed && step.foreseen != Foreseen::Fails;
    service.class == Class::Migrate && !service.has_own_versions && service.steps.iter().any(installs)
}
