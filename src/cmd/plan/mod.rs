//! `plinth plan DIR…`: one version per package for a fleet, wherever its requirements allow that.
//!
//! ```text
//! abroad    the plan for another platform
//! by_hand   overrides.txt: what a team sets itself
//! files     writing all files of a plan, or none
//! told      what is printed
//! ```

mod abroad;
mod by_hand;
mod files;
mod told;

use std::path::{Path, PathBuf};

use plinth_layers::lock::{self, Lock, LockError};
use plinth_plan::{Uv, choose, compare, constraints, layers, wheels};

use crate::cli::{Outcome, print};
use crate::failure::{During as _, Failure};
use crate::planning::{Asked, failure};
use crate::ui::{Progress, note};
use abroad::Abroad;
use by_hand::by_hand;
use files::{left_behind, write};
use told::{of_base, of_layers, summary};

/// The name of the constraints.
const CONSTRAINTS: &str = "constraints.txt";

/// The arguments of `plinth plan`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    asked: Asked,
    /// Where plinth.lock, constraints.txt and bases/ are written, and where overrides.txt is read
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    output: PathBuf,
    /// Plan for this platform alone, as `linux/arm64`: writes plinth.linux-arm64.lock and nothing else, with the versions
    /// of plinth.lock where they fit
    #[arg(long = "for", value_name = "PLATFORM", value_parser = abroad::parse)]
    abroad: Option<Abroad>,
    /// Write nothing; exit code 1 if the files there aren't what would be written
    #[arg(long)]
    check: bool,
    /// Take the newest versions that fit, and not those of the lock that is there
    #[arg(long, conflicts_with = "check")]
    upgrade: bool,
}

/// Runs the command. Nothing is written if anything goes wrong.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let fleet = args.asked.fleet()?;
    let sets = args.asked.sets(&fleet)?;
    let by_hand = by_hand(&args.output)?;
    let set_by_hand = by_hand.as_ref().map(|(_, names)| names.clone()).unwrap_or_default();
    let by_hand = by_hand.map(|(file, _)| file);
    let platform = args.abroad.map_or_else(|| args.asked.platform(), |abroad| abroad.platform(&args.asked));
    let uv = Uv { by_hand, platform: platform.clone(), ..args.asked.uv() };
    let lock_file = args.output.join(args.abroad.map_or(lock::FILE, Abroad::file));
    let constraints_file = args.output.join(CONSTRAINTS);
    let of = |file: &Path| -> Result<Lock, Failure> {
        let lock = before(file)?.filter(|_| !args.upgrade);
        Ok(lock.unwrap_or_else(|| Lock::new(&platform)))
    };
    let before = of(&lock_file)?;
    let mut versions = before.versions();
    if args.abroad.is_some() {
        abroad::follow(&mut versions, &of(&args.output.join(lock::FILE))?.versions());
    }
    let progress = Progress::new();
    let tell = &mut |phase: &str, what: &str| progress.phase(phase, what);
    let plan = choose(&sets, &uv, &versions, &before.set, tell);
    let plan = plan.inspect_err(|_| progress.finish()).map_err(failure)?;
    let has = |name: &&String| plan.planned.iter().any(|planned| planned.pins.contains_key(*name));
    for name in set_by_hand.iter().filter(|name| !has(name)) {
        note(&format!("{}: no service has `{name}`", by_hand::FILE));
    }
    progress.phase("what the wheels need", "");
    let wheels = wheels(&plan, &before);
    progress.phase("layers", "");
    let layers = layers(&plan, &wheels, &before.layer);
    progress.finish();
    let mut told = summary(&plan);
    for python in plan.shared.keys() {
        told.push_str(&of_layers(python, &compare(&plan, &wheels, python, &layers, &before.layer)));
    }
    let mut head = Lock::new(&platform);
    head.index = index(args.asked.index_url.as_deref());
    head.compilers = args.asked.compilers(&before.compilers)?;
    let lock = plinth_plan::lock(&plan, &wheels, layers, head).to_text().during("write the lock")?;
    let mut files = vec![(lock_file, lock)];
    // Those of a fleet are the same for all its platforms.
    let general = args.abroad.is_none();
    if general {
        files.push((constraints_file, constraints(&plan)));
    }
    let recipe = |directory: &str| {
        let file = args.output.join(directory).join("Dockerfile");
        std::fs::read_to_string(file).ok().filter(|_| !args.upgrade)
    };
    for base in args.asked.bases(&fleet, recipe).into_iter().filter(|_| general) {
        told.push_str(&of_base(&base));
        let directory = args.output.join(base.directory());
        files.extend(base.files().map(|(name, text)| (directory.join(name), text)));
    }
    let left = if general { left_behind(&args.output, &files) } else { Vec::new() };
    if args.check {
        let other =
            files.iter().filter(|(path, text)| std::fs::read_to_string(path).ok().as_ref() != Some(text));
        let stale: Vec<String> =
            other.map(|(path, _)| path).chain(&left).map(|path| path.display().to_string()).collect();
        print(&told)?;
        if !stale.is_empty() {
            note(&format!("stale: {}; run plinth plan and commit what it writes", stale.join(", ")));
            return Ok(Outcome::Finding);
        }
        return Ok(Outcome::Done);
    }
    write(&files)?;
    for path in &left {
        std::fs::remove_file(path).during(format!("remove `{}`", path.display()))?;
        // What somebody else put there stays, and so does the directory then.
        let _ = path.parent().map(std::fs::remove_dir);
    }
    print(&told)?;
    Ok(Outcome::Done)
}

/// The one index that uv asks, without a user; none if it asks several.
fn index(named: Option<&str>) -> Option<String> {
    const DEFAULT: &str = "https://pypi.org/simple";
    let set = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if ["UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX"]
        .iter()
        .any(|name| set(name).is_some())
    {
        return None;
    }
    let variable = ["UV_DEFAULT_INDEX", "UV_INDEX_URL"].iter().find_map(set);
    let url = named.map(str::to_owned).or(variable).unwrap_or_else(|| DEFAULT.to_owned());
    let (scheme, rest) = url.split_once("://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    Some(format!("{scheme}://{host}/{path}"))
}

/// The lock that is there.
fn before(path: &Path) -> Result<Option<Lock>, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => match Lock::parse(&text) {
            // Its versions are chosen anew: that is how a release is changed. One of a later release is somebody's work.
            Err(error @ LockError::Version(version)) if version < lock::VERSION => {
                note(&format!("`{}`: {error}; its versions aren't kept", path.display()));
                Ok(None)
            }
            lock => lock.during(format!("read `{}`", path.display())).map(Some).map_err(|failure| {
                failure.hint("take the lock of one side of a merge, or delete it, and run plinth plan again")
            }),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::new(format!("cannot read `{}`: {error}", path.display()))),
    }
}
