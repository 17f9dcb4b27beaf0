//! The image config (OCI image specification, `application/vnd.oci.image.config.v1+json`) as plinth edits it.
//!
//! Kept as JSON and not as a typed struct: fields that plinth doesn't know (Docker's extensions among them) must
//! come through. Edits are few: environment and history of another base, history entries of the layers that
//! replace a step, the report label.

use serde_json::{Map, Value, json};

/// Variables by which official images describe their own interpreter: they follow the files of the base.
const SELF_DESCRIPTION: &[&str] = &[
    "GPG_KEY",
    "NODE_VERSION",
    "PYTHON_GET_PIP_SHA256",
    "PYTHON_GET_PIP_URL",
    "PYTHON_PIP_VERSION",
    "PYTHON_SETUPTOOLS_VERSION",
    "PYTHON_SHA256",
    "PYTHON_VERSION",
    "YARN_VERSION",
];

/// `created` of history entries that plinth writes, when the build sets no `SOURCE_DATE_EPOCH`: without one, the
/// exporter would fill in the wall clock of the builder that happened to make the layer.
const CREATED: &str = "1980-01-01T00:00:00Z";

/// An image config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageConfig(Value);

/// One layer that plinth puts in place of a step's layer, for the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerNote {
    /// What made it, as `docker history` shows it.
    pub created_by: String,
}

impl ImageConfig {
    /// Parses a config.
    ///
    /// # Errors
    /// If it is no JSON object.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let object: Map<String, Value> = serde_json::from_slice(bytes)?;
        Ok(Self(Value::Object(object)))
    }

    /// The config as JSON.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_string().into_bytes()
    }

    /// `os` and `architecture`, joined like `linux/amd64`.
    #[must_use]
    pub fn platform(&self) -> String {
        format!(
            "{}/{}",
            self.0["os"].as_str().unwrap_or_default(),
            self.0["architecture"].as_str().unwrap_or_default()
        )
    }

    /// The environment, as `KEY=value`.
    #[must_use]
    pub fn env(&self) -> Vec<String> {
        let env = self.0["config"]["Env"].as_array();
        env.into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    }

    /// Number of layers.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.0["rootfs"]["diff_ids"].as_array().map_or(0, Vec::len)
    }

    /// All text in which a path of an interpreter could be named: entry point, command, environment, and so on.
    #[must_use]
    pub fn strings(&self) -> Vec<String> {
        let config = &self.0["config"];
        let mut out = self.env();
        for key in ["Entrypoint", "Cmd", "Shell"] {
            out.extend(
                config[key].as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)),
            );
        }
        out.extend(
            config["Healthcheck"]["Test"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|v| v.as_str().map(str::to_owned)),
        );
        out
    }

    /// The user that the image runs as: `name`, `name:group`, numbers; empty for root.
    #[must_use]
    pub fn user(&self) -> &str {
        self.0["config"]["User"].as_str().unwrap_or_default()
    }

    /// The programs that start the image: the first words of its entry point and of its command.
    #[must_use]
    pub fn started(&self) -> Vec<String> {
        let first = |key: &str| self.0["config"][key][0].as_str().map(str::to_owned);
        ["Entrypoint", "Cmd"].into_iter().filter_map(first).collect()
    }

    /// A label.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.0["config"]["Labels"][key].as_str()
    }

    /// Sets a label.
    pub fn set_label(&mut self, key: &str, value: &str) {
        if !self.0["config"].is_object() {
            self.0["config"] = json!({});
        }
        if !self.0["config"]["Labels"].is_object() {
            self.0["config"]["Labels"] = json!({});
        }
        self.0["config"]["Labels"][key] = Value::from(value);
    }

    /// Moves the config from one base to another: the variables by which a base describes itself, and its history.
    /// A variable that the Dockerfile itself changed is left alone.
    pub fn rebase(&mut self, from: &Self, to: &Self) {
        if let Some(env) = self.0["config"]["Env"].as_array_mut() {
            let mut strings: Vec<String> = env.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect();
            rebase_env(&mut strings, &from.env(), &to.env());
            *env = strings.into_iter().map(Value::from).collect();
        }
        let old = from.0["history"].as_array().map_or(0, Vec::len);
        let new = to.0["history"].as_array().cloned().unwrap_or_default();
        if let Some(history) = self.0["history"].as_array_mut()
            && history.len() >= old
        {
            history.splice(..old, new);
        }
    }

    /// Replaces the history entry of each replaced step by one entry for each layer it now has.
    ///
    /// `chain` are the layer-producing operations above the base image, the oldest first: `None` where the
    /// operation is as before, else the layers that stand in its place. Entries are matched by position, counted
    /// from the last one. Returns false, and changes nothing, if the history doesn't have that shape; the exporter
    /// then fills it in by itself.
    pub fn align_history(&mut self, chain: &[Option<Vec<LayerNote>>], created: Option<&str>) -> bool {
        let Some(history) = self.0["history"].as_array() else { return false };
        let layered: Vec<usize> = history
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry["empty_layer"] != Value::Bool(true))
            .map(|(i, _)| i)
            .collect();
        let Some(first) = layered.len().checked_sub(chain.len()) else { return false };
        let mut out = Vec::with_capacity(history.len());
        let mut operation = layered[first..].iter().zip(chain).peekable();
        for (index, entry) in history.iter().enumerate() {
            let replaced = match operation.peek() {
                Some((at, notes)) if **at == index => {
                    let notes = notes.as_ref();
                    operation.next();
                    notes
                }
                _ => None,
            };
            let Some(notes) = replaced else {
                out.push(entry.clone());
                continue;
            };
            let by = entry["created_by"].as_str().unwrap_or_default();
            if !["RUN ", "COPY "].iter().any(|instruction| by.starts_with(instruction)) {
                return false;
            }
            for note in notes {
                out.push(json!({
                    "created": created.unwrap_or(CREATED),
                    "created_by": note.created_by,
                    "comment": "plinth",
                }));
            }
        }
        self.0["history"] = Value::Array(out);
        true
    }
}

/// Replaces, in `env`, each variable of `SELF_DESCRIPTION` that still has the value of the old base by the value
/// of the new one; removes it if the new base has none.
pub fn rebase_env(env: &mut Vec<String>, from: &[String], to: &[String]) {
    let key = |entry: &str| entry.split_once('=').map_or(entry, |(k, _)| k).to_owned();
    env.retain_mut(|entry| {
        if !SELF_DESCRIPTION.contains(&key(entry).as_str()) || !from.contains(entry) {
            return true;
        }
        match to.iter().find(|new| key(new) == key(entry)) {
            Some(new) => {
                entry.clone_from(new);
                true
            }
            None => false,
        }
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn config(value: Value) -> ImageConfig {
        ImageConfig::parse(value.to_string().as_bytes()).unwrap()
    }

    fn note(text: &str) -> LayerNote {
        LayerNote { created_by: text.to_owned() }
    }

    #[test]
    fn history_gets_one_entry_per_layer_at_the_step() {
        let mut image = config(json!({"history": [
            {"created_by": "base"},
            {"created_by": "ENV A=1", "empty_layer": true},
            {"created_by": "RUN /bin/sh -c pip install x # buildkit"},
            {"created_by": "COPY . . # buildkit"},
            {"created_by": "CMD [\"a\"]", "empty_layer": true},
        ]}));
        assert!(image.align_history(&[Some(vec![note("x 1"), note("record")]), None], None));
        let by: Vec<&str> = image.0["history"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["created_by"].as_str().unwrap())
            .collect();
        assert_eq!(by, ["base", "ENV A=1", "x 1", "record", "COPY . . # buildkit", "CMD [\"a\"]"]);
        assert_eq!(image.0["history"][2]["created"], CREATED);
    }

    #[test]
    fn a_history_of_another_shape_is_left_alone() {
        let original = json!({"history": [{"created_by": "ADD a b"}]});
        let mut image = config(original.clone());
        assert!(!image.align_history(&[Some(vec![note("x")])], None));
        assert!(!image.align_history(&[None, None], None));
        assert_eq!(image.0, original);
    }

    #[test]
    fn only_what_describes_the_base_follows_the_base() {
        let from = config(
            json!({"config": {"Env": ["PATH=/a", "PYTHON_VERSION=3.11.1", "GPG_KEY=k", "LANG=C"]}, "history": [{"created_by": "old"}]}),
        );
        let to = config(
            json!({"config": {"Env": ["PATH=/b", "PYTHON_VERSION=3.11.9"]}, "history": [{"created_by": "m1"}, {"created_by": "m2"}]}),
        );
        let mut image = config(json!({
            "config": {"Env": ["PATH=/a", "PYTHON_VERSION=3.11.1", "GPG_KEY=k", "LANG=C", "X=1"]},
            "history": [{"created_by": "old"}, {"created_by": "RUN x"}]
        }));
        image.rebase(&from, &to);
        assert_eq!(image.env(), ["PATH=/a", "PYTHON_VERSION=3.11.9", "LANG=C", "X=1"]);
        let by: Vec<&str> = image.0["history"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["created_by"].as_str().unwrap())
            .collect();
        assert_eq!(by, ["m1", "m2", "RUN x"]);
        let mut own = config(json!({"config": {"Env": ["PYTHON_VERSION=mine"]}}));
        own.rebase(&from, &to);
        assert_eq!(own.env(), ["PYTHON_VERSION=mine"]);
    }

    #[test]
    fn a_label_is_added_to_a_config_without_labels() {
        let mut image = config(json!({"os": "linux", "architecture": "amd64"}));
        image.set_label("k", "v");
        assert_eq!(image.0["config"]["Labels"]["k"], "v");
        assert_eq!(image.platform(), "linux/amd64");
    }
}
