//! `plinth analyze SOURCE…`: who stores which bytes twice.
//!
//! ```text
//! args       what it is asked
//! rules      the limits of a policy and of a .dive-ci
//! progress   how far it is
//! sections   what is told to people
//! document   the same as JSON
//! ```

mod args;
mod document;
mod progress;
mod rules;
mod sections;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use plinth_analyze::digest::Digest;
use plinth_analyze::image::Found;
use plinth_analyze::levels::{self, Kept};
use plinth_analyze::problem::Problem;
use plinth_analyze::source::{self, Spec};
use plinth_analyze::{engine, tables};

pub(crate) use self::args::Args;
use self::args::Format;
use self::progress::Progress;
use self::sections::{Told, drill};
use crate::cli::{Outcome, json, print};
use crate::failure::{During as _, Failure};
use crate::policy::Policy;
use crate::section::{self, Detail};
use crate::table;
use crate::ui::note;

/// Runs the command. A rule that isn't kept is a finding; what couldn't be read makes it fail, after everything else has
/// been told.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let specs = args.sources.iter().map(|text| {
        Spec::parse(text).map_err(|error| Failure::new(error.to_string()).hint(error.hint().to_owned()))
    });
    let specs = specs.collect::<Result<Vec<_>, _>>()?;
    let stop = stopped_by_interrupt()?;
    let options = source::Options { stop: Arc::clone(&stop), ..args.options()? };
    let policy = args.policy.as_deref().map(Policy::read).transpose()?;
    let rules = rules::rules(policy.as_ref(), args.dive_ci.as_deref())?;
    let lock = args.lock()?;
    let store = args.open_store()?;

    let progress = Progress::new();
    let (found, blobs) = source::find(&specs, &options, &progress);
    let layers = distinct(&found);
    let reading = engine::Options {
        jobs: args.jobs.map_or_else(|| engine::Options::default().jobs, usize::from),
        stop: Arc::clone(&stop),
        ..engine::Options::default()
    };
    let outcome = engine::read(&layers, &blobs, &store, &reading, &progress);
    progress.finish(&outcome);
    if stop.load(Ordering::Relaxed) {
        let kept = outcome.read + outcome.known;
        return Err(Failure::new("interrupted").hint(format!(
            "what is known of {kept} of {} layers is kept: the same command goes on from there",
            layers.len()
        )));
    }
    if found.images.is_empty() && found.caches.is_empty() && found.others.is_empty() {
        let nothing = Failure::new("there is no image and no build cache in what was named");
        return Err(found.problems.first().map_or(nothing, |first| told_of(first, found.problems.len())));
    }
    // Whatever isn't shown needn't be kept in mind, but a document has everything.
    let top = if args.all || args.json || args.format == Format::Json { usize::MAX } else { args.top };
    let asked = levels::Options { top: top.min(MOST), lock: lock.as_ref(), stop: Some(&*stop) };
    let kept = Kept::of(&store);
    let analysis =
        levels::analyze(&found, &kept, asked).map_err(|error| match stop.load(Ordering::Relaxed) {
            true => Failure::new("interrupted")
                .hint("all layers have been read, and what is known of them is kept"),
            false => Failure::new(format!("cannot reckon it up: {error}")),
        })?;
    let mut problems = found.problems.clone();
    problems
        .extend(outcome.problems.into_iter().chain(kept.problems()).map(|problem| named(problem, &found)));
    problems.sort();
    problems.dedup();
    let verdicts = plinth_analyze::rules::judge(&rules, &found, &analysis);
    let told = Told { found: &found, analysis: &analysis, problems: &problems, verdicts: &verdicts };
    tell(args, told, &kept)?;
    end(&problems, verdicts.iter().any(|verdict| !verdict.kept))
}

/// Files by name, however many are asked for: what a document of everything may have.
const MOST: usize = 10_000;

fn end(problems: &[Problem], broken: bool) -> Result<Outcome, Failure> {
    match problems {
        [] if broken => Ok(Outcome::Finding),
        [] => Ok(Outcome::Done),
        [first, ..] => Err(told_of(first, problems.len()).hint("the figures above are without it")),
    }
}

fn told_of(first: &Problem, number: usize) -> Failure {
    let what = table::plain(&format!("{}: {}", first.what, first.reason));
    Failure::new(if number > 1 { format!("{what} (and {} more)", number - 1) } else { what })
}

/// A layer is a digest to those who read it; people know an image.
fn named(problem: Problem, found: &Found) -> Problem {
    let Ok(digest) = problem.what.parse::<Digest>() else { return problem };
    for image in &found.images {
        if let Some(at) = image.layers.iter().position(|layer| layer.blob.digest == digest) {
            let what = format!("layer {} of {} ({digest})", at + 1, image.name);
            return Problem::new(what, problem.reason);
        }
    }
    problem
}

fn tell(args: &Args, told: Told<'_>, store: &Kept<'_>) -> Result<(), Failure> {
    let format = match (args.json, args.markdown) {
        (true, _) => Format::Json,
        (_, true) => Format::Markdown,
        _ => args.format,
    };
    let detail = if args.all { Detail::All } else { Detail::Most };
    let top = if args.all { usize::MAX } else { args.top };
    let closer =
        args.image.is_some() || args.layer.is_some() || args.package.is_some() || args.path.is_some();
    if closer && matches!(format, Format::Json | Format::Parquet) {
        return Err(Failure::new("one image, layer, package or file is shown as text or Markdown only")
            .hint("the JSON of everything has them all"));
    }
    let sections = match (&args.image, &args.layer, &args.package, &args.path) {
        (Some(name), ..) => drill::image(told, name, top)?,
        (_, Some(digest), ..) => drill::layer(told, digest, store, top)?,
        (.., Some(name), _) => drill::package(told, name)?,
        (.., Some(path)) => drill::file(told, path, store)?,
        _ => sections::of(told, detail, args.top),
    };
    match format {
        Format::Text => print(&section::text(&sections)),
        Format::Markdown => print(&section::markdown(&sections)),
        Format::Json => print(&json(&document::document(&args.sources, told))?),
        Format::Parquet => {
            std::fs::create_dir_all(&args.output).during(format!("make `{}`", args.output.display()))?;
            let written = tables::write(&args.output, told.found, told.analysis, store);
            for path in written.map_err(|error| Failure::new(format!("cannot {error}")))? {
                note(&path.display().to_string());
            }
            Ok(())
        }
    }
}

/// Every layer of an image, with its diff ID. Those of caches alone aren't read: what is in them is nobody's image.
fn distinct(found: &Found) -> Vec<(plinth_analyze::image::Blob, Option<plinth_analyze::digest::Digest>)> {
    let mut seen = BTreeSet::new();
    let layers = found.images.iter().flat_map(|image| &image.layers);
    layers
        .filter(|layer| seen.insert((layer.blob.digest, layer.diff_id)))
        .map(|layer| (layer.blob.clone(), layer.diff_id))
        .collect()
}

/// A flag that the first interrupt sets. The second one ends the process at once; that loses nothing either, but takes no
/// leave.
fn stopped_by_interrupt() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&stop);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().during("start a thread")?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            if tokio::signal::ctrl_c().await.is_ok() {
                set.store(true, Ordering::Relaxed);
                note("stopping; once more to stop at once");
            }
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        });
    });
    Ok(stop)
}
