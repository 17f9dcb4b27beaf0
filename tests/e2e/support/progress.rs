//! The raw progress of a build: its vertices, their logs and warnings.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use serde::Deserialize;
use serde_json::Value;

use super::image::strings;

/// A step, as it was left at the end of the build.
#[derive(Clone, Debug, Default)]
pub(crate) struct Vertex {
    /// Of its operation.
    pub(crate) digest: String,
    /// Digests of what it continues or reads.
    pub(crate) inputs: Vec<String>,
    /// As shown to people.
    pub(crate) name: String,
    /// Whether it was started at all.
    pub(crate) started: bool,
    /// Whether the cache had it.
    pub(crate) cached: bool,
    /// Why it failed.
    pub(crate) error: String,
    /// Statuses inside it, such as the pull of one layer.
    pub(crate) statuses: Vec<String>,
    /// What it wrote.
    pub(crate) log: String,
}

impl Vertex {
    /// Did it do its work in this build?
    pub(crate) fn ran(&self) -> bool {
        self.started && !self.cached
    }
}

/// A warning, with all that a client shows of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Warning {
    /// One line.
    pub(crate) short: String,
    /// Further lines.
    pub(crate) detail: Vec<String>,
    /// Where to read more.
    pub(crate) url: String,
    /// File it points into.
    pub(crate) file: String,
    /// First and last lines of its ranges, counted from 1.
    pub(crate) lines: Vec<(u64, u64)>,
    /// How bad.
    pub(crate) level: u64,
}

/// The progress of one build.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// By digest.
    vertices: BTreeMap<String, Vertex>,
    /// In the order of arrival.
    pub(crate) warnings: Vec<Warning>,
}

impl Progress {
    /// Reads what buildctl traced.
    pub(crate) fn read(path: &Path) -> Self {
        let mut progress = Self::default();
        let bytes = std::fs::read(path).unwrap_or_default();
        for value in serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>().map_while(Result::ok) {
            progress.add(&value);
        }
        progress
    }

    fn add(&mut self, status: &Value) {
        for vertex in list(status, "vertexes") {
            let entry = self.vertices.entry(string(vertex, "digest")).or_default();
            entry.digest = string(vertex, "digest");
            if let Some(inputs) = vertex.get("inputs") {
                entry.inputs = strings(inputs);
            }
            let name = string(vertex, "name");
            if !name.is_empty() {
                entry.name = name;
            }
            entry.started |= vertex.get("started").is_some();
            entry.cached |= vertex.get("cached") == Some(&Value::Bool(true));
            entry.error.push_str(&string(vertex, "error"));
        }
        for state in list(status, "statuses") {
            let entry = self.vertices.entry(string(state, "vertex")).or_default();
            entry.statuses.push(string(state, "id"));
        }
        for log in list(status, "logs") {
            let entry = self.vertices.entry(string(log, "vertex")).or_default();
            entry.log.push_str(&decoded(log.get("data")));
        }
        for warning in list(status, "warnings") {
            self.warnings.push(Warning {
                short: decoded(warning.get("short")),
                detail: list(warning, "detail").map(|line| decoded(Some(line))).collect(),
                url: string(warning, "url"),
                file: warning.get("sourceInfo").map(|info| string(info, "filename")).unwrap_or_default(),
                lines: list(warning, "range")
                    .map(|range| {
                        (
                            range["start"]["line"].as_u64().unwrap_or(0),
                            range["end"]["line"].as_u64().unwrap_or(0),
                        )
                    })
                    .collect(),
                level: warning.get("level").and_then(Value::as_u64).unwrap_or(0),
            });
        }
    }

    /// All steps.
    pub(crate) fn vertices(&self) -> impl Iterator<Item = &Vertex> {
        self.vertices.values()
    }

    /// Names of the steps that did their work in this build, sorted.
    pub(crate) fn ran(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.vertices().filter(|v| v.ran()).map(|v| v.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// The warnings in an order that doesn't depend on which came first.
    pub(crate) fn sorted_warnings(&self) -> Vec<Warning> {
        let mut warnings = self.warnings.clone();
        warnings.sort();
        warnings
    }
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn string(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Bytes are base64 in this JSON.
fn decoded(value: Option<&Value>) -> String {
    let text = value.and_then(|v| <&str>::deserialize(v).ok()).unwrap_or_default();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
