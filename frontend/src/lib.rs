//! The build: what BuildKit runs for each `docker build` that names plinth as its frontend.
//!
//! ```text
//! transport      HTTP/2 over stdio
//! bridge         BuildKit's calls
//! request        what BuildKit asks for
//! policy/        the platform team's plinth.toml
//! policy_source  where it comes from
//! upstream       BuildKit's own Dockerfile frontend, which does all parsing and all Dockerfile semantics
//! passes/        base substitution, pip layers
//! shell/         what a RUN's shell text would execute
//! exec           ExecOps that run plinth itself
//! image          the image config: history, environment, label
//! report/        what was done, and why
//! decisions      from passes to report
//! build          the flow of one build through all of this
//! ```

pub mod bridge;
pub mod build;
pub mod context;
pub mod decisions;
pub mod error;
pub mod exec;
pub mod image;
pub mod locks;
pub mod passes;
pub mod policy;
pub mod policy_source;
pub mod report;
pub mod request;
pub mod shell;
pub mod transport;
pub mod upstream;
