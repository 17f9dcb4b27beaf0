//! `plinth plan DIR…`: one version per package for a fleet, wherever its requirements allow that.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use plinth_layers::lock::{self, Lock, LockError};
use plinth_layers::pip::Named;
use plinth_plan::{Base, Comparison, Plan, Uv, choose, compare, constraints, layers, wheels};

use crate::cli::{Outcome, print};
use crate::failure::{During as _, Failure};
use crate::planning::{Asked, failure};
use crate::table::{plain, row, table, text};
use crate::ui::{Progress, note};

/// The name of the constraints.
const CONSTRAINTS: &str = "constraints.txt";
/// The name of the constraints that a team sets by hand.
const OVERRIDES: &str = "overrides.txt";
/// The directory of the base images' recipes, and how each of them begins.
const BASES: &str = "bases";
/// See [`BASES`].
const WRITTEN: &str = "# Written by `plinth plan`";

/// The arguments of `plinth plan`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    asked: Asked,
    /// Where plinth.lock, constraints.txt and bases/ are written, and where overrides.txt is read
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    output: PathBuf,
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
    let by_hand = by_hand(&args.output.join(OVERRIDES))?;
    let set_by_hand = by_hand.as_ref().map(|(_, names)| names.clone()).unwrap_or_default();
    let by_hand = by_hand.map(|(file, _)| file);
    let uv = Uv { by_hand, ..args.asked.uv() };
    let (lock_file, constraints_file) = (args.output.join(lock::FILE), args.output.join(CONSTRAINTS));
    let before = match before(&lock_file)? {
        Some(lock) if !args.upgrade => lock,
        _ => Lock::new(&args.asked.platform),
    };
    let progress = Progress::new();
    let plan = choose(&sets, &uv, &before.versions(), &mut |what| progress.now(what));
    let plan = plan.inspect_err(|_| progress.finish()).map_err(failure)?;
    let has = |name: &&String| plan.planned.iter().any(|planned| planned.pins.contains_key(*name));
    for name in set_by_hand.iter().filter(|name| !has(name)) {
        note(&format!("{OVERRIDES}: no service has `{name}`"));
    }
    progress.now("what the wheels need");
    let wheels = wheels(&plan, &before);
    progress.now("layers");
    let layers = layers(&plan, &wheels, &before.layer);
    progress.finish();
    let mut told = summary(&plan);
    for python in plan.shared.keys() {
        told.push_str(&of_layers(python, &compare(&plan, &wheels, python, &layers, &before.layer)));
    }
    let mut head = Lock::new(&args.asked.platform);
    head.index = index(args.asked.index_url.as_deref());
    head.compilers = args.asked.compilers(&before.compilers)?;
    let lock = plinth_plan::lock(&plan, &wheels, layers, head).to_text().during("write the lock")?;
    let mut files = vec![(lock_file, lock), (constraints_file, constraints(&plan))];
    for base in args.asked.bases(&fleet) {
        told.push_str(&of_base(&base));
        let directory = args.output.join(base.directory());
        files.extend(base.files().map(|(name, text)| (directory.join(name), text)));
    }
    let left = left_behind(&args.output, &files);
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

/// Files of base images that an earlier plan wrote, and this one has no use for.
fn left_behind(output: &Path, files: &[(PathBuf, String)]) -> Vec<PathBuf> {
    let Ok(directories) = std::fs::read_dir(output.join(BASES)) else { return Vec::new() };
    let mut left = Vec::new();
    for directory in directories.flatten() {
        let dockerfile = directory.path().join("Dockerfile");
        let ours = std::fs::read_to_string(&dockerfile).is_ok_and(|text| text.starts_with(WRITTEN));
        if ours && files.iter().all(|(path, _)| *path != dockerfile) {
            left.extend(
                [directory.path().join("inventory.sh"), dockerfile].into_iter().filter(|path| path.is_file()),
            );
        }
    }
    left.sort();
    left
}

/// What a team has set by hand, if it has: the file, and the packages that it names.
fn by_hand(file: &Path) -> Result<Option<(PathBuf, BTreeSet<String>)>, Failure> {
    if file.symlink_metadata().is_err() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(file).during(format!("read `{}`", file.display()))?;
    let mut names = BTreeSet::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let named = Named::parse(line).and_then(|named| match named.by_url {
            true => Err("it names an address".to_owned()),
            false => Ok(named),
        });
        let named = named.map_err(|why| {
            Failure::new(format!("{}:{}: {}", file.display(), number + 1, plain(&why)))
                .hint("each line is a constraint, such as `fastapi>=0.150`")
        })?;
        names.insert(named.name);
    }
    Ok(Some((file.to_owned(), names)))
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

/// Writes all files or none, as far as a file system allows that: what can fail is done before the first takes its place.
fn write(files: &[(PathBuf, String)]) -> Result<(), Failure> {
    let mut ready = Vec::new();
    for (path, text) in files {
        let doing = || format!("write `{}`", path.display());
        if path.is_dir() {
            return Err(Failure::new(format!("`{}` is a directory", path.display()))
                .hint("nothing was written; plinth plan writes a file of that name"));
        }
        ready.push((prepare(path, text).during(doing())?, path));
    }
    for (file, path) in ready {
        file.persist(path).map_err(|error| error.error).during(format!("write `{}`", path.display()))?;
    }
    Ok(())
}

/// A file with its content, beside where it goes.
fn prepare(path: &Path, text: &str) -> std::io::Result<tempfile::NamedTempFile> {
    use std::io::Write as _;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let mut file = tempfile::Builder::new().prefix(".plinth-").tempfile_in(directory)?;
    file.write_all(text.as_bytes())?;
    std::fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    Ok(file)
}

fn summary(plan: &Plan) -> String {
    let services =
        |count: usize| if count == 1 { "1 service".to_owned() } else { format!("{count} services") };
    let planned: usize = plan.planned.iter().map(|planned| planned.set.services.len()).sum();
    let apart: usize = plan
        .planned
        .iter()
        .filter(|planned| planned.apart.is_some())
        .map(|planned| planned.set.services.len())
        .sum();
    let left_out: usize = plan.left_out.iter().map(|left| left.set.services.len()).sum();
    let mut out = format!(
        "{} planned: {} with the shared versions, {apart} with some of their own; {left_out} don't resolve\n",
        services(planned),
        planned - apart
    );
    for python in plan.shared.keys() {
        let versions = plan.versions(python);
        let several: Vec<_> = versions.iter().filter(|(_, versions)| versions.len() > 1).collect();
        out.push_str(&format!(
            "Python {python}: {} packages, {} with one version, {} with more\n",
            versions.len(),
            versions.len() - several.len(),
            several.len()
        ));
        if !several.is_empty() {
            let mut rows = table(&["package", "versions"]);
            for (name, versions) in several {
                rows.add_row(row([(*name).to_owned(), versions.join(", ")]));
            }
            out.push_str(&format!("\n{}\n\n", text(rows)));
        }
    }
    for planned in &plan.planned {
        if let Some(reason) = &planned.apart {
            out.push_str(&format!("own versions: {}: {reason}\n", plain(&planned.set.services.join(", "))));
        }
    }
    for planned in plan.planned.iter().filter(|planned| !planned.older.is_empty()) {
        let older = planned
            .older
            .iter()
            .map(|older| format!("{} {} and not {}", older.name, older.planned, older.alone));
        let older: Vec<String> = older.collect();
        out.push_str(&format!(
            "older than alone: {}: {}\n",
            plain(&planned.set.services.join(", ")),
            older.join(", ")
        ));
    }
    for left in &plan.left_out {
        out.push_str(&format!("left out: {}: {}\n", plain(&left.set.services.join(", ")), left.reason));
    }
    out
}

/// What the layers of one interpreter come to, beside what others would.
fn of_layers(python: &str, comparison: &Comparison) -> String {
    let Comparison { wheels, bound, plan, per_wheel, per_service, popular, .. } = comparison;
    let mut rows =
        table(&["layers", "stored", "over the bound", "a service at most", "on average", "an update"]);
    let mut add = |name: &str, figures: &plinth_plan::Figures| {
        let over = (figures.stored as f64 / (*bound).max(1) as f64 - 1.0) * 100.0;
        rows.add_row(row([
            name.to_owned(),
            megabytes(figures.stored),
            format!("{over:+.1} %"),
            figures.most.to_string(),
            format!("{:.1}", figures.mean),
            megabytes(figures.update),
        ]));
    };
    add("the plan's", plan);
    add("one for each wheel", per_wheel);
    add("one for each request", per_service);
    add("the most popular wheels", popular);
    let mut out = format!(
        "\nPython {python}: {wheels} wheels, {} if each is stored once\n{}\n",
        megabytes(*bound),
        text(rows)
    );
    if comparison.kept + comparison.gone > 0 {
        out.push_str(&format!(
            "{} layers are as they were, {} are gone, {} are new ({} to store)\n",
            comparison.kept,
            comparison.gone,
            comparison.new,
            megabytes(comparison.new_bytes)
        ));
    }
    out
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn of_base(base: &Base) -> String {
    let packages: Vec<String> =
        base.packages.iter().map(|(name, count)| format!("{name} ({count})")).collect();
    format!(
        "\n{}: {} on {}; of {} services that install something with apt, {} need nothing else\n",
        base.directory(),
        packages.join(", "),
        plain(&base.from),
        base.installing,
        base.covered
    )
}
