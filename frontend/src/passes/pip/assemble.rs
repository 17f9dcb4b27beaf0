//! One step: for each install that its script comes to, resolve it, make its payloads, record it, merge everything.

use std::collections::HashMap;

use plinth_layers::facts::Facts;
use plinth_layers::pip::network_variables;
use plinth_layers::resolution::{Locked, Plan};
use plinth_layers::steps::resolve::Foreign;
use plinth_proto::graph::{Edge, GraphError, OpId, Rewrite};

use super::answers::{Base, Found, base, check, resolve, sizes};
use super::builder::lacks;
use super::candidate::Candidate;
use super::carry::Known;
use super::foreign::{compilers, without_running};
use super::made::{Assembled, Made};
use super::ops::{self, Fetch, Payload, Site};
use super::units::{Unit, units};
use super::{Treatment, budget};
use crate::context::Context;
use crate::error::BuildError;
use crate::exec::{CUSTOM_NAME, Origin, Tool};
use crate::image::LayerNote;
use crate::locks::FleetLock;
use crate::passes::Stop;
use crate::passes::chain::{End, chain, described};

/// Assembles a step. `asked` are the operations that took steps out, with the states that they took them from.
pub(super) async fn run(
    cx: &Context,
    rewrite: &mut Rewrite,
    step: OpId,
    candidate: &Candidate,
    originals: &HashMap<OpId, OpId>,
    asked: &[(OpId, Edge)],
) -> Result<Assembled, Stop> {
    if let Some(reason) = lacks(&cx.bridge) {
        return Err(Stop::Refused(reason));
    }
    let platform = rewrite.graph()[step].op().platform.clone();
    let locked = cx.lock(platform.as_ref());
    let foreign = without_running(&cx.request, platform.as_ref(), locked)?;
    if foreign.is_some() && reaches_index_in_its_own_way(candidate) {
        let reason = "it reaches the index in its own way, for a platform whose programs aren't run here";
        return Err(Stop::Refused(reason.to_owned()));
    }
    let tool = cx.tool(rewrite)?;
    let inputs = rewrite.current_inputs(step)?;
    let metadata = rewrite.graph()[step].metadata()?;
    let origin = Origin { op: Some(step), ignore_cache: metadata.ignore_cache, group: None };
    let before = inputs[candidate.exec.mounts[candidate.root].input as usize];
    let own_platform = locked.filter(|_| foreign.is_none());
    let mut base = base(cx, rewrite, &tool, before, originals, own_platform).await?;
    if foreign.is_some() {
        compilers(cx, rewrite, &tool, locked, &mut base).await;
    }
    base.evidence.extend(below(rewrite, before, asked));
    let name = described(rewrite.graph(), step, CUSTOM_NAME).unwrap_or_else(|| "[plinth] install".to_owned());
    let lock = locked.map(|lock| ops::lock(rewrite, &lock.text)).transpose()?;
    let fleet = Fleet { locked, lock, foreign };
    let part = Part { step, candidate, inputs: &inputs, fleet, origin: &origin, name: &name };
    let mut made = Made::default();
    let Some(text) = &candidate.parts.before else {
        let (edge, installs) = part.installs(cx, rewrite, &tool, &base, before, &mut made).await?;
        return Ok(made.assembled(edge, installs));
    };
    let started = part.run(cx, rewrite, before, text, &mut made).await?;
    let notes = made.notes.clone();
    match part.installs(cx, rewrite, &tool, &base, started, &mut made).await {
        Ok((edge, installs)) => Ok(made.assembled(edge, installs)),
        Err(Stop::Refused(reason)) => {
            // What has run needn't run again.
            let mut made = Made { notes, ..Made::default() };
            let edge = part.run(cx, rewrite, started, &candidate.parts.behind, &mut made).await?;
            let reason = format!("{reason}; what comes before the install is a layer of its own");
            Ok(Assembled { treatment: Treatment::AsWritten(reason), ..made.assembled(edge, 0) })
        }
        Err(stop) => Err(stop),
    }
}

/// What was asked of the states that `before` stands on: with it among the evidence, a cache export holds the answers.
fn below(rewrite: &Rewrite, before: Edge, asked: &[(OpId, Edge)]) -> Vec<Edge> {
    let (end, operations) = chain(rewrite.graph(), before);
    let stands_on = |op: &OpId| operations.contains(op) || end == End::Source(*op);
    asked.iter().filter(|(state, _)| stands_on(state)).map(|(_, edge)| *edge).collect()
}

/// What the fleet's lock is to a step.
#[derive(Clone)]
struct Fleet<'a> {
    locked: Option<&'a FleetLock>,
    /// As a file.
    lock: Option<Edge>,
    /// The step's programs can't be run.
    foreign: Option<Foreign>,
}

/// A step in the making.
struct Part<'a> {
    step: OpId,
    candidate: &'a Candidate,
    inputs: &'a [Edge],
    fleet: Fleet<'a>,
    origin: &'a Origin,
    /// The step's.
    name: &'a str,
}

impl Part<'_> {
    /// Assembles the installs that the script comes to, and runs what comes after them. Gives the state after, and how
    /// many installs there were.
    async fn installs(
        &self,
        cx: &Context,
        rewrite: &mut Rewrite,
        tool: &Tool,
        base: &Base,
        mut before: Edge,
        made: &mut Made,
    ) -> Result<(Edge, usize), Stop> {
        let mut installs = 0;
        let mut so_far = Found::default();
        loop {
            let origin = self.origin.clone();
            let (candidate, inputs) = (self.candidate, self.inputs);
            let Fleet { lock, locked, foreign } = self.fleet.clone();
            let mut site = Site { tool, candidate, inputs, before, lock, locked, foreign, origin };
            match install(cx, rewrite, &mut site, base, &so_far, self.name).await? {
                Came::ToAnInstall(after, next, found) => {
                    before = after;
                    made.add(*next);
                    installs += 1;
                    if !found.more {
                        break;
                    }
                    so_far = found;
                    so_far.events.push(true);
                }
                Came::ToItsEnd => break,
            }
        }
        if let Some(text) = &self.candidate.parts.after {
            before = self.run(cx, rewrite, before, text, made).await?;
        }
        Ok((before, installs))
    }

    /// Runs a part of its script by itself, and waits: if it fails, so does the step, and with its own message.
    async fn run(
        &self,
        cx: &Context,
        rewrite: &mut Rewrite,
        before: Edge,
        text: &str,
        made: &mut Made,
    ) -> Result<Edge, Stop> {
        let at = self.name.split_once("] ").map_or("[plinth", |(at, _)| at);
        let name = format!("{at}] RUN {text}");
        let edge = ops::part(
            rewrite,
            self.step,
            self.candidate,
            self.inputs,
            before,
            text,
            self.origin.metadata(name),
        )?;
        cx.solve(rewrite, edge, true)
            .await
            .map_err(|error| Stop::refused(error, |_| format!("a part of it fails (`{text}`)")))?;
        made.notes.push(LayerNote { created_by: format!("RUN {text}") });
        made.runs.push(text.to_owned());
        Ok(edge)
    }
}

/// Where a walk through the script came to.
enum Came {
    /// To an install, which gives this state.
    ToAnInstall(Edge, Box<Made>, Found),
    ToItsEnd,
}

/// Assembles the install that comes next.
async fn install(
    cx: &Context,
    rewrite: &mut Rewrite,
    site: &mut Site<'_>,
    base: &Base,
    so_far: &Found,
    name: &str,
) -> Result<Came, Stop> {
    // If the daemon can't reach the index as the step can, the step fetches: with the resolution that is there, so that
    // nothing is asked again in the next build. If the wheel is gone, the index is asked again, past the cache.
    let mut attempts =
        vec![(Fetch::Daemon, site.origin.ignore_cache), (Fetch::Step, site.origin.ignore_cache)];
    if reaches_index_in_its_own_way(site.candidate) {
        attempts.remove(0);
    }
    attempts.push((Fetch::Step, true));
    if site.foreign.is_some() {
        // Its pip can't be run.
        attempts.retain(|(fetch, _)| *fetch == Fetch::Daemon);
    }
    let mut first = None;
    for (fetch, ignore_cache) in attempts {
        site.origin.ignore_cache = ignore_cache;
        match attempt(cx, rewrite, site, base, so_far, fetch, name).await {
            Err(Attempt::WheelsNotFetched(error)) => {
                first.get_or_insert(error);
            }
            Err(Attempt::Stop(stop)) => return Err(stop),
            Ok(came) => return Ok(came),
        }
    }
    let why = first.map(|error| error.first_line().to_owned()).unwrap_or_default();
    Err(Stop::Refused(format!("its wheels can't be fetched: {why}")))
}

pub(super) enum Attempt {
    Stop(Stop),
    /// The payloads can't be made because a wheel can't be had.
    WheelsNotFetched(BuildError),
}

impl<T: Into<Stop>> From<T> for Attempt {
    fn from(stop: T) -> Self {
        Self::Stop(stop.into())
    }
}

async fn attempt(
    cx: &Context,
    rewrite: &mut Rewrite,
    site: &Site<'_>,
    base: &Base,
    so_far: &Found,
    fetch: Fetch,
    name: &str,
) -> Result<Came, Attempt> {
    let warm = match site.foreign {
        Some(_) => None,
        None => warm(rewrite, site.tool, base.image, base.facts.as_ref())?,
    };
    let compilers: Vec<Edge> = base.compilers.iter().map(|(image, _)| *image).collect();
    let resolution = site.resolve(rewrite, warm, so_far, &compilers)?;
    let Some((plan, found)) = resolve(cx, rewrite, resolution).await? else { return Ok(Came::ToItsEnd) };
    if let Some(mount) = mount_over(site.candidate, &plan) {
        return Err(
            Stop::Refused(format!("the mount at {mount} covers the place that it installs to")).into()
        );
    }
    if plan.install.is_empty() {
        // Nothing to install and nothing to remove: the state before is the state after.
        let made = Made { outside: outside(&plan), ..Made::default() };
        return Ok(Came::ToAnInstall(site.before, Box::new(made), found));
    }

    // What is a file of the state before is nothing that the daemon could fetch.
    let local = plan.install.iter().any(|wheel| wheel.path().is_some());
    let fetch = if local { Fetch::Step } else { fetch };
    let units = units(&plan, site.locked.map(|lock| &lock.parsed));
    let payloads = payloads(rewrite, site, base, &plan, &units, fetch, resolution, warm)?;
    let marks = ops::marks(rewrite, &payloads, &site.origin)?;
    let bytes = sizes(cx, rewrite, &plan, &payloads, marks).await?;
    let used = layers_below(cx, rewrite, site.before).await + usize::from(!plan.remove.is_empty());
    let room = budget::IMAGE_LAYERS.saturating_sub(used);
    let of_unit = |unit: &Unit| unit.iter().map(|i| bytes[*i]).sum();
    let (alone, tail) = budget::split(&units.iter().map(of_unit).collect::<Vec<u64>>(), room);
    let pick = |numbers: &[usize]| -> Vec<Unit> { numbers.iter().map(|i| units[*i].clone()).collect() };
    let (alone, tail) = (pick(&alone), pick(&tail));

    let mut merged = Vec::new();
    let mut notes = Vec::new();
    let removed: Vec<String> = plan.remove.iter().map(|r| format!("{} {}", r.name, r.version)).collect();
    let state = if removed.is_empty() {
        site.before
    } else {
        notes.push(LayerNote { created_by: format!("plinth: remove {}", removed.join(", ")) });
        site.remove(rewrite, resolution, &removed.join(", "))?
    };
    merged.push(state);
    let evidence: Vec<Edge> = base.evidence.iter().copied().chain([marks]).collect();
    // Wheels of one layer have one tree.
    let trees: Vec<usize> = tail.iter().map(|unit| unit[0]).collect();
    let record = site.record(rewrite, resolution, &payloads, &trees, &evidence)?;
    check(cx, rewrite, record).await?;

    let title = |i: &usize| format!("{} {}", plan.install[*i].name, plan.install[*i].version);
    let titles = |units: &[Unit]| -> Vec<String> { units.iter().flatten().map(title).collect() };
    let note = |units: &[Unit]| LayerNote { created_by: format!("plinth: {}", titles(units).join(", ")) };
    let mut layers = Vec::new();
    for unit in &alone {
        for i in unit {
            let libraries = [plan.scheme.purelib.clone(), plan.scheme.platlib.clone()];
            layers.push((payloads[*i], Known { title: title(i), bytes: bytes[*i], libraries }));
        }
        merged.push(payloads[unit[0]].tree);
        notes.push(note(std::slice::from_ref(unit)));
    }
    if !tail.is_empty() {
        merged.push(record.tail);
        notes.push(note(&tail));
    }
    merged.push(record.record);
    notes.push(LayerNote { created_by: "plinth: install records".to_owned() });
    let edge = ops::merge(rewrite, merged, name.to_owned(), &site.origin)?;
    let (alone, tail) = (titles(&alone), titles(&tail));
    let outputs = outputs(site.candidate, &plan);
    let (locked, outside) = (plan.locked == Some(Locked::Covered), outside(&plan));
    let made =
        Made { notes, alone, tail, removed, outputs, locked, outside, payloads: layers, ..Made::default() };
    Ok(Came::ToAnInstall(edge, Box::new(made), found))
}

/// Byte code with which the interpreter of an image starts fast, if it has one.
fn warm(
    rewrite: &mut Rewrite,
    tool: &Tool,
    image: Option<Edge>,
    facts: Option<&Facts>,
) -> Result<Option<Edge>, GraphError> {
    match (image, facts.and_then(|facts| facts.pythons.first())) {
        (Some(image), Some(python)) => ops::warm(rewrite, tool, image, &python.path).map(Some),
        _ => Ok(None),
    }
}

/// The payloads of all wheels, in the order of the plan.
// One parameter per thing that decides a payload.
#[allow(clippy::too_many_arguments)]
fn payloads(
    rewrite: &mut Rewrite,
    site: &Site<'_>,
    base: &Base,
    plan: &Plan,
    units: &[Unit],
    fetch: Fetch,
    resolution: Edge,
    warm: Option<Edge>,
) -> Result<Vec<Payload>, Stop> {
    let fetched = match fetch {
        Fetch::Daemon => None,
        Fetch::Step => Some(site.fetch(rewrite, resolution)?),
    };
    // The interpreter of an image, if it is the one that the step uses: then the payload is the same operation in every
    // service, whatever else the service installs first. The lock's image goes first, since it stays the same when the
    // base gets a patch.
    let same = |facts: &Facts| {
        let wanted = &plan.interpreter;
        facts.pythons.iter().any(|p| p.physical == wanted.physical && p.fingerprint == wanted.fingerprint)
    };
    let own = base.image.zip(base.facts.as_ref());
    let offered = base.compilers.iter().map(|(image, facts)| (*image, facts));
    let found = match &plan.compiler {
        Some(compiler) => offered.clone().nth(compiler.image),
        None => offered.chain(own).find(|(_, facts)| same(facts)),
    };
    let (interpreter, warm) = match found {
        Some((image, facts)) => (image, self::warm(rewrite, site.tool, Some(image), Some(facts))?),
        None => (site.before, warm),
    };
    // A payload is a function of its wheel: `no-cache` asks the index again, but makes no other bytes of the same wheel.
    let origin = Origin { ignore_cache: false, ..site.origin.clone() };
    let compiler = ops::Compiler { plan, interpreter, warm };
    let mut payloads = Vec::new();
    for unit in units {
        let wheels: Vec<_> = unit.iter().map(|i| &plan.install[*i]).collect();
        let made = ops::payloads(rewrite, site.tool, &compiler, &wheels, fetched, &origin)?;
        payloads.extend(unit.iter().copied().zip(made));
    }
    payloads.sort_by_key(|(i, _)| *i);
    Ok(payloads.into_iter().map(|(_, payload)| payload).collect())
}

/// Layers below and above the step that the budget has to leave room for.
pub(super) async fn layers_below(cx: &Context, rewrite: &Rewrite, before: Edge) -> usize {
    /// What comes after the step can't be known here: later stages build on this one.
    const ABOVE: usize = 20;
    let (end, operations) = chain(rewrite.graph(), before);
    let added: usize = operations
        .iter()
        .map(|op| match &rewrite.graph()[*op].op().op {
            Some(plinth_proto::pb::op::Op::Merge(merge)) => merge.inputs.len() - 1,
            _ => 1,
        })
        .sum();
    let base = match end {
        End::Source(image) => match crate::context::image_name(rewrite.graph(), image) {
            Some(name) => {
                let platform = rewrite.graph()[image].op().platform.clone();
                cx.image(&name, platform.as_ref()).await.map_or(ABOVE, |image| image.config.layers())
            }
            None => 1,
        },
        End::Scratch => 0,
    };
    base + added + ABOVE
}

/// The step reaches its index with settings that the daemon doesn't have.
fn reaches_index_in_its_own_way(candidate: &Candidate) -> bool {
    let meta = candidate.exec.meta.as_ref();
    candidate.secrets.is_some()
        || candidate.commands.iter().any(|command| !command.network_options.is_empty())
        || !network_variables(&candidate.env).is_empty()
        || meta.is_some_and(|meta| meta.proxy_env.is_some() || !meta.extra_hosts.is_empty())
        || candidate.exec.network != plinth_proto::pb::NetMode::Unset as i32
}

/// A mount of the step that hides, or would take, what the step installs.
fn mount_over<'a>(candidate: &'a Candidate, plan: &Plan) -> Option<&'a str> {
    let covers = |dest: &str| {
        let dest = std::path::Path::new(dest);
        plan.places().any(|place| std::path::Path::new(place).starts_with(dest) || dest.starts_with(place))
    };
    let mut mounts = candidate.exec.mounts.iter().enumerate().filter(|(at, _)| *at != candidate.root);
    mounts.find(|(_, mount)| covers(&mount.dest)).map(|(_, mount)| mount.dest.as_str())
}

/// Why the versions of an install aren't those of the fleet's lock, if there is one.
fn outside(plan: &Plan) -> Option<String> {
    match &plan.locked {
        Some(Locked::Outside { reason }) => Some(reason.clone()),
        Some(Locked::Covered) | None => None,
    }
}

/// Of the files that a plan leaves, those that the shell makes of what the installer prints.
fn outputs(candidate: &Candidate, plan: &Plan) -> Vec<String> {
    let installs = candidate.parts.installs.installs();
    let named = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        installs.iter().flat_map(|install| &install.outputs).any(|output| output == name)
    };
    plan.left.iter().map(|left| left.path.clone()).filter(|path| named(path)).collect()
}
