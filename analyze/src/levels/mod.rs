//! What is stored twice, on four levels, and what is waste inside one image.
//!
//! ```text
//! table       the layers of all images, each once
//! blobs       the first level: blobs, by the places that store them
//! layers      the second: layers that hold the same
//! owners      whose a file is
//! parts       what one layer is made of
//! packages    the third: packages, by their records
//! files       the fourth: files by content
//! image       waste inside one image
//! kept        where what is known of layers is kept
//! caches      build caches
//! achievable  what plinth's layering would store
//! total       the figures of a level
//! ```
//!
//! Stored bytes of a file are the part of its layer's compressed bytes that it takes, so each level adds up to the one
//! above it.

mod achievable;
mod blobs;
mod caches;
mod files;
mod image;
mod kept;
mod layers;
mod owners;
mod packages;
mod parts;
mod table;
#[cfg(test)]
mod tests;
mod total;

use std::collections::{BTreeMap, HashSet};
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};

use plinth_layers::lock::Lock;
use rayon::prelude::*;
use serde::Serialize;

pub use self::achievable::Achievable;
pub use self::blobs::Blobs;
pub use self::caches::{Caches, Row as CacheRow, Served};
pub use self::files::{BYTES_EACH, File, Files, Place};
pub use self::image::{Bytes, Waste, WastedFile};
pub use self::kept::Kept;
pub use self::layers::{Differ, Group, Layers};
pub use self::packages::{Held, Package, Packages, Version};
pub use self::table::{Row, Shape, Table};
pub use self::total::Total;

use self::files::{Collector, Namer};
use self::parts::Parts;
use crate::digest::Digest;
use crate::image::{Found, Image};
use crate::layer::{Content, Entry};

/// Why what is known of a layer can't be had: the store is broken.
pub type Failed = Box<dyn Error + Send + Sync>;

/// The entries of a layer, one after the other.
pub type Entries<'a> = Box<dyn Iterator<Item = Result<Entry, Failed>> + Send + 'a>;

/// Where what is known of layers is kept.
pub trait Contents: Sync {
    /// What is known of a layer; none if it hasn't been read.
    ///
    /// # Errors
    /// It can't be had.
    fn content(&self, blob: &Digest) -> Result<Option<Content>, Failed>;

    /// Its entries, in the order of the archive; none if it hasn't been read.
    ///
    /// # Errors
    /// They can't be had.
    fn entries(&self, blob: &Digest) -> Result<Option<Entries<'_>>, Failed>;
}

/// What is to be found out.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// So many files, and for each image so many wasted ones, are named.
    pub top: usize,
    /// The fleet's lock, for what a plan would store.
    pub lock: Option<&'a Lock>,
    /// Set from elsewhere to stop: the analysis then ends with an error.
    pub stop: Option<&'a AtomicBool>,
}

/// Everything that is reckoned from the contents of the layers.
#[derive(Debug, Serialize)]
pub struct Analysis {
    /// The layers, each once.
    pub table: Vec<Row>,
    /// One for each image, in their order; none if one of its layers couldn't be read.
    pub waste: Vec<Option<Waste>>,
    /// What images waste, over all of them.
    pub wasted: Wasted,
    /// The first level.
    pub blobs: Blobs,
    /// The second.
    pub layers: Layers,
    /// The third.
    pub packages: Packages,
    /// The fourth.
    pub files: Files,
    /// Build caches.
    pub caches: Caches,
    /// What plinth's layering would store.
    pub achievable: Achievable,
}

/// It was stopped from elsewhere.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub struct Stopped;

/// Reckons everything.
///
/// # Errors
/// What is known of a layer can't be had, or it was stopped.
pub fn analyze(found: &Found, contents: &dyn Contents, options: Options<'_>) -> Result<Analysis, Failed> {
    let images = &found.images;
    let table = Table::of(images, contents)?;
    let going = || match options.stop {
        Some(stop) if stop.load(Ordering::Relaxed) => Err(Failed::from(Stopped)),
        _ => Ok(()),
    };
    let (files, parts) = files_and_parts(&table, images, contents, options.top, &going)?;
    let waste = waste(images, contents, options.top, &going)?;
    Ok(Analysis {
        wasted: wasted(images, &waste, &table),
        waste,
        blobs: blobs::blobs(found),
        layers: layers::layers(&table),
        packages: packages::packages(&table, &parts),
        files,
        caches: caches::caches(&found.caches, images, &table),
        achievable: achievable::achievable(images, &table, &parts, options.lock),
        table: table.rows,
    })
}

/// What images waste, each file once, however many images waste it. In stored bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Wasted {
    /// Hidden by upper layers of the same image.
    pub hidden: u64,
    /// Left behind by package managers.
    pub left_behind: u64,
}

/// The waste of each image. Images of one manifest are looked at once.
fn waste(
    images: &[Image],
    contents: &dyn Contents,
    top: usize,
    going: &(dyn Fn() -> Result<(), Failed> + Sync),
) -> Result<Vec<Option<Waste>>, Failed> {
    let mut first: BTreeMap<(Digest, Digest), usize> = BTreeMap::new();
    let key = |image: &Image| (image.manifest.digest, image.config.digest);
    images.iter().enumerate().for_each(|(at, image)| _ = first.entry(key(image)).or_insert(at));
    let own = |(at, image): (usize, &Image)| {
        going()?;
        if first[&key(image)] == at { image::waste(image, contents, top) } else { Ok(None) }
    };
    let mut waste = images.par_iter().enumerate().map(own).collect::<Result<Vec<_>, Failed>>()?;
    for (at, image) in images.iter().enumerate() {
        let first = first[&key(image)];
        if first != at {
            waste[at] = waste[first].clone();
        }
    }
    Ok(waste)
}

fn wasted(images: &[Image], waste: &[Option<Waste>], table: &Table) -> Wasted {
    let mut seen = HashSet::new();
    let mut sum = Wasted::default();
    for (image, waste) in images.iter().zip(waste) {
        for entry in waste.iter().flat_map(|waste| &waste.entries) {
            let layer = table.at(&image.layers[entry.layer as usize].blob.digest);
            if seen.insert((layer, entry.path, entry.hidden)) {
                let bytes = if entry.hidden { &mut sum.hidden } else { &mut sum.left_behind };
                *bytes += entry.stored;
            }
        }
    }
    sum
}

fn files_and_parts(
    table: &Table,
    images: &[Image],
    contents: &dyn Contents,
    top: usize,
    going: &(dyn Fn() -> Result<(), Failed> + Sync),
) -> Result<(Files, Vec<Parts>), Failed> {
    let number = table.rows.iter().filter_map(|row| row.shape.as_ref()).map(|shape| shape.files).sum();
    let mut files = Files::default();
    let mut parts = Vec::new();
    for (pass, range) in files::passes(number).enumerate() {
        let collector = Collector::new(range);
        if pass == 0 {
            let divide = |at| {
                going()?;
                parts::parts(table, at, images, contents, &mut |entry| collector.add(entry))
            };
            parts = (0..table.rows.len()).into_par_iter().map(divide).collect::<Result<_, _>>()?;
        } else {
            table.rows.par_iter().try_for_each(|row| {
                going()?;
                for entry in contents.entries(&row.blob.digest)?.into_iter().flatten() {
                    collector.add(&entry?);
                }
                Ok::<_, Failed>(())
            })?;
        }
        collector.finish(&mut files, top);
    }
    let mut namer = Namer::new(&mut files);
    for (at, row) in table.rows.iter().enumerate() {
        if namer.is_full() {
            break;
        }
        going()?;
        for entry in contents.entries(&row.blob.digest)?.into_iter().flatten() {
            namer.add(at, &entry?);
        }
    }
    Ok((files, parts))
}
