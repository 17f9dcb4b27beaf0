//! How sources are read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::platform::Platform;
use super::registry::Credentials;
use super::spec::NoSource;

/// How sources are read.
#[derive(Clone, Debug)]
pub struct Options {
    /// Only images for this platform; every one if there is none. Caches, and what is no image, are found all the same.
    pub platform: Option<Platform>,
    /// Where images of a registry are looked for first.
    pub mirrors: Vec<Mirror>,
    /// Whether registries of other machines are spoken with without TLS. Those of this machine always are.
    pub plain_http: bool,
    /// Where names and passwords come from.
    pub credentials: Credentials,
    /// How many requests for manifests, configs and lists are under way at once. Of blobs as many are as the caller has
    /// open.
    pub parallel: usize,
    /// How long is waited, and how often something is tried again.
    pub patience: Patience,
    /// Once it is set, nothing more is asked for, and what is being waited for is given up within a moment.
    pub stop: Arc<AtomicBool>,
}

impl Options {
    /// Whether nobody wants it any more.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// How long is waited, and how often something is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the next byte.
    pub stall: Duration,
    /// How often anything is tried before it fails, 1 or more.
    pub tries: u32,
    /// Before the second try; twice as long before each one after it.
    pub pause: Duration,
    /// At most, whatever a registry asks for (`Retry-After`).
    pub longest_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            stall: Duration::from_secs(60),
            tries: 5,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(60),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            platform: None,
            mirrors: Vec::new(),
            plain_http: false,
            credentials: Credentials::default(),
            parallel: 8,
            patience: Patience::default(),
            stop: Arc::default(),
        }
    }
}

/// A registry that has what another one has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The registry that it stands for, as sources name it: `docker.io`.
    pub of: String,
    /// `HOST[:PORT]` of the mirror.
    pub host: String,
    /// What stands before the names of repositories there, without a `/` at either end; may be empty.
    pub path: String,
}

impl std::str::FromStr for Mirror {
    type Err = NoSource;

    /// `docker.io=HOST[:PORT][/PATH]`.
    fn from_str(text: &str) -> Result<Self, NoSource> {
        let refused = || {
            NoSource::new(
                "a mirror is written REGISTRY=HOST[:PORT][/PATH]",
                "for example docker.io=mirror.example.com/docker-hub",
            )
        };
        let (of, target) = text.split_once('=').ok_or_else(refused)?;
        let (host, path) = target.split_once('/').unwrap_or((target, ""));
        let path = path.trim_end_matches('/');
        if target.contains("://") || !(path.is_empty() || super::spec::is_repository(path)) {
            return Err(refused());
        }
        super::spec::check_host(of)?;
        super::spec::check_host(host)?;
        Ok(Self { of: super::spec::canonical(of).to_owned(), host: host.to_owned(), path: path.to_owned() })
    }
}

/// What has been seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Repositories of registries, layouts and archives.
    pub repositories: usize,
    /// Tags, and names in layouts and archives.
    pub names: usize,
    /// How many of those have been read.
    pub names_read: usize,
    /// Manifests and indexes that have been read.
    pub manifests: usize,
}

/// Is told how far reading has come, from several threads at once.
pub trait Progress: Sync {
    /// Something was added to the counts.
    fn found(&self, counts: Counts);

    /// Somebody is waited for: before each new try, and every ten seconds without an answer. `what` is something like
    /// `waiting for registry.example.com (try 2 of 5)`.
    fn waiting(&self, what: &str) {
        let _ = what;
    }
}

/// Nobody wants to know.
impl Progress for () {
    fn found(&self, _: Counts) {}
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn mirrors() {
        let mirror: Mirror = "docker.io=r.example.com:5000/hub/".parse().unwrap();
        assert_eq!((mirror.host.as_str(), mirror.path.as_str()), ("r.example.com:5000", "hub"));
        for bad in ["docker.io", "docker.io=https://r.example.com", "docker.io=", "=r", "docker.io=r/../x"] {
            assert!(bad.parse::<Mirror>().is_err(), "{bad}");
        }
    }
}
