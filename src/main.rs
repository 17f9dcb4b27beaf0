//! The `plinth` binary: the command line, and what BuildKit runs as a frontend.
//!
//! Thin on purpose: one file per subcommand under [`cmd`], the work is in the libraries. Built without the
//! `cli` feature it is the static binary of the frontend image, with `frontend` and `step` only.

mod cmd;

#[cfg(feature = "cli")]
mod amount;
#[cfg(feature = "cli")]
mod buildctl;
#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "cli")]
mod decisions;
#[cfg(feature = "cli")]
mod failure;
#[cfg(feature = "cli")]
mod planning;
#[cfg(feature = "cli")]
mod policy;
#[cfg(feature = "cli")]
mod registry;
#[cfg(feature = "cli")]
mod section;
#[cfg(feature = "cli")]
mod table;
#[cfg(feature = "cli")]
mod trace;
#[cfg(feature = "cli")]
mod ui;

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().skip(1).collect();
    // These two are started by BuildKit and not by people: no argument parser stands between them and their work.
    match args.first().and_then(|name| name.to_str()) {
        Some("frontend") => cmd::frontend::run(),
        Some("step") => cmd::step::run(args.split_off(1)),
        _ => people(),
    }
}

#[cfg(feature = "cli")]
fn people() -> ExitCode {
    cli::main()
}

#[cfg(not(feature = "cli"))]
fn people() -> ExitCode {
    use std::io::Write as _;
    // A closed stderr is no reason to fail differently.
    let _ = writeln!(
        std::io::stderr(),
        "error: this build of plinth has the commands `frontend` and `step` only\n\nhint: it is the one inside the frontend image; the command line is built with the feature `cli`"
    );
    ExitCode::from(2)
}
