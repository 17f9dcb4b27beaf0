//! The versions that the fleet's lock has for an install, as a constraints file.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::stubs::Stubs;
use super::{Context, Error, failed};
use crate::lock::{self, Lock};
use crate::pip::Launcher;
use crate::steps::mounts;

/// Reads the lock that the build was given.
pub(super) fn read_lock() -> Result<Lock, Error> {
    let text =
        fs::read_to_string(Path::new(mounts::LOCK).join(lock::FILE)).map_err(failed("read the lock"))?;
    Lock::parse(&text).map_err(io::Error::other).map_err(failed("read the lock"))
}

/// The versions that a lock has for an install.
#[derive(Clone)]
pub(super) struct Constraints {
    /// The file that has them.
    pub(super) file: PathBuf,
    /// What makes an index superfluous, if the lock says enough, and the step says nothing of an index.
    pub(super) stubs: Option<Stubs>,
}

/// The versions for what is asked for; or why the lock has none. None if there is no lock. `own_index`: the step names
/// one.
pub(super) fn constraints(
    context: &Context,
    launcher: &Launcher,
    asked: Result<BTreeSet<String>, String>,
    own_index: bool,
    scratch: &Path,
) -> Option<Result<Constraints, String>> {
    let lock = context.lock.as_ref()?;
    Some(asked.and_then(|asked| {
        let python =
            version(launcher).ok_or_else(|| "its interpreter doesn't tell its version".to_owned())?;
        let pins = lock.cover(&python, &asked)?;
        let file = scratch.join("locked.txt");
        let unwritten = |error: io::Error| format!("its versions can't be written: {error}");
        fs::write(&file, pins.join("\n") + "\n").map_err(unwritten)?;
        let stubs = match own_index {
            true => None,
            false => Stubs::write(lock, &python, &pins, scratch).map_err(unwritten)?,
        };
        Ok(Constraints { file, stubs })
    }))
}

/// `X.Y` of an interpreter. It is asked without site-packages, which takes a few milliseconds.
fn version(launcher: &Launcher) -> Option<String> {
    let output = Command::new(&launcher.interpreter)
        .args(["-I", "-S", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
