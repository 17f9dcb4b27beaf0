//! A service whose wheels are too big to be fetched for a test: only what its first install comes to.
//!
//! Its build is ended as soon as the resolution is there and the first wheels are to be fetched. So the form of the step,
//! the state before it and pip's answer are known to be fine; its payloads and its record are not made.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::dockerfile::installs;
use super::record::LIMIT;
use crate::fleet::copy;
use crate::support::build::{Build, Side};
use crate::support::env::Env;
use crate::support::files::Files;
use crate::support::report::Report;

/// What the frontend calls the source of a wheel.
const FETCH: &str = "[plinth] fetch ";

/// The record of a service that is decided only.
pub(crate) fn of(env: &Env, directory: &Path) -> Value {
    let dockerfile = std::fs::read_to_string(directory.join("Dockerfile")).unwrap();
    let files = Files::new();
    copy(directory, "", &files);
    let built = Build::new(env, Side::Plinth, files.path()).within(LIMIT).until(FETCH).run();
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
                None => "not_reached".into(),
            };
            reached = false;
            step
        })
        .collect();
    let mut record = json!({"compared": "decision", "steps": steps});
    if wheels.is_empty() && report.is_none() {
        record["broken"] = built.error().into();
    }
    record
}
