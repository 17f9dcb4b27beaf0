//! `plinth bake DIR`: an override that turns plinth on for every service that moves, for `docker buildx bake` or for
//! compose. The files of the fleet stay as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use clap::ValueEnum;
use plinth_scan::{Class, ContextFrom, Fleet, Service};
use serde::Serialize;

use crate::cli::{Outcome, json, print};
use crate::failure::{During as _, Failure};
use crate::ui::note;

/// The build argument by which BuildKit's Dockerfile frontend is told to hand a build over.
const SYNTAX: &str = "BUILDKIT_SYNTAX";
/// The group of all targets.
const GROUP: &str = "plinth";

/// For which tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// JSON for docker buildx bake
    Bake,
    /// YAML for docker compose
    Compose,
}

/// The arguments of `plinth bake`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The tree to read, in which bake or compose is run
    #[arg(value_name = "DIR")]
    tree: PathBuf,
    /// The frontend image
    #[arg(long, env = "PLINTH_FRONTEND", value_name = "IMAGE")]
    frontend: String,
    /// The policy: a file, or a directory with a plinth.toml; each build is given its directory as the named context plinth
    #[arg(long, value_name = "FILE|DIR")]
    policy: Option<PathBuf>,
    /// For which tool
    #[arg(long, value_enum, default_value_t = Format::Bake)]
    format: Format,
    /// The compose file to write an override for, if there are several
    #[arg(long, value_name = "FILE")]
    compose: Option<PathBuf>,
    /// Write to this file; `-` is standard output
    #[arg(long, short, value_name = "FILE|-", default_value = "-")]
    output: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let fleet = super::scan::read(std::slice::from_ref(&args.tree), args.policy.as_deref())?;
    let context = args.policy.as_deref().map(|path| policy_context(path, &args.tree)).transpose()?;
    if args.frontend.is_empty() {
        return Err(Failure::new("--frontend names no image"));
    }
    if !fleet.services.iter().any(moves) {
        return Err(Failure::new("no service here moves").hint("plinth scan says why"));
    }
    let on = Switch { frontend: &args.frontend, policy: context.as_deref() };
    let (text, count) = match args.format {
        Format::Bake => {
            let document = bake(&fleet, &on);
            (json(&document)?, document.target.len())
        }
        Format::Compose => {
            let document = compose(&fleet, &on, args.compose.as_deref())?;
            (serde_norway::to_string(&document).during("write YAML")?, document.services.len())
        }
    };
    let others = fleet.services.iter().filter(|service| !moves(service)).count();
    if args.output.as_os_str() == "-" {
        print(&text)?;
    } else {
        std::fs::write(&args.output, text).during(format!("write `{}`", args.output.display()))?;
    }
    note(&format!(
        "{count} builds through plinth; {others} services stay as they are (plinth scan says why)"
    ));
    Ok(Outcome::Done)
}

/// The directory of a policy, as the builds of the tree are to name it.
fn policy_context(path: &Path, tree: &Path) -> Result<String, Failure> {
    let directory = match (path.is_dir(), path.file_name()) {
        (true, _) => path,
        (false, Some(name)) if name == "plinth.toml" => {
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
        }
        _ => {
            return Err(Failure::new(format!("`{}` has another name than plinth.toml", path.display()))
                .hint("a build looks for plinth.toml in its named context plinth: rename the file, or name its directory"));
        }
    };
    let whole = |path: &Path| path.canonicalize().during(format!("find `{}`", path.display()));
    let relative = relative(&whole(directory)?, &whole(tree)?);
    Ok(if relative.as_os_str().is_empty() { ".".to_owned() } else { relative.display().to_string() })
}

/// A path as seen from a directory.
fn relative(path: &Path, from: &Path) -> PathBuf {
    let (path, from): (Vec<Component<'_>>, Vec<Component<'_>>) =
        (path.components().collect(), from.components().collect());
    let same = path.iter().zip(&from).take_while(|(a, b)| a == b).count();
    let up = (same..from.len()).map(|_| Component::ParentDir);
    up.chain(path[same..].iter().copied()).collect()
}

/// What turns plinth on.
struct Switch<'a> {
    frontend: &'a str,
    policy: Option<&'a str>,
}

impl Switch<'_> {
    fn args(&self, service: &Service) -> BTreeMap<String, String> {
        let mut args = service.args.clone();
        args.insert(SYNTAX.to_owned(), self.frontend.to_owned());
        args
    }

    fn contexts(&self) -> BTreeMap<String, String> {
        self.policy.iter().map(|path| ("plinth".to_owned(), (*path).to_owned())).collect()
    }
}

fn moves(service: &Service) -> bool {
    service.readable && service.class == Class::Migrate
}

/// A bake file.
#[derive(Debug, Serialize)]
struct Bake {
    group: BTreeMap<String, Group>,
    target: BTreeMap<String, Target>,
}

#[derive(Debug, Serialize)]
struct Group {
    targets: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Target {
    context: String,
    dockerfile: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    args: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    contexts: BTreeMap<String, String>,
}

/// Whole targets, so that the file works by itself as well as behind those that define them.
fn bake(fleet: &Fleet, on: &Switch<'_>) -> Bake {
    let mut target = BTreeMap::new();
    for service in fleet.services.iter().filter(|service| moves(service)) {
        // Bake takes the Dockerfile's path from the context.
        let dockerfile = relative(
            Path::new(&service.dockerfile),
            Path::new(if service.context == "." { "" } else { &service.context }),
        );
        let whole = Target {
            context: service.context.clone(),
            dockerfile: dockerfile.display().to_string(),
            target: service.target.clone(),
            args: on.args(service),
            contexts: on.contexts(),
        };
        // Two files may have a service of one name, and only one of them is behind this one.
        let written = service.in_file.as_ref().filter(|name| named(fleet, name) == 1);
        for name in std::iter::once(written.unwrap_or(&service.name)).chain(&service.also) {
            target.insert(target_name(name, &target), whole.clone());
        }
    }
    let group = Group { targets: target.keys().cloned().collect() };
    // A service may have that name.
    let name = if target.contains_key(GROUP) { format!("{GROUP}-all") } else { GROUP.to_owned() };
    Bake { group: BTreeMap::from([(name, group)]), target }
}

/// How many services have this name in their file.
fn named(fleet: &Fleet, name: &str) -> usize {
    fleet.services.iter().filter(|service| service.in_file.as_deref() == Some(name)).count()
}

/// Letters, digits, `_` and `-` only, and not one that is taken.
fn target_name(name: &str, taken: &BTreeMap<String, Target>) -> String {
    // What bake itself makes of the name of a compose service.
    let plain = |letter: char| match letter {
        letter if letter.is_ascii_alphanumeric() || letter == '_' => letter,
        '.' => '_',
        _ => '-',
    };
    let name: String = name.chars().map(plain).collect();
    let name = name.trim_matches('-');
    let name = if name.is_empty() { "service".to_owned() } else { name.to_owned() };
    let mut numbered = (2..).map(|number| format!("{name}-{number}"));
    let mut next = name.clone();
    while taken.contains_key(&next) {
        next = numbered.next().unwrap_or_default();
    }
    next
}

/// An override for a compose file.
#[derive(Debug, Serialize)]
struct Compose {
    services: BTreeMap<String, ComposeService>,
}

#[derive(Debug, Serialize)]
struct ComposeService {
    build: ComposeBuild,
}

#[derive(Debug, Serialize)]
struct ComposeBuild {
    args: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    additional_contexts: BTreeMap<String, String>,
}

fn compose(fleet: &Fleet, on: &Switch<'_>, wanted: Option<&Path>) -> Result<Compose, Failure> {
    let of = |service: &Service| match &service.context_from {
        ContextFrom::Compose(file) => Some(file.clone()),
        _ => None,
    };
    let files: BTreeSet<String> =
        fleet.services.iter().filter(|service| moves(service)).filter_map(of).collect();
    let file = match wanted {
        Some(wanted) => wanted.strip_prefix(".").unwrap_or(wanted).display().to_string(),
        None => match files.iter().collect::<Vec<_>>().as_slice() {
            [] => {
                return Err(Failure::new("no compose file here builds a service that moves").hint(
                    "plinth bake --format bake writes a file for docker buildx bake, which needs none",
                ));
            }
            [only] => (*only).clone(),
            several => {
                let several: Vec<&str> = several.iter().map(|file| file.as_str()).collect();
                return Err(Failure::new(
                    "several compose files build services, and an override is for one of them",
                )
                .hint(format!("name one with --compose: {}", several.join(", "))));
            }
        },
    };
    if !files.contains(&file) {
        return Err(Failure::new(format!("{file} builds no service that moves"))
            .hint("--compose takes the path of a compose file, as seen from DIR"));
    }
    let mut services = BTreeMap::new();
    for service in
        fleet.services.iter().filter(|service| moves(service) && of(service).as_ref() == Some(&file))
    {
        for name in service.in_file.iter().chain(&service.also) {
            // Compose takes paths from where its file is.
            let directory = Path::new(&file).parent().unwrap_or(Path::new(""));
            let contexts = on
                .contexts()
                .into_iter()
                .map(|(name, path)| (name, relative(Path::new(&path), directory).display().to_string()));
            let args = BTreeMap::from([(SYNTAX.to_owned(), on.frontend.to_owned())]);
            services.insert(
                name.clone(),
                ComposeService { build: ComposeBuild { args, additional_contexts: contexts.collect() } },
            );
        }
    }
    Ok(Compose { services })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use plinth_scan::{Options, scan};

    fn fleet(files: &[(&str, &str)]) -> (tempfile::TempDir, Fleet) {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let fleet = scan(&[root.path().to_owned()], &Options::default()).unwrap();
        (root, fleet)
    }

    const COMPOSE: &str = "services:\n  api:\n    build: {context: ., dockerfile: deploy/Api.Dockerfile, args: {A: 1}}\n  twin:\n    build: {context: ., dockerfile: deploy/Api.Dockerfile, args: {A: 1}}\n  db:\n    image: postgres:16\n  cache:\n    build: ./cache\n";

    fn sample() -> (tempfile::TempDir, Fleet) {
        fleet(&[
            ("compose.yaml", COMPOSE),
            ("deploy/Api.Dockerfile", "FROM python:3.11-slim\n"),
            ("cache/Dockerfile", "FROM redis:7\n"),
            ("jobs/nightly.v2/Dockerfile", "FROM python:3.11-slim\n"),
            ("plinth/Dockerfile", "FROM python:3.11-slim\n"),
        ])
    }

    #[test]
    fn a_bake_file_works_by_itself() {
        let (_root, fleet) = sample();
        let document = bake(&fleet, &Switch { frontend: "r/plinth:1", policy: Some("../platform") });
        let names: Vec<&str> = document.target.keys().map(String::as_str).collect();
        assert_eq!(names, ["api", "jobs-nightly_v2", "plinth", "twin"]);
        assert_eq!(document.group["plinth-all"].targets, names);
        let api = &document.target["api"];
        assert_eq!((api.context.as_str(), api.dockerfile.as_str()), (".", "deploy/Api.Dockerfile"));
        let args: Vec<(&str, &str)> = api.args.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(args, [("A", "1"), ("BUILDKIT_SYNTAX", "r/plinth:1")]);
        assert_eq!(api.contexts["plinth"], "../platform");
        let nightly = &document.target["jobs-nightly_v2"];
        assert_eq!(
            (nightly.context.as_str(), nightly.dockerfile.as_str()),
            ("jobs/nightly.v2", "Dockerfile")
        );
    }

    #[test]
    fn a_compose_override_has_the_services_of_its_file() {
        let (_root, fleet) = sample();
        let on = Switch { frontend: "r/plinth:1", policy: None };
        let document = compose(&fleet, &on, None).unwrap();
        let expected = "services:\n  api:\n    build:\n      args:\n        BUILDKIT_SYNTAX: r/plinth:1\n  twin:\n    build:\n      args:\n        BUILDKIT_SYNTAX: r/plinth:1\n";
        assert_eq!(serde_norway::to_string(&document).unwrap(), expected);
        let error = compose(&fleet, &on, Some(Path::new("other.yaml"))).unwrap_err().to_string();
        assert!(error.contains("other.yaml builds no service"), "{error}");
    }

    #[test]
    fn paths_from_elsewhere() {
        let path = |path: &str, from: &str| relative(Path::new(path), Path::new(from)).display().to_string();
        assert_eq!(path("/a/b/c", "/a/d"), "../b/c");
        assert_eq!(path("/a", "/a"), "");
        assert_eq!(path("deploy/x", ""), "deploy/x");
    }
}
