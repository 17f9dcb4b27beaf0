//! uv: what `uv pip install` would install in a state, by uv's own answer, and what it leaves behind.
//!
//! uv differs from pip in nearly every file that an installer writes itself: RECORD, INSTALLER, REQUESTED, generated
//! scripts, modes of scripts, empty directories, byte code (none by default), a lock file. All of it was measured with
//! the releases of [`is_known`]; a release outside of them is not understood.
//!
//! ```text
//! answer     the plan that a dry run prints
//! files      what uv writes besides the wheel's own files
//! pylock     addresses and checksums of the wheels, as uv itself locks them
//! resolve    runs uv in the state before a step and judges
//! state      environment, options and configuration that steer it
//! ```

mod answer;
pub(crate) mod files;
mod pylock;
mod resolve;
mod state;

pub use answer::{Answer, Change};
pub use pylock::{LockedWheel, parse_pylock};
pub use resolve::{Given, Problem, Wheels, plan};
pub use state::check_image_state;

/// First and last release of uv that was measured.
const KNOWN: ((u32, u32, u32), (u32, u32, u32)) = ((0, 9, 0), (0, 13, 8));

/// Whether what this release of uv leaves behind is known: `X.Y.Z`, nothing before or after it.
#[must_use]
pub fn is_known(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
    match (parts.next().flatten(), parts.next().flatten(), parts.next().flatten(), parts.next()) {
        (Some(major), Some(minor), Some(patch), None) => (KNOWN.0..=KNOWN.1).contains(&(major, minor, patch)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_known;

    #[test]
    fn known_releases() {
        for known in ["0.9.0", "0.9.30", "0.12.24", "0.13.8"] {
            assert!(is_known(known), "{known}");
        }
        for unknown in ["0.8.24", "0.13.9", "0.14.0", "1.0.0", "0.13", "0.13.8.1", "0.13.8rc1", ""] {
            assert!(!is_known(unknown), "{unknown}");
        }
    }
}
