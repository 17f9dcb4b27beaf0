//! An OCI image layout, as a directory or in a tar; `docker save` of today writes one too.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

use super::tree::Tree;
use crate::image::{Blob, Found};
use crate::problem::Problem;
use crate::source::contents::Contents;
use crate::source::error::{Error, quoted};
use crate::source::manifest::{Descriptor, Manifest};
use crate::source::memo::Memo;
use crate::source::options::Options;
use crate::source::spec::FilePlace;
use crate::source::tally::Tally;
use crate::source::walk::Walk;

/// The name inside a layout (OCI image specification, "Pre-defined annotation keys"): a tag, or a whole name.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The whole name, where containerd or Docker wrote the layout.
const IMAGE_NAME: &str = "io.containerd.image.name";

pub(crate) struct Layout(Arc<Tree>);

impl Contents for Layout {
    fn open(&self, blob: &Blob, from: u64) -> io::Result<Box<dyn Read + Send>> {
        let name = format!("blobs/sha256/{}", blob.digest.hex());
        let size = self.0.size(&name).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => Error::missing("it isn't there").into(),
            _ => cause,
        })?;
        if size != blob.size {
            let reason = format!("it has {size} bytes, its descriptor says {}", blob.size);
            return Err(Error::new(reason).into());
        }
        Ok(Box::new(self.0.open(&name, from)?))
    }
}

pub(crate) fn read(
    place: &FilePlace,
    tree: Arc<Tree>,
    memo: &Memo,
    options: &Options,
    tally: &Tally<'_>,
) -> Result<(Found, Arc<dyn Contents>), Error> {
    let shown = place.path.display();
    let wrong = |cause: &dyn std::fmt::Display| Error::new(format!("index.json of `{shown}`: {cause}"));
    let index = Manifest::parse(&tree.small("index.json")?).map_err(|cause| wrong(&cause))?;
    let Manifest::Index(entries) = index else { return Err(wrong(&"it has no list of manifests")) };
    let layout = Arc::new(Layout(tree));
    let single = entries.len() == 1;
    let chosen: Vec<_> = entries.iter().filter(|entry| chosen(place, entry)).collect();
    if chosen.is_empty() && !entries.is_empty() {
        return Err(nothing(place, &entries));
    }
    tally.repositories(1);
    tally.names(chosen.len());
    // One manifest may stand there once for each of its names.
    let mut found = Found::default();
    for entry in chosen {
        let inside = match names(entry).next() {
            Some(name) => format!(":{}", quoted(name)),
            None if single => String::new(),
            None => format!("@{}", entry.digest),
        };
        let walk = Walk::new(&*layout, memo, options, tally, format!("oci:{shown}{inside}"));
        let part = walk.root(entry, memo.manifest(&*layout, &entry.blob()));
        found.images.extend(part.images);
        found.caches.extend(part.caches);
        found.others.extend(part.others);
        found.problems.extend(part.problems);
        tally.name_read();
    }
    if entries.is_empty() {
        found.problems.push(Problem::new(format!("oci:{shown}"), "there is nothing in it"));
    }
    Ok((found, layout))
}

/// The names of an entry, the fullest first.
fn names(entry: &Descriptor) -> impl Iterator<Item = &String> {
    let annotations: &BTreeMap<_, _> = &entry.annotations;
    [IMAGE_NAME, REF_NAME].into_iter().filter_map(|key| annotations.get(key)).filter(|name| !name.is_empty())
}

fn chosen(place: &FilePlace, entry: &Descriptor) -> bool {
    let digest = place.digest.is_none_or(|digest| entry.digest == digest);
    digest && place.name.as_ref().is_none_or(|pattern| names(entry).any(|name| pattern.is_image(name)))
}

fn nothing(place: &FilePlace, entries: &[Descriptor]) -> Error {
    let mut known: Vec<_> =
        entries.iter().filter_map(|entry| names(entry).next().map(|name| quoted(name))).collect();
    known.sort();
    known.dedup();
    known.truncate(10);
    let asked = place.name.as_ref().map(ToString::to_string);
    let asked = asked.or_else(|| place.digest.map(|digest| digest.to_string())).unwrap_or_default();
    let has = if known.is_empty() { "no names".to_owned() } else { known.join(", ") };
    Error::new(format!("`{}` has no `{asked}`; it has {has}", place.path.display()))
}
