//! From stored bytes to uncompressed ones.
//!
//! What a stream is, its first bytes say. Media types don't always: registries hold layers whose type says gzip and whose
//! bytes are a plain archive, and archives of `docker save` have no types at all.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use super::{Compression, Limits, ReadError};

/// Uncompressed bytes after which it is looked up how many stored ones they took. Smaller pieces would make decompressors
/// stop and go more often than they like to.
const PIECE: usize = 64 << 10;

/// How many stored bytes had been taken in, and how many of a buffer's were out by then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) out: usize,
    pub(super) taken: u64,
}

/// A stream that is uncompressed while it is read.
pub(super) struct Decompressor<R> {
    inner: Inner<R>,
    compression: Compression,
    taken: Rc<Cell<u64>>,
    given: u64,
    limits: Limits,
}

enum Inner<R> {
    None(Counted<R>),
    Gzip(Box<flate2::bufread::MultiGzDecoder<Counted<R>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, Counted<R>>>),
}

impl<R: BufRead> Decompressor<R> {
    /// Looks at the first four bytes.
    ///
    /// # Errors
    /// Those of the stream.
    pub(super) fn new(mut from: R, limits: &Limits) -> Result<Self, ReadError> {
        let compression = guess(from.fill_buf().map_err(ReadError::Source)?);
        let taken = Rc::new(Cell::new(0));
        let counted = Counted { from, taken: Rc::clone(&taken) };
        let inner = match compression {
            Compression::None => Inner::None(counted),
            Compression::Gzip => Inner::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(counted))),
            Compression::Zstd => {
                let mut decoder =
                    zstd::stream::read::Decoder::with_buffer(counted).map_err(ReadError::Source)?;
                decoder.window_log_max(limits.window_log).map_err(ReadError::Source)?;
                Inner::Zstd(Box::new(decoder))
            }
        };
        Ok(Self { inner, compression, taken, given: 0, limits: limits.clone() })
    }

    /// What the stream is.
    pub(super) fn compression(&self) -> Compression {
        self.compression
    }

    /// Stored bytes taken in so far.
    pub(super) fn taken(&self) -> u64 {
        self.taken.get()
    }

    /// Fills the buffer, unless the stream ends first; gives the number of bytes. The marks start with the buffer and end
    /// with what is filled.
    ///
    /// # Errors
    /// The stream is broken, or more than the limits allow.
    pub(super) fn fill(&mut self, buffer: &mut [u8], marks: &mut Vec<Mark>) -> Result<usize, ReadError> {
        marks.push(Mark { out: 0, taken: self.taken() });
        let mut len = 0;
        while len < buffer.len() {
            let (end, before) = (buffer.len().min(len + PIECE), self.taken());
            let into = &mut buffer[len..end];
            let read = match &mut self.inner {
                Inner::None(stream) => stream.read(into),
                Inner::Gzip(stream) => stream.read(into),
                Inner::Zstd(stream) => stream.read(into),
            };
            match read {
                Ok(0) => break,
                Ok(read) => {
                    // zstd takes in a block of 128 KiB as a whole: what comes out without anything being taken in belongs to
                    // what came before.
                    if self.taken() > before && marks.last().is_some_and(|mark| len >= mark.out + PIECE) {
                        marks.push(Mark { out: len, taken: before });
                    }
                    len += read;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(&error, self.given + len as u64)),
            }
        }
        marks.push(Mark { out: len, taken: self.taken() });
        self.given += len as u64;
        self.check()?;
        Ok(len)
    }

    fn check(&self) -> Result<(), ReadError> {
        if self.given > self.limits.uncompressed {
            return Err(ReadError::Limit(format!(
                "it is more than {} bytes uncompressed, the most that is read",
                self.limits.uncompressed
            )));
        }
        if self.given > self.limits.ratio_from && self.given / self.taken().max(1) > self.limits.ratio {
            return Err(ReadError::Limit(format!(
                "its first {} bytes are {} bytes uncompressed: beyond {} bytes no more than {} times as many are read",
                self.taken(),
                self.given,
                self.limits.ratio_from,
                self.limits.ratio
            )));
        }
        Ok(())
    }

    fn broken(&self, error: &io::Error, given: u64) -> ReadError {
        let text = error.to_string();
        let reason = if error.kind() == io::ErrorKind::UnexpectedEof || text.contains("incomplete frame") {
            "it ends in the middle".into()
        } else if text.contains("too much memory") {
            format!("it needs a window of more than 2^{} bytes", self.limits.window_log)
        } else if given > 0 && (text.contains("invalid gzip header") || text.contains("Unknown frame")) {
            "what stands behind its end is no further part of it".into()
        } else {
            text
        };
        ReadError::Compressed { compression: self.compression, at: self.taken(), reason }
    }
}

fn guess(start: &[u8]) -> Compression {
    match start {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        _ => Compression::None,
    }
}

/// Counts what is taken out of a stream.
struct Counted<R> {
    from: R,
    taken: Rc<Cell<u64>>,
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.from.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.taken.set(self.taken.get() + amount as u64);
        self.from.consume(amount);
    }
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.taken.set(self.taken.get() + read as u64);
        Ok(read)
    }
}
