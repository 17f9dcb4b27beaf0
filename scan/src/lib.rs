//! Reading a fleet: a tree of services as a platform team has it in its repositories.
//!
//! Nothing that is found is ever run, and nothing is asked of a network. Each Dockerfile is read as BuildKit would read
//! it; each build that a compose or bake file describes is one *service*, and so is each Dockerfile that none of them names.
//!
//! ```text
//! walk          which files there are
//! builds        compose and bake files: which context, target and arguments a Dockerfile is built with
//! context       a build context: what is in it, and what .dockerignore leaves out
//! dockerfile    a Dockerfile as stages and instructions, variables expanded
//! image         what of the context is where in a stage's file system
//! instructions  the instructions of a Dockerfile, followed stage by stage
//! shell         the commands of a RUN, as far as they can be read
//! steps         the install steps: their form, which installs they come to, how plinth would treat them
//! requirements  requirement files, line by line, with what they include
//! project       pyproject.toml and lock files
//! policies      policies that lie in the tree
//! service       one service, put together
//! conflicts     over all services: package by package, do the specifiers leave one version?
//! fleet         everything
//! finding       what a person should look at, with file and line
//! ```
#![forbid(unsafe_code)]

mod builds;
mod class;
mod conflicts;
mod context;
mod dockerfile;
mod finding;
mod fleet;
mod image;
mod instructions;
mod policies;
mod project;
mod requirements;
mod service;
mod shell;
mod steps;
mod walk;

pub use class::Class;
pub use conflicts::{Conflict, SpecifierUse};
pub use finding::{Finding, Kind, Severity};
pub use fleet::{AptUse, Duplicate, Fleet, Options, SCHEMA_VERSION, scan};
pub use requirements::Requirement;
pub use service::{ContextFrom, Service, StageEntry};
pub use steps::{Foreseen, Form, Step};
pub use walk::WalkError;
