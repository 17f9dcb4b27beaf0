//! One blob as a stream, taken up again where it broke: by `Range` (RFC 9110), or by skipping what was had already where a
//! server doesn't know it.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use reqwest::header::{CONTENT_RANGE, HeaderMap};
use reqwest::{Response, StatusCode};
use tokio::sync::mpsc;

use super::endpoint::{Ask, Endpoint};
use super::joined;
use super::patience::Tries;
use super::transport::{Transport, chain};
use crate::source::error::Error;

/// Pieces that may wait for the reader; each is some ten KiB.
const AHEAD: usize = 32;
/// Bytes after which a connection counts as one that works.
const PROGRESS: u64 = 1 << 20;

/// The side of the connection.
pub(super) struct Download {
    /// Where it is to be had, the best first.
    asks: Vec<(Arc<Endpoint>, Ask)>,
    at: usize,
    size: u64,
    /// Where the reader is.
    offset: u64,
    /// Bytes that come before that and are thrown away.
    skip: u64,
}

/// The side of the reader.
struct Stream {
    pieces: mpsc::Receiver<Result<Bytes, Error>>,
    piece: Bytes,
    /// Until the blob's end.
    left: u64,
    /// Without it nothing would come any more.
    _transport: Arc<Transport>,
}

impl Download {
    /// Connects, and goes on in the background as fast as the stream is read.
    pub(super) fn start(
        transport: &Arc<Transport>,
        asks: Vec<(Arc<Endpoint>, Ask)>,
        size: u64,
        from: u64,
    ) -> Result<Box<dyn Read + Send>, Error> {
        let mut download = Self { asks, at: 0, size, offset: from, skip: 0 };
        let response = transport.run(download.connect_somewhere(Vec::new()))?;
        let (sender, pieces) = mpsc::channel(AHEAD);
        let to = sender.clone();
        let pass_on = async move { download.run(response, &to).await };
        transport.spawn(pass_on, |error| async move {
            // Nobody may be reading any more.
            let _ = sender.send(Err(error)).await;
        });
        let left = size.saturating_sub(from);
        Ok(Box::new(Stream { pieces, piece: Bytes::new(), left, _transport: Arc::clone(transport) }))
    }

    /// Connects to the first endpoint, from the current one on, that has it.
    async fn connect_somewhere(&mut self, mut failures: Vec<Error>) -> Result<Response, Error> {
        while self.at < self.asks.len() {
            match self.connect().await {
                Ok(response) => return Ok(response),
                Err(error) => failures.push(error),
            }
            self.at += 1;
        }
        Err(joined(failures))
    }

    async fn connect(&mut self) -> Result<Response, Error> {
        let (offset, size) = (self.offset, self.size);
        let (endpoint, ask) = &mut self.asks[self.at];
        ask.from = offset;
        let response = endpoint.send(ask).await?;
        let lies = |how: String| Error::new(format!("{} sends {how} ({})", endpoint.host, ask.what));
        self.skip = match response.status() {
            StatusCode::PARTIAL_CONTENT if offset > 0 => {
                let (start, total) =
                    range(response.headers()).ok_or_else(|| lies("a part without saying which".into()))?;
                if start != offset {
                    return Err(lies(format!("bytes from {start} on where {offset} was asked for")));
                }
                if let Some(total) = total.filter(|total| *total != size) {
                    return Err(lies(format!("a blob of {total} bytes, its descriptor says {size}")));
                }
                0
            }
            StatusCode::PARTIAL_CONTENT => return Err(lies("a part where all was asked for".into())),
            _ => {
                if let Some(length) = response.content_length().filter(|length| *length != size) {
                    return Err(lies(format!("{length} bytes, its descriptor says {size}")));
                }
                offset
            }
        };
        Ok(response)
    }

    async fn run(
        mut self,
        mut response: Response,
        to: &mpsc::Sender<Result<Bytes, Error>>,
    ) -> Result<(), Error> {
        let mut tries = self.asks[self.at].0.tries();
        loop {
            let started = self.offset;
            let broke = match self.pass_on(&mut response, to).await {
                Ok(done) => return done,
                Err(how) => self.failure(&how),
            };
            if self.offset - started >= PROGRESS {
                tries.afresh();
            }
            response = if tries.again(None).await {
                match self.connect().await {
                    Ok(response) => response,
                    Err(error) => self.next(vec![error], &mut tries).await?,
                }
            } else {
                self.next(vec![broke], &mut tries).await?
            };
        }
    }

    async fn next(&mut self, failures: Vec<Error>, tries: &mut Tries) -> Result<Response, Error> {
        self.at += 1;
        let response = self.connect_somewhere(failures).await?;
        *tries = self.asks[self.at].0.tries();
        Ok(response)
    }

    fn failure(&self, how: &str) -> Error {
        let (endpoint, ask) = &self.asks[self.at];
        let (host, what) = (&endpoint.host, &ask.what);
        Error::new(format!("{host}: {how} after {} of {} bytes ({what})", self.offset, self.size))
    }

    /// Passes on what comes. Ends well or badly; or breaks: then it says how.
    async fn pass_on(
        &mut self,
        response: &mut Response,
        to: &mpsc::Sender<Result<Bytes, Error>>,
    ) -> Result<Result<(), Error>, String> {
        loop {
            let mut piece = match response.chunk().await {
                Ok(Some(piece)) => piece,
                // All is there, whatever the connection thinks.
                Ok(None) | Err(_) if self.offset == self.size => return Ok(Ok(())),
                Ok(None) => return Err("it ends".into()),
                Err(error) => return Err(chain(&error)),
            };
            let skipped = self.skip.min(piece.len() as u64);
            piece.advance(usize::try_from(skipped).unwrap_or(usize::MAX));
            self.skip -= skipped;
            if piece.len() as u64 > self.size.saturating_sub(self.offset) {
                let (endpoint, ask) = &self.asks[self.at];
                let (host, what, size) = (&endpoint.host, &ask.what, self.size);
                return Ok(Err(Error::new(format!(
                    "{host} sends more than the {size} bytes of its descriptor ({what})"
                ))));
            }
            self.offset += piece.len() as u64;
            if !piece.is_empty() && to.send(Ok(piece)).await.is_err() {
                return Ok(Ok(()));
            }
        }
    }
}

/// Of `bytes 5-9/10`: the first place, and the whole size if it is known.
fn range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    let (range, total) = text.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    Some((start.parse().ok()?, total))
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => return Err(error.into()),
                None if self.left == 0 => return Ok(0),
                None => return Err(io::Error::other("the download was given up")),
            }
        }
        let n = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..n]);
        self.left = self.left.saturating_sub(n as u64);
        Ok(n)
    }
}
