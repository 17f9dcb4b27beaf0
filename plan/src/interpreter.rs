//! The interpreters that uv asks with.
//!
//! It looks for one on every run, which may take much longer than a resolution: the programs of some version managers are
//! scripts. It is asked once for each version, and told from then on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

/// What is known of interpreters.
#[derive(Clone, Debug, Default)]
pub struct Interpreters(Arc<Mutex<BTreeMap<String, Option<PathBuf>>>>);

impl Interpreters {
    /// The interpreter that uv takes for a version; none if it has none, or is told which to take by a variable of its own.
    pub(crate) fn of(&self, uv: &Path, python: &str) -> Option<PathBuf> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(python.to_owned()).or_insert_with(|| find(uv, python)).clone()
    }
}

fn find(uv: &Path, python: &str) -> Option<PathBuf> {
    if std::env::var_os("UV_PYTHON").is_some_and(|value| !value.is_empty()) {
        return None;
    }
    let mut command = Command::new(uv);
    command.args(["python", "find", "--no-config", "--no-project", "--no-python-downloads"]);
    let output = command.args(["--color", "never", python]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    (output.status.success() && path.is_absolute()).then_some(path)
}
