//! `plinth scan DIR…`: what a fleet is made of, and what is wrong in it. It reads, and never runs, what it finds.

mod sections;

use std::path::{Path, PathBuf};

use plinth_scan::{Fleet, Options, Severity, scan};

use crate::cli::{Outcome, json, print};
use crate::failure::Failure;
use crate::policy::Policy;
use crate::section::{self, Detail};

/// The arguments of `plinth scan`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The trees to read: repositories, or directories in them
    #[arg(required = true, value_name = "DIR")]
    trees: Vec<PathBuf>,
    /// The policy that says which services move: a file, or a directory with a plinth.toml
    #[arg(long, value_name = "FILE|DIR")]
    policy: Option<PathBuf>,
    /// Show every service, step and package, and not only the most frequent
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long, conflicts_with_all = ["markdown", "all"])]
    json: bool,
    /// Print Markdown
    #[arg(long)]
    markdown: bool,
}

/// Runs the command. What makes a build fail, or do something else than is written, is a finding.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let fleet = read(&args.trees, args.policy.as_deref())?;
    if args.json {
        print(&json(&fleet)?)?;
    } else {
        let sections = sections::of(&fleet, if args.all { Detail::All } else { Detail::Most });
        print(&if args.markdown { section::markdown(&sections) } else { section::text(&sections) })?;
    }
    let errors = fleet.findings.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if errors { Outcome::Finding } else { Outcome::Done })
}

/// Reads a fleet, by a policy if there is one.
pub(crate) fn read(trees: &[PathBuf], policy: Option<&Path>) -> Result<Fleet, Failure> {
    let policy = policy.map(Policy::read).transpose()?;
    let options = Options { policy: policy.map(|policy| policy.document().clone()).unwrap_or_default() };
    scan(trees, &options).map_err(|error| {
        Failure::new(error.to_string())
            .hint("it takes directories; a Dockerfile is explained by plinth explain")
    })
}
