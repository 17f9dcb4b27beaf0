//! `plinth step warm`: byte code of the modules that the other steps import, so that interpreters start fast.
//!
//! Official Python images ship no byte code. Every start of pip in them compiles some three hundred modules, which
//! takes seconds; here that happens once per base image. A later step may bring other sources to the same paths, with
//! the same size and, from a payload, the same time; so Python is told to check each file by its source's hash.

use std::path::Path;
use std::process::Command;

/// Imports what an install imports, with the byte code going to `out`, and lets each file of it name the hash of its
/// source instead of the time: with that, Python never takes it for another source's.
const PROGRAM: &str = "
import sys
try:
    import json, sysconfig, importlib.util, warnings
    from pip._internal.cli.main import main
    from pip._internal.commands import create_command
    for name in ('install', 'download'):
        create_command(name)
    from pip._internal.utils.entrypoints import get_best_invocation_for_this_pip
    from pip._internal.metadata import get_default_environment
    list(get_default_environment().iter_installed_distributions())
    import pip._internal.locations, pip._internal.operations.prepare, pip._internal.resolution.resolvelib.resolver
    import pip._vendor.packaging.markers, pip._vendor.distlib.scripts
except Exception:
    pass
import os
from importlib.util import source_from_cache, source_hash
for directory, _, files in os.walk(sys.pycache_prefix):
    for name in files:
        path = os.path.join(directory, name)
        try:
            with open(source_from_cache(path), 'rb') as source:
                digest = source_hash(source.read())
            with open(path, 'rb') as old:
                code = old.read()
            with open(path, 'wb') as new:
                new.write(code[:4] + (3).to_bytes(4, 'little') + digest + code[16:])
        except Exception:
            os.remove(path)
";

/// Warms up `interpreter` (a path). Whatever goes wrong leaves less byte code, or none: it only saves time.
///
/// # Errors
/// If what is left can't be cleared away.
pub fn run(interpreter: &str, out: &Path) -> std::io::Result<()> {
    let status = Command::new(interpreter)
        .env_clear()
        .env("PYTHONHASHSEED", "0")
        .arg("-X")
        .arg(format!("pycache_prefix={}", out.display()))
        .args(["-c", PROGRAM])
        .status();
    if status.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    // Not all of it may name the hashes.
    for entry in std::fs::read_dir(out)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?
        } else {
            std::fs::remove_file(entry.path())?
        }
    }
    Ok(())
}
