//! A Dockerfile as stages and instructions: what `parse-dockerfile` reads, with lines in the place of spans, and
//! variables expanded.
//!
//! ```text
//! lines     from bytes to lines
//! expand    variables, quotes and escapes, as BuildKit's own lexer treats them
//! heredoc   here-documents that the parser doesn't know
//! script    what the shell of a RUN gets
//! stages    which stages there are, on what they stand, and which of them a target needs
//! ```

mod expand;
mod heredoc;
mod lines;
mod script;
mod stages;

pub(crate) use expand::{Scope, expand, pairs};
pub(crate) use heredoc::without_bodies;
pub(crate) use lines::Lines;
pub(crate) use script::{Run, script};
pub(crate) use stages::{Base, Stages, needed};
