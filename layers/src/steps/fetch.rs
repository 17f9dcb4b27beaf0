//! `plinth step fetch`: the wheels of a resolution, fetched by the step's own interpreter in its own network
//! position, for indexes that the builder's daemon can't reach in the same way. Wheels that are files of its state are
//! copied.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{fmt::Write as _, fs};

use sha2::{Digest, Sha256};

use crate::resolution::{Distribution, Outcome, Resolution};
use crate::steps::probe::write_fixed;

/// The wheels can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing to fetch for.
    #[error("fetch: the resolution is a refusal")]
    Refused,
    /// A field of the resolution would mean something else on a line of a requirements file.
    #[error("fetch: {name}: a name, URL or checksum of an unusual form")]
    Unusual {
        /// Distribution.
        name: String,
    },
    /// pip failed; its output is above.
    #[error("fetch: pip could not download the wheels ({status})")]
    Pip {
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// The file is not what was resolved.
    #[error("fetch: {filename}: SHA-256 is {actual}, not {expected}")]
    Checksum {
        /// Wheel.
        filename: String,
        /// Resolved.
        expected: String,
        /// Downloaded.
        actual: String,
    },
    /// Reading or writing files, or starting the interpreter.
    #[error("fetch: {what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { what: what.into(), source }
}

/// Downloads all wheels of `resolution` into `out`, by file name, and checks them.
///
/// # Errors
/// [`Error`]; `out` then holds no file that was not checked.
pub fn run(resolution: &Resolution, out: &Path) -> Result<(), Error> {
    let Outcome::Assemble(plan) = &resolution.outcome else { return Err(Error::Refused) };
    if plan.install.is_empty() {
        return Ok(());
    }
    let (local, web): (Vec<_>, Vec<_>) =
        plan.install.iter().partition(|wheel: &&Distribution| wheel.path().is_some());
    for wheel in local {
        keep(wheel, &wheel.path().unwrap_or_default(), out)?;
    }
    if web.is_empty() {
        return Ok(());
    }
    let scratch = tempfile::tempdir().map_err(io("make a temporary directory"))?;
    let requirements = scratch.path().join("requirements.txt");
    fs::write(&requirements, pins(&web)?).map_err(io("write the requirements"))?;
    let downloads = scratch.path().join("wheels");
    let status = Command::new(&plan.interpreter.executable)
        .args([
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--no-cache-dir",
            "--require-hashes",
            "--quiet",
            "--dest",
        ])
        .arg(&downloads)
        .arg("--requirement")
        .arg(&requirements)
        .args(&plan.fetch_with)
        // `-m` looks for pip in the working directory first, and constraints would be applied to pins.
        .current_dir(scratch.path())
        .env_remove("PIP_CONSTRAINT")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(io("start the interpreter"))?;
    if !status.success() {
        return Err(Error::Pip { status });
    }
    web.into_iter().try_for_each(|wheel| keep(wheel, &downloads.join(&wheel.filename), out))
}

/// Copies a wheel to `out` if it is the one that was resolved.
fn keep(wheel: &Distribution, from: &Path, out: &Path) -> Result<(), Error> {
    if !plain_file_name(&wheel.filename) {
        return Err(Error::Unusual { name: wheel.name.clone() });
    }
    let bytes = fs::read(from).map_err(io(format!("read {}", wheel.filename)))?;
    let actual = hex::encode(Sha256::digest(&bytes));
    if actual != wheel.sha256 {
        let (filename, expected) = (wheel.filename.clone(), wheel.sha256.clone());
        return Err(Error::Checksum { filename, expected, actual });
    }
    write_fixed(&out.join(&wheel.filename), &bytes).map_err(io(format!("write {}", wheel.filename)))
}

fn plain_file_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('/') && !name.starts_with('.')
}

/// One line for each wheel: `name @ url --hash=sha256:…`, or `name==version --hash=sha256:…`.
fn pins(wheels: &[&Distribution]) -> Result<String, Error> {
    let mut text = String::new();
    for Distribution { name, version, url, sha256, .. } in wheels {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let web = url.starts_with("https://") || url.starts_with("http://");
        let by_name = url.is_empty() && !version.is_empty();
        let number = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+' | b'!');
        let safe = !name.is_empty()
            && name.bytes().all(plain)
            && (web || by_name)
            && version.bytes().all(number)
            && url.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'$' | b'#'))
            && sha256.len() == 64
            && sha256.bytes().all(|b| b.is_ascii_hexdigit());
        if !safe {
            return Err(Error::Unusual { name: name.clone() });
        }
        let pin = if by_name { format!("{name}=={version}") } else { format!("{name} @ {url}") };
        let _ = writeln!(text, "{pin} --hash=sha256:{sha256}");
    }
    Ok(text)
}
