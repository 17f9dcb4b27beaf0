//! Sparse files: where what is stored of them goes.
//!
//! GNU tar has written four formats: a map in the header (`S`), and three in PAX records (0.0, 0.1, and 1.0, whose map
//! stands before the data). See the GNU tar manual, "Storing Sparse Files".

use std::io::BufRead;

use super::error::Fault;
use super::{Archive, BLOCK, number, pax};

/// Pieces of one file: a map of 16 MiB.
const PIECES: usize = 1 << 20;

/// A piece that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where in the file.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// Where the map of a member is.
#[derive(Debug)]
pub(super) enum Form {
    /// It isn't sparse.
    No,
    /// In the header and in blocks behind it.
    Header(HeaderMap),
    /// In the records.
    Listed(Vec<Piece>),
    /// Before the data.
    InData,
}

/// A map of the old format, as far as it has been read.
#[derive(Debug)]
pub(super) struct HeaderMap {
    pieces: Vec<Piece>,
    /// Whether another block follows.
    pub(super) more: bool,
}

impl HeaderMap {
    pub(super) fn new(header: &::tar::GnuHeader) -> Result<Self, Fault> {
        let mut map = Self { pieces: Vec::new(), more: header.isextended[0] != 0 };
        for piece in &header.sparse {
            map.push(&piece.offset, &piece.numbytes)?;
        }
        Ok(map)
    }

    /// Twenty-one more.
    pub(super) fn extend(&mut self, block: &[u8; BLOCK]) -> Result<(), Fault> {
        for piece in block[..21 * 24].chunks_exact(24) {
            self.push(&piece[..12], &piece[12..])?;
        }
        self.more = block[21 * 24] != 0;
        Ok(())
    }

    fn push(&mut self, offset: &[u8], length: &[u8]) -> Result<(), Fault> {
        if offset[0] == 0 && length[0] == 0 {
            return Ok(());
        }
        if self.pieces.len() == PIECES {
            return Err(too_many());
        }
        let offset = number::unsigned(offset, "offset of a sparse piece")?;
        let length = number::unsigned(length, "length of a sparse piece")?;
        self.pieces.push(Piece { offset, length });
        Ok(())
    }

    pub(super) fn finish(self, size: u64, data: u64) -> Result<Vec<Piece>, Fault> {
        check(self.pieces, size, data)
    }
}

/// The map of a PAX member.
pub(super) fn of_pax(sparse: pax::Sparse) -> Result<Form, Fault> {
    if sparse.is_none() {
        return Ok(Form::No);
    }
    let listed = |numbers: Vec<u64>| {
        if !numbers.len().is_multiple_of(2)
            || sparse.number.is_some_and(|number| number != numbers.len() as u64 / 2)
        {
            return Err(Fault::new("a map of a sparse file that isn't as long as it says"));
        }
        Ok(Form::Listed(
            numbers.chunks_exact(2).map(|pair| Piece { offset: pair[0], length: pair[1] }).collect(),
        ))
    };
    match (sparse.major, sparse.minor, &sparse.map, &sparse.pairs[..]) {
        (Some(1), Some(0), None, []) => Ok(Form::InData),
        (None, None, Some(map), []) => {
            let numbers: Option<Vec<u64>> = map.split(|byte| *byte == b',').map(pax::decimal).collect();
            listed(numbers.ok_or_else(|| Fault::new("a map of a sparse file that is none"))?)
        }
        (None, None, None, _) if sparse.number.is_some() => listed(sparse.pairs.clone()),
        _ => Err(Fault::new("a sparse file of a format that isn't known")),
    }
}

/// Format 1.0: lines of digits, up to the end of a block. Gives the bytes that it takes as well.
pub(super) fn read<R: BufRead>(archive: &mut Archive<R>) -> Result<(Vec<Piece>, u64), Fault> {
    let bad = || Fault::new("a map of a sparse file that is none");
    let (mut numbers, mut wanted, mut line, mut taken) = (Vec::new(), None, Vec::new(), 0);
    loop {
        let mut block = [0; BLOCK];
        archive.block(&mut block)?.ok_or_else(Fault::short)?;
        taken += BLOCK as u64;
        for byte in block {
            if byte != b'\n' {
                if line.len() == 20 {
                    return Err(bad());
                }
                line.push(byte);
                continue;
            }
            let value = pax::decimal(&line).ok_or_else(bad)?;
            line.clear();
            match wanted {
                None => {
                    let pieces = usize::try_from(value).ok().filter(|pieces| *pieces <= PIECES);
                    wanted = Some(2 * pieces.ok_or_else(too_many)?);
                }
                Some(_) => numbers.push(value),
            }
            if wanted == Some(numbers.len()) {
                let pieces = numbers.chunks_exact(2).map(|pair| Piece { offset: pair[0], length: pair[1] });
                return Ok((pieces.collect(), taken));
            }
        }
    }
}

/// Whether the pieces stand one behind the other in a file of this size, and are all that is stored.
pub(super) fn check(pieces: Vec<Piece>, size: u64, data: u64) -> Result<Vec<Piece>, Fault> {
    let (mut end, mut stored) = (0u64, 0u64);
    for piece in &pieces {
        if piece.offset < end {
            return Err(Fault::new("pieces of a sparse file that overlap"));
        }
        end = piece
            .offset
            .checked_add(piece.length)
            .filter(|end| *end <= size)
            .ok_or_else(|| Fault::new("a piece of a sparse file behind the file's end"))?;
        stored += piece.length;
    }
    match stored == data {
        true => Ok(pieces),
        false => {
            Err(Fault::new(format!("a sparse file whose pieces have {stored} bytes, and its data {data}")))
        }
    }
}

fn too_many() -> Fault {
    Fault::new(format!("a sparse file of more than {PIECES} pieces"))
}
