//! The plan that an answer makes, or why there is none.

use std::fs;
use std::path::Path;

use super::answer::{Answer, Concluded, Described, read_limited};
use super::ask::Ran;
use super::secret::without_address;
use super::state::{check_state, pip_version};
use super::stubs::Stubs;
use super::{Error, NoPlan};
use crate::pip::{Launcher, NotUnderstood, PipCommand, Report};
use crate::resolution::{Distribution, Plan, Removal};

/// Makes a plan of the answer in `scratch`. Gives too whether the configuration says how much pip prints.
pub(super) fn judge(
    command: &PipCommand,
    launcher: &Launcher,
    scratch: &Path,
    ran: &Ran,
    stubs: Option<&Stubs>,
    secrets: bool,
) -> Result<(Plan, bool), NoPlan> {
    let unresolved = || {
        let why = ran.last_error.as_deref().unwrap_or("no reason given");
        NoPlan::Failed(Error::Unresolved { reason: format!("pip could not resolve it: {why}") })
    };
    let Some(text) = read_limited(&scratch.join("answer.json")).filter(|_| ran.ok) else {
        return Err(unresolved());
    };
    let answer: Answer = serde_json::from_str(&text).map_err(|_| unresolved())?;
    let Some(described) = answer.described else {
        return Err(NotUnderstood::new("a pip or Python of an unknown kind").into());
    };
    if answer.implementation != "cpython" {
        return Err(NotUnderstood::new("an interpreter other than CPython").into());
    }
    if answer.executable != launcher.interpreter {
        return Err(NotUnderstood::new("an interpreter that is started through another program").into());
    }
    check_state(command, &described, secrets)?;
    if answer.error.is_some() {
        return Err(NotUnderstood::new("a pip whose resolver is not known").into());
    }
    let Some(concluded) = answer.concluded.filter(|_| answer.code == 0) else {
        return Err(unresolved());
    };
    let report = read_limited(&scratch.join("report.json"));
    let mut report = Report::parse(&report.ok_or_else(|| NotUnderstood::new("no report from pip"))?)?;
    if let Some(stubs) = stubs.filter(|_| described.stubs) {
        stubs.replace(&mut report).map_err(|reason| NoPlan::Failed(Error::Unresolved { reason }))?;
    }
    let install = in_order(&report, &concluded, &described, secrets)?;
    let install: Vec<Distribution> = match secrets {
        true => install.into_iter().map(without_address).collect::<Result<_, _>>()?,
        false => install,
    };
    let remove = removals(command, &concluded, &described)?;
    let steered = |key: &str| key.ends_with(".quiet") || key.ends_with(".verbose");
    let steered = described.config.iter().any(|item| steered(&item.key));
    let plan = Plan {
        installer: "pip".to_owned(),
        installer_version: described.pip_version.clone(),
        interpreter: described.python.interpreter(&launcher.interpreter)?,
        scheme: described.scheme,
        install,
        remove,
        satisfied: concluded.satisfied,
        left: Vec::new(),
        fetch_with: Vec::new(),
        locked: None,
        compiler: None,
    };
    Ok((plan, steered))
}

/// The report's distributions in the order in which pip would install them.
fn in_order(
    report: &Report,
    concluded: &Concluded,
    facts: &Described,
    secrets: bool,
) -> Result<Vec<Distribution>, NotUnderstood> {
    let origin = pip_version(&facts.pip_version) >= (23, 1);
    let mut found = Vec::new();
    for item in &report.install {
        let direct = item.is_direct && !origin;
        found.push((canonical(&item.metadata.name), direct, item.distribution(origin, secrets)?));
    }
    let mut ordered = Vec::new();
    for item in &concluded.order {
        let Some(at) = found.iter().position(|(name, ..)| *name == item.name) else {
            return Err(NotUnderstood::new("a pip report that differs from its resolution"));
        };
        let (_, direct, mut distribution) = found.swap_remove(at);
        if direct != item.direct_url.is_some() {
            return Err(NotUnderstood::new("a requirement by URL that pip doesn't call one"));
        }
        if direct {
            distribution.direct_url.clone_from(&item.direct_url);
        }
        if item.spelling != distribution.name {
            distribution.spelling = Some(item.spelling.clone());
        }
        ordered.push(distribution);
    }
    if !found.is_empty() {
        return Err(NotUnderstood::new("a pip report that differs from its resolution"));
    }
    Ok(ordered)
}

/// Normalised name (PEP 503).
fn canonical(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        let letter = if matches!(letter, '-' | '_' | '.') { '-' } else { letter.to_ascii_lowercase() };
        if letter != '-' || !out.ends_with('-') {
            out.push(letter);
        }
    }
    out
}

/// What pip would uninstall first.
fn removals(
    command: &PipCommand,
    concluded: &Concluded,
    facts: &Described,
) -> Result<Vec<Removal>, NotUnderstood> {
    let mut removals = Vec::new();
    for item in &concluded.order {
        let mut there = concluded.installed.iter().filter(|dist| dist.canonical == item.name);
        let first = there.next();
        if there.next().is_some() {
            return Err(NotUnderstood::new(format!("{} is installed twice", item.name)));
        }
        let Some(dist) = first else {
            if item.replaces {
                return Err(NotUnderstood::new(format!("{} is replaced but not found", item.name)));
            }
            continue;
        };
        if !item.replaces {
            return Err(NotUnderstood::new(format!("{} would be installed over another", item.name)));
        }
        if command.target().prefix.is_some() {
            return Err(NotUnderstood::new(format!(
                "{} is outside of --prefix, and would be replaced",
                item.name
            )));
        }
        if !dist.local {
            // pip leaves it where it is.
            continue;
        }
        let understood = dist.info.ends_with(".dist-info")
            && !dist.user
            && dist.location != facts.stdlib
            && Path::new(&dist.info).starts_with(&facts.prefix)
            && fs::canonicalize(&dist.info).is_ok_and(|real| real == Path::new(&dist.info))
            && Path::new(&dist.info).join("RECORD").is_file();
        if !understood {
            return Err(NotUnderstood::new(format!("{} can't be uninstalled by its RECORD", item.name)));
        }
        removals.push(Removal {
            name: dist.name.clone(),
            version: dist.version.clone(),
            dist_info: dist.info.clone(),
        });
    }
    Ok(removals)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names_are_normalised_as_pep_503_says() {
        assert_eq!(canonical("Foo__Bar.-baz"), "foo-bar-baz");
    }
}
