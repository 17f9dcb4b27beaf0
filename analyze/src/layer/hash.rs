//! SHA-256 of the same bytes for two digests at once.
//!
//! Each byte of a file is hashed twice: for the file, and for the whole layer. One after the other, that takes twice as
//! long. But a core with SHA instructions spends most of a block waiting, since each round needs the one before; if the
//! blocks of two digests take turns, one goes on while the other waits, and both take less than one and a half times as long
//! as one. The bytes of a file begin at a multiple of 512 in a layer, so the blocks are the same ones.
//!
//! Padding and length are here, since `sha2` gives single blocks only without them; the blocks are its own.

use sha2::block_api::compress256;

use crate::digest::Digest;

const BLOCK: usize = 64;

/// Blocks of one digest before it is the other's turn. Two are no slower than one, and four are.
const TURN: usize = 2;

/// The first words of a digest (FIPS 180-4, 5.3.3).
const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// A digest that isn't finished.
#[derive(Clone)]
pub(super) struct Sha256 {
    state: [u32; 8],
    /// The block that isn't full.
    partial: [u8; BLOCK],
    /// Bytes so far.
    len: u64,
}

impl Sha256 {
    pub(super) fn new() -> Self {
        Self { state: START, partial: [0; BLOCK], len: 0 }
    }

    /// Adds bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        let bytes = self.fill(bytes);
        let (blocks, rest) = bytes.as_chunks();
        compress256(&mut self.state, blocks);
        self.len += (bytes.len() - rest.len()) as u64;
        self.fill(rest);
    }

    /// Adds the same bytes to two digests.
    pub(super) fn update_both(&mut self, other: &mut Self, bytes: &[u8]) {
        if self.filled() != other.filled() {
            self.update(bytes);
            other.update(bytes);
            return;
        }
        let rest = self.fill(bytes);
        other.fill(bytes);
        let (blocks, partial) = rest.as_chunks();
        for blocks in blocks.chunks(TURN) {
            compress256(&mut self.state, blocks);
            compress256(&mut other.state, blocks);
        }
        self.len += (rest.len() - partial.len()) as u64;
        other.len += (rest.len() - partial.len()) as u64;
        self.fill(partial);
        other.fill(partial);
    }

    /// The digest of all of them.
    pub(super) fn finish(mut self) -> Digest {
        let bits = self.len.wrapping_mul(8);
        let filled = self.filled();
        self.partial[filled] = 0x80;
        self.partial[filled + 1..].fill(0);
        if filled + 1 > BLOCK - 8 {
            compress256(&mut self.state, &[self.partial]);
            self.partial.fill(0);
        }
        self.partial[BLOCK - 8..].copy_from_slice(&bits.to_be_bytes());
        compress256(&mut self.state, &[self.partial]);
        let mut digest = [0; 32];
        for (bytes, word) in digest.chunks_exact_mut(4).zip(self.state) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        Digest(digest)
    }

    /// Bytes in the block that isn't full.
    fn filled(&self) -> usize {
        // It is less than 64.
        (self.len % BLOCK as u64) as usize
    }

    /// Goes on with the block that isn't full; gives the bytes behind it. If none is begun, one only is if there aren't
    /// enough bytes for a full one.
    fn fill<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let filled = self.filled();
        if filled == 0 && bytes.len() >= BLOCK {
            return bytes;
        }
        let (now, rest) = bytes.split_at(bytes.len().min(BLOCK - filled));
        self.partial[filled..filled + now.len()].copy_from_slice(now);
        self.len += now.len() as u64;
        if filled + now.len() == BLOCK {
            compress256(&mut self.state, &[self.partial]);
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use sha2::Digest as _;

    use super::*;

    #[test]
    fn as_sha2_has_it() {
        let bytes: Vec<u8> = (0..2000u32).map(|number| (number * 7 + number / 256) as u8).collect();
        let right = |bytes: &[u8]| Digest(sha2::Sha256::digest(bytes).into());
        for len in (0..300).chain([1000, 2000]) {
            for cut in [0, 1, 55, 63, 64, 65, 128, 200, 1000].map(|cut| len.min(cut)) {
                let (mut one, mut other, mut third) = (Sha256::new(), Sha256::new(), Sha256::new());
                third.update(&bytes[..7]);
                one.update_both(&mut other, &bytes[..cut]);
                one.update_both(&mut third, &bytes[cut..len]);
                other.update(&bytes[cut..len]);
                assert_eq!(one.finish(), right(&bytes[..len]), "{len} {cut}");
                assert_eq!(other.finish(), right(&bytes[..len]), "{len} {cut}");
                assert_eq!(third.finish(), right(&[&bytes[..7], &bytes[cut..len]].concat()), "{len} {cut}");
            }
        }
    }
}
