//! `plinth explain DIR|DOCKERFILE`: what plinth would do to this build, step by step, and why.
//!
//! The frontend itself answers, as a subrequest of an ordinary build: so the answer is about the very build that
//! would run, with its arguments, contexts and policy. What a decision rests on does run in the builder: the state
//! before an install step, its resolution, and its payload layers. That stays in the builder's cache, where a build
//! that follows finds it. No image is exported or pushed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use plinth_frontend::build::EXPLAIN;
use plinth_frontend::report::Report;

use crate::buildctl::{Buildctl, pair};
use crate::cli::{Outcome, json, print, runtime};
use crate::decisions;
use crate::failure::{During as _, Failure};
use crate::policy::Policy;
use crate::ui::{Progress, note};

/// What `--help` says below the arguments.
const ABOUT_RUNS: &str = "\
Exports and pushes nothing. To decide as the build would, it may run in the builder what the decision rests on: the \
steps before an install step, the resolution of its requirements, and its package layers. They stay in the builder's \
cache, where a build that follows finds them.";

/// The arguments of `plinth explain`.
#[derive(clap::Args)]
#[command(after_help = ABOUT_RUNS)]
pub(crate) struct Args {
    /// A directory with a Dockerfile, or a Dockerfile
    #[arg(value_name = "DIR|DOCKERFILE")]
    path: PathBuf,
    /// The name of the Dockerfile in the directory
    #[arg(long, value_name = "NAME", default_value = "Dockerfile")]
    file: String,
    /// The build stage
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// A build argument
    #[arg(long = "build-arg", value_name = "KEY=VALUE")]
    build_args: Vec<String>,
    /// The platform to build for
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
    /// The policy: a file, or a directory with a plinth.toml
    #[arg(long, value_name = "FILE|DIR")]
    policy: Option<PathBuf>,
    /// The frontend image
    #[arg(long, env = "PLINTH_FRONTEND", value_name = "IMAGE")]
    frontend: String,
    /// The builder
    #[arg(long, env = "BUILDKIT_HOST", value_name = "ADDR")]
    addr: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let (dir, file) = place(&args.path, &args.file)?;
    let policy = args.policy.as_deref().map(Policy::read).transpose()?;
    let buildctl = Buildctl::new(args.addr.clone())?;
    let arguments = arguments(args, &dir, &file, policy.as_ref());
    let progress = Progress::new();
    let run = runtime()?.block_on(buildctl.build(&arguments, |trace| progress.now(trace.latest())));
    progress.finish();
    let run = run?;
    if !run.ok {
        return Err(Failure::new(format!("the frontend could not explain `{}`", args.path.display()))
            .detail(run.trace.failure(30))
            .hint("the same error stops a build; is the frontend image a plinth of this version?"));
    }
    for warning in run.trace.warnings() {
        note(&format!("warning: {warning}"));
    }
    print(&match answer(&run.stdout) {
        Ok(report) if args.json => json(&report)?,
        Ok(report) => decisions::text(&report),
        // A frontend that answers in text only has still answered.
        Err(_) if !args.json && run.stdout.starts_with("plinth ") => run.stdout,
        Err(failure) => return Err(failure),
    })?;
    Ok(Outcome::Done)
}

fn place(path: &Path, file: &str) -> Result<(PathBuf, String), Failure> {
    if path.is_file() {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Failure::new(format!("`{}` is no Dockerfile", path.display())))?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return Ok((dir.to_owned(), name.to_owned()));
    }
    if !path.join(file).is_file() {
        return Err(Failure::new(format!("there is no {file} in `{}`", path.display())).hint(
            "name a directory with a Dockerfile, or the Dockerfile; another name is given with --file",
        ));
    }
    Ok((path.to_owned(), file.to_owned()))
}

fn arguments(args: &Args, dir: &Path, file: &str, policy: Option<&Policy>) -> Vec<OsString> {
    let mut all: Vec<OsString> = vec!["--frontend".into(), "gateway.v0".into()];
    all.extend(pair("--local", "context", dir));
    all.extend(pair("--local", "dockerfile", dir));
    let mut opt = |text: String| all.extend(["--opt".into(), text.into()]);
    opt(format!("source={}", args.frontend));
    opt(format!("requestid={EXPLAIN}"));
    // buildctl prints `result.txt` alone if there is one, and every `result.*` if there is none: without the text,
    // the document itself comes out.
    opt("plinth.format=json".into());
    opt(format!("filename={file}"));
    if let Some(target) = &args.target {
        opt(format!("target={target}"));
    }
    if let Some(platform) = &args.platform {
        opt(format!("platform={platform}"));
    }
    for value in &args.build_args {
        opt(format!("build-arg:{value}"));
    }
    if let Some(policy) = policy {
        all.extend(policy.arguments());
    }
    all
}

/// The document in what buildctl printed: alone, or under a line with its key.
fn answer(stdout: &str) -> Result<Report, Failure> {
    let text = stdout.trim_start().trim_start_matches("result.json").trim();
    Report::from_label(text).during("read the frontend's answer").map_err(|failure| {
        failure
            .detail(stdout.lines().take(5).map(str::to_owned).collect())
            .hint("the frontend image is not a plinth that this command line understands")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_answer_with_and_without_its_key() {
        let text = Report::new().to_label();
        assert_eq!(answer(&format!("result.json\n{text}\n\n")).unwrap(), Report::new());
        assert_eq!(answer(&text).unwrap(), Report::new());
        let error = answer("some text\n").unwrap_err().to_string();
        assert!(error.contains("cannot read the frontend's answer"), "{error}");
        assert!(error.contains("  some text"), "{error}");
    }

    #[test]
    fn a_file_is_its_directory_and_its_name() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("api.Dockerfile"), "FROM scratch\n").unwrap();
        let file = dir.path().join("api.Dockerfile");
        assert_eq!(place(&file, "Dockerfile").unwrap(), (dir.path().to_owned(), "api.Dockerfile".into()));
        let error = place(dir.path(), "Dockerfile").unwrap_err().to_string();
        assert!(error.starts_with("there is no Dockerfile in `"), "{error}");
    }
}
