//! The graph with masters in place of the images that they replace.

use std::collections::HashMap;

use plinth_proto::graph::{Edge, Graph, OpId, Rewrite};
use plinth_proto::pb;

use super::decide::{Action, Decisions, Master, add_master};
use super::uses::uses;
use crate::context::platform_id;
use crate::error::BuildError;
use crate::image::rebase_env;
use crate::passes::chain::{End, chain};

/// A graph on its masters.
pub struct Applied {
    /// The graph.
    pub graph: Graph,
    /// Its result.
    pub root: Edge,
    /// For each master's source operation: that of an image in whose place it stands.
    pub originals: HashMap<OpId, OpId>,
    /// The master that the result itself stands on, if it was moved.
    pub master: Option<Master>,
}

/// Puts the masters of `decisions` in place.
///
/// # Errors
/// If an operation that has to change can't be encoded again.
pub fn apply(decisions: &Decisions, graph: Graph, root: Edge) -> Result<Applied, BuildError> {
    let used = uses(&graph, root);
    let mut rewrite = Rewrite::from_edge(graph, root);
    let mut masters: HashMap<OpId, (Edge, &Master)> = HashMap::new();
    for image in &used {
        let platform =
            rewrite.graph()[image.image].op().platform.as_ref().map(platform_id).unwrap_or_default();
        let Some(decision) = decisions.get(&image.reference) else { continue };
        let Action::Substituted { masters: by_platform, .. } = &decision.action else { continue };
        let Some(master) = by_platform.get(&platform) else { continue };
        let edge = add_master(&mut rewrite, image.image, &master.reference)?.output(0);
        masters.insert(image.image, (edge, master));
    }
    // Steps on a moved base see the master's description of itself in their environment.
    for step in rewrite.steps() {
        let Some(pb::op::Op::Exec(exec)) = &rewrite.graph()[step].op().op else { continue };
        let End::Source(image) = chain(rewrite.graph(), step.output(0)).0 else { continue };
        let Some((_, master)) = masters.get(&image) else { continue };
        let (from, to) = (master.original.env(), master.config.env());
        let before = exec.meta.as_ref().map(|meta| meta.env.clone()).unwrap_or_default();
        let mut after = before.clone();
        rebase_env(&mut after, &from, &to);
        if after != before {
            rewrite.edit(step, |op| {
                if let Some(pb::op::Op::Exec(exec)) = &mut op.op
                    && let Some(meta) = &mut exec.meta
                {
                    meta.env = after;
                }
            })?;
        }
    }
    for image in &used {
        if let Some((edge, _)) = masters.get(&image.image) {
            for (user, from) in &image.users {
                rewrite.set_chain_input(*user, *from, *edge)?;
            }
        }
    }
    let master = match chain(rewrite.graph(), root).0 {
        End::Source(image) => masters.get(&image).map(|(_, master)| (*master).clone()),
        End::Scratch => None,
    };
    // The result can be the image itself: no operation continues it, so no input leads to the master.
    let result = masters.get(&root.op).map(|(edge, _)| *edge);
    let originals = masters.iter().map(|(original, (edge, _))| (edge.op, *original)).collect();
    let (graph, root) = rewrite.finish()?;
    Ok(Applied { graph, root: result.unwrap_or(root), originals, master })
}
