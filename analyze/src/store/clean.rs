//! Files that are being written, and those that were when their process died.
//!
//! Whoever writes a file holds an advisory lock on it, which ends with the process. So a lock that can be had belongs to
//! nobody. Process numbers wouldn't do: they are used again, and mean nothing to a process in another container.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::StoreError;

/// What unfinished files begin with.
const UNFINISHED: &str = ".tmp-";

/// After this, a file is unfinished for good on a file system without locks.
const LONG_AGO: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Removes the unfinished files of dead processes.
pub(super) fn clean(directory: &Path) -> Result<(), StoreError> {
    let failed = |error| StoreError::io("read", directory)(error);
    for file in fs::read_dir(directory).map_err(failed)? {
        let file = file.map_err(failed)?;
        if file.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
            // Somebody else may be cleaning too, and what can't be removed harms nobody.
            let _ = remove_dead(&file.path());
        }
    }
    Ok(())
}

fn remove_dead(path: &Path) -> io::Result<()> {
    // Held to the end, so that its writer can't begin in between.
    let file = File::open(path)?;
    match file.try_lock() {
        Ok(()) => fs::remove_file(path),
        Err(TryLockError::WouldBlock) => Ok(()),
        Err(TryLockError::Error(_)) => {
            match file.metadata()?.modified()?.elapsed().is_ok_and(|age| age > LONG_AGO) {
                true => fs::remove_file(path),
                false => Ok(()),
            }
        }
    }
}

/// A new file with a lock on it.
pub(super) fn create(directory: &Path) -> Result<(File, PathBuf), StoreError> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("{UNFINISHED}{}-{number}", std::process::id()));
        let file = match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => file,
            // Of another container's process with this number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(StoreError::io("made", &path)(error)),
        };
        // Between the two, somebody may have taken it for a dead one's.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            continue;
        }
        match file.metadata() {
            Ok(found) if found.nlink() == 0 => {}
            Ok(_) => return Ok((file, path)),
            Err(error) => return Err(StoreError::io("made", &path)(error)),
        }
    }
}
