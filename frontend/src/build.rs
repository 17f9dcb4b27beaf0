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
use crate::passes::chain;
use crate::passes::pip::{self, Step, Treatment};
use crate::passes::switch::Pass;
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
        Err(error) => {
            Err(BuildError::invalid(format!("the option cache-imports is no list of caches: {error}")))
        }
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
    if !explain && (cx.request.is_off() || cx.request.subrequest().is_some()) {
        return upstream::solve(&cx.bridge, &cx.request, &inputs).await;
    }
    cx.request.without().map_err(BuildError::invalid)?;
    let (result, policy) = tokio::join!(
        upstream::solve(&cx.bridge, &cx.request, &inputs),
        policy_source::find(&cx.bridge, &cx.request, &inputs)
    );
    // A mistake in the Dockerfile is shown as if plinth weren't there, whatever else is wrong.
    let (mut result, policy) = (result?, policy?);
    if let Some(found) = policy.as_ref().filter(|_| cx.request.wants(Pass::Lock)) {
        cx.set_locks(found.locks.clone());
    }

    let changes = match images(&result) {
        Ok(images) => changes(cx, policy.as_ref(), images, &result, explain).await,
        Err(reason) => Err(BuildError::rewrite(reason)),
    };
    let Changes { report, images, attestations } = match changes {
        Ok(changes) => changes,
        // Nothing was changed yet, so what upstream made is still the build as written.
        Err(error) if error.is_rewrite() && !explain => {
            warn(cx, &result, &format!("plinth builds this as written: {error}"), None).await;
            return Ok(result);
        }
        Err(error) => return Err(error),
    };
    if explain {
        return Ok(answer(&report, cx.request.opt("plinth.format") == Some("json")));
    }
    for image in images {
        let key = image.platform.as_deref();
        set_ref(&mut result, key, image.solved);
        result.metadata.insert(keyed(CONFIG, key), image.config.to_bytes().into());
        if let Some(base) = &image.base_config {
            result.metadata.insert(keyed(BASE_CONFIG, key), base.to_bytes().into());
        }
    }
    for ((platform, at), id) in attestations {
        let list = result.attestations.get_mut(&platform).map(|list| &mut list.attestation);
        if let Some(attestation) = list.and_then(|list| list.get_mut(at)) {
            attestation.r#ref = Some(gateway::Ref { id, def: None });
        }
    }
    result.metadata.insert(REPORT_METADATA.to_owned(), report.to_label().into_bytes().into());
    Ok(result)
}

/// Everything that is to be changed in upstream's result.
struct Changes {
    report: Report,
    images: Vec<Changed>,
    /// By platform and position: the new ref.
    attestations: BTreeMap<(String, usize), String>,
}

/// An image that was rewritten.
struct Changed {
    platform: Option<String>,
    /// The new ref.
    solved: String,
    config: ImageConfig,
    base_config: Option<ImageConfig>,
}

async fn changes(
    cx: &Context,
    policy: Option<&Found>,
    images: Vec<Image>,
    result: &gateway::Result,
    explain: bool,
) -> Result<Changes, BuildError> {
    let decided = decide(cx, policy, &images).await?;
    for decision in decided.values() {
        if let Action::Refused(reason) = &decision.action {
            warn(cx, result, &format!("plinth keeps {}: {reason}", decision.image), decision.line).await;
        }
    }
    let lacks = pip::lacks(&cx.bridge).map(Treatment::AsWritten);
    let mut held_back = None;
    let mut report = Report::new();
    let mut rewritten = Vec::new();
    for image in images {
        let platform = image.platform.clone();
        let id = platform.clone().unwrap_or_else(|| image.config.platform());
        let done = rewrite(cx, &decided, image).await?;
        let mut steps = done.steps.iter();
        held_back = held_back.or_else(|| steps.find(|step| lacks.as_ref() == Some(&step.treatment)).cloned());
        report.platforms.push(decisions::platform(&id, &decided, &done.steps));
        rewritten.extend(done.new.map(|new| (platform, new)));
    }
    // A step that stays as written is no news, but this is so for every step of every build in this builder: said
    // once, at the first step.
    if let Some(Step { line, treatment: Treatment::AsWritten(reason), .. }) = held_back {
        warn(cx, result, &format!("plinth runs installs as written: {reason}"), line).await;
    }
    let mut changes = Changes { report, images: Vec::new(), attestations: BTreeMap::new() };
    if explain {
        return Ok(changes);
    }
    let label = changes.report.to_label();
    for (platform, mut new) in rewritten {
        new.config.set_label(LABEL, &label);
        let definition = new.graph.definition(new.root)?.checked(REQUEST_OVERHEAD)?;
        let solved = cx.bridge.solve_definition(definition.bytes().clone(), false).await?.0;
        changes.images.push(Changed { platform, solved, config: new.config, base_config: new.base_config });
    }
    changes.attestations = attestations(cx, &decided, result).await?;
    Ok(changes)
}

/// The report as the answer to a subrequest. A client that finds text shows nothing else, so `json` leaves it out.
fn answer(report: &Report, json: bool) -> gateway::Result {
    let mut metadata: BTreeMap<String, Bytes> = [
        ("result.json".to_owned(), report.to_label().into_bytes().into()),
        ("version".to_owned(), Bytes::from_static(b"1.0.0")),
    ]
    .into();
    if !json {
        metadata.insert("result.txt".to_owned(), render(report).into_bytes().into());
    }
    gateway::Result { metadata, ..Default::default() }
}

/// The images of a result; or why they can't be looked at.
fn images(result: &gateway::Result) -> Result<Vec<Image>, String> {
    let refs: Vec<(Option<String>, &gateway::Ref)> = match &result.result {
        Some(gateway::result::Result::Ref(one)) => vec![(None, one)],
        Some(gateway::result::Result::Refs(map)) => {
            map.refs.iter().map(|(id, r)| (Some(id.clone()), r)).collect()
        }
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
    let Some(policy) = policy.filter(|_| cx.request.wants(Pass::Base)) else { return Ok(Decisions::new()) };
    let targets: Vec<base::Target<'_>> = images
        .iter()
        .map(|image| base::Target {
            graph: &image.graph,
            root: image.root,
            strings: image.config.strings(),
            user: image.config.user().to_owned(),
        })
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
    let passed = pip::run(cx, applied.graph, applied.root, &applied.originals).await?;
    if *passed.graph[passed.root.op].digest() == before && passed.root.index == root.index {
        return Ok(Done { steps: passed.steps, new: None });
    }
    if let Some(master) = &applied.master {
        config.rebase(&master.original, &master.config);
    }
    let layers: Vec<Option<Vec<LayerNote>>> =
        operations.iter().map(|op| passed.layers.get(op).cloned()).collect();
    if layers.iter().any(Option::is_some) {
        config.align_history(&layers, epoch(cx).as_deref());
    }
    let base_config = applied.master.map(|master| master.config);
    Ok(Done {
        steps: passed.steps,
        new: Some(New { graph: passed.graph, root: passed.root, config, base_config }),
    })
}

/// `SOURCE_DATE_EPOCH` of the build as a history time.
fn epoch(cx: &Context) -> Option<String> {
    let seconds: u64 = cx.request.build_arg("SOURCE_DATE_EPOCH")?.parse().ok()?;
    let time = std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds))?;
    Some(humantime::format_rfc3339_seconds(time).to_string())
}

/// Attestations scan what was built: the same changes go into their definitions. Gives new refs by platform and
/// position.
async fn attestations(
    cx: &Context,
    decided: &Decisions,
    result: &gateway::Result,
) -> Result<BTreeMap<(String, usize), String>, BuildError> {
    let mut changed = BTreeMap::new();
    for (platform, list) in &result.attestations {
        for (at, attestation) in list.attestation.iter().enumerate() {
            let definition = attestation.r#ref.as_ref().and_then(|r| r.def.clone());
            let Some(definition) = definition.filter(|def| !def.is_empty()) else { continue };
            let graph = Graph::decode(definition)?;
            let root = graph.root();
            let before = *graph[root.op].digest();
            let applied = base::apply(decided, graph, root)?;
            let mut passed = pip::run(cx, applied.graph, applied.root, &applied.originals).await?;
            if *passed.graph[passed.root.op].digest() != before {
                let definition = passed.graph.definition(passed.root)?.checked(REQUEST_OVERHEAD)?;
                let solved = cx.bridge.solve_definition(definition.bytes().clone(), false).await?;
                changed.insert((platform.clone(), at), solved.0);
            }
        }
    }
    Ok(changed)
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

/// Warns the user, with the line of the Dockerfile if there is one.
async fn warn(cx: &Context, result: &gateway::Result, message: &str, line: Option<usize>) {
    let definition = match &result.result {
        Some(gateway::result::Result::Ref(one)) => one.def.clone(),
        Some(gateway::result::Result::Refs(map)) => map.refs.values().find_map(|r| r.def.clone()),
        _ => None,
    };
    let files = definition.and_then(|def| Graph::decode(def).ok()).and_then(|graph| graph.source_info().ok());
    let file = files.and_then(|files| files.into_iter().next());
    // A warning belongs to a vertex: as upstream's, to the one that loads the Dockerfile.
    let load = file.as_ref().and_then(|file| file.definition.clone()).and_then(|def| Graph::decode(def).ok());
    let digest = load.map(|graph| graph[graph.root().op].digest().to_string()).unwrap_or_default();
    let position =
        |line: usize| Some(pb::Position { line: i32::try_from(line).unwrap_or_default(), character: 0 });
    let range = line.map(|line| pb::Range { start: position(line), end: position(line) });
    let warning = gateway::WarnRequest {
        digest,
        level: 1,
        short: message.as_bytes().to_vec().into(),
        info: file,
        ranges: range.into_iter().collect(),
        ..Default::default()
    };
    cx.bridge.warn(warning).await;
}
