//! File trees: physical paths, parent directories, canonical tar and its diff ID.

pub mod fs;
pub mod state;
pub mod tar;

pub use fs::IoError;
pub use tar::diff_id;

/// Version of the canonical layout of payload layers. Any change of a byte in any payload layer raises it;
/// golden diff IDs in the tests notice when it was forgotten.
pub const LAYOUT: u32 = 1;

/// Time of every file and directory in a payload layer: 1980-01-01T00:00:00Z in Unix seconds, the
/// earliest that zip archives can express and earlier than any `SOURCE_DATE_EPOCH` in use, so that an
/// exporter's `rewrite-timestamp` leaves payload layers as they are.
pub const MTIME: u64 = 315_532_800;
