//! `plinth step satisfied`: is there anything left to do for an `apt-get install` on a master image?
//!
//! That packages are there proves nothing: apt also upgrades, installs what is recommended, and marks packages as asked
//! for. So three things are looked at. The master's inventory says that on its day apt had nothing to do for what it
//! lists. The files here say that this still holds: the same versions, whole and marked, and nothing changed that decides
//! what apt chooses. And apt itself, simulating the install in this state, says that it would change nothing.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::probe::write_fixed;
use crate::apt::{Condition, Inventory, State, compare};
use crate::facts::RootFs;
use crate::said::in_one_line;

/// What a RUN would do, all in all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SatisfiedSpec {
    /// The packages that it asks for: a name, and a version if it asks for one.
    pub packages: Vec<(String, Option<String>)>,
    /// What they recommend is asked for too.
    pub recommends: bool,
    /// What it removes, as paths; a `*` in the last part means what it means to a shell.
    pub removes: Vec<String>,
    /// The programs that it runs, as they are named.
    pub programs: Vec<String>,
    /// The PATH in which they are looked up.
    pub path: String,
    /// Its working directory.
    pub cwd: PathBuf,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// Nothing is left to do.
    Satisfied {
        /// How many packages it asks for.
        packages: usize,
        /// The day of the archive for which that is so.
        date: String,
    },
    /// Something may be.
    Unsatisfied {
        /// What. One sentence without its full stop.
        reason: String,
    },
}

impl Answer {
    /// Name of the file in the output directory of `plinth step satisfied`.
    pub const FILE: &str = "satisfied.json";
}

/// What apt keeps between runs, and leaves empty in an image that was cleaned up. Its own hooks may remove this.
const CLEAN: &[&str] = &[
    "/var/lib/apt/lists/*",
    "/var/cache/apt/*.bin",
    "/var/cache/apt/archives/*.deb",
    "/var/cache/apt/archives/partial/*",
];

/// Looks at this container's root, asks apt, and writes [`Answer::FILE`] to `out`.
///
/// # Errors
/// If the file can't be written.
pub fn run(spec: &SatisfiedSpec, out: &Path) -> io::Result<()> {
    let answer = match look(spec, Path::new("/")) {
        Ok(inventory) => simulate(spec).map(|()| inventory),
        Err(reason) => Err(reason),
    };
    let answer = match answer {
        Ok(inventory) => {
            let names: BTreeSet<&String> = spec.packages.iter().map(|(name, _)| name).collect();
            Answer::Satisfied { packages: names.len(), date: inventory.date.to_string() }
        }
        Err(reason) => Answer::Unsatisfied { reason },
    };
    write_fixed(&out.join(Answer::FILE), serde_json::to_string(&answer)?.as_bytes())
}

/// Compares the files of a root file system with its inventory. Nothing of it is run.
///
/// # Errors
/// Why the step isn't known to be satisfied: one sentence without its full stop.
pub fn look(spec: &SatisfiedSpec, root: &Path) -> Result<Inventory, String> {
    let root = &RootFs::new(root);
    let inventory = Inventory::read(root).map_err(|error| error.to_string())?;
    for program in &spec.programs {
        usual_place(root, program, &spec.path)?;
    }
    if !root.metadata(&spec.cwd).is_some_and(|meta| meta.is_dir()) {
        return Err("its working directory isn't there, so the builder would make it".to_owned());
    }
    for pattern in CLEAN.iter().copied().chain(spec.removes.iter().map(String::as_str)) {
        if let Some(path) = first(root, pattern) {
            return Err(format!("{path} is there before it, which it removes"));
        }
    }
    match compare(root, &inventory.files) {
        Ok(None) => {}
        Ok(Some(changed)) => return Err(changed.to_string()),
        Err(error) => return Err(format!("apt's files can't be read: {error}")),
    }
    let state = State::read(root).map_err(|error| error.to_string())?;
    if let Some((name, words)) = state.unfinished() {
        return Err(format!("{name} is not whole in the state before it ({words})"));
    }
    for (name, version) in &spec.packages {
        package(&inventory, &state, name, version.as_deref(), spec.recommends)?;
    }
    Ok(inventory)
}

/// Checks one package.
fn package(
    inventory: &Inventory,
    state: &State,
    name: &str,
    version: Option<&str>,
    recommends: bool,
) -> Result<(), String> {
    let Some(listed) = inventory.package(name) else {
        return Err(format!("the master's inventory doesn't list {name}"));
    };
    if let Some(version) = version.filter(|version| *version != listed.version) {
        return Err(format!("it asks for {name} {version}, the master's inventory has {}", listed.version));
    }
    let found = state.package(name, &listed.architecture);
    match found.map(|package| (&package.condition, &package.version)) {
        Some((Condition::Installed, version)) if *version == listed.version => {}
        Some((Condition::Installed, version)) => {
            return Err(format!(
                "{name} is there at {version}, the master's inventory has {}",
                listed.version
            ));
        }
        Some((Condition::Held, _)) => return Err(format!("{name} is held back")),
        _ => return Err(format!("{name} is gone since the master's inventory was made")),
    }
    if state.is_automatic(name, &listed.architecture) {
        return Err(format!("{name} is marked as installed automatically, which the step would change"));
    }
    let missing = listed.recommends.installed.iter().find(|other| !state.has(other));
    match missing.filter(|_| recommends) {
        Some(other) => {
            Err(format!("{other}, which {name} recommends, is gone since the master's inventory was made"))
        }
        None => Ok(()),
    }
}

/// A program must be the distribution's own, and not something before it in PATH.
fn usual_place(root: &RootFs<'_>, program: &str, path: &str) -> Result<(), String> {
    let found = if program.starts_with('/') {
        Some(PathBuf::from(program))
    } else {
        // An empty entry, or a relative one, is the working directory.
        let mut all = path.split(':').map(|directory| Path::new(directory).join(program));
        all.find(|path| !path.is_absolute() || root.is_program(path))
    };
    let usual = |path: &Path| {
        let directory = path.parent().and_then(|directory| root.physical(directory));
        directory
            .is_some_and(|directory| ["/usr/bin", "/bin"].iter().any(|usual| directory == Path::new(usual)))
    };
    // `sh` is a link there.
    let is_own = found.filter(|path| path.is_absolute() && usual(path) && root.is_program(path));
    match is_own.and_then(|path| root.physical(&path)).filter(|physical| usual(physical)) {
        Some(_) => Ok(()),
        None => {
            let name = program.rsplit('/').next().unwrap_or(program);
            Err(format!("`{name}` isn't the program of that name in /usr/bin"))
        }
    }
}

/// The first path that a pattern means. A `*` stands in the last part alone, and never for a leading dot.
fn first(root: &RootFs<'_>, pattern: &str) -> Option<String> {
    let (directory, name) = pattern.rsplit_once('/')?;
    let parent = Path::new(if directory.is_empty() { "/" } else { directory });
    let names = root.names(parent);
    let mut names = names.iter().map(|name| name.to_string_lossy());
    let found = match name.split_once('*') {
        None => names.find(|found| found == name),
        Some((start, end)) => names.find(|found| {
            found.len() >= start.len() + end.len()
                && found.starts_with(start)
                && found.ends_with(end)
                && (!start.is_empty() || !found.starts_with('.'))
        }),
    };
    found.map(|name| format!("{directory}/{name}"))
}

/// Asks apt what it would do. It knows the versions that are installed and no others: those are the candidates of the
/// inventory's day.
fn simulate(spec: &SatisfiedSpec) -> Result<(), String> {
    let mut apt = Command::new("/usr/bin/apt-get");
    apt.env_clear().env("PATH", &spec.path).env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
    apt.args(["--simulate", "-qq", "-y"]);
    if !spec.recommends {
        apt.arg("--no-install-recommends");
    }
    apt.arg("install").args(spec.packages.iter().map(|(name, _)| name));
    let said = apt.output().map_err(|error| format!("apt can't be asked: {error}"))?;
    // Of a simulation without anything to do, nothing is printed.
    let first =
        |text: &[u8]| String::from_utf8_lossy(text).lines().next().map(in_one_line).unwrap_or_default();
    if !said.stdout.is_empty() {
        return Err(format!("apt would do more than that: {}", first(&said.stdout)));
    }
    if !said.status.success() {
        return Err(format!("apt itself finds no way: {}", first(&said.stderr)));
    }
    Ok(())
}
