//! One value for what a layer's entries are, whatever their order and times.

use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

use super::tar::Member;
use super::{Data, Entry, Kind};

/// A hash over a multiset of entries: the SHA-256 of each, added up modulo 2^256, and hashed with their number.
///
/// In an entry's hash: path, kind, mode, owner, group, size, content or target, extended attributes, device numbers. Of a
/// whiteout only path and kind count, since nothing else of it has a meaning. Times don't count.
///
/// It takes 40 bytes, however many entries there are. The price: by chance, two layers with one value are as unlikely as
/// two files with one SHA-256; but somebody who sets out to make such a pair can (Wagner's generalized birthday attack on
/// sums: about 2^32 steps, and layers of 65,000 entries or more). So it says which layers are duplicates in a report, and
/// must not decide whether one layer may stand in for another.
///
/// Two layers that lead to the same tree can have different values: of the names of a file with several, which one is the
/// file and which are links depends on the order; an entry that comes twice counts twice.
#[derive(Default)]
pub(super) struct Canonical {
    sum: [u64; 4],
    entries: u64,
    /// What is hashed of an entry, to be hashed at once.
    text: Vec<u8>,
}

impl Canonical {
    /// Adds an entry. Its member has what entries have no room for.
    pub(super) fn add(&mut self, entry: &Entry, member: &Member) {
        let to = &mut self.text;
        to.clear();
        put(to, &entry.path);
        to.push(entry.kind.number());
        if !matches!(entry.kind, Kind::Whiteout | Kind::Opaque) {
            match &entry.data {
                Data::None => put(to, &[]),
                Data::Content(digest) => put(to, &digest.0),
                Data::Target(target) => put(to, target),
            }
            // What kind of device it is, among other things.
            let kind = member.kind as u64;
            let numbers =
                [entry.mode.into(), entry.uid, entry.gid, entry.size, kind, member.device.0, member.device.1];
            for number in numbers {
                to.extend_from_slice(&number.to_le_bytes());
            }
            for (name, value) in &member.xattrs {
                put(to, name);
                put(to, value);
            }
        }
        let hash = Sha256::digest(&self.text);
        self.sum(&hash);
        self.entries += 1;
    }

    fn sum(&mut self, hash: &[u8]) {
        let mut carry = false;
        for (limb, bytes) in self.sum.iter_mut().zip(hash.chunks_exact(8)) {
            let mut word = [0; 8];
            word.copy_from_slice(bytes);
            let (sum, first) = limb.overflowing_add(u64::from_le_bytes(word));
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            *limb = sum;
            carry = first || second;
        }
    }

    pub(super) fn finish(&self) -> Digest {
        let mut hash = Sha256::new();
        hash.update(self.entries.to_le_bytes());
        for limb in self.sum {
            hash.update(limb.to_le_bytes());
        }
        Digest(hash.finalize().into())
    }
}

/// With its length before it, so that no two lists of texts look the same.
fn put(to: &mut Vec<u8>, text: &[u8]) {
    to.extend_from_slice(&(text.len() as u64).to_le_bytes());
    to.extend_from_slice(text);
}
