//! A process that is killed while it fills the store.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::{self, Cursor, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use plinth_analyze::engine::{self, Options, Progress};
use plinth_analyze::image::Blob;
use plinth_analyze::layer::Entry;
use plinth_analyze::source::Blobs;
use plinth_analyze::store::Store;
use support::{blob, gzip, noise, tar};

const LAYERS: u64 = 60;

fn layer(number: u64) -> Vec<u8> {
    let files: Vec<_> =
        (0..200).map(|file| (format!("{number}/{file}"), noise(number * 1000 + file, 500))).collect();
    let files: Vec<_> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    gzip(&tar(&files))
}

/// All layers, and which of them were opened.
struct Made {
    layers: Vec<(Blob, Vec<u8>)>,
    opened: Mutex<Vec<Blob>>,
}

impl Made {
    fn new() -> Self {
        let layers = (0..LAYERS).map(|number| {
            let bytes = layer(number);
            (blob(&bytes), bytes)
        });
        Self { layers: layers.collect(), opened: Mutex::default() }
    }

    fn read(&self, place: &Path, progress: &dyn Progress) -> engine::Outcome {
        let layers: Vec<_> = self.layers.iter().map(|(blob, _)| (blob.clone(), None)).collect();
        engine::read(&layers, self, &Store::open(place).unwrap(), &Options::default(), progress)
    }
}

impl Blobs for Made {
    fn open(&self, blob: &Blob) -> io::Result<Box<dyn Read + Send>> {
        self.opened.lock().unwrap().push(blob.clone());
        let (_, bytes) = self.layers.iter().find(|(known, _)| known == blob).unwrap();
        // Slow enough to be killed in between.
        let slow = Slow(Cursor::new(bytes.clone()));
        Ok(Box::new(slow))
    }
}

struct Slow(Cursor<Vec<u8>>);

impl Read for Slow {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        std::thread::sleep(Duration::from_micros(200));
        let len = into.len().min(16 << 10);
        self.0.read(&mut into[..len])
    }
}

/// Says what is done: from then on it must not be lost.
struct Says;

impl Progress for Says {
    fn layer(&self, blob: &Blob, _: bool) {
        // One write, so that no line is cut off.
        io::stdout().write_all(format!("\ndone {}\n", blob.digest).as_bytes()).unwrap();
    }
}

#[test]
#[ignore = "run by what_was_done_stays"]
fn fill() {
    let place = std::env::var_os("PLINTH_STORE").expect("the test sets it");
    Made::new().read(Path::new(&place), &Says);
}

#[test]
fn what_was_done_stays() {
    let place = tempfile::tempdir().unwrap();
    let (made, mut done) = (Made::new(), Vec::<String>::new());
    let (mut kills, mut wait) = (0, 40);
    while kills < 25 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "fill", "--ignored", "--nocapture"])
            .env("PLINTH_STORE", place.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Different moments, the same in every run as far as clocks are.
        wait = (wait * 7 + 13) % 101;
        std::thread::sleep(Duration::from_millis(60 + wait));
        // SIGKILL.
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap().stdout;
        let output = String::from_utf8_lossy(&output).into_owned();
        done.extend(output.lines().filter_map(|line| line.strip_prefix("done ").map(str::to_owned)));
        kills += 1;
        let store = Store::open(place.path()).unwrap();
        for digest in &done {
            assert!(
                store.has(&digest.parse().unwrap()).unwrap(),
                "{digest} was done, and isn't there after {kills} kills"
            );
        }
        let known = made.layers.iter().filter(|(blob, _)| store.has(&blob.digest).unwrap()).count();
        if known as u64 == LAYERS {
            // All of them before it was killed often enough: the store begins anew.
            fs::remove_dir_all(place.path().join("2")).unwrap();
            done.clear();
        }
    }
    let store = Store::open(place.path()).unwrap();
    let known: Vec<_> = made
        .layers
        .iter()
        .filter(|(blob, _)| store.has(&blob.digest).unwrap())
        .map(|(blob, _)| blob)
        .collect();
    let outcome = made.read(place.path(), &());
    assert_eq!((outcome.known, outcome.problems.len()), (known.len(), 0));
    let opened = made.opened.lock().unwrap();
    assert_eq!(opened.len() + known.len(), LAYERS as usize);
    assert!(opened.iter().all(|blob| !known.contains(&blob)), "only what was missing is read");
    drop(opened);
    let files = fs::read_dir(place.path().join("2")).unwrap().count();
    assert_eq!(files as u64, LAYERS, "nothing unfinished is left");
    for (blob, bytes) in &made.layers {
        let kept: Result<Vec<Entry>, _> = store.entries(&blob.digest).unwrap().unwrap().collect();
        assert_eq!(kept.unwrap(), support::read(bytes.clone()).unwrap().1);
    }
}
