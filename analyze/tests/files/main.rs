//! Layouts and archives on disk, whole and broken.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod docker_archive;
mod layout;

use std::io::Read as _;
use std::path::Path;

use plinth_analyze::image::Found;
use plinth_analyze::source::{Blobs as _, Options, Sources, Spec, find};

fn look(spec: &str) -> (Found, Sources) {
    find(&[Spec::parse(spec).unwrap()], &Options::default(), &())
}

/// The one problem that there is.
fn problem(found: &Found) -> String {
    assert_eq!(found.problems.len(), 1, "{:?}", found.problems);
    found.problems[0].reason.clone()
}

fn digest(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    plinth_analyze::digest::Digest(sha2::Sha256::digest(bytes).into()).to_string()
}

/// Every layer of every image, read to its end.
fn layers(found: &Found, sources: &Sources) -> Vec<Vec<u8>> {
    let layers = found.images.iter().flat_map(|image| &image.layers);
    let read = layers.map(|layer| {
        let mut bytes = Vec::new();
        sources.open(&layer.blob).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(digest(&bytes), layer.blob.digest.to_string());
        assert_eq!(bytes.len() as u64, layer.blob.size);
        bytes
    });
    read.collect()
}

/// What an entry of a tar is.
enum Entry {
    File(Vec<u8>),
    Symlink(&'static str),
    Hardlink(&'static str),
}

fn tar(path: &Path, entries: Vec<(&str, Entry)>) {
    let mut builder = tar::Builder::new(std::fs::File::create(path).unwrap());
    for (name, entry) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(0);
        match entry {
            Entry::File(bytes) => {
                header.set_size(bytes.len() as u64);
                builder.append_data(&mut header, name, bytes.as_slice()).unwrap();
            }
            Entry::Symlink(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                builder.append_link(&mut header, name, target).unwrap();
            }
            Entry::Hardlink(target) => {
                header.set_entry_type(tar::EntryType::Link);
                builder.append_link(&mut header, name, target).unwrap();
            }
        }
    }
    builder.finish().unwrap();
}
