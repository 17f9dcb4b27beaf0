//! The versions that the fleet's lock has for an install, as a constraints file.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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

/// The file with the versions for what is asked for; or why the lock has none. None if there is no lock.
pub(super) fn constraints(
    context: &Context,
    launcher: &Launcher,
    asked: Result<BTreeSet<String>, String>,
    scratch: &Path,
) -> Option<Result<PathBuf, String>> {
    let lock = context.lock.as_ref()?;
    Some(asked.and_then(|asked| {
        let python =
            version(launcher).ok_or_else(|| "its interpreter doesn't tell its version".to_owned())?;
        let pins = lock.cover(&python, &asked)?;
        let file = scratch.join("locked.txt");
        fs::write(&file, pins.join("\n") + "\n")
            .map_err(|error| format!("its versions can't be written: {error}"))?;
        Ok(file)
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
