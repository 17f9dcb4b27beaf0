//! Following the step's script to the install that comes next.

use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::before::matched;
use super::{Context, Error, refuse, resolve};
use crate::pip::{NotUnderstood, PipCommand, Tool};
use crate::resolution::{Outcome, Resolution};
use crate::script::{FileTest, Install, Next, Node, Refusal, World, walk};

/// What is asked of [`super::run`]: a script, and what came of it so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolveSpec {
    /// What the step runs.
    pub script: Node,
    /// What is decided already: see [`crate::script::walk()`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<bool>,
    /// The working directory of the step, absolute. Not that of this process, which the builder would make.
    pub cwd: PathBuf,
}

/// Follows the script in the files of this process, and resolves the install that it comes to.
pub(super) fn follow(spec: &ResolveSpec, env: Vec<(String, String)>) -> Result<Resolution, Error> {
    // A step whose working directory is missing leaves one behind, whatever else it does.
    if !spec.cwd.is_dir() {
        return Ok(refuse(NotUnderstood::new("a working directory that is not there")));
    }
    let asked = match walk(&spec.script, &spec.cwd, &spec.events, &mut Files) {
        Ok(asked) => asked,
        Err(Refusal(reason)) => return Ok(Resolution::of(Outcome::Refuse { reason })),
    };
    let resolution = match asked.next {
        Next::End { success } => Resolution::of(Outcome::End { success }),
        Next::Install { install, cwd } => match matched(&install.globs, &cwd) {
            Some(reason) => refuse(reason),
            None => resolve(&Context { argv: install.argv, env, cwd })?,
        },
    };
    Ok(Resolution { events: asked.events, more: asked.more, ..resolution })
}

/// The files that this process sees.
struct Files;

impl World for Files {
    fn test(&mut self, test: FileTest, path: &Path) -> Result<bool, Refusal> {
        let Some(found) = look(path)? else { return Ok(false) };
        Ok(match test {
            FileTest::Exists => true,
            FileTest::File => found.is_file(),
            FileTest::Directory => found.is_dir(),
            FileTest::NotEmpty => found.len() > 0,
        })
    }

    fn enter(&mut self, path: &Path) -> Result<bool, Refusal> {
        Ok(look(path)?.is_some_and(|found| found.is_dir()))
    }

    fn absent(&mut self, path: &Path) -> Result<bool, Refusal> {
        // Where there is no `rm`, the script fails instead.
        if look(Path::new("/bin/rm"))?.is_none() && look(Path::new("/usr/bin/rm"))?.is_none() {
            return Err(Refusal("its script runs `rm`, which is not where it usually is".to_owned()));
        }
        Ok(found(path, std::fs::symlink_metadata(path))?.is_none())
    }

    /// Without one of its requirement files, pip ends before it does anything.
    fn fails(&mut self, install: &Install, cwd: &Path) -> Result<bool, Refusal> {
        let Ok(command) = PipCommand::parse(&install.argv) else { return Ok(false) };
        if command.tool == Tool::Uv {
            return Ok(false);
        }
        for file in command.requirement_files.iter().filter(|file| !file.contains(':') && *file != "-") {
            if look(&cwd.join(file))?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What is at a path, links followed.
fn look(path: &Path) -> Result<Option<Metadata>, Refusal> {
    found(path, std::fs::metadata(path))
}

fn found(path: &Path, looked: io::Result<Metadata>) -> Result<Option<Metadata>, Refusal> {
    match looked {
        Ok(found) => Ok(Some(found)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(Refusal(format!(
            "its script asks for {}, which can't be looked at ({})",
            path.display(),
            e.kind()
        ))),
    }
}
