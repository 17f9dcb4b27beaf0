//! What pip's uninstall removes, computed without doing it.
//!
//! Files: those of RECORD, byte code beside and in `__pycache__`, scripts of entry points. Directories: a
//! directory that directly held such a file goes as a whole if nothing but such files is left in it or below;
//! one that held none stays, even if it is empty then.

use std::collections::BTreeSet;
use std::fs;

use crate::resolution::{Removal, Scheme};
use crate::tree::IoError;
use crate::tree::fs::{Context, list};
use crate::tree::state::{Node, State};
use crate::wheel::{entry_points, name, record};

/// Why a distribution is not removed here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UninstallError {
    /// Something about it is not understood exactly.
    #[error("cannot remove {distribution}: {why}")]
    Refused {
        /// Name and version.
        distribution: String,
        /// What.
        why: String,
    },
    /// The file system.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// What one removal takes away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Every file, absolute.
    pub files: BTreeSet<String>,
    /// Directories that go as a whole.
    pub trees: BTreeSet<String>,
    /// Of those, the ones that do not simply come back when something is installed into them: they hold further
    /// directories or links to some, or have an unusual owner or mode.
    pub deep: BTreeSet<String>,
    /// Directories that stay and lose an entry.
    pub touched: BTreeSet<String>,
}

impl Removed {
    /// The paths to delete: whole directories, and files outside of them.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let single = self.files.iter().filter(|f| !name::ancestors(f).any(|a| self.trees.contains(a)));
        self.trees.iter().chain(single).map(String::as_str)
    }
}

/// Computes what removing one distribution from `state` takes away.
///
/// # Errors
/// Anything that is not understood exactly, such as links, files outside of the prefix, an odd RECORD.
pub fn plan(
    state: &State,
    removal: &Removal,
    scheme: &Scheme,
    cache_tag: &str,
) -> Result<Removed, UninstallError> {
    let refuse = |why: String| UninstallError::Refused {
        distribution: format!("{} {}", removal.name, removal.version),
        why,
    };
    let info = removal.dist_info.as_str();
    if !info.ends_with(".dist-info") || name::check(info.trim_start_matches('/')).is_err() {
        return Err(refuse(format!("{info:?} is not the path of a .dist-info directory")));
    }
    let location = info.rsplit_once('/').map_or("", |(l, _)| l);
    if !matches!(state.node(info)?, Node::Directory(_)) {
        return Err(refuse(format!("{info} is not a directory")));
    }
    if state.node(&format!("{info}/scripts"))? != Node::Absent {
        return Err(refuse("it has scripts of a kind that is no longer in use".into()));
    }
    let text = |file: &str| -> Result<Option<String>, UninstallError> {
        let path = format!("{info}/{file}");
        match state.node(&path)? {
            Node::Absent => Ok(None),
            Node::File => {
                let real = state.real(&path);
                let bytes = fs::read(&real).context("read", &real)?;
                String::from_utf8(bytes).map(Some).map_err(|_| refuse(format!("{file} is not UTF-8")))
            }
            _ => Err(refuse(format!("{file} is not a regular file"))),
        }
    };
    let rows = text("RECORD")?.ok_or_else(|| refuse("it has no RECORD".into()))?;
    let rows = record::parse_installed("RECORD", &rows).map_err(|e| refuse(e.to_string()))?;
    let mut candidates = BTreeSet::new();
    for [path, ..] in &rows {
        let path =
            resolve(location, path).ok_or_else(|| refuse(format!("RECORD lists the odd path {path:?}")))?;
        if let Some(stem) = path.strip_suffix(".py") {
            candidates.insert(format!("{stem}.pyc"));
            candidates.insert(format!("{stem}.pyo"));
        }
        candidates.insert(path);
    }
    if let Some(text) = text("entry_points.txt")? {
        let scripts = entry_points::parse("entry_points.txt", &text).map_err(|e| refuse(e.to_string()))?;
        for entry in scripts.console.iter().chain(&scripts.gui) {
            candidates.insert(format!("{}/{}", scheme.scripts, entry.name));
        }
    }
    let mut removed = Removed::default();
    for path in candidates {
        if !is_file(state, &path, &scheme.data).map_err(|e| relabel(e, removal))? {
            continue;
        }
        let file = path.rsplit_once('/').map_or(path.as_str(), |(_, f)| f);
        if file.trim_start_matches('.').ends_with(".py") {
            let pyc = name::cache_path(&path, cache_tag);
            if is_file(state, &pyc, &scheme.data).map_err(|e| relabel(e, removal))? {
                removed.files.insert(pyc);
            }
        }
        removed.files.insert(path);
    }
    if removed.files.is_empty() {
        return Err(refuse("none of its files are there".into()));
    }
    directories(state, &mut removed)?;
    Ok(removed)
}

fn relabel(error: UninstallError, removal: &Removal) -> UninstallError {
    match error {
        UninstallError::Refused { why, .. } => {
            UninstallError::Refused { distribution: format!("{} {}", removal.name, removal.version), why }
        }
        other @ UninstallError::Io(_) => other,
    }
}

/// Whether there is a regular file that may be removed.
fn is_file(state: &State, path: &str, prefix: &str) -> Result<bool, UninstallError> {
    let refuse = |why: String| Err(UninstallError::Refused { distribution: String::new(), why });
    match state.node(path)? {
        Node::Absent => return Ok(false),
        Node::File => {}
        Node::Directory(_) | Node::Link { .. } | Node::Other => {
            return refuse(format!("{path} is not a regular file"));
        }
    }
    if let Err(component) = state.ancestors(path)? {
        return refuse(format!("{path} is reached through the link {component}"));
    }
    let inside = path.strip_prefix(prefix.trim_end_matches('/')).is_some_and(|r| r.starts_with('/'));
    if !inside {
        return refuse(format!("{path} is outside of {prefix}"));
    }
    Ok(true)
}

/// The absolute path of an entry of RECORD; `None` if it is not a plain one.
fn resolve(location: &str, entry: &str) -> Option<String> {
    if let Some(absolute) = entry.strip_prefix('/') {
        return name::check(absolute).is_ok().then(|| entry.to_owned());
    }
    let (mut base, mut rest) = (location, entry);
    while let Some(up) = rest.strip_prefix("../") {
        (base, _) = base.rsplit_once('/')?;
        rest = up;
    }
    name::check(rest).is_ok().then(|| format!("{base}/{rest}"))
}

fn directories(state: &State, removed: &mut Removed) -> Result<(), IoError> {
    let mut parents: Vec<String> =
        removed.files.iter().filter_map(|f| f.rsplit_once('/')).map(|(p, _)| p.to_owned()).collect();
    parents.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    parents.dedup();
    for parent in parents {
        if name::ancestors(&parent).any(|a| removed.trees.contains(a)) {
            continue;
        }
        let mut deep = false;
        if !parent.is_empty() && only_removed(state, &parent, &removed.files, &mut deep)? {
            // One that would come back with other attributes is as hard to take away for a moment.
            let usual = matches!(state.node(&parent)?,
                Node::Directory(a) if (a.mode, a.uid, a.gid) == (0o755, 0, 0));
            if deep || !usual {
                removed.deep.insert(parent.clone());
            }
            removed.trees.insert(parent);
        }
    }
    let touched: BTreeSet<String> =
        removed.paths().filter_map(|p| p.rsplit_once('/')).map(|(p, _)| p.to_owned()).collect();
    removed.touched = touched;
    removed.touched.remove("");
    Ok(())
}

/// Whether every file below `directory` is one of `files`. Links to directories are not files.
fn only_removed(
    state: &State,
    directory: &str,
    files: &BTreeSet<String>,
    deep: &mut bool,
) -> Result<bool, IoError> {
    for (name, kind) in list(&state.real(directory))? {
        let Some(name) = name.to_str() else { return Ok(false) };
        let path = format!("{directory}/{name}");
        if files.contains(&path) || state.node(&path)? == Node::Absent {
            continue;
        }
        if kind.is_dir() {
            *deep = true;
            if !only_removed(state, &path, files, deep)? {
                return Ok(false);
            }
        } else if kind.is_symlink() && state.real(&path).is_dir() {
            *deep = true;
        } else {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_record() {
        let at = |e| resolve("/u/l/lib/sp", e);
        assert_eq!(at("a/b").as_deref(), Some("/u/l/lib/sp/a/b"));
        assert_eq!(at("../../bin/x").as_deref(), Some("/u/l/bin/x"));
        assert_eq!(at("/etc/x").as_deref(), Some("/etc/x"));
        assert_eq!(at("../../../../../x"), None);
        for odd in ["a/../b", "a//b", "./a", "", "..", "a/"] {
            assert_eq!(at(odd), None, "{odd}");
        }
    }
}
