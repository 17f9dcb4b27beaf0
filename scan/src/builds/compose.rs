//! Compose files: `services.*.build`. Variables are those of the `.env` beside the file; others have their defaults.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_norway::Value;

use super::Written;
use crate::dockerfile::{Scope, expand};

/// The part of a compose file that is about builds. Everything else is somebody else's.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    services: BTreeMap<String, Service>,
}

#[derive(Deserialize)]
struct Service {
    build: Option<BuildField>,
    image: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum BuildField {
    Context(String),
    Full(Full),
}

#[derive(Deserialize)]
struct Full {
    context: Option<String>,
    dockerfile: Option<String>,
    dockerfile_inline: Option<String>,
    target: Option<String>,
    args: Option<Args>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Args {
    Map(BTreeMap<String, Value>),
    List(Vec<String>),
}

pub(super) fn read(text: &str, variables: &BTreeMap<String, String>) -> Result<Vec<Written>, String> {
    // `<<: *common` is for the merge to resolve, before anything is looked for.
    let mut value: Value = serde_norway::from_str(text).map_err(|error| error.to_string())?;
    value.apply_merge().map_err(|error| error.to_string())?;
    let file: File = serde_norway::from_value(value).map_err(|error| error.to_string())?;
    // Variables come from the environment too, of which nothing is known here.
    let mut scope = Scope::open();
    for (name, value) in variables {
        scope.set(name, value);
    }
    // `$$` is a dollar sign, and what can't be told stays as it is written.
    let expanded = |text: String| expand(&text.replace("$$", "\\$"), &scope).unwrap_or(text);
    let mut builds = Vec::new();
    for (name, service) in file.services {
        let Some(build) = service.build else { continue };
        let images = service.image.map(expanded).into_iter().collect();
        let full = match build {
            BuildField::Context(context) => {
                builds.push(Written { name, context: Some(expanded(context)), images, ..Written::default() });
                continue;
            }
            BuildField::Full(full) => full,
        };
        // No file to read; rare enough to be left out.
        if full.dockerfile_inline.is_some() {
            continue;
        }
        let args = match full.args {
            None => BTreeMap::new(),
            Some(Args::Map(map)) => {
                map.into_iter().filter_map(|(name, value)| Some((name, scalar(&value)?))).collect()
            }
            Some(Args::List(list)) => {
                let pairs = list.iter().filter_map(|pair| pair.split_once('='));
                pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
            }
        };
        builds.push(Written {
            name,
            context: full.context.map(expanded),
            dockerfile: full.dockerfile.map(expanded),
            target: full.target.map(expanded),
            args: args.into_iter().map(|(name, value): (String, String)| (name, expanded(value))).collect(),
            images,
        });
    }
    Ok(builds)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        _ => None,
    }
}
