//! Layouts and archives on disk.

mod docker_archive;
mod layout;
mod tar_index;
mod tree;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::contents::Contents;
use super::error::Error;
use super::memo::Memo;
use super::options::Options;
use super::spec::{FilePlace, Format};
use super::tally::Tally;
use crate::digest::Digest;
use crate::image::Found;
use tree::Tree;

/// Layouts and archives that were opened, each once, by the path that the system knows it by.
#[derive(Default)]
pub(crate) struct Files(HashMap<PathBuf, Opened>);

struct Opened {
    /// As it was named first. It is called so from then on: what has two names is told of once.
    shown: PathBuf,
    tree: Arc<Tree>,
    read: HashSet<(Kind, Option<String>, Option<Digest>)>,
}

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Layout,
    DockerArchive,
}

/// What a layout or an archive has, where its blobs are, and what it is called as a place.
type Part = (Found, Arc<dyn Contents>, String);

impl Files {
    /// Nothing if the same was read before, under whatever name.
    pub(crate) fn read(
        &mut self,
        place: &FilePlace,
        memo: &Memo,
        options: &Options,
        tally: &Tally<'_>,
    ) -> Result<Option<Part>, Error> {
        // Where that can't be had, opening it says why.
        let path = place.path.canonicalize().unwrap_or_else(|_| place.path.clone());
        let opened = match self.0.entry(path) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Opened {
                shown: place.path.clone(),
                tree: Arc::new(open(&place.path, options)?),
                read: HashSet::new(),
            }),
        };
        let place = FilePlace { path: opened.shown.clone(), ..place.clone() };
        let kind = kind(&place, &opened.tree)?;
        if !opened.read.insert((kind, place.name.as_ref().map(ToString::to_string), place.digest)) {
            return Ok(None);
        }
        let tree = Arc::clone(&opened.tree);
        let (found, contents) = match kind {
            Kind::Layout => layout::read(&place, tree, memo, options, tally)?,
            Kind::DockerArchive => docker_archive::read(&place, tree, options, tally)?,
        };
        Ok(Some((found, contents, opened.shown.display().to_string())))
    }
}

fn kind(place: &FilePlace, tree: &Tree) -> Result<Kind, Error> {
    if place.format != Format::DockerArchive && tree.has("index.json") {
        return Ok(Kind::Layout);
    }
    // Newer ones are layouts too, which have the compressed bytes' digests.
    if place.format != Format::Oci && tree.has("index.json") && tree.has("oci-layout") {
        return Ok(Kind::Layout);
    }
    if place.format != Format::Oci && tree.has("manifest.json") {
        return Ok(Kind::DockerArchive);
    }
    let shown = place.path.display();
    Err(Error::new(match place.format {
        Format::Oci => format!("`{shown}` is no OCI layout: it has no index.json"),
        Format::DockerArchive => format!("`{shown}` is no docker-archive: it has no manifest.json"),
        Format::Any => format!(
            "`{shown}` is neither an OCI layout nor a docker-archive: it has neither index.json nor manifest.json"
        ),
    }))
}

fn open(path: &Path, options: &Options) -> Result<Tree, Error> {
    let failed = |cause: std::io::Error| Error::new(format!("cannot read `{}`: {cause}", path.display()));
    let meta = path.metadata().map_err(failed)?;
    if meta.is_dir() {
        return Ok(Tree::Directory(path.to_owned()));
    }
    // A pipe would be read to its end once, and blobs are read from the middle.
    if !meta.is_file() {
        return Err(Error::new(format!("`{}` is neither a directory nor a file", path.display())));
    }
    let mut first = Vec::new();
    std::fs::File::open(path).map_err(failed)?.take(4).read_to_end(&mut first).map_err(failed)?;
    let tool = match first.as_slice() {
        [0x1f, 0x8b, ..] => Some(("gzip", "gunzip -k")),
        [0x28, 0xb5, 0x2f, 0xfd] => Some(("zstd", "unzstd")),
        [b'B', b'Z', b'h', ..] => Some(("bzip2", "bunzip2 -k")),
        [0xfd, b'7', b'z', b'X'] => Some(("xz", "unxz -k")),
        _ => None,
    };
    if let Some((kind, tool)) = tool {
        let shown = path.display();
        return Err(Error::new(format!(
            "`{shown}` is compressed with {kind}, so that its parts can't be read one by one; unpack it first: \
             {tool} {shown}"
        )));
    }
    tar_index::TarIndex::read(path, options).map(Tree::Archive)
}
