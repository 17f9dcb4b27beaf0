//! The platform team's policy as the command line needs it: where it is, so that a build can be given it, which
//! gates it sets and which master images it names. What it means is the frontend's business.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use plinth_frontend::policy::{Gates, Policy as Document};
use plinth_layers::lock;
use tempfile::TempDir;

use crate::buildctl::pair;
use crate::failure::{During as _, Failure};

/// The name under which the frontend looks for a policy.
const FILE: &str = "plinth.toml";

/// A policy that the user named.
pub(crate) struct Policy {
    dir: PathBuf,
    // Keeps a directory that was made for a policy with another file name.
    _own: Option<TempDir>,
    document: Document,
}

impl Policy {
    /// Reads the policy at `path`: a file, or a directory with a `plinth.toml`.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let file = if path.is_dir() { path.join(FILE) } else { path.to_owned() };
        let text = fs::read_to_string(&file).map_err(|cause| {
            Failure::new(format!("cannot read the policy `{}`: {cause}", file.display()))
                .hint("--policy takes a file, or a directory with a plinth.toml")
        })?;
        let document =
            Document::parse(&text, &file.display().to_string()).map_err(|e| Failure::new(e.to_string()))?;
        let parent = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if file.file_name().is_some_and(|name| name == FILE) {
            return Ok(Self { dir: parent.to_owned(), _own: None, document });
        }
        // A named context is a directory, and in it the frontend looks for the one name.
        let own = tempfile::tempdir().during("make a temporary directory")?;
        fs::write(own.path().join(FILE), &text).during("copy the policy")?;
        let endings = std::iter::once("lock")
            .chain(lock::FOR.iter().map(|(_, file)| file.trim_start_matches("plinth.")));
        for ending in endings {
            let lock = file.with_extension(ending);
            if lock.is_file() {
                let copy = own.path().join(format!("plinth.{ending}"));
                fs::copy(&lock, copy).during(format!("copy `{}`", lock.display()))?;
            }
        }
        Ok(Self { dir: own.path().to_owned(), _own: Some(own), document })
    }

    /// The arguments of buildctl that make it the named context `plinth` of a build.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let [local, value] = pair("--local", "plinth", &self.dir);
        vec![local, value, "--opt".into(), "context:plinth=local:plinth".into()]
    }

    /// Its gates.
    pub(crate) fn gates(&self) -> Gates {
        self.document.gates
    }

    /// What it says.
    pub(crate) fn document(&self) -> &Document {
        &self.document
    }

    /// The master images that it names.
    pub(crate) fn masters(&self) -> Vec<String> {
        let mut images: Vec<String> = self.document.bases.iter().map(|base| base.image.to_string()).collect();
        images.sort();
        images.dedup();
        images
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEXT: &str = "version = 1\n[[base]]\nname = \"p\"\nimage = \"r.example/p:3\"\nreplaces = [\"python:3*\"]\n[gates]\nsize_saved = 0.5\n";

    #[test]
    fn gates_masters_and_the_named_context() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("plinth.toml");
        fs::write(&file, TEXT).unwrap();
        for path in [dir.path(), file.as_path()] {
            let policy = Policy::read(path).unwrap();
            assert_eq!(policy.masters(), ["r.example/p:3"]);
            assert_eq!(policy.gates(), Gates { size_saved: 0.5, build_time_saved: 0.7 });
            let local = format!("plinth={}", dir.path().display());
            assert_eq!(policy.arguments(), ["--local", &local, "--opt", "context:plinth=local:plinth"]);
        }
    }

    #[test]
    fn a_policy_of_another_name_brings_its_lock_along() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("team.toml");
        fs::write(&file, TEXT).unwrap();
        fs::write(dir.path().join("team.lock"), "lock").unwrap();
        fs::write(dir.path().join("team.linux-arm64.lock"), "arm").unwrap();
        let policy = Policy::read(&file).unwrap();
        assert_eq!(fs::read_to_string(policy.dir.join("plinth.lock")).unwrap(), "lock");
        assert_eq!(fs::read_to_string(policy.dir.join("plinth.linux-arm64.lock")).unwrap(), "arm");
        assert_eq!(fs::read_to_string(policy.dir.join("plinth.toml")).unwrap(), TEXT);
    }

    #[test]
    fn a_policy_that_does_not_parse_is_shown_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("plinth.toml"), "version = 1\nbsae = 2\n").unwrap();
        let message = Policy::read(dir.path()).err().unwrap().to_string();
        assert!(message.contains("plinth.toml:2:1: "), "{message}");
        assert!(message.contains("bsae"), "{message}");
    }
}
