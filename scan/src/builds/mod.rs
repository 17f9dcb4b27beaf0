//! How Dockerfiles are built: what compose and bake files say of context, target and arguments.

mod bake;
mod compose;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::finding::{Finding, Kind};
use crate::walk::read_text;

/// One build that a file describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Build {
    /// Its name in the file.
    pub(crate) name: String,
    /// The file, relative to the tree.
    pub(crate) file: PathBuf,
    /// The context, relative to the tree.
    pub(crate) context: PathBuf,
    /// The Dockerfile, relative to the tree.
    pub(crate) dockerfile: PathBuf,
    pub(crate) target: Option<String>,
    pub(crate) args: BTreeMap<String, String>,
    /// The names of the image that it makes.
    pub(crate) images: Vec<String>,
}

/// A build as a file has it, before paths are looked at.
#[derive(Debug, Default)]
struct Written {
    name: String,
    context: Option<String>,
    dockerfile: Option<String>,
    target: Option<String>,
    args: BTreeMap<String, String>,
    images: Vec<String>,
}

/// The kinds of files.
#[derive(Clone, Copy)]
pub(crate) enum Dialect {
    Compose,
    Bake,
}

/// The builds of a file. What can't be used is a finding.
pub(crate) fn read(tree: &Path, file: &Path, dialect: Dialect, findings: &mut Vec<Finding>) -> Vec<Build> {
    let shown = file.display().to_string();
    let mut finding = |kind, message: String| findings.push(Finding::new(kind, &shown, None, message));
    let written =
        read_text(&tree.join(file)).map_err(|error| error.to_string()).and_then(|text| match dialect {
            Dialect::Compose => compose::read(&text, &environment(tree, file)),
            Dialect::Bake if shown.ends_with(".json") => bake::json(&text),
            Dialect::Bake => bake::hcl(&text),
        });
    let written = match written {
        Ok(written) => written,
        Err(why) => {
            finding(Kind::BuildFileUnreadable, format!("it can't be read: {why}"));
            return Vec::new();
        }
    };
    let directory = file.parent().unwrap_or_else(|| Path::new(""));
    let mut builds = Vec::new();
    for build in written {
        let context = build.context.as_deref().unwrap_or(".");
        // A repository or an archive somewhere else, or nothing that is known here.
        let elsewhere =
            |path: &str| path.contains("://") || path.contains('$') || path.starts_with(['~', '/']);
        if elsewhere(context)
            || context.starts_with("git@")
            || build.dockerfile.as_deref().is_some_and(elsewhere)
        {
            continue;
        }
        let Some(context) = inside(&directory.join(context)) else {
            let message = format!("the context of `{}` is outside of the tree: {context}", build.name);
            finding(Kind::ContextMissing, message);
            continue;
        };
        if !tree.join(&context).is_dir() {
            finding(
                Kind::ContextMissing,
                format!("the context of `{}` isn't there: {}", build.name, context.display()),
            );
            continue;
        }
        let dockerfile = context.join(build.dockerfile.as_deref().unwrap_or("Dockerfile"));
        let found = inside(&dockerfile).filter(|path| tree.join(path).is_file());
        // What names neither is there to be inherited from, or to be merged with another file's.
        let Some(dockerfile) = found else {
            if build.context.is_none() {
                continue;
            }
            let message = format!("the Dockerfile of `{}` isn't there: {}", build.name, dockerfile.display());
            finding(Kind::DockerfileMissing, message);
            continue;
        };
        builds.push(Build {
            name: build.name,
            file: file.to_owned(),
            context,
            dockerfile,
            target: build.target,
            args: build.args,
            images: build.images,
        });
    }
    builds
}

/// A relative path without `.` and `..`; none if it leads out.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !out.pop() {
                    return None;
                }
            }
            Component::Normal(part) => out.push(part),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(out)
}

/// The variables of the `.env` beside a compose file.
fn environment(tree: &Path, file: &Path) -> BTreeMap<String, String> {
    let path = tree.join(file).with_file_name(".env");
    let text = read_text(&path).unwrap_or_default();
    let pairs = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("export ").unwrap_or(line.trim()).split_once('='));
    let pairs = pairs.filter(|(name, _)| !name.starts_with('#'));
    pairs
        .map(|(name, value)| (name.trim().to_owned(), value.trim().trim_matches(['"', '\'']).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn contexts_of_compose() {
        let compose = "
services:
  api:
    image: corp/api:${TAG:-1}
    build: ./api
  worker:
    build:
      context: .
      dockerfile: deploy/Worker.Dockerfile
      target: prod
      args:
        VERSION: ${PY}
        NONE:
  listed:
    build:
      context: api
      args: [\"A=1\", B]
  db:
    image: postgres:16
  lost:
    build: ./nowhere
  odd:
    build: {context: api, dockerfile: Other}
  out:
    build: ../elsewhere
  remote:
    build: https://github.com/corp/x.git
x-common: &common
  restart: always
";
        let root = tree(&[
            ("deploy/compose.yaml", compose),
            ("deploy/.env", "# c\nPY=3.12\n"),
            ("deploy/api/Dockerfile", ""),
            ("deploy/deploy/Worker.Dockerfile", ""),
        ]);
        let mut findings = Vec::new();
        let builds = read(root.path(), Path::new("deploy/compose.yaml"), Dialect::Compose, &mut findings);
        let short: Vec<(&str, &str, &str)> = builds
            .iter()
            .map(|build| {
                (build.name.as_str(), build.context.to_str().unwrap(), build.dockerfile.to_str().unwrap())
            })
            .collect();
        assert_eq!(
            short,
            [
                ("api", "deploy/api", "deploy/api/Dockerfile"),
                ("listed", "deploy/api", "deploy/api/Dockerfile"),
                ("worker", "deploy", "deploy/deploy/Worker.Dockerfile"),
            ]
        );
        assert_eq!(builds[0].images, ["corp/api:1"]);
        assert_eq!(builds[1].args, BTreeMap::from([("A".to_owned(), "1".to_owned())]));
        assert_eq!(builds[2].target.as_deref(), Some("prod"));
        assert_eq!(builds[2].args, BTreeMap::from([("VERSION".to_owned(), "3.12".to_owned())]));
        let kinds: Vec<Kind> = findings.iter().map(|finding| finding.kind).collect();
        // `lost` and `odd`; `../elsewhere` is inside of the tree, and not there.
        assert_eq!(kinds, [Kind::ContextMissing, Kind::DockerfileMissing, Kind::ContextMissing]);
    }

    #[test]
    fn targets_of_bake() {
        let hcl = "
variable \"TAG\" { default = \"1\" }
group \"default\" { targets = [\"api\"] }
target \"base\" { args = { V = \"3.11\" } }
target \"api\" {
  inherits = [\"base\"]
  context = \"api\"
  target = \"prod\"
  tags = [\"corp/api:${TAG}\"]
}
";
        let json =
            r#"{"target": {"web": {"context": "web", "dockerfile": "D", "args": {"A": "1", "B": null}}}}"#;
        let root = tree(&[
            ("docker-bake.hcl", hcl),
            ("docker-bake.json", json),
            ("api/Dockerfile", ""),
            ("web/D", ""),
            ("Dockerfile", ""),
        ]);
        let mut findings = Vec::new();
        let mut of = |name: &str| read(root.path(), Path::new(name), Dialect::Bake, &mut findings);
        let builds = of("docker-bake.hcl");
        let api = builds.iter().find(|build| build.name == "api").unwrap();
        assert_eq!((api.context.to_str().unwrap(), api.target.as_deref()), ("api", Some("prod")));
        assert_eq!(api.args, BTreeMap::from([("V".to_owned(), "3.11".to_owned())]));
        assert_eq!(api.images, ["corp/api:1"]);
        let builds = of("docker-bake.json");
        assert_eq!((builds.len(), builds[0].dockerfile.to_str().unwrap()), (1, "web/D"));
        assert_eq!(builds[0].args.len(), 1);
        assert!(findings.is_empty(), "{findings:?}");
    }

    #[test]
    fn files_that_are_none() {
        let root = tree(&[
            ("compose.yaml", "services: [\n"),
            ("docker-bake.hcl", "target \"x\" {"),
            ("compose.yml", "a: 1"),
        ]);
        let mut findings = Vec::new();
        assert!(read(root.path(), Path::new("compose.yaml"), Dialect::Compose, &mut findings).is_empty());
        assert!(read(root.path(), Path::new("docker-bake.hcl"), Dialect::Bake, &mut findings).is_empty());
        assert!(read(root.path(), Path::new("compose.yml"), Dialect::Compose, &mut findings).is_empty());
        assert_eq!(findings.iter().map(|f| f.kind).collect::<Vec<_>>(), [Kind::BuildFileUnreadable; 2]);
    }
}
