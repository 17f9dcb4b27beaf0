//! Names of layouts and archives on disk.

use std::path::{Path, PathBuf};

use super::NoSource;
use super::path::{is_known, refuse};
use crate::digest::Digest;
use crate::source::pattern::Pattern;

/// What something on disk is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Nothing: it is recognized.
    Any,
    /// `oci:`
    Oci,
    /// `docker-archive:`
    DockerArchive,
}

/// A layout or an archive, and perhaps which images of it.
#[derive(Clone, Debug)]
pub(crate) struct FilePlace {
    pub(crate) format: Format,
    pub(crate) path: PathBuf,
    pub(crate) name: Option<Pattern>,
    pub(crate) digest: Option<Digest>,
}

const PREFIXES: &[(&str, Format)] =
    &[("oci:", Format::Oci), ("oci-archive:", Format::Oci), ("docker-archive:", Format::DockerArchive)];

impl FilePlace {
    /// Nothing if it is no path, and so the name of an image in a registry.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, NoSource> {
        for (prefix, format) in PREFIXES {
            if let Some(rest) = text.strip_prefix(prefix) {
                return Self::split(rest, *format).map(Some);
            }
        }
        if text.starts_with(['.', '/']) || is_known(Path::new(text)) {
            return Self::split(text, Format::Any).map(Some);
        }
        refuse(text).map(|()| None)
    }

    /// Takes `PATH[:NAME][@DIGEST]` apart; a path may have both characters in it, so what exists decides.
    fn split(text: &str, format: Format) -> Result<Self, NoSource> {
        let place = |path: &str, name, digest| Self { format, path: path.into(), name, digest };
        if Path::new(text).exists() {
            return Ok(place(text, None, None));
        }
        let (text, digest) = match text.rsplit_once('@').map(|(rest, digest)| (rest, digest.parse())) {
            Some((rest, Ok(digest))) => (rest, Some(digest)),
            _ => (text, None),
        };
        if Path::new(text).exists() {
            return Ok(place(text, None, digest));
        }
        for (colon, _) in text.match_indices(':') {
            let (path, name) = (&text[..colon], &text[colon + 1..]);
            if !path.is_empty() && !name.is_empty() && Path::new(path).exists() {
                let name = Pattern::parse(name).map_err(|cause| {
                    NoSource::new(format!("`{name}` is no glob: {cause}"), "name one image, or use `*`")
                })?;
                return Ok(place(path, Some(name), digest));
            }
        }
        Err(NoSource::new(
            format!("`{text}` doesn't exist"),
            "a layout is written oci:PATH or oci:PATH:NAME, an archive docker-archive:FILE or docker-archive:FILE:NAME",
        ))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_exists_decides() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().display().to_string();
        std::fs::create_dir(dir.path().join("a:b")).unwrap();
        std::fs::create_dir(dir.path().join("python")).unwrap();
        std::fs::write(dir.path().join("x.tar"), "").unwrap();
        let place = FilePlace::parse(&format!("oci:{root}/a:b:python:3")).unwrap().unwrap();
        assert_eq!(place.path, dir.path().join("a:b"));
        assert_eq!(place.name.unwrap().to_string(), "python:3");
        let digest = format!("sha256:{}", "0a".repeat(32));
        let place = FilePlace::parse(&format!("oci:{root}/a:b@{digest}")).unwrap().unwrap();
        assert_eq!(place.digest.unwrap().to_string(), digest);
        let place = FilePlace::parse(&format!("{root}/x.tar")).unwrap().unwrap();
        assert_eq!((place.format, place.path), (Format::Any, dir.path().join("x.tar")));
        assert!(FilePlace::parse("python").unwrap().is_none());
        let error = FilePlace::parse("oci:./no/such").unwrap_err();
        assert_eq!(error.to_string(), "`./no/such` doesn't exist");
        assert!(error.hint().contains("oci:PATH:NAME"));
    }
}
