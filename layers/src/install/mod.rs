//! What an installer writes besides the wheel's own files: scripts, byte code, RECORD; and what it removes.

pub mod compile;
pub mod constants;
pub mod scripts;
pub mod uninstall;

pub use scripts::Dialect;
