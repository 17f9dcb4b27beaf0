//! One file per subcommand.

pub(crate) mod frontend;
pub(crate) mod step;

#[cfg(feature = "cli")]
pub(crate) mod analyze;
#[cfg(feature = "cli")]
pub(crate) mod bake;
#[cfg(feature = "cli")]
pub(crate) mod compare;
#[cfg(feature = "cli")]
pub(crate) mod explain;
#[cfg(feature = "cli")]
pub(crate) mod moves;
#[cfg(feature = "cli")]
pub(crate) mod plan;
#[cfg(feature = "cli")]
pub(crate) mod report;
#[cfg(feature = "cli")]
pub(crate) mod scan;
