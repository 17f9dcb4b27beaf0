//! How much one layer may ask for.

/// What a layer may come to before it is refused, and how much of it is kept in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Uncompressed bytes, the holes of sparse files counted in.
    pub uncompressed: u64,
    /// Bytes of the holes of sparse files alone. They cost nothing to store, but as much to hash as others.
    pub holes: u64,
    /// Uncompressed bytes for one stored byte. Layers of zeros are real, and compress to a thousandth (gzip) or to one
    /// 32,000th (zstd, which can do no better): so this only counts beyond [`Limits::ratio_from`].
    pub ratio: u64,
    /// Uncompressed bytes from which on [`Limits::ratio`] counts.
    pub ratio_from: u64,
    /// The largest window of a zstd frame, as a power of two. It is taken from memory.
    pub window_log: u32,
    /// Bytes of one file that describes packages (METADATA, RECORD, `status`, `package.json`). One that is larger is
    /// passed over with a note.
    pub metadata_file: u64,
    /// Bytes that all that is kept of packages may take until the layer is read; eight for each file that a package
    /// owns, sixteen for each `.pyc`. What is beyond is passed over with a note.
    pub metadata_layer: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            uncompressed: 1 << 40,
            holes: 64 << 30,
            ratio: 10_000,
            ratio_from: 64 << 30,
            window_log: 27,
            metadata_file: 32 << 20,
            metadata_layer: 128 << 20,
        }
    }
}
