//! Which files there are: Dockerfiles, compose files, bake files.
//!
//! `.gitignore` holds, `.git` is left out, links to directories are not followed. The order is that of the paths, so that
//! two scans of one tree say the same.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

use crate::finding::{Finding, Kind};

/// The largest Dockerfile, compose file or requirement file that is read, in bytes.
pub(crate) const MAX_FILE: u64 = 1 << 20;

/// What a file is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Dockerfile,
    Compose,
    Bake,
}

/// The files of one tree, each sorted.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) dockerfiles: Vec<PathBuf>,
    pub(crate) compose: Vec<PathBuf>,
    pub(crate) bake: Vec<PathBuf>,
    pub(crate) findings: Vec<Finding>,
}

/// A tree that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("can't read `{}`: {source}", path.display())]
pub struct WalkError {
    path: PathBuf,
    source: io::Error,
}

/// What role a file has by its name. Case matters on disk, but people write `dockerfile` too.
pub(crate) fn role(name: &str) -> Option<Role> {
    let lower = name.to_ascii_lowercase();
    if lower.ends_with(".dockerignore") {
        return None;
    }
    for stem in ["dockerfile", "containerfile"] {
        let suffixed =
            lower.strip_prefix(stem).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '_']));
        let prefixed = lower.strip_suffix(stem).is_some_and(|rest| rest.ends_with(['.', '-', '_']));
        // A template isn't built as it is, and neither is what an editor leaves behind.
        let other = [
            "md", "txt", "j2", "tmpl", "template", "erb", "bak", "orig", "rej", "swp", "py", "sh", "json",
            "lock",
        ];
        let ending = lower.rsplit_once('.').map(|(_, ending)| ending);
        if (suffixed && !ending.is_some_and(|ending| other.contains(&ending)) && !lower.ends_with('~'))
            || prefixed
        {
            return Some(Role::Dockerfile);
        }
    }
    let yaml = lower.strip_suffix(".yaml").or_else(|| lower.strip_suffix(".yml"));
    if let Some(stem) = yaml {
        let compose = |name: &str| {
            stem.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '_']))
        };
        return (compose("docker-compose") || compose("compose")).then_some(Role::Compose);
    }
    let bake = lower.starts_with("docker-bake") && (lower.ends_with(".hcl") || lower.ends_with(".json"));
    bake.then_some(Role::Bake)
}

/// Walks a tree.
///
/// # Errors
/// The directory itself can't be read. What can't be read below it is left out, as it is for a shell's glob.
pub(crate) fn walk(root: &Path) -> Result<Found, WalkError> {
    let failed = |source| WalkError { path: root.to_owned(), source };
    std::fs::read_dir(root).map_err(failed)?;
    let mut found = Found::default();
    // Hidden directories hold CI definitions and development containers, which are services too.
    let mut builder = WalkBuilder::new(root);
    builder
        .ignore(false)
        .hidden(false)
        .require_git(false)
        .git_global(false)
        .parents(false)
        .follow_links(false);
    builder.filter_entry(|entry| entry.file_name() != ".git");
    builder.sort_by_file_path(Path::cmp);
    for entry in builder.build().flatten() {
        let Some(role) = entry.file_name().to_str().and_then(role) else { continue };
        let kind = entry.file_type();
        let relative = entry.path().strip_prefix(root).unwrap_or(entry.path()).to_owned();
        if kind.is_some_and(|kind| kind.is_symlink()) {
            let inside = entry.path().canonicalize().is_ok_and(|real| {
                root.canonicalize().is_ok_and(|root| real.starts_with(root)) && real.is_file()
            });
            if !inside {
                let message = "the link leads out of the tree, or nowhere; it is left out";
                found.findings.push(Finding::new(
                    Kind::LinkOutside,
                    &relative.to_string_lossy(),
                    None,
                    message,
                ));
                continue;
            }
        } else if !kind.is_some_and(|kind| kind.is_file()) {
            continue;
        }
        match role {
            Role::Dockerfile => found.dockerfiles.push(relative),
            Role::Compose => found.compose.push(relative),
            Role::Bake => found.bake.push(relative),
        }
    }
    Ok(found)
}

/// Why a file isn't read.
#[derive(Debug)]
pub(crate) enum Unread {
    TooLarge(u64),
    NotText,
    Io(io::Error),
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLarge(size) => write!(f, "it has {size} bytes, and no more than {MAX_FILE} are read"),
            Self::NotText => f.write_str("it is no UTF-8 text"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

/// The text of a file, if it is one and not over the limit. Never blocks on a pipe or a device.
pub(crate) fn read_text(path: &Path) -> Result<String, Unread> {
    let meta = std::fs::metadata(path).map_err(Unread::Io)?;
    if !meta.is_file() {
        return Err(Unread::Io(io::Error::other("it is no regular file")));
    }
    if meta.len() > MAX_FILE {
        return Err(Unread::TooLarge(meta.len()));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Unread::Io)?;
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(Unread::Io)?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf".as_slice()).unwrap_or(&bytes);
    String::from_utf8(bytes.to_vec()).map_err(|_| Unread::NotText)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names() {
        for name in [
            "Dockerfile",
            "dockerfile",
            "Dockerfile.prod",
            "Dockerfile.agi_backup",
            "Dockerfile-dev",
            "agent-base.Dockerfile",
            "Containerfile",
            "api.containerfile",
            "Dockerfile.3.11",
        ] {
            assert_eq!(role(name), Some(Role::Dockerfile), "{name}");
        }
        for name in [
            "Dockerfile.dockerignore",
            ".dockerignore",
            "Dockerfile.md",
            "Dockerfile.j2",
            "dockerfiles.txt",
            "README",
            "Dockerfile~",
            "MyDockerfile",
            "Dockerfiles",
            "compose.json",
        ] {
            assert_eq!(role(name), None, "{name}");
        }
        for name in ["compose.yaml", "docker-compose.yml", "docker-compose.override.yml", "compose.prod.yaml"]
        {
            assert_eq!(role(name), Some(Role::Compose), "{name}");
        }
        for name in ["docker-bake.hcl", "docker-bake.json", "docker-bake.override.hcl"] {
            assert_eq!(role(name), Some(Role::Bake), "{name}");
        }
    }

    #[test]
    fn ignored_files_and_links_out_of_the_tree() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("Dockerfile"), "FROM x\n").unwrap();
        let root = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        file(".gitignore", "vendor/\n");
        file("vendor/Dockerfile", "FROM x\n");
        file(".devcontainer/Dockerfile", "FROM x\n");
        file("b/Dockerfile", "FROM x\n");
        file("a/Dockerfile", "FROM x\n");
        std::os::unix::fs::symlink(outside.path(), root.path().join("c")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("Dockerfile"), root.path().join("Dockerfile"))
            .unwrap();
        std::os::unix::fs::symlink("a/Dockerfile", root.path().join("Dockerfile.a")).unwrap();
        let found = walk(root.path()).unwrap();
        let names: Vec<&str> = found.dockerfiles.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(names, [".devcontainer/Dockerfile", "Dockerfile.a", "a/Dockerfile", "b/Dockerfile"]);
        assert_eq!(found.findings.len(), 1);
        assert_eq!(
            (found.findings[0].kind, found.findings[0].file.as_str()),
            (Kind::LinkOutside, "Dockerfile")
        );
        assert!(walk(&root.path().join("none")).unwrap_err().to_string().contains("none"));
    }
}
