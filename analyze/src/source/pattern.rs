//! A name, or a glob that stands for several.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};

/// `*` is any part of one path component, `**` any number of components; `?`, `[a-z]` and `{a,b}` as in a shell.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    Exact(String),
    Glob(GlobMatcher),
}

impl Pattern {
    /// Why a glob is none, if so.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if !text.contains(['*', '?', '[', '{']) {
            return Ok(Self::Exact(text.to_owned()));
        }
        let glob = GlobBuilder::new(text).literal_separator(true).build();
        glob.map(|glob| Self::Glob(glob.compile_matcher())).map_err(|cause| cause.kind().to_string())
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(text) => text == name,
            Self::Glob(glob) => glob.is_match(name),
        }
    }

    /// Whether it is the name of an image, which may be written without docker.io.
    pub(crate) fn is_image(&self, name: &str) -> bool {
        let short = [name.strip_prefix("docker.io/"), name.strip_prefix("docker.io/library/")];
        self.matches(name) || short.into_iter().flatten().any(|name| self.matches(name))
    }

    /// The name, if it is one.
    pub(crate) fn exact(&self) -> Option<&str> {
        match self {
            Self::Exact(text) => Some(text),
            Self::Glob(_) => None,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact(text) => text,
            Self::Glob(glob) => glob.glob().glob(),
        })
    }
}
