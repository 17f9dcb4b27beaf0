//! Bytes: what an install step asks for, wheels, and the canonical layers they become.
//!
//! This crate knows nothing of BuildKit. What runs inside a build container (`plinth step …`) is in
//! [`steps`]; everything it needs to know of pip, wheels and interpreters is in the modules beside it.
//!
//! ```text
//! apt/          what a master image says of its packages, and whether that still holds
//! pip/          what a `pip install` command line, its environment and its configuration mean
//! uv/           the same for uv, and what it leaves behind
//! wheel/        reading a wheel (zip, RECORD, WHEEL) and spreading it over an install scheme
//! install/      what an installer writes besides the wheel's own files: scripts, RECORD, REQUESTED, …
//! tree/         file trees: physical paths, parent directories, canonical tar and its diff ID
//! steps/        the programs that run inside a build: probe, resolve, fetch, payload, record, remove
//! facts         what a root file system is: OS, libc, interpreters
//! described     an interpreter, as it describes itself
//! said          what an installer says, fit to be shown again
//! lock          the versions of a planned fleet
//! resolution    what a step installs: the document those programs exchange
//! script/       a shell script of installs, walked in the state that it runs in
//! ```

pub mod apt;
mod described;
pub mod facts;
pub mod install;
pub mod lock;
pub mod pip;
pub mod resolution;
mod said;
pub mod script;
pub mod steps;
pub mod tree;
pub mod uv;
pub mod wheel;
