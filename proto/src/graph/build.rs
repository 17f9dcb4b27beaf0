//! New ops beside those that are there.

use bytes::Bytes;
use prost::Message;

use super::{Edge, Graph, GraphError, Node, OpId, patch};
use crate::canonical;
use crate::{Digest, pb};

/// An op to add to a graph.
#[derive(Debug, Clone, Default)]
pub struct NewOp {
    /// What it does. `inputs` is ignored: it is filled in from the edges. Set `constraints` to an empty message, and
    /// `platform` on sources and execs, as BuildKit's own frontend does.
    pub op: pb::Op,
    /// Its inputs; mounts and actions refer to them by position.
    pub inputs: Vec<Edge>,
    /// Name, progress group, caps and so on.
    pub metadata: pb::OpMetadata,
    /// The op that this one stands in for: errors point to its place in the source text, and in a definition the new
    /// op is put where that one was, as far as inputs allow.
    pub like: Option<OpId>,
}

impl Graph {
    /// Adds an op, canonically encoded. If an op with the same bytes is there already, that one is returned, and
    /// keeps its metadata and its place in the source, except that what either of them wants uncached is uncached.
    ///
    /// # Errors
    /// If a definition inside the op is malformed.
    pub fn add(&mut self, new: NewOp) -> Result<OpId, GraphError> {
        let NewOp { mut op, inputs, metadata, like } = new;
        op.inputs = inputs.iter().map(|e| self.input(*e)).collect();
        let bytes = canonical::encode(&op)?;
        let metadata = Some(canonical::encode(&metadata)?);
        let locations = like.and_then(|like| self[like].locations.clone());
        let rank = match like {
            Some(like) => self[like].rank,
            None => inputs.iter().map(|e| self[e.op].rank).max().unwrap_or(0),
        };
        let digest = Digest::of(&bytes);
        let id = self.intern(Node { bytes, digest, op, inputs, metadata, locations, rank });
        if let Some(like) = like {
            self.inherit_places(like, id);
        }
        Ok(id)
    }

    /// The same op with other inputs, as many as it has: digests are patched in its bytes, so that nothing that this
    /// version doesn't know is lost. Metadata and place in the source are kept. With its own inputs it is the op itself.
    ///
    /// # Errors
    /// If the number of inputs differs.
    pub fn with_inputs(&mut self, op: OpId, inputs: &[Edge]) -> Result<OpId, GraphError> {
        let node = &self[op];
        if node.inputs.len() != inputs.len() {
            let (expected, given) = (node.inputs.len(), inputs.len());
            return Err(GraphError::InputCount { op: node.digest, expected, given });
        }
        if node.inputs == inputs {
            return Ok(op);
        }
        let targets: Vec<_> = inputs.iter().map(|e| (self[e.op].digest, e.index)).collect();
        let bytes = patch::with_inputs(&node.bytes, &targets)?;
        let mut decoded = node.op.clone();
        decoded.inputs = inputs.iter().map(|e| self.input(*e)).collect();
        Ok(self.derive(op, bytes, decoded, inputs.to_vec()))
    }

    /// A changed copy of an op: `change` gets its decoded form and the inputs, both free to change. `op.inputs` is
    /// filled in from the inputs afterwards. Metadata and place in the source are kept.
    ///
    /// # Errors
    /// [`GraphError::NotCanonical`] if the op holds what its decoded form doesn't show.
    pub fn edit(
        &mut self,
        op: OpId,
        change: impl FnOnce(&mut pb::Op, &mut Vec<Edge>),
    ) -> Result<OpId, GraphError> {
        let node = &self[op];
        if !node.is_canonical() {
            return Err(GraphError::NotCanonical { op: node.digest });
        }
        let (mut decoded, mut inputs) = (node.op.clone(), node.inputs.clone());
        change(&mut decoded, &mut inputs);
        decoded.inputs = inputs.iter().map(|e| self.input(*e)).collect();
        let bytes = canonical::encode(&decoded)?;
        Ok(self.derive(op, bytes, decoded, inputs))
    }

    /// Replaces what is said about an op. It has no influence on digests.
    ///
    /// # Errors
    /// None for metadata made by hand.
    pub fn set_metadata(&mut self, op: OpId, metadata: &pb::OpMetadata) -> Result<(), GraphError> {
        self.nodes[op.at()].metadata = Some(canonical::encode(metadata)?);
        Ok(())
    }

    /// The op itself if it is there already.
    pub(super) fn intern(&mut self, node: Node) -> OpId {
        if let Some(&known) = self.by_digest.get(&node.digest) {
            let there = &mut self.nodes[known.at()];
            there.metadata = combine(there.metadata.take(), node.metadata);
            if there.locations.is_none() {
                there.locations = node.locations;
            }
            return known;
        }
        let id = OpId(self.nodes.len() as u32);
        self.by_digest.insert(node.digest, id);
        self.nodes.push(node);
        id
    }

    /// A new form of an op: the place in every order, the metadata and the locations are inherited.
    fn derive(&mut self, from: OpId, bytes: Bytes, op: pb::Op, inputs: Vec<Edge>) -> OpId {
        let Node { metadata, locations, rank, .. } = self[from].clone();
        let digest = Digest::of(&bytes);
        let id = self.intern(Node { bytes, digest, op, inputs, metadata, locations, rank });
        self.inherit_places(from, id);
        id
    }

    /// The entries of a new op are written where those of the old one were.
    fn inherit_places(&mut self, from: OpId, to: OpId) {
        for places in [&mut self.metadata_order, &mut self.location_order] {
            if let Some(&at) = places.get(&from) {
                places.entry(to).or_insert(at);
            }
        }
    }

    fn input(&self, edge: Edge) -> pb::Input {
        pb::Input { digest: self[edge.op].digest.to_string(), index: edge.index }
    }
}

/// Metadata of an op that is there and is added again: the first counts, but `ignore_cache` is a demand of either.
fn combine(there: Option<Bytes>, new: Option<Bytes>) -> Option<Bytes> {
    let uncached = |raw: &Bytes| pb::OpMetadata::decode(raw.clone()).is_ok_and(|m| m.ignore_cache);
    match (there, new) {
        (Some(there), Some(new)) if uncached(&new) && !uncached(&there) => {
            // The field before the others, whose bytes stay.
            let on = pb::OpMetadata { ignore_cache: true, ..Default::default() }.encode_to_vec();
            Some([on.as_slice(), &there].concat().into())
        }
        (there, new) => there.or(new),
    }
}
