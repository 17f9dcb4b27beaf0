//! What a shell would execute, for the scripts of which that can be said without running them.
//!
//! `RUN pip install fastapi>=0.115.6` doesn't install fastapi 0.115.6: the shell takes `>=0.115.6` as a redirection.
//! So before anything else, a step's script is read as a shell reads it, by a real tokenizer and word parser, and
//! [`simple_command`] gives the argument vector only if the script is exactly one simple command whose words are the
//! same in every shell that can be `/bin/sh` in an image: dash, BusyBox ash, and bash. Whatever those read
//! differently, or whatever depends on files or on the shell's own state, is refused with a reason that names it, and the
//! step then runs as written.
//!
//! ```text
//! form       an exec's arguments: a shell with a script, or a program
//! command    script of one command -> argument vector
//! script     script of several -> tree of what it runs
//! guard      what is refused before the script is parsed
//! word       one word: quotes, escapes, variables
//! refusal    the reasons
//! ```

mod command;
mod form;
mod guard;
mod refusal;
mod script;
mod word;

pub use command::{GlobWord, SimpleCommand, simple_command, simple_command_with_globs};
pub use form::{Form, shell_of};
pub use refusal::NotSimple;
pub use script::script;

#[cfg(test)]
mod tests;
