//! Planning a fleet: one version per package wherever the services' requirements allow it, else the fewest.
//!
//! The resolver is uv. Nothing of the fleet is run, and no package is built: only wheels count.
//!
//! ```text
//! sets      the distinct requests of a fleet: services that ask for the same are one
//! resolver  uv, asked about one request
//! interpreter  the interpreters that uv asks with
//! choose    from the answers to the versions
//! wheels    sizes of wheels, and what they need
//! fetch     asking a server about wheels, and fetching them
//! layers    which wheels share a layer
//! moves     whether services can move to another Python
//! imports   what the packages of a wheel import
//! base      the recipe of a master base image
//! document  plinth.lock and constraints.txt
//! ```
//!
//! # The promise
//!
//! A service that resolves alone resolves with the plan: every request is resolved once more with the versions that were
//! chosen for it, and a request for which that fails would not be among those that are planned. A service that doesn't
//! resolve alone is left out, with the resolver's reason.
#![forbid(unsafe_code)]

mod base;
mod choose;
mod document;
mod fetch;
mod imports;
mod interpreter;
mod layers;
mod moves;
mod resolver;
mod sets;
mod wheels;

pub use base::{Base, bases};
pub use choose::{LeftOut, Older, Pins, Plan, PlanError, Planned, Progress, choose};
pub use document::{constraints, lock};
pub use imports::gone;
pub use interpreter::Interpreters;
pub use layers::{Comparison, Figures, compare, layers};
pub use moves::{Change, Move, Verdict, moves};
pub use resolver::{Pin, Uv, UvError};
pub use sets::{Set, sets};
pub use wheels::{Known, Wheels, wheels};
