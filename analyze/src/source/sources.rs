//! The blobs of everything that was found.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;

use super::Blobs;
use super::contents::Contents;
use super::error::Error;
use crate::digest::Digest;
use crate::image::{Blob, Found};

/// How many places are remembered of a blob. A base image may be in thousands of repositories.
const PLACES: usize = 4;

/// Where each blob is to be had.
#[derive(Default)]
pub struct Sources {
    contents: Vec<Arc<dyn Contents>>,
    places: HashMap<Digest, Vec<u32>>,
}

impl Sources {
    /// Remembers whose blobs these are.
    pub(crate) fn add(&mut self, contents: Arc<dyn Contents>, found: &Found) {
        let Ok(place) = u32::try_from(self.contents.len()) else { return };
        self.contents.push(contents);
        let images = found.images.iter().flat_map(|image| {
            let layers = image.layers.iter().map(|layer| &layer.blob);
            layers.chain([&image.manifest, &image.config])
        });
        let caches = found.caches.iter().flat_map(|cache| {
            let layers = cache.layers.iter().map(|layer| &layer.blob);
            layers.chain(&cache.own)
        });
        let others = found.others.iter().flat_map(|other| &other.blobs);
        for blob in images.chain(caches).chain(others) {
            let places = self.places.entry(blob.digest).or_default();
            if places.len() < PLACES && places.last() != Some(&place) {
                places.push(place);
            }
        }
    }
}

impl Blobs for Sources {
    /// As [`Blobs::open`]; where one source fails, before or while it is read, the next one that has it goes on from
    /// there.
    fn open(&self, blob: &Blob) -> io::Result<Box<dyn Read + Send>> {
        let places = self.places.get(&blob.digest).map(Vec::as_slice).unwrap_or_default();
        let left = places.iter().filter_map(|place| self.contents.get(*place as usize)).cloned().collect();
        let mut reader = Failover { blob: blob.clone(), left, offset: 0, now: None };
        let unknown = || Error::missing("no source has it").into();
        reader.next(unknown())?;
        Ok(Box::new(reader))
    }
}

struct Failover {
    blob: Blob,
    /// Whom to turn to next, from the first on.
    left: std::collections::VecDeque<Arc<dyn Contents>>,
    offset: u64,
    now: Option<Box<dyn Read + Send>>,
}

impl Failover {
    /// Turns to the next one that has it. The first failure is what is told; that somebody doesn't have it only if nobody
    /// has.
    fn next(&mut self, failed: io::Error) -> io::Result<()> {
        let mut failed = failed;
        while let Some(contents) = self.left.pop_front() {
            match contents.open(&self.blob, self.offset) {
                Ok(reader) => {
                    self.now = Some(reader);
                    return Ok(());
                }
                Err(cause) if failed.kind() == io::ErrorKind::NotFound => failed = cause,
                Err(_) => {}
            }
        }
        self.now = None;
        Err(failed)
    }
}

impl Read for Failover {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(now) = &mut self.now else {
                return Err(io::Error::other("it can't be read any further"));
            };
            match now.read(buffer) {
                Ok(n) => {
                    self.offset += n as u64;
                    return Ok(n);
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => self.next(cause)?,
            }
        }
    }
}
