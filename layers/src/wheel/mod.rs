//! Reading a wheel: a zip file from the network, not to be trusted, whose meaning must be exactly the installer's.
//!
//! The rule everywhere in here: whatever two readers could see differently, or an installer would trip over,
//! is an error. The caller then lets the real installer run the step.

pub mod archive;
pub mod entry_points;
pub mod error;
pub mod headers;
pub mod meta;
pub mod name;
pub mod record;
pub mod spread;

pub use error::WheelError;
pub use meta::{Entry, Kind, PayloadMeta, Pyc};
