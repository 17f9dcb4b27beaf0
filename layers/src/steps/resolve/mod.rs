//! `plinth step resolve`: what a pip command would install in the state before it, by pip's own answer.
//!
//! Runs as the same user, with the same environment, working directory and mounts as the step, on a
//! read-only root. pip is asked by `--dry-run --report`; a small program of ours (`pip/helper.py`) runs it
//! and reports in the same process what else decides the result: interpreter, install scheme,
//! configuration, what is installed already. Anything that is not as the layers model it is a refusal, and
//! a refusal is an answer, not an error.
//!
//! ```text
//! follow     follows the step's script to the install that comes next
//! before     what is refused before an interpreter is started
//! locked     the versions that the fleet's lock has for it
//! ask        runs pip
//! answer     what it says
//! by_uv      asks uv
//! state      what is refused by the state that pip found
//! judge      the plan that the answer makes
//! stubs      what makes an index superfluous
//! output     the files that the shell makes of what it prints
//! secret     what is different in a step with secrets
//! left_behind what is refused since a RUN leaves it behind
//! mounted    what is refused by the mounts of the step
//! foreign    the same answer without running anything, for another platform
//! ```

mod answer;
mod ask;
mod before;
mod by_uv;
mod follow;
mod foreign;
mod judge;
mod left_behind;
mod locked;
mod mounted;
mod output;
mod secret;
mod state;
mod stubs;

use std::path::{Path, PathBuf};
use std::{fs, io};

use tempfile::TempDir;

use self::ask::ask;
use self::before::{Prepared, prepare};
use self::follow::follow;
pub use self::follow::{FoundProgram, ResolveSpec, next};
pub use self::foreign::{Followed, Foreign, Requests, follow_lock, machine};
use self::judge::judge;
use self::left_behind::left_behind;
use self::locked::Constraints;
use self::mounted::mounted;
use crate::lock::Lock;
use crate::pip::{NotUnderstood, PipCommand, Tool};
use crate::resolution::{Locked, Outcome, Plan, Resolution};
use crate::steps::mounts;
use crate::steps::probe::write_fixed;
use crate::uv;

/// The step could not be done at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading or writing files.
    #[error("resolve: {what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// pip itself found no answer, or broke off. Not an answer to keep: the index may be back tomorrow.
    #[error("resolve: {reason}")]
    Unresolved {
        /// pip's last error line, without URLs.
        reason: String,
    },
}

fn failed(what: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { what, source }
}

/// What a resolution is asked of: the command and the process state it would run in.
#[derive(Clone, Debug)]
pub struct Context {
    /// The command as the kernel gets it.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// Its working directory, absolute.
    pub cwd: PathBuf,
    /// Files that the shell makes of its output: see [`crate::script::Install::outputs`].
    pub outputs: Vec<String>,
    /// If it is given secrets: the names of the variables among them. No address is kept then, as it may be the secret.
    pub secrets: Option<Vec<String>>,
    /// The fleet's lock, if it has one.
    pub lock: Option<Lock>,
    /// Its programs can't be run here.
    pub foreign: Option<Foreign>,
}

/// Resolves the install that a script comes to next in this process's environment, and writes [`Resolution::FILE`] to
/// `out`.
///
/// # Errors
/// [`Error::Unresolved`] if pip found no answer; otherwise if files can't be written. A script or command that is not
/// understood is [`Outcome::Refuse`].
pub fn run(spec: &ResolveSpec, out: &Path) -> Result<(), Error> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let resolution = match std::env::vars_os().map(text).collect::<Option<Vec<_>>>() {
        Some(env) => follow(spec, env)?,
        None => refuse(NotUnderstood::new("an environment that is not UTF-8")),
    };
    let resolution = match &resolution.outcome {
        Outcome::Assemble(plan) => {
            let points = fs::read_to_string("/proc/self/mountinfo").map_err(failed("read the mounts"))?;
            let refused = mounted(&points, plan.places()).or_else(|| left_behind(Path::new(mounts::BEFORE)));
            refused.map_or(resolution, refuse)
        }
        // It would add nothing.
        Outcome::End { success: true } => left_behind(Path::new(mounts::BEFORE)).map_or(resolution, refuse),
        Outcome::Refuse { .. } | Outcome::End { success: false } => resolution,
    };
    let mut text =
        serde_json::to_string_pretty(&resolution).map_err(io::Error::from).map_err(failed("encode"))?;
    text.push('\n');
    write_fixed(&out.join(Resolution::FILE), text.as_bytes()).map_err(failed("write the resolution"))
}

/// Resolves a command in a given state.
///
/// # Errors
/// As for [`run`].
pub fn resolve(context: &Context) -> Result<Resolution, Error> {
    match plan(context) {
        Ok(plan) => Ok(Resolution::of(Outcome::Assemble(Box::new(plan)))),
        Err(NoPlan::NotUnderstood(reason)) => Ok(refuse(reason)),
        Err(NoPlan::Failed(error)) => Err(error),
    }
}

/// Why there is no plan.
enum NoPlan {
    /// It is not as the layers model it. That stays so: an answer.
    NotUnderstood(NotUnderstood),
    /// The installer failed, or this step.
    Failed(Error),
}

impl From<NotUnderstood> for NoPlan {
    fn from(reason: NotUnderstood) -> Self {
        Self::NotUnderstood(reason)
    }
}

impl From<Error> for NoPlan {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<uv::Problem> for NoPlan {
    fn from(problem: uv::Problem) -> Self {
        match problem {
            uv::Problem::NotUnderstood(reason) => Self::NotUnderstood(reason),
            uv::Problem::Unresolved(_) => Self::Failed(Error::Unresolved { reason: problem.to_string() }),
            uv::Problem::Io(error) => Self::Failed(failed("ask uv")(error)),
        }
    }
}

fn plan(context: &Context) -> Result<Plan, NoPlan> {
    match PipCommand::parse(&context.argv) {
        Ok(command) if command.tool == Tool::Uv && context.foreign.is_some() => {
            Err(NotUnderstood::new("uv, for a platform whose programs aren't run here").into())
        }
        Ok(_) if context.foreign.is_some() => foreign::plan(context),
        Ok(command) if command.tool == Tool::Uv => {
            let plan = by_uv::plan(context, &command)?;
            // It prints to standard error.
            Ok(output::with(plan, context, String::new())?)
        }
        _ => {
            let Prepared { command, launcher, fetch_with, asked, own_index, .. } = prepare(context)?;
            let scratch = scratch()?;
            let asks = |constraints: Option<&Constraints>| {
                let ran = ask(context, &command, &launcher, scratch.path(), constraints)?;
                let stubs = constraints.and_then(|constraints| constraints.stubs.as_ref());
                judge(&command, &launcher, scratch.path(), &ran, stubs, context.secrets.is_some())
            };
            let constraints = locked::constraints(context, &launcher, asked, own_index, scratch.path());
            let (locked, (plan, steered)) = match constraints {
                None => (None, asks(None)?),
                Some(Err(reason)) => (Some(Locked::outside(&reason)), asks(None)?),
                Some(Ok(constraints)) => match asks_with(&constraints, asks) {
                    Ok(answer) => (Some(Locked::Covered), answer),
                    // With what is installed already, say. Without the lock there may be an answer.
                    Err(NoPlan::Failed(_)) => (
                        Some(Locked::outside("pip finds no answer with the versions of the lock")),
                        asks(None)?,
                    ),
                    Err(refused) => return Err(refused),
                },
            };
            let plan = Plan { fetch_with, locked, ..plan };
            let last = output::last_line(&plan, &command, context, steered)?;
            Ok(output::with(plan, context, last)?)
        }
    }
}

/// Asks with the versions of the lock: without the index first, if that can be.
fn asks_with<T>(
    constraints: &Constraints,
    asks: impl Fn(Option<&Constraints>) -> Result<T, NoPlan>,
) -> Result<T, NoPlan> {
    match asks(Some(constraints)) {
        Err(NoPlan::Failed(_)) if constraints.stubs.is_some() => {
            asks(Some(&Constraints { stubs: None, ..constraints.clone() }))
        }
        answer => answer,
    }
}

/// A directory of our own. TMPDIR may name one of the image, which is read-only here.
fn scratch() -> Result<TempDir, NotUnderstood> {
    tempfile::tempdir()
        .or_else(|_| tempfile::tempdir_in("/tmp"))
        .map_err(|_| NotUnderstood::new("no temporary directory that can be written"))
}

fn refuse(reason: NotUnderstood) -> Resolution {
    Resolution::of(Outcome::Refuse { reason: reason.reason })
}
