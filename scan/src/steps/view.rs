//! The files of a stage, as a step sees them: those that come from the build context, or stand in the Dockerfile.

use std::io;
use std::path::{Path, PathBuf};

use plinth_layers::pip::Files;

use crate::context::{Context, Entry, clean};
use crate::image::{Image, Origin};
use crate::requirements::{Source, Text};
use crate::walk::read_text;

/// A stage before one of its RUNs.
pub(super) struct View<'a> {
    pub(super) image: &'a Image,
    context: &'a Context,
    tree: &'a Path,
    /// Where the RUN has mounts, and what of the context is there; none: something else.
    mounts: Vec<(PathBuf, Option<String>)>,
    /// The RUN itself may make any file.
    makes_files: bool,
}

/// A stage in the middle of a RUN, behind some of its commands.
pub(super) struct At<'a> {
    view: &'a View<'a>,
    before: String,
}

impl<'a> View<'a> {
    pub(super) fn new(
        image: &'a Image,
        context: &'a Context,
        tree: &'a Path,
        mounts: Vec<(PathBuf, Option<String>)>,
        makes_files: bool,
    ) -> Self {
        Self { image, context, tree, mounts, makes_files }
    }

    /// Behind these commands of the RUN.
    pub(super) fn at(&'a self, before: &str) -> At<'a> {
        At { view: self, before: before.to_owned() }
    }

    /// Where a file comes from. The path is absolute.
    pub(super) fn origin(&self, path: &Path, before: &str) -> Origin {
        for (dest, source) in self.mounts.iter().rev() {
            let Ok(rest) = path.strip_prefix(dest) else { continue };
            let Some(source) = source else { return Origin::Unknown };
            let from = clean(&format!("{source}/{}", rest.display()));
            return match self.context.entry(&from) {
                Entry::File(_) => Origin::Context(from),
                Entry::Directory => Origin::Directory,
                Entry::Missing | Entry::Ignored(_) | Entry::Outside => Origin::Missing,
            };
        }
        let path = path.to_string_lossy();
        let origin = self.image.origin_after(self.context, &clean(&path), before);
        if origin == Origin::Missing && self.makes_files { Origin::Unknown } else { origin }
    }
}

impl Source for At<'_> {
    fn text(&self, path: &Path) -> Text {
        match self.view.origin(path, &self.before) {
            Origin::Context(from) => match self.view.context.entry(&from) {
                Entry::File(on_disk) => {
                    let name = on_disk.strip_prefix(self.view.tree).unwrap_or(&on_disk).display().to_string();
                    match read_text(&on_disk) {
                        Ok(text) => Text::Found { text, name },
                        Err(why) => Text::Unreadable { name, why: why.to_string() },
                    }
                }
                _ => Text::Missing,
            },
            Origin::Directory | Origin::Missing => Text::Missing,
            Origin::Unknown => Text::Unknown,
        }
    }
}

impl Files for At<'_> {
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        match self.text(path) {
            Text::Found { text, .. } => Ok(text.into_bytes()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.view.image.env.get(name).map(str::to_owned)
    }
}
