//! The apt pass: an `apt-get install` with nothing left to do on its master image is taken out.
//!
//! ```text
//! form      what a RUN asks of apt, if that is all it does
//! options   the options of apt-get that it may have
//! later     steps behind it that take packages away
//! ```
//!
//! Whether something is left to do is said by `plinth step satisfied`, in the state before the RUN. It is asked only on
//! an image whose label says that it has an inventory: any other is left alone, and its RUNs are not in the report.

mod form;
mod later;
mod options;

use plinth_layers::apt::Inventory;
use plinth_layers::steps::mounts;
use plinth_layers::steps::satisfied::{Answer, SatisfiedSpec};
use plinth_proto::graph::{Edge, OpId, Rewrite};
use plinth_proto::pb;

use self::form::{Request, request};
use super::Stop;
use super::chain::{End, chain, line};
use super::pip::cannot_run;
use crate::context::{Context, image_name};
use crate::exec::{Origin, ToolExec, path_of};

/// A RUN that has nothing to do.
pub(crate) struct Satisfied {
    /// The state before it, which is the state after it.
    pub(crate) before: Edge,
    /// What says so.
    pub(crate) evidence: Edge,
    /// Why, for the report.
    pub(crate) reason: String,
}

/// Looks at a RUN. [`Stop::Unrelated`] if it doesn't run apt, or its base has no inventory.
pub(crate) async fn run(cx: &Context, rewrite: &mut Rewrite, step: OpId) -> Result<Satisfied, Stop> {
    let Some(pb::op::Op::Exec(exec)) = &rewrite.graph()[step].op().op else { return Err(Stop::Unrelated) };
    let exec = exec.clone();
    if !form::runs_apt(&exec) {
        return Err(Stop::Unrelated);
    }
    let inputs = rewrite.current_inputs(step)?;
    let root = exec.mounts.iter().find(|mount| mount.dest == "/").map(|mount| mount.input);
    let before = root.and_then(|input| inputs.get(usize::try_from(input).ok()?)).copied();
    let before = before.ok_or(Stop::Unrelated)?;
    if !has_inventory(cx, rewrite, before).await {
        return Err(Stop::Unrelated);
    }
    let request = request(&exec)?;
    if let Some((op, command)) = later::takes_away(rewrite, step) {
        let at = line(rewrite.graph(), op).map(|line| format!(" (line {line})")).unwrap_or_default();
        return Err(Stop::Refused(format!("`{command}`{at} comes after it")));
    }
    if let Some(reason) = cannot_run(&cx.request, rewrite.graph()[step].op().platform.as_ref()) {
        return Err(Stop::Refused(reason));
    }
    ask(cx, rewrite, step, before, &exec, request).await
}

/// Whether the image that a state stands on says that it has an inventory.
async fn has_inventory(cx: &Context, rewrite: &Rewrite, before: Edge) -> bool {
    let End::Source(image) = chain(rewrite.graph(), before).0 else { return false };
    let Some(name) = image_name(rewrite.graph(), image) else { return false };
    let platform = rewrite.graph()[image].op().platform.clone();
    // An image that can't be resolved fails the build by itself, in its own words.
    let Ok(image) = cx.image(&name, platform.as_ref()).await else { return false };
    image.config.label(Inventory::LABEL).is_some_and(|format| !format.is_empty())
}

/// Asks in the state before the step.
async fn ask(
    cx: &Context,
    rewrite: &mut Rewrite,
    step: OpId,
    before: Edge,
    exec: &pb::ExecOp,
    request: Request,
) -> Result<Satisfied, Stop> {
    let tool = cx.tool(rewrite)?;
    let meta = exec.meta.clone().unwrap_or_default();
    let spec = SatisfiedSpec {
        packages: request.packages,
        recommends: request.recommends,
        removes: request.removes,
        programs: request.programs,
        path: path_of(exec),
        cwd: if meta.cwd.is_empty() { "/".into() } else { meta.cwd.into() },
    };
    let args = ["satisfied".to_owned(), serde_json::to_string(&spec).unwrap_or_default()];
    let mut asked = ToolExec::new(&tool, before, args);
    let out = asked.output(mounts::OUT);
    let ignore_cache = rewrite.graph()[step].metadata()?.ignore_cache;
    let origin = Origin { op: Some(step), ignore_cache, group: None };
    let evidence = asked.add(rewrite, "[plinth] ask apt".to_owned(), &origin)?.output(out);
    let failed = |error| Stop::about(error, "apt can't be asked");
    let solved = cx.solve(rewrite, evidence, true).await.map_err(failed)?;
    match cx.read_json(&solved, Answer::FILE).await.map_err(failed)? {
        Answer::Satisfied { packages, date } => {
            let them = if packages == 1 {
                "its package is".to_owned()
            } else {
                format!("its {packages} packages are")
            };
            let version = if packages == 1 { "version" } else { "versions" };
            let reason = format!("{them} there at the {version} of the master's inventory, as of {date}");
            Ok(Satisfied { before, evidence, reason })
        }
        Answer::Unsatisfied { reason } => Err(Stop::Refused(reason)),
    }
}
