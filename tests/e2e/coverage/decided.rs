//! A service whose wheels are too big to be fetched for a test: only what its first install comes to.
//!
//! Its build is ended as soon as the resolution is there and the big wheels are to be fetched. So the form of the step,
//! the state before it and pip's answer are known to be fine; its payloads and its record are not made. If it fails in
//! front of that step, plain has to fail in the same way. If a step isn't assembled, the build is ended when that step
//! itself is about to run: `not_assembled`.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::dockerfile::installs;
use super::record::{LIMIT, failure};
use crate::fleet::copy;
use crate::support::build::{Build, Side};
use crate::support::env::Env;
use crate::support::files::Files;
use crate::support::report::Report;

/// What the frontend calls the source of a wheel.
const FETCH: &str = "[plinth] fetch ";
/// Whose wheels are not fetched.
const BIG: [&str; 3] = ["torch-", "nvidia", "tensorflow-"];

/// What is not to begin: a big wheel, or an install as it is written.
fn ends(dockerfile: &str) -> Vec<String> {
    let wheels = BIG.iter().map(|name| format!("{FETCH}{name}"));
    let plain = |text: &str| text.split(['\\', '"']).next().unwrap_or_default().trim().to_owned();
    wheels.chain(installs(dockerfile).iter().map(|install| format!("] {}", plain(&install.text)))).collect()
}

/// The record of a service that is decided only.
pub(crate) fn of(env: &Env, directory: &Path) -> Value {
    let dockerfile = std::fs::read_to_string(directory.join("Dockerfile")).unwrap();
    let files = Files::new();
    copy(directory, "", &files);
    let built = Build::new(env, Side::Plinth, files.path()).within(LIMIT).until(&ends(&dockerfile)).run();
    let wheels: BTreeSet<&str> =
        built.progress.vertices().filter_map(|vertex| vertex.name.strip_prefix(FETCH)).collect();
    let report = Report::of_build(&built);
    let mut reached = true;
    let steps: Vec<Value> = installs(&dockerfile)
        .iter()
        .map(|install| {
            let entry = report.iter().flat_map(Report::steps).find(|step| step["line"] == install.line);
            let mut step = json!({"line": install.line, "text": install.text});
            step["treatment"] = match entry {
                // It got to the end without a wheel to fetch.
                Some(entry) => {
                    step["reason"] = entry["reason"].clone();
                    entry["treatment"].clone()
                }
                None if reached && !wheels.is_empty() => {
                    step["distributions"] = wheels.len().into();
                    "resolved".into()
                }
                None if reached && built.code.is_none() => "not_assembled".into(),
                None => "not_reached".into(),
            };
            reached = false;
            step
        })
        .collect();
    let mut record = json!({"compared": "decision", "steps": steps});
    if built.code == Some(1) {
        let failures = [
            failure(&dockerfile, &Build::new(env, Side::Plain, files.path()).run()),
            failure(&dockerfile, &built),
        ];
        record["failure"] = failures[0].clone();
        record["same_failure"] = (failures[0] == failures[1]).into();
        record["failure_through_plinth"] = failures[1].clone();
    }
    record
}
