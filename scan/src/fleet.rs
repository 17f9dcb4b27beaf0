//! Everything: the services of one or more trees, and what is to be said of all of them together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use plinth_frontend::policy::Policy;
use rayon::prelude::*;
use serde::Serialize;

use crate::builds::{self, Build, Dialect};
use crate::class;
use crate::conflicts::{self, Conflict};
use crate::finding::Finding;
use crate::service::{self, ContextFrom, Job, Service};
use crate::walk::{Found, WalkError, walk};

/// The version of the document that [`Fleet`] is written as.
pub const SCHEMA_VERSION: u32 = 1;

/// How to scan.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The policy; without masters in it, services on Python and Node count as those that move.
    pub policy: Policy,
}

/// A fleet.
#[derive(Clone, Debug, Serialize)]
pub struct Fleet {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// How many Dockerfiles were found.
    pub dockerfiles: usize,
    /// The services, by Dockerfile and name.
    pub services: Vec<Service>,
    /// Package by package, the most wanted first.
    pub packages: Vec<Conflict>,
    /// Debian packages, the most wanted first.
    pub apt: Vec<AptUse>,
    /// Services that ask for the very same requirements.
    pub duplicates: Vec<Duplicate>,
    /// What a person should look at, by file and line.
    pub findings: Vec<Finding>,
}

/// A Debian package, and who installs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AptUse {
    /// Its name.
    pub name: String,
    /// The services, sorted.
    pub services: Vec<String>,
}

/// Services with the same requirements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Duplicate {
    /// The services, sorted.
    pub services: Vec<String>,
    /// What they all ask for.
    pub requirements: Vec<String>,
}

/// Scans trees. Names are relative to the tree, with the tree's own name in front if there are several.
///
/// # Errors
/// A tree can't be read.
pub fn scan(trees: &[PathBuf], options: &Options) -> Result<Fleet, WalkError> {
    let mut fleet = Fleet {
        schema_version: SCHEMA_VERSION,
        dockerfiles: 0,
        services: Vec::new(),
        packages: Vec::new(),
        apt: Vec::new(),
        duplicates: Vec::new(),
        findings: Vec::new(),
    };
    for tree in trees {
        let mut one = tree_of(tree, options)?;
        if trees.len() > 1 {
            one.put_below(&tree.display().to_string());
        }
        fleet.dockerfiles += one.dockerfiles;
        fleet.services.append(&mut one.services);
        fleet.findings.append(&mut one.findings);
    }
    unique_names(&mut fleet.services);
    fleet.findings.sort();
    fleet.findings.dedup();
    fleet.packages = conflicts::of(&fleet.services);
    fleet.apt = apt(&fleet.services);
    fleet.duplicates = duplicates(&fleet.services);
    Ok(fleet)
}

struct Tree {
    dockerfiles: usize,
    services: Vec<Service>,
    findings: Vec<Finding>,
}

impl Tree {
    fn put_below(&mut self, name: &str) {
        let below = |path: &mut String| *path = format!("{}/{path}", name.trim_end_matches('/'));
        for finding in &mut self.findings {
            below(&mut finding.file);
        }
        for service in &mut self.services {
            below(&mut service.dockerfile);
            below(&mut service.context);
            for requirement in service
                .requirements
                .iter_mut()
                .chain(service.steps.iter_mut().flat_map(|step| &mut step.requirements))
            {
                below(&mut requirement.file);
            }
        }
    }
}

fn tree_of(root: &Path, options: &Options) -> Result<Tree, WalkError> {
    let Found { dockerfiles, compose, bake, mut findings } = walk(root)?;
    // So that a file's place in the tree can be told where links were followed.
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let mut described: Vec<(Build, ContextFrom)> = Vec::new();
    for (files, dialect) in [(&compose, Dialect::Compose), (&bake, Dialect::Bake)] {
        for file in files {
            let shown = file.display().to_string();
            let from = match dialect {
                Dialect::Compose => ContextFrom::Compose(shown),
                Dialect::Bake => ContextFrom::Bake(shown),
            };
            let builds = builds::read(&root, file, dialect, &mut findings);
            described.extend(builds.into_iter().map(|build| (build, from.clone())));
        }
    }
    let images: BTreeSet<String> =
        described.iter().flat_map(|(build, _)| &build.images).map(|image| class::repository(image)).collect();
    let jobs = jobs(&dockerfiles, described);
    let read = |job: &Job| {
        let mut findings = Vec::new();
        let here =
            |image: &str| images.contains(&class::repository(image)) || builds_itself(&dockerfiles, image);
        let service = service::read(&root, job, &options.policy, &here, &mut findings);
        (service, findings)
    };
    let results: Vec<(Service, Vec<Finding>)> = jobs.par_iter().map(read).collect();
    let mut services = Vec::with_capacity(results.len());
    for (service, found) in results {
        services.push(service);
        findings.extend(found);
    }
    Ok(Tree { dockerfiles: dockerfiles.len(), services, findings })
}

/// Whether a Dockerfile is named like an image: `base/agent-base.Dockerfile` or `agent-base/Dockerfile` for
/// `corp/agent-base:latest`. Of an image with a host, nobody can tell.
fn builds_itself(dockerfiles: &[PathBuf], image: &str) -> bool {
    let repository = class::repository(image);
    let mut parts = repository.split('/');
    let name = parts.next_back().unwrap_or_default();
    if parts.next().is_none() {
        return false;
    }
    dockerfiles.iter().any(|path| {
        let file = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let directory = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        file == format!("{name}.dockerfile") || file == format!("dockerfile.{name}") || directory == name
    })
}

/// One job for each build that a file describes, in different ways only; and one for each Dockerfile that none names.
fn jobs(dockerfiles: &[PathBuf], described: Vec<(Build, ContextFrom)>) -> Vec<Job> {
    let mut by_file: BTreeMap<PathBuf, Vec<Job>> = BTreeMap::new();
    for (build, from) in described {
        let jobs = by_file.entry(build.dockerfile.clone()).or_default();
        let same = |job: &&mut Job| {
            job.context == build.context && job.target == build.target && job.args == build.args
        };
        if let Some(job) = jobs.iter_mut().find(same) {
            if job.name != build.name && !job.also.contains(&build.name) {
                job.also.push(build.name);
            }
        } else {
            jobs.push(Job {
                name: build.name,
                also: Vec::new(),
                dockerfile: build.dockerfile,
                context: build.context,
                from,
                target: build.target,
                args: build.args,
            });
        }
    }
    for path in dockerfiles {
        by_file.entry(path.clone()).or_insert_with(|| {
            let context = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
            vec![Job {
                name: name_of(path),
                also: Vec::new(),
                dockerfile: path.clone(),
                context,
                from: ContextFrom::Directory,
                target: None,
                args: BTreeMap::new(),
            }]
        });
    }
    by_file.into_values().flatten().collect()
}

/// `agents/api` for `agents/api/Dockerfile`, and the path itself for a Dockerfile with a name of its own.
fn name_of(path: &Path) -> String {
    let plain = path.file_name().is_some_and(|name| name.eq_ignore_ascii_case("Dockerfile"));
    match path.parent().filter(|parent| plain && !parent.as_os_str().is_empty()) {
        Some(parent) => parent.display().to_string(),
        None => path.display().to_string(),
    }
}

/// Two services of one name are told apart by their Dockerfiles.
fn unique_names(services: &mut [Service]) {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for service in services.iter() {
        *count.entry(service.name.clone()).or_default() += 1;
    }
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for service in services.iter_mut() {
        let mut name = match count.get(&service.name) {
            Some(1) | None => service.name.clone(),
            Some(_) => format!("{} ({})", service.name, service.dockerfile),
        };
        let plain = name.clone();
        let mut number = 2;
        while !taken.insert(name.clone()) {
            name = format!("{plain} {number}");
            number += 1;
        }
        service.name = name;
    }
}

fn apt(services: &[Service]) -> Vec<AptUse> {
    let mut users: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for service in services {
        for package in &service.apt {
            users.entry(package).or_default().insert(&service.name);
        }
    }
    let entry = |(name, services): (&str, BTreeSet<&str>)| AptUse {
        name: name.to_owned(),
        services: services.into_iter().map(str::to_owned).collect(),
    };
    let mut all: Vec<AptUse> = users.into_iter().map(entry).collect();
    all.sort_by(|a, b| (b.services.len(), &a.name).cmp(&(a.services.len(), &b.name)));
    all
}

fn duplicates(services: &[Service]) -> Vec<Duplicate> {
    let mut groups: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for service in services.iter().filter(|service| !service.requirements.is_empty()) {
        let mut key: Vec<String> = service.requirements.iter().map(|one| one.text.clone()).collect();
        key.sort();
        groups.entry(key).or_default().push(service.name.clone());
    }
    let mut all: Vec<Duplicate> = groups
        .into_iter()
        .filter(|(_, services)| services.len() > 1)
        .map(|(requirements, services)| Duplicate { services, requirements })
        .collect();
    all.sort_by(|a, b| (b.services.len(), &a.services).cmp(&(a.services.len(), &b.services)));
    all
}
