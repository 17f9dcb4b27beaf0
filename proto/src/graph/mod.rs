//! A definition as a graph: an arena of ops that never change, and edges between them.
//!
//! - [`Graph::decode`] fills it from an encoded definition.
//! - [`Graph::add`], [`Graph::with_inputs`] and [`Graph::edit`] make further ops beside those that are there. An op's
//!   inputs exist before it does, so its digest is known at once and a cycle can't be written down.
//! - [`Graph::definition`] marshals whatever one edge needs. Any edge will do: the whole build, the state before one
//!   of its steps, or something that was only added to look at it. What the edge doesn't need isn't in the result.
//! - [`Rewrite`] carries a change through everything downstream of it.

mod build;
mod chain;
mod decode;
mod encode;
mod error;
mod patch;
mod rewrite;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Index;

use bytes::Bytes;

pub use build::NewOp;
pub use chain::chain_inputs;
pub use encode::Definition;
pub use error::GraphError;
pub use rewrite::Rewrite;

use crate::canonical::{self, Typed};
use crate::{Digest, pb};

/// The largest definition that is read, and the most that one gRPC message to the daemon can hold, in bytes.
pub const MAX_BYTES: usize = 16 << 20;

/// The most ops that are read from one definition.
pub const MAX_OPS: usize = 100_000;

/// An op of one [`Graph`]. Meaningless in another graph. An op's inputs have smaller ids than the op.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(u32);

impl OpId {
    /// The edge from this op's output `index`.
    #[must_use]
    pub fn output(self, index: i64) -> Edge {
        Edge { op: self, index }
    }

    fn at(self) -> usize {
        self.0 as usize
    }
}

/// One output of an op: a file system state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge {
    /// The op.
    pub op: OpId,
    /// Which of its outputs, from 0.
    pub index: i64,
}

/// An op with what is known about it.
#[derive(Debug, Clone)]
pub struct Node {
    pub(crate) bytes: Bytes,
    pub(crate) digest: Digest,
    pub(crate) op: pb::Op,
    pub(crate) inputs: Vec<Edge>,
    pub(crate) metadata: Option<Bytes>,
    pub(crate) locations: Option<Bytes>,
    /// Where the op wants to stand in a definition; ties are broken by id.
    pub(crate) rank: u32,
}

impl Node {
    /// The encoded op, as it was received or as it will be sent.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The digest of [`Node::bytes`].
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The decoded op. Fields and kinds that this crate doesn't know are absent here, but not from the bytes.
    #[must_use]
    pub fn op(&self) -> &pb::Op {
        &self.op
    }

    /// The op's inputs, in the order of `op().inputs`.
    #[must_use]
    pub fn inputs(&self) -> &[Edge] {
        &self.inputs
    }

    /// The metadata, decoded; empty if there is none.
    ///
    /// # Errors
    /// If it can't be decoded.
    pub fn metadata(&self) -> Result<pb::OpMetadata, GraphError> {
        decode_part(self.metadata.as_ref(), "metadata", self.digest)
    }

    /// Where the op comes from, decoded; empty if that isn't known. `source_index` points into
    /// [`Graph::source_info`].
    ///
    /// # Errors
    /// If it can't be decoded.
    pub fn locations(&self) -> Result<pb::Locations, GraphError> {
        decode_part(self.locations.as_ref(), "locations", self.digest)
    }

    /// Whether the op's bytes can be had from its decoded form, so that an edit of that form loses nothing.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        canonical::encode(&self.op).is_ok_and(|bytes| bytes == self.bytes)
    }
}

fn decode_part<M: Typed + Default>(
    raw: Option<&Bytes>,
    what: &'static str,
    op: Digest,
) -> Result<M, GraphError> {
    match raw {
        Some(raw) => M::decode(raw.clone()).map_err(|e| GraphError::Part { what, op, cause: e.to_string() }),
        None => Ok(M::default()),
    }
}

/// An arena of ops, with one edge of it marked as the result of the build.
#[derive(Debug, Clone)]
pub struct Graph {
    nodes: Vec<Node>,
    by_digest: HashMap<Digest, OpId>,
    terminal: OpId,
    /// The ops below this came from the definition itself.
    originals: u32,
    /// Ops and their entries in the order of the definition's maps, which Go doesn't sort when it sends.
    metadata_order: HashMap<OpId, u32>,
    location_order: HashMap<OpId, u32>,
    rest: decode::Rest,
}

impl Index<OpId> for Graph {
    type Output = Node;

    fn index(&self, id: OpId) -> &Node {
        &self.nodes[id.at()]
    }
}

impl Graph {
    /// The definition's last op, which does nothing but name the result.
    #[must_use]
    pub fn terminal(&self) -> OpId {
        self.terminal
    }

    /// The result of the build: what the terminal op points to.
    #[must_use]
    pub fn root(&self) -> Edge {
        self[self.terminal].inputs[0]
    }

    /// An op by the digest of its bytes.
    #[must_use]
    pub fn find(&self, digest: &Digest) -> Option<OpId> {
        self.by_digest.get(digest).copied()
    }

    /// The ops that `edge` needs, its own op included (and last), inputs before users, in a stable order.
    #[must_use]
    pub fn order(&self, edge: Edge) -> Vec<OpId> {
        encode::order(self, edge.op)
    }

    /// Who uses whom among the ops that `edge` needs: for each op its users, and which of their inputs it is.
    /// An op without users isn't in the map.
    #[must_use]
    pub fn consumers(&self, edge: Edge) -> BTreeMap<OpId, Vec<(OpId, usize)>> {
        let mut users: BTreeMap<OpId, Vec<(OpId, usize)>> = BTreeMap::new();
        for user in self.needed(edge.op) {
            for (i, input) in self[user].inputs.iter().enumerate() {
                users.entry(input.op).or_default().push((user, i));
            }
        }
        users
    }

    /// The files that locations point into, decoded, in their order.
    ///
    /// # Errors
    /// If one can't be decoded.
    pub fn source_info(&self) -> Result<Vec<pb::SourceInfo>, GraphError> {
        let op = self[self.terminal].digest;
        self.rest.infos.iter().map(|raw| decode_part(Some(raw), "source file", op)).collect()
    }

    /// The ops that `op` needs, itself included, by id.
    fn needed(&self, op: OpId) -> BTreeSet<OpId> {
        let mut seen = BTreeSet::from([op]);
        let mut todo = vec![op];
        while let Some(op) = todo.pop() {
            for input in &self[op].inputs {
                if seen.insert(input.op) {
                    todo.push(input.op);
                }
            }
        }
        seen
    }
}
