//! Layouts and archives on disk.

mod docker_archive;
mod layout;
mod tar_index;
mod tree;

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use super::contents::Contents;
use super::error::Error;
use super::memo::Memo;
use super::options::Options;
use super::spec::{FilePlace, Format};
use super::tally::Tally;
use crate::image::Found;
use tree::Tree;

/// What a layout or an archive has, and where its blobs are.
pub(crate) fn read(
    place: &FilePlace,
    memo: &Memo,
    options: &Options,
    tally: &Tally<'_>,
) -> Result<(Found, Arc<dyn Contents>), Error> {
    let path = place.path.as_path();
    let tree = Arc::new(open(path)?);
    let shown = path.display();
    if place.format != Format::DockerArchive && tree.has("index.json") {
        return layout::read(place, tree, memo, options, tally);
    }
    // Newer ones are layouts too, which have the compressed bytes' digests.
    if place.format != Format::Oci && tree.has("index.json") && tree.has("oci-layout") {
        return layout::read(place, tree, memo, options, tally);
    }
    if place.format != Format::Oci && tree.has("manifest.json") {
        return docker_archive::read(place, tree, options, tally);
    }
    Err(Error::new(match place.format {
        Format::Oci => format!("`{shown}` is no OCI layout: it has no index.json"),
        Format::DockerArchive => format!("`{shown}` is no docker-archive: it has no manifest.json"),
        Format::Any => format!(
            "`{shown}` is neither an OCI layout nor a docker-archive: it has neither index.json nor manifest.json"
        ),
    }))
}

fn open(path: &Path) -> Result<Tree, Error> {
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
    tar_index::TarIndex::read(path).map(Tree::Archive)
}
