//! From an encoded definition to a graph.
//!
//! The definition is taken apart by hand, since prost would drop what it doesn't know: metadata and locations stay
//! encoded, and so do fields of newer versions.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use prost::Message;
use prost::encoding::WireType;

use super::{Edge, Graph, GraphError, MAX_BYTES, MAX_OPS, Node, OpId};
use crate::canonical::{self, Field, fields};
use crate::{Digest, pb};

/// What a definition holds apart from its ops: kept, and written again.
#[derive(Debug, Clone, Default)]
pub(super) struct Rest {
    /// Whether there is a source map at all.
    pub(super) has_source: bool,
    /// Encoded `pb.SourceInfo`s.
    pub(super) infos: Vec<Bytes>,
    /// Entries whose key is no op of the definition.
    pub(super) metadata: Vec<(Bytes, Bytes)>,
    pub(super) locations: Vec<(Bytes, Bytes)>,
    /// Fields that this version doesn't know, of the definition and of its source map, key and all.
    pub(super) definition_fields: Vec<Bytes>,
    pub(super) source_fields: Vec<Bytes>,
}

/// A definition taken apart, nothing interpreted.
#[derive(Default)]
struct Parts {
    ops: Vec<Bytes>,
    /// Digest and encoded value.
    metadata: Vec<(Bytes, Bytes)>,
    locations: Vec<(Bytes, Bytes)>,
    rest: Rest,
}

impl Graph {
    /// Decodes an encoded `pb.Definition`. Ops that no one uses are read too, but no definition will hold them.
    ///
    /// # Errors
    /// If it is too large, isn't a definition, has an op twice, has an input that doesn't come before its user, or
    /// doesn't end with a terminal op.
    pub fn decode(definition: impl Into<Bytes>) -> Result<Self, GraphError> {
        let Parts { ops, metadata, locations, mut rest } = take_apart(&definition.into())?;
        let mut graph = Self {
            nodes: Vec::with_capacity(ops.len()),
            by_digest: HashMap::with_capacity(ops.len()),
            terminal: OpId(0),
            originals: 0,
            metadata_order: HashMap::new(),
            location_order: HashMap::new(),
            rest: Rest::default(),
        };
        graph.push_ops(ops, true)?;
        graph.originals = graph.nodes.len() as u32;
        graph.terminal = OpId(graph.originals - 1);
        for (at, (key, value)) in unique(metadata).into_iter().enumerate() {
            match graph.op_of(&key) {
                Some(op) => {
                    graph.nodes[op.at()].metadata = Some(value);
                    graph.metadata_order.insert(op, at as u32);
                }
                None => rest.metadata.push((key, value)),
            }
        }
        for (at, (key, value)) in unique(locations).into_iter().enumerate() {
            match graph.op_of(&key) {
                Some(op) => {
                    graph.nodes[op.at()].locations = Some(value);
                    graph.location_order.insert(op, at as u32);
                }
                None => rest.locations.push((key, value)),
            }
        }
        graph.rest = rest;
        Ok(graph)
    }

    /// Takes in the ops of another encoded definition with their metadata, and gives the edge that it results in.
    /// Its locations are left behind, since they point into files that this graph doesn't have.
    ///
    /// Meant for tools that a build brings along, such as the frontend's own image.
    ///
    /// # Errors
    /// As [`Graph::decode`].
    pub fn import(&mut self, definition: impl Into<Bytes>) -> Result<Edge, GraphError> {
        let other = Self::decode(definition)?;
        let root = other.root();
        let mut moved: HashMap<OpId, OpId> = HashMap::new();
        for op in other.order(root) {
            let mut node = other[op].clone();
            for input in &mut node.inputs {
                input.op = moved[&input.op];
            }
            node.locations = None;
            node.rank = 0;
            moved.insert(op, self.intern(node));
        }
        Ok(moved[&root.op].output(root.index))
    }

    fn op_of(&self, key: &[u8]) -> Option<OpId> {
        self.find(&std::str::from_utf8(key).ok()?.parse().ok()?)
    }

    fn push_ops(&mut self, ops: Vec<Bytes>, last_is_terminal: bool) -> Result<(), GraphError> {
        if ops.len() > MAX_OPS {
            return Err(GraphError::TooLarge { size: ops.len(), limit: MAX_OPS, unit: "ops" });
        }
        if ops.len() < 2 {
            return Err(GraphError::Terminal("it has less than two ops"));
        }
        let count = ops.len();
        for (at, bytes) in ops.into_iter().enumerate() {
            let digest = Digest::of(&bytes);
            let op =
                pb::Op::decode(bytes.clone()).map_err(|e| GraphError::Op { at, cause: e.to_string() })?;
            let mut inputs = Vec::with_capacity(op.inputs.len());
            for input in &op.inputs {
                let found = input.digest.parse().ok().and_then(|d| Some((d, self.find(&d)?)));
                let Some((digest, op)) = found else {
                    return Err(GraphError::MissingInput {
                        at,
                        input: input.digest.chars().take(100).collect(),
                    });
                };
                if input.index < 0 {
                    return Err(GraphError::NegativeIndex { at, input: digest, index: input.index });
                }
                inputs.push(op.output(input.index));
            }
            if last_is_terminal && at + 1 == count {
                check_terminal(&bytes, inputs.len())?;
            }
            let id = OpId(self.nodes.len() as u32);
            if self.by_digest.insert(digest, id).is_some() {
                return Err(GraphError::Duplicate { at, op: digest });
            }
            let rank = at as u32;
            self.nodes.push(Node { bytes, digest, op, inputs, metadata: None, locations: None, rank });
        }
        Ok(())
    }
}

/// A terminal op has one input and no kind, not even one that we don't know.
fn check_terminal(bytes: &[u8], inputs: usize) -> Result<(), GraphError> {
    if inputs != 1 {
        return Err(GraphError::Terminal("its last op doesn't have exactly one input"));
    }
    for field in fields(bytes) {
        if !matches!(field?.number, 1 | 10 | 11) {
            return Err(GraphError::Terminal("its last op does something"));
        }
    }
    Ok(())
}

/// The last entry of a key wins, and stays where the first one was.
fn unique(entries: Vec<(Bytes, Bytes)>) -> Vec<(Bytes, Bytes)> {
    let mut at: BTreeMap<Bytes, usize> = BTreeMap::new();
    let mut out: Vec<(Bytes, Bytes)> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        match at.get(&key) {
            Some(&i) => out[i].1 = value,
            None => {
                at.insert(key.clone(), out.len());
                out.push((key, value));
            }
        }
    }
    out
}

fn take_apart(definition: &Bytes) -> Result<Parts, GraphError> {
    if definition.len() > MAX_BYTES {
        return Err(GraphError::TooLarge { size: definition.len(), limit: MAX_BYTES, unit: "bytes" });
    }
    // Map entries without a value would be read as such by prost; completed once here, they can't go out again.
    let definition = &canonical::normalize::<pb::Definition>(definition)?;
    let mut parts = Parts::default();
    for field in fields(definition) {
        let field = field?;
        match field.number {
            1 => parts.ops.push(content(definition, &field)?),
            2 => parts.metadata.push(entry(&content(definition, &field)?)?),
            3 => {
                parts.rest.has_source = true;
                let source = content(definition, &field)?;
                for field in fields(&source) {
                    let field = field?;
                    match field.number {
                        1 => parts.locations.push(entry(&content(&source, &field)?)?),
                        2 => parts.rest.infos.push(content(&source, &field)?),
                        _ => parts.rest.source_fields.push(source.slice_ref(field.raw)),
                    }
                }
            }
            _ => parts.rest.definition_fields.push(definition.slice_ref(field.raw)),
        }
    }
    Ok(parts)
}

/// Key and value of an entry of a map from text to messages.
fn entry(raw: &Bytes) -> Result<(Bytes, Bytes), GraphError> {
    let (mut key, mut value) = (Bytes::new(), Bytes::new());
    for field in fields(raw) {
        let field = field?;
        match field.number {
            1 => key = content(raw, &field)?,
            2 => value = content(raw, &field)?,
            _ => {}
        }
    }
    if std::str::from_utf8(&key).is_err() {
        return Err(GraphError::Field("a key of a map isn't text"));
    }
    Ok((key, value))
}

fn content(of: &Bytes, field: &Field<'_>) -> Result<Bytes, GraphError> {
    if field.wire_type != WireType::LengthDelimited {
        return Err(GraphError::Field("a number where bytes should be"));
    }
    Ok(of.slice_ref(field.value))
}
