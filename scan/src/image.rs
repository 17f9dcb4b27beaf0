//! What is known of the file system of a stage without building it: which of its paths come from the build context.
//!
//! A path is looked up among the COPYs, the last one first. What RUNs make isn't known; whether one could have made a
//! certain file is told by the words in it.

use std::sync::Arc;

use crate::context::{Context, Entry, clean, is_pattern};
use crate::dockerfile::Scope;

/// Copies of copies that are followed.
const MAX_DEPTH: usize = 64;

/// A stage at some point of its Dockerfile.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    /// ENV, and ARG as far as RUNs see it.
    pub(crate) env: Scope,
    /// Absolute, without a `/` at the end; empty is the root.
    pub(crate) workdir: String,
    pub(crate) user: String,
    pub(crate) shell: Vec<String>,
    placed: Vec<Placed>,
    /// Directories that are known to be there.
    directories: Vec<String>,
    /// Something ran that may have made any file, or the base has files of its own.
    opaque: bool,
    /// The scripts that ran so far.
    ran: Vec<String>,
}

#[derive(Clone, Debug)]
struct Placed {
    /// Absolute, clean, without the first slash.
    path: String,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// A path of the context: a file is at `path` itself, a directory's content below it.
    Context(String),
    /// A path of another stage, as that stage was.
    Stage(Arc<Image>, String),
    /// Something from elsewhere, at or below `path`.
    Unknown,
}

/// Where a file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A file of the build context, by its path in it.
    Context(String),
    /// A directory.
    Directory,
    /// Something that isn't in the context may have brought it.
    Unknown,
    /// Nothing brings it.
    Missing,
}

impl Image {
    /// A path as it is written, absolute and clean, without the first slash.
    pub(crate) fn resolve(&self, path: &str) -> String {
        if path.starts_with('/') { clean(path) } else { clean(&format!("{}/{path}", self.workdir)) }
    }

    pub(crate) fn change_directory(&mut self, path: &str) {
        self.workdir = self.resolve(path);
        self.directories.push(self.workdir.clone());
    }

    /// `COPY sources… destination` from the context.
    pub(crate) fn copy(&mut self, context: &Context, sources: &[String], destination: &str) {
        for source in sources {
            let matches = if is_pattern(source) { context.glob(source) } else { vec![clean(source)] };
            let several = sources.len() > 1 || matches.len() > 1 || is_pattern(source);
            for path in matches {
                let directory = context.entry(&path) == Entry::Directory;
                for path_there in self.targets(&path, destination, directory, several) {
                    self.placed.push(Placed { path: path_there, what: What::Context(path.clone()) });
                }
            }
        }
    }

    /// `COPY --from=STAGE sources… destination`.
    pub(crate) fn copy_from(
        &mut self,
        context: &Context,
        other: &Arc<Self>,
        sources: &[String],
        destination: &str,
    ) {
        for source in sources {
            let path = clean(source);
            let origin = other.origin(context, &path, 0);
            let directory = !matches!(origin, Origin::Context(_));
            for path_there in self.targets(&path, destination, directory, sources.len() > 1) {
                self.placed
                    .push(Placed { path: path_there, what: What::Stage(Arc::clone(other), path.clone()) });
            }
        }
    }

    /// Something of which no more is known than that it comes here.
    pub(crate) fn copy_unknown(&mut self, destination: &str) {
        self.placed.push(Placed { path: self.resolve(destination), what: What::Unknown });
    }

    /// A RUN, as text and as commands.
    pub(crate) fn ran(&mut self, script: &str, commands: &[Vec<String>]) {
        self.opaque |= may_make_files(script, commands);
        self.ran.push(script.to_owned());
    }

    /// Of a base with files of its own, nothing is known.
    pub(crate) fn set_opaque(&mut self) {
        self.opaque = true;
    }

    /// Where one source ends up: at the destination, or below it if that is a directory, which isn't always known.
    fn targets(&self, source: &str, destination: &str, directory: bool, several: bool) -> Vec<String> {
        let sure = self.target(source, destination, directory, several);
        let name = source.rsplit('/').next().unwrap_or_default();
        let below = clean(&format!("{sure}/{name}"));
        let unsure =
            !directory && !several && !destination.ends_with('/') && sure == self.resolve(destination);
        if unsure { vec![below, sure] } else { vec![sure] }
    }

    /// Where one source ends up. A directory's content goes to the destination itself.
    fn target(&self, source: &str, destination: &str, directory: bool, several: bool) -> String {
        let target = self.resolve(destination);
        let into = several
            || destination.ends_with('/')
            || destination == "."
            || destination.ends_with("/.")
            || target.is_empty()
            || self
                .directories
                .iter()
                .any(|known| known == &target || known.starts_with(&format!("{target}/")));
        match source.rsplit('/').next() {
            Some(name) if into && !directory => clean(&format!("{target}/{name}")),
            _ => target,
        }
    }

    /// Where what is at a path comes from. `also` are commands that ran since, in the same RUN.
    pub(crate) fn origin_after(&self, context: &Context, path: &str, also: &str) -> Origin {
        let origin = self.origin(context, path, 0);
        if origin != Origin::Missing {
            return origin;
        }
        let name = path.rsplit('/').next().unwrap_or(path);
        let may_make =
            |script: &str| script.contains("git clone") || (!name.is_empty() && script.contains(name));
        let ran = self.ran.iter().map(String::as_str).chain([also]);
        if self.opaque || ran.into_iter().any(may_make) { Origin::Unknown } else { Origin::Missing }
    }

    fn origin(&self, context: &Context, path: &str, depth: usize) -> Origin {
        if depth > MAX_DEPTH {
            return Origin::Unknown;
        }
        for placed in self.placed.iter().rev() {
            let Some(rest) = below(path, &placed.path) else {
                // A directory above something that was copied.
                if below(&placed.path, path).is_some() {
                    return Origin::Directory;
                }
                continue;
            };
            let join =
                |from: &str| if rest.is_empty() { from.to_owned() } else { clean(&format!("{from}/{rest}")) };
            match &placed.what {
                What::Unknown => return Origin::Unknown,
                What::Stage(other, from) => match other.origin(context, &join(from), depth + 1) {
                    // What it made itself isn't known.
                    Origin::Missing => return Origin::Unknown,
                    found => return found,
                },
                What::Context(from) => match context.entry(&join(from)) {
                    Entry::File(_) => return Origin::Context(join(from)),
                    Entry::Directory => return Origin::Directory,
                    // An earlier COPY may have brought it.
                    Entry::Missing | Entry::Ignored(_) | Entry::Outside => {}
                },
            }
        }
        if self.directories.iter().any(|known| below(known, path).is_some()) {
            return Origin::Directory;
        }
        Origin::Missing
    }
}

/// Whether a script may make files that a later step reads: it does something that isn't known to make none.
pub(crate) fn may_make_files(script: &str, commands: &[Vec<String>]) -> bool {
    const MAKE_NONE: &[&str] = &[
        ".",
        ":",
        "[",
        "addgroup",
        "adduser",
        "apk",
        "apt",
        "apt-get",
        "apt-key",
        "cd",
        "chmod",
        "chown",
        "dpkg",
        "echo",
        "exit",
        "export",
        "false",
        "groupadd",
        "ldconfig",
        "locale-gen",
        "mkdir",
        "nltk",
        "pip",
        "pip3",
        "playwright",
        "printf",
        "rm",
        "set",
        "sleep",
        "test",
        "true",
        "umask",
        "update-ca-certificates",
        "useradd",
        "usermod",
    ];
    let harmless = |command: &Vec<String>| {
        let program = command[0].rsplit('/').next().unwrap_or_default();
        let module = program.starts_with("python") && command.get(1).is_some_and(|flag| flag == "-m");
        let pip = program.starts_with("pip3.")
            || (module && command.get(2).is_some_and(|name| name == "pip" || name == "venv"));
        MAKE_NONE.contains(&program) || pip
    };
    // `2>/dev/null` makes nothing, and an unquoted `>=1` no file that somebody reads.
    let quiet =
        script.replace("2>/dev/null", "").replace(">/dev/null", "").replace("2>&1", "").replace(">=", "");
    quiet.contains(['>', '`'])
        || quiet.contains("$(")
        || quiet.contains("<<")
        || !commands.iter().all(harmless)
}

/// What is left of a path below a directory; empty for the directory itself.
fn below<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    if directory.is_empty() {
        return Some(path);
    }
    let rest = path.strip_prefix(directory)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn files_are_found_where_copies_put_them() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("app/deps")).unwrap();
        for name in ["requirements.txt", "requirements-dev.txt", "app/deps/base.txt", "app/main.py"] {
            std::fs::write(root.path().join(name), "x\n").unwrap();
        }
        let context = Context::new(root.path(), &root.path().join("Dockerfile"));
        let mut image = Image::default();
        image.change_directory("/srv");
        image.copy(&context, &strings(&["requirements.txt"]), ".");
        image.copy(&context, &strings(&["requirements-dev.txt"]), "/tmp/dev.txt");
        image.copy(&context, &strings(&["requirements*.txt"]), "/opt/all");
        image.copy(&context, &strings(&["app"]), "./code");
        let origin = |image: &Image, path: &str| image.origin_after(&context, &image.resolve(path), "");
        let from = |path: &str| Origin::Context(path.to_owned());
        for (path, wanted) in [
            ("requirements.txt", from("requirements.txt")),
            ("/srv/requirements.txt", from("requirements.txt")),
            ("/tmp/dev.txt", from("requirements-dev.txt")),
            ("/opt/all/requirements-dev.txt", from("requirements-dev.txt")),
            ("code/deps/base.txt", from("app/deps/base.txt")),
            ("code/deps", Origin::Directory),
            ("/srv", Origin::Directory),
            ("/opt", Origin::Directory),
            ("code/none.txt", Origin::Missing),
            ("none.txt", Origin::Missing),
        ] {
            assert_eq!(origin(&image, path), wanted, "{path}");
        }
        let mut last = Image::default();
        last.copy_from(&context, &Arc::new(image.clone()), &strings(&["/srv/code"]), "/final");
        assert_eq!(origin(&last, "/final/main.py"), from("app/main.py"));
        assert_eq!(origin(&last, "/final/built.bin"), Origin::Unknown);
        let commands = [strings(&["poetry", "export", "-o", "locked.txt"])];
        assert_eq!(origin(&image, "/tmp/dev.txt/requirements-dev.txt"), from("requirements-dev.txt"));
        image.ran("mkdir -p /x", &[strings(&["mkdir", "-p", "/x"])]);
        assert_eq!(origin(&image, "locked.txt"), Origin::Missing);
        image.ran("poetry export -o locked.txt", &commands);
        assert_eq!(origin(&image, "locked.txt"), Origin::Unknown);
        assert_eq!(image.origin_after(&context, "x/r.txt", "git clone https://h/x"), Origin::Unknown);
    }
}
