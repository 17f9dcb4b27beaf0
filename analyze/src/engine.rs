//! Several layers at once, from their sources into the store.
//!
//! Each layer takes three threads (see [`crate::layer::read`]); that of the decompressor is the busiest. The memory of all
//! is that of one layer times [`Options::jobs`].

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::digest::Digest;
use crate::image::Blob;
use crate::layer::{self, Limits, ReadError};
use crate::problem::Problem;
use crate::source::Blobs;
use crate::store::{Store, StoreError};

/// How layers are read.
#[derive(Clone, Debug)]
pub struct Options {
    /// Layers at once; 0 counts as 1.
    pub jobs: usize,
    /// What one layer may ask for.
    pub limits: Limits,
    /// Once it is set, no layer is begun, and those that are being read are given up. What is in the store stays there.
    pub stop: Arc<AtomicBool>,
}

impl Default for Options {
    /// As many layers at once as there are cores.
    fn default() -> Self {
        let jobs = thread::available_parallelism().map_or(1, usize::from);
        Self { jobs, limits: Limits::default(), stop: Arc::default() }
    }
}

/// What has become of the layers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Layers that were read, and are in the store now.
    pub read: usize,
    /// Layers that were there already.
    pub known: usize,
    /// Stored bytes that were read, those of layers with a problem counted in.
    pub bytes_read: u64,
    /// Layers that couldn't be read, by digest. None for those that were given up or not begun because of
    /// [`Options::stop`].
    pub problems: Vec<Problem>,
}

/// Who wants to know how far it is. Called from several threads.
pub trait Progress: Sync {
    /// So many layers, and so many stored bytes. Those that are known count too, until [`Progress::layer`] says so.
    fn start(&self, layers: usize, bytes: u64) {
        let _ = (layers, bytes);
    }

    /// So many stored bytes more.
    fn bytes(&self, bytes: u64) {
        let _ = bytes;
    }

    /// A layer is done, whatever came of it; `known` if it wasn't read because it was in the store.
    fn layer(&self, blob: &Blob, known: bool) {
        let _ = (blob, known);
    }
}

/// Nobody.
impl Progress for () {}

/// A layer, with all that is said of it.
struct Work<'a> {
    blob: &'a Blob,
    /// Every diff ID that a config gives it, and every size of a descriptor: there should be one each.
    diff_ids: Vec<Digest>,
    sizes: Vec<u64>,
}

/// Reads every layer that the store doesn't know, each digest once, the largest first. A layer that can't be read is a
/// problem of its own and keeps no other from being read, unless the store is full.
pub fn read(
    layers: &[(Blob, Option<Digest>)],
    blobs: &dyn Blobs,
    store: &Store,
    options: &Options,
    progress: &(dyn Progress + Sync),
) -> Outcome {
    let work = gather(layers);
    progress.start(work.len(), work.iter().map(|work| work.blob.size).sum());
    let next = AtomicUsize::new(0);
    let outcome = Mutex::new(Outcome::default());
    let full = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, work.len().max(1)) {
            scope.spawn(|| {
                while !options.stop.load(Ordering::Relaxed)
                    && let Some(work) = work.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let done = one(work, blobs, store, options, &full, progress);
                    progress.layer(work.blob, done.known > 0);
                    let mut all = outcome.lock().unwrap_or_else(PoisonError::into_inner);
                    all.read += done.read;
                    all.known += done.known;
                    all.bytes_read += done.bytes_read;
                    all.problems.extend(done.problems);
                }
            });
        }
    });
    let mut outcome = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcome.problems.sort();
    outcome
}

fn gather(layers: &[(Blob, Option<Digest>)]) -> Vec<Work<'_>> {
    let mut work = BTreeMap::<Digest, Work<'_>>::new();
    for (blob, diff_id) in layers {
        let work =
            work.entry(blob.digest).or_insert_with(|| Work { blob, diff_ids: Vec::new(), sizes: Vec::new() });
        work.diff_ids.extend(diff_id.filter(|diff_id| !work.diff_ids.contains(diff_id)));
        if !work.sizes.contains(&blob.size) {
            work.sizes.push(blob.size);
        }
    }
    let mut work: Vec<_> = work.into_values().collect();
    work.sort_by_key(|work| std::cmp::Reverse(work.blob.size));
    work
}

/// One layer. Of what it says, only the counts matter to the caller.
fn one(
    work: &Work<'_>,
    blobs: &dyn Blobs,
    store: &Store,
    options: &Options,
    full: &AtomicBool,
    progress: &dyn Progress,
) -> Outcome {
    let mut outcome = Outcome::default();
    let digest = &work.blob.digest;
    let mut problem = |reason: String| outcome.problems.push(Problem::new(digest, reason));
    let content = match store.has(digest).and_then(|has| if has { store.content(digest) } else { Ok(None) }) {
        Ok(Some(content)) => {
            outcome.known = 1;
            content
        }
        // Those that are known are looked at all the same.
        Ok(None) if full.load(Ordering::Relaxed) => return outcome,
        Ok(None) => {
            let bytes = std::cell::Cell::new(0);
            let read = keep(work, blobs, store, options, &|more| {
                bytes.set(bytes.get() + more);
                progress.bytes(more);
            });
            outcome.bytes_read = bytes.get();
            match read {
                Ok(content) => {
                    outcome.read = 1;
                    content
                }
                Err(_) if options.stop.load(Ordering::Relaxed) => return outcome,
                Err(KeepError::Store(error)) if error.is_full() => {
                    // Once is enough: other layers will hardly fare better.
                    if !full.swap(true, Ordering::Relaxed) {
                        problem(format!("{error}; no more layers were read"));
                    }
                    return outcome;
                }
                Err(error) => {
                    problem(error.to_string());
                    return outcome;
                }
            }
        }
        Err(error) => {
            problem(error.to_string());
            return outcome;
        }
    };
    // Of several claims, those that are wrong are wrong about a layer that was read all right.
    for claimed in &work.diff_ids {
        if *claimed != content.diff_id {
            problem(ReadError::DiffId { expected: *claimed, got: content.diff_id }.to_string());
        }
    }
    for claimed in &work.sizes {
        if *claimed != content.stored {
            problem(ReadError::Size { expected: *claimed, got: content.stored }.to_string());
        }
    }
    outcome
}

/// Reads a layer into the store.
fn keep(
    work: &Work<'_>,
    blobs: &dyn Blobs,
    store: &Store,
    options: &Options,
    progress: &dyn Fn(u64),
) -> Result<layer::Content, KeepError> {
    let stream = blobs.open(work.blob).map_err(KeepError::Open)?;
    let stream = Box::new(Stoppable { stream, stop: Arc::clone(&options.stop) });
    let mut writer = store.writer(&work.blob.digest)?;
    let mut failed = None;
    let read = layer::read(
        stream,
        work.blob,
        // If there are several, it is seen afterwards which of them are wrong.
        work.diff_ids.first().copied().filter(|_| work.diff_ids.len() == 1),
        &options.limits,
        &mut |entry| {
            if options.stop.load(Ordering::Relaxed) {
                return Err(stopped());
            }
            writer.entry(&entry).map_err(|error| {
                failed = Some(error);
                stopped()
            })
        },
        progress,
    );
    if let Some(error) = failed {
        return Err(error.into());
    }
    let content = read?;
    writer.finish(&content)?;
    Ok(content)
}

#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error("{0}")]
    Open(io::Error),
    #[error("{0}")]
    Read(#[from] ReadError),
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// A stream that ends with an error once nobody wants it any more.
struct Stoppable {
    stream: Box<dyn Read + Send>,
    stop: Arc<AtomicBool>,
}

impl Read for Stoppable {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(stopped());
        }
        self.stream.read(into)
    }
}

fn stopped() -> io::Error {
    io::Error::other("it was given up")
}
