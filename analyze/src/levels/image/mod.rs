//! Waste inside one image: what its own upper layers hide, and what nobody needs in it.

mod leftovers;
mod stack;
mod tree;

use std::collections::BTreeMap;

use serde::Serialize;

use self::stack::Stack;
use super::{Contents, Failed};
use crate::image::Image;

/// Waste of an image. Sizes are uncompressed bytes of files, `stored` what they take in their layers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Waste {
    /// Number of files that can be seen.
    pub files: u64,
    /// Files with other content at the same path in a later layer.
    pub overwritten: Bytes,
    /// Files that a later layer has once more with the same content: `chmod`, `chown -R`, a copy of what is there.
    pub same_again: Bytes,
    /// Files that a later layer deletes.
    pub deleted: Bytes,
    /// Files that can be seen, but are left behind by a package manager, by kind.
    pub leftovers: BTreeMap<&'static str, Bytes>,
    /// As dive reckons it: over all paths, the least size that each had in a layer, by the sum of those it had.
    pub efficiency: f64,
    /// As dive reckons it: sizes of all that was at the paths that more than one layer has, what can be seen included.
    pub by_path: u64,
    /// The hidden files that take most.
    pub worst: Vec<WastedFile>,
    /// Every file that is hidden or left behind: other images may waste the same one.
    #[serde(skip)]
    pub(super) entries: Vec<Wasted>,
}

/// A file that is wasted, whichever image it was found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wasted {
    /// Its layer, counted from the bottom of the image.
    pub(super) layer: u32,
    /// Its path.
    pub(super) path: u64,
    /// Bytes as they are stored.
    pub(super) stored: u64,
    /// Hidden, or else left behind.
    pub(super) hidden: bool,
}

impl Waste {
    /// Stored bytes that are hidden.
    #[must_use]
    pub fn hidden(&self) -> u64 {
        self.overwritten.stored + self.same_again.stored + self.deleted.stored
    }

    /// Stored bytes that are left behind.
    #[must_use]
    pub fn left_behind(&self) -> u64 {
        self.leftovers.values().map(|bytes| bytes.stored).sum()
    }
}

/// Files, and what they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bytes {
    /// Number of files.
    pub files: u64,
    /// Bytes of their content.
    pub size: u64,
    /// Bytes that they take as they are stored.
    pub stored: u64,
}

/// A path with files that can't be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WastedFile {
    /// The path; what isn't UTF-8 is replaced.
    pub path: String,
    /// Bytes of the content.
    pub size: u64,
    /// Bytes that they take as they are stored.
    pub stored: u64,
}

/// Finds the waste of an image, with the `top` worst files by name. None if one of its layers couldn't be read.
pub(super) fn waste(image: &Image, contents: &dyn Contents, top: usize) -> Result<Option<Waste>, Failed> {
    let mut stack = Stack::new();
    for layer in &image.layers {
        let Some(entries) = contents.entries(&layer.blob.digest)? else { return Ok(None) };
        for entry in entries {
            stack.entry(&entry?);
        }
        stack.end_of_layer();
    }
    Ok(Some(stack.finish(top)))
}
