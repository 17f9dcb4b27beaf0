//! Runs pip's resolver, as the step would run pip.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::{fs, thread};

use super::locked::Constraints;
use super::stubs::Stubs;
use super::{Context, Error, failed};
use crate::pip::{Launcher, PipCommand};
use crate::said::in_one_line;
use crate::steps::mounts;

/// The program that runs pip.
const HELPER: &str = concat!(include_str!("../../pip/memo.py"), "\n\n", include_str!("../../pip/helper.py"));

/// How the interpreter ended.
pub(super) struct Ran {
    pub(super) ok: bool,
    pub(super) last_error: Option<String>,
}

pub(super) fn ask(
    context: &Context,
    command: &PipCommand,
    launcher: &Launcher,
    scratch: &Path,
    constraints: Option<&Constraints>,
) -> Result<Ran, Error> {
    let program = scratch.join("main.py");
    fs::write(&program, HELPER).map_err(failed("write the helper"))?;
    let files = constraints.iter().map(|constraints| &constraints.file);
    let stubs = constraints.and_then(|constraints| constraints.stubs.as_ref());
    let (general, install) = command.arguments.split_at(command.install_at + 1);
    let mut child = Command::new(&launcher.interpreter);
    child
        .args(&launcher.flags)
        .arg(&program)
        .arg(scratch.join("answer.json"))
        .arg(launcher.script.as_deref().unwrap_or_default())
        .arg(serde_json::to_string(&command.target()).unwrap_or_default())
        .arg(stubs.map(Stubs::argument).unwrap_or_default())
        .args(general)
        // pip decides on a user install by whether it may write, which it may not here.
        .args(["--no-user", "--dry-run", "--report"])
        .arg(scratch.join("report.json"))
        .args(files.flat_map(|file| [OsStr::new("--constraint"), file.as_os_str()]))
        .args(install)
        .env_clear()
        .envs(context.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&context.cwd)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // Images come without byte code for the standard library, and making it takes longer than resolving.
    if Path::new(mounts::PYCACHE).is_dir() {
        child.env("PYTHONPYCACHEPREFIX", mounts::PYCACHE);
    }
    let mut child = match child.spawn() {
        Ok(child) => child,
        Err(error) => {
            let why = format!("its interpreter can't be started ({})", error.kind());
            return Ok(Ran { ok: false, last_error: Some(why) });
        }
    };
    let out = child.stdout.take().map(|pipe| thread::spawn(move || echo(pipe)));
    let last_error = child.stderr.take().and_then(echo);
    if let Some(out) = out {
        let _ = out.join();
    }
    let status = child.wait().map_err(failed("wait for the interpreter"))?;
    Ok(Ran { ok: status.success(), last_error })
}

/// Passes the output on to stderr (stdout may be somebody's data) and keeps the last error line.
fn echo(pipe: impl Read) -> Option<String> {
    let mut last = None;
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    while reader.by_ref().take(1 << 16).read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        let _ = io::stderr().write_all(&line);
        let text = String::from_utf8_lossy(&line);
        if let Some((_, message)) = text.split_once("ERROR: ") {
            last = Some(in_one_line(message));
        }
        line.clear();
    }
    last
}
