//! Writing all files of a plan, or none.

use std::path::{Path, PathBuf};

use crate::failure::{During as _, Failure};

/// The directory of the base images' recipes.
const BASES: &str = "bases";
/// How each of them begins.
const WRITTEN: &str = "# Written by `plinth plan`";

/// Files of base images that an earlier plan wrote, and this one has no use for.
pub(super) fn left_behind(output: &Path, files: &[(PathBuf, String)]) -> Vec<PathBuf> {
    let Ok(directories) = std::fs::read_dir(output.join(BASES)) else { return Vec::new() };
    let mut left = Vec::new();
    for directory in directories.flatten() {
        let dockerfile = directory.path().join("Dockerfile");
        let ours = std::fs::read_to_string(&dockerfile).is_ok_and(|text| text.starts_with(WRITTEN));
        if ours && files.iter().all(|(path, _)| *path != dockerfile) {
            left.extend(
                [directory.path().join("inventory.sh"), dockerfile].into_iter().filter(|path| path.is_file()),
            );
        }
    }
    left.sort();
    left
}

/// Writes all files or none, as far as a file system allows that: what can fail is done before the first takes its place.
pub(super) fn write(files: &[(PathBuf, String)]) -> Result<(), Failure> {
    let mut ready = Vec::new();
    for (path, text) in files {
        let doing = || format!("write `{}`", path.display());
        if path.is_dir() {
            return Err(Failure::new(format!("`{}` is a directory", path.display()))
                .hint("nothing was written; plinth plan writes a file of that name"));
        }
        let path = through_links(path).during(doing())?;
        ready.push((prepare(&path, text).during(doing())?, path));
    }
    for (file, path) in ready {
        file.persist(&path).map_err(|error| error.error).during(format!("write `{}`", path.display()))?;
    }
    Ok(())
}

/// Where a file really is: what a link leads to is written, and the link stays.
fn through_links(path: &Path) -> std::io::Result<PathBuf> {
    /// As many as Linux follows.
    const MOST: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST {
        if !path.is_symlink() {
            return Ok(path);
        }
        // Relative to where the link is; it may lead to what isn't there yet.
        let target = std::fs::read_link(&path)?;
        path = path.parent().map_or(target.clone(), |directory| directory.join(&target));
    }
    Err(std::io::Error::other("too many links lead to one another"))
}

/// A file with its content, beside where it goes.
fn prepare(path: &Path, text: &str) -> std::io::Result<tempfile::NamedTempFile> {
    use std::io::Write as _;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let mut file = tempfile::Builder::new().prefix(".plinth-").tempfile_in(directory)?;
    file.write_all(text.as_bytes())?;
    std::fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_a_link_leads_to_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir(at("shared")).unwrap();
        std::fs::write(at("shared/plinth.lock"), "old").unwrap();
        symlink("shared/plinth.lock", at("there")).unwrap();
        symlink("there", at("plinth.lock")).unwrap();
        symlink("shared/new", at("new")).unwrap();
        write(&[(at("plinth.lock"), "1".into()), (at("new"), "2".into()), (at("file"), "3".into())]).unwrap();
        assert_eq!(std::fs::read_link(at("plinth.lock")).unwrap(), Path::new("there"));
        for (name, text) in [("shared/plinth.lock", "1"), ("shared/new", "2"), ("file", "3")] {
            assert_eq!(std::fs::read_to_string(at(name)).unwrap(), text, "{name}");
            assert!(!at(name).is_symlink());
        }
        symlink("circle", at("circle")).unwrap();
        assert!(write(&[(at("circle"), String::new()), (at("other"), String::new())]).is_err());
        assert!(!at("other").exists());
    }
}
