//! What BuildKit asks for: the options of the build, its session, its workers.
//!
//! The gateway passes everything in environment variables (`frontend/gateway` of BuildKit). Options may hold
//! secrets (build arguments): they are never logged.

use std::collections::{BTreeMap, BTreeSet};

use crate::passes::switch::Pass;

/// Prefix of the variables that hold one `key=value` option each.
const OPT_PREFIX: &str = "BUILDKIT_FRONTEND_OPT_";

/// One build request.
#[derive(Clone, Default)]
pub struct Request {
    /// All options, such as `filename`, `target`, `build-arg:X`, `context:NAME`.
    pub opts: BTreeMap<String, String>,
    /// The build session, by which local sources are read.
    pub session: String,
    /// Platforms that the daemon says it can run, emulated ones included; empty if it doesn't say.
    pub worker_platforms: Vec<WorkerPlatform>,
}

/// The part of a worker's description that plinth uses.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct WorkerPlatform {
    /// OCI architecture, such as `amd64`.
    #[serde(default)]
    pub architecture: String,
    /// OCI operating system, such as `linux`.
    #[serde(default)]
    pub os: String,
}

#[derive(serde::Deserialize)]
struct Worker {
    #[serde(default)]
    platforms: Vec<WorkerPlatform>,
}

impl Request {
    /// Reads the request from this process's environment.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_vars(
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))),
        )
    }

    /// Reads the request from environment variables.
    pub fn from_vars(vars: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut request = Self::default();
        for (name, value) in vars {
            if name.starts_with(OPT_PREFIX) {
                // Keys hold colons and anything else but `=`; values may hold anything.
                if let Some((key, value)) = value.split_once('=') {
                    request.opts.insert(key.to_owned(), value.to_owned());
                }
            } else if name == "BUILDKIT_SESSION_ID" {
                request.session = value;
            } else if name == "BUILDKIT_WORKERS" {
                let workers: Vec<Worker> = serde_json::from_str(&value).unwrap_or_default();
                request.worker_platforms = workers.into_iter().flat_map(|w| w.platforms).collect();
            }
        }
        request
    }

    /// An option's value, if it is set and not empty.
    #[must_use]
    pub fn opt(&self, key: &str) -> Option<&str> {
        self.opts.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A build argument's value.
    #[must_use]
    pub fn build_arg(&self, name: &str) -> Option<&str> {
        self.opt(&format!("build-arg:{name}"))
    }

    /// `--build-arg PLINTH=off`: the build passes through untouched.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.build_arg("PLINTH")
            .is_some_and(|v| matches!(v.to_ascii_lowercase().as_str(), "off" | "0" | "false"))
    }

    /// `--build-arg PLINTH_WITHOUT=split,copies`: the passes that are left out.
    ///
    /// # Errors
    /// What to tell the user about a name that is none.
    pub fn without(&self) -> Result<BTreeSet<Pass>, String> {
        Pass::list(self.build_arg("PLINTH_WITHOUT").unwrap_or_default())
    }

    /// Whether a pass is wanted.
    #[must_use]
    pub fn wants(&self, pass: Pass) -> bool {
        !self.without().is_ok_and(|without| without.contains(&pass))
    }

    /// Whether the daemon's kernel can start programs of a platform. Variants are left out: what the daemon lists of
    /// them is not all that it runs. A daemon that lists nothing is taken to run everything.
    #[must_use]
    pub fn runs(&self, os: &str, architecture: &str) -> bool {
        self.worker_platforms.is_empty()
            || self.worker_platforms.iter().any(|w| w.os == os && w.architecture == architecture)
    }

    /// The subrequest (`requestid`), if this is one.
    #[must_use]
    pub fn subrequest(&self) -> Option<&str> {
        self.opt("requestid")
    }

    /// Remote caches to import, from `cache-imports` (JSON) and the older `cache-from` (a comma list of references).
    ///
    /// # Errors
    /// If `cache-imports` is no JSON list of `{Type, Attrs}`.
    pub fn cache_imports(&self) -> Result<Vec<CacheImport>, serde_json::Error> {
        if let Some(json) = self.opt("cache-imports") {
            return serde_json::from_str(json);
        }
        let references = self.opt("cache-from").unwrap_or_default();
        Ok(references
            .split(',')
            .map(str::trim)
            .filter(|reference| !reference.is_empty())
            .map(|reference| CacheImport {
                kind: "registry".to_owned(),
                attrs: BTreeMap::from([("ref".to_owned(), reference.to_owned())]),
            })
            .collect())
    }
}

/// One remote cache to import.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct CacheImport {
    /// `registry`, `local`, `gha`, …
    #[serde(rename = "Type")]
    pub kind: String,
    /// Its attributes, such as `ref`.
    #[serde(rename = "Attrs", default)]
    pub attrs: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn request(vars: &[(&str, &str)]) -> Request {
        Request::from_vars(vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn options_are_split_at_the_first_equals_sign() {
        let request = request(&[
            ("BUILDKIT_FRONTEND_OPT_0", "build-arg:A=b=c\nd"),
            ("BUILDKIT_FRONTEND_OPT_1", "context:python:3.11-slim=docker-image://x"),
            ("BUILDKIT_SESSION_ID", "s1"),
            ("PATH", "/bin"),
        ]);
        assert_eq!(request.build_arg("A"), Some("b=c\nd"));
        assert_eq!(request.opt("context:python:3.11-slim"), Some("docker-image://x"));
        assert_eq!(request.session, "s1");
        assert_eq!(request.opts.len(), 2);
    }

    #[test]
    fn workers_say_which_platforms_run() {
        let known = request(&[(
            "BUILDKIT_WORKERS",
            r#"[{"id":"w","labels":{},"platforms":[{"architecture":"amd64","os":"linux"},{"architecture":"arm","os":"linux","variant":"v7"}]}]"#,
        )]);
        assert!(known.runs("linux", "amd64"));
        assert!(known.runs("linux", "arm"));
        assert!(!known.runs("linux", "arm64"));
        assert!(!known.runs("windows", "amd64"));
        assert!(request(&[]).runs("linux", "arm64"), "unknown, so it is tried");
    }

    #[test]
    fn cache_imports_in_both_spellings() {
        let new = request(&[(
            "BUILDKIT_FRONTEND_OPT_0",
            r#"cache-imports=[{"Type":"registry","Attrs":{"ref":"r/c"}}]"#,
        )]);
        let old = request(&[("BUILDKIT_FRONTEND_OPT_0", "cache-from=r/c")]);
        assert_eq!(new.cache_imports().unwrap(), old.cache_imports().unwrap());
        assert_eq!(new.cache_imports().unwrap()[0].attrs["ref"], "r/c");
        assert!(request(&[("BUILDKIT_FRONTEND_OPT_0", "cache-imports={")]).cache_imports().is_err());
    }

    #[test]
    fn plinth_is_switched_off_by_a_build_argument() {
        assert!(request(&[("BUILDKIT_FRONTEND_OPT_7", "build-arg:PLINTH=off")]).is_off());
        assert!(!request(&[("BUILDKIT_FRONTEND_OPT_7", "build-arg:PLINTH=on")]).is_off());
    }
}
