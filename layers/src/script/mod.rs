//! A shell script of installs, as far as it is understood, and the order in which it runs them.
//!
//! A RUN is seldom one command: `if [ -f requirements.txt ]; then pip install -r requirements.txt; fi`,
//! `pip install --upgrade pip && pip install …`, `pip install -r a.txt || pip install b`. What such a script installs
//! depends on the files of the state that it runs in, so it is kept as a tree ([`Node`]) and walked where those files
//! are ([`walk()`]). Where the walk reaches something that is not understood, the step runs as written.

mod node;
mod walk;

pub use node::{FileTest, Install, Node};
pub use walk::{Asked, Next, Refusal, World, first, walk};
