//! Bake files, as JSON and as HCL. Variables have their defaults; functions of bake aren't known here, and what one gives
//! counts as not said.

use std::collections::BTreeMap;

use hcl::eval::{Context, Evaluate as _};
use hcl::{Block, Body, Expression, Value};

use super::Written;

/// `inherits` that are followed.
const MAX_DEPTH: usize = 16;
/// Targets that one target inherits from, each time counted.
const MAX_PARENTS: usize = 256;

/// A target, with everything that is no plain value left out.
#[derive(Clone, Debug, Default)]
struct Target {
    fields: BTreeMap<String, Value>,
    /// Something that matters couldn't be evaluated.
    unknown: bool,
}

pub(super) fn json(text: &str) -> Result<Vec<Written>, String> {
    let document: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let targets = document.as_object().and_then(|top| top.get("target")).and_then(Value::as_object);
    let target = |value: &Value| Target {
        unknown: false,
        fields: value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    };
    let targets = targets.into_iter().flatten().map(|(name, value)| (name.clone(), target(value))).collect();
    Ok(builds(&targets))
}

pub(super) fn hcl(text: &str) -> Result<Vec<Written>, String> {
    let body: Body = hcl::parse(text).map_err(|error| first_line(&error.to_string()))?;
    let blocks = |kind: &'static str| body.blocks().filter(move |block| block.identifier() == kind);
    let mut context = Context::new();
    for variable in blocks("variable") {
        if let Some(name) = label(variable) {
            let default = variable.body().attributes().find(|attribute| attribute.key() == "default");
            let value = default.and_then(|attribute| attribute.expr().evaluate(&Context::new()).ok());
            context.declare_var(name, value.unwrap_or(Value::Null));
        }
    }
    let mut targets = BTreeMap::new();
    for block in blocks("target") {
        let Some(name) = label(block) else { continue };
        let mut target = Target::default();
        for attribute in block.body().attributes() {
            match evaluated(attribute.expr(), &context) {
                Some(value) => {
                    target.fields.insert(attribute.key().to_owned(), value);
                }
                // A build in a place that isn't known is none that could be looked at.
                None => {
                    target.unknown |=
                        matches!(attribute.key(), "context" | "dockerfile" | "target" | "inherits")
                }
            }
        }
        targets.insert(name, target);
    }
    Ok(builds(&targets))
}

fn label(block: &Block) -> Option<String> {
    block.labels().first().map(|label| label.as_str().to_owned())
}

/// The value of an expression; of a map, what can be told of it.
fn evaluated(expression: &Expression, context: &Context<'_>) -> Option<Value> {
    if let Ok(value) = expression.evaluate(context) {
        return Some(value);
    }
    let Expression::Object(object) = expression else { return None };
    let pairs = object.iter().filter_map(|(key, value)| {
        Some((key.to_string().trim_matches('"').to_owned(), value.evaluate(context).ok()?))
    });
    Some(Value::Object(pairs.collect()))
}

fn builds(targets: &BTreeMap<String, Target>) -> Vec<Written> {
    let text =
        |target: &Target, name: &str| target.fields.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut all = Vec::new();
    for (name, target) in targets {
        let target = inherited(targets, target, 0, &mut 0);
        let other = ["dockerfile-inline", "matrix"].iter().any(|field| target.fields.contains_key(*field));
        if target.unknown || other {
            continue;
        }
        let args = target.fields.get("args").and_then(Value::as_object);
        let args = args
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        let images = target.fields.get("tags").and_then(Value::as_array).into_iter().flatten();
        all.push(Written {
            name: name.clone(),
            context: text(&target, "context"),
            dockerfile: text(&target, "dockerfile"),
            target: text(&target, "target"),
            args: args.collect(),
            images: images.filter_map(Value::as_str).map(str::to_owned).collect(),
        });
    }
    all
}

/// A target with what it inherits: later parents win over earlier ones, and it wins over all of them.
fn inherited(targets: &BTreeMap<String, Target>, target: &Target, depth: usize, seen: &mut usize) -> Target {
    let mut whole = Target::default();
    let parents = target.fields.get("inherits").and_then(Value::as_array).into_iter().flatten();
    for parent in parents.filter_map(Value::as_str).filter_map(|name| targets.get(name)) {
        *seen += 1;
        if depth < MAX_DEPTH && *seen < MAX_PARENTS {
            whole.merge(inherited(targets, parent, depth + 1, seen));
        }
    }
    whole.merge(target.clone());
    whole
}

impl Target {
    fn merge(&mut self, other: Self) {
        self.unknown |= other.unknown;
        for (name, value) in other.fields {
            match (self.fields.get_mut(&name), value) {
                (Some(Value::Object(own)), Value::Object(more)) => own.extend(more),
                (_, value) => {
                    self.fields.insert(name, value);
                }
            }
        }
    }
}

fn first_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}
