//! Several layers at once.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use plinth_analyze::digest::Digest;
use plinth_analyze::engine::{self, Options, Progress};
use plinth_analyze::image::Blob;
use plinth_analyze::source::Blobs;
use plinth_analyze::store::Store;
use support::{blob, digest, gzip, noise, tar};

#[derive(Default)]
struct Memory {
    blobs: BTreeMap<Digest, Vec<u8>>,
    opened: AtomicUsize,
}

impl Memory {
    fn add(&mut self, bytes: Vec<u8>) -> Blob {
        let blob = blob(&bytes);
        self.blobs.insert(blob.digest, bytes);
        blob
    }

    fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }
}

impl Blobs for Memory {
    fn open(&self, blob: &Blob) -> io::Result<Box<dyn Read + Send>> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        let bytes = self.blobs.get(&blob.digest).ok_or_else(|| io::Error::other("nobody has it"))?;
        Ok(Box::new(Cursor::new(bytes.clone())))
    }
}

#[derive(Default)]
struct Seen {
    bytes: AtomicUsize,
    layers: AtomicUsize,
    known: AtomicUsize,
}

impl Progress for Seen {
    fn bytes(&self, bytes: u64) {
        self.bytes.fetch_add(usize::try_from(bytes).unwrap(), Ordering::SeqCst);
    }

    fn layer(&self, _: &Blob, known: bool) {
        self.layers.fetch_add(1, Ordering::SeqCst);
        self.known.fetch_add(usize::from(known), Ordering::SeqCst);
    }
}

fn layer(number: u64) -> Vec<u8> {
    gzip(&tar(&[("a", &noise(number, 1000)), ("b", b"same")]))
}

#[test]
fn each_once_and_one_bad_blob_is_only_its_own_problem() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(place.path()).unwrap();
    let mut memory = Memory::default();
    let mut layers: Vec<_> = (0..8).map(|number| (memory.add(layer(number)), None)).collect();
    layers.extend_from_within(..);
    let missing = blob(b"missing");
    let broken = memory.add(b"no archive".to_vec());
    layers.extend([(missing.clone(), None), (broken.clone(), None)]);
    let seen = Seen::default();
    let outcome = engine::read(&layers, &memory, &store, &Options::default(), &seen);
    assert_eq!((outcome.read, outcome.known, memory.opened()), (8, 0, 10));
    let problems: Vec<_> = outcome.problems.iter().map(|problem| problem.reason.as_str()).collect();
    let mut expected = [
        (missing.digest, "nobody has it"),
        (
            broken.digest,
            "tar archive, at byte 0 of the uncompressed bytes: it ends in the middle of a member",
        ),
    ];
    expected.sort_by_key(|(digest, _)| digest.to_string());
    assert_eq!(problems, expected.map(|(_, reason)| reason));
    assert_eq!(seen.layers.load(Ordering::SeqCst), 10);
    assert_eq!(seen.bytes.load(Ordering::SeqCst) as u64, outcome.bytes_read);

    // The second time, only what isn't known is opened.
    let seen = Seen::default();
    let outcome = engine::read(&layers, &memory, &store, &Options { jobs: 0, ..Options::default() }, &seen);
    assert_eq!((outcome.read, outcome.known, memory.opened()), (0, 8, 12));
    assert_eq!((seen.layers.load(Ordering::SeqCst), seen.known.load(Ordering::SeqCst)), (10, 8));
    assert_eq!(outcome.problems.len(), 2);
}

#[test]
fn wrong_claims_are_problems() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(place.path()).unwrap();
    let mut memory = Memory::default();
    let archive = tar(&[("a", b"1")]);
    let found = memory.add(gzip(&archive));
    let read =
        |layers: &[(Blob, Option<Digest>)]| engine::read(layers, &memory, &store, &Options::default(), &());
    let wrong = digest(b"wrong");
    let reason = format!(
        "the config of its image says diff ID {wrong}, its uncompressed bytes have {}",
        digest(&archive)
    );
    // Only one says what it is, and is wrong: something is, and nothing is kept.
    let outcome = read(&[(found.clone(), Some(wrong))]);
    assert_eq!((outcome.read, outcome.problems[0].reason.as_str()), (0, reason.as_str()));
    assert!(!store.has(&found.digest).unwrap());
    // One of two is right.
    for read_now in [1, 0] {
        let outcome = read(&[(found.clone(), Some(wrong)), (found.clone(), Some(digest(&archive)))]);
        assert_eq!((outcome.read, outcome.known), (read_now, 1 - read_now));
        let problems: Vec<_> = outcome.problems.iter().map(|problem| problem.reason.as_str()).collect();
        assert_eq!(problems, [reason.as_str()]);
    }
}

/// Sets the flag once some layers are done.
struct After<'a>(&'a AtomicUsize, &'a AtomicBool);

impl Progress for After<'_> {
    fn layer(&self, _: &Blob, _: bool) {
        if self.0.fetch_add(1, Ordering::SeqCst) == 2 {
            self.1.store(true, Ordering::SeqCst);
        }
    }
}

#[test]
fn stopping_loses_nothing_that_is_done() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(place.path()).unwrap();
    let mut memory = Memory::default();
    let layers: Vec<_> = (0..20).map(|number| (memory.add(layer(number)), None)).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let options = Options { jobs: 1, stop: Arc::clone(&stop), ..Options::default() };
    let outcome = engine::read(&layers, &memory, &store, &options, &After(&AtomicUsize::new(0), &stop));
    assert_eq!((outcome.read, outcome.problems.len()), (3, 0));
    let outcome = engine::read(&layers, &memory, &store, &Options::default(), &());
    assert_eq!((outcome.read, outcome.known), (17, 3));
}

/// A layer without end, whose reader asks to stop after a while.
struct Endless(Arc<AtomicBool>);

impl Blobs for Endless {
    fn open(&self, _: &Blob) -> io::Result<Box<dyn Read + Send>> {
        struct Stream(Arc<AtomicBool>, Cursor<Vec<u8>>, u64);
        impl Read for Stream {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                self.2 += 1;
                if self.2 == 100 {
                    self.0.store(true, Ordering::SeqCst);
                }
                let len = self.1.read(into)?;
                if len > 0 {
                    return Ok(len);
                }
                self.1.set_position(0);
                self.1.read(into)
            }
        }
        let mut raw = support::Raw::default();
        raw.file("again", &noise(1, 100_000));
        Ok(Box::new(Stream(Arc::clone(&self.0), Cursor::new(raw.bytes), 0)))
    }
}

#[test]
fn stopping_ends_a_layer_in_the_middle() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(place.path()).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let options = Options { stop: Arc::clone(&stop), ..Options::default() };
    let endless = Blob { size: 1 << 39, ..blob(b"") };
    let outcome = engine::read(&[(endless, None)], &Endless(stop), &store, &options, &());
    assert_eq!((outcome.read, outcome.known, outcome.problems.len()), (0, 0, 0));
    assert!(outcome.bytes_read < 100 << 20);
    assert_eq!(std::fs::read_dir(place.path().join("2")).unwrap().count(), 0, "nothing of it is kept");
}
