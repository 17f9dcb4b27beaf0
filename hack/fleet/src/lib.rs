//! Turns the facts of a real fleet of container builds into service directories that have these facts.
//!
//! The facts (`facts.json`, see the README beside it) say *what* a public fleet does: bases, stages, packages, the
//! forms of its pip steps, the traps in them. The text of every generated file is this crate's own. The demo, the
//! tests and the benchmark build these directories, so that they meet what real Dockerfiles do without carrying
//! anyone's source.

pub mod app;
pub mod apt;
pub mod coverage;
pub mod dockerfile;
pub mod facts;
pub mod generate;
pub mod node;
pub mod pip;
pub mod requirements;
pub mod select;
pub mod stage;
pub mod vary;
