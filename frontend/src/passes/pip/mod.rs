//! The pip pass: a `pip install` becomes the layers of its wheels.
//!
//! ```text
//! candidate   are the installs of this RUN understood?
//! builder     what the builder must have
//! foreign     which platforms it can run
//! ops         the operations that take its place
//! budget      which wheels get a layer of their own
//! assemble    one step: resolve, payloads, record, merge
//! ```

mod assemble;
mod budget;
mod builder;
mod candidate;
mod foreign;
mod ops;

use std::collections::HashMap;

use plinth_proto::graph::{Edge, Graph, OpId, Rewrite};
use plinth_proto::pb;

use self::assemble::Assembled;
use self::candidate::{NoCandidate, classify, names_cache};
use super::Stop;
use super::chain::{described, line};
use crate::context::Context;
use crate::error::BuildError;
use crate::exec::CUSTOM_NAME;
use crate::image::LayerNote;

pub use budget::IMAGE_LAYERS;
pub use builder::lacks;

/// `OpMetadata.description` key under which the Dockerfile frontend keeps the instruction.
const COMMAND: &str = "com.docker.dockerfile.v1.command";

/// What the pass did.
pub struct Outcome {
    /// The graph with everything in it.
    pub graph: Graph,
    /// The result in it.
    pub root: Edge,
    /// For each step, by its operation in the graph that was given: the layers that took its place.
    pub layers: HashMap<OpId, Vec<LayerNote>>,
    /// One entry for each RUN, in the order of the graph.
    pub steps: Vec<Step>,
}

/// What was done to one RUN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its line in the Dockerfile.
    pub line: Option<usize>,
    /// The stage it is in, if the build has more than one.
    pub stage: Option<String>,
    /// The instruction.
    pub command: String,
    /// What was done.
    pub treatment: Treatment,
}

/// The ways to treat a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Replaced by layers.
    Assembled {
        /// `name version` of the wheels with a layer of their own.
        alone: Vec<String>,
        /// `name version` of the wheels of the tail layer.
        tail: Vec<String>,
        /// `name version` of what was removed first.
        removed: Vec<String>,
        /// Files that the shell makes of what installers print.
        outputs: Vec<String>,
        /// Number of layers.
        layers: usize,
    },
    /// Nothing was left to install, and why.
    Satisfied(String),
    /// Runs as written.
    AsWritten(String),
    /// Has nothing to do with installing Python packages.
    Unrelated,
}

/// Runs the pass over everything that `root` needs. `originals` says in whose place masters stand.
///
/// # Errors
/// If the build was stopped. Whatever else goes wrong with a step leaves it as written.
pub async fn run(
    cx: &Context,
    graph: Graph,
    root: Edge,
    originals: &HashMap<OpId, OpId>,
) -> Result<Outcome, BuildError> {
    let mut rewrite = Rewrite::from_edge(graph, root);
    let mut layers = HashMap::new();
    let mut steps = Vec::new();
    let runs: Vec<OpId> = rewrite
        .steps()
        .into_iter()
        .filter(|op| described(rewrite.graph(), *op, COMMAND).is_some_and(|c| is_run(&c)))
        .collect();
    let cache_named_at = rewrite
        .steps()
        .into_iter()
        .find(|op| names_cache(rewrite.graph()[*op].op()))
        .map(|op| line(rewrite.graph(), op));
    for step in runs {
        let Some(pb::op::Op::Exec(exec)) = &rewrite.graph()[step].op().op else { continue };
        let command = described(rewrite.graph(), step, COMMAND).unwrap_or_default();
        let line = line(rewrite.graph(), step);
        let treatment = match classify(exec) {
            Err(NoCandidate::Unrelated) => Treatment::Unrelated,
            Err(NoCandidate::AsWritten(reason)) => Treatment::AsWritten(reason),
            Ok(candidate) if candidate.leaves_cache && cache_named_at.is_some() => {
                let at = cache_named_at.flatten().map(|line| format!(" (line {line})")).unwrap_or_default();
                Treatment::AsWritten(format!("the build uses the download cache that it leaves{at}"))
            }
            Ok(candidate) => match assemble::run(cx, &mut rewrite, step, &candidate, originals).await {
                Ok(Assembled { edge, notes, treatment }) => {
                    rewrite.replace(step.output(0), edge)?;
                    layers.insert(step, notes);
                    treatment
                }
                Err(Stop::Refused(reason)) => Treatment::AsWritten(reason),
                Err(Stop::Failed(error)) => return Err(error),
            },
        };
        let stage = described(rewrite.graph(), step, CUSTOM_NAME).and_then(|name| stage(&name));
        steps.push(Step { line, stage, command, treatment });
    }
    let (graph, root) = rewrite.finish()?;
    Ok(Outcome { graph, root, layers, steps })
}

fn is_run(command: &str) -> bool {
    command.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("run"))
        && command[3..].starts_with(|c: char| c.is_whitespace() || c == '<' || c == '[')
}

/// The stage in a vertex name of the Dockerfile frontend: `[platform stage i/n] …`, platform and stage only if the
/// build has several.
fn stage(name: &str) -> Option<String> {
    let (inside, _) = name.strip_prefix('[')?.split_once(']')?;
    let mut words: Vec<&str> = inside.split_whitespace().collect();
    words.pop()?;
    words.pop().filter(|word| !word.contains('/')).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::stage;

    #[test]
    fn stages_are_read_from_vertex_names() {
        assert_eq!(stage("[2/5] RUN x"), None);
        assert_eq!(stage("[builder 2/5] RUN x").as_deref(), Some("builder"));
        assert_eq!(stage("[linux/386 2/5] RUN x"), None);
        assert_eq!(stage("[linux/386 builder 2/5] RUN x").as_deref(), Some("builder"));
        assert_eq!(stage("RUN [ -f x ]"), None);
    }
}
