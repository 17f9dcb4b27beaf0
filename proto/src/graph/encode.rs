//! From an edge to an encoded definition.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use bytes::{BufMut, Bytes, BytesMut};

use super::{Edge, Graph, GraphError, MAX_BYTES, OpId, build::NewOp};
use crate::Digest;
use crate::canonical::put_bytes;

/// An encoded `pb.Definition`, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    bytes: Bytes,
    head: Digest,
    ops: usize,
}

impl Definition {
    /// The encoded definition.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The op that makes the result (the one before the terminal op, in meaning if not in place).
    #[must_use]
    pub fn head(&self) -> &Digest {
        &self.head
    }

    /// How many ops it has, the terminal op included.
    #[must_use]
    pub fn ops(&self) -> usize {
        self.ops
    }

    /// Its size, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The definition, unless it is too large to be sent with `overhead` further bytes in the same message.
    ///
    /// # Errors
    /// [`GraphError::TooLarge`].
    pub fn checked(self, overhead: usize) -> Result<Self, GraphError> {
        let limit = MAX_BYTES.saturating_sub(overhead);
        if self.size() > limit {
            return Err(GraphError::TooLarge { size: self.size(), limit, unit: "bytes" });
        }
        Ok(self)
    }
}

impl From<Definition> for Bytes {
    fn from(definition: Definition) -> Self {
        definition.bytes
    }
}

impl Graph {
    /// Marshals what `edge` needs, with a terminal op on it.
    ///
    /// Every op's bytes are written as they are, inputs first and otherwise in the original order. Source locations
    /// go with the ops, and each op has an entry in the metadata, since BuildKit can't take a definition in again
    /// otherwise. From [`Graph::root`] of a decoded definition without unused ops this gives back its bytes.
    ///
    /// # Errors
    /// None in practice: the terminal op can always be encoded.
    pub fn definition(&mut self, edge: Edge) -> Result<Definition, GraphError> {
        let terminal = if self.root().index == edge.index {
            self.with_inputs(self.terminal, &[edge])?
        } else {
            let metadata = self[self.terminal].metadata()?;
            self.add(NewOp { inputs: vec![edge], metadata, like: Some(self.terminal), ..NewOp::default() })?
        };
        let mut order = order(self, edge.op);
        order.push(terminal);
        let untouched = order.iter().all(|op| op.0 < self.originals);
        Ok(Definition {
            bytes: self.marshal(&order, untouched),
            head: self[edge.op].digest,
            ops: order.len(),
        })
    }

    fn marshal(&self, order: &[OpId], untouched: bool) -> Bytes {
        let ops: usize = order.iter().map(|op| self[*op].bytes.len() + 200).sum();
        let mut out = BytesMut::with_capacity(ops + 4096);
        for op in order {
            put_bytes(1, &self[*op].bytes, &mut out);
        }

        let place = |places: &std::collections::HashMap<OpId, u32>, op: OpId| {
            (places.get(&op).copied().unwrap_or(u32::MAX), self[op].digest)
        };
        let mut by_metadata = order.to_vec();
        by_metadata.sort_by_key(|op| place(&self.metadata_order, *op));
        let entries = by_metadata.into_iter().filter_map(|op| {
            let node = &self[op];
            match &node.metadata {
                Some(metadata) => Some((node.digest, metadata.clone())),
                None if untouched => None,
                None => Some((node.digest, Bytes::new())),
            }
        });
        for (digest, metadata) in entries {
            put_entry(2, digest.to_string().as_bytes(), &metadata, &mut out);
        }
        for (key, value) in &self.rest.metadata {
            put_entry(2, key, value, &mut out);
        }

        if self.rest.has_source {
            let mut source = BytesMut::new();
            let mut by_location = order.to_vec();
            by_location.sort_by_key(|op| place(&self.location_order, *op));
            for op in by_location {
                if let Some(locations) = &self[op].locations {
                    put_entry(1, self[op].digest.to_string().as_bytes(), locations, &mut source);
                }
            }
            for (key, value) in &self.rest.locations {
                put_entry(1, key, value, &mut source);
            }
            for info in &self.rest.infos {
                put_bytes(2, info, &mut source);
            }
            self.rest.source_fields.iter().for_each(|raw| source.put_slice(raw));
            put_bytes(3, &source, &mut out);
        }
        self.rest.definition_fields.iter().for_each(|raw| out.put_slice(raw));
        out.freeze()
    }
}

/// A map entry, key and value always there.
fn put_entry(number: u32, key: &[u8], value: &[u8], out: &mut BytesMut) {
    let mut entry = BytesMut::with_capacity(key.len() + value.len() + 8);
    put_bytes(1, key, &mut entry);
    put_bytes(2, value, &mut entry);
    put_bytes(number, &entry, out);
}

/// What `root` needs and itself, inputs before users; of the ops that could come next, always the one with the
/// lowest rank. For ops of one definition that is the order they had there.
pub(super) fn order(graph: &Graph, root: OpId) -> Vec<OpId> {
    let needed = graph.needed(root);
    let mut users: BTreeMap<OpId, Vec<OpId>> = BTreeMap::new();
    let mut missing: BTreeMap<OpId, usize> = BTreeMap::new();
    let mut ready = BinaryHeap::new();
    for &op in &needed {
        let inputs: BTreeSet<OpId> = graph[op].inputs.iter().map(|e| e.op).collect();
        if inputs.is_empty() {
            ready.push(Reverse((graph[op].rank, op)));
        }
        missing.insert(op, inputs.len());
        for input in inputs {
            users.entry(input).or_default().push(op);
        }
    }
    let mut order = Vec::with_capacity(needed.len());
    while let Some(Reverse((_, op))) = ready.pop() {
        order.push(op);
        for &user in users.get(&op).into_iter().flatten() {
            if let Some(count) = missing.get_mut(&user) {
                *count -= 1;
                if *count == 0 {
                    ready.push(Reverse((graph[user].rank, user)));
                }
            }
        }
    }
    order
}
