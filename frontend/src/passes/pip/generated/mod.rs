//! Generated RUNs: what is understood of one is what every shell here makes of it.
//!
//! A case is the arguments of a RUN and the files of its working directory. On one side a shell runs it, with programs that
//! say what they were asked. On the other side it is classified, taken apart and followed as in a build, by the same code,
//! and what would be assembled is noted down in the place of a program that runs. Calls, files and the final status must
//! be equal. A refusal is always right; so the number of cases that are understood is asserted, too.
//!
//! `PROPTEST_CASES` runs more of them, `PROPTEST_SEED` others.
#![allow(clippy::unwrap_used)]

mod grammar;
mod playground;

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use plinth_layers::pip::{LocalFiles, PipCommand, Tool, find_launcher, read_requirements};
use plinth_layers::script::{Install, Next};
use plinth_layers::steps::resolve::{ResolveSpec, next};
use plinth_layers::tree::MTIME;
use plinth_proto::pb;
use proptest::prop_assert_eq;
use proptest::strategy::BoxedStrategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use self::playground::{Case, Playground, Ran, SAID, Shell};
use super::candidate::{Candidate, classify};

/// What is made of a case in the place of running it.
struct Made {
    ran: Ran,
    /// It is taken apart.
    split: bool,
}

impl Playground {
    /// As BuildKit runs it.
    fn plain(&self, case: &Case, shell: Shell) -> Ran {
        self.reset(case);
        let success = self.execute(shell, &self.args(case));
        self.left(success)
    }

    /// As plinth makes it; nothing where it runs as written.
    fn made(&self, case: &Case, shell: Shell) -> Option<Made> {
        let args = self.args(case);
        let meta = pb::Meta {
            args: args.clone(),
            env: self.env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
            cwd: self.cwd().display().to_string(),
            ..Default::default()
        };
        let root = pb::Mount { dest: "/".to_owned(), ..Default::default() };
        let exec = pb::ExecOp { meta: Some(meta), mounts: vec![root], ..Default::default() };
        let candidate = classify(&exec).ok()?;
        self.reset(case);
        let run = |text: &str| {
            let mut args = args.clone();
            *args.last_mut().unwrap() = text.to_owned();
            self.execute(shell, &args)
        };
        let parts = &candidate.parts;
        let split = parts.before.is_some() || parts.after.is_some();
        if let Some(before) = &parts.before
            && !run(before)
        {
            return None;
        }
        let success = match self.installs(&candidate) {
            Some(true) => match &parts.after {
                Some(after) => run(after).then_some(true)?,
                None => true,
            },
            // What has run needn't run again.
            _ if parts.before.is_some() => {
                // Of the installs that were looked into, nothing stays.
                self.reset(case);
                run(parts.before.as_ref().unwrap());
                run(&parts.behind)
            }
            Some(false) if parts.after.is_none() => false,
            _ => return None,
        };
        Some(Made { ran: self.left(success), split })
    }

    /// All installs, one after the other, with what each leaves for the next. Gives the script's status.
    fn installs(&self, candidate: &Candidate) -> Option<bool> {
        let (mut events, mut found) = (Vec::new(), Vec::new());
        loop {
            let spec = ResolveSpec {
                script: candidate.parts.installs.clone(),
                events,
                found,
                secrets: None,
                cwd: self.cwd(),
                shell: candidate.shell.as_ref().map(PathBuf::from),
                locked: false,
                foreign: None,
            };
            let (asked, remembered) = next(&spec, &candidate.env).ok()?;
            match asked.next {
                Next::End { success } => return Some(success),
                Next::Install { install, cwd, .. } => self.install(&install, &cwd)?,
            }
            if !asked.more {
                return Some(true);
            }
            (events, found) = (asked.events, remembered);
            events.push(true);
        }
    }

    /// What the recorder does for one install; nothing where a resolver has something against it.
    fn install(&self, install: &Install, cwd: &Path) -> Option<()> {
        let command = PipCommand::parse(&install.argv).unwrap();
        let program = if command.tool == Tool::Uv {
            self.root.join("bin/uv").display().to_string()
        } else {
            let path = self.env.iter().find(|(name, _)| name == "PATH").unwrap();
            let launcher = find_launcher(&command, &path.1).ok()?;
            launcher.script.unwrap_or(launcher.interpreter)
        };
        let files = [(&command.constraint_files, true), (&command.requirement_files, false)];
        let files =
            files.iter().flat_map(|(files, constraint)| files.iter().map(|f| (f.clone(), *constraint)));
        let files: Vec<_> = files.collect();
        read_requirements(&mut LocalFiles { cwd, env: &self.env }, &files).ok()?;
        let asked = |name: &str| command.requirements.iter().any(|wanted| wanted == name);
        let taken = install.outputs.iter().any(|name| cwd.join(name).symlink_metadata().is_ok());
        if asked("unobtainable") || taken {
            return None;
        }
        let real = cwd.canonicalize().unwrap().display().to_string();
        self.log(&[vec![self.usual.clone(), real, program], install.argv[1..].to_vec()].concat());
        if asked("made") {
            fs::write(self.root.join("w/site/made"), "").unwrap();
        }
        if asked("newer") {
            // As a layer brings it.
            let new = self.root.join("w/first/pip");
            fs::copy(self.root.join("bin/pip"), &new).unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(MTIME);
            fs::File::options().write(true).open(new).unwrap().set_modified(time).unwrap();
        }
        if let Some((last, others)) = install.outputs.split_last() {
            others.iter().for_each(|name| fs::write(cwd.join(name), "").unwrap());
            fs::write(cwd.join(last), SAID).unwrap();
        }
        Some(())
    }
}

/// How many cases were understood, and how many of these taken apart.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    all: usize,
    made: usize,
    split: usize,
    installed: usize,
}

/// Compares two shells for a case: the first one, and each of the others in turn.
fn same(playground: &Playground, case: &Case, counts: &Cell<Counts>) -> Result<(), TestCaseError> {
    let mut now = counts.get();
    let shells = Shell::of(&case.args);
    let other = shells.len().checked_sub(1).filter(|others| *others > 0).map(|others| 1 + now.all % others);
    now.all += 1;
    for at in [Some(0), other].into_iter().flatten() {
        let Some(made) = playground.made(case, shells[at]) else { continue };
        if at == 0 {
            now.made += 1;
            now.split += usize::from(made.split);
            now.installed += usize::from(!made.ran.calls.is_empty());
        }
        let plain = playground.plain(case, shells[at]);
        let script = case.args.last().unwrap();
        prop_assert_eq!(&made.ran, &plain, "plinth, then {:?}: {}", shells[at], script);
    }
    counts.set(now);
    Ok(())
}

/// The cases of a strategy: the same ones in every run, unless others are asked for.
fn run(cases: u32, strategy: &BoxedStrategy<Case>) -> Counts {
    let playground = Playground::new();
    let counts = Cell::default();
    let seed = std::env::var("PROPTEST_SEED").ok().and_then(|seed| seed.parse::<u64>().ok()).unwrap_or(1);
    let bytes: Vec<u8> = seed.to_le_bytes().into_iter().cycle().take(32).collect();
    let config =
        Config { cases: Config::default().cases.max(cases), failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    if let Err(failure) = runner.run(strategy, |case| same(&playground, &case, &counts)) {
        panic!("with PROPTEST_SEED={seed}: {failure}");
    }
    counts.get()
}

#[test]
fn scripts_do_in_every_shell_what_is_made_of_them() {
    let counts = run(400, &grammar::any_case());
    assert!(counts.made * 100 >= counts.all * 40, "too few are understood: {counts:?}");
    assert!(counts.installed * 100 >= counts.made * 60, "too few install something: {counts:?}");
}

#[test]
fn parts_do_in_shells_of_their_own_what_they_do_in_one() {
    let counts = run(300, &grammar::in_parts());
    assert!(counts.split * 100 >= counts.all * 25, "too few are taken apart: {counts:?}");
}
