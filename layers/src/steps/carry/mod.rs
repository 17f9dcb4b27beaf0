//! `plinth step carry` and `plinth step rest`: a COPY of a directory from another stage with package layers in it.
//!
//! Where the directory has the files of a payload just as the payload's layer has them, that layer can be merged as it
//! is, and only what is left has to be copied. `carry` says which payloads these are, `rest` copies the others. Both run
//! in the state that is copied to, since that can object: a link on the way, a file where a directory goes.
//!
//! What a COPY leaves is what BuildKit's `FileActionCopy` does: owners, modes, times and links are the source's, for
//! directories that are there already too. Of the directory that is copied only the time is.
//!
//! ```text
//! tree       what is copied
//! whole      which payloads are in it
//! place      what the state that is copied to says
//! ```

mod place;
mod tree;
mod whole;

use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::tree::{Inode, Kind, Tree};
use super::payload::read_meta;
use super::probe::write_fixed;
use crate::tree::LAYOUT;
use crate::tree::fs::{self as tree_fs, Attributes, Context as _, IoError, inside, mtime};
use crate::tree::state::{Node, State};
use crate::wheel::{PayloadMeta, name};

/// What is copied, and what may be in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarrySpec {
    /// Layout version: [`crate::tree::LAYOUT`].
    pub layout: u32,
    /// The directory that is copied, and where it goes: an absolute path without `.`, `..` and trailing `/`.
    pub path: String,
    /// The layers to look for: how many payloads each of them has.
    pub layers: Vec<usize>,
    /// The operation that the directory comes from. The same content with other times of files would be the same to a
    /// cache, but not to byte code.
    pub source: String,
}

/// What the directory has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Carried {
    /// These layers, whole and unchanged.
    Whole {
        /// By their number, ascending.
        layers: Vec<usize>,
    },
    /// The COPY must run as written.
    Refused {
        /// One sentence for the report.
        reason: String,
    },
}

impl Carried {
    /// Name of the file in the output directory of `plinth step carry`.
    pub const FILE: &str = "carried.json";
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The inputs do not belong together.
    #[error("bad specification of what is copied: {0}")]
    Spec(String),
    /// The file system.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The answer can't be written.
    #[error("write what is carried: {0}")]
    Write(#[from] io::Error),
}

/// Where the directories are that both steps read.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// The state that is copied to.
    pub to: &'a Path,
    /// The directory that is copied.
    pub from: &'a Path,
    /// `N/` for each payload, in the order of the layers: what [`super::payload::run`] said of it.
    pub metas: &'a Path,
}

/// Finds out which layers' payloads the directory has, and writes [`Carried::FILE`] to `out`.
///
/// # Errors
/// See [`Error`]; a refusal is an answer.
pub fn carry(spec: &CarrySpec, places: Places<'_>, out: &Path) -> Result<(), Error> {
    let carried = decide(spec, places)?;
    let mut text = serde_json::to_vec(&carried).map_err(io::Error::from)?;
    text.push(b'\n');
    Ok(write_fixed(&out.join(Carried::FILE), &text)?)
}

fn decide(spec: &CarrySpec, places: Places<'_>) -> Result<Carried, Error> {
    let refused = |reason| Ok(Carried::Refused { reason });
    let tree = match Tree::read(places.from, &spec.path)? {
        Ok(tree) => tree,
        Err(reason) => return refused(reason),
    };
    let payloads = whole::whole(&tree, places.from, &metas(spec, places.metas)?)?;
    // A layer comes along as a whole or not at all.
    let all = |range: &Range<usize>| range.clone().all(|index| payloads.binary_search(&index).is_ok());
    let layers: Vec<usize> =
        members(spec).enumerate().filter(|(_, range)| all(range)).map(|(layer, _)| layer).collect();
    match place::objection(&State::new(places.to), &tree)? {
        // Nothing comes along anyway.
        _ if layers.is_empty() => {}
        Some(reason) => return refused(reason),
        None => {}
    }
    Ok(Carried::Whole { layers })
}

/// The payloads of each layer.
fn members(spec: &CarrySpec) -> impl Iterator<Item = Range<usize>> {
    spec.layers.iter().scan(0, |next, count| {
        let first = *next;
        *next += count;
        Some(first..*next)
    })
}

/// Copies what the payloads don't bring to `out`.
///
/// # Errors
/// See [`Error`].
pub fn rest(spec: &CarrySpec, places: Places<'_>, carried: &Carried, out: &Path) -> Result<(), Error> {
    let Carried::Whole { layers } = carried else {
        return Err(Error::Spec("nothing is carried".to_owned()));
    };
    let tree = Tree::read(places.from, &spec.path)?.map_err(Error::Spec)?;
    let metas = metas(spec, places.metas)?;
    let members: Vec<Range<usize>> = members(spec).collect();
    let mut taken = BTreeSet::new();
    for layer in layers {
        let of_layer = members.get(*layer).and_then(|range| metas.get(range.clone()));
        let of_layer = of_layer.ok_or_else(|| Error::Spec(format!("there is no layer {layer}")))?;
        taken.extend(of_layer.iter().flat_map(PayloadMeta::tree_files).map(|(path, ..)| path));
    }
    let mut linked: HashMap<Inode, PathBuf> = HashMap::new();
    for (path, entry) in &tree.entries {
        let (source, target) = (tree.real(places.from, path), inside(out, path));
        match &entry.kind {
            Kind::Directory => fs::create_dir_all(&target).context("create the directory", &target)?,
            Kind::File if taken.contains(path.as_str()) => {}
            Kind::File => match linked.entry(entry.inode) {
                Slot::Occupied(first) => {
                    fs::hard_link(first.get(), &target).context("create the hard link", &target)?;
                }
                Slot::Vacant(first) => {
                    tree_fs::copy(&source, &target, entry.attributes)?;
                    first.insert(target);
                }
            },
            Kind::Link(to) => tree_fs::link(to, &target, entry.attributes)?,
        }
    }
    settle(&tree, &State::new(places.to), out)
}

fn metas(spec: &CarrySpec, metas: &Path) -> Result<Vec<PayloadMeta>, Error> {
    if spec.layout != LAYOUT {
        return Err(Error::Spec(format!("layout {} is not {LAYOUT}, the one of this release", spec.layout)));
    }
    (0..spec.layers.iter().sum()).map(|index| read_meta(metas, index)?.map_err(Error::Spec)).collect()
}

/// Gives every directory its attributes, a child before its parent.
fn settle(tree: &Tree, state: &State, out: &Path) -> Result<(), Error> {
    let spec = |reason: String| Error::Spec(format!("{reason} is in the way"));
    let existing = state.ancestors(&format!("{}/x", tree.path))?.map_err(spec)?;
    for (path, entry) in tree.entries.iter().rev().filter(|(_, entry)| entry.kind == Kind::Directory) {
        // The one that is copied to is what it was, or what a missing directory becomes; only its time is the source's.
        let attributes = if *path == tree.path {
            let there = existing.get(path).copied().unwrap_or(Attributes::canonical(0o755));
            Attributes { mtime: entry.attributes.mtime, ..there }
        } else {
            entry.attributes
        };
        tree_fs::set(&inside(out, path), attributes)?;
    }
    // The nearest one that is there gets a new entry, if what is copied to is new.
    let mut changes = state.node(&tree.path)? == Node::Absent;
    for ancestor in name::ancestors(&tree.path) {
        let attributes = match existing.get(ancestor) {
            Some(there) if std::mem::take(&mut changes) => Attributes { mtime: mtime(), ..*there },
            Some(there) => *there,
            None => Attributes::canonical(0o755),
        };
        tree_fs::set(&inside(out, ancestor), attributes)?;
    }
    tree_fs::set(out, Attributes::canonical(0o755))?;
    Ok(())
}
