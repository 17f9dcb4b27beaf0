//! Layers that are large in one way or another: they take time, and no memory.
//!
//! Each is read in a process of its own, since the peak of memory is a process's: this test binary, run again.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod support;

use std::io::{self, Cursor, Read, Write};
use std::process::Command;

use plinth_analyze::digest::Digest;
use plinth_analyze::image::Blob;
use plinth_analyze::layer::{self, Content, Limits, ReadError};
use sha2::{Digest as _, Sha256};
use support::{Raw, gzip, noise, zstd};

/// What a process may have at its peak: what the reader says of itself, and what a test binary has besides.
const PEAK_KIB: u64 = 32 << 10;

/// Runs a test that is left out otherwise in a process of its own; gives its peak of memory.
fn alone(test: &str) -> u64 {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
        .env("PLINTH_ALONE", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let peak =
        text.lines().find_map(|line| line.split_once("peak-kib ")).expect("the test has said its peak").1;
    peak.trim().parse().unwrap()
}

/// Says the peak of this process.
fn say_peak() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("peak-kib {}", peak.trim().trim_end_matches(" kB"));
}

/// Compressed pieces one behind the other, some of them many times: members of gzip, or frames of zstd.
#[derive(Clone)]
struct Pieces(Vec<(Vec<u8>, u64)>);

impl Pieces {
    fn stream(&self) -> Box<dyn Read + Send> {
        let mut stream: Box<dyn Read + Send> = Box::new(io::empty());
        for (piece, times) in self.0.clone() {
            stream = Box::new(stream.chain(Again { piece: Cursor::new(piece), left: times }));
        }
        stream
    }

    fn blob(&self) -> Blob {
        let (mut hash, mut size) = (Sha256::new(), 0);
        for (piece, times) in &self.0 {
            for _ in 0..*times {
                hash.update(piece);
            }
            size += piece.len() as u64 * times;
        }
        Blob { digest: Digest(hash.finalize().into()), size, media_type: String::new() }
    }

    fn read(&self, limits: &Limits) -> Result<Content, ReadError> {
        let mut stored = 0;
        let content = layer::read(
            self.stream(),
            &self.blob(),
            None,
            limits,
            &mut |entry| {
                stored += entry.stored;
                Ok(())
            },
            &|_| (),
        )?;
        assert_eq!(stored, content.stored);
        Ok(content)
    }
}

struct Again {
    piece: Cursor<Vec<u8>>,
    left: u64,
}

impl Read for Again {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.left > 0 {
            let len = self.piece.read(into)?;
            if len > 0 {
                return Ok(len);
            }
            self.piece.set_position(0);
            self.left -= 1;
        }
        Ok(0)
    }
}

/// One file of so many times a piece.
fn one_file(compress: fn(&[u8]) -> Vec<u8>, piece: &[u8], times: u64) -> Pieces {
    let mut raw = Raw::default();
    let size = piece.len() as u64 * times;
    raw.with(b'0', b"large", b"", b"", |header| {
        // Base 256, since eleven octal digits don't suffice.
        header[124] = 0x80;
        header[128..136].copy_from_slice(&size.to_be_bytes());
        header[125..128].fill(0);
    });
    Pieces(vec![(compress(&raw.bytes), 1), (compress(piece), times), (compress(&[0; 1024]), 1)])
}

/// What compresses to about a third.
fn pattern() -> Vec<u8> {
    let mut pattern = Vec::new();
    for number in 0..4096 {
        let piece = noise(number, 1024);
        pattern.extend_from_slice(&piece);
        pattern.extend_from_slice(&piece);
        pattern.extend_from_slice(&piece);
        pattern.extend_from_slice(&piece);
    }
    pattern
}

#[test]
fn a_gigabyte() {
    assert!(alone("a_gigabyte_of_pattern") < PEAK_KIB + (16 << 10), "the piece is 16 MiB itself");
}

#[test]
#[ignore = "run by a_gigabyte"]
fn a_gigabyte_of_pattern() {
    let pattern = pattern();
    for compress in [gzip, zstd] {
        let content = one_file(compress, &pattern, 32).read(&Limits::default()).unwrap();
        assert_eq!((content.files, content.file_bytes), (1, 32 * pattern.len() as u64));
    }
    say_peak();
}

#[test]
#[ignore = "20 GB twice; hack/bench-analyze runs it, optimized"]
fn twenty_gigabytes() {
    let pattern = pattern();
    let times = 20_000_000_000 / pattern.len() as u64;
    for compress in [gzip, zstd] {
        let content = one_file(compress, &pattern, times).read(&Limits::default()).unwrap();
        assert_eq!(content.file_bytes, times * pattern.len() as u64);
    }
    say_peak();
}

#[test]
fn bombs_end_at_the_limit() {
    for test in ["a_gzip_bomb", "a_zstd_bomb"] {
        let peak = alone(test);
        assert!(peak < PEAK_KIB + (32 << 10), "{test}: {peak} KiB; the piece is 32 MiB itself");
    }
}

fn bomb(compress: fn(&[u8]) -> Vec<u8>) {
    // A third of a terabyte, of which no more than a gigabyte is read.
    let bomb = one_file(compress, &vec![0; 32 << 20], 10_000);
    let limits = Limits { uncompressed: 1 << 30, ..Limits::default() };
    let error = bomb.read(&limits).expect_err("it is refused").to_string();
    assert_eq!(error, "it is more than 1073741824 bytes uncompressed, the most that is read");
    say_peak();
}

#[test]
#[ignore = "run by bombs_end_at_the_limit"]
fn a_gzip_bomb() {
    bomb(|bytes| {
        // As small as gzip can be.
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    });
}

#[test]
#[ignore = "run by bombs_end_at_the_limit"]
fn a_zstd_bomb() {
    bomb(zstd);
}

#[test]
fn bombs_in_headers() {
    assert!(alone("headers_of_terabytes") < PEAK_KIB + (32 << 10));
}

#[test]
#[ignore = "run by bombs_in_headers"]
fn headers_of_terabytes() {
    let zeros = zstd(&vec![0; 32 << 20]);
    for kind in [b'x', b'g', b'L', b'K'] {
        let mut raw = Raw::default();
        raw.with(kind, b"", b"", b"", |header| header[124..136].copy_from_slice(b"77777777777\0"));
        let error = Pieces(vec![(zstd(&raw.bytes), 1), (zeros.clone(), 256)]).read(&Limits::default());
        let error = error.expect_err("it is refused").to_string();
        assert!(error.contains("an extended header of 8589934591 bytes"), "{error}");
    }
    // One that describes packages and is as long as it likes.
    for name in ["x-1.dist-info/RECORD", "var/lib/dpkg/status", "node_modules/x/package.json"] {
        let mut raw = Raw::default();
        raw.with(b'0', name.as_bytes(), b"", b"", |header| {
            header[124..136].copy_from_slice(format!("{:011o}\0", 64 << 20).as_bytes());
        });
        let pieces = Pieces(vec![(zstd(&raw.bytes), 1), (zeros.clone(), 2), (zstd(&[0; 1024]), 1)]);
        let notes = pieces.read(&Limits::default()).unwrap().notes;
        assert_eq!(notes, ["1 files that describe packages are larger than 33554432 bytes, and passed over"]);
    }
    say_peak();
}

#[test]
fn a_million_files() {
    assert!(alone("a_million_tiny_files") < PEAK_KIB);
}

#[test]
#[ignore = "run by a_million_files"]
fn a_million_tiny_files() {
    struct Files {
        next: u64,
        piece: Cursor<Vec<u8>>,
    }
    impl Read for Files {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            loop {
                let len = self.piece.read(into)?;
                if len > 0 || self.next > 1000 {
                    return Ok(len);
                }
                let mut raw = Raw::default();
                if self.next < 1000 {
                    for file in 0..1000 {
                        raw.file(&format!("usr/lib/{}/{file}", self.next), format!("{file}").as_bytes());
                    }
                } else {
                    raw.data(&[0; 1024]);
                }
                self.next += 1;
                self.piece = Cursor::new(zstd(&raw.bytes));
            }
        }
    }
    let files = || Files { next: 0, piece: Cursor::default() };
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 64 << 10]);
    let mut stream = files();
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => break,
            len => {
                hash.update(&buffer[..len]);
                size += len as u64;
            }
        }
    }
    let blob = Blob { digest: Digest(hash.finalize().into()), size, media_type: String::new() };
    let place = tempfile::tempdir().unwrap();
    let store = plinth_analyze::store::Store::open(place.path()).unwrap();
    let mut writer = store.writer(&blob.digest).unwrap();
    let start = std::time::Instant::now();
    let content = layer::read(
        Box::new(files()),
        &blob,
        None,
        &Limits::default(),
        &mut |entry| writer.entry(&entry).map_err(io::Error::other),
        &|_| (),
    )
    .unwrap();
    writer.finish(&content).unwrap();
    assert_eq!((content.entries, content.files), (1_000_000, 1_000_000));
    let taken = start.elapsed();
    let kept = std::fs::metadata(place.path().join("2").join(blob.digest.hex())).unwrap().len();
    println!("read and kept in {taken:?}, {kept} bytes kept");
    assert_eq!(
        store.entries(&blob.digest).unwrap().unwrap().filter(|entry| entry.is_ok()).count(),
        1_000_000
    );
    say_peak();
}
