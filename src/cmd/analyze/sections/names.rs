//! Names of images as they are shown: without what all of them have in common, and with what tells them apart.

use std::collections::{BTreeMap, HashMap};

use plinth_analyze::image::{Found, Image};

/// The images of an analysis, each once, whatever its names.
pub(super) struct Names<'a> {
    /// What all names begin with, up to a `/`; empty for a single image.
    pub(super) common: String,
    /// The places of the images in the list: those of one row have the same manifest.
    pub(super) rows: Vec<Vec<usize>>,
    /// How many images have a name: one for each platform.
    named: HashMap<&'a str, usize>,
    found: &'a Found,
}

impl<'a> Names<'a> {
    pub(super) fn of(found: &'a Found) -> Self {
        let mut rows: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        let mut named: HashMap<&str, usize> = HashMap::new();
        for (at, image) in found.images.iter().enumerate() {
            rows.entry((&image.place, image.manifest.digest, image.config.digest)).or_default().push(at);
            *named.entry(&image.name).or_default() += 1;
        }
        let mut rows: Vec<_> = rows.into_values().collect();
        rows.sort();
        Self { common: common(&found.images), rows, named, found }
    }

    /// The name of a row: its first name, how many more it has, and the platform if the name has several.
    pub(super) fn label(&self, row: &[usize]) -> String {
        let image = &self.found.images[row[0]];
        let mut text = self.short(image);
        if row.len() > 1 {
            text.push_str(&format!(" (+{} names)", row.len() - 1));
        }
        text
    }

    /// The name of an image without what all have in common, and with the platform if the name has several.
    fn short(&self, image: &Image) -> String {
        let name = image.name.strip_prefix(&self.common).unwrap_or(&image.name);
        if self.named.get(image.name.as_str()).is_some_and(|platforms| *platforms > 1) {
            format!("{name} {}", image.platform)
        } else {
            name.to_owned()
        }
    }
}

fn common(images: &[Image]) -> String {
    let Some(first) = images.first() else { return String::new() };
    let mut end = first.name.len();
    for image in images {
        let same = first.name.bytes().zip(image.name.bytes()).take_while(|(a, b)| a == b).count();
        end = end.min(same);
    }
    let several = images.iter().any(|image| image.name != first.name);
    let slash = first.name.as_bytes()[..end].iter().rposition(|byte| *byte == b'/');
    slash.filter(|_| several).map_or_else(String::new, |at| first.name[..=at].to_owned())
}
