//! uv, asked about one request: `uv pip compile`, wheels only, for one interpreter and platform.
//!
//! What a distribution needs may depend on the patch release (`async-timeout; python_full_version < "3.11.3"`), and a base
//! image may have any. So it is asked twice: for a release that is later than all, which is near to what images have today;
//! and, with the versions of that answer, for the first one. What only that one needs is added. If the first one can't have
//! these versions, the later one is asked for those of the first; if that fails too, there is no answer for all releases,
//! and that of the later one stands.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use plinth_layers::uv::{LockedWheel, parse_pylock};

use crate::interpreter::Interpreters;

/// A version of a package, and its wheel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pin {
    /// Normalized name (PEP 503).
    pub name: String,
    /// Version (PEP 440), normalized.
    pub version: String,
    /// The wheel's address, without a user.
    pub url: String,
    /// The wheel's SHA-256, in hexadecimal.
    pub sha256: String,
    /// Bytes of the wheel, if the index says so.
    pub size: Option<u64>,
}

/// How to ask.
#[derive(Clone, Debug)]
pub struct Uv {
    /// The program.
    pub program: PathBuf,
    /// The index; none: the one that uv's own variables name.
    pub index_url: Option<String>,
    /// uv's name of the platform, such as `x86_64-manylinux_2_36`.
    pub platform: String,
    /// A file of constraints that a team sets by hand for the versions that its services share.
    pub by_hand: Option<PathBuf>,
    /// The interpreters to ask with.
    pub interpreters: Interpreters,
}

/// uv can't be asked, or its answer can't be used. No request is to blame.
#[derive(Debug, thiserror::Error)]
pub enum UvError {
    /// It can't be started.
    #[error("can't run `{}`: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Files for it can't be written.
    #[error("can't write a temporary file: {0}")]
    File(#[from] io::Error),
    /// The index doesn't answer.
    #[error("the package index can't be reached: {0}")]
    Index(String),
    /// It gave something else than a lock.
    #[error("uv's answer isn't understood: {0}")]
    Answer(String),
}

/// What uv says of a request: its pins by name, or why there is no answer.
pub(crate) type Answer = Result<BTreeMap<String, Pin>, String>;

impl Uv {
    /// Resolves requirements under constraints (`name==version`).
    ///
    /// # Errors
    /// When uv can't be asked. That there is no solution is an answer.
    pub(crate) fn resolve(
        &self,
        python: &str,
        requirements: &[String],
        constraints: &[String],
    ) -> Result<Answer, UvError> {
        let ask = |release: &str, near: Option<&BTreeMap<String, Pin>>, bound: bool| {
            let pins = near.filter(|_| bound).into_iter().flat_map(BTreeMap::values);
            let pins = pins.map(|pin| format!("{}=={}", pin.name, pin.version));
            let limits: Vec<String> = pins.chain(constraints.iter().cloned()).collect();
            self.wheels(release, python, requirements, &limits)
        };
        let (mut found, early) = match of_all_releases(python, ask)? {
            Ok(answers) => answers,
            Err(why) => return Ok(Err(why)),
        };
        let pinned: BTreeSet<&str> = constraints.iter().map(|pin| name(pin)).collect();
        // With versions that were chosen, all others were left out on purpose.
        let chosen = |name: &String| constraints.is_empty() || pinned.contains(name.as_str());
        for (name, pin) in early.into_iter().flatten().filter(|(name, _)| chosen(name)) {
            found.entry(name).or_insert(pin);
        }
        Ok(Ok(found))
    }

    fn wheels(
        &self,
        release: &str,
        python: &str,
        requirements: &[String],
        constraints: &[String],
    ) -> Result<Answer, UvError> {
        let directory = tempfile::tempdir()?;
        let limits = directory.path().join("constraints.txt");
        std::fs::write(&limits, constraints.join("\n") + "\n")?;
        let mut command = self.compile(release, python);
        command.args(["--format", "pylock.toml", "--constraints"]).arg(&limits);
        let text = match self.run(command, requirements)? {
            Ok(text) => text,
            Err(why) => return Ok(Err(why)),
        };
        let wheels = parse_pylock(&text).map_err(|error| UvError::Answer(error.reason))?;
        let pin = |wheel: LockedWheel| {
            let LockedWheel { name, version, url, sha256, size, .. } = wheel;
            (name.clone(), Pin { name, version, url, sha256, size })
        };
        Ok(Ok(wheels.into_iter().map(pin).collect()))
    }

    /// As [`Self::near`], within what is set by hand.
    ///
    /// # Errors
    /// As for [`Self::resolve`].
    pub(crate) fn shared(
        &self,
        python: &str,
        requirements: &[String],
        preferred: &[String],
    ) -> Result<Result<Vec<String>, String>, UvError> {
        self.within(python, requirements, preferred, self.by_hand.as_deref())
    }

    /// The versions (`name==version`) that a request comes to if these are kept where they can be.
    ///
    /// # Errors
    /// As for [`Self::resolve`].
    pub(crate) fn near(
        &self,
        python: &str,
        requirements: &[String],
        preferred: &[String],
    ) -> Result<Result<Vec<String>, String>, UvError> {
        self.within(python, requirements, preferred, None)
    }

    fn within(
        &self,
        python: &str,
        requirements: &[String],
        preferred: &[String],
        constraints: Option<&Path>,
    ) -> Result<Result<Vec<String>, String>, UvError> {
        let ask = |release: &str, near: Option<&Vec<String>>, bound: bool| {
            let pins = near.map_or(&[][..], Vec::as_slice);
            let more = if bound { pins } else { &[] };
            self.pins(release, python, requirements, &with_others(pins, preferred), constraints, more)
        };
        let (mut found, early) = match of_all_releases(python, ask)? {
            Ok(answers) => answers,
            Err(why) => return Ok(Err(why)),
        };
        found.extend(early.into_iter().flatten());
        found.sort();
        found.dedup();
        Ok(Ok(found))
    }

    /// The versions for one release: near to those that are preferred, within constraints of a file, and within others.
    fn pins(
        &self,
        release: &str,
        python: &str,
        requirements: &[String],
        preferred: &[String],
        constraints: Option<&Path>,
        more: &[String],
    ) -> Result<Result<Vec<String>, String>, UvError> {
        let directory = tempfile::tempdir()?;
        // uv takes the versions of an earlier result along.
        let earlier = directory.path().join("requirements.txt");
        std::fs::write(&earlier, preferred.join("\n") + "\n")?;
        let limits = directory.path().join("constraints.txt");
        std::fs::write(&limits, more.join("\n") + "\n")?;
        let mut command = self.compile(release, python);
        command.args(["--no-annotate", "--no-header", "--output-file"]).arg(&earlier);
        for file in constraints.into_iter().chain([limits.as_path()]) {
            command.arg("--constraints").arg(file);
        }
        let answer = self.run(command, requirements)?;
        let pins = |text: String| {
            let lines = text.lines().map(|line| line.split([';', ' ']).next().unwrap_or_default().to_owned());
            lines.filter(|line| line.contains("==")).collect()
        };
        Ok(match answer {
            Ok(_) => Ok(pins(std::fs::read_to_string(&earlier)?)),
            Err(why) => Err(why),
        })
    }

    /// The version that the distribution of one requirement gets by itself: the newest, or the lowest that can be had
    /// with all that it needs.
    ///
    /// # Errors
    /// As for [`Self::resolve`].
    pub(crate) fn alone(
        &self,
        python: &str,
        requirement: &str,
        name: &str,
        lowest: bool,
    ) -> Result<Result<String, String>, UvError> {
        let mut command = self.compile(&latest(python), python);
        command.args(["--no-annotate", "--no-header"]);
        if lowest {
            command.args(["--resolution", "lowest-direct"]);
        }
        let version = |text: String| {
            let mut pins = text.lines().filter_map(|line| line.split([';', ' ']).next()?.split_once("=="));
            pins.find(|(found, _)| *found == name).map(|(_, version)| version.to_owned()).unwrap_or_default()
        };
        Ok(self.run(command, &[requirement.to_owned()])?.map(version))
    }

    /// A run for a release (`X.Y.Z`) of an interpreter (`X.Y`).
    fn compile(&self, release: &str, python: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["pip", "compile", "-", "--no-config", "--quiet", "--no-progress", "--color", "never"]);
        // Any interpreter that is there will do to ask with: it isn't asked about itself.
        command.args(["--no-python-downloads"]);
        command.args([
            "--only-binary",
            ":all:",
            "--python-version",
            release,
            "--python-platform",
            &self.platform,
        ]);
        if let Some(interpreter) = self.interpreters.of(&self.program, python) {
            command.arg("--python").arg(interpreter);
        }
        if let Some(url) = &self.index_url {
            command.args(["--default-index", url]);
        }
        command
    }

    fn run(&self, mut command: Command, requirements: &[String]) -> Result<Result<String, String>, UvError> {
        let failed = |source| UvError::Start { program: self.program.clone(), source };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(mut input) = child.stdin.take() {
            // One that ends early has said why.
            let _ = input.write_all((requirements.join("\n") + "\n").as_bytes());
        }
        let output = child.wait_with_output().map_err(failed)?;
        if output.status.success() {
            return Ok(Ok(String::from_utf8_lossy(&output.stdout).into_owned()));
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if said.contains("No solution found") {
            return Ok(Err(reason(&said)));
        }
        let by_index =
            ["Failed to fetch", "Request failed", "error sending request", "Could not connect", "dns error"];
        if by_index.iter().any(|text| said.contains(text)) {
            return Err(UvError::Index(problem(&said)));
        }
        Err(UvError::Answer(problem(&said)))
    }
}

/// The answer for late patch releases, and that for the first one, if there is one that goes with it. `ask` is given a
/// release, versions to be near to, and whether these bind.
fn of_all_releases<T>(
    python: &str,
    ask: impl Fn(&str, Option<&T>, bool) -> Result<Result<T, String>, UvError>,
) -> Result<Result<(T, Option<T>), String>, UvError> {
    let (first, latest) = (first(python), latest(python));
    let late = match ask(&latest, None, false)? {
        Ok(late) => late,
        Err(why) => return Ok(Err(why)),
    };
    if let Ok(early) = ask(&first, Some(&late), true)? {
        return Ok(Ok((late, Some(early))));
    }
    // What the late ones can have, the first one can't. The other way round, perhaps.
    if let Ok(early) = ask(&first, Some(&late), false)?
        && let Ok(late) = ask(&latest, Some(&early), true)?
    {
        return Ok(Ok((late, Some(early))));
    }
    Ok(Ok((late, None)))
}

/// The package of a pin (`name==version`).
pub(crate) fn name(pin: &str) -> &str {
    pin.split("==").next().unwrap_or_default()
}

/// Versions, and others for what isn't among them.
fn with_others(pins: &[String], others: &[String]) -> Vec<String> {
    let names: BTreeSet<&str> = pins.iter().map(|pin| name(pin)).collect();
    let others = others.iter().filter(|pin| !names.contains(name(pin)));
    pins.iter().chain(others).cloned().collect()
}

/// Later than every patch release of an interpreter that there will be.
fn latest(python: &str) -> String {
    format!("{python}.99")
}

/// The first release of an interpreter.
fn first(python: &str) -> String {
    format!("{python}.0")
}

/// What went wrong in one line: with addresses, but for those with a user.
fn problem(said: &str) -> String {
    in_one_line(said, |word| !(word.contains("://") && word.contains('@')))
}

/// uv's explanation in one line, without its ornaments and without an address.
fn reason(said: &str) -> String {
    in_one_line(said, |word| !word.contains("://"))
}

fn in_one_line(said: &str, keep: impl Fn(&str) -> bool) -> String {
    let ornament =
        |letter: char| matches!(letter, '×' | '╰' | '─' | '▶' | '│' | '├') || letter.is_whitespace();
    let words: Vec<&str> = said
        .lines()
        .filter(|line| !line.trim_start().starts_with("hint:"))
        .flat_map(|line| line.trim_matches(ornament).split_whitespace())
        .filter(|word| keep(word))
        .collect();
    let text = words.join(" ");
    // What stands in front of it differs from release to release.
    let text = text.find("Because ").map_or(text.as_str(), |at| &text[at..]);
    text.trim_end_matches('.').chars().take(600).collect()
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn explanations_are_one_line() {
        let said = "  × No solution found when resolving dependencies:\n  ╰─▶ Because a==1 depends on b>=2 and you require\n      b<2, we can conclude that your requirements\n      are unsatisfiable.\n\n      hint: look at https://u:p@h/simple\n";
        assert_eq!(
            reason(said),
            "Because a==1 depends on b>=2 and you require b<2, we can conclude that your requirements are unsatisfiable"
        );
    }
}
