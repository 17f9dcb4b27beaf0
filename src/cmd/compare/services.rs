//! Which services are compared: directories with a Dockerfile.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{During as _, Failure};

/// One service: what is built on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    /// Its name in the report and, as it fits there, in the registry. Unique.
    pub(crate) name: String,
    /// Its build context.
    pub(crate) dir: PathBuf,
    /// The name of its Dockerfile in that directory.
    pub(crate) dockerfile: String,
}

/// The services that `paths` name: each is a service, a directory of services, or a Dockerfile.
pub(crate) fn find(paths: &[PathBuf], file: &str) -> Result<Vec<Service>, Failure> {
    let mut found: Vec<(PathBuf, String)> = Vec::new();
    for path in paths {
        if path.is_file() {
            let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
            else {
                return Err(Failure::new(format!("`{}` is no Dockerfile", path.display())));
            };
            let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
            found.push((dir.to_owned(), name.to_owned()));
        } else if path.join(file).is_file() {
            found.push((path.clone(), file.to_owned()));
        } else {
            let doing = format!("read the directory `{}`", path.display());
            let entries: Result<Vec<_>, _> = fs::read_dir(path).during(&doing)?.collect();
            let mut dirs: Vec<PathBuf> =
                entries.during(&doing)?.into_iter().map(|entry| entry.path()).collect();
            dirs.retain(|dir| dir.join(file).is_file());
            dirs.sort();
            if dirs.is_empty() {
                return Err(Failure::new(format!(
                    "there is no {file} in `{}`, nor in a directory in it",
                    path.display()
                ))
                .hint("name a service or a directory of services; another file name is given with --file"));
            }
            found.extend(dirs.into_iter().map(|dir| (dir, file.to_owned())));
        }
    }
    let mut names = HashSet::new();
    let mut services = Vec::new();
    for (dir, dockerfile) in found {
        let dir = dir.canonicalize().during(format!("find `{}`", dir.display()))?;
        let wanted = component(&dir.file_name().unwrap_or_default().to_string_lossy());
        let mut name = wanted.clone();
        let mut n = 2;
        while !names.insert(name.clone()) {
            name = format!("{wanted}-{n}");
            n += 1;
        }
        services.push(Service { name, dir, dockerfile });
    }
    Ok(services)
}

/// `text` as a component of a repository name: lower-case letters and digits, joined by single separators.
pub(crate) fn component(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_lowercase());
        } else if !name.is_empty() && !name.ends_with(['-', '.', '_']) {
            name.push(if matches!(c, '.' | '_') { c } else { '-' });
        }
    }
    let name = name.trim_end_matches(['-', '.', '_']);
    if name.is_empty() { String::from("service") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_fit_a_registry() {
        for (text, name) in
            [("api", "api"), ("API Gateway", "api-gateway"), ("_x__y.", "x_y"), ("..", "service")]
        {
            assert_eq!(component(text), name);
        }
    }

    #[test]
    fn services_and_directories_of_services() {
        let root = tempfile::tempdir().unwrap();
        for dir in ["fleet/b", "fleet/a", "fleet/docs", "a"] {
            fs::create_dir_all(root.path().join(dir)).unwrap();
        }
        for dir in ["fleet/b", "fleet/a", "a"] {
            fs::write(root.path().join(dir).join("Dockerfile"), "FROM scratch\n").unwrap();
        }
        let names = |paths: &[&str]| {
            let paths: Vec<PathBuf> = paths.iter().map(|p| root.path().join(p)).collect();
            find(&paths, "Dockerfile").map(|all| all.into_iter().map(|s| s.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["fleet", "a"]).unwrap(), ["a", "b", "a-2"]);
        assert_eq!(names(&["a/Dockerfile"]).unwrap(), ["a"]);
        let error = names(&["fleet/docs"]).unwrap_err().to_string();
        assert!(error.contains("there is no Dockerfile in `"), "{error}");
        assert!(error.contains("hint: name a service"), "{error}");
    }
}
