//! `plinth compare DIR…`: builds each service plain and through plinth, each side from the empty cache of a
//! builder of its own, pushes both to a registry, and measures.
//!
//! ```text
//! services   which services: directories with a Dockerfile
//! phases     the rounds (cold, unchanged, a change of the application, of a requirement) and their changes
//! builder    a BuildKit daemon of this run's own
//! build      one build, from Solve to the end of the push
//! run        all of it in order: plain first, then plinth
//! leftovers  what pip leaves behind in a layer by chance
//! scan       the layers, streamed from the registry to be looked into
//! figures    the document that comes of it
//! measure    from what was built to its figures
//! without    the cold round once more without some of the passes: what each is worth
//! gates      what has to be saved
//! render     the tables
//! ```

mod build;
mod builder;
mod figures;
mod gates;
mod leftovers;
mod measure;
mod phases;
mod render;
mod run;
mod scan;
mod services;
mod without;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use plinth_frontend::policy::Gates;

use crate::buildctl::Buildctl;
use crate::cli::{Outcome, json, print, runtime};
use crate::failure::{During as _, Failure};
use crate::policy::Policy;
use crate::registry::{self, Platform, Source};
use crate::ui::{Progress, note};
use figures::{Comparison, Pair, SCHEMA_VERSION, TimeSaved};
use measure::Rounds;
use run::{Builders, Plan};
use without::Without;

/// The arguments of `plinth compare`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Services (directories with a Dockerfile), directories of services, or Dockerfiles
    #[arg(required = true, value_name = "DIR")]
    paths: Vec<PathBuf>,
    /// The name of the Dockerfile in each service
    #[arg(long, value_name = "NAME", default_value = "Dockerfile")]
    file: String,
    /// The frontend image
    #[arg(long, env = "PLINTH_FRONTEND", value_name = "IMAGE")]
    frontend: String,
    /// Where to push: a registry, or a path in one; the images get a prefix of their own below it
    #[arg(long, env = "PLINTH_REGISTRY", value_name = "HOST[/PATH]")]
    registry: String,
    /// Speak plain HTTP with a registry that is not this machine
    #[arg(long)]
    plain_http: bool,
    /// The policy: a file, or a directory with a plinth.toml
    #[arg(long, value_name = "FILE|DIR")]
    policy: Option<PathBuf>,
    /// The build stage of one service
    #[arg(long, value_name = "SERVICE=STAGE")]
    target: Vec<String>,
    /// A build argument of all services
    #[arg(long = "build-arg", value_name = "KEY=VALUE")]
    build_args: Vec<String>,
    /// The platform to build for
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
    /// Compression of new layers, the same on both sides
    #[arg(long, value_parser = ["gzip", "zstd", "estargz", "uncompressed"])]
    compression: Option<String>,
    /// Services to build at once, the same on both sides
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: usize,
    /// After the cold round, change this and build again (more than once: in this order)
    #[arg(long, value_enum, value_name = "WHAT")]
    rebuild: Vec<phases::Rebuild>,
    /// What `--rebuild requirement` adds
    #[arg(long, value_name = "SPECIFIER", default_value = "colorama")]
    requirement: String,
    /// Repeat the all-cached build of each service this often, the sides taking turns
    #[arg(long, value_name = "N", default_value_t = 0)]
    overhead: usize,
    /// Build plinth's side once more, cold, without these passes, to see what they are worth (more than once)
    #[arg(long, value_name = "PASS,…", conflicts_with = "plinth_addr")]
    without: Vec<Without>,
    /// The configuration that the builders started here get a copy of
    #[arg(long, env = "PLINTH_BUILDKITD_CONFIG", value_name = "FILE")]
    buildkitd_config: Option<PathBuf>,
    /// Build the plain side on this builder instead of one started here
    #[arg(long, value_name = "ADDR", requires = "plinth_addr")]
    plain_addr: Option<String>,
    /// Build plinth's side on this builder instead of one started here
    #[arg(long, value_name = "ADDR", requires = "plain_addr")]
    plinth_addr: Option<String>,
    /// The part of the bytes that must be saved, 0 to 1 (default: the policy's, else 0.6)
    #[arg(long, value_name = "PART", value_parser = part)]
    gate_size: Option<f64>,
    /// The part of the build time that must be saved, 0 to 1 (default: the policy's, else 0.7)
    #[arg(long, value_name = "PART", value_parser = part)]
    gate_time: Option<f64>,
    /// The seconds that the build of the policy's master images took; they count as plinth's
    #[arg(long, value_name = "SECONDS", requires = "policy")]
    master_seconds: Option<f64>,
    /// The bytes that the master images add (default: what the registry says)
    #[arg(long, value_name = "BYTES", requires = "policy")]
    master_bytes: Option<u64>,
    /// Write the figures as JSON to this file; `-` is standard output, in place of the tables
    #[arg(long, value_name = "FILE|-")]
    json: Option<PathBuf>,
    /// Leave the images in the registry
    #[arg(long)]
    keep_images: bool,
    /// Build both sides plain: for trying out the command itself
    #[arg(long, hide = true)]
    plain_twice: bool,
}

fn part(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(part) if (0.0..=1.0).contains(&part) => Ok(part),
        _ => Err("a part is a number from 0 to 1, such as 0.6".into()),
    }
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<Outcome, Failure> {
    let policy = args.policy.as_deref().map(Policy::read).transpose()?;
    let plan = plan(&args, policy.as_ref())?;
    let progress = Progress::new();
    let runtime = runtime()?;
    let compared = runtime.block_on(async {
        let work = compare(&args, &plan, policy.as_ref(), &progress);
        // Dropping the work ends its builds and stops and deletes its builders.
        tokio::select! {
            done = work => done,
            signal = interrupted() => Err(Failure::new(format!("stopped by {signal}"))),
        }
    });
    progress.finish();
    // Whatever happened, the images of this run are nobody else's.
    let left = if args.keep_images { None } else { runtime.block_on(plan.forget()).err() };
    let left = left.map(|cause| format!("images stay under {}: {cause}", plan.setup.prefix));
    let comparison = match (compared, left) {
        (Err(failure), Some(left)) => {
            note(&format!("warning: {left}"));
            return Err(failure);
        }
        (compared, left) => {
            let mut comparison = compared?;
            comparison.notes.extend(left);
            comparison
        }
    };
    let document = args.json.as_ref().map(|_| json(&comparison)).transpose()?;
    match (&args.json, document) {
        (Some(path), Some(document)) if path.as_os_str() == "-" => print(&document)?,
        (Some(path), Some(document)) => {
            std::fs::write(path, document).during(format!("write `{}`", path.display()))?;
            print(&render::render(&comparison))?;
        }
        _ => print(&render::render(&comparison))?,
    }
    Ok(if comparison.has_finding() { Outcome::Finding } else { Outcome::Done })
}

fn plan(args: &Args, policy: Option<&Policy>) -> Result<Plan, Failure> {
    let services = services::find(&args.paths, &args.file)?;
    let mut targets = BTreeMap::new();
    for target in &args.target {
        let (service, stage) = target
            .split_once('=')
            .filter(|(service, _)| services.iter().any(|known| known.name == *service))
            .ok_or_else(|| {
                let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
                Failure::new(format!("--target {target} names no service"))
                    .hint(format!("it looks like SERVICE=STAGE; the services are {}", names.join(", ")))
            })?;
        targets.insert(service.to_owned(), stage.to_owned());
    }
    let platforms = match &args.platform {
        Some(list) => list.split(',').map(str::parse).collect::<Result<Vec<Platform>, _>>(),
        None => Ok(vec![registry::host()]),
    };
    let platforms = platforms.map_err(|cause| Failure::new(format!("cannot read --platform: {cause}")))?;
    // Only this run's images are below it, so that neither an earlier run nor the other side saves a push.
    let run = format!("{:x}-{:x}", crate::buildctl::now() as u64, std::process::id());
    let setup = build::Setup {
        prefix: format!("{}/compare/{run}", args.registry.trim_end_matches('/')),
        frontend: args.frontend.clone(),
        policy: policy.map(Policy::arguments).unwrap_or_default(),
        build_args: args.build_args.clone(),
        targets,
        compression: args.compression.clone(),
        platform: args.platform.clone(),
        plain_http: args.plain_http,
        plain_twice: args.plain_twice,
        pushed: Arc::default(),
    };
    let builders = match (&args.plain_addr, &args.plinth_addr) {
        (Some(plain), Some(plinth)) => Builders::Given(Pair { plain: plain.clone(), plinth: plinth.clone() }),
        _ => Builders::Own(args.buildkitd_config.clone()),
    };
    Ok(Plan {
        setup: Arc::new(setup),
        buildctl: Buildctl::new(None)?,
        builders,
        services,
        phases: phases::phases(&args.rebuild),
        jobs: args.jobs,
        requirement: args.requirement.clone(),
        repetitions: args.overhead,
        without: args.without.clone(),
        platforms,
    })
}

async fn compare(
    args: &Args,
    plan: &Plan,
    policy: Option<&Policy>,
    progress: &Progress,
) -> Result<Comparison, Failure> {
    // Before hours of building, and not after them: a master that can't be read is a mistake in the policy.
    let masters = policy.map(Policy::masters).unwrap_or_default();
    let mut own = BTreeSet::new();
    for name in &masters {
        own.extend(Source::open(name, args.plain_http).await?.blobs(&plan.platforms).await?);
    }
    let ran = plan.run(progress).await?;
    let names: Vec<String> = plan.services.iter().map(|service| service.name.clone()).collect();
    let mut notes = ran.notes;
    let empty_caches = matches!(plan.builders, Builders::Own(_));
    if !empty_caches {
        notes.push("given builders were used: that their caches were empty is not known".into());
    }
    let mut rounds = Rounds { names: &names, sides: ran.rounds, left: BTreeMap::new() };
    let mut without = without::rounds(&rounds, ran.without);
    let mut layers = rounds.layers_to_scan(Pair { plain: &plan.setup, plinth: &plan.setup });
    for (left_out, rounds) in &without {
        layers
            .extend(rounds.layers_to_scan(Pair { plain: &plan.setup, plinth: &left_out.setup(&plan.setup) }));
    }
    // Hours of building aren't thrown away for one layer that can't be read.
    let (left, unread) = match scan::leftovers(layers, args.plain_http, progress).await {
        Ok(left) => (left, None),
        Err(failure) => (BTreeMap::new(), Some(failure.to_string())),
    };
    for rounds in without.iter_mut().map(|(_, rounds)| rounds).chain([&mut rounds]) {
        rounds.know_leftovers(&left);
    }
    let total = rounds.total();
    let mut failures = rounds.failures();
    for (left_out, rounds) in &without {
        let ours = rounds.failures().into_iter().filter(|failure| failure.side == build::Side::Plinth);
        let before = failures.len();
        failures.extend(ours);
        if failures.len() > before {
            notes.push(format!("{} of the failures: without {left_out}", failures.len() - before));
        }
    }
    let master =
        (!masters.is_empty()).then(|| rounds.master(masters, &own, args.master_bytes, args.master_seconds));
    let wanted = policy.map_or_else(Gates::default, Policy::gates);
    let mut gates = gates::judge(
        &total,
        master.as_ref(),
        args.gate_size.unwrap_or(wanted.size_saved),
        args.gate_time.unwrap_or(wanted.build_time_saved),
    );
    if let Some(why) = unread {
        notes.push(format!("what pip left behind isn't known, so the size gate counts as missed: {why}"));
        gates.iter_mut().filter(|gate| gate.saved_as_stored.is_some()).for_each(|gate| gate.met = false);
    }
    if args.plain_twice {
        notes.push("both sides were built plain".into());
    }
    let left_out = plan.services.len() - rounds.compared().len();
    if left_out > 0 {
        notes.push(format!(
            "{left_out} of {} services did not build on both sides and are left out",
            names.len()
        ));
    }
    Ok(Comparison {
        schema_version: SCHEMA_VERSION,
        plinth: env!("CARGO_PKG_VERSION"),
        images: plan.setup.prefix.clone(),
        frontend: args.frontend.clone(),
        jobs: args.jobs,
        compression: args.compression.clone(),
        empty_caches,
        services: rounds.services(),
        time_saved: TimeSaved::of(&total),
        master,
        phases: rounds.phases(),
        overhead: measure::overhead(plan.repetitions, &ran.cached),
        gates,
        failures,
        without: without.iter().map(|(left_out, rounds)| left_out.row(rounds)).collect(),
        notes,
        total,
    })
}

/// Waits for a signal that asks this process to end.
async fn interrupted() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut int), Ok(mut term)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        note("warning: signals can't be caught; builders may be left behind on Ctrl-C");
        return std::future::pending().await;
    };
    let signal = tokio::select! {
        _ = int.recv() => "Ctrl-C",
        _ = term.recv() => "a signal",
    };
    note("stopping; builders started here are deleted, which takes some seconds");
    signal
}
