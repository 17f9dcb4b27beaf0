//! The fourth level: files of equal content, wherever they are.
//!
//! What is known of each content takes some [`BYTES_EACH`] bytes, so a fleet with very many files is gone through
//! several times, each time for a part of the contents: memory stays bounded, whatever there is.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::Total;
use crate::digest::Digest;
use crate::layer::{Data, Entry};

/// What a content takes in memory, about.
pub const BYTES_EACH: u64 = 80;

/// Contents that are looked at in one go: 320 MB.
const AT_ONCE: u64 = 4 << 20;

/// The number of parts that are locked one by one, so that threads seldom wait for each other.
const SHARDS: usize = 64;

/// All files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Files {
    /// All files that have content; a copy is another entry of a layer with the same content.
    #[serde(flatten)]
    pub total: Total,
    /// Bytes of all copies, uncompressed.
    pub bytes: u64,
    /// Contents that are stored more than once. The list may have fewer.
    pub repeated_contents: u64,
    /// Those that would save most.
    pub list: Vec<File>,
}

/// A content that is stored more than once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct File {
    /// SHA-256 of the content.
    pub content: Digest,
    /// Bytes of the content.
    pub size: u64,
    /// How often it is stored.
    pub copies: u64,
    /// Bytes that all copies take as they are stored.
    pub stored: u64,
    /// Bytes that one copy would save.
    pub saving: u64,
    /// Some of the paths that it has, with the layer's place in the table.
    pub paths: Vec<Place>,
}

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The layer's place in the table.
    pub layer: usize,
    /// The path in it; what isn't UTF-8 is replaced.
    pub path: String,
}

#[derive(Clone, Copy, Default)]
struct Seen {
    size: u64,
    copies: u64,
    stored: u64,
    largest: u64,
}

/// Collects contents, from several threads.
pub(super) struct Collector {
    /// The first byte of the contents that are collected: from here,
    from: u16,
    /// up to here, this one not included.
    until: u16,
    shards: Vec<Mutex<HashMap<[u8; 32], Seen>>>,
}

/// The collectors that are needed, one after the other, for this number of files.
pub(super) fn passes(files: u64) -> impl Iterator<Item = (u16, u16)> {
    let passes = u16::try_from(files.div_ceil(AT_ONCE).clamp(1, 256)).unwrap_or(256);
    let edge = move |pass: u16| u16::try_from(256 * u32::from(pass) / u32::from(passes)).unwrap_or(256);
    (0..passes).map(move |pass| (edge(pass), edge(pass + 1)))
}

impl Collector {
    pub(super) fn new((from, until): (u16, u16)) -> Self {
        Self { from, until, shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    pub(super) fn add(&self, entry: &Entry) {
        let Data::Content(content) = &entry.data else { return };
        let first = u16::from(content.0[0]);
        if entry.size == 0 || first < self.from || first >= self.until {
            return;
        }
        let shard = &self.shards[usize::from(content.0[1]) % SHARDS];
        // A thread that panicked while it held the lock has left whole figures behind.
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = shard.entry(content.0).or_default();
        seen.size = entry.size;
        seen.copies += 1;
        seen.stored += entry.stored;
        seen.largest = seen.largest.max(entry.stored);
    }

    /// Adds what was collected to the figures, and keeps those `top` that would save most.
    pub(super) fn finish(self, files: &mut Files, top: usize) {
        for shard in self.shards {
            for (content, seen) in shard.into_inner().unwrap_or_else(PoisonError::into_inner) {
                files.total.add(seen.copies, seen.stored, seen.largest);
                files.bytes += seen.size * seen.copies;
                if seen.copies > 1 {
                    files.repeated_contents += 1;
                    files.list.push(File {
                        content: Digest(content),
                        size: seen.size,
                        copies: seen.copies,
                        stored: seen.stored,
                        saving: seen.stored - seen.largest,
                        paths: Vec::new(),
                    });
                }
            }
            files.list.sort_by(|a, b| b.saving.cmp(&a.saving).then_with(|| a.content.cmp(&b.content)));
            files.list.truncate(top);
        }
    }
}

/// Finds paths for the contents in a list.
pub(super) struct Namer<'a> {
    at: HashMap<Digest, usize>,
    files: &'a mut Files,
}

/// So many paths of a content are named.
const PATHS: usize = 8;

impl<'a> Namer<'a> {
    pub(super) fn new(files: &'a mut Files) -> Self {
        Self { at: files.list.iter().enumerate().map(|(at, file)| (file.content, at)).collect(), files }
    }

    pub(super) fn add(&mut self, layer: usize, entry: &Entry) {
        let Data::Content(content) = &entry.data else { return };
        let Some(file) = self.at.get(content).map(|at| &mut self.files.list[*at]) else { return };
        if file.paths.len() < PATHS {
            file.paths.push(Place { layer, path: String::from_utf8_lossy(&entry.path).into_owned() });
        }
    }

    /// Whether every content has as many names as there is room for.
    pub(super) fn is_full(&self) -> bool {
        self.files.list.iter().all(|file| file.paths.len() as u64 == file.copies.min(PATHS as u64))
    }
}
