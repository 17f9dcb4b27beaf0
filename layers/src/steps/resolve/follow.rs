//! Following the step's script to the install that comes next.

use std::fs::Metadata;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::before::matched;
use super::locked::read_lock;
use super::{Context, Error, Foreign, refuse, resolve};
use crate::pip::{NotUnderstood, PipCommand, STEERING, Tool, environment_of, find_launcher, is_activation};
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
    /// Where its shell remembers to have found programs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<FoundProgram>,
    /// The working directory of the step, absolute. Not that of this process, which the builder would make.
    pub cwd: PathBuf,
    /// If the step is given secrets: the names of the variables among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<String>>,
    /// The shell that would run the script; none in exec form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<PathBuf>,
    /// The fleet has a lock, in the directory [`crate::steps::mounts::LOCK`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub locked: bool,
    /// The step is for a platform whose programs can't be run here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign: Option<Foreign>,
}

/// A program that the shell has run by its bare name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundProgram {
    /// The name.
    pub name: String,
    /// PATH at that time. When it changes, shells forget.
    pub path: String,
    /// Where it was.
    pub place: PathBuf,
}

/// Such a script has about 2 KiB.
const MAX_ACTIVATE: u64 = 8192;

/// Follows the script in the files of this process, and resolves the install that it comes to.
pub(super) fn follow(spec: &ResolveSpec, env: Vec<(String, String)>) -> Result<Resolution, Error> {
    let (asked, files) = match look_ahead(spec, &env) {
        Ok(asked) => asked,
        Err(reason) => return Ok(refuse(reason)),
    };
    let resolution = match asked.next {
        Next::End { success } => Resolution::of(Outcome::End { success }),
        Next::Install { install, cwd, environment } => {
            let env = activated(env, environment.as_deref(), &files.path);
            let (outputs, secrets) = (install.outputs, spec.secrets.clone());
            let lock = if spec.locked { Some(read_lock()?) } else { None };
            let foreign = spec.foreign.clone();
            resolve(&Context { argv: install.argv, env, cwd, outputs, secrets, lock, foreign })?
        }
    };
    let found = if asked.more { files.found } else { Vec::new() };
    Ok(Resolution { events: asked.events, more: asked.more, found, ..resolution })
}

/// Follows the script in the files of this process, with `env` for the environment of the step, to what comes next.
/// Nothing is run for it. Gives too what the shell remembers by then.
///
/// # Errors
/// If that can't be said with certainty.
pub fn next(
    spec: &ResolveSpec,
    env: &[(String, String)],
) -> Result<(Asked, Vec<FoundProgram>), NotUnderstood> {
    look_ahead(spec, env).map(|(asked, files)| (asked, files.found))
}

fn look_ahead(spec: &ResolveSpec, env: &[(String, String)]) -> Result<(Asked, Files), NotUnderstood> {
    // A step whose working directory is missing leaves one behind, whatever else it does.
    if !spec.cwd.is_dir() {
        return Err(NotUnderstood::new("a working directory that is not there"));
    }
    // Without its shell the step fails, whatever the script says.
    if let Some(shell) = spec.shell.as_deref().filter(|shell| !executable(shell)) {
        return Err(NotUnderstood::new(format!("the shell {}, which is not there", shell.display())));
    }
    let mut files = Files::new(spec, env);
    let asked = walk(&spec.script, &spec.cwd, &spec.events, &mut files)
        .map_err(|Refusal(reason)| NotUnderstood::new(reason))?;
    if let Next::Install { install, cwd, environment } = &asked.next {
        files.active(environment.as_deref());
        if let Some(reason) = matched(&install.globs, cwd).or_else(|| files.moved(install)) {
            return Err(reason);
        }
    }
    Ok((asked, files))
}

/// The environment variables of an install in a virtual environment that was activated. The prompt means nothing to it.
fn activated(env: Vec<(String, String)>, environment: Option<&Path>, path: &str) -> Vec<(String, String)> {
    let Some(environment) = environment.and_then(Path::to_str) else { return env };
    let rest = env.into_iter().filter(|(name, _)| name != "PATH" && name != "VIRTUAL_ENV");
    let set = [("PATH", path), ("VIRTUAL_ENV", environment)];
    rest.chain(set.map(|(name, value)| (name.to_owned(), value.to_owned()))).collect()
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
    env: Vec<(String, String)>,
    /// PATH of the step, or of the virtual environment that is active.
    path: String,
    /// Where the shell remembers to have found programs.
    found: Vec<FoundProgram>,
}

impl Files {
    fn new(spec: &ResolveSpec, env: &[(String, String)]) -> Self {
        Self { env: env.to_vec(), path: path_of(env).to_owned(), found: spec.found.clone() }
    }

    /// Notes where the shell finds the program of an install, by the PATH that is set. A shell remembers where it found
    /// one, and would find it there again, whatever was put in front of it since.
    fn moved(&mut self, install: &Install) -> Option<NotUnderstood> {
        let program = install.argv.first().filter(|program| !program.contains('/'))?;
        let place = places(program, &self.path).next()?;
        let known = self.found.iter().find(|known| known.name == *program && known.path == self.path);
        match known {
            Some(known) => (known.place != place).then(|| {
                NotUnderstood::new(
                    "a program that is found in another directory after an install of its script",
                )
            }),
            None => {
                let (name, path) = (program.clone(), self.path.clone());
                self.found.push(FoundProgram { name, path, place });
                None
            }
        }
    }
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

    fn activates(&mut self, script: &Path) -> Result<(), Refusal> {
        let refused = |what: &str| Err(Refusal(format!("its script sources {}, {what}", script.display())));
        plain_place(script)?;
        let Some(directory) = environment_of(script) else {
            return refused("which is no environment's bin/activate");
        };
        let set = |name: &&&str| self.env.iter().any(|(known, _)| known == *name);
        if let Some(name) = STEERING.iter().find(set) {
            return refused(&format!("and the environment variable {name} is set"));
        }
        // It asks which system this is.
        let uname = places("uname", &self.path).next();
        let usual = uname.is_some_and(|uname| uname.starts_with("/bin") || uname.starts_with("/usr/bin"));
        if self.path.is_empty() || !usual {
            return refused("and PATH is unusual");
        }
        let text = std::fs::File::open(script).and_then(|file| {
            let mut text = String::new();
            file.take(MAX_ACTIVATE).read_to_string(&mut text).map(|_| text)
        });
        match text {
            Ok(text) if is_activation(&text, directory) => Ok(()),
            Ok(_) => refused("which is not as `python -m venv` makes it there"),
            Err(error) => refused(&format!("which can't be read ({})", error.kind())),
        }
    }

    fn active(&mut self, environment: Option<&Path>) {
        let before = path_of(&self.env);
        self.path = match environment {
            Some(environment) => format!("{}/bin:{before}", environment.display()),
            None => before.to_owned(),
        };
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
                if let Some(NotUnderstood { reason }) = self.moved(install) {
                    return Err(Refusal(reason));
                }
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
