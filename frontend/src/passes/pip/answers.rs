//! What the operations of an assembled step answer.

use std::collections::HashMap;

use plinth_layers::facts::Facts;
use plinth_layers::resolution::{Outcome, Plan, Resolution};
use plinth_layers::steps::record::Verdict;
use plinth_layers::steps::resolve::FoundProgram;
use plinth_layers::steps::summary::{Mark, Summary};
use plinth_proto::graph::{Edge, OpId, Rewrite};

use super::assemble::Attempt;
use super::ops::{self, Payload};
use crate::context::{Context, add_image};
use crate::error::BuildError;
use crate::exec::Tool;
use crate::locks::FleetLock;
use crate::passes::Stop;
use crate::passes::chain::{End, chain};

/// What the base image of the step offers: an interpreter to compile with, and facts that the result rests on.
pub(super) struct Base {
    pub(super) image: Option<Edge>,
    pub(super) facts: Option<Facts>,
    pub(super) evidence: Vec<Edge>,
    /// The lock's images that byte code is made in, and what is in them.
    pub(super) compilers: Vec<(Edge, Facts)>,
}

/// How the script goes on after an install.
#[derive(Default)]
pub(super) struct Found {
    pub(super) events: Vec<bool>,
    pub(super) programs: Vec<FoundProgram>,
    pub(super) more: bool,
}

/// The image that the state before stands on, and what is in it.
pub(super) async fn base(
    cx: &Context,
    rewrite: &mut Rewrite,
    tool: &Tool,
    before: Edge,
    originals: &HashMap<OpId, OpId>,
    lock: Option<&FleetLock>,
) -> Result<Base, Stop> {
    let none = Base { image: None, facts: None, evidence: Vec::new(), compilers: Vec::new() };
    let End::Source(image) = chain(rewrite.graph(), before).0 else { return Ok(none) };
    if crate::context::image_name(rewrite.graph(), image).is_none() {
        return Ok(none);
    }
    let mut base = Base { image: Some(image.output(0)), ..none };
    // The decision to substitute rests on the original's facts too: with them among the evidence, a cache export holds
    // them, and a build that has nothing but that cache pulls neither image.
    for image in [Some(image), originals.get(&image).copied()].into_iter().flatten() {
        match cx.facts(rewrite, tool, image).await {
            Ok((facts, edge)) => {
                base.facts.get_or_insert(facts);
                base.evidence.push(edge);
            }
            Err(error) => return Err(Stop::about(error, "its base image can't be read")),
        }
    }
    // An image that can't be had any more is no reason to stop: the base has an interpreter as well.
    for reference in lock.iter().flat_map(|lock| &lock.parsed.compilers) {
        let name = format!("[plinth] the lock's compiler {reference}");
        let Ok(compiler) = add_image(rewrite, image, reference, name) else { continue };
        if let Ok((facts, edge)) = cx.facts(rewrite, tool, compiler).await {
            base.evidence.push(edge);
            base.compilers.push((compiler.output(0), facts));
        }
    }
    Ok(base)
}

/// Waits for the resolution: of the install that comes next, if there is one.
pub(super) async fn resolve(
    cx: &Context,
    rewrite: &mut Rewrite,
    resolution: Edge,
) -> Result<Option<(Plan, Found)>, Stop> {
    // What went wrong is in the installer's own words there.
    let refused = |error: BuildError| {
        Stop::refused(error, |_| "the installer found no answer (its output is in the build log)".to_owned())
    };
    let solved = cx.solve(rewrite, resolution, true).await.map_err(refused)?;
    let resolution: Resolution = cx.read_json(&solved, Resolution::FILE).await.map_err(refused)?;
    if resolution.format != Resolution::FORMAT {
        return Err(Stop::Refused("its resolution was written by another release".to_owned()));
    }
    let found = Found { events: resolution.events, programs: resolution.found, more: resolution.more };
    match resolution.outcome {
        Outcome::Assemble(plan) => Ok(Some((*plan, found))),
        Outcome::Refuse { reason } => Err(Stop::Refused(reason)),
        Outcome::End { success: true } => Ok(None),
        Outcome::End { success: false } => Err(Stop::Refused("its script ends with a failure".to_owned())),
    }
}

/// Waits for all payloads and asks for their sizes, in bytes, in the order of the plan.
pub(super) async fn sizes(
    cx: &Context,
    rewrite: &mut Rewrite,
    plan: &Plan,
    payloads: &[Payload],
    marks: Edge,
) -> Result<Vec<u64>, Attempt> {
    let read = async |rewrite: &mut Rewrite| {
        let solved = cx.solve(rewrite, marks, true).await?;
        cx.bridge.list(&solved, "", Mark::PATTERN).await
    };
    let names = match read(rewrite).await {
        Ok(names) => names,
        Err(error) if error.is_canceled() => return Err(Stop::Failed(error).into()),
        Err(error) => return Err(Attempt::WheelsNotFetched(error)),
    };
    let marks: HashMap<String, Option<u64>> =
        names.iter().filter_map(|name| Mark::parse(name)).map(|mark| (mark.sha256, mark.bytes)).collect();
    let mut sizes = Vec::new();
    for (wheel, payload) in plan.install.iter().zip(payloads) {
        match marks.get(&wheel.sha256) {
            Some(Some(bytes)) => sizes.push(*bytes),
            Some(None) => return Err(refusal(cx, rewrite, *payload).await.into()),
            None => return Err(format!("the payload of {} has no mark", wheel.filename).into()),
        }
    }
    Ok(sizes)
}

/// Why a wheel must not be assembled.
async fn refusal(cx: &Context, rewrite: &mut Rewrite, payload: Payload) -> Stop {
    let read = async |rewrite: &mut Rewrite| {
        let solved = cx.solve(rewrite, payload.meta, false).await?;
        cx.read_json(&solved, Summary::FILE).await
    };
    match read(rewrite).await {
        Ok(Summary::Refused { reason }) => Stop::Refused(reason),
        Ok(Summary::Payload { .. }) => Stop::Refused("a payload and its mark disagree".to_owned()),
        Err(error) => Stop::about(error, "a payload's summary can't be read"),
    }
}

/// Waits for the record layer; if it refuses, asks why.
pub(super) async fn check(cx: &Context, rewrite: &mut Rewrite, record: ops::Record) -> Result<(), Stop> {
    let failed = |error: BuildError| Stop::about(error, "its records can't be made");
    let Err(error) = cx.solve(rewrite, record.record, true).await else { return Ok(()) };
    if error.is_canceled() {
        return Err(Stop::Failed(error));
    }
    let solved = cx.solve(rewrite, record.why, true).await.map_err(failed)?;
    match cx.read_json(&solved, Verdict::FILE).await.map_err(failed)? {
        Verdict::Refused { reason } => Err(Stop::Refused(reason)),
        Verdict::Assembled => Err(failed(error)),
    }
}
