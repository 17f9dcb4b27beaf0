//! What pip would install where no program of the state's platform can be run: all of it is read from files.
//!
//! Everywhere else pip itself is asked. Here plinth computes what it would answer, and so only in the case in which there
//! is nothing to choose: the fleet's lock covers the request, and has one version of each distribution. What decides the
//! rest must be as it is in Docker's images of Python, down to the files that pip would read; else the step runs as
//! written.
//!
//! ```text
//! python     the interpreter, its places, and the libc below it
//! settings   the environment, the configuration and the options that pip would go by
//! own_files  whether pip is as it was installed
//! values     the values of settings that pip takes
//! installed  the distributions that are there
//! target     which wheels and which markers fit the platform
//! markers    the markers that every reader understands alike
//! specifiers the specifiers, likewise
//! closure    what follows from the request: pip's resolution, with nothing to choose
//! order      the order in which pip would install it
//! ```

mod closure;
mod installed;
mod markers;
mod order;
mod own_files;
mod python;
mod settings;
mod specifiers;
mod target;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use self::closure::{Chosen, Closure, closure};
use self::python::{Python, Release};
use self::target::Target;
use super::before::{Prepared, prepare};
use super::stubs::{filename, platform};
use super::{Context, NoPlan};
use crate::facts::{RootFs, fingerprint};
use crate::lock::{Lock, Package};
use crate::pip::NotUnderstood;
use crate::resolution::{Compiler, Distribution, Locked, Plan, Removal, Scheme};
use crate::steps::mounts;

/// A state whose programs can't be run here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foreign {
    /// Its architecture, by Docker's name.
    pub architecture: String,
    /// How many images there are that may compile for it, in `N/` of [`mounts::COMPILERS`].
    pub compilers: usize,
}

/// The machine (`uname -m`) that an architecture of Docker's is.
#[must_use]
pub fn machine(architecture: &str) -> Option<&'static str> {
    match architecture {
        "amd64" => Some("x86_64"),
        "arm64" => Some("aarch64"),
        _ => None,
    }
}

/// What pip would install.
pub(super) fn plan(context: &Context) -> Result<Plan, NoPlan> {
    let Some(foreign) = &context.foreign else {
        return Err(NotUnderstood::new("no foreign platform").into());
    };
    let compilers =
        (0..foreign.compilers).map(|number| Path::new(mounts::COMPILERS).join(number.to_string()));
    let compilers: Vec<_> = compilers.collect();
    read(context, foreign, Path::new("/"), &compilers).map_err(|reason| {
        NotUnderstood::new(format!(
            "{reason}; for a platform that isn't run here, all must be known by files"
        ))
        .into()
    })
}

/// As [`plan`], of the root file system at `root`.
fn read(
    context: &Context,
    foreign: &Foreign,
    root: &Path,
    compilers: &[std::path::PathBuf],
) -> Result<Plan, String> {
    if context.secrets.is_some() || !context.outputs.is_empty() {
        return Err("it is given a secret, or a file is made of what it prints".to_owned());
    }
    let Prepared { command, launcher, asked, requirements, options_in_files, .. } =
        prepare(context).map_err(|refused| refused.reason)?;
    let lock = context.lock.as_ref().ok_or("there is no lock")?;
    let (machine, glibc) = of_lock(lock, &foreign.architecture)?;
    let fs = RootFs::new(root);
    let python = Python::read(&fs, &launcher.interpreter, machine)?;
    let libc = python::glibc(&fs, machine)?;
    if libc != glibc {
        return Err(format!("its glibc is {}.{}, the lock is for {}", libc.0, libc.1, lock.platform));
    }
    let index = lock.index.as_deref().ok_or("the lock doesn't say which index it is from")?;
    let state = settings::State { fs: &fs, python: &python, env: &context.env };
    if options_in_files {
        return Err("its requirements files have options".to_owned());
    }
    state.check(&command, launcher.script.as_deref(), index)?;
    let pip = state.pip()?;
    own_files::check(&fs, &python.release, &pip)?;
    let requests = Requests { asked: asked?, requirements };
    let followed =
        follow(lock, &requests, root, &python.release, &foreign.architecture, launcher.script.is_some())?;
    let compiler = compiler(&python, compilers)?;
    let mut interpreter = python.interpreter(&launcher.interpreter);
    interpreter.fingerprint = fingerprint(root, Path::new(&python.physical), &python.release.minor)
        .map_err(|_| "its interpreter can't be read".to_owned())?;
    let plan = Plan {
        installer: "pip".to_owned(),
        installer_version: pip,
        interpreter,
        scheme: scheme(&python.release),
        install: followed.install,
        remove: followed.remove,
        satisfied: followed.satisfied,
        left: Vec::new(),
        fetch_with: Vec::new(),
        locked: Some(Locked::Covered),
        compiler: Some(compiler),
    };
    Ok(plan)
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Requests {
    /// In normal form.
    pub asked: BTreeSet<String>,
    /// As it is written.
    pub requirements: Vec<String>,
}

/// What follows from a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// What is installed, in pip's order.
    pub install: Vec<Distribution>,
    /// What is uninstalled first.
    pub remove: Vec<Removal>,
    /// `name version` of what is there already.
    pub satisfied: Vec<String>,
}

/// What pip would install with the versions of a lock, without asking it.
///
/// `version` is `X.Y.Z` of the interpreter below `/usr/local` of the root file system at `root`.
///
/// # Errors
/// If pip's answer isn't certain. One clause.
pub fn follow_lock(
    lock: &Lock,
    requests: &Requests,
    root: &Path,
    version: &str,
    architecture: &str,
) -> Result<Followed, String> {
    follow(lock, requests, root, &Release::new(version), architecture, false)
}

fn follow(
    lock: &Lock,
    requests: &Requests,
    root: &Path,
    release: &Release,
    architecture: &str,
    by_script: bool,
) -> Result<Followed, String> {
    let (machine, glibc) = of_lock(lock, architecture)?;
    let installed = installed::read(&RootFs::new(root), release, by_script)?;
    let pins = lock.cover(&release.minor, &requests.asked)?;
    let mut packages: BTreeMap<&str, &Package> = BTreeMap::new();
    for package in lock.package.iter().filter(|package| package.python == release.minor) {
        if pins.contains(&format!("{}=={}", package.name, package.version)) {
            packages.insert(&package.name, package);
        }
    }
    let target = Target::new(release, machine, glibc)?;
    let closure = closure(&requests.requirements, &packages, &installed, &target)?;
    let order = closure.order()?;
    Ok(Followed {
        install: order.into_iter().map(|name| distribution(&closure, name)).collect::<Result<_, _>>()?,
        remove: removals(&closure)?,
        satisfied: closure.satisfied(),
    })
}

/// Machine and glibc of a lock, if it is for this architecture.
fn of_lock(lock: &Lock, architecture: &str) -> Result<(&'static str, (u32, u32)), String> {
    let machine = machine(architecture).ok_or("no lock is for this architecture")?;
    let (known, glibc) = platform(&lock.platform).ok_or("the lock is for no glibc")?;
    let (major, minor) = glibc.split_once('.').ok_or("the lock is for no glibc")?;
    let number = |text: &str| text.parse::<u32>().map_err(|_| "the lock is for no glibc".to_owned());
    if known != machine {
        return Err(format!("the lock is for {}", lock.platform));
    }
    Ok((machine, (number(major)?, number(minor)?)))
}

/// The places of a Python below `/usr/local`: those of its own build, with nothing that leads elsewhere.
fn scheme(python: &Release) -> Scheme {
    Scheme {
        purelib: python.site(),
        platlib: python.site(),
        headers: format!("{}/include/python{}", python::PREFIX, python.minor),
        scripts: format!("{}/bin", python::PREFIX),
        data: python::PREFIX.to_owned(),
    }
}

/// The first image in which the same release of Python is, for the machine that this runs on. Byte code is the same on
/// every platform.
fn compiler(python: &Python, images: &[std::path::PathBuf]) -> Result<Compiler, String> {
    let mut why = None;
    for (image, root) in images.iter().enumerate() {
        match Python::read(&RootFs::new(root), &python.physical, std::env::consts::ARCH) {
            Ok(own) if own.release.version == python.release.version => {
                let interpreter = own.interpreter(&own.physical);
                return Ok(Compiler { image, interpreter });
            }
            Ok(own) => why = Some(format!("it has {}", own.release.version)),
            Err(reason) => why = why.or(Some(reason)),
        }
    }
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    Err(format!("no image for this machine has Python {} to compile with{why}", python.release.version))
}

fn distribution(closure: &Closure<'_>, name: &str) -> Result<Distribution, String> {
    let Some(Chosen::Wheel { package, .. }) = closure.chosen.get(name) else {
        return Err(format!("{name} is ordered, but not chosen"));
    };
    let needs = package.needs.as_ref().ok_or_else(|| format!("the lock doesn't say what {name} needs"))?;
    let filename = filename(package).ok_or_else(|| format!("the wheel of {name} has an unusual name"))?;
    // If requirements spell it in several ways, the one that isn't the wheel's is what has to be looked at.
    let mut spellings = closure.spellings.get(name).into_iter().flatten();
    Ok(Distribution {
        name: needs.name.clone(),
        version: package.version.clone(),
        filename,
        url: package.url.clone(),
        sha256: package.sha256.clone(),
        requested: closure.requested.contains(name),
        direct_url: None,
        spelling: spellings.find(|spelling| **spelling != needs.name).cloned(),
    })
}

/// What pip would uninstall first.
fn removals(closure: &Closure<'_>) -> Result<Vec<Removal>, String> {
    let mut removals = Vec::new();
    for name in closure.order()? {
        let Some(Chosen::Wheel { replaces: Some(there), .. }) = closure.chosen.get(name) else { continue };
        if name == "pip" {
            return Err("pip would replace itself".to_owned());
        }
        if !there.has_record {
            return Err(format!("{} can't be uninstalled by its RECORD", there.name));
        }
        removals.push(Removal {
            name: there.name.clone(),
            version: there.version_text.clone(),
            dist_info: there.info.clone(),
        });
    }
    Ok(removals)
}
