//! Image references, by the grammar that registries and Docker share.
//!
//! A policy and a Dockerfile speak of images by their *familiar* names (`python:3.11-slim`), BuildKit by canonical ones
//! (`docker.io/library/python:3.11-slim@sha256:…`). Patterns are matched against the familiar name, so there is one
//! place that goes from one to the other.

use std::fmt;

/// The registry that a name without a host belongs to.
const DEFAULT_HOST: &str = "docker.io";
/// Another spelling of it that old tools write.
const LEGACY_HOST: &str = "index.docker.io";
/// The namespace of a name with a single component there.
const OFFICIAL: &str = "library";
/// The longest name (host and path) that registries accept, in bytes.
const MAX_NAME: usize = 255;
/// The longest tag, in bytes.
const MAX_TAG: usize = 128;

/// A parsed image reference. A reference with neither tag nor digest has the tag `latest`; one with only a digest
/// has no tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    host: String,
    path: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// Why a text is no image reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing there.
    #[error("the image reference is empty")]
    Empty,
    /// The repository name breaks the grammar.
    #[error(
        "`{0}` is not a repository name: use lower-case letters and digits, joined by `.`, `_`, `__` or `-`, in parts \
         joined by `/`"
    )]
    Name(String),
    /// The host breaks the grammar.
    #[error(
        "`{0}` is not a registry host: use a host name with an optional port, like `registry.example.com:5000`"
    )]
    Host(String),
    /// The tag breaks the grammar.
    #[error(
        "`{0}` is not a tag: use up to 128 letters, digits, `_`, `.` and `-`, not starting with `.` or `-`"
    )]
    Tag(String),
    /// The digest breaks the grammar.
    #[error("`{0}` is not a digest: write it like `sha256:` and 64 hexadecimal digits")]
    Digest(String),
    /// Longer than a registry takes.
    #[error("the repository name is longer than 255 bytes")]
    TooLong,
}

impl Reference {
    /// Reads a reference, familiar or canonical.
    ///
    /// # Errors
    /// [`ReferenceError`] says which part breaks the grammar.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(checked_digest(digest)?)),
            None => (text, None),
        };
        let (name, tag) = split_tag(rest);
        let tag = tag.map(checked_tag).transpose()?;
        let (host, path) = match name.split_once('/') {
            Some((first, rest)) if is_host(first) => (checked_host(first)?, rest),
            _ => (DEFAULT_HOST, name),
        };
        if !path.split('/').all(is_component) {
            return Err(ReferenceError::Name(name.to_owned()));
        }
        let host = if host == LEGACY_HOST { DEFAULT_HOST } else { host };
        let path = match path.contains('/') || host != DEFAULT_HOST {
            true => path.to_owned(),
            false => format!("{OFFICIAL}/{path}"),
        };
        if host.len() + 1 + path.len() > MAX_NAME {
            return Err(ReferenceError::TooLong);
        }
        let tag = match (tag, &digest) {
            (None, None) => Some("latest".to_owned()),
            (tag, _) => tag.map(str::to_owned),
        };
        Ok(Self { host: host.to_owned(), path, tag, digest: digest.map(str::to_owned) })
    }

    /// The repository's familiar name: without `docker.io/` and `docker.io/library/`, other hosts kept.
    pub fn repository(&self) -> String {
        if self.host != DEFAULT_HOST {
            return format!("{}/{}", self.host, self.path);
        }
        match self.path.split_once('/') {
            Some((OFFICIAL, name)) if !name.contains('/') && !is_host(name) => name.to_owned(),
            // Without its host, `docker.io/localhost/x` would be read as another registry's.
            Some((first, _)) if is_host(first) => format!("{}/{}", self.host, self.path),
            _ => self.path.clone(),
        }
    }

    /// The tag; `latest` where nothing is named, and none for a reference by digest alone.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, with its algorithm.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// The familiar name by which patterns match and reports speak: repository and tag, no digest. A reference by
    /// digest alone keeps the digest, since no tag may be made up for it.
    pub fn familiar(&self) -> String {
        match (&self.tag, &self.digest) {
            (None, Some(digest)) => format!("{}@{digest}", self.repository()),
            (tag, _) => format!("{}:{}", self.repository(), tag.as_deref().unwrap_or("latest")),
        }
    }

    /// The canonical form that BuildKit's image sources use: host, path, tag, digest.
    pub fn canonical(&self) -> String {
        let mut out = format!("{}/{}", self.host, self.path);
        for (mark, part) in [(':', &self.tag), ('@', &self.digest)] {
            if let Some(part) = part {
                out.push(mark);
                out.push_str(part);
            }
        }
        out
    }

    /// Whether both name the same image: repository, and tag or, where neither has one, digest.
    pub fn same_name(&self, other: &Self) -> bool {
        self.familiar() == other.familiar()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical())
    }
}

/// The familiar name of a reference: `docker.io/library/python:3.11-slim@sha256:…` is `python:3.11-slim`. What can't
/// be read as a reference is returned as it is, so that a report can still name it.
pub fn familiar(reference: &str) -> String {
    Reference::parse(reference).map_or_else(|_| reference.to_owned(), |r| r.familiar())
}

/// Splits `name:tag`. A colon before the last slash belongs to a port.
pub(super) fn split_tag(text: &str) -> (&str, Option<&str>) {
    let start = text.rfind('/').map_or(0, |slash| slash + 1);
    match text[start..].find(':') {
        Some(colon) => (&text[..start + colon], Some(&text[start + colon + 1..])),
        None => (text, None),
    }
}

/// The first component is a host if it can't be a namespace: a dot, a port, an upper-case letter, or `localhost`.
fn is_host(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.chars().any(|c| c.is_ascii_uppercase())
}

fn checked_host(host: &str) -> Result<&str, ReferenceError> {
    let bad = || ReferenceError::Host(host.to_owned());
    let (name, port) = match host.strip_prefix('[') {
        // An IPv6 address in brackets; the address itself is the registry client's to judge.
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or_else(bad)?;
            if address.is_empty() || !address.chars().all(|c| c.is_ascii_hexdigit() || c == ':') {
                return Err(bad());
            }
            match port {
                "" => return Ok(host),
                _ => ("v6", port.strip_prefix(':').ok_or_else(bad)?),
            }
        }
        None => match host.split_once(':') {
            Some((name, port)) => (name, port),
            None => (host, "0"),
        },
    };
    let label = |l: &str| {
        !l.is_empty()
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let good = name.split('.').all(label) && !port.is_empty() && port.chars().all(|c| c.is_ascii_digit());
    if good { Ok(host) } else { Err(bad()) }
}

/// One path component: runs of lower-case letters and digits, joined by one `.`, one or two `_`, or any number of `-`.
fn is_component(text: &str) -> bool {
    let alnum = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !text.starts_with(alnum) || !text.ends_with(alnum) {
        return false;
    }
    let mut joints = text.split(alnum).filter(|joint| !joint.is_empty());
    joints.all(|joint| matches!(joint, "." | "_" | "__") || joint.chars().all(|c| c == '-'))
}

fn checked_tag(tag: &str) -> Result<&str, ReferenceError> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let good = tag.len() <= MAX_TAG
        && tag.starts_with(word)
        && tag.chars().all(|c| word(c) || matches!(c, '.' | '-'));
    if good { Ok(tag) } else { Err(ReferenceError::Tag(tag.to_owned())) }
}

fn checked_digest(digest: &str) -> Result<&str, ReferenceError> {
    let bad = || ReferenceError::Digest(digest.to_owned());
    let (algorithm, hex) = digest.split_once(':').ok_or_else(bad)?;
    let wanted = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return Err(bad()),
    };
    let good = hex.len() == wanted && hex.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    if good { Ok(digest) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    #[test]
    fn familiar_names() {
        for (reference, wanted) in [
            ("python:3.11-slim", "python:3.11-slim"),
            ("docker.io/library/python:3.11-slim", "python:3.11-slim"),
            ("index.docker.io/library/python:3.11-slim", "python:3.11-slim"),
            ("library/python", "python:latest"),
            ("redis", "redis:latest"),
            ("docker.io/foo/bar:1", "foo/bar:1"),
            ("docker.io/library/a/b:1", "library/a/b:1"),
            ("ghcr.io/foo/bar", "ghcr.io/foo/bar:latest"),
            ("localhost:5000/x", "localhost:5000/x:latest"),
            ("localhost/x:1", "localhost/x:1"),
            ("docker.io/localhost/x:1", "docker.io/localhost/x:1"),
            ("Registry/x:1", "Registry/x:1"),
            ("registry.example.com/library/python:3", "registry.example.com/library/python:3"),
            ("[::1]:5000/x:1", "[::1]:5000/x:1"),
            ("not an image", "not an image"),
        ] {
            assert_eq!(familiar(reference), wanted, "{reference}");
            assert_eq!(familiar(&familiar(reference)), wanted, "stable: {reference}");
        }
    }

    #[test]
    fn digests() {
        assert_eq!(familiar(&format!("docker.io/library/python:3.11-slim@{DIGEST}")), "python:3.11-slim");
        assert_eq!(familiar(&format!("python@{DIGEST}")), format!("python@{DIGEST}"));
        let both = Reference::parse(&format!("python:3.11@{DIGEST}")).unwrap();
        assert_eq!(both.canonical(), format!("docker.io/library/python:3.11@{DIGEST}"));
        assert_eq!((both.tag(), both.digest()), (Some("3.11"), Some(DIGEST)));
        assert_eq!(Reference::parse(&format!("python@{DIGEST}")).unwrap().tag(), None);
    }

    #[test]
    fn refused() {
        let long = "a".repeat(129);
        for (reference, wanted) in [
            ("", ReferenceError::Empty),
            ("Python:3", ReferenceError::Name("Python".into())),
            ("a//b", ReferenceError::Name("a//b".into())),
            ("a/b/", ReferenceError::Name("a/b/".into())),
            ("-a", ReferenceError::Name("-a".into())),
            ("a___b", ReferenceError::Name("a___b".into())),
            ("a..b", ReferenceError::Name("a..b".into())),
            ("docker.io/Library/x", ReferenceError::Name("docker.io/Library/x".into())),
            ("a b", ReferenceError::Name("a b".into())),
            ("a:", ReferenceError::Tag(String::new())),
            ("a:-x", ReferenceError::Tag("-x".into())),
            ("a:b:c", ReferenceError::Tag("b:c".into())),
            (&format!("a:{long}"), ReferenceError::Tag(long.clone())),
            ("a@sha256:12", ReferenceError::Digest("sha256:12".into())),
            ("a@md5", ReferenceError::Digest("md5".into())),
            ("x.-y:5000/a", ReferenceError::Host("x.-y:5000".into())),
            ("x.y:/a", ReferenceError::Host("x.y:".into())),
            (&format!("a/{}", "b".repeat(255)), ReferenceError::TooLong),
        ] {
            assert_eq!(Reference::parse(reference), Err(wanted), "{reference}");
        }
        for good in ["a__b", "a--b", "corp/a.b-c_d/e", "a-b/c", "a:_X.y-z", "x-y.z:5000/a/b/c"] {
            assert!(Reference::parse(good).is_ok(), "{good}");
        }
    }
}
