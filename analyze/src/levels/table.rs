//! The layers of all images, each once.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{Contents, Failed};
use crate::digest::Digest;
use crate::image::{Blob, Image};
use crate::layer::{Compression, Content};

/// All layers, in the order in which images name them.
#[derive(Debug, Default)]
pub struct Table {
    /// The layers.
    pub rows: Vec<Row>,
    by_digest: HashMap<Digest, usize>,
}

/// One layer.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its bytes as they are stored.
    #[serde(flatten)]
    pub blob: Blob,
    /// What made it, as the first image that has it says.
    pub created_by: Option<String>,
    /// The images that have it, by their place in the list.
    pub images: Vec<usize>,
    /// What it holds; none if it couldn't be read.
    #[serde(flatten)]
    pub shape: Option<Shape>,
}

/// What is known of a layer's content, short enough to be kept of every layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// How its bytes are stored.
    pub compression: Compression,
    /// SHA-256 of the uncompressed bytes.
    pub diff_id: Digest,
    /// Whatever order and times its entries have.
    pub canonical: Digest,
    /// Uncompressed bytes.
    pub uncompressed: u64,
    /// Number of entries.
    pub entries: u64,
    /// Number of regular files among them.
    pub files: u64,
    /// Bytes of their content.
    pub file_bytes: u64,
    /// What is odd about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Shape {
    fn of(content: Content) -> Self {
        Self {
            compression: content.compression,
            diff_id: content.diff_id,
            canonical: content.canonical,
            uncompressed: content.uncompressed,
            entries: content.entries,
            files: content.files,
            file_bytes: content.file_bytes,
            notes: content.notes,
        }
    }
}

impl Table {
    /// The layers of these images, as far as their contents are known.
    ///
    /// # Errors
    /// Contents can't be read.
    pub fn of(images: &[Image], contents: &dyn Contents) -> Result<Self, Failed> {
        let mut table = Self::default();
        for (place, image) in images.iter().enumerate() {
            for layer in &image.layers {
                let at = match table.by_digest.get(&layer.blob.digest) {
                    Some(at) => *at,
                    None => {
                        let shape = contents.content(&layer.blob.digest)?.map(Shape::of);
                        let created_by = layer.created_by.clone();
                        table.by_digest.insert(layer.blob.digest, table.rows.len());
                        table.rows.push(Row {
                            blob: layer.blob.clone(),
                            created_by,
                            images: Vec::new(),
                            shape,
                        });
                        table.rows.len() - 1
                    }
                };
                let images = &mut table.rows[at].images;
                // An image may have the same layer twice: an empty one, say.
                if images.last() != Some(&place) {
                    images.push(place);
                }
            }
        }
        Ok(table)
    }

    /// A layer's place in the table.
    #[must_use]
    pub fn at(&self, blob: &Digest) -> Option<usize> {
        self.by_digest.get(blob).copied()
    }

    /// Layers that are equal by some measure, those that have an equal.
    pub(super) fn equal<K: Ord>(&self, by: impl Fn(&Shape) -> K) -> Vec<Vec<usize>> {
        let mut groups: BTreeMap<K, Vec<usize>> = BTreeMap::new();
        for (at, row) in self.rows.iter().enumerate() {
            if let Some(shape) = &row.shape {
                groups.entry(by(shape)).or_default().push(at);
            }
        }
        groups.into_values().filter(|group| group.len() > 1).collect()
    }
}
