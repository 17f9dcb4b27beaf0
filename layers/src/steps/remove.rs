//! `plinth step remove`: takes away what an installer would uninstall before it installs another version.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use crate::install::uninstall::{self, Removed, UninstallError};
use crate::resolution::Plan;
use crate::tree::IoError;
use crate::tree::fs::{self as tree_fs, Attributes, Context, inside, mtime};
use crate::tree::state::State;

/// Why the removal failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not understood exactly. The record step gives the same reason as its verdict.
    #[error(transparent)]
    Uninstall(#[from] UninstallError),
    /// The file system.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// Removes the distributions of `plan.remove` below `root`, in order, and sets the time of every directory that
/// lost an entry to [`crate::tree::MTIME`].
///
/// # Errors
/// Nothing is removed if any removal is refused.
pub fn run(plan: &Plan, root: &Path) -> Result<(), Error> {
    let mut touched = BTreeSet::new();
    for removed in plans(plan, &mut State::new(root))? {
        for path in removed.paths() {
            delete(&inside(root, path))?;
        }
        touched.extend(removed.touched);
    }
    for directory in touched {
        let path = inside(root, &directory);
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() => {
                tree_fs::set(&path, Attributes { mtime: mtime(), ..Attributes::of(&meta) })?;
            }
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e).context("look at", &path).map_err(Error::from),
        }
    }
    Ok(())
}

/// What each removal takes away; leaves `state` without it.
pub(crate) fn plans(plan: &Plan, state: &mut State) -> Result<Vec<Removed>, UninstallError> {
    let mut out = Vec::new();
    for removal in &plan.remove {
        let removed = uninstall::plan(state, removal, &plan.scheme, &plan.interpreter.cache_tag)?;
        state.remove(removed.paths().map(str::to_owned));
        out.push(removed);
    }
    Ok(out)
}

fn delete(path: &Path) -> Result<(), IoError> {
    let meta = fs::symlink_metadata(path).context("look at", path)?;
    if meta.is_dir() {
        fs::remove_dir_all(path).context("remove", path)
    } else {
        fs::remove_file(path).context("remove", path)
    }
}
