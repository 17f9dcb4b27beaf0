//! What is generated has the facts: read back from the text, over all services.

#![allow(clippy::unwrap_used)]

mod common;

use common::{as_found, files, fleet, instructions, texts};
use plinth_fleet::dockerfile::Images;
use plinth_fleet::facts::Service;
use plinth_fleet::generate;
use plinth_fleet::requirements;
use plinth_fleet::stage::Changes;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[test]
fn stages_are_the_facts() {
    let fleet = fleet();
    for service in &fleet.services {
        let text = &files(&fleet, service, &as_found())["Dockerfile"];
        let from: Vec<String> = service
            .stages
            .iter()
            .map(|s| if s.name.is_empty() { s.base.clone() } else { format!("{} AS {}", s.base, s.name) })
            .collect();
        assert_eq!(texts(&instructions(text), "FROM"), from, "{}", service.name);
    }
}

#[test]
fn every_stage_has_its_number_of_steps() {
    let fleet = fleet();
    let mut other = Vec::new();
    for service in &fleet.services {
        let read = instructions(&files(&fleet, service, &as_found())["Dockerfile"]);
        for (number, stage) in service.stages.iter().enumerate() {
            let runs = read.iter().filter(|i| i.stage == number && i.keyword == "RUN").count();
            if runs != stage.runs {
                other.push(format!("{} stage {number}: {runs}, not {}", service.name, stage.runs));
            }
        }
    }
    assert_eq!(other, Vec::<String>::new());
}

#[test]
fn configuration_is_the_facts() {
    let fleet = fleet();
    for service in &fleet.services {
        let read = instructions(&files(&fleet, service, &as_found())["Dockerfile"]);
        let name = &service.name;
        assert_eq!(texts(&read, "EXPOSE"), service.ports, "{name}");
        assert_eq!(texts(&read, "HEALTHCHECK").len(), usize::from(service.healthcheck), "{name}");
        assert_eq!(texts(&read, "VOLUME").len(), service.volumes, "{name}");
        assert_eq!(texts(&read, "LABEL").len(), service.labels, "{name}");
        assert_eq!(texts(&read, "CMD").len(), usize::from(service.cmd.is_some()), "{name}");
        assert_eq!(texts(&read, "ENTRYPOINT").len(), usize::from(service.entrypoint.is_some()), "{name}");
        for (command, keyword) in [(&service.cmd, "CMD"), (&service.entrypoint, "ENTRYPOINT")] {
            if let Some(command) = command {
                let words: Vec<String> = serde_json::from_str(texts(&read, keyword)[0]).unwrap();
                assert_eq!(words[0].trim_start_matches("./"), command.program, "{name}");
            }
        }
        let variables: BTreeSet<&str> =
            texts(&read, "ENV").iter().map(|text| text.split_once('=').unwrap().0).collect();
        assert_eq!(variables.len(), service.env.max(usize::from(service.venv)), "{name}");
        let from: Vec<&str> = texts(&read, "COPY")
            .into_iter()
            .filter_map(|text| text.strip_prefix("--from=")?.split(' ').next())
            .collect();
        assert_eq!(from, service.copy_from, "{name}");
    }
}

#[test]
fn the_user_at_the_end_is_the_fact() {
    let fleet = fleet();
    for service in &fleet.services {
        let read = instructions(&files(&fleet, service, &as_found())["Dockerfile"]);
        let last = service.stages.len() - 1;
        assert_eq!(user(service, &read, last), service.stages[last].user, "{}", service.name);
    }
}

fn user(service: &Service, read: &[common::Instruction], stage: usize) -> String {
    let own = read.iter().rfind(|i| i.stage == stage && i.keyword == "USER").map(|i| i.text.clone());
    own.unwrap_or_else(|| match service.stage_named(&service.stages[stage].base) {
        Some(parent) if parent < stage => user(service, read, parent),
        _ => String::new(),
    })
}

#[test]
fn every_package_is_installed() {
    let fleet = fleet();
    for service in &fleet.services {
        let read = instructions(&files(&fleet, service, &as_found())["Dockerfile"]);
        let runs = texts(&read, "RUN");
        let mut installed: BTreeSet<&str> = BTreeSet::new();
        for run in runs {
            let after = run.split_once("install -y ").or_else(|| run.split_once("apk add --no-cache "));
            let list = after.map_or("", |(_, rest)| rest.split("&&").next().unwrap());
            installed.extend(list.split_whitespace().filter(|word| *word != "\\"));
        }
        let facts: BTreeSet<&str> = service.apt.iter().map(|p| p.trim_start_matches("apk:")).collect();
        assert_eq!(installed, facts, "{}", service.name);
    }
}

#[test]
fn requirement_files_hold_the_specifiers() {
    let fleet = fleet();
    let mut seen = 0;
    for service in &fleet.services {
        let written = files(&fleet, service, &as_found());
        for reference in requirements::references(service) {
            let facts = reference.file.as_ref().map(|path| fleet.files[path].join("\n") + "\n");
            assert_eq!(written.get(reference.context_name()), facts.as_ref(), "{}", service.name);
            seen += usize::from(facts.is_some());
        }
    }
    assert!(seen > 80, "only {seen} requirement files seen");
}

#[test]
fn dev_services_have_what_they_copy() {
    let fleet = fleet();
    for service in fleet.services.iter().filter(|service| service.dev) {
        let written = files(&fleet, service, &Changes::default());
        for source in copied(&written["Dockerfile"]) {
            let there = source == "." || source.contains('*') || has(&written, &source);
            assert!(there, "{} copies {source}", service.name);
        }
        assert!(!written["Dockerfile"].contains("line_0"), "{}", service.name);
        assert!(!written["Dockerfile"].contains("3.12"), "{}", service.name);
    }
}

#[test]
fn what_was_missing_is_missing_as_found() {
    let fleet = fleet();
    let mut seen = 0;
    for service in &fleet.services {
        let written = files(&fleet, service, &as_found());
        let sources = copied(&written["Dockerfile"]);
        for missing in &service.missing {
            assert!(sources.contains(missing), "{} should copy {missing}: {sources:?}", service.name);
            assert!(!has(&written, missing), "{} has {missing}", service.name);
            seen += 1;
        }
    }
    assert_eq!(seen, 28);
}

/// The sources of every COPY from the context.
fn copied(dockerfile: &str) -> Vec<String> {
    let read = instructions(dockerfile);
    let copies = texts(&read, "COPY").into_iter().filter(|text| !text.starts_with("--from="));
    copies.flat_map(|text| text.rsplit_once(' ').unwrap().0.split(' ').map(str::to_owned)).collect()
}

fn has(files: &BTreeMap<String, String>, name: &str) -> bool {
    match name.strip_suffix('/') {
        Some(directory) => files.keys().any(|file| file.starts_with(&format!("{directory}/"))),
        None => files.contains_key(name),
    }
}

#[test]
fn bases_can_be_renamed() {
    let fleet = fleet();
    let service = fleet.services.iter().find(|s| s.name == "frontend").unwrap();
    let first = |images: &Images, changes: &Changes| {
        let text = generate::files(&fleet, service, images, changes).remove("Dockerfile").unwrap();
        texts(&instructions(&text), "FROM")[..2].join(", ")
    };
    let registry = Images { registry: Some("localhost:5000/library".to_owned()), instead: Vec::new() };
    assert_eq!(
        first(&registry, &as_found()),
        "localhost:5000/library/python:3.12.8-slim AS base, base AS dependencies"
    );
    assert_eq!(
        first(&registry, &Changes::default()),
        "localhost:5000/library/python:3.11-slim AS base, base AS dependencies"
    );
    let instead = vec![("python:3.12.8-slim".to_owned(), "mine:1".to_owned())];
    assert_eq!(
        first(&Images { registry: None, instead }, &Changes::default()),
        "mine:1 AS base, base AS dependencies"
    );
}

#[test]
fn without_apt_no_step_needs_it() {
    let fleet = fleet();
    let changes = Changes { as_found: false, without_apt: true };
    for service in fleet.services.iter().filter(|service| service.dev) {
        let text = &files(&fleet, service, &changes)["Dockerfile"];
        assert!(!text.contains("apt-get") && !text.contains("RUN git"), "{}:\n{text}", service.name);
    }
}

#[test]
fn the_same_facts_give_the_same_tree() {
    let fleet = fleet();
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    for service in &fleet.services {
        for out in [&one, &two] {
            generate::write(out, &fleet, service, &Images::default(), &Changes::default()).unwrap();
        }
    }
    // What an earlier run left behind must not stay.
    let stray = one.join("agents/stray.txt");
    std::fs::write(&stray, "left over").unwrap();
    let agents = fleet.services.iter().find(|s| s.name == "agents").unwrap();
    generate::write(&one, &fleet, agents, &Images::default(), &Changes::default()).unwrap();
    let (one, two) = (tree(&one), tree(&two));
    assert!(one.len() > 168 * 3);
    assert_eq!(one, two);
}

fn tree(root: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let mode = path.metadata().unwrap().permissions().mode();
                let name = path.strip_prefix(root).unwrap().display().to_string();
                found.insert(name, (mode, std::fs::read(&path).unwrap()));
            }
        }
    }
    found
}
