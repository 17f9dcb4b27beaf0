//! A shell runs the generated pip steps: what pip is given, and what the shell takes away, are the facts.
//!
//! `/bin/sh` itself splits the text; a recorder stands in pip's place, since what is tested is the text and not pip.

#![allow(clippy::unwrap_used)]

mod common;

use common::{files, fleet, instructions};
use plinth_fleet::facts::{Install, Service};
use plinth_fleet::generate;
use plinth_fleet::pip;
use plinth_fleet::stage::Changes;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// Notes its arguments; fails as pip does where a requirement file isn't there.
const RECORDER: &str = r#"#!/bin/sh
printf '%s\n' "--- $0" "$@" >>"$RECORD"
for word; do
  if [ "$last" = -r ] && ! [ -f "$word" ]; then exit 1; fi
  last=$word
done
"#;

/// The argument vectors that pip sees when the step runs in the service's context, and the files that appear.
fn run(service: &Service, text: &str) -> (Vec<Vec<String>>, Vec<String>) {
    let fleet = fleet();
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("pip"), RECORDER).unwrap();
    fs::set_permissions(bin.join("pip"), fs::Permissions::from_mode(0o755)).unwrap();
    let context =
        generate::write(&dir.path().join("out"), &fleet, service, &Default::default(), &Changes::default())
            .unwrap();
    let before = names(&context);
    let record = dir.path().join("record");
    let done = Command::new("/bin/sh")
        .args(["-c", text])
        .current_dir(&context)
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .env("RECORD", &record)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}: {text}\n{}", service.name, String::from_utf8_lossy(&done.stderr));
    let calls = fs::read_to_string(&record).unwrap_or_default();
    let calls =
        calls.split("--- ").skip(1).map(|call| call.lines().skip(1).map(str::to_owned).collect()).collect();
    (calls, names(&context).into_iter().filter(|name| !before.contains(name)).collect())
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The arguments that the facts say.
fn expected(install: &Install) -> Vec<String> {
    let mut words = vec!["install".to_owned()];
    words.extend(install.flags.iter().cloned());
    words.extend(install.files.iter().flat_map(|file| ["-r".to_owned(), file.reference.clone()]));
    words.extend(install.specs.iter().cloned());
    words
}

/// Which commands a shell comes to: nothing behind an `if` whose file is missing, nothing behind a `||` that isn't needed.
fn reached(service: &Service, step: &plinth_fleet::facts::PipStep) -> Vec<Vec<String>> {
    let there = |install: &Install| {
        install.files.iter().all(|f| f.file.is_some() || (f.moved_to.is_some() && service.dev))
    };
    let mut calls = Vec::new();
    let mut worked = false;
    for install in &step.installs {
        let skipped =
            (step.form == "n-conditional-if" && !there(install)) || (install.connector == "||" && worked);
        if !skipped {
            calls.push(expected(install));
            worked = there(install);
        }
    }
    calls
}

#[test]
fn dev_steps_mean_what_the_facts_say() {
    let fleet = fleet();
    let (mut steps, mut traps) = (0, 0);
    for service in fleet.services.iter().filter(|service| service.dev) {
        let dockerfile = &files(&fleet, service, &Changes::default())["Dockerfile"];
        let read = instructions(dockerfile);
        let mut runs = read.iter().filter(|i| i.keyword == "RUN" && i.text.contains("pip install"));
        for step in &service.pip {
            let run_text = runs.next().unwrap();
            assert_eq!(run_text.stage, step.stage, "{}", service.name);
            let (calls, appeared) = run(service, &run_text.text);
            assert_eq!(calls, reached(service, step), "{}: {}", service.name, run_text.text);
            let redirected = step.installs.iter().map(|i| i.redirected).sum::<usize>();
            let files: Vec<String> = (0..redirected).map(|number| format!("=1.{number}")).collect();
            assert_eq!(appeared, files, "{}", service.name);
            steps += 1;
            traps += usize::from(redirected > 0);
        }
        assert!(runs.next().is_none(), "{}: a pip step too many", service.name);
    }
    assert_eq!((steps, traps), (48, 3));
}

#[test]
fn every_form_is_valid_shell() {
    for service in &fleet().services {
        for step in &service.pip {
            let text = pip::command(step);
            let done = Command::new("/bin/sh").args(["-n", "-c", &text]).output().unwrap();
            assert!(done.status.success(), "{}: {text}", service.name);
        }
    }
}

fn text_of(form: &str, attr: &str) -> String {
    let fleet = fleet();
    let mut steps = fleet.services.iter().flat_map(|s| &s.pip);
    pip::command(steps.find(|s| s.form == form && (attr.is_empty() || s.has(attr))).unwrap())
}

#[test]
fn forms_read_as_people_write_them() {
    assert_eq!(text_of("a-sole-r", ""), "pip install --no-cache-dir -r requirements.txt");
    assert_eq!(text_of("b0-pip-upgrade-only", ""), "pip install --upgrade pip");
    assert_eq!(
        text_of("b0-pip-upgrade-only", "shell-redirect-specifier"),
        "pip install --retries=5 --timeout=120 --upgrade pip>=1.0"
    );
    assert_eq!(
        text_of("c1-upgrade-pip-and-install", ""),
        "pip install --no-cache-dir --upgrade pip setuptools wheel && \\\n    pip install --no-cache-dir -r /tmp/requirements.txt"
    );
    assert_eq!(text_of("e-user-prefix", ""), "pip install --no-cache-dir --user -r requirements.txt");
    assert_eq!(
        text_of("i-fallback", "subshell"),
        "pip install --no-cache-dir --upgrade pip && \\\n    pip install --no-cache-dir -r /tmp/requirements.txt && \\\n    (pip install --no-cache-dir -r /tmp/requirements.secure.txt 2>/dev/null || true)"
    );
    assert_eq!(
        text_of("k-index", ""),
        "pip install --index-url https://index.example.com/simple --no-cache-dir torch==2.1.0 torchaudio==2.1.0 torchvision==0.16.0"
    );
    assert_eq!(text_of("l-other-tool", ""), "poetry install --no-dev");
    assert_eq!(
        text_of("n-conditional-if", "reqfile-from-git-clone"),
        "if [ -f requirements.txt ]; then pip install --no-cache-dir -r requirements.txt; fi"
    );
}
