//! One layer, from its stored bytes to its entries.
//!
//! Three threads, each with its part of the work on a core: one reads the stored bytes and hashes them, one decompresses,
//! and the caller's walks the archive, hashing all uncompressed bytes and each file's.
//!
//! # Memory
//! Two pipes of four buffers each, 128 KiB a buffer: 1 MiB. A zstd decoder takes its window besides: 8 MiB at most for
//! levels up to 19, 128 MiB at most if somebody compressed with `--long=27`. One file that describes packages, and what is
//! kept of all of them: a few megabytes in real layers, [`Limits::metadata_file`] and [`Limits::metadata_layer`] at most
//! (once more than that while a Debian list is sorted out). The map of a sparse file has up to 32 MiB. Nothing depends on the size of the layer, of a file or on the
//! number of entries.

use std::io::{self, BufRead, Read};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::digest::Digest;
use crate::image::Blob;

use super::canonical::Canonical;
use super::decompress::Decompressor;
use super::entries::{self, Odd};
use super::hash::Sha256;
use super::packages::Packages;
use super::pipe::{Chunk, Drainer, Filler, Stream, pipe};
use super::tar::{Archive, End, TarError};
use super::{Compression, Content, Data, Entry, Kind, Limits, ReadError};

/// Bytes of one buffer.
const BUFFER: usize = 128 << 10;

/// Stored bytes that are still read once it is clear that the layer can't be.
const AFTERWARDS: u64 = 1 << 30;

/// Reads a layer: gives its entries to `entry` in the order of the archive, and what it is as a whole at the end.
///
/// Nothing is sure before it returns: entries that were given before an error are to be thrown away. `progress` gets the
/// number of stored bytes as they are done with. Both are called on the caller's thread.
///
/// # Errors
/// See [`ReadError`]. An error of `entry` ends it at once; after any other, what is left of the stream is still read, up to
/// 1 GiB, to know whether it is the one that was asked for.
pub fn read(
    stream: Box<dyn Read + Send>,
    blob: &Blob,
    diff_id: Option<Digest>,
    limits: &Limits,
    entry: &mut dyn FnMut(Entry) -> io::Result<()>,
    progress: &dyn Fn(u64),
) -> Result<Content, ReadError> {
    if blob.size > limits.uncompressed {
        return Err(ReadError::Limit(format!(
            "the descriptor says {} bytes, more than the {} that are read",
            blob.size, limits.uncompressed
        )));
    }
    let abandoned = AtomicBool::new(false);
    let compression = OnceLock::new();
    let (stored, to_inflate) = pipe(BUFFER);
    let (inflated, to_parse) = pipe(BUFFER);
    let abandoned = &abandoned;
    let known = &compression;
    let (fetched, inflated, parsed) = thread::scope(|scope| {
        let spawn = |name: &str| thread::Builder::new().name(name.into());
        let fetch = spawn("fetch")
            .spawn_scoped(scope, move || fetch(stream, blob, &stored, abandoned))
            .map_err(ReadError::Source)?;
        let inflate = spawn("inflate")
            .spawn_scoped(scope, move || inflate(Stream::new(to_inflate), &inflated, known, limits))
            .map_err(ReadError::Source)?;
        let parsed = parse(Uncompressed::new(to_parse, known, progress), limits, entry);
        if matches!(parsed, Err(ReadError::Entry(_))) {
            abandoned.store(true, Ordering::Relaxed);
        }
        let inflated = inflate.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let fetched = fetch.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((fetched, inflated, parsed))
    })?;
    // What the layer isn't says more than what came of it.
    if let Err(error @ ReadError::Entry(_)) = parsed {
        return Err(error);
    }
    fetched?;
    let compression = inflated?;
    let mut content = parsed?;
    content.compression = compression;
    content.stored = blob.size;
    if compression == Compression::None {
        content.diff_id = blob.digest;
    }
    match diff_id {
        Some(expected) if expected != content.diff_id => {
            Err(ReadError::DiffId { expected, got: content.diff_id })
        }
        _ => Ok(content),
    }
}

/// Reads all stored bytes, and hands them on as long as somebody takes them.
fn fetch(
    mut stream: Box<dyn Read + Send>,
    blob: &Blob,
    to: &Filler,
    abandoned: &AtomicBool,
) -> Result<(), ReadError> {
    let (mut hash, mut got, mut spare, mut afterwards) = (Sha256::new(), 0, None, 0);
    while !abandoned.load(Ordering::Relaxed) {
        let mut bytes = match spare.take() {
            Some(bytes) => bytes,
            None => to.buffer().unwrap_or_else(|_| vec![0; BUFFER]),
        };
        let (len, ended) = fill(&mut stream, &mut bytes).map_err(ReadError::Source)?;
        got += len as u64;
        if got > blob.size {
            return Err(ReadError::Size { expected: blob.size, got: blob.size + 1 });
        }
        hash.update(&bytes[..len]);
        if len > 0 {
            // Nobody takes it after an error further on.
            spare = to.send(Chunk { bytes, len, marks: Vec::new() }).err();
            if spare.is_some() {
                afterwards += len as u64;
                if afterwards > AFTERWARDS {
                    return Ok(());
                }
            }
        }
        if ended {
            if got < blob.size {
                return Err(ReadError::Size { expected: blob.size, got });
            }
            let digest = hash.finish();
            return if digest == blob.digest { Ok(()) } else { Err(ReadError::Digest(digest)) };
        }
    }
    Ok(())
}

/// Fills the buffer, unless the stream ends; gives the number of bytes and whether it did.
fn fill(stream: &mut dyn Read, buffer: &mut [u8]) -> io::Result<(usize, bool)> {
    let mut len = 0;
    while len < buffer.len() {
        match stream.read(&mut buffer[len..]) {
            Ok(0) => return Ok((len, true)),
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((len, false))
}

/// Decompresses as long as somebody takes it.
fn inflate(
    from: Stream,
    to: &Filler,
    compression: &OnceLock<Compression>,
    limits: &Limits,
) -> Result<Compression, ReadError> {
    let mut from = Decompressor::new(from, limits)?;
    let found = *compression.get_or_init(|| from.compression());
    loop {
        let Ok(mut bytes) = to.buffer() else { return Ok(found) };
        let mut marks = Vec::new();
        let len = from.fill(&mut bytes, &mut marks)?;
        let chunk = Chunk { bytes, len, marks };
        // The last one is empty: it says what the stream's end took.
        if to.send(chunk).is_err() || len == 0 {
            return Ok(found);
        }
    }
}

/// The uncompressed bytes, which know how many stored bytes they took.
struct Uncompressed<'a> {
    from: Drainer,
    chunk: Option<Chunk>,
    at: usize,
    /// Stored bytes of the chunks before this one.
    before: u64,
    /// Uncompressed bytes of all chunks so far.
    bytes: u64,
    hash: Option<Sha256>,
    /// Of the file whose bytes are being taken.
    file: Option<Sha256>,
    compression: &'a OnceLock<Compression>,
    progress: &'a dyn Fn(u64),
}

impl<'a> Uncompressed<'a> {
    fn new(from: Drainer, compression: &'a OnceLock<Compression>, progress: &'a dyn Fn(u64)) -> Self {
        Self { from, chunk: None, at: 0, before: 0, bytes: 0, hash: None, file: None, compression, progress }
    }

    /// Stored bytes up to where the stream is: of those that were taken between two marks, each byte has the same share.
    fn stored(&self) -> u64 {
        let Some(chunk) = &self.chunk else { return self.before };
        let next = chunk.marks.partition_point(|mark| mark.out <= self.at);
        match (next.checked_sub(1).and_then(|last| chunk.marks.get(last)), chunk.marks.get(next)) {
            (Some(last), Some(next)) => {
                let took = u128::from(next.taken - last.taken) * (self.at - last.out) as u128;
                // It is no more than what was taken.
                last.taken + (took / (next.out - last.out) as u128) as u64
            }
            (Some(last), None) => last.taken,
            _ => self.before,
        }
    }

    /// SHA-256 of all of it; of a stream that isn't compressed, it is known otherwise.
    fn finish(self) -> Digest {
        self.hash.map_or(Digest([0; 32]), Sha256::finish)
    }

    /// From here on, all bytes are those of a file.
    fn begin_file(&mut self) {
        self.file = Some(Sha256::new());
    }

    /// SHA-256 of the bytes since then.
    fn end_file(&mut self) -> Option<Digest> {
        self.file.take().map(Sha256::finish)
    }
}

impl BufRead for Uncompressed<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.chunk.as_ref().is_none_or(|chunk| self.at == chunk.len) {
            if let Some(used) = self.chunk.take() {
                self.before = used.marks.last().map_or(self.before, |mark| mark.taken);
                self.from.give_back(used);
            }
            self.at = 0;
            let Some(chunk) = self.from.next() else { return Ok(&[]) };
            if self.bytes == 0 && self.compression.get() != Some(&Compression::None) {
                self.hash = Some(Sha256::new());
            }
            (self.progress)(chunk.marks.last().map_or(0, |mark| mark.taken - self.before));
            self.bytes += chunk.len as u64;
            self.chunk = Some(chunk);
        }
        Ok(self.chunk.as_ref().map_or(&[], |chunk| &chunk.bytes[self.at..chunk.len]))
    }

    fn consume(&mut self, amount: usize) {
        if let Some(chunk) = &self.chunk {
            let bytes = &chunk.bytes[self.at..self.at + amount];
            match (&mut self.hash, &mut self.file) {
                (Some(all), Some(file)) => all.update_both(file, bytes),
                (Some(one), None) | (None, Some(one)) => one.update(bytes),
                (None, None) => {}
            }
        }
        self.at += amount;
    }
}

impl Read for Uncompressed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let from = self.fill_buf()?;
        let len = from.len().min(into.len());
        into[..len].copy_from_slice(&from[..len]);
        self.consume(len);
        Ok(len)
    }
}

/// Walks the archive. Compression and number of stored bytes are not known here.
fn parse(
    stream: Uncompressed<'_>,
    limits: &Limits,
    give: &mut dyn FnMut(Entry) -> io::Result<()>,
) -> Result<Content, ReadError> {
    let mut archive = Archive::new(stream);
    let (mut canonical, mut packages, mut odd) =
        (Canonical::default(), Packages::new(limits), Odd::default());
    let (mut entries, mut files, mut file_bytes, mut holes) = (0, 0, 0u64, 0u64);
    let (mut pending, mut given) = (None::<Entry>, 0);
    let mut captured = Vec::new();
    loop {
        archive.skip().map_err(broken)?;
        let (at, boundary) = (archive.at(), archive.stream().stored());
        let Some(member) = archive.next().map_err(broken)? else { break };
        // Only now is it known that it wasn't the last one, which gets what is behind it.
        if let Some(mut entry) = pending.take() {
            entry.stored = boundary - given;
            given = boundary;
            give(entry).map_err(ReadError::Entry)?;
        }
        let mut entry = entries::entry(&member, at, &mut odd).map_err(broken)?;
        holes = holes.saturating_add(member.holes());
        check_holes(holes, archive.at(), limits)?;
        let wanted = packages.entry(&entry);
        if entry.kind == Kind::File {
            captured.clear();
            // Holes of a sparse file are no bytes of the stream.
            let mut with_holes = member.sparse.is_some().then(Sha256::new);
            if with_holes.is_none() {
                archive.stream_mut().begin_file();
            }
            archive
                .content(&member, &mut |bytes| {
                    if let Some(hash) = &mut with_holes {
                        hash.update(bytes);
                    }
                    if wanted.is_some() {
                        captured.extend_from_slice(bytes);
                    }
                })
                .map_err(broken)?;
            let digest = with_holes.map(Sha256::finish).or_else(|| archive.stream_mut().end_file());
            entry.data = digest.map_or(Data::None, Data::Content);
            files += 1;
            file_bytes += entry.size;
            if let Some(wanted) = wanted {
                packages.content(wanted, &entry.path, &captured);
                // One large file shouldn't be kept to the end.
                captured.shrink_to(1 << 20);
            }
        }
        canonical.add(&entry, &member);
        entries += 1;
        pending = Some(entry);
    }
    let behind = archive.rest().map_err(broken)?;
    let stream = archive.stream();
    let (stored, uncompressed) = (stream.before, stream.bytes);
    if let Some(mut entry) = pending {
        entry.stored = stored - given;
        give(entry).map_err(ReadError::Entry)?;
    }
    let mut notes = Vec::new();
    odd.notes(&mut notes);
    if behind > 0 {
        notes.push(format!("{behind} bytes behind its end that aren't zero"));
    }
    match archive.end() {
        End::Half => notes.push("it ends with one block of zeros instead of two".into()),
        End::Unmarked if entries > 0 => notes.push("it ends without blocks of zeros".into()),
        _ => {}
    }
    if archive.globals() > 0 {
        notes.push(format!("{} global PAX headers, which runtimes pass over", archive.globals()));
    }
    let packages = packages.finish(&mut notes);
    Ok(Content {
        compression: Compression::None,
        stored,
        diff_id: archive.into_stream().finish(),
        uncompressed,
        canonical: canonical.finish(),
        entries,
        files,
        file_bytes,
        packages,
        notes,
    })
}

fn check_holes(holes: u64, at: u64, limits: &Limits) -> Result<(), ReadError> {
    if holes > limits.holes {
        return Err(ReadError::Limit(format!(
            "its sparse files have holes of {holes} bytes; no more than {} are read",
            limits.holes
        )));
    }
    if holes.saturating_add(at) > limits.uncompressed {
        return Err(ReadError::Limit(format!(
            "with the holes of its sparse files it is more than {} bytes uncompressed, the most that is read",
            limits.uncompressed
        )));
    }
    Ok(())
}

fn broken(error: TarError) -> ReadError {
    match error {
        TarError::Broken { at, reason } => ReadError::Tar { at, reason },
        TarError::Stream(error) => ReadError::Source(error),
    }
}
