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
///
/// # Errors
/// If there are too many ways.
pub(super) fn order<'n>(graph: &Graph, new: &BTreeSet<&'n str>) -> Result<Vec<&'n str>, String> {
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
    let mut walk = Walk { graph: &left, new, path: vec![""], weights, visits: 0 };
    let all = left.roots.iter().all(|root| walk.visit(root));
    if !all {
        return Err("its dependencies go round in too many ways for their order to be found".to_owned());
    }
    let weights = walk.weights;
    let mut order: Vec<&str> = new.iter().copied().collect();
    order.sort_by_key(|name| std::cmp::Reverse((weights.get(name).copied().unwrap_or(0), *name)));
    Ok(order)
}

/// Visits of nodes at most. pip has no limit: there are as many ways as permutations where all need each other.
const VISITS: usize = 100_000;

/// A walk along every way that doesn't go round.
struct Walk<'g, 'w, 'n> {
    graph: &'g Graph,
    new: &'w BTreeSet<&'n str>,
    /// The way here.
    path: Vec<&'g str>,
    weights: BTreeMap<&'n str, usize>,
    visits: usize,
}

impl<'g> Walk<'g, '_, '_> {
    /// Notes the longest way to each node; false if there are too many.
    fn visit(&mut self, node: &'g str) -> bool {
        self.visits += 1;
        if self.visits > VISITS {
            return false;
        }
        if self.path.contains(&node) {
            return true;
        }
        self.path.push(node);
        let graph = self.graph;
        let all = graph.needs.get(node).into_iter().flatten().all(|next| self.visit(next));
        self.path.pop();
        if let Some(name) = self.new.get(node) {
            let known = self.weights.entry(name).or_insert(0);
            *known = (*known).max(self.path.len());
        }
        all
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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
        assert_eq!(order(&graph, &all).unwrap(), ["x", "base", "q", "p", "lib", "app"]);
        let few: BTreeSet<&str> = ["app", "base"].into();
        assert_eq!(order(&graph, &few).unwrap(), ["base", "app"]);
    }

    #[test]
    fn too_many_ways_are_not_walked() {
        let names: Vec<String> = (0..12).map(|number| format!("n{number}")).collect();
        let circle = |count: usize| {
            let mut graph = Graph::default();
            for one in &names[..count] {
                graph.connect(None, one);
                for other in names[..count].iter().filter(|other| *other != one) {
                    graph.connect(Some(one), other);
                }
            }
            order(&graph, &names.iter().map(String::as_str).collect()).map(|order| order.len())
        };
        assert_eq!(circle(4), Ok(12));
        assert!(circle(12).unwrap_err().contains("too many ways"));
    }
}
