//! The file of one layer.
//!
//! ```text
//! "plinth layer"            12 bytes
//! version of the format     4
//! digest of the blob        32
//! entries                   one zstd frame: see `code`
//! content                   one zstd frame: JSON
//! length of both frames     8 each
//! SHA-256 without entries   32: of all the above but the entries
//! SHA-256                   32: of all the above
//! ```
//!
//! Numbers are little-endian. The first checksum is there so that a layer's content can be read without its entries.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::digest::Digest;
use crate::layer::{Content, Entry};

use super::{StoreError, VERSION, clean, code};

const MAGIC: &[u8; 12] = b"plinth layer";
const HEADER: u64 = 12 + 4 + 32;
const TRAILER: u64 = 8 + 8 + 32 + 32;

/// zstd's own default. Levels above make the digests no smaller.
const LEVEL: i32 = 3;

/// A layer that is being written. Without [`Writer::finish`] nothing of it is left.
pub struct Writer {
    /// Nothing once it is finished.
    entries: Option<BufWriter<zstd::stream::write::Encoder<'static, Sink>>>,
    before: code::Before,
    coded: Vec<u8>,
    digest: Digest,
    unfinished: PathBuf,
    path: PathBuf,
}

impl Writer {
    pub(super) fn new(directory: &Path, path: PathBuf, digest: &Digest) -> Result<Self, StoreError> {
        let (file, unfinished) = clean::create(directory)?;
        let begin = || {
            let mut sink = Sink { file: BufWriter::new(file), hash: Sha256::new(), written: 0 };
            sink.write_all(&header(digest))?;
            let mut encoder = zstd::stream::write::Encoder::new(sink, LEVEL)?;
            encoder.include_checksum(false)?;
            Ok(BufWriter::with_capacity(64 << 10, encoder))
        };
        match begin() {
            Ok(entries) => Ok(Self {
                entries: Some(entries),
                before: code::Before::default(),
                coded: Vec::new(),
                digest: *digest,
                unfinished,
                path,
            }),
            Err(error) => {
                let _ = fs::remove_file(&unfinished);
                Err(StoreError::io("written", &unfinished)(error))
            }
        }
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// It can't be written.
    pub fn entry(&mut self, entry: &Entry) -> Result<(), StoreError> {
        self.coded.clear();
        code::put(entry, &mut self.before, &mut self.coded);
        match &mut self.entries {
            Some(to) => to.write_all(&self.coded).map_err(StoreError::io("written", &self.unfinished)),
            None => Ok(()),
        }
    }

    /// Adds the content, and makes it the layer's.
    ///
    /// # Errors
    /// It can't be written.
    pub fn finish(mut self, content: &Content) -> Result<(), StoreError> {
        let content = serde_json::to_vec(content).map_err(StoreError::Code)?;
        let Some(entries) = self.entries.take() else { return Ok(()) };
        let digest = self.digest;
        let end = || {
            let mut sink = entries.into_inner().map_err(io::IntoInnerError::into_error)?.finish()?;
            let content = zstd::stream::encode_all(&content[..], LEVEL)?;
            let lengths = lengths(sink.written - HEADER, content.len() as u64);
            sink.write_all(&content)?;
            sink.write_all(&lengths)?;
            sink.write_all(&without_entries(&digest, &content, &lengths))?;
            let checksum: [u8; 32] = sink.hash.finalize().into();
            sink.file.write_all(&checksum)?;
            sink.file.into_inner().map_err(io::IntoInnerError::into_error)
        };
        let file = end().map_err(StoreError::io("written", &self.unfinished))?;
        fs::rename(&self.unfinished, &self.path).map_err(StoreError::io("renamed", &self.unfinished))?;
        // The lock goes with it; before, somebody could have cleaned the file up.
        drop(file);
        self.unfinished = PathBuf::new();
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.unfinished != Path::new("") {
            let _ = fs::remove_file(&self.unfinished);
        }
    }
}

/// A file, and the checksum of what is in it.
struct Sink {
    file: BufWriter<File>,
    hash: Sha256,
    written: u64,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.file.write(bytes)?;
        self.hash.update(&bytes[..len]);
        self.written += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The entries of a layer.
pub struct Entries {
    from: BufReader<zstd::stream::read::Decoder<'static, BufReader<io::Take<File>>>>,
    before: code::Before,
    left: u64,
    path: PathBuf,
}

impl Entries {
    pub(super) fn open(mut file: File, digest: &Digest, path: PathBuf) -> Result<Option<Self>, StoreError> {
        let open = || {
            let Some(frames) = whole(&mut file, digest)? else { return Ok(None) };
            let Some(content) = read_content(&mut file, digest, &frames)? else { return Ok(None) };
            file.seek(SeekFrom::Start(HEADER))?;
            let decoder = zstd::stream::read::Decoder::new(file.take(frames.entries))?;
            Ok(Some((BufReader::with_capacity(64 << 10, decoder), content.entries)))
        };
        let found = open().map_err(StoreError::io("read", &path))?;
        Ok(found.map(|(from, left)| Self { from, before: code::Before::default(), left, path }))
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let left = self.left.checked_sub(1)?;
        let entry = code::get(&mut self.from, &mut self.before);
        // Behind an error there is nothing.
        self.left = if entry.is_ok() { left } else { 0 };
        Some(match entry {
            Ok(Some(entry)) => Ok(entry),
            Ok(None) => Err(StoreError::Damaged(self.path.clone())),
            Err(error) if is_damage(&error) => Err(StoreError::Damaged(self.path.clone())),
            Err(error) => Err(StoreError::io("read", &self.path)(error)),
        })
    }
}

fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::Other)
}

/// Where things are in a file.
pub(super) struct Frames {
    entries: u64,
    content: u64,
}

/// The content, if the file is one of this layer and its part without entries is undamaged.
pub(super) fn content(mut file: File, digest: &Digest) -> io::Result<Option<Content>> {
    match frames(&mut file, digest)? {
        Some(frames) => read_content(&mut file, digest, &frames),
        None => Ok(None),
    }
}

fn read_content(file: &mut File, digest: &Digest, frames: &Frames) -> io::Result<Option<Content>> {
    file.seek(SeekFrom::Start(HEADER + frames.entries))?;
    let mut content = Vec::new();
    (&mut *file).take(frames.content).read_to_end(&mut content)?;
    let lengths = lengths(frames.entries, frames.content);
    let (mut again, mut checksum) = ([0; 16], [0; 32]);
    if short(file.read_exact(&mut again))?.is_none() || short(file.read_exact(&mut checksum))?.is_none() {
        return Ok(None);
    }
    if again != lengths || checksum != without_entries(digest, &content, &lengths) {
        return Ok(None);
    }
    // What was written by this version can be read by it, so anything else is no file of it.
    let Ok(content) = zstd::stream::decode_all(&content[..]) else { return Ok(None) };
    Ok(serde_json::from_slice(&content).ok())
}

/// Where things are, if the file is one of this layer and all of it is undamaged.
pub(super) fn whole(file: &mut File, digest: &Digest) -> io::Result<Option<Frames>> {
    let Some(frames) = frames(file, digest)? else { return Ok(None) };
    let mut left = HEADER + frames.entries + frames.content + TRAILER - 32;
    file.seek(SeekFrom::Start(0))?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 64 << 10]);
    while left > 0 {
        let len = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if short(file.read_exact(&mut buffer[..len]))?.is_none() {
            return Ok(None);
        }
        hash.update(&buffer[..len]);
        left -= len as u64;
    }
    let mut checksum = [0; 32];
    if short(file.read_exact(&mut checksum))?.is_none() {
        return Ok(None);
    }
    let right = checksum == <[u8; 32]>::from(hash.finalize());
    Ok(right.then_some(frames))
}

fn frames(file: &mut File, digest: &Digest) -> io::Result<Option<Frames>> {
    let size = file.metadata()?.len();
    let mut found = [0; HEADER as usize];
    file.seek(SeekFrom::Start(0))?;
    if size < HEADER + TRAILER || short(file.read_exact(&mut found))?.is_none() || found != header(digest) {
        return Ok(None);
    }
    let (mut entries, mut content) = ([0; 8], [0; 8]);
    file.seek(SeekFrom::Start(size - TRAILER))?;
    if short(file.read_exact(&mut entries))?.is_none() || short(file.read_exact(&mut content))?.is_none() {
        return Ok(None);
    }
    let frames = Frames { entries: u64::from_le_bytes(entries), content: u64::from_le_bytes(content) };
    let wanted = size - HEADER - TRAILER;
    Ok((frames.entries.checked_add(frames.content) == Some(wanted)).then_some(frames))
}

/// A file that ends too early is no error of reading it.
fn short(read: io::Result<()>) -> io::Result<Option<()>> {
    match read {
        Ok(()) => Ok(Some(())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn header(digest: &Digest) -> [u8; HEADER as usize] {
    let mut header = [0; HEADER as usize];
    header[..12].copy_from_slice(MAGIC);
    header[12..16].copy_from_slice(&VERSION.to_le_bytes());
    header[16..].copy_from_slice(&digest.0);
    header
}

fn lengths(entries: u64, content: u64) -> [u8; 16] {
    let mut lengths = [0; 16];
    lengths[..8].copy_from_slice(&entries.to_le_bytes());
    lengths[8..].copy_from_slice(&content.to_le_bytes());
    lengths
}

fn without_entries(digest: &Digest, content: &[u8], lengths: &[u8; 16]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(header(digest));
    hash.update(content);
    hash.update(lengths);
    hash.finalize().into()
}
