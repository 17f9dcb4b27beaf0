//! The programs that run inside a build container as `plinth step NAME`.
//!
//! Each is one function from a specification (JSON on the command line, so that it is part of the cache
//! key) and some mounted directories to some output directories. They use no network of their own.
//!
//! | step    | runs in                | reads                       | writes                     |
//! |---------|------------------------|-----------------------------|----------------------------|
//! | probe   | an image               | its root                    | `facts.json`               |
//! | resolve | the state before a RUN | its root, the RUN's mounts  | `resolution.json`          |
//! | fetch   | the state before a RUN | `resolution.json`           | the wheels, by file name   |
//! | payload | the interpreter's image| one wheel                   | its payload tree, its meta |
//! | record  | the state before a RUN | `resolution.json`, all meta | record tree, tail, verdict |
//! | remove  | the state before a RUN | `resolution.json`           | its own root               |

pub mod fetch;
pub mod payload;
pub mod probe;
pub mod record;
pub mod remove;
pub mod resolve;
