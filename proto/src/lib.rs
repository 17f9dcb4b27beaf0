//! BuildKit's wire types, their canonical encoding, and the op graph.
//!
//! # Why the bytes are kept
//!
//! A build reaches us as a *definition*: encoded ops, each known by the digest of its bytes, each naming its inputs
//! by theirs. The obvious way to change one would be to decode all of it, change the structs, and encode it again.
//! That is wrong in three ways, and none of them shows at once.
//!
//! **What isn't known is lost.** The ops were written by the BuildKit that runs the build, and it may be newer than
//! this crate. A decoder that drops the fields it doesn't know turns "mount this with the new option" into "mount
//! this", and no one is told. Here an op that isn't changed is never written again: its bytes are what was received. If
//! only its inputs change, their digests are exchanged in place; a digest has always 71 characters, so nothing else
//! moves. And an op that has to be changed in itself is refused ([`graph::GraphError::NotCanonical`]) unless its decoded
//! form gives back exactly the bytes it came from. Metadata, source locations and fields of the definition itself stay
//! encoded too.
//!
//! **Equal meaning isn't equal bytes.** The daemon decodes each op, encodes it in its own way, and from there on
//! knows it by the digest of *that*. Errors are put beside the right line of a Dockerfile by looking this digest up
//! in the source map. An op in another field order builds, caches and runs; only its errors lose their place. New ops
//! are therefore written as BuildKit writes them ([`canonical`]).
//!
//! **A missing default can stop a daemon.** In a map from text to messages an entry may leave out an empty value.
//! Rust writes it that way, and some of BuildKit's handlers follow the absent pointer and take every build of that
//! daemon with them. The generated client here encodes by way of [`codec::Codec`], which completes the entries of
//! every map in every request; there is no other way out.
//!
//! # The parts
//!
//! - [`pb`], [`gateway`], [`apicaps`], [`worker`], [`sourcepolicy`], [`rpc`], [`fsutil`]: generated types; the client is
//!   [`gateway::llb_bridge_client::LlbBridgeClient`]. **Definitions inside messages are `Bytes`** (`Ref.def`,
//!   `SolveRequest.definition`, `FrontendInputs` and so on): hand them to [`graph::Graph::decode`], and put a
//!   [`graph::Definition`] in with `.into()`. The well-known types are those of `prost_types`.
//! - [`Digest`]: how ops are named.
//! - [`graph`]: definitions as graphs, and [`graph::Rewrite`] to change them.
//! - [`canonical`]: the encoding.
//!
//! # From a definition and back
//!
//! ```
//! use plinth_proto::graph::{Graph, GraphError, Rewrite};
//! use plinth_proto::{gateway, pb};
//!
//! /// Gives every step that runs on one image another one to run on.
//! fn substitute(def: bytes::Bytes, image: &str, by: pb::Op) -> Result<gateway::SolveRequest, GraphError> {
//!     let mut rewrite = Rewrite::new(Graph::decode(def)?);
//!     let base = rewrite.steps().into_iter().find(|step| {
//!         matches!(&rewrite.graph()[*step].op().op, Some(pb::op::Op::Source(s)) if s.identifier == image)
//!     });
//!     if let Some(base) = base {
//!         let other = rewrite.add(plinth_proto::graph::NewOp { op: by, ..Default::default() })?.output(0);
//!         let (from, users) = (base.output(0), rewrite.graph().consumers(rewrite.root()));
//!         for (user, _) in users.get(&base).into_iter().flatten() {
//!             match rewrite.set_chain_input(*user, from, other) {
//!                 // A mount, or the source of a copy: it keeps the image.
//!                 Err(GraphError::NoChain { .. }) => {}
//!                 done => done?,
//!             }
//!         }
//!     }
//!     let (mut graph, root) = rewrite.finish()?;
//!     let definition = graph.definition(root)?.checked(64 << 10)?;
//!     Ok(gateway::SolveRequest { definition: Some(definition.into()), ..Default::default() })
//! }
//! ```

pub mod canonical;
pub mod codec;
mod digest;
pub mod graph;
mod wire;

pub use digest::{Digest, InvalidDigest};
pub use wire::fsutil::types as fsutil;
pub use wire::google::rpc;
pub use wire::moby::buildkit::v1::{apicaps, frontend as gateway, sourcepolicy, types as worker};
pub use wire::pb;
