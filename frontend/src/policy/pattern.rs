//! The globs by which a policy speaks of images.
//!
//! A pattern is matched against the familiar name (`python:3.11-slim`, `ghcr.io/corp/api:1`), in two halves:
//!
//! - the **repository** half, where `*` and `?` stay inside one part of the path and `**` as a whole part spans any
//!   number of them: `nvidia/*` takes `nvidia/cuda` but not `nvidia/k8s/x`; `nvidia/**` takes both;
//! - the **tag** half after the colon. Without one (`redis`) every tag matches, and so does a reference by digest
//!   alone. With one, a reference by digest alone doesn't match, since its tag isn't known.
//!
//! `[ab]` and `{a,b}` work in both halves. `docker.io/library/` and `docker.io/` at the start may be left out.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};

use super::reference::{Reference, split_tag};

/// What makes a text a glob.
const WILDCARDS: [char; 6] = ['*', '?', '[', ']', '{', '}'];

/// One compiled pattern.
#[derive(Clone, Debug)]
pub struct ImagePattern {
    text: String,
    repository: Half,
    tag: Option<Half>,
}

#[derive(Clone, Debug)]
struct Half {
    text: String,
    glob: GlobMatcher,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing there.
    #[error("the pattern is empty; write an image name like `python:3.12*-slim`")]
    Empty,
    /// A digest can't be a pattern.
    #[error("`{0}` names a digest; patterns match names and tags, so leave out the part from `@` on")]
    Digest(String),
    /// One half of `name:tag` is missing.
    #[error("`{0}` has an empty name or tag; leave out the `:` to match every tag")]
    EmptyHalf(String),
    /// A character that no image name has, so that the pattern could never match.
    #[error("`{text}` can't match any image: `{character}` occurs in no image name")]
    Character {
        /// The pattern.
        text: String,
        /// The character.
        character: char,
    },
    /// A wildcard in the tag's or the name's brackets is not well formed.
    #[error("`{text}` is not a valid pattern: {message}")]
    Glob {
        /// The pattern.
        text: String,
        /// What the glob compiler says.
        message: String,
    },
}

impl ImagePattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// [`PatternError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.contains('@') {
            return Err(PatternError::Digest(text.to_owned()));
        }
        let known = |c: char| c.is_ascii_alphanumeric() || "._-/:!,".contains(c) || WILDCARDS.contains(&c);
        if let Some(character) = text.chars().find(|c| !known(*c)) {
            return Err(PatternError::Character { text: text.to_owned(), character });
        }
        let (name, tag) = split_tag(without_default_host(text));
        if name.is_empty() || tag == Some("") {
            return Err(PatternError::EmptyHalf(text.to_owned()));
        }
        let half = |half: &str| Half::new(half, text);
        Ok(Self { text: text.to_owned(), repository: half(name)?, tag: tag.map(half).transpose()? })
    }

    /// Whether the pattern takes this image.
    pub fn matches(&self, image: &Reference) -> bool {
        self.repository.glob.is_match(image.repository())
            && self.tag.as_ref().is_none_or(|half| image.tag().is_some_and(|tag| half.glob.is_match(tag)))
    }

    /// Whether the repository is named in full: no wildcard before the tag.
    pub fn names_repository(&self) -> bool {
        !self.repository.text.contains(WILDCARDS)
    }

    /// The pattern without what may be left out: two patterns with the same form match the same images.
    pub(super) fn normal_form(&self) -> String {
        match &self.tag {
            Some(tag) => format!("{}:{}", self.repository.text, tag.text),
            None => self.repository.text.clone(),
        }
    }

    /// The same pattern for another `X.Y`, where the tag starts with one: `python:3.12*-slim` for `3.11` is
    /// `python:3.11*-slim`.
    pub(super) fn for_version(&self, version: &str) -> Option<Self> {
        let tag = &self.tag.as_ref()?.text;
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let major = digits(tag);
        let rest = tag[major..].strip_prefix('.')?;
        let minor = digits(rest);
        if major == 0 || minor == 0 {
            return None;
        }
        Self::parse(&format!("{}:{version}{}", self.repository.text, &rest[minor..])).ok()
    }
}

impl fmt::Display for ImagePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Half {
    fn new(half: &str, whole: &str) -> Result<Self, PatternError> {
        let error =
            |e: globset::Error| PatternError::Glob { text: whole.to_owned(), message: e.kind().to_string() };
        let glob =
            GlobBuilder::new(half).literal_separator(true).backslash_escape(false).build().map_err(error)?;
        Ok(Self { text: half.to_owned(), glob: glob.compile_matcher() })
    }
}

/// The pattern as a familiar name would start.
fn without_default_host(text: &str) -> &str {
    let rest =
        text.strip_prefix("docker.io/").or_else(|| text.strip_prefix("index.docker.io/")).unwrap_or(text);
    match rest.strip_prefix("library/") {
        Some(name) if !name.contains('/') => name,
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn matches(pattern: &str, image: &str) -> bool {
        ImagePattern::parse(pattern).unwrap().matches(&Reference::parse(image).unwrap())
    }

    #[test]
    fn halves() {
        for (pattern, image, wanted) in [
            ("python:3.12*-slim*", "python:3.12.8-slim-bookworm", true),
            ("python:3.12*-slim*", "docker.io/library/python:3.12-slim", true),
            ("python:3.12*-slim*", "python:3.11-slim", false),
            ("python:3.12*-slim*", "corp/python:3.12-slim", false),
            ("docker.io/library/python:3.12", "python:3.12", true),
            ("docker.io/corp/python:3.12", "corp/python:3.12", true),
            ("redis", "redis:7", true),
            ("redis", "redis", true),
            ("redis", "redis-stack:7", false),
            ("redis:latest", "redis", true),
            ("nvidia/*", "nvidia/cuda:12", true),
            ("nvidia/*", "nvidia/k8s/x:12", false),
            ("nvidia/**", "nvidia/k8s/x:12", true),
            ("*", "python:3", true),
            ("*", "corp/python:3", false),
            ("**/postgres", "postgres:16", true),
            ("**/postgres", "mirror.example.com/a/postgres:16", true),
            ("localhost:5000/*:1", "localhost:5000/x:1", true),
            ("localhost:5000/*:1", "localhost:5001/x:1", false),
            ("python:{3.11,3.12}-slim", "python:3.11-slim", true),
            ("python:3.1[12]-slim", "python:3.13-slim", false),
            (
                "python:*",
                "python@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                false,
            ),
            (
                "python",
                "python@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                true,
            ),
        ] {
            assert_eq!(matches(pattern, image), wanted, "{pattern} on {image}");
        }
    }

    #[test]
    fn refused() {
        for (pattern, wanted) in [
            ("", "the pattern is empty; write an image name like `python:3.12*-slim`"),
            (
                "a@sha256:0",
                "`a@sha256:0` names a digest; patterns match names and tags, so leave out the part from `@` on",
            ),
            ("a:", "`a:` has an empty name or tag; leave out the `:` to match every tag"),
            (":a", "`:a` has an empty name or tag; leave out the `:` to match every tag"),
            ("a b", "`a b` can't match any image: ` ` occurs in no image name"),
            ("a:[x", "`a:[x` is not a valid pattern: unclosed character class; missing ']'"),
            (
                "a:{x",
                "`a:{x` is not a valid pattern: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)",
            ),
        ] {
            assert_eq!(ImagePattern::parse(pattern).unwrap_err().to_string(), wanted, "{pattern}");
        }
    }

    #[test]
    fn other_version() {
        let other = |p: &str| ImagePattern::parse(p).unwrap().for_version("3.11").map(|p| p.to_string());
        assert_eq!(other("python:3.12*-slim*").as_deref(), Some("python:3.11*-slim*"));
        assert_eq!(other("docker.io/library/python:3.12").as_deref(), Some("python:3.11"));
        assert_eq!(other("python"), None);
        assert_eq!(other("python:slim"), None);
        assert_eq!(other("python:3*"), None);
    }
}
