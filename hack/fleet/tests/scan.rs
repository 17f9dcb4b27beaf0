//! `plinth scan`, on the tree that the facts are made into, says what the facts say.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use plinth_fleet::dockerfile::Images;
use plinth_fleet::facts::{Fleet, Service as Facts};
use plinth_fleet::generate;
use plinth_fleet::stage::Changes;
use plinth_scan::{Class, Finding, Foreseen, Form, Kind, Options, Service, scan};

struct Scanned {
    facts: Fleet,
    fleet: plinth_scan::Fleet,
}

impl Scanned {
    fn pairs(&self) -> impl Iterator<Item = (&Facts, &Service)> {
        let by_name: BTreeMap<&str, &Service> =
            self.fleet.services.iter().map(|s| (s.name.as_str(), s)).collect();
        self.facts.services.iter().map(move |facts| (facts, by_name[facts.slug().as_str()]))
    }

    fn findings<'a>(&'a self, facts: &Facts) -> impl Iterator<Item = &'a Finding> {
        let start = format!("{}/", facts.slug());
        self.fleet.findings.iter().filter(move |finding| finding.file.starts_with(&start))
    }

    fn has(&self, facts: &Facts, kind: Kind) -> bool {
        self.findings(facts).any(|finding| finding.kind == kind)
    }
}

/// The whole fleet, as it was found.
fn scanned() -> &'static Scanned {
    static ALL: LazyLock<Scanned> = LazyLock::new(|| {
        let facts = Fleet::load().unwrap();
        let tree = tempfile::tempdir().unwrap();
        let changes = Changes { as_found: true, ..Changes::default() };
        for service in &facts.services {
            generate::write(tree.path(), &facts, service, &Images::default(), &changes).unwrap();
        }
        let fleet = scan(&[tree.path().to_owned()], &Options::default()).unwrap();
        Scanned { facts, fleet }
    });
    &ALL
}

#[test]
fn every_service_is_found() {
    let all = scanned();
    assert_eq!((all.fleet.dockerfiles, all.fleet.services.len()), (168, 168));
    assert_eq!(all.pairs().count(), 168);
}

#[test]
fn classes() {
    let wrong: Vec<String> = scanned()
        .pairs()
        .filter(|(_, service)| service.readable)
        // The fleet builds this base itself, under a name that the generated tree doesn't have.
        .filter(|(_, service)| !service.stages.iter().any(|stage| stage.base == "sutazai/agent-base:latest"))
        .filter(|(facts, service)| {
            let class = match service.class {
                Class::Migrate => "migrate",
                Class::Keep => "keep",
                Class::Unknown => "unknown",
            };
            facts.class != class
        })
        .map(|(facts, service)| format!("{} is {}: {}", facts.name, facts.class, service.reason))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn forms() {
    let form = |name: &str| match name {
        "a-sole-r" => Form::Requirements,
        "b-sole-pkgs" => Form::Packages,
        "b0-pip-upgrade-only" => Form::PipUpgrade,
        "c1-upgrade-pip-and-install" => Form::UpgradeAndInstall,
        "c2-compound" => Form::Compound,
        "e-user-prefix" => Form::Target,
        "g-local" => Form::Local,
        "i-fallback" => Form::Fallback,
        "k-index" => Form::Index,
        "l-other-tool" => Form::OtherTool,
        "n-conditional-if" => Form::Conditional,
        other => panic!("a form {other}"),
    };
    let mut wrong = Vec::new();
    for (facts, service) in scanned().pairs().filter(|(_, service)| service.readable) {
        let mut steps: Vec<_> = facts.pip.iter().collect();
        steps.sort_by_key(|step| step.stage);
        let wanted: Vec<Form> = steps.iter().map(|step| form(&step.form)).collect();
        let found: Vec<Form> = service.steps.iter().map(|step| step.form).collect();
        if wanted != found {
            wrong.push(format!("{}: {wanted:?}, found {found:?}", facts.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn debian_packages() {
    for (facts, service) in scanned().pairs().filter(|(_, service)| service.readable) {
        // Alpine's are none, and a stage that the target doesn't need installs nothing.
        let wanted: BTreeSet<&str> =
            facts.apt.iter().map(String::as_str).filter(|name| !name.starts_with("apk:")).collect();
        let found: BTreeSet<&str> = service.apt.iter().map(String::as_str).collect();
        assert_eq!(found, wanted, "{}", facts.name);
    }
}

#[test]
fn traps() {
    let all = scanned();
    for (facts, service) in all.pairs() {
        assert_eq!(all.has(facts, Kind::DockerfileUnreadable), facts.invalid_lines > 0, "{}", facts.name);
        if !service.readable {
            continue;
        }
        // `backend` ends in a test stage, and nothing names another: what is wrong in its other stages isn't built.
        let ends_in_test = matches!(facts.name.as_str(), "backend" | "frontend");
        assert_eq!(all.has(facts, Kind::TestStageLast), ends_in_test, "{}", facts.name);
        if facts.name == "backend" {
            continue;
        }
        let redirected =
            facts.pip.iter().flat_map(|step| &step.installs).any(|install| install.redirected > 0);
        assert_eq!(all.has(facts, Kind::ShellRedirect), redirected, "{}", facts.name);
        // The generator copies a package.json for every npm step, also where the service is Python and has none.
        let generated = !facts.node.is_empty() && facts.tech != "node";
        assert_eq!(
            all.has(facts, Kind::CopyMissing),
            !facts.missing.is_empty() || generated,
            "{}",
            facts.name
        );
    }
}

/// A requirement of the facts: name and specifier.
fn parts(text: &str) -> (String, String) {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c))).unwrap_or(text.len());
    let name = text[..end].to_lowercase().replace(['_', '.'], "-");
    let specifier = text[end..].split(';').next().unwrap().rsplit(']').next().unwrap();
    let mut parts: Vec<&str> = specifier.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    parts.sort_unstable();
    (name, parts.join(","))
}

/// Package -> services, specifiers.
type Packages<'a> = BTreeMap<String, (BTreeSet<&'a str>, BTreeSet<String>)>;

/// The facts leave out what an upgrade of pip itself names.
fn counted(name: &str) -> bool {
    !matches!(name, "pip" | "setuptools" | "wheel")
}

#[test]
fn version_conflicts() {
    let all = scanned();
    let (mut wanted, mut found): (Packages<'_>, Packages<'_>) = (BTreeMap::new(), BTreeMap::new());
    let mut compared = 0;
    for (facts, service) in all.pairs().filter(|(_, service)| service.readable) {
        let files = || facts.pip.iter().flat_map(|step| &step.installs).flat_map(|install| &install.files);
        // Not in the tree: files that the fleet moved elsewhere, or that a clone would bring. Of services that stay, the
        // facts have no requirements, and of `backend` those of another target.
        if files().any(|file| file.file.is_none()) || facts.class != "migrate" || facts.name == "backend" {
            continue;
        }
        compared += 1;
        let add = |packages: &mut Packages<'static>, name: String, specifier: String| {
            if counted(&name) {
                let entry = packages.entry(name).or_default();
                entry.0.insert(&facts.name);
                entry.1.insert(specifier);
            }
        };
        for text in &facts.effective.requirements {
            let (name, specifier) = parts(text);
            add(&mut wanted, name, specifier);
        }
        for requirement in &service.requirements {
            add(&mut found, requirement.name.clone(), requirement.specifier.clone());
        }
    }
    assert!(compared > 100, "{compared}");
    let counts = |packages: &Packages<'_>| -> BTreeMap<String, (usize, usize)> {
        packages.iter().map(|(name, (s, specifiers))| (name.clone(), (s.len(), specifiers.len()))).collect()
    };
    assert_eq!(counts(&found), counts(&wanted));
    assert!(counts(&found)["fastapi"].0 > 60, "{:?}", counts(&found)["fastapi"]);
}

#[test]
fn the_table_of_packages_is_that_of_the_services() {
    let all = scanned();
    for package in &all.fleet.packages {
        let asks =
            |service: &&Service| service.requirements.iter().any(|r| r.name == package.name && !r.by_url);
        assert_eq!(all.fleet.services.iter().filter(asks).count(), package.services, "{}", package.name);
        let pins: Vec<&str> = package.specifiers.iter().map(|entry| entry.specifier.as_str()).collect();
        let exact = pins.iter().filter(|pin| pin.starts_with("==") && !pin.contains(',')).count();
        assert!(exact < 2 || !package.one_version, "{}: {pins:?}", package.name);
    }
}

#[test]
fn what_would_become_of_the_steps() {
    let all = scanned();
    let mut counts: BTreeMap<Foreseen, usize> = BTreeMap::new();
    for step in all.fleet.services.iter().flat_map(|service| &service.steps).filter(|step| step.needed) {
        *counts.entry(step.foreseen).or_default() += 1;
    }
    eprintln!("{counts:?}");
    assert!(counts[&Foreseen::Assembled] > 100, "{counts:?}");
}
