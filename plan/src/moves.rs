//! The move to another Python: which services can go as they are, and what is in the way of the others.
//!
//! 1. A request that resolves on the target, from wheels, can move, if what it installs there still imports.
//! 2. Where one doesn't resolve, each of its requirements is tried alone. For one that can't be had there, since it or what it
//!    needs has no wheels, the first later version that can is named; with these, the request is tried again.
//! 3. Wheels that are built for the target's interpreter import there: somebody has tried. Others are pure Python, and
//!    may import a module of the standard library that is gone: they are fetched and read.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use pep440_rs::{Version, VersionSpecifiers};
use plinth_layers::pip::Named;

use crate::choose::PlanError;
use crate::fetch::fetch;
use crate::imports::{Imports, gone, imports};
use crate::resolver::{Pin, Uv};
use crate::sets::Set;
use crate::wheels::pythons;

/// By SHA-256 of a wheel, the Pythons that it says it is for.
type Allowed = BTreeMap<String, Option<VersionSpecifiers>>;

/// Wheels that are larger aren't read.
const READ_UP_TO: usize = 200 << 20;

/// Whether a request can move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The request, with the version of Python that it moves from.
    pub set: Set,
    /// The verdict.
    pub verdict: Verdict,
    /// Requirements that have to change first.
    pub changes: Vec<Change>,
    /// Wheels that couldn't be read, so that nothing is known of their imports.
    pub unread: Vec<String>,
}

/// The verdict on a move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It can go as it is.
    Moves,
    /// It can, once some requirements are changed.
    AfterChanges,
    /// It can't.
    Stays {
        /// Why.
        reason: String,
    },
}

/// A requirement that is in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The requirement.
    pub requirement: String,
    /// The first version that can be had on the target, with all that it needs; none if there is none.
    pub first: Option<String>,
}

/// Judges the moves of all requests of older interpreters to the version `to`.
///
/// # Errors
/// When uv can't be asked.
pub fn moves(
    sets: &[Set],
    uv: &Uv,
    to: &str,
    progress: &mut dyn FnMut(&str, &str),
) -> Result<Vec<Move>, PlanError> {
    let mut read: BTreeMap<String, Result<Imports, String>> = BTreeMap::new();
    let mut allowed = Allowed::new();
    let mut all = Vec::new();
    let older: Vec<&Set> = sets.iter().filter(|set| minor(&set.python) < minor(to)).collect();
    for (number, set) in older.iter().enumerate() {
        progress("requests", &format!("{} of {}", number + 1, older.len()));
        all.push(judge(set, uv, to, &mut read, &mut allowed)?);
    }
    Ok(all)
}

fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("3.")?.parse().ok()
}

fn judge(
    set: &Set,
    uv: &Uv,
    to: &str,
    read: &mut BTreeMap<String, Result<Imports, String>>,
    allowed: &mut Allowed,
) -> Result<Move, PlanError> {
    let mut found =
        Move { set: set.clone(), verdict: Verdict::Moves, changes: Vec::new(), unread: Vec::new() };
    let stays = |found: Move, reason: String| Move { verdict: Verdict::Stays { reason }, ..found };
    let mut requirements = set.requirements.clone();
    if let Err(reason) = uv.near(to, &requirements, &[])? {
        if let Err(reason) = uv.near(&set.python, &requirements, &[])? {
            return Ok(stays(found, format!("it doesn't resolve on Python {} either: {reason}", set.python)));
        }
        for requirement in &mut requirements {
            let Some((later, name)) = later(requirement) else { continue };
            if uv.alone(to, requirement, &name, false)?.is_ok() {
                continue;
            }
            let first = uv.alone(to, &later, &name, true)?.ok();
            found.changes.push(Change { requirement: requirement.clone(), first: first.clone() });
            if first.is_some() {
                *requirement = later;
            }
        }
        if found.changes.is_empty() {
            return Ok(stays(found, reason));
        }
        if let Some(change) = found.changes.iter().find(|change| change.first.is_none()) {
            let reason = format!("no version of `{}` can be had for Python {to}", change.requirement);
            return Ok(stays(found, reason));
        }
        if let Err(reason) = uv.near(to, &requirements, &[])? {
            return Ok(stays(found, reason));
        }
        found.verdict = Verdict::AfterChanges;
    }
    let pins = match uv.resolve(to, &requirements, &[])? {
        Ok(pins) => pins,
        Err(reason) => return Ok(stays(found, reason)),
    };
    if let Some(reason) = forbidden(&pins, to, allowed) {
        return Ok(stays(found, reason));
    }
    let (broken, unread) = broken(&pins, &set.python, to, read);
    found.unread = unread;
    Ok(match broken {
        Some(reason) => stays(found, reason),
        None => found,
    })
}

/// Why what is installed may not be installed on the target. A resolver that looks for versions for all Pythons to come
/// takes no notice of an upper bound; pip does.
fn forbidden(pins: &BTreeMap<String, Pin>, to: &str, allowed: &mut Allowed) -> Option<String> {
    let unknown: Vec<Pin> = pins.values().filter(|pin| !allowed.contains_key(&pin.sha256)).cloned().collect();
    let mut said = pythons(unknown.clone());
    for pin in unknown {
        let python = said.remove(&pin.sha256).and_then(|text| VersionSpecifiers::from_str(&text).ok());
        allowed.insert(pin.sha256, python);
    }
    // Any release of it that isn't the first.
    let target = Version::from_str(&format!("{to}.1")).ok()?;
    let forbids = |pin: &&Pin| {
        let said = allowed.get(&pin.sha256).and_then(Option::as_ref);
        said.filter(|said| !said.contains(&target)).cloned()
    };
    pins.values().find_map(|pin| {
        let said = forbids(&pin)?;
        Some(format!("{} {} is for Python {said}", pin.name, pin.version))
    })
}

/// A requirement for the version that one names, or any later one; and its name.
fn later(requirement: &str) -> Option<(String, String)> {
    let named = Named::parse(requirement).ok().filter(|named| !named.by_url)?;
    let lower = |part: &str| {
        let version = ["===", "==", "~=", ">="].iter().find_map(|operator| part.strip_prefix(operator));
        match version {
            Some(version) => Some(format!(">={}", version.trim().trim_end_matches(".*"))),
            None => part.starts_with('>').then(|| part.to_owned()),
        }
    };
    let specifier = named.specifier.split(',').find_map(lower);
    let name = named.name.clone();
    Some((Named { specifier: specifier.unwrap_or_default(), ..named }.text(), name))
}

/// Why what is installed doesn't import on the target, if it doesn't; and what can't be told.
fn broken(
    pins: &BTreeMap<String, Pin>,
    from: &str,
    to: &str,
    read: &mut BTreeMap<String, Result<Imports, String>>,
) -> (Option<String>, Vec<String>) {
    let pure = |pin: &&Pin| pin.url.ends_with("-none-any.whl");
    let wanted: Vec<(String, String)> = pins
        .values()
        .filter(pure)
        .filter(|pin| !read.contains_key(&pin.sha256))
        .map(|pin| (pin.sha256.clone(), pin.url.clone()))
        .collect();
    for (sha256, wheel) in fetch(wanted, READ_UP_TO) {
        read.insert(sha256, wheel.and_then(|wheel| imports(&wheel)));
    }
    let known = |pin: &Pin| read.get(&pin.sha256).and_then(|imports| imports.as_ref().ok());
    let mut provided: BTreeSet<&str> =
        pins.values().filter_map(known).flat_map(|imports| &imports.modules).map(String::as_str).collect();
    // It puts its own copy in the place of the one that is gone.
    if pins.contains_key("setuptools") {
        provided.insert("distutils");
    }
    let unread = pins.values().filter(pure).filter(|pin| known(pin).is_none());
    let unread = unread.map(|pin| format!("{} {}", pin.name, pin.version)).collect();
    for pin in pins.values() {
        for (module, file) in known(pin).into_iter().flat_map(|imports| &imports.imports) {
            if let Some(version) = gone(module, from, to).filter(|_| !provided.contains(module.as_str())) {
                let reason = format!(
                    "{} {} doesn't import: {file} imports `{module}`, which Python has no longer from {version} on",
                    pin.name, pin.version
                );
                return (Some(reason), unread);
            }
        }
        // What is named like a module of the standard library was hardly meant as a package.
        if let Some(version) = gone(&pin.name, from, to).filter(|_| known(pin).is_none()) {
            let reason = format!("`{}` is asked for, which Python has no longer from {version} on", pin.name);
            return (Some(reason), unread);
        }
    }
    (None, unread)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::later;

    #[test]
    fn requirements_for_later_versions() {
        for (text, wanted) in [
            ("numpy==1.24.3", "numpy>=1.24.3"),
            ("numpy>=1.20,<2", "numpy>=1.20"),
            ("numpy<2", "numpy"),
            ("a[x]~=1.4; python_version > '3.1'", "a[x]>=1.4; python_full_version >= '3.2'"),
            ("a==1.*", "a>=1"),
            ("a>9,<12", "a>9"),
        ] {
            assert_eq!(later(text).unwrap().0, wanted, "{text}");
        }
        assert_eq!(later("a @ https://h/a.whl"), None);
    }
}
