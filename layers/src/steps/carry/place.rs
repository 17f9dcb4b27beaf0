//! What the state that is copied to says to it.

use super::tree::{Kind, Tree};
use crate::tree::fs::{IoError, has_xattrs};
use crate::tree::state::{Node, State};

/// Why layers would not give what the COPY gives, if so.
pub(super) fn objection(state: &State, tree: &Tree) -> Result<Option<String>, IoError> {
    let existing = match state.ancestors(&format!("{}/x", tree.path))? {
        Ok(existing) => existing,
        Err(component) => return Ok(Some(format!("{component} is there and is not a real directory"))),
    };
    // Longest last: where the first new directory appears.
    if let Some((nearest, attributes)) = existing.last_key_value()
        && *nearest != tree.path
        && attributes.mode & 0o2000 != 0
    {
        return Ok(Some(format!("{nearest} is setgid: what is made in it takes its group")));
    }
    let mut directories: Vec<&String> = existing.keys().collect();
    for (path, entry) in &tree.entries {
        match (&entry.kind, state.node(path)?) {
            (_, Node::Absent) => {}
            // It is replaced, whatever it leads to.
            (Kind::File | Kind::Link(_), Node::File | Node::Link { .. }) => {}
            (Kind::Directory, Node::Directory(_)) => directories.push(path),
            _ => return Ok(Some(format!("{path} is there already, and is something else"))),
        }
    }
    for path in directories {
        if has_xattrs(&state.real(path))? {
            return Ok(Some(format!("{path} is there already, and has extended attributes")));
        }
    }
    Ok(None)
}
