//! End to end: real builds on a real BuildKit, plain and through plinth, compared byte by byte.
//!
//! Every test asks [`support::env::env`] for the builder first. Without `PLINTH_E2E=1` it is skipped with a
//! message; with it, a missing part of the environment is a failure and never a skip. `hack/test` sets it up:
//!
//! ```text
//! hack/up && . .plinth/env && PLINTH_E2E=1 cargo test --test e2e
//! ```
//!
//! Other variables: `PLINTH_E2E_FRONTEND=builtin` puts the built-in frontend on both sides (that tests the
//! harness), `PLINTH_DUMP=DIR` writes the definition of every Dockerfile of the corpus to DIR.
//!
//! The tests of the comparison itself (`comparison`) need no builder, except those that compare byte code.
#![allow(clippy::unwrap_used)]

mod activated;
mod addresses;
mod analyze;
mod apt;
mod bad_input;
mod bake;
mod bases;
mod carried;
mod comparison;
mod coverage;
mod cut;
mod definitions;
mod fleet;
mod foreign;
mod foreign_lock;
mod generated;
mod grouped;
mod local_wheels;
mod lock;
mod moves;
mod musl;
mod passthrough;
mod patched;
mod pip;
mod pip_trees;
mod plan;
mod recipe;
mod regressions;
mod reproducible;
mod scripts;
mod secrets;
mod support;
mod uv;
mod without_mergeop;
