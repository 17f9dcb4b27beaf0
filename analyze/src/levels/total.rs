//! The figures of a level.

use std::ops::AddAssign;

use serde::Serialize;

/// What is stored, and what of it more than once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Total {
    /// Things that differ.
    pub distinct: u64,
    /// Things that are stored.
    pub copies: u64,
    /// Bytes that all of them take as they are stored.
    pub stored: u64,
    /// Of these: bytes of things that are stored more than once, all copies counted.
    pub repeated: u64,
    /// Of these: bytes that storing each thing once would save. The largest copy is the one that stays.
    pub saving: u64,
}

impl Total {
    /// Counts one thing: how often it is stored, the bytes of all its copies, and those of the largest.
    pub fn add(&mut self, copies: u64, stored: u64, largest: u64) {
        let repeated = if copies > 1 { stored } else { 0 };
        let saving = stored.saturating_sub(largest);
        *self += Self { distinct: 1, copies, stored, repeated, saving };
    }
}

impl AddAssign for Total {
    fn add_assign(&mut self, other: Self) {
        self.distinct += other.distinct;
        self.copies += other.copies;
        self.stored += other.stored;
        self.repeated += other.repeated;
        self.saving += other.saving;
    }
}
