//! The pip pass: a `pip install` becomes the layers of its wheels.
//!
//! ```text
//! candidate   are the installs of this RUN understood?
//! split       what it does beside installing
//! builder     what the builder must have
//! foreign     which platforms it can run
//! ops         the operations that take its place
//! budget      which wheels get a layer of their own
//! assemble    one step: resolve, payloads, record, merge
//! answers     what the operations of that answer
//! made        what it was made into
//! cut         a RUN that isn't assembled: its result becomes layers
//! carry       a COPY from another stage takes payloads along
//! ```

mod answers;
mod assemble;
mod budget;
mod builder;
mod candidate;
mod carry;
mod cut;
mod foreign;
mod foresee;
#[cfg(test)]
mod generated;
mod made;
mod ops;
mod split;
mod units;

use std::collections::HashMap;

use plinth_proto::graph::{Edge, Graph, OpId, Rewrite};
use plinth_proto::pb;

use self::candidate::{classify, names_cache};
use self::made::Assembled;
use super::chain::{described, line};
use super::switch::Pass;
use super::{Stop, apt};
use crate::context::Context;
use crate::error::BuildError;
use crate::exec::CUSTOM_NAME;
use crate::image::LayerNote;

pub use budget::IMAGE_LAYERS;
pub use builder::lacks;
pub(crate) use foreign::cannot_run;
pub use foresee::{Foreseen, foresee};

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
    /// One entry for each RUN, and for each COPY that could take layers along, in the order of the graph.
    pub steps: Vec<Step>,
}

/// What was done to one RUN or COPY.
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
        /// Its versions are those of the fleet's lock, if `outside` doesn't say otherwise of some install.
        locked: bool,
        /// Why its versions aren't those of the fleet's lock, if there is one.
        outside: Option<String>,
        /// What it runs beside the installs, by itself and as it is written.
        runs: Vec<String>,
        /// Number of layers.
        layers: usize,
    },
    /// A COPY whose files are layers of another stage, as far as these are there whole.
    Carried {
        /// `name version` of the wheels whose layers it takes along.
        alone: Vec<String>,
        /// Number of layers.
        layers: usize,
    },
    /// Runs as written, and what it left is cut into layers.
    Split {
        /// `name version` of the distributions with a layer of their own.
        alone: Vec<String>,
        /// Number of layers.
        layers: usize,
        /// Why it isn't assembled.
        reason: String,
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
    let cache_named_at = rewrite
        .steps()
        .into_iter()
        .find(|op| names_cache(rewrite.graph()[*op].op()))
        .map(|op| line(rewrite.graph(), op));
    let mut known = carry::Payloads::new();
    let mut asked = Vec::new();
    for step in rewrite.steps() {
        let Some(command) = instruction(rewrite.graph(), step) else { continue };
        let line = line(rewrite.graph(), step);
        let mut is_apt = false;
        let done = match &rewrite.graph()[step].op().op {
            Some(pb::op::Op::Exec(exec)) if is(&command, "RUN") => match classify(exec) {
                Err(Stop::Unrelated) if cx.request.wants(Pass::Apt) => {
                    is_apt = true;
                    apt::run(cx, &mut rewrite, step).await.map(|satisfied| {
                        let apt::Satisfied { before, evidence, reason } = satisfied;
                        asked.push((before.op, evidence));
                        Assembled::satisfied(before, reason)
                    })
                }
                Err(stop) => Err(stop),
                Ok(_) if !cx.request.wants(Pass::Install) => {
                    Err(Stop::Refused("PLINTH_WITHOUT leaves installs as they are".to_owned()))
                }
                Ok(candidate) if candidate.leaves_cache && cache_named_at.is_some() => {
                    let at =
                        cache_named_at.flatten().map(|line| format!(" (line {line})")).unwrap_or_default();
                    Err(Stop::Refused(format!("the build uses the download cache that it leaves{at}")))
                }
                Ok(candidate) => assemble::run(cx, &mut rewrite, step, &candidate, originals, &asked).await,
            },
            Some(pb::op::Op::File(file)) if is(&command, "COPY") && cx.request.wants(Pass::Copies) => {
                match carry::copied(file) {
                    Some(copied) => carry::run(cx, &mut rewrite, step, &copied, &known).await,
                    None => continue,
                }
            }
            _ => continue,
        };
        let done = match done {
            Err(Stop::Refused(reason)) if is(&command, "RUN") && !is_apt && cx.request.wants(Pass::Split) => {
                cut::run(cx, &mut rewrite, step, &command, reason).await
            }
            done => done,
        };
        let locked = cx.lock(rewrite.graph()[step].op().platform.as_ref()).is_some();
        let installs = is(&command, "RUN") && !is_apt && locked;
        let done = if installs { done.map(beyond_lock).map_err(stop_beyond_lock) } else { done };
        let treatment = match done {
            Ok(Assembled { edge, notes, treatment, payloads }) => {
                rewrite.replace(step.output(0), edge)?;
                layers.insert(step, notes);
                for (payload, what) in payloads {
                    let in_layer: &mut Vec<_> = known.entry(payload.tree).or_default();
                    // The same layer may be in several stages.
                    if in_layer.iter().all(|(other, _)| other.member != payload.member) {
                        in_layer.push((payload, what));
                    }
                }
                treatment
            }
            Err(Stop::Unrelated) if is(&command, "COPY") => continue,
            Err(Stop::Unrelated) => Treatment::Unrelated,
            Err(Stop::Refused(reason)) => Treatment::AsWritten(reason),
            Err(Stop::Failed(error)) => return Err(error),
        };
        let stage = described(rewrite.graph(), step, CUSTOM_NAME).and_then(|name| stage(&name));
        steps.push(Step { line, stage, command, treatment });
    }
    let (graph, root) = rewrite.finish()?;
    Ok(Outcome { graph, root, layers, steps })
}

/// Says of a step that ran as written that the fleet's lock doesn't reach it.
const BEYOND_LOCK: &str = "; it takes no versions from the lock";

fn beyond_lock(mut done: Assembled) -> Assembled {
    if let Treatment::Split { reason, .. } | Treatment::AsWritten(reason) = &mut done.treatment {
        reason.push_str(BEYOND_LOCK);
    }
    done
}

fn stop_beyond_lock(stop: Stop) -> Stop {
    match stop {
        Stop::Refused(reason) => Stop::Refused(reason + BEYOND_LOCK),
        other => other,
    }
}

/// The instruction that an operation comes from. Of a COPY only the name tells.
fn instruction(graph: &Graph, op: OpId) -> Option<String> {
    described(graph, op, COMMAND).or_else(|| {
        let name = described(graph, op, CUSTOM_NAME)?;
        Some(name.strip_prefix('[')?.split_once("] ")?.1.to_owned())
    })
}

/// Whether a command is this instruction.
fn is(command: &str, instruction: &str) -> bool {
    command.get(..instruction.len()).is_some_and(|word| word.eq_ignore_ascii_case(instruction))
        && command[instruction.len()..].starts_with(|c: char| c.is_whitespace() || c == '<' || c == '[')
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
