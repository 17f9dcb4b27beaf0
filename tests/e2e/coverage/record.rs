//! What becomes of one service, as a JSON document.
//!
//! ```text
//! service       its directory
//! compared      "image", "part" (what is in front of the instruction that fails), "nothing", "decision" (decided.rs)
//! failure       where and how it fails plain: line, instruction, error; absent if it builds
//! same_failure  whether it fails through plinth in the same way
//! equal         whether what was compared is equal
//! differences   what differs
//! steps         the RUNs that install: line, treatment, reason or sizes
//! carried       how many COPYs take package layers along
//! seconds       of the builds, plain's first
//! ```
//!
//! A step's treatment is the report's, or `fails` (plain too), `not_reached` (behind one that fails), `not_needed` (in a
//! stage that the image doesn't depend on).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::dockerfile::{Install, installs, instruction_at, part_before, part_with};
use crate::fleet::copy;
use crate::pip::{before, compare, same_config};
use crate::support::build::{Build, Built, Side};
use crate::support::env::Env;
use crate::support::files::Files;
use crate::support::report::Report;

/// No build of a fleet takes longer, not even one that compiles.
pub(crate) const LIMIT: Duration = Duration::from_secs(1800);
/// So many differences are written down.
const SHOWN: usize = 30;

/// The name of the service in a directory.
pub(crate) fn name(directory: &Path) -> String {
    directory.file_name().unwrap().to_string_lossy().into_owned()
}

/// What a person sees of a record while the run goes on.
pub(crate) fn line(record: &Value) -> String {
    let treatments: Vec<&str> =
        record["steps"].as_array().into_iter().flatten().filter_map(|s| s["treatment"].as_str()).collect();
    let failure =
        record["failure"]["line"].as_u64().map(|line| format!(" fails at {line}")).unwrap_or_default();
    let wrong = record["equal"] == false || record["same_failure"] == false || record.get("broken").is_some();
    let mark = if wrong { "DIFFERS " } else { "" };
    format!(
        "{mark}{}:{failure} {} {treatments:?} {}",
        record["service"].as_str().unwrap_or_default(),
        record["compared"].as_str().unwrap_or_default(),
        record["seconds"]
    )
}

/// What becomes of a service, in one of the ways of this test. Whatever goes wrong is in the record.
pub(crate) fn of(env: &Env, directory: &Path, how: fn(&Env, &Path) -> Value) -> Value {
    let service = name(directory);
    let mut record = catch_unwind(AssertUnwindSafe(|| how(env, directory)))
        .unwrap_or_else(|panic| json!({"broken": said(&panic)}));
    record["service"] = service.into();
    record
}

fn said(panic: &Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
}

/// A context and the builds of it on both sides.
struct Pair {
    files: Files,
    built: [Built; 2],
    seconds: [u64; 2],
}

impl Pair {
    fn of(env: &Env, directory: &Path, dockerfile: &str) -> Self {
        let files = Files::new();
        copy(directory, "", &files);
        files.write("Dockerfile", dockerfile);
        let mut seconds = [0, 0];
        let built = [0, 1].map(|side: usize| {
            let started = Instant::now();
            let build = Build::new(env, Side::BOTH[side], files.path()).within(LIMIT);
            // To compress what is only compared would take longer than all the rest.
            let built = build.layout_with(",compression=uncompressed").run();
            seconds[side] = started.elapsed().as_secs();
            built
        });
        Self { files, built, seconds }
    }
}

/// Builds a service on both sides and compares what comes of it.
pub(crate) fn compared(env: &Env, directory: &Path) -> Value {
    let dockerfile = std::fs::read_to_string(directory.join("Dockerfile")).unwrap();
    let all = installs(&dockerfile);
    let mut record = json!({"compared": "image"});
    let mut pair = Pair::of(env, directory, &dockerfile);
    let seconds = pair.seconds;
    let mut end = u64::MAX;
    // Stages are built side by side: what is in front of one failure may have another one.
    while pair.built[0].code != Some(0) {
        let failures = [0, 1].map(|side| failure(&dockerfile, &pair.built[side]));
        if end == u64::MAX {
            record["failure"] = failures[0].clone();
            let same = failures[0] == failures[1];
            record["same_failure"] =
                (same || fails_plain_as_well(env, directory, &dockerfile, &failures[1])).into();
            if !same {
                record["failure_through_plinth"] = failures[1].clone();
            }
        }
        end = failures[0]["line"].as_u64().unwrap_or(0).min(end);
        let Some(part) = part_before(&dockerfile, end) else {
            record["compared"] = "nothing".into();
            record["steps"] = all.iter().map(|install| step(install, None, end)).collect();
            record["seconds"] = json!(seconds);
            return record;
        };
        record["compared"] = "part".into();
        pair = Pair::of(env, directory, &part);
    }
    let report = Report::of_build(&pair.built[1]);
    record["steps"] = all.iter().map(|install| step(install, report.as_ref(), end)).collect();
    record["carried"] =
        report.iter().flat_map(Report::steps).filter(|s| s["treatment"] == "carried").count().into();
    record["seconds"] = json!(seconds);
    let differences = differences(env, pair);
    record["equal"] = differences.is_empty().into();
    if !differences.is_empty() {
        record["differences"] = differences.into();
    }
    record
}

/// Of several instructions that can't work, either side names the one that it comes to first: whether plain fails in
/// the same way at this one, where there is nothing behind it.
fn fails_plain_as_well(env: &Env, directory: &Path, dockerfile: &str, failure: &Value) -> bool {
    let Some(part) = failure["line"].as_u64().and_then(|line| part_with(dockerfile, line)) else {
        return false;
    };
    let files = Files::new();
    copy(directory, "", &files);
    files.write("Dockerfile", part);
    let built = Build::new(env, Side::Plain, files.path()).within(LIMIT).run();
    self::failure(dockerfile, &built) == *failure
}

/// Where and how a build failed: what BuildKit shows of the Dockerfile, and its last word. The log of the step is left
/// out: an installer's output differs from run to run.
pub(crate) fn failure(dockerfile: &str, built: &Built) -> Value {
    if built.code == Some(0) {
        return Value::Null;
    }
    let error = built.error();
    let at = error.lines().find_map(|line| line.strip_prefix("Dockerfile:")?.parse::<u64>().ok());
    let last = error.lines().next_back().unwrap_or_default();
    // Of several files that aren't there, BuildKit names any.
    let last = match last.split_once("failed to calculate checksum of ref REF: ") {
        Some((_, name)) if name.ends_with(": not found") => "a file that a COPY names is not found",
        _ => last,
    };
    // Not the Dockerfile's fault: no space, no builder.
    assert!(at.is_some(), "a build failed at no instruction:\n{}", built.stderr);
    let instruction = at.and_then(|line| instruction_at(dockerfile, line));
    json!({"line": at, "instruction": instruction, "error": last, "said": last_words(built)})
}

/// Why the step that failed says it did: where its tool has a line for that, it is the same on both sides.
fn last_words(built: &Built) -> Option<String> {
    let logs = built.progress.vertices().filter(|vertex| !vertex.error.is_empty()).map(|vertex| &vertex.log);
    let why = |line: &&str| line.to_lowercase().contains("error:") || line.contains("not found");
    logs.filter_map(|log| log.lines().rfind(why)).max().map(str::to_owned)
}

fn step(install: &Install, report: Option<&Report>, end: u64) -> Value {
    let mut step = json!({"line": install.line, "text": install.text});
    if install.line >= end {
        let treatment = if install.line == end { "fails" } else { "not_reached" };
        step["treatment"] = treatment.into();
        return step;
    }
    let found = report.iter().flat_map(|report| report.steps()).find(|entry| entry["line"] == install.line);
    let Some(entry) = found else {
        step["treatment"] = "not_needed".into();
        return step;
    };
    for key in ["treatment", "reason", "distributions", "layers", "shared", "tail", "runs", "outputs"] {
        if let Some(value) = entry.get(key) {
            step[key] = value.clone();
        }
    }
    step
}

fn differences(env: &Env, pair: Pair) -> Vec<String> {
    let Pair { files, built: [plain, plinth], .. } = pair;
    if plinth.code != Some(0) {
        return vec![format!("does not build through plinth: {}", plinth.error())];
    }
    let (plain, plinth) = (plain.layout().image(), plinth.layout().image());
    let comparison = compare(env, &plain, &plinth, &before(env, &files));
    let count = comparison.differences.len();
    let mut found: Vec<String> = comparison.differences.iter().take(SHOWN).map(ToString::to_string).collect();
    if count > SHOWN {
        found.push(format!("{count} differences in all"));
    }
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| same_config(&plain, &plinth))) {
        found.push(format!("the configs: {}", said(&panic)));
    }
    found
}
