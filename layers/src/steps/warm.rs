//! `plinth step warm`: byte code of the modules that the other steps import, so that interpreters start fast.
//!
//! Official Python images ship no byte code. Every start of pip in them compiles some three hundred modules, which
//! takes seconds; here that happens once per base image. Python checks each file against its source's time and size,
//! so byte code that doesn't fit is ignored and never wrong.

use std::path::Path;
use std::process::Command;

/// Imports what an install imports, with the byte code going to `out`.
const PROGRAM: &str = "
import py_compile, json, sysconfig, importlib.util, warnings
try:
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
";

/// Warms up `interpreter` (a path). A base without pip, or without anything to warm, gives an empty directory.
///
/// # Errors
/// If the interpreter can't be started.
pub fn run(interpreter: &str, out: &Path) -> std::io::Result<()> {
    let status = Command::new(interpreter)
        .env_clear()
        .env("PYTHONHASHSEED", "0")
        .arg("-X")
        .arg(format!("pycache_prefix={}", out.display()))
        .args(["-c", PROGRAM])
        .status()?;
    if status.success() { Ok(()) } else { Err(std::io::Error::other(format!("{interpreter} ended with {status}"))) }
}
