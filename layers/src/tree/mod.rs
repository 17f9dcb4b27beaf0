//! File trees: physical paths, parent directories, canonical tar and its diff ID.

pub mod fs;
mod hash;
pub mod state;
pub mod tar;

pub use fs::IoError;
pub use hash::{sha256, sha256_of};
pub use tar::diff_id;

/// Version of the canonical layout of payload layers. Any change of a byte in any payload layer raises it;
/// golden diff IDs in the tests notice when it was forgotten.
pub const LAYOUT: u32 = 2;

/// Time of every directory in a payload layer, and of what belongs to one install: 1980-01-01T00:00:00Z in Unix seconds,
/// the earliest that zip archives can express. Times of files begin there, and end in 1988: [`fs::time_of`]. That is earlier
/// than any `SOURCE_DATE_EPOCH` of today, so that an exporter's `rewrite-timestamp` leaves payload layers as they are.
pub const MTIME: u64 = 315_532_800;

/// Whether a path is absolute and says where it is without looking: no empty part, `.` or `..`, no trailing `/`, and not
/// the root.
#[must_use]
pub fn is_plain(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(|part| !matches!(part, "" | "." | "..")))
}
