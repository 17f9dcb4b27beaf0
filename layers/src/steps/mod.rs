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
//! | group   | the interpreter's image| several wheels              | one tree of all, their meta |
//! | record  | the state before a RUN | `resolution.json`, all meta | record tree, tail, verdict |
//! | warm    | an image               | its interpreter             | byte code of its modules   |
//! | remove  | the state before a RUN | `resolution.json`           | its own root               |
//! | carry   | the state before a COPY| what is copied, meta        | `carried.json`             |
//! | rest    | the state before a COPY| what is copied, meta        | what no payload brings     |
//! | survey  | the state after a RUN  | the states around it        | `survey.json`              |
//! | cut     | the state after a RUN  | the states around it        | payload trees, their meta  |
//! | rest-of | the state before, with layers | the states around it, meta | the state after      |
//! | satisfied | the state before a RUN | its root, the inventory   | `satisfied.json`           |

pub mod carry;
pub mod cut;
pub mod fetch;
pub mod group;
pub mod payload;
pub mod probe;
pub mod record;
pub mod remove;
pub mod resolve;
pub mod satisfied;
pub mod summary;
pub mod warm;

/// Where the directories of a step are mounted in its container.
///
/// All below one directory, which doesn't exist in images: the mount points vanish with the container.
pub mod mounts {
    /// The frontend image: the tool is `plinth` in it.
    pub const TOOL: &str = "/.plinth/tool";
    /// The wheel of `payload`, by its file name; the wheels of `group`, in `N/`.
    pub const WHEEL: &str = "/.plinth/wheel";
    /// What the step makes: facts, a resolution, wheels, a payload tree.
    pub const OUT: &str = "/.plinth/out";
    /// What `payload` says of its tree.
    pub const META: &str = "/.plinth/meta";
    /// The directory with the fleet's lock, for `resolve`.
    pub const LOCK: &str = "/.plinth/lock";
    /// `N/` for each image that may compile, for `resolve` where the step's own interpreter can't be run.
    pub const COMPILERS: &str = "/.plinth/compilers";
    /// The directory with the resolution, for steps that read it.
    pub const RESOLUTION: &str = "/.plinth/resolution";
    /// `N/` for each distribution of the plan: what `payload` said of it.
    pub const METAS: &str = "/.plinth/metas";
    /// `N/` for each distribution of the tail: its payload tree.
    pub const TREES: &str = "/.plinth/trees";
    /// The record tree that `record` makes.
    pub const RECORD: &str = "/.plinth/record";
    /// The tail tree that `record` makes.
    pub const TAIL: &str = "/.plinth/tail";
    /// The verdict of `record`, when it is asked why it refused.
    pub const STATUS: &str = "/.plinth/status";
    /// Memory for what a step only needs while it runs.
    pub const SCRATCH: &str = "/.plinth/scratch";
    /// Byte code of the base's own modules, so that interpreters start faster; may be absent.
    pub const PYCACHE: &str = "/.plinth/pycache";
    /// The directory that a COPY copies.
    pub const FROM: &str = "/.plinth/from";
    /// The state before a step that has run.
    pub const BEFORE: &str = "/.plinth/before";
    /// The state after it.
    pub const AFTER: &str = "/.plinth/after";
    /// The state before with layers on it, which becomes the state after.
    pub const STATE: &str = "/.plinth/state";
    /// What `carry` found, for `rest`.
    pub const CARRIED: &str = "/.plinth/carried";
    /// Facts that a result rests on; nothing reads them there, but the result depends on them.
    pub const EVIDENCE: &str = "/.plinth/evidence";
}
