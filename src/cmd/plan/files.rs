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
        ready.push((prepare(path, text).during(doing())?, path));
    }
    for (file, path) in ready {
        file.persist(path).map_err(|error| error.error).during(format!("write `{}`", path.display()))?;
    }
    Ok(())
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
