//! Registries (OCI distribution specification).
//!
//! Written on reqwest, as oci-client has no way to bound the size of a manifest, to wait as `Retry-After` says, to ask for
//! a catalog by token, to take up a broken blob, or to tell a refused login from a missing one.
//!
//! ```text
//! credentials   names and passwords, of Docker's configuration
//! auth          from a refusal to the header that is accepted
//! endpoint      one server: asking, patiently, and what its answers mean
//! patience      when something is tried again, and after how long
//! pages         lists that come in pages: tags, catalogs
//! repository    manifests and blobs
//! download      one blob, taken up again where it broke
//! ```

mod answer;
mod auth;
mod credentials;
mod download;
mod endpoint;
mod helper;
mod pages;
mod patience;
mod repository;
mod transport;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use credentials::Credentials;
pub(crate) use repository::Repository;

use super::error::Error;
use super::notices::Notices;
use super::options::Options;
use super::spec::{DOCKER_HUB, is_repository, is_tag};
use endpoint::Endpoint;
use pages::Pages;
use transport::Transport;

/// Every registry that is asked, each once.
pub(crate) struct Registries {
    transport: Arc<Transport>,
    known: BTreeMap<String, Arc<Registry>>,
}

/// A registry, and the mirrors that have what it has.
pub(crate) struct Registry {
    pub(crate) host: String,
    transport: Arc<Transport>,
    /// Mirrors first.
    endpoints: Vec<Arc<Endpoint>>,
}

impl Registries {
    pub(crate) fn new(options: &Options, notices: &Arc<Notices>) -> Result<Self, Error> {
        Ok(Self { transport: Arc::new(Transport::new(options, notices)?), known: BTreeMap::new() })
    }

    pub(crate) fn get(&mut self, host: &str, options: &Options) -> Result<Arc<Registry>, Error> {
        if let Some(known) = self.known.get(host) {
            return Ok(Arc::clone(known));
        }
        let mirrors = options.mirrors.iter().filter(|mirror| mirror.of == host);
        let places = mirrors.map(|mirror| (mirror.host.as_str(), mirror.path.as_str())).chain([(host, "")]);
        let endpoints =
            places.map(|(host, path)| Endpoint::new(&self.transport, host, path, options).map(Arc::new));
        let endpoints = endpoints.collect::<Result<_, _>>()?;
        let registry = Registry { host: host.to_owned(), transport: Arc::clone(&self.transport), endpoints };
        Ok(Arc::clone(self.known.entry(host.to_owned()).or_insert(Arc::new(registry))))
    }
}

impl Registry {
    /// The names of all repositories, sorted; and how many others the catalog has, whose names can't be.
    pub(crate) fn catalog(&self) -> Result<(Vec<String>, usize), Error> {
        let names = self.first(|endpoint| {
            self.transport.run(endpoint.list("_catalog", "registry:catalog:*", "repositories", Pages::All))
        });
        let hint = if self.host == DOCKER_HUB {
            "docker.io doesn't list repositories; name them, or one of its mirrors by its own name".to_owned()
        } else {
            format!("not every registry lists its repositories; name them: {}/team/app", self.host)
        };
        let mut names = names.map_err(|error| Error::new(format!("{error}; {hint}")))?;
        let all = names.len();
        names.retain(|name| is_repository(name));
        let odd = all - names.len();
        Ok((names, odd))
    }

    /// The tags of a repository, sorted.
    pub(crate) fn tags(&self, repository: &str) -> Result<Vec<String>, Error> {
        let mut tags = self.first(|endpoint| {
            let path = format!("{}/tags/list", endpoint.path_of(repository));
            let tags =
                self.transport.run(endpoint.list(&path, &endpoint.scope(repository), "tags", Pages::All));
            tags.map_err(|error| match error.is_missing() {
                true => Error::missing(format!("{} has no repository {repository}", endpoint.host)),
                false => error,
            })
        })?;
        tags.retain(|tag| is_tag(tag));
        Ok(tags)
    }

    /// Some of a repository's tags, for a message: those that have most of their beginning in common with `like` come first.
    /// It takes one request; none if that isn't answered as it should be.
    pub(crate) fn some_tags(&self, repository: &str, like: &str) -> Vec<String> {
        let Some(endpoint) = self.endpoints.last() else { return Vec::new() };
        let path = format!("{}/tags/list", endpoint.path_of(repository));
        let scope = endpoint.scope(repository);
        let list = endpoint.list(&path, &scope, "tags", Pages::First);
        let mut tags = self.transport.run(list).unwrap_or_default();
        tags.retain(|tag| is_tag(tag));
        let common = |tag: &String| tag.bytes().zip(like.bytes()).take_while(|(a, b)| a == b).count();
        tags.sort_by_key(|tag| std::cmp::Reverse(common(tag)));
        tags.truncate(10);
        tags
    }

    /// Asks one endpoint after the other until one has an answer.
    fn first<T>(&self, ask: impl Fn(&Arc<Endpoint>) -> Result<T, Error>) -> Result<T, Error> {
        let mut failures: Vec<Error> = Vec::new();
        for endpoint in &self.endpoints {
            match ask(endpoint) {
                Ok(answer) => return Ok(answer),
                Err(error) => failures.push(error),
            }
        }
        Err(joined(failures))
    }
}

/// The errors of all endpoints in one: it isn't there if none has it.
fn joined(mut failures: Vec<Error>) -> Error {
    if failures.len() == 1 {
        return failures.remove(0);
    }
    let texts: Vec<_> = failures.iter().map(ToString::to_string).collect();
    let text = texts.join("; and ");
    if failures.iter().all(Error::is_missing) { Error::missing(text) } else { Error::new(text) }
}
