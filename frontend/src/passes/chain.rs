//! The layer chain of an image: the operations that each add to the file system, down to the base.

use plinth_proto::graph::{Edge, Graph, OpId, chain_inputs};
use plinth_proto::pb;

/// Where a chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A source: an image, usually.
    Source(OpId),
    /// An empty file system.
    Scratch,
}

/// The operations from the base up to `edge`, the oldest first, and where they start.
///
/// A merge continues its first input; the others are layers that it adds.
#[must_use]
pub fn chain(graph: &Graph, edge: Edge) -> (End, Vec<OpId>) {
    let mut operations = Vec::new();
    let mut at = edge;
    let end = loop {
        let node = &graph[at.op];
        if matches!(node.op().op, Some(pb::op::Op::Source(_))) {
            break End::Source(at.op);
        }
        operations.push(at.op);
        match chain_inputs(node.op()).first() {
            Some(input) => at = node.inputs()[*input],
            None => break End::Scratch,
        }
    };
    operations.reverse();
    (end, operations)
}

/// First line of the Dockerfile instruction that an operation comes from.
#[must_use]
pub fn line(graph: &Graph, op: OpId) -> Option<usize> {
    let locations = graph[op].locations().ok()?;
    let range = locations.locations.first()?.ranges.first()?;
    usize::try_from(range.start.as_ref()?.line).ok().filter(|line| *line > 0)
}

/// Text that `OpMetadata.description` has under a key.
#[must_use]
pub fn described(graph: &Graph, op: OpId, key: &str) -> Option<String> {
    graph[op].metadata().ok()?.description.get(key).cloned()
}
