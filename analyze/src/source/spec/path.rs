//! Texts that were meant as a path, and would be taken for an image of docker.io.

use std::path::Path;

use super::NoSource;
use super::registry::check_host;

/// What is known by how it begins. An image of docker.io can be told apart by its host; a registry's couldn't be named any
/// other way, so that a path that looks like one isn't refused.
const HINT: &str =
    "a path begins with ./ or oci:, and an image of docker.io that has the same name with docker.io/";

/// Refuses what is on disk but no layout or archive by this name, and what is called like an archive.
///
/// # Errors
/// It is one of these.
pub(super) fn refuse(text: &str) -> Result<(), NoSource> {
    let first = text.split_once('/').map(|(first, _)| first);
    let host = first.is_some_and(|first| {
        (first.contains(['.', ':']) || first == "localhost") && check_host(first).is_ok()
    });
    if text.contains("://") || (host && is_tagged(text)) {
        return Ok(());
    }
    let colons = text.match_indices(':').map(|(at, _)| &text[..at]);
    let on_disk =
        std::iter::once(text).chain(colons).find(|path| !path.is_empty() && Path::new(path).exists());
    if let Some(path) = on_disk.filter(|_| !host) {
        let known = path != text && is_known(Path::new(path));
        return Err(NoSource::new(
            match known {
                true => format!("`{path}` is a path that is written like an image"),
                false => format!("`{path}` is neither an OCI layout nor a docker archive"),
            },
            HINT,
        ));
    }
    if [".tar", ".tar.gz", ".tgz"].iter().any(|end| text.ends_with(end)) {
        return Err(NoSource::new(format!("`{text}`: there is no such file"), HINT));
    }
    Ok(())
}

/// Whether it may be a layout or an archive.
pub(super) fn is_known(path: &Path) -> bool {
    path.is_file() || path.join("index.json").exists() || path.join("manifest.json").exists()
}

fn is_tagged(text: &str) -> bool {
    text.rsplit('/').next().is_some_and(|last| last.contains([':', '@']))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Relative to the crate, where tests run.
    #[test]
    fn paths_without_a_dot_before_them() {
        let refused = |text: &str| {
            let error = refuse(text).unwrap_err();
            assert!(error.hint().contains("./ or oci:"));
            error.to_string()
        };
        assert_eq!(refused("src"), "`src` is neither an OCI layout nor a docker archive");
        assert_eq!(refused("src/source"), "`src/source` is neither an OCI layout nor a docker archive");
        assert_eq!(refused("src:1"), "`src` is neither an OCI layout nor a docker archive");
        assert_eq!(
            refused("Cargo.toml:docker.io/a:1"),
            "`Cargo.toml` is a path that is written like an image"
        );
        for none in ["app.tar", "images/app.tar", "images.d/app.tar.gz", "images/*.tar"] {
            assert_eq!(refused(none), format!("`{none}`: there is no such file"));
        }
        let images = [
            "python:3",
            "team/app",
            "r.example.com/src",
            "localhost/src:1",
            "127.0.0.1:5000/src",
            "r.example.com/app.tar:*",
            "docker.io/library/src:1",
            "http://src",
        ];
        images.iter().for_each(|image| refuse(image).unwrap());
    }
}
