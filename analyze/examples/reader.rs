//! The reader on its own: what `hack/bench-analyze` measures, and a way to look into a layer.
//!
//! ```text
//! reader list FILE                  entries, and what the layer is
//! reader read FILE [SECONDS]        reads it over and over, one after the other
//! reader engine FILE [JOBS]         into new stores, JOBS copies at once
//! reader dir DIRECTORY [JOBS]       all layers of an image as `skopeo copy … dir:` writes it, into a new store
//! reader ceiling FILE [SECONDS] [THREADS]
//!                                   what any reader has to do: decompress, SHA-256 of stored and uncompressed bytes
//! reader bare FILE [SECONDS]        the same, and SHA-256 of the uncompressed bytes once more, as a reader of files has to
//! ```
//!
//! Figures go to stdout as `name value` lines: bytes are uncompressed ones, seconds are of the clock and of all cores.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for developers")]

use std::fs::{self, File};
use std::io::{self, BufRead, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use plinth_analyze::digest::Digest;
use plinth_analyze::engine::{self, Options};
use plinth_analyze::image::Blob;
use plinth_analyze::layer::{self, Content, Data, Entry, Limits};
use plinth_analyze::source::Blobs;
use plinth_analyze::store::Store;
use sha2::{Digest as _, Sha256};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |index: usize, default: u64| arguments.get(index).map_or(default, |text| text.parse().unwrap());
    let path = Path::new(&arguments[1]);
    match arguments[0].as_str() {
        "list" => list(path),
        "read" => repeat(number(2, 0), || read(path, &mut |_| Ok(())).uncompressed),
        "dir" => dir(path, usize::try_from(number(2, 0)).unwrap()),
        "engine" => engine(path, usize::try_from(number(2, 0)).unwrap()),
        "ceiling" => {
            let start = Instant::now();
            let threads = usize::try_from(number(3, 1)).unwrap();
            let seconds = number(2, 0);
            let bytes: u64 = std::thread::scope(|scope| {
                let run = || scope.spawn(move || bytes_for(seconds, || ceiling(path, false)));
                let threads: Vec<_> = (0..threads).map(|_| run()).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            report(bytes, start.elapsed());
        }
        "bare" => repeat(number(2, 0), || ceiling(path, true)),
        other => panic!("no such command: {other}"),
    }
}

/// Runs it at least once, and until so many seconds are over.
fn bytes_for(seconds: u64, mut once: impl FnMut() -> u64) -> u64 {
    let (start, mut bytes) = (Instant::now(), 0);
    loop {
        bytes += once();
        if start.elapsed() >= Duration::from_secs(seconds) {
            return bytes;
        }
    }
}

fn repeat(seconds: u64, once: impl FnMut() -> u64) {
    let start = Instant::now();
    let bytes = bytes_for(seconds, once);
    report(bytes, start.elapsed());
}

fn report(bytes: u64, elapsed: Duration) {
    println!("bytes {bytes}");
    println!("seconds {:.3}", elapsed.as_secs_f64());
    // User and system time, in hundredths of a second: proc(5). The second field, the name, has no blank here.
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.split(' ').collect();
    let ticks = fields[13].parse::<u64>().unwrap() + fields[14].parse::<u64>().unwrap();
    println!("core-seconds {}.{:02}", ticks / 100, ticks % 100);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("peak-kib {}", peak.trim().trim_end_matches(" kB"));
}

fn described(path: &Path) -> Blob {
    let mut hash = Sha256::new();
    let size = io::copy(&mut File::open(path).unwrap(), &mut Hashing(&mut hash)).unwrap();
    Blob { digest: Digest(hash.finalize().into()), size, media_type: String::new() }
}

struct Hashing<'a>(&'a mut Sha256);

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn read(path: &Path, entry: &mut dyn FnMut(Entry) -> io::Result<()>) -> Content {
    // The name of a file says its digest, or it is looked up, which isn't what is measured.
    static BLOB: std::sync::OnceLock<Blob> = std::sync::OnceLock::new();
    let blob = BLOB.get_or_init(|| match path.file_name().unwrap().to_str().unwrap().parse() {
        Ok(digest) => Blob { digest, size: fs::metadata(path).unwrap().len(), media_type: String::new() },
        Err(_) => described(path),
    });
    let stream = Box::new(File::open(path).unwrap());
    layer::read(stream, blob, None, &Limits::default(), entry, &|_| ())
        .unwrap_or_else(|error| panic!("{error}"))
}

fn list(path: &Path) {
    let out = io::stdout();
    let mut out = io::BufWriter::new(out.lock());
    let content = read(path, &mut |entry| {
        write!(
            out,
            "{:?} {:o} {}/{} {} {} {}",
            entry.kind,
            entry.mode,
            entry.uid,
            entry.gid,
            entry.size,
            entry.stored,
            entry.path.escape_ascii()
        )?;
        match entry.data {
            Data::None => writeln!(out),
            Data::Content(digest) => writeln!(out, " {digest}"),
            Data::Target(target) => writeln!(out, " -> {}", target.escape_ascii()),
        }
    });
    for package in &content.packages {
        let owns = package.owns.len();
        writeln!(
            out,
            "{:?} {} {} {owns} {}",
            package.ecosystem, package.name, package.version, package.directory
        )
        .unwrap();
    }
    writeln!(out, "{:#?}", Content { packages: Vec::new(), ..content }).unwrap();
}

/// The same file under every name.
struct Same<'a>(&'a Path);

impl Blobs for Same<'_> {
    fn open(&self, _: &Blob) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(self.0)?))
    }
}

fn engine(path: &Path, jobs: usize) {
    let blob = described(path);
    let options = Options { jobs: jobs.max(1), ..Options::default() };
    let place = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let mut bytes = 0;
    // A digest is read once only: so many stores.
    std::thread::scope(|scope| {
        let run = |number: usize| {
            let (blob, options, place) = (&blob, &options, place.path());
            scope.spawn(move || {
                let store = Store::open(&place.join(number.to_string())).unwrap();
                let outcome = engine::read(&[(blob.clone(), None)], &Same(path), &store, options, &());
                assert_eq!(outcome.problems, []);
                store.content(&blob.digest).unwrap().unwrap().uncompressed
            })
        };
        let threads: Vec<_> = (0..options.jobs).map(run).collect();
        bytes = threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>();
    });
    report(bytes, start.elapsed());
}

/// Blobs as files named by their digits.
struct Files<'a>(&'a Path);

impl Blobs for Files<'_> {
    fn open(&self, blob: &Blob) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(self.0.join(blob.digest.hex()))?))
    }
}

fn dir(path: &Path, jobs: usize) {
    let manifest = fs::read(path.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let layers: Vec<_> = manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| {
            let digest = layer["digest"].as_str().unwrap().parse().unwrap();
            (Blob { digest, size: layer["size"].as_u64().unwrap(), media_type: String::new() }, None)
        })
        .collect();
    let options = if jobs == 0 { Options::default() } else { Options { jobs, ..Options::default() } };
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(place.path()).unwrap();
    let start = Instant::now();
    let outcome = engine::read(&layers, &Files(path), &store, &options, &());
    let elapsed = start.elapsed();
    assert_eq!(outcome.problems, []);
    let read = layers.iter().map(|(blob, _)| store.content(&blob.digest).unwrap().unwrap());
    let contents: Vec<Content> = read.collect();
    report(contents.iter().map(|content| content.uncompressed).sum(), elapsed);
    // The directory of the store's version.
    let version = fs::read_dir(place.path()).unwrap().next().unwrap().unwrap().path();
    let kept: u64 = fs::read_dir(version).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    let entries: u64 = contents.iter().map(|content| content.entries).sum();
    let owned: usize =
        contents.iter().flat_map(|content| &content.packages).map(|package| package.owns.len()).sum();
    println!("kept {kept} for {entries} entries, and {owned} files of packages");
}

/// A stream whose bytes are hashed as they are taken.
struct Stored {
    from: io::BufReader<File>,
    hash: Sha256,
}

impl Read for Stored {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = self.fill_buf()?.read(into)?;
        self.consume(len);
        Ok(len)
    }
}

impl BufRead for Stored {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.from.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.hash.update(&self.from.buffer()[..amount]);
        self.from.consume(amount);
    }
}

fn ceiling(path: &Path, twice: bool) -> u64 {
    const BUFFER: usize = 256 << 10;
    let mut stored =
        Stored { from: io::BufReader::with_capacity(BUFFER, File::open(path).unwrap()), hash: Sha256::new() };
    let magic: [u8; 2] = stored.fill_buf().unwrap()[..2].try_into().unwrap();
    let mut stream: Box<dyn Read> = match magic {
        [0x1f, 0x8b] => Box::new(flate2::bufread::MultiGzDecoder::new(stored)),
        [0x28, 0xb5] => Box::new(zstd::stream::read::Decoder::with_buffer(stored).unwrap()),
        _ => Box::new(stored),
    };
    let (mut buffer, mut bytes, mut hash, mut again) = (vec![0; BUFFER], 0, Sha256::new(), Sha256::new());
    loop {
        let len = stream.read(&mut buffer).unwrap();
        if len == 0 {
            std::hint::black_box((hash.finalize(), again.finalize()));
            return bytes;
        }
        hash.update(&buffer[..len]);
        if twice {
            again.update(&buffer[..len]);
        }
        bytes += len as u64;
    }
}
