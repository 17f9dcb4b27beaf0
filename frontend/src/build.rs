//! The flow of one build.

use std::collections::BTreeMap;
use std::process::ExitCode;

use bytes::Bytes;
use plinth_proto::graph::{Edge, Graph};
use plinth_proto::{gateway, pb};

use crate::bridge::Bridge;
use crate::context::Context;
use crate::error::BuildError;
use crate::image::{ImageConfig, LayerNote};
use crate::passes::base::{self, Action, Decisions};
use crate::passes::{chain, pip};
use crate::policy_source::{self, Found};
use crate::report::{LABEL, Report, render};
use crate::request::Request;
use crate::{decisions, transport, upstream};

/// The subrequest that answers what plinth would do, without building: a [`Report`] as `result.json` and as text.
pub const EXPLAIN: &str = "plinth.explain";

/// Metadata key of the report: BuildKit hands `frontend.*` on to the client.
const REPORT_METADATA: &str = "frontend.plinth.report";
/// Metadata key of the image config.
const CONFIG: &str = "containerimage.config";
/// Metadata key of the config of the base image.
const BASE_CONFIG: &str = "containerimage.base.config";
/// Room that the rest of a request needs.
const REQUEST_OVERHEAD: usize = 64 << 10;

/// Serves one build over standard input and output, and ends the process's work.
#[must_use]
pub fn run() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("no runtime: {error}")),
    };
    match runtime.block_on(serve()) {
        // The result, good or bad, was returned by a call. Any other exit code would turn it into an error.
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

/// Standard error is the daemon's log: nothing of the build's options may appear there.
fn fail(message: &str) -> ExitCode {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "plinth frontend: {message}");
    ExitCode::from(2)
}

async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let request = Request::from_env();
    let channel = transport::connect().await.map_err(|e| {
        format!("no connection to BuildKit over standard input and output ({e}); this command is started by BuildKit, not by hand")
    })?;
    let imports = request.cache_imports();
    let bridge = Bridge::new(channel, imports.as_ref().map(Clone::clone).unwrap_or_default()).await?;
    let outcome = match imports {
        Ok(_) => build(&Context::new(bridge.clone(), request)).await,
        Err(error) => Err(BuildError::invalid(format!("the option cache-imports is no list of caches: {error}"))),
    };
    Ok(bridge.finish(outcome.map_err(BuildError::into_status)).await?)
}

/// One image of the result: one platform's, or the only one.
struct Image {
    /// Platform ID, where the result has one for each.
    platform: Option<String>,
    /// What upstream made.
    graph: Graph,
    root: Edge,
    config: ImageConfig,
}

async fn build(cx: &Context) -> Result<gateway::Result, BuildError> {
    for cap in ["return", "proto.refarray", "frontend.inputs", "readfile", "readdir"] {
        cx.bridge.require_api(cap)?;
    }
    let inputs = cx.bridge.inputs().await?;
    let explain = cx.request.subrequest() == Some(EXPLAIN);
    if cx.request.is_off() && !explain || cx.request.subrequest().is_some() && !explain {
        return upstream::solve(&cx.bridge, &cx.request, &inputs).await;
    }
    let (result, policy) =
        tokio::join!(upstream::solve(&cx.bridge, &cx.request, &inputs), policy_source::find(&cx.bridge, &cx.request, &inputs));
    // A mistake in the Dockerfile is shown as if plinth weren't there, whatever else is wrong.
    let (mut result, policy) = (result?, policy?);

    let images = match images(&result) {
        Ok(images) => images,
        // Nothing that could be looked at: nothing that could be changed.
        Err(reason) if explain => return Err(BuildError::internal(reason)),
        Err(_) => return Ok(result),
    };
    let decided = decide(cx, policy.as_ref(), &images).await?;
    warn_of_refusals(cx, &decided, &images).await;

    let mut report = Report::new();
    let mut rewritten = BTreeMap::new();
    for image in images {
        let key = image.platform.clone();
        let platform = image.config.platform();
        let done = rewrite(cx, &decided, image).await?;
        report.platforms.push(decisions::platform(&platform, &decided, &done.steps));
        rewritten.insert(key, done);
    }
    if explain {
        return finish(result, &report, true);
    }
    let label = report.to_label();
    for (key, done) in &mut rewritten {
        let Some(new) = &mut done.new else { continue };
        new.config.set_label(LABEL, &label);
        let definition = new.graph.definition(new.root)?.checked(REQUEST_OVERHEAD)?;
        let solved = cx.bridge.solve_definition(definition.bytes().clone(), false).await?;
        set_ref(&mut result, key.as_deref(), solved.0);
        result.metadata.insert(keyed(CONFIG, key.as_deref()), new.config.to_bytes().into());
        if let Some(base) = &new.base_config {
            result.metadata.insert(keyed(BASE_CONFIG, key.as_deref()), base.to_bytes().into());
        }
    }
    attestations(cx, &decided, &mut result).await?;
    finish(result, &report, false)
}

/// Adds the report to the result, or makes it the result.
fn finish(mut result: gateway::Result, report: &Report, explain: bool) -> Result<gateway::Result, BuildError> {
    if explain {
        let metadata = [
            ("result.json".to_owned(), report.to_label().into_bytes().into()),
            ("result.txt".to_owned(), render(report).into_bytes().into()),
            ("version".to_owned(), Bytes::from_static(b"1.0.0")),
        ];
        return Ok(gateway::Result { metadata: metadata.into(), ..Default::default() });
    }
    result.metadata.insert(REPORT_METADATA.to_owned(), report.to_label().into_bytes().into());
    Ok(result)
}

/// The images of a result; or why they can't be looked at.
fn images(result: &gateway::Result) -> Result<Vec<Image>, String> {
    let refs: Vec<(Option<String>, &gateway::Ref)> = match &result.result {
        Some(gateway::result::Result::Ref(one)) => vec![(None, one)],
        Some(gateway::result::Result::Refs(map)) => map.refs.iter().map(|(id, r)| (Some(id.clone()), r)).collect(),
        _ => return Err("the build has no result".to_owned()),
    };
    let mut images = Vec::new();
    for (platform, r) in refs {
        // A stage without files (`FROM scratch` alone) has no definition.
        let Some(definition) = r.def.clone().filter(|def| !def.is_empty()) else { continue };
        let graph = Graph::decode(definition).map_err(|e| format!("its definition can't be read: {e}"))?;
        let config = result
            .metadata
            .get(&keyed(CONFIG, platform.as_deref()))
            .ok_or("the build has no image config")
            .and_then(|bytes| ImageConfig::parse(bytes).map_err(|_| "its image config can't be read"))?;
        images.push(Image { platform, root: graph.root(), graph, config });
    }
    Ok(images)
}

async fn decide(cx: &Context, policy: Option<&Found>, images: &[Image]) -> Result<Decisions, BuildError> {
    let Some(policy) = policy else { return Ok(Decisions::new()) };
    let targets: Vec<base::Target<'_>> = images
        .iter()
        .map(|image| base::Target { graph: &image.graph, root: image.root, strings: image.config.strings() })
        .collect();
    base::decide(cx, policy, &targets).await
}

/// An image after all passes.
struct Done {
    steps: Vec<pip::Step>,
    /// Absent if nothing changed: then upstream's own result is returned.
    new: Option<New>,
}

struct New {
    graph: Graph,
    root: Edge,
    config: ImageConfig,
    base_config: Option<ImageConfig>,
}

async fn rewrite(cx: &Context, decisions: &Decisions, image: Image) -> Result<Done, BuildError> {
    let Image { platform: _, graph, root, mut config } = image;
    let before = *graph[root.op].digest();
    let applied = base::apply(decisions, graph, root)?;
    let operations = chain::chain(&applied.graph, applied.root).1;
    let passed = pip::run(cx, applied.graph, applied.root).await?;
    if *passed.graph[passed.root.op].digest() == before && passed.root.index == root.index {
        return Ok(Done { steps: passed.steps, new: None });
    }
    if let Some(master) = &applied.master {
        config.rebase(&master.original, &master.config);
    }
    let layers: Vec<Option<Vec<LayerNote>>> = operations.iter().map(|op| passed.layers.get(op).cloned()).collect();
    if layers.iter().any(Option::is_some) {
        config.align_history(&layers, epoch(cx).as_deref());
    }
    let base_config = applied.master.map(|master| master.config);
    Ok(Done { steps: passed.steps, new: Some(New { graph: passed.graph, root: passed.root, config, base_config }) })
}

/// `SOURCE_DATE_EPOCH` of the build as a history time.
fn epoch(cx: &Context) -> Option<String> {
    let seconds: u64 = cx.request.build_arg("SOURCE_DATE_EPOCH")?.parse().ok()?;
    let time = std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds))?;
    Some(humantime::format_rfc3339_seconds(time).to_string())
}

/// Attestations scan what was built: the same changes go into their definitions.
async fn attestations(cx: &Context, decisions: &Decisions, result: &mut gateway::Result) -> Result<(), BuildError> {
    for attestation in result.attestations.values_mut().flat_map(|list| &mut list.attestation) {
        let Some(r) = &mut attestation.r#ref else { continue };
        let Some(definition) = r.def.take().filter(|def| !def.is_empty()) else { continue };
        let graph = Graph::decode(definition)?;
        let root = graph.root();
        let before = *graph[root.op].digest();
        let applied = base::apply(decisions, graph, root)?;
        let mut passed = pip::run(cx, applied.graph, applied.root).await?;
        if *passed.graph[passed.root.op].digest() != before {
            let definition = passed.graph.definition(passed.root)?.checked(REQUEST_OVERHEAD)?;
            r.id = cx.bridge.solve_definition(definition.bytes().clone(), false).await?.0;
        }
    }
    Ok(())
}

fn set_ref(result: &mut gateway::Result, platform: Option<&str>, id: String) {
    let new = gateway::Ref { id, def: None };
    match (&mut result.result, platform) {
        (Some(gateway::result::Result::Ref(r)), _) => *r = new,
        (Some(gateway::result::Result::Refs(map)), Some(platform)) => {
            map.refs.insert(platform.to_owned(), new);
        }
        _ => {}
    }
}

fn keyed(key: &str, platform: Option<&str>) -> String {
    match platform {
        Some(platform) => format!("{key}/{platform}"),
        None => key.to_owned(),
    }
}

/// A base that the policy would replace, but that stays, is worth a warning on its FROM line.
async fn warn_of_refusals(cx: &Context, decisions: &Decisions, images: &[Image]) {
    let Some(image) = images.first() else { return };
    let Ok(files) = image.graph.source_info() else { return };
    let Some(file) = files.first() else { return };
    let head = file.definition.clone().and_then(|def| Graph::decode(def).ok()).map(|graph| graph[graph.root().op].digest().to_string());
    for decision in decisions.values() {
        let Action::Refused(reason) = &decision.action else { continue };
        let position = |line: usize| Some(pb::Position { line: i32::try_from(line).unwrap_or_default(), character: 0 });
        let range = decision.line.map(|line| pb::Range { start: position(line), end: position(line) });
        cx.bridge
            .warn(gateway::WarnRequest {
                digest: head.clone().unwrap_or_default(),
                level: 1,
                short: format!("plinth keeps {}: {reason}", decision.image).into_bytes().into(),
                detail: vec![Bytes::from_static(b"The policy would put this stage on another base; it is built as written.")],
                info: Some(file.clone()),
                ranges: range.into_iter().collect(),
                ..Default::default()
            })
            .await;
    }
}
