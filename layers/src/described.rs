//! An interpreter as it describes itself, by the programs that are run in it.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::facts::fingerprint;
use crate::pip::NotUnderstood;
use crate::resolution::Interpreter;

/// What tells one interpreter from another.
#[derive(Deserialize)]
pub(crate) struct Python {
    /// `X.Y.Z`, and `-alpha` or the like after it if it is no final release.
    pub(crate) version: String,
    /// Empty if there is none.
    pub(crate) cache_tag: String,
    /// Empty if there is none.
    pub(crate) abi: String,
    /// Of byte code, hexadecimal.
    pub(crate) magic: String,
}

impl Python {
    /// Whether it is a final release that has byte code and extension modules.
    pub(crate) fn is_usual(&self) -> bool {
        !self.version.contains('-') && !self.cache_tag.is_empty() && !self.abi.is_empty()
    }

    /// The interpreter that `executable` starts in this file system.
    ///
    /// # Errors
    /// [`NotUnderstood`] if its file can't be read.
    pub(crate) fn interpreter(&self, executable: &str) -> Result<Interpreter, NotUnderstood> {
        let unreadable = || NotUnderstood::new("an interpreter that can't be read");
        let physical = fs::canonicalize(executable).map_err(|_| unreadable())?;
        let minor = self.version.rsplit_once('.').map(|(minor, _)| minor.to_owned()).unwrap_or_default();
        let fingerprint = fingerprint(Path::new("/"), &physical, &minor).map_err(|_| unreadable())?;
        Ok(Interpreter {
            executable: executable.to_owned(),
            physical: physical.to_str().ok_or_else(unreadable)?.to_owned(),
            version: self.version.clone(),
            cache_tag: self.cache_tag.clone(),
            abi: self.abi.clone(),
            magic: self.magic.clone(),
            fingerprint,
        })
    }
}
