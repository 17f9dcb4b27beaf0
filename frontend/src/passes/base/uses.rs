//! Which images a build builds on.

use std::collections::BTreeMap;

use plinth_proto::graph::{Edge, Graph, OpId, chain_inputs};

use crate::context::image_name;

/// An image that something builds on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Use {
    /// Its source operation.
    pub(super) image: OpId,
    /// Its reference, as BuildKit resolved it.
    pub(super) reference: String,
    /// The operations that continue it, each with the edge that it continues.
    pub(super) users: Vec<(OpId, Edge)>,
    /// The build's result is the image itself.
    pub(super) is_result: bool,
}

/// All images that `root` builds on, in the order of their operations. An image that is only copied from or mounted
/// isn't among them.
pub(super) fn uses(graph: &Graph, root: Edge) -> Vec<Use> {
    let mut found: BTreeMap<OpId, Use> = BTreeMap::new();
    let mut note = |edge: Edge, user: Option<OpId>| {
        let Some(reference) = image_name(graph, edge.op) else { return };
        let entry = found.entry(edge.op).or_insert(Use {
            image: edge.op,
            reference,
            users: Vec::new(),
            is_result: false,
        });
        match user {
            Some(user) if !entry.users.contains(&(user, edge)) => entry.users.push((user, edge)),
            Some(_) => {}
            None => entry.is_result = true,
        }
    };
    for op in graph.order(root) {
        let node = &graph[op];
        for input in chain_inputs(node.op()) {
            note(node.inputs()[input], Some(op));
        }
    }
    note(root, None);
    found.into_values().collect()
}
