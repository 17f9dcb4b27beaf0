//! Writes service directories.

use crate::dockerfile::{self, Images};
use crate::facts::{Fleet, Service};
use crate::stage::Changes;
use crate::{app, requirements};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// A file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("can't write {path}: {source}")]
pub struct WriteError {
    path: PathBuf,
    source: io::Error,
}

/// Everything in the directory of `service`, by relative path. The same facts give the same bytes.
#[must_use]
pub fn files(
    fleet: &Fleet,
    service: &Service,
    images: &Images,
    changes: &Changes,
) -> BTreeMap<String, String> {
    let mut files = app::files(service);
    files.extend(requirements::contents(fleet, service, changes.as_found));
    if service.dev && !changes.as_found {
        files.extend(stand_ins(service));
    }
    files.insert("Dockerfile".to_owned(), dockerfile::text(service, images, changes));
    files
}

/// Writes the directory of `service` below `out` and returns its path. What is there already is replaced.
///
/// # Errors
/// When a file or directory can't be written or removed.
pub fn write(
    out: &Path,
    fleet: &Fleet,
    service: &Service,
    images: &Images,
    changes: &Changes,
) -> Result<PathBuf, WriteError> {
    let dir = out.join(service.slug());
    match fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&dir, error)),
        _ => {}
    }
    for (name, content) in files(fleet, service, images, changes) {
        let path = dir.join(name);
        let parent = path.parent().unwrap_or(&dir);
        fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        fs::write(&path, content).map_err(|error| failed(&path, error))?;
        if path.extension().is_some_and(|extension| extension == "sh") {
            make_executable(&path).map_err(|error| failed(&path, error))?;
        }
    }
    Ok(dir)
}

/// Dev services must build, so what their COPYs name and the fleet lacks is there in a word.
fn stand_ins(service: &Service) -> impl Iterator<Item = (String, String)> {
    service.missing.iter().filter(|name| !name.starts_with('#') && !name.contains("requirements")).map(
        |name| match name.strip_suffix('/') {
            Some(directory) => (format!("{directory}/__init__.py"), String::new()),
            None if name.ends_with(".json") => (name.clone(), "{}\n".to_owned()),
            None => (name.clone(), "# stands in for a file that the fleet lacks\n".to_owned()),
        },
    )
}

fn make_executable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

fn failed(path: &Path, source: io::Error) -> WriteError {
    WriteError { path: path.to_owned(), source }
}
