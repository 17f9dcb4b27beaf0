//! From a script to the tree of what it runs.
//!
//! The grammar is the parser's. Around it, three checks, each of which can only refuse more: the tokens must be found
//! again in the script, with nothing but blanks, comments and line ends between them; what the tree is made of must be
//! just those tokens, in their order; and whatever the tree doesn't know is either refused or becomes a node at which
//! a walk ends.
//!
//! ```text
//! tokens      the script's words and operators, found again in its text
//! tree        the grammar's tree: lists, conditions, subshells
//! redirect    redirections
//! command     one command: what it does, by its name
//! chained     `a && b && c`, taken apart
//! ```

mod chained;
mod command;
mod redirect;
mod tokens;
mod tree;

use std::cell::RefCell;

use brush_parser::{ParserOptions, parse_tokens};
use plinth_layers::script::Node;

pub use self::chained::chained;
use self::tokens::accounted;
use self::tree::{Reader, sequence};
use super::{NotSimple, guard};

/// The tree of `sh -c SCRIPT`.
///
/// `env` is the step's *whole* environment: what it doesn't have counts as unset. That includes what the builder adds to
/// the environment of an exec (proxy variables, for instance), and no exported shell functions (`BASH_FUNC_…`) may be
/// in it; the caller sees to both. Shell options are assumed to be the defaults, up to what [`super::shell_of`] lets
/// through. `is_installer` tells by its name whether a program is one whose commands become [`Node::Install`].
///
/// # Errors
/// A construct that is not understood wherever it stands, or that shells don't all read alike.
///
/// # Examples
/// ```
/// # use plinth_frontend::shell::script;
/// # use plinth_layers::script::{Install, Node};
/// let read = |text: &str| script(text, &|_| None, &|program| program == "pip");
/// let argv = ["pip", "install", "fastapi>=0.115"].map(str::to_owned).to_vec();
/// assert_eq!(read("pip install 'fastapi>=0.115'").unwrap(), Node::Install(Install::new(argv)));
/// // Without quotes, it is a redirection.
/// let argv = ["pip", "install", "fastapi"].map(str::to_owned).to_vec();
/// let outputs = vec!["=0.115".to_owned()];
/// assert_eq!(
///     read("pip install fastapi>=0.115").unwrap(),
///     Node::Install(Install { outputs, ..Install::new(argv) })
/// );
/// ```
pub fn script(
    script: &str,
    env: &dyn Fn(&str) -> Option<String>,
    is_installer: &dyn Fn(&str) -> bool,
) -> Result<Node, NotSimple> {
    guard::check(script, env)?;
    let options = options();
    let (tokens, found) = tokens::read(script, &options)?;
    let start = tokens.iter().position(|t| t.to_str() != "\n").ok_or(NotSimple::Nothing)?;
    let program =
        parse_tokens(&tokens[start..], &options).map_err(|e| NotSimple::Unreadable(e.to_string()))?;
    let used = RefCell::new(Vec::new());
    let noting = |name: &str| {
        used.borrow_mut().push(name.to_owned());
        env(name)
    };
    let mut reader = Reader { options, env: &noting, is_installer, seen: Vec::new() };
    let mut nodes = Vec::new();
    for list in &program.complete_commands {
        nodes.extend(reader.items(list)?);
    }
    accounted(&found, &reader.seen)?;
    let tree = sequence(nodes);
    let changed = |name: &&String| CHANGED_BY_ACTIVATION.iter().any(|start| name.starts_with(start));
    match used.borrow().iter().find(changed) {
        Some(name) if tree.activates() => Err(NotSimple::Activated(name.clone())),
        _ => Ok(tree),
    }
}

/// Beginnings of the names of variables that the activation of a virtual environment changes.
const CHANGED_BY_ACTIVATION: &[&str] = &["VIRTUAL_ENV", "_OLD_VIRTUAL", "PATH", "PYTHONHOME", "PS1"];

/// How scripts are parsed: as a plain `sh` would, with what shells do differently left to be refused.
fn options() -> ParserOptions {
    ParserOptions {
        enable_extended_globbing: false,
        posix_mode: true,
        sh_mode: true,
        tilde_expansion_at_word_start: false,
        tilde_expansion_after_colon: false,
        ..ParserOptions::default()
    }
}

#[cfg(test)]
mod tests;
