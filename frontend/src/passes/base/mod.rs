//! The base pass: stages move onto the master that the policy names.
//!
//! ```text
//! uses     which images are built on, and by whom
//! decide   what the policy and the two images say, for all platforms together
//! paths    places where a build names the old interpreter's version
//! apply    the graph with masters in place
//! ```
//!
//! Chain edges only: what is merely copied or mounted from an image stays that image. Files come from the master,
//! config from the original.

mod apply;
mod decide;
mod paths;
mod uses;

pub use apply::{Applied, apply};
pub use decide::{Action, Decision, Decisions, Master, Target, decide};
