//! A step that runs as it is written, and leaves distributions behind: the big ones get layers of their own.
//!
//! ```text
//!   state before --+-- the step --> state after
//!        |         |                   |
//!        |         +------> survey <---+      what was installed
//!        |         +------> cut <------+      its layers
//!        |                   | trees
//!   Merge( state before, trees … ) ---> rest of --> the state after, in layers
//! ```

use plinth_layers::steps::cut::{CutSpec, Dist, Made, Survey};
use plinth_layers::steps::mounts;
use plinth_layers::tree::LAYOUT;
use plinth_proto::graph::{Edge, GraphError, OpId, Rewrite};
use plinth_proto::pb;

use super::assemble::layers_below;
use super::builder::lacks;
use super::candidate::{keeps_output, root_mount};
use super::carry::Known;
use super::foreign::cannot_run;
use super::made::Assembled;
use super::ops::{self, Payload};
use super::{Treatment, budget};
use crate::context::Context;
use crate::exec::{CUSTOM_NAME, Origin, Tool, ToolExec, path_of};
use crate::image::LayerNote;
use crate::passes::Stop;
use crate::passes::chain::described;

/// Less than these bytes of layers that may be shared are not worth the containers that cut them: about a second.
const PAYS_FROM: u64 = 256 << 10;

/// Runs a step, and cuts what it left. Refused, for the reason that is given, where there is nothing in it.
pub(super) async fn run(
    cx: &Context,
    rewrite: &mut Rewrite,
    step: OpId,
    command: &str,
    reason: String,
) -> Result<Assembled, Stop> {
    let site = match Site::of(cx, rewrite, step)? {
        Some(site) => site,
        None => return Err(Stop::Refused(reason)),
    };
    match site.cut(cx, rewrite, command, &reason).await {
        Err(Stop::Refused(why)) => Err(Stop::Refused(format!("{reason}; {why}"))),
        Err(Stop::Unrelated) => Err(Stop::Refused(reason)),
        done => done,
    }
}

/// A step that has run, as the operations see it that cut what it left.
struct Site {
    tool: Tool,
    before: Edge,
    after: Edge,
    path_env: String,
    /// What progress calls the step.
    name: String,
    origin: Origin,
}

impl Site {
    /// None for a step whose result can't be cut.
    fn of(cx: &Context, rewrite: &mut Rewrite, step: OpId) -> Result<Option<Self>, Stop> {
        let op = rewrite.graph()[step].op();
        if lacks(&cx.bridge).is_some() || cannot_run(&cx.request, op.platform.as_ref()).is_some() {
            return Ok(None);
        }
        let Some(pb::op::Op::Exec(exec)) = &op.op else { return Ok(None) };
        let Some(root) = root_mount(exec) else { return Ok(None) };
        if exec.mounts.iter().enumerate().any(|(at, mount)| at != root && keeps_output(mount)) {
            return Ok(None);
        }
        let input = exec.mounts[root].input as usize;
        let path_env = path_of(exec);
        let inputs = rewrite.current_inputs(step)?;
        let Some(&before) = inputs.get(input) else { return Ok(None) };
        let after = rewrite.as_written(step)?.output(0);
        let ignore_cache = rewrite.graph()[step].metadata()?.ignore_cache;
        let name = described(rewrite.graph(), step, CUSTOM_NAME).unwrap_or_else(|| "the step".to_owned());
        Ok(Some(Self {
            tool: cx.tool(rewrite)?,
            before,
            after,
            path_env,
            name,
            origin: Origin { op: Some(step), ignore_cache, group: None },
        }))
    }

    async fn cut(
        &self,
        cx: &Context,
        rewrite: &mut Rewrite,
        command: &str,
        reason: &str,
    ) -> Result<Assembled, Stop> {
        // If the step itself fails, it does so again as it is written, with its own message.
        let survey = self.survey(rewrite)?;
        let solved = match cx.solve(rewrite, survey, true).await {
            Ok(solved) => solved,
            Err(error) if error.is_canceled() => return Err(Stop::Failed(error)),
            Err(_) => return Err(Stop::Unrelated),
        };
        let refused = |error| Stop::about(error, "what it left can't be looked at");
        let dists = match cx.read_json(&solved, Survey::FILE).await.map_err(refused)? {
            Survey::Installed { dists } => dists,
            Survey::Refused { reason } => return Err(Stop::Refused(format!("not split, because {reason}"))),
        };
        let room = budget::IMAGE_LAYERS.saturating_sub(layers_below(cx, rewrite, self.before).await);
        let bytes: Vec<u64> = dists.iter().map(|dist| dist.bytes).collect();
        let (alone, _) = budget::split(&bytes, room);
        let dists: Vec<Dist> = alone.into_iter().map(|i| dists[i].clone()).collect();
        if dists.iter().map(|dist| dist.bytes).sum::<u64>() < PAYS_FROM {
            return Err(Stop::Unrelated);
        }

        let (payloads, made) = self.layers(rewrite, &dists)?;
        let failed = |error| Stop::about(error, "what it left can't be cut");
        let solved = cx.solve(rewrite, made, true).await.map_err(failed)?;
        let made: Made = cx.read_json(&solved, Made::FILE).await.map_err(failed)?;
        let dists = dists.into_iter().zip(payloads).zip(made.bytes);
        let dists: Vec<((Dist, Payload), u64)> =
            dists.filter(|(_, bytes)| *bytes >= budget::ALONE_FROM).collect();
        if dists.iter().map(|(_, bytes)| bytes).sum::<u64>() < PAYS_FROM {
            return Err(Stop::Unrelated);
        }
        let payloads: Vec<Payload> = dists.iter().map(|((_, payload), _)| *payload).collect();
        let edge = self.rest(rewrite, &payloads)?;
        cx.solve(rewrite, edge, true).await.map_err(failed)?;

        let known = dists.iter().map(|((dist, payload), bytes)| {
            let library = dist.dist_info.rsplit_once('/').map_or("/", |(library, _)| library).to_owned();
            let title = format!("{} {}", dist.name, dist.version);
            (*payload, Known { title, bytes: *bytes, libraries: [library.clone(), library] })
        });
        let known: Vec<(Payload, Known)> = known.collect();
        let alone: Vec<String> = known.iter().map(|(_, known)| known.title.clone()).collect();
        let note = |created_by| LayerNote { created_by };
        let mut notes: Vec<LayerNote> = alone.iter().map(|title| note(format!("plinth: {title}"))).collect();
        notes.push(note(command.to_owned()));
        let treatment = Treatment::Split { alone, layers: notes.len(), reason: reason.to_owned() };
        Ok(Assembled { edge, notes, treatment, payloads: known })
    }

    /// An operation that sees the states around the step.
    fn exec(&self, root: Edge, args: Vec<String>) -> ToolExec {
        let mut exec = ToolExec::new(&self.tool, root, args);
        exec.read_state(mounts::AFTER, self.after);
        exec.read_state(mounts::BEFORE, self.before);
        exec
    }

    fn survey(&self, rewrite: &mut Rewrite) -> Result<Edge, GraphError> {
        let mut exec = self.exec(self.after, vec!["survey".to_owned()]);
        let out = exec.output(mounts::OUT);
        Ok(exec.add(rewrite, format!("[plinth] packages of {}", self.name), &self.origin)?.output(out))
    }

    /// The layers, and what is said about all of them.
    fn layers(&self, rewrite: &mut Rewrite, dists: &[Dist]) -> Result<(Vec<Payload>, Edge), GraphError> {
        let spec = CutSpec { layout: LAYOUT, path_env: self.path_env.clone(), dists: dists.to_vec() };
        let spec = serde_json::to_string(&spec).unwrap_or_default();
        let mut exec = self.exec(self.after, vec!["cut".to_owned(), spec]);
        let mut output = |kind: &str, i: usize| exec.output(&format!("{kind}/{i}"));
        let outputs: Vec<(i64, i64)> =
            (0..dists.len()).map(|i| (output(mounts::TREES, i), output(mounts::METAS, i))).collect();
        let made = exec.output(mounts::OUT);
        let op = exec.add(rewrite, format!("[plinth] cut {}", self.name), &self.origin)?;
        let payload =
            |(tree, meta): (i64, i64)| Payload { tree: op.output(tree), meta: op.output(meta), member: None };
        Ok((outputs.into_iter().map(payload).collect(), op.output(made)))
    }

    /// The state after the step, on top of the layers.
    fn rest(&self, rewrite: &mut Rewrite, payloads: &[Payload]) -> Result<Edge, GraphError> {
        let inputs =
            std::iter::once(self.before).chain(payloads.iter().map(|payload| payload.tree)).collect();
        let merged = ops::merge(rewrite, inputs, format!("[plinth] layers of {}", self.name), &self.origin)?;
        // Its root is what it continues; what it changes is mounted, free of a container's own mounts.
        let mut exec = self.exec(merged, vec!["rest-of".to_owned(), payloads.len().to_string()]);
        for (i, payload) in payloads.iter().enumerate() {
            payload.read_meta(&mut exec, &format!("{}/{i}", mounts::METAS));
        }
        let state = exec.change_state(mounts::STATE, merged);
        Ok(exec.add(rewrite, format!("[plinth] the rest of {}", self.name), &self.origin)?.output(state))
    }
}
