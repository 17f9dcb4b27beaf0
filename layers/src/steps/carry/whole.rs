//! Which payloads a directory has, whole and unchanged.

use std::collections::HashMap;
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::tree::{Inode, Kind, Tree};
use crate::tree::fs::{Attributes, IoError};
use crate::tree::sha256 as sha256_of;
use crate::wheel::PayloadMeta;

/// The numbers of the payloads, ascending. Every file is read: a step after the install may have changed it.
pub(super) fn whole(tree: &Tree, from: &Path, metas: &[PayloadMeta]) -> Result<Vec<usize>, IoError> {
    let next = AtomicUsize::new(0);
    let names = tree.names();
    let work = || {
        let mut found = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(meta) = metas.get(index) else { return Ok(found) };
            if is_whole(tree, &names, from, meta)? {
                found.push(index);
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(metas.len().max(1));
    let parts: Vec<Result<Vec<usize>, IoError>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| Ok(Vec::new()))).collect()
    });
    let mut all = parts.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    all.sort_unstable();
    Ok(all)
}

fn is_whole(
    tree: &Tree,
    names: &HashMap<Inode, usize>,
    from: &Path,
    meta: &PayloadMeta,
) -> Result<bool, IoError> {
    let mut files = 0;
    for (path, mode, sha256) in meta.tree_files() {
        let same = tree.entries.get(path).is_some_and(|entry| {
            entry.kind == Kind::File
                && entry.attributes == Attributes::of_content(mode, sha256)
                // Another name of it would be left without it.
                && names.get(&entry.inode) == Some(&1)
        });
        if !same {
            return Ok(false);
        }
        files += 1;
    }
    for (path, _, sha256) in meta.tree_files() {
        if sha256_of(&tree.real(from, path))? != sha256 {
            return Ok(false);
        }
    }
    Ok(files > 0)
}
