//! Plinth's report of a build: the label of the image, and the metadata that the client gets.
//!
//! Read as plain JSON, on purpose not with plinth's own types: the label is a document that others read too.

use serde_json::Value;

use super::build::Built;
use super::image::Image;

/// Where the report is in an image.
pub(crate) const LABEL: &str = "dev.plinth.report";

/// What was done to a build.
#[derive(Clone, Debug)]
pub(crate) struct Report(Value);

impl Report {
    /// Of an image, if it carries one.
    pub(crate) fn of(image: &Image) -> Option<Self> {
        image.label(LABEL).map(|text| Self(serde_json::from_str(text).expect("the report is JSON")))
    }

    /// Of a build: there even if nothing was rewritten, and no image has it.
    pub(crate) fn of_build(built: &Built) -> Option<Self> {
        match &built.metadata["frontend.plinth.report"] {
            Value::String(text) => Some(Self(serde_json::from_str(text).expect("the report is JSON"))),
            Value::Null => None,
            value => Some(Self(value.clone())),
        }
    }

    fn entries(&self, key: &str) -> Vec<Value> {
        self.0["platforms"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|p| p[key].as_array().cloned().unwrap_or_default())
            .collect()
    }

    /// Everything about the steps.
    pub(crate) fn steps(&self) -> Vec<Value> {
        self.entries("steps")
    }

    /// Treatments of the steps that install something, in order: `assembled`, `satisfied`, `as_written`.
    pub(crate) fn treatments(&self) -> Vec<String> {
        let installs = |step: &&Value| step["command"].as_str().unwrap().contains("install");
        self.entries("steps")
            .iter()
            .filter(installs)
            .map(|step| step["treatment"].as_str().unwrap().to_owned())
            .collect()
    }

    /// What became of the steps that install something, in order: the treatment, or why a step runs as written.
    pub(crate) fn outcomes(&self) -> Vec<String> {
        let installs = |step: &&Value| step["command"].as_str().unwrap().contains("install");
        let outcome = |step: &Value| match step["treatment"].as_str().unwrap() {
            "as_written" => step["reason"].as_str().unwrap().to_owned(),
            treatment => treatment.to_owned(),
        };
        self.entries("steps").iter().filter(installs).map(outcome).collect()
    }

    /// Reasons of all steps that give one.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let entries = self.entries("steps").into_iter().chain(self.entries("bases"));
        entries.filter_map(|entry| entry["reason"].as_str().map(str::to_owned)).collect()
    }

    /// What was done about the bases: image, action, line.
    pub(crate) fn bases(&self) -> Vec<(String, String, Option<u64>)> {
        self.entries("bases")
            .iter()
            .map(|base| {
                (
                    base["image"].as_str().unwrap().to_owned(),
                    base["action"].as_str().unwrap().to_owned(),
                    base["line"].as_u64(),
                )
            })
            .collect()
    }

    /// All of it, for messages.
    pub(crate) fn json(&self) -> String {
        format!("{:#}", self.0)
    }
}
