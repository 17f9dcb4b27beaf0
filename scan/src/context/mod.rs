//! A build context: a directory, less what its `.dockerignore` leaves out.

mod dockerignore;

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use self::dockerignore::Dockerignore;
use crate::walk::read_text;

/// A directory that a build is given.
#[derive(Debug)]
pub(crate) struct Context {
    root: PathBuf,
    real: PathBuf,
    ignore: Dockerignore,
}

/// What is at a path of a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A regular file, at this path on disk.
    File(PathBuf),
    /// A directory.
    Directory,
    /// Something that this pattern of `.dockerignore` leaves out.
    Ignored(String),
    /// A link that leads out of the context: a build has the link and not what it leads to.
    Outside,
    /// Nothing.
    Missing,
}

impl Context {
    /// The context in a directory, for a Dockerfile that may have a `.dockerignore` of its own beside it.
    pub(crate) fn new(root: &Path, dockerfile: &Path) -> Self {
        let mut own = dockerfile.as_os_str().to_owned();
        own.push(".dockerignore");
        let text = read_text(Path::new(&own)).or_else(|_| read_text(&root.join(".dockerignore")));
        Self {
            root: root.to_owned(),
            real: root.canonicalize().unwrap_or_else(|_| root.to_owned()),
            ignore: Dockerignore::parse(&text.unwrap_or_default()),
        }
    }

    /// What is at a path, as a COPY sees it: relative to the context, `..` stays inside.
    pub(crate) fn entry(&self, path: &str) -> Entry {
        let path = clean(path);
        let on_disk = self.root.join(&path);
        let Ok(meta) = on_disk.symlink_metadata() else { return Entry::Missing };
        if !path.is_empty()
            && let Some(pattern) = self.ignore.ignores(&path)
            // A directory that is left out may have files that a later pattern takes back in.
            && !(meta.is_dir() && self.ignore.has_exceptions())
        {
            return Entry::Ignored(pattern.to_owned());
        }
        match on_disk.canonicalize() {
            Ok(real) if !real.starts_with(&self.real) => Entry::Outside,
            Ok(real) if real.is_dir() => Entry::Directory,
            Ok(real) if real.is_file() => Entry::File(real),
            _ => Entry::Missing,
        }
    }

    /// What a pattern of a COPY matches, sorted: paths relative to the context.
    pub(crate) fn glob(&self, pattern: &str) -> Vec<String> {
        let pattern = clean(pattern);
        let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
        let mut found = vec![String::new()];
        for part in parts {
            let mut next = Vec::new();
            for base in &found {
                let join =
                    |name: &str| if base.is_empty() { name.to_owned() } else { format!("{base}/{name}") };
                if !is_pattern(part) {
                    if self.entry(&join(part)) != Entry::Missing {
                        next.push(join(part));
                    }
                    continue;
                }
                let Some(matcher) = matcher(part) else { return Vec::new() };
                let entries = std::fs::read_dir(self.root.join(base)).into_iter().flatten().flatten();
                let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
                next.extend(names.filter(|name| matcher.is_match(name)).map(|name| join(&name)));
            }
            found = next;
        }
        found.retain(|path| matches!(self.entry(path), Entry::File(_) | Entry::Directory));
        found.sort();
        found
    }
}

fn matcher(part: &str) -> Option<GlobMatcher> {
    let glob = GlobBuilder::new(part).literal_separator(true).backslash_escape(true).build().ok()?;
    Some(glob.compile_matcher())
}

/// Whether a source of a COPY is a pattern.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// A path without `.`, empty parts and leading slashes; `..` takes a part away, and never leads out.
pub(crate) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_a_copy_sees() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        let root = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for name in [
            "app/main.py",
            "requirements.txt",
            "requirements-dev.txt",
            "build/x",
            "docs/a.md",
            "docs/keep.md",
        ] {
            file(name, "");
        }
        file(".dockerignore", "build\ndocs\n!docs/keep.md\n");
        std::os::unix::fs::symlink(outside.path().join("secret"), root.path().join("link")).unwrap();
        let context = Context::new(root.path(), &root.path().join("Dockerfile"));
        assert!(matches!(context.entry("./requirements.txt"), Entry::File(_)));
        assert!(matches!(context.entry("/../../requirements.txt"), Entry::File(_)));
        assert_eq!(context.entry("app/"), Entry::Directory);
        assert_eq!(context.entry("."), Entry::Directory);
        assert_eq!(context.entry("build/x"), Entry::Ignored("build".into()));
        assert_eq!(context.entry("docs"), Entry::Directory);
        assert_eq!(context.entry("docs/a.md"), Entry::Ignored("docs".into()));
        assert!(matches!(context.entry("docs/keep.md"), Entry::File(_)));
        assert_eq!(context.entry("link"), Entry::Outside);
        assert_eq!(context.entry("none"), Entry::Missing);
        assert_eq!(context.glob("requirements*.txt"), ["requirements-dev.txt", "requirements.txt"]);
        assert_eq!(context.glob("*/main.py"), ["app/main.py"]);
        assert_eq!(context.glob("docs/*.md"), ["docs/keep.md"]);
        assert!(context.glob("constraints*").is_empty());
        file("Dockerfile.dockerignore", "app\n");
        let context = Context::new(root.path(), &root.path().join("Dockerfile"));
        assert_eq!(context.entry("app"), Entry::Ignored("app".into()));
        assert!(matches!(context.entry("build/x"), Entry::File(_)));
    }
}
