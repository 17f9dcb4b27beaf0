//! What a shell would execute, for the scripts of which that can be said without running them.
//!
//! `RUN pip install fastapi>=0.115.6` doesn't install fastapi 0.115.6: the shell takes `>=0.115.6` as a redirection.
//! So before anything else, a step's script is read as a shell reads it, by a real parser, and [`script`] gives a tree of
//! what it runs only if that is the same in every shell that can be `/bin/sh` in an image: dash, BusyBox ash, and bash.
//! Whatever those read differently, or whatever depends on the shell's own state, is refused with a reason that names it,
//! and the step then runs as written. What depends on files is in the tree, to be decided where the files are.
//!
//! ```text
//! form       an exec's arguments: a shell with a script, or a program
//! script     script -> tree of what it runs
//! names      what means something to the shell itself
//! guard      what is refused before the script is parsed
//! word       one word: quotes, escapes, variables
//! refusal    the reasons
//! ```

mod form;
mod guard;
mod names;
mod refusal;
mod script;
mod word;

pub use form::{Form, shell_of};
pub(crate) use names::BUILTINS;
pub use refusal::NotSimple;
pub use script::{chained, script};

#[cfg(test)]
mod tests;
