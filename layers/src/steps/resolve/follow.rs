//! Following the step's script to the install that comes next.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::before::matched;
use super::{Context, Error, refuse, resolve};
use crate::pip::{NotUnderstood, PipCommand, Tool, find_launcher};
use crate::resolution::{Outcome, Resolution};
use crate::script::{Asked, FileTest, Install, Next, Node, Refusal, World, walk};

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
    /// The shell that would run the script; none in exec form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<PathBuf>,
}

/// Follows the script in the files of this process, and resolves the install that it comes to.
pub(super) fn follow(spec: &ResolveSpec, env: Vec<(String, String)>) -> Result<Resolution, Error> {
    let asked = match next(spec, &env) {
        Ok(asked) => asked,
        Err(reason) => return Ok(refuse(reason)),
    };
    let resolution = match asked.next {
        Next::End { success } => Resolution::of(Outcome::End { success }),
        Next::Install { install, cwd } => {
            resolve(&Context { argv: install.argv, env, cwd, outputs: install.outputs })?
        }
    };
    Ok(Resolution { events: asked.events, more: asked.more, ..resolution })
}

/// Follows the script in the files of this process, with `env` for the environment of the step, to what comes next.
/// Nothing is run for it.
///
/// # Errors
/// If that can't be said with certainty.
pub fn next(spec: &ResolveSpec, env: &[(String, String)]) -> Result<Asked, NotUnderstood> {
    // A step whose working directory is missing leaves one behind, whatever else it does.
    if !spec.cwd.is_dir() {
        return Err(NotUnderstood::new("a working directory that is not there"));
    }
    // Without its shell the step fails, whatever the script says.
    if let Some(shell) = spec.shell.as_deref().filter(|shell| !executable(shell)) {
        return Err(NotUnderstood::new(format!("the shell {}, which is not there", shell.display())));
    }
    let mut files = Files { path: path_of(env).to_owned() };
    let asked = walk(&spec.script, &spec.cwd, &spec.events, &mut files)
        .map_err(|Refusal(reason)| NotUnderstood::new(reason))?;
    if let Next::Install { install, cwd } = &asked.next {
        let again = !spec.events.is_empty();
        let doubt =
            matched(&install.globs, cwd).or_else(|| if again { moved(install, &files.path) } else { None });
        if let Some(reason) = doubt {
            return Err(reason);
        }
    }
    Ok(asked)
}

/// A shell remembers where it found a program. An install before this one may have put another in front of it.
fn moved(install: &Install, path: &str) -> Option<NotUnderstood> {
    let program = install.argv.first().filter(|program| !program.contains('/'))?;
    let mut found = places(program, path);
    // A program of an install that was assembled has the canonical time.
    let new = found.next()?.symlink_metadata().ok()?.mtime() == crate::tree::MTIME as i64;
    (new && found.next().is_some()).then(|| {
        NotUnderstood::new(
            "a program that is in several directories of PATH, after other commands of its script",
        )
    })
}

/// Where a bare name leads, in the order of PATH.
fn places<'a>(program: &'a str, path: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
    path.split(':').map(move |directory| Path::new(directory).join(program)).filter(|file| executable(file))
}

fn executable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

fn path_of(env: &[(String, String)]) -> &str {
    env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_str()).unwrap_or_default()
}

/// What is another thing here than in the step: this process's own files and mounts, and what an install leaves behind
/// that an assembled one doesn't.
fn plain_place(path: &Path) -> Result<(), Refusal> {
    let ours = ["/proc", "/dev", "/sys", "/.plinth"].iter().any(|place| path.starts_with(place));
    let left = path.iter().any(|part| part == ".cache" || part == "__pycache__");
    if ours || left {
        return Err(Refusal(format!(
            "its script asks for {}, which this step sees in another way",
            path.display()
        )));
    }
    Ok(())
}

/// The files that this process sees.
struct Files {
    /// PATH of the step.
    path: String,
}

impl World for Files {
    fn test(&mut self, test: FileTest, path: &Path) -> Result<bool, Refusal> {
        plain_place(path)?;
        let Some(found) = look(path)? else { return Ok(false) };
        Ok(match test {
            FileTest::Exists => true,
            FileTest::File => found.is_file(),
            FileTest::Directory => found.is_dir(),
            FileTest::NotEmpty => found.len() > 0,
        })
    }

    fn enter(&mut self, path: &Path) -> Result<bool, Refusal> {
        plain_place(path)?;
        Ok(look(path)?.is_some_and(|found| found.is_dir()))
    }

    fn absent(&mut self, path: &Path) -> Result<bool, Refusal> {
        // Another `rm`, or none, might do anything else.
        let rm = places("rm", &self.path).next();
        if !rm.is_some_and(|rm| rm.starts_with("/bin") || rm.starts_with("/usr/bin")) {
            return Err(Refusal("its script runs `rm`, which is not where it usually is".to_owned()));
        }
        match std::fs::symlink_metadata(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(true),
            // Below a file, programs differ in what they do.
            Err(e) => Err(Refusal(format!(
                "its script removes {}, which can't be looked at ({})",
                path.display(),
                e.kind()
            ))),
            Ok(_) => Ok(false),
        }
    }

    /// Without one of its requirement files, pip ends before it does anything.
    fn fails(&mut self, install: &Install, cwd: &Path) -> Result<bool, Refusal> {
        let Ok(command) = PipCommand::parse(&install.argv) else { return Ok(false) };
        // Which files a pattern matches isn't known here, nor what a pip does that isn't the usual one.
        let usual = command.tool != Tool::Uv && find_launcher(&command, &self.path).is_ok();
        if !usual || !install.globs.is_empty() {
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
    match std::fs::metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(Refusal(format!(
            "its script asks for {}, which can't be looked at ({})",
            path.display(),
            e.kind()
        ))),
    }
}
