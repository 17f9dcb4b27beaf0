//! `plinth step probe`: the facts of an image, from its files alone.

use std::fs::{self, File, FileTimes};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::facts::Facts;
use crate::tree::MTIME;

/// The facts can't be written.
#[derive(Debug, thiserror::Error)]
#[error("probe: write the facts: {0}")]
pub struct Error(#[from] io::Error);

/// Reads the facts of the root file system at `root` and writes [`Facts::FILE`] to `out`.
///
/// # Errors
/// [`Error`] if the file can't be written.
pub fn run(root: &Path, path_env: &str, out: &Path) -> Result<(), Error> {
    let mut text = serde_json::to_string_pretty(&Facts::read(root, path_env)).map_err(io::Error::from)?;
    text.push('\n');
    Ok(write_fixed(&out.join(Facts::FILE), text.as_bytes())?)
}

/// Writes a file that is the same whoever writes it and when: mode 0644, and the layout's time on the
/// file and on its directory.
pub(super) fn write_fixed(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(MTIME);
    let times = FileTimes::new().set_accessed(time).set_modified(time);
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))?;
    file.set_times(times)?;
    match path.parent() {
        Some(parent) => File::open(parent)?.set_times(times),
        None => Ok(()),
    }
}
