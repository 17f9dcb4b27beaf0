//! The order in which pip installs: what is needed goes first.

use std::collections::{BTreeMap, BTreeSet};

/// Who needs whom. The root is what the user asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    roots: BTreeSet<String>,
    needs: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// Whether a node is there.
    pub(super) fn has(&self, node: &str) -> bool {
        self.needs.contains_key(node)
    }

    /// Adds a node.
    pub(super) fn add(&mut self, node: &str) {
        self.needs.entry(node.to_owned()).or_default();
    }

    /// Notes a need; of the root if nobody is named.
    pub(super) fn connect(&mut self, by: Option<&str>, node: &str) {
        self.add(node);
        match by {
            Some(by) => self.needs.entry(by.to_owned()).or_default().insert(node.to_owned()),
            None => self.roots.insert(node.to_owned()),
        };
    }
}

/// Orders `new` as pip's `get_topological_weights` does: leaves are taken off first, and what is left, circles and what
/// needs them, goes by the longest way from the root. Within a circle pip's own order is by chance.
pub(super) fn order<'n>(graph: &Graph, new: &BTreeSet<&'n str>) -> Vec<&'n str> {
    let mut weights: BTreeMap<&str, usize> = BTreeMap::new();
    let mut left = graph.clone();
    loop {
        let leaves: BTreeSet<String> =
            left.needs.iter().filter(|(_, needs)| needs.is_empty()).map(|(node, _)| node.clone()).collect();
        if leaves.is_empty() {
            break;
        }
        // The root counts too.
        let weight = left.needs.len();
        for name in new.iter().filter(|name| leaves.contains(**name)) {
            weights.insert(name, weight);
        }
        left.needs.retain(|node, _| !leaves.contains(node));
        for needs in left.needs.values_mut() {
            needs.retain(|node| !leaves.contains(node));
        }
        left.roots.retain(|node| !leaves.contains(node));
    }
    for root in &left.roots {
        visit(&left, root, &mut vec![""], new, &mut weights);
    }
    let mut order: Vec<&str> = new.iter().copied().collect();
    order.sort_by_key(|name| std::cmp::Reverse((weights.get(name).copied().unwrap_or(0), *name)));
    order
}

/// Notes the longest way to each node. `path` is the way here.
fn visit<'g, 'n>(
    graph: &'g Graph,
    node: &'g str,
    path: &mut Vec<&'g str>,
    new: &BTreeSet<&'n str>,
    weights: &mut BTreeMap<&'n str, usize>,
) {
    if path.contains(&node) {
        return;
    }
    path.push(node);
    for next in graph.needs.get(node).into_iter().flatten() {
        visit(graph, next, path, new, weights);
    }
    path.pop();
    if let Some(name) = new.get(node) {
        let known = weights.entry(name).or_insert(0);
        *known = (*known).max(path.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_goes_first() {
        let mut graph = Graph::default();
        graph.connect(None, "app");
        graph.connect(None, "x[y]");
        graph.connect(Some("x[y]"), "x");
        for (by, node) in
            [("app", "lib"), ("app", "base"), ("lib", "base"), ("p", "q"), ("q", "p"), ("lib", "p")]
        {
            graph.connect(Some(by), node);
        }
        let all: BTreeSet<&str> = ["app", "lib", "base", "x", "p", "q"].into();
        assert_eq!(order(&graph, &all), ["x", "base", "q", "p", "lib", "app"]);
        let few: BTreeSet<&str> = ["app", "base"].into();
        assert_eq!(order(&graph, &few), ["base", "app"]);
    }
}
