//! The files of a stage, as a step sees them: those that come from the build context, or stand in the Dockerfile.

use std::io;
use std::path::Path;

use plinth_layers::pip::Files;

use crate::context::{Context, Entry};
use crate::image::{Image, Origin};
use crate::requirements::{Source, Text};
use crate::walk::read_text;

/// A stage before one of its RUNs.
pub(super) struct View<'a> {
    pub(super) image: &'a Image,
    context: &'a Context,
    tree: &'a Path,
    /// The RUN's script: what it makes itself is not known.
    script: &'a str,
}

/// A stage in the middle of a RUN, behind some of its commands.
pub(super) struct At<'a> {
    view: &'a View<'a>,
    before: String,
}

impl<'a> View<'a> {
    pub(super) fn new(image: &'a Image, context: &'a Context, tree: &'a Path, script: &'a str) -> Self {
        Self { image, context, tree, script }
    }

    /// Behind these commands of the RUN.
    pub(super) fn at(&'a self, before: &str) -> At<'a> {
        At { view: self, before: before.to_owned() }
    }

    /// Where a file comes from. The path is absolute.
    pub(super) fn origin(&self, path: &Path, before: &str) -> Origin {
        let path = path.to_string_lossy();
        // A script that makes the file before it reads it: `echo flask > r.txt && pip install -r r.txt`.
        let name = path.rsplit('/').next().unwrap_or_default();
        let writes =
            self.script.match_indices(name).any(|(at, _)| self.script[..at].trim_end().ends_with('>'));
        if writes && !name.is_empty() {
            return Origin::Unknown;
        }
        self.image.origin_after(self.context, path.trim_start_matches('/'), before)
    }
}

impl Source for At<'_> {
    fn text(&self, path: &Path) -> Text {
        match self.view.origin(path, &self.before) {
            Origin::Text(text) => Text::Found { text, name: path.display().to_string() },
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
