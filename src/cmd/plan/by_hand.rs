//! `overrides.txt`: constraints that a team sets by hand. It is read, and never written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use plinth_layers::pip::Named;

use crate::failure::{During as _, Failure};
use crate::table::plain;

/// Its name, beside the lock.
pub(super) const FILE: &str = "overrides.txt";

/// What a team has set by hand, if it has: the file, and the packages that it names.
pub(super) fn by_hand(directory: &Path) -> Result<Option<(PathBuf, BTreeSet<String>)>, Failure> {
    let file = &directory.join(FILE);
    if file.symlink_metadata().is_err() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(file).during(format!("read `{}`", file.display()))?;
    let mut names = BTreeSet::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let named = Named::parse(line).and_then(|named| match named.by_url {
            true => Err("it names an address".to_owned()),
            false => Ok(named),
        });
        let named = named.map_err(|why| {
            Failure::new(format!("{}:{}: {}", file.display(), number + 1, plain(&why)))
                .hint("each line is a constraint, such as `fastapi>=0.150`")
        })?;
        names.insert(named.name);
    }
    Ok(Some((file.to_owned(), names)))
}
