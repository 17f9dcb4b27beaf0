//! A tar archive as a stream of members, read so that there is no second way to read it.
//!
//! The framing is our own and the `tar` crate gives the fields of headers, for three reasons: that crate keeps extended
//! headers of any length in memory, it reads an archive whose PAX size and header size disagree without a word, and it
//! doesn't know the sparse files that GNU tar writes into PAX archives. A layer that two tools see differently can hide
//! files from one of them, so whatever GNU tar, Go's `archive/tar` (which Docker, containerd and BuildKit use) and
//! Python's `tarfile` disagree about is an error here.
//!
//! Formats: POSIX.1-1988 ustar, POSIX.1-2001 PAX, GNU, V7.

mod error;
mod header;
mod number;
mod pax;
mod sparse;

use std::io::{self, BufRead};

pub use error::TarError;
pub use header::{Member, Type};

use error::Fault;
use header::Extended;

/// Bytes of one block.
const BLOCK: usize = 512;

/// Bytes of one extended header. Go's limit, too.
const EXTENDED: u64 = 1 << 20;

/// Extended headers before one member.
const EXTENDED_HEADERS: usize = 16;

/// What is read of an archive, member by member.
pub struct Archive<R> {
    from: R,
    /// Bytes taken so far.
    at: u64,
    /// Bytes left of the member's data.
    data: u64,
    /// Bytes behind it up to the next block.
    padding: u64,
    end: End,
    globals: u64,
}

/// How an archive ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It didn't yet.
    Open,
    /// With two blocks of zeros, as it should.
    Marked,
    /// With one block of zeros.
    Half,
    /// Behind the last member.
    Unmarked,
}

impl<R: BufRead> Archive<R> {
    /// Reads from the stream's place on.
    pub fn new(from: R) -> Self {
        Self { from, at: 0, data: 0, padding: 0, end: End::Open, globals: 0 }
    }

    /// The stream. Up to [`Archive::next`] it stands behind the member before, once that is skipped.
    pub fn stream(&self) -> &R {
        &self.from
    }

    /// The same, to be asked for more than its bytes; taking some would break the archive.
    pub fn stream_mut(&mut self) -> &mut R {
        &mut self.from
    }

    /// The stream, when the archive is done with.
    pub fn into_stream(self) -> R {
        self.from
    }

    /// Bytes taken so far.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// How it ended.
    pub fn end(&self) -> End {
        self.end
    }

    /// Global extended headers so far. They say nothing that changes a member, or would be an error.
    pub fn globals(&self) -> u64 {
        self.globals
    }

    /// Passes over what is left of the member.
    ///
    /// # Errors
    /// The stream ends before.
    pub fn skip(&mut self) -> Result<(), TarError> {
        let header = self.at;
        let left = self.data + self.padding;
        (self.data, self.padding) = (0, 0);
        self.pass(left, &mut |_| {}).map_err(|fault| fault.at(header))
    }

    /// The next member; nothing at the end of the archive.
    ///
    /// # Errors
    /// The archive is broken, or ambiguous.
    #[allow(clippy::should_implement_trait, reason = "an iterator would need the data to be read before")]
    pub fn next(&mut self) -> Result<Option<Member>, TarError> {
        self.skip()?;
        if self.end != End::Open {
            return Ok(None);
        }
        let mut extended = Extended::default();
        for _ in 0..=EXTENDED_HEADERS {
            let start = self.at;
            match self.header(&mut extended).map_err(|fault| fault.at(start))? {
                Step::Member(member) => return Ok(Some(member)),
                Step::Extended => {}
                Step::End => return Ok(None),
            }
        }
        Err(Fault::new(format!("more than {EXTENDED_HEADERS} extended headers before one member"))
            .at(self.at))
    }

    /// Gives the member's content, the holes of a sparse file as zeros, in pieces of any size.
    ///
    /// # Errors
    /// The stream ends before.
    pub fn content(&mut self, member: &Member, give: &mut dyn FnMut(&[u8])) -> Result<(), TarError> {
        let start = self.at;
        let mut inner = || {
            let Some(map) = &member.sparse else {
                return self.take(self.data, give);
            };
            let mut at = 0;
            for piece in map {
                zeros(piece.offset - at, give);
                self.take(piece.length, give)?;
                at = piece.offset + piece.length;
            }
            zeros(member.size - at, give);
            Ok(())
        };
        inner().map_err(|fault: Fault| fault.at(start))
    }

    /// Reads on to the end of the stream; gives the number of bytes behind the archive's end that are not zero.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn rest(&mut self) -> Result<u64, TarError> {
        let mut odd = 0;
        loop {
            let bytes = self.from.fill_buf().map_err(|error| Fault::Stream(error).at(self.at))?;
            if bytes.is_empty() {
                return Ok(odd);
            }
            odd += bytes.iter().filter(|byte| **byte != 0).count() as u64;
            let len = bytes.len();
            self.from.consume(len);
            self.at += len as u64;
        }
    }

    /// One header, and of an extended one its data.
    fn header(&mut self, extended: &mut Extended) -> Result<Step, Fault> {
        let mut header = ::tar::Header::new_old();
        match self.block(header.as_mut_bytes())? {
            Some(()) if header.as_bytes().iter().any(|byte| *byte != 0) => {}
            found => return self.ended(found, extended),
        }
        header::checksum(header.as_bytes())?;
        let flavour = header::flavour(&header);
        let flag = header.as_old().linkflag[0];
        if let b'x' | b'g' | b'L' | b'K' = flag {
            if flavour == header::Flavour::Old {
                return Err(Fault::new("an extended header in an archive of the old format"));
            }
            let data = self.extended(&header)?;
            match flag {
                b'x' => extended.pax(pax::records(&data)?)?,
                b'g' => {
                    pax::check_global(&data)?;
                    self.globals += 1;
                }
                b'L' => extended.long_name(data)?,
                _ => extended.long_link(data)?,
            }
            return Ok(Step::Extended);
        }
        let found = std::mem::take(extended);
        let mut described = header::member(&header, flavour, found)?;
        self.data = described.archived;
        self.padding = padding(described.archived);
        match described.sparse {
            sparse::Form::No => {}
            sparse::Form::Header(mut map) => {
                while map.more {
                    let mut block = [0; BLOCK];
                    self.block(&mut block)?.ok_or_else(Fault::short)?;
                    map.extend(&block)?;
                }
                described.member.sparse = Some(map.finish(described.member.size, self.data)?);
            }
            sparse::Form::Listed(map) => {
                described.member.sparse = Some(sparse::check(map, described.member.size, self.data)?);
            }
            sparse::Form::InData => {
                let (map, taken) = sparse::read(&mut *self)?;
                let left = self.data.checked_sub(taken);
                self.data =
                    left.ok_or_else(|| Fault::new("the map of a sparse file is longer than its data"))?;
                described.member.sparse = Some(sparse::check(map, described.member.size, self.data)?);
            }
        }
        Ok(Step::Member(described.member))
    }

    /// What a block of zeros means, or no block at all.
    fn ended(&mut self, found: Option<()>, extended: &Extended) -> Result<Step, Fault> {
        if !extended.is_empty() {
            return Err(Fault::new("an extended header at the end, with no member that it is for"));
        }
        let mut second = [0; BLOCK];
        self.end = match found {
            None => End::Unmarked,
            Some(()) => match self.block(&mut second)? {
                None => End::Half,
                Some(()) if second.iter().all(|byte| *byte == 0) => End::Marked,
                // Python stops here, GNU tar reads on, Go gives up.
                Some(()) => return Err(Fault::new("one block of zeros and then something else")),
            },
        };
        Ok(Step::End)
    }

    /// The data of an extended header, up to the next block.
    fn extended(&mut self, header: &::tar::Header) -> Result<Vec<u8>, Fault> {
        let size = number::unsigned(&header.as_old().size, "size")?;
        if size > EXTENDED {
            return Err(Fault::new(format!(
                "an extended header of {size} bytes; no more than {EXTENDED} are read"
            )));
        }
        let mut data = Vec::new();
        self.pass(size, &mut |bytes| data.extend_from_slice(bytes))?;
        self.pass(padding(size), &mut |_| {})?;
        Ok(data)
    }

    /// One block; nothing at the end of the stream.
    fn block(&mut self, into: &mut [u8; BLOCK]) -> Result<Option<()>, Fault> {
        let mut len = 0;
        while len < BLOCK {
            match self.from.read(&mut into[len..]) {
                Ok(0) if len == 0 => return Ok(None),
                Ok(0) => return Err(Fault::short()),
                Ok(read) => len += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::Stream(error)),
            }
        }
        self.at += BLOCK as u64;
        Ok(Some(()))
    }

    /// Gives bytes of the member's data.
    fn take(&mut self, len: u64, give: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
        self.pass(len, give)?;
        self.data -= len;
        Ok(())
    }

    fn pass(&mut self, mut left: u64, give: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
        while left > 0 {
            let bytes = match self.from.fill_buf() {
                Ok([]) => return Err(Fault::short()),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Fault::Stream(error)),
            };
            let len = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
            give(&bytes[..len]);
            self.from.consume(len);
            self.at += len as u64;
            left -= len as u64;
        }
        Ok(())
    }
}

/// What one header was.
enum Step {
    Member(Member),
    Extended,
    End,
}

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

fn zeros(mut len: u64, give: &mut dyn FnMut(&[u8])) {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    while len > 0 {
        let piece = len.min(ZEROS.len() as u64);
        // It is no longer than the array.
        give(&ZEROS[..piece as usize]);
        len -= piece;
    }
}
