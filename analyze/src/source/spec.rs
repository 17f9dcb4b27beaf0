//! What a user writes to say what to read.
//!
//! ```text
//! HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]   images of a registry; REPOSITORY and TAG may be globs
//! HOST[:PORT]/REPOSITORY                  every tag of the repository
//! HOST[:PORT]/**                          every tag of every repository, by the registry's catalog
//! python:3.12                             without a host it is of docker.io: docker.io/library/python:3.12
//! oci:PATH[:NAME][@DIGEST]                an OCI image layout, as a directory or a tar; oci-archive: is the same
//! docker-archive:FILE[:NAME]              what `docker save` and skopeo write
//! PATH                                    something on disk, recognized by what it is; with ./ before it, or / at its beginning
//! ```
//!
//! In a repository `*` is any part of one path component and `**` any number of components.

mod files;
mod path;
mod registry;

use std::fmt;

pub(crate) use files::{FilePlace, Format};
pub(crate) use registry::{
    DOCKER_HUB, RegistryPlace, canonical, check_host, is_repository, is_tag, loopback,
};

/// One source as the user named it.
#[derive(Clone, Debug)]
pub struct Spec {
    text: String,
    pub(crate) place: Place,
}

#[derive(Clone, Debug)]
pub(crate) enum Place {
    Registry(RegistryPlace),
    File(FilePlace),
}

/// A text that names no source: what is wrong with it, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct NoSource {
    what: String,
    hint: String,
}

impl NoSource {
    pub(crate) fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into() }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

impl Spec {
    /// Reads what a user wrote. Whether a path exists is looked up; nothing is asked of a registry.
    ///
    /// # Errors
    /// It names no source.
    pub fn parse(text: &str) -> Result<Self, NoSource> {
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(NoSource::new(
                format!("`{}` names no source", super::error::quoted(text)),
                "a source is an image (registry.example.com/team/app:1), a layout (oci:DIR) or a file",
            ));
        }
        let place = match FilePlace::parse(text)? {
            Some(place) => Place::File(place),
            None => Place::Registry(RegistryPlace::parse(text)?),
        };
        Ok(Self { text: text.to_owned(), place })
    }
}

impl std::str::FromStr for Spec {
    type Err = NoSource;

    fn from_str(text: &str) -> Result<Self, NoSource> {
        Self::parse(text)
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
