//! The commands for people: parsing, exit codes, and how an error is shown.
//!
//! Exit codes: 0 done, 1 a gate missed or a finding, 2 usage or runtime error. Data goes to standard output,
//! everything else to standard error.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cmd::{analyze, bake, compare, explain, moves, plan, report, scan};
use crate::failure::Failure;

/// One master base image and one shared set of package layers under a whole fleet of container builds
#[derive(Parser)]
#[command(name = "plinth", version, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show what plinth would do to a build, step by step, and why
    Explain(explain::Args),
    /// Build services plain and through plinth, each from an empty cache, and measure both
    Compare(Box<compare::Args>),
    /// Read a fleet: its Dockerfiles, contexts, requirements, version conflicts; nothing is run
    Scan(scan::Args),
    /// Choose one version per package for a fleet: writes plinth.lock and constraints.txt
    Plan(plan::Args),
    /// Say which services of a fleet can move to another Python, and what is in the way of the others
    Move(moves::Args),
    /// Write what turns plinth on for a whole fleet, for docker buildx bake or compose
    Bake(bake::Args),
    /// Say which bytes registries, layouts, archives and build caches store twice
    Analyze(Box<analyze::Args>),
    /// Show what plinth did to an image that is already built
    Report(report::Args),
    /// What BuildKit runs for each build (started by BuildKit, not by hand)
    Frontend,
    /// What a build container runs (started by the frontend, not by hand)
    Step {
        /// The step and its specification
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
}

/// How a command ended that did its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing to complain about: exit code 0.
    Done,
    /// A gate missed or a finding: exit code 1.
    Finding,
}

/// Runs the command line of this process.
pub(crate) fn main() -> ExitCode {
    // For every connection by https. Fails only if one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            // Nobody is left to tell if this fails.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let result = match cli.command {
        Command::Explain(args) => explain::run(&args),
        Command::Compare(args) => compare::run(*args),
        Command::Analyze(args) => analyze::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Move(args) => moves::run(&args),
        Command::Bake(args) => bake::run(&args),
        Command::Scan(args) => scan::run(&args),
        Command::Frontend => return crate::cmd::frontend::run(),
        Command::Step { rest } => return crate::cmd::step::run(rest.into_iter().map(Into::into).collect()),
    };
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Finding) => ExitCode::from(1),
        Err(failure) => {
            let red = anstyle::AnsiColor::Red.on_default().bold();
            let _ = writeln!(anstream::stderr(), "{red}error:{red:#} {failure}");
            ExitCode::from(2)
        }
    }
}

/// Writes `text` to standard output; a reader that has gone is no error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// `value` as indented JSON with a final newline.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> Result<String, Failure> {
    use crate::failure::During as _;
    let mut text = serde_json::to_string_pretty(value).during("write JSON")?;
    text.push('\n');
    Ok(text)
}

/// An asynchronous runtime for one command.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    use crate::failure::During as _;
    tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build().during("start threads")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
