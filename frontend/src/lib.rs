//! Frontend.

pub mod policy;
pub mod report;
pub mod shell;
