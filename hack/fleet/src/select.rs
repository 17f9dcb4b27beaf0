//! Which services a command works on.

use crate::facts::{Fleet, Service};

const DEMO: &str = include_str!("../demo.txt");

/// A named part of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// Five of the dev services, few bytes, chosen for variety and for what they share.
    Demo,
    /// The services that resolve with wheels only on Python 3.11.
    Dev,
    /// Every service.
    All,
}

/// A name that no service has.
#[derive(Debug, thiserror::Error)]
#[error("no service is called {0:?} in this set: `plinth-fleet list` prints the names")]
pub struct UnknownService(String);

/// The services of `set`, or those of them that `only` names (as in the fleet, or as a directory).
///
/// # Errors
/// When a name in `only` fits no service of the set.
pub fn select<'f>(fleet: &'f Fleet, set: Set, only: &[String]) -> Result<Vec<&'f Service>, UnknownService> {
    let chosen: Vec<&Service> = fleet.services.iter().filter(|service| contains(set, service)).collect();
    if only.is_empty() {
        return Ok(chosen);
    }
    let named = |service: &Service, name: &String| service.name == *name || service.slug() == *name;
    if let Some(name) = only.iter().find(|name| !chosen.iter().any(|service| named(service, name))) {
        return Err(UnknownService(name.clone()));
    }
    Ok(chosen.into_iter().filter(|service| only.iter().any(|name| named(service, name))).collect())
}

fn contains(set: Set, service: &Service) -> bool {
    match set {
        Set::Demo => DEMO.lines().any(|name| name == service.name),
        Set::Dev => service.dev,
        Set::All => true,
    }
}
