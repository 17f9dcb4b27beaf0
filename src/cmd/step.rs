//! `plinth step NAME …`: the programs that run inside a build container.
//!
//! Exit codes: 0 done, [`REFUSED`] the step may not be assembled, [`UNRESOLVED`] the installer itself found no
//! answer, 2 anything else. Only 0 is cached by BuildKit: an index that is down today is asked again tomorrow.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use plinth_layers::resolution::{Outcome, Plan, Resolution};
use plinth_layers::steps::carry::{Carried, Places};
use plinth_layers::steps::payload::PayloadSpec;
use plinth_layers::steps::record::Verdict;
use plinth_layers::steps::resolve::ResolveSpec;
use plinth_layers::steps::{self, mounts};

/// `record` found that its layers would not give what the installer leaves.
const REFUSED: u8 = 10;
/// The installer could not resolve the request, or broke off.
const UNRESOLVED: u8 = 11;

type Error = Box<dyn std::error::Error>;

/// Runs one step; `args` are what follows the word `step`.
pub(crate) fn run(args: Vec<OsString>) -> ExitCode {
    match dispatch(args) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::from(2)
        }
    }
}

fn dispatch(args: Vec<OsString>) -> Result<ExitCode, Error> {
    let mut args = args.into_iter().map(|arg| arg.into_string().map_err(|_| "an argument is not UTF-8"));
    let name = args.next().ok_or("no step is named")??;
    let rest: Vec<String> = args.collect::<Result<_, _>>()?;
    match (name.as_str(), rest.as_slice()) {
        ("probe", [path]) => steps::probe::run(Path::new("/"), path, Path::new(mounts::OUT))?,
        ("warm", [interpreter]) => steps::warm::run(interpreter, Path::new(mounts::OUT))?,
        ("resolve", [spec]) => return resolve(&serde_json::from_str(spec)?),
        ("fetch", []) => steps::fetch::run(&resolution()?, Path::new(mounts::OUT))?,
        ("payload", [spec]) => payload(spec)?,
        ("group", [specs]) => group(specs)?,
        ("record", [spec]) => return record(spec, None),
        ("why", [spec]) => return record(spec, Some(Path::new(mounts::STATUS))),
        ("carry", [spec]) => {
            steps::carry::carry(&serde_json::from_str(spec)?, copied(), Path::new(mounts::OUT))?;
        }
        ("rest", [spec]) => {
            let carried = std::fs::read(Path::new(mounts::CARRIED).join(Carried::FILE))?;
            let (spec, carried) = (serde_json::from_str(spec)?, serde_json::from_slice(&carried)?);
            steps::carry::rest(&spec, copied(), &carried, Path::new(mounts::OUT))?;
        }
        ("survey", []) => steps::cut::survey(around(), Path::new(mounts::OUT))?,
        ("cut", [spec]) => {
            let [trees, metas, out] = [mounts::TREES, mounts::METAS, mounts::OUT].map(Path::new);
            steps::cut::cut(&serde_json::from_str(spec)?, around(), trees, metas, out)?;
        }
        ("rest-of", [layers]) => {
            let [metas, state] = [mounts::METAS, mounts::STATE].map(Path::new);
            steps::cut::rest_of(around(), layers.parse()?, metas, state)?;
        }
        ("satisfied", [spec]) => steps::satisfied::run(&serde_json::from_str(spec)?, Path::new(mounts::OUT))?,
        ("remove", []) => steps::remove::run(&plan()?, Path::new("/"))?,
        _ => return Err(format!("there is no step `{name}` with {} arguments", rest.len()).into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn resolve(spec: &ResolveSpec) -> Result<ExitCode, Error> {
    match steps::resolve::run(spec, Path::new(mounts::OUT)) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error @ steps::resolve::Error::Unresolved { .. }) => {
            say(&error.to_string());
            Ok(ExitCode::from(UNRESOLVED))
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes the payload of a wheel.
fn payload(spec: &str) -> Result<(), Error> {
    let spec: PayloadSpec = serde_json::from_str(spec)?;
    let [wheel, out, meta] = [mounts::WHEEL, mounts::OUT, mounts::META].map(Path::new);
    let refused = steps::payload::answer(&spec, &wheel.join(&spec.filename), out, meta)?;
    refused.iter().for_each(|reason| say(reason));
    Ok(())
}

/// Makes the payloads of the wheels of a layer.
fn group(specs: &str) -> Result<(), Error> {
    let specs: Vec<PayloadSpec> = serde_json::from_str(specs)?;
    let [wheels, out, meta] = [mounts::WHEEL, mounts::OUT, mounts::META].map(Path::new);
    steps::group::run(&specs, wheels, out, meta)?.iter().for_each(|reason| say(reason));
    Ok(())
}

/// Makes the record layers, or refuses with an exit code; with `status`, says why instead.
fn record(spec: &str, status: Option<&Path>) -> Result<ExitCode, Error> {
    let spec = serde_json::from_str(spec)?;
    let verdict_at = status.unwrap_or(Path::new(mounts::SCRATCH));
    let [metas, trees, record, tail] =
        [mounts::METAS, mounts::TREES, mounts::RECORD, mounts::TAIL].map(Path::new);
    steps::record::run(&plan()?, &spec, Path::new("/"), metas, trees, record, tail, verdict_at)?;
    let text = std::fs::read(verdict_at.join(Verdict::FILE))?;
    match serde_json::from_slice(&text)? {
        Verdict::Refused { reason } if status.is_none() => {
            say(&reason);
            Ok(ExitCode::from(REFUSED))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// What a COPY copies, and where to.
fn copied() -> Places<'static> {
    let [to, from, metas] = ["/", mounts::FROM, mounts::METAS].map(Path::new);
    Places { to, from, metas }
}

/// The states before and after a step that has run.
fn around() -> steps::cut::Places<'static> {
    let [before, after] = [mounts::BEFORE, mounts::AFTER].map(Path::new);
    steps::cut::Places { before, after }
}

fn resolution() -> Result<Resolution, Error> {
    Ok(serde_json::from_slice(&std::fs::read(Path::new(mounts::RESOLUTION).join(Resolution::FILE))?)?)
}

fn plan() -> Result<Plan, Error> {
    match resolution()?.outcome {
        Outcome::Assemble(plan) => Ok(*plan),
        Outcome::End { .. } => Err("the step installs nothing".into()),
        Outcome::Refuse { reason } => {
            Err(format!("there is nothing to do for a refused step ({reason})").into())
        }
    }
}

/// A step's messages go to the build log. If nobody reads them, nothing can be done about it.
fn say(message: &str) {
    let _ = writeln!(std::io::stderr(), "{message}");
}
