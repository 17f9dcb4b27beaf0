//! Buffers from one thread to the next, and back to be filled again.
//!
//! There are [`DEPTH`] of them in a pipe, whoever holds them: a fast thread waits for a slow one, and nothing is allocated
//! while a layer is read.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::decompress::Mark;

/// Buffers in one pipe.
pub(super) const DEPTH: usize = 4;

/// Something filled, with what the next thread has to know of it.
pub(super) struct Chunk {
    /// The bytes; its first [`Chunk::len`] count.
    pub(super) bytes: Vec<u8>,
    /// How many of them.
    pub(super) len: usize,
    /// How many stored bytes had been taken in when some of these were out; of stored ones, empty.
    pub(super) marks: Vec<Mark>,
}

/// The end that fills.
pub(super) struct Filler {
    full: Sender<Chunk>,
    empty: Receiver<Vec<u8>>,
}

/// The end that uses.
pub(super) struct Drainer {
    full: Receiver<Chunk>,
    empty: Sender<Vec<u8>>,
}

/// The other end is gone.
pub(super) struct Gone;

/// A pipe whose buffers have `size` bytes.
pub(super) fn pipe(size: usize) -> (Filler, Drainer) {
    // The number of buffers is what bounds these channels.
    let (full, full_out) = channel();
    let (empty, empty_out) = channel();
    for _ in 0..DEPTH {
        // It can't fail: the other end is here.
        let _ = empty.send(vec![0; size]);
    }
    (Filler { full, empty: empty_out }, Drainer { full: full_out, empty })
}

impl Filler {
    /// A buffer to fill.
    pub(super) fn buffer(&self) -> Result<Vec<u8>, Gone> {
        self.empty.recv().map_err(|_| Gone)
    }

    /// Passes it on; gives the buffer back if nobody takes it.
    pub(super) fn send(&self, chunk: Chunk) -> Result<(), Vec<u8>> {
        self.full.send(chunk).map_err(|refused| refused.0.bytes)
    }
}

impl Drainer {
    /// The next one; nothing if there is none to come.
    pub(super) fn next(&self) -> Option<Chunk> {
        self.full.recv().ok()
    }

    /// Gives one back.
    pub(super) fn give_back(&self, chunk: Chunk) {
        // If nobody fills any more, nobody needs it.
        let _ = self.empty.send(chunk.bytes);
    }
}

/// The bytes of a pipe as one stream.
pub(super) struct Stream {
    drainer: Drainer,
    chunk: Option<Chunk>,
    at: usize,
}

impl Stream {
    pub(super) fn new(drainer: Drainer) -> Self {
        Self { drainer, chunk: None, at: 0 }
    }
}

impl BufRead for Stream {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.chunk.as_ref().is_none_or(|chunk| self.at == chunk.len) {
            if let Some(used) = self.chunk.take() {
                self.drainer.give_back(used);
            }
            self.at = 0;
            self.chunk = self.drainer.next();
            if self.chunk.is_none() {
                return Ok(&[]);
            }
        }
        Ok(self.chunk.as_ref().map_or(&[], |chunk| &chunk.bytes[self.at..chunk.len]))
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let from = self.fill_buf()?;
        let len = from.len().min(into.len());
        into[..len].copy_from_slice(&from[..len]);
        self.consume(len);
        Ok(len)
    }
}
