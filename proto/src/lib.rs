//! BuildKit's wire types, their canonical encoding, and the op graph.

pub mod canonical;
pub mod codec;
mod wire;

pub use wire::fsutil::types as fsutil;
pub use wire::google::rpc;
pub use wire::moby::buildkit::v1::{apicaps, frontend as gateway, sourcepolicy, types as worker};
pub use wire::pb;
