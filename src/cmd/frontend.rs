//! `plinth frontend`: what BuildKit runs for each build.

use std::process::ExitCode;

/// Serves one build over standard input and output.
pub(crate) fn run() -> ExitCode {
    plinth_frontend::build::run()
}
