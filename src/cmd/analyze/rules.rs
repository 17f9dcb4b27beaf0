//! The limits that a policy and a `.dive-ci` set.

use std::path::Path;

use plinth_analyze::rules::{DiveRules, Named, Rule};
use plinth_frontend::policy::parse_bytes;

use crate::failure::Failure;
use crate::policy::Policy;

/// The rules of both.
pub(super) fn rules(policy: Option<&Policy>, dive: Option<&Path>) -> Result<Vec<Named>, Failure> {
    let mut rules = policy.map(of_policy).unwrap_or_default();
    if let Some(path) = dive {
        let told = |cause: String| Failure::new(format!("cannot read `{}`: {cause}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| told(error.to_string()))?;
        rules.extend(DiveRules::parse(&text, parse_bytes).map_err(|error| told(error.to_string()))?.0);
    }
    Ok(rules)
}

fn of_policy(policy: &Policy) -> Vec<Named> {
    let limits = &policy.document().analyze;
    let rules = [
        ("max_repeated_part", limits.max_repeated_part.map(Rule::RepeatedPart)),
        ("max_repeated_bytes", limits.max_repeated_bytes.map(Rule::RepeatedBytes)),
        ("max_hidden_bytes", limits.max_hidden_bytes.map(Rule::HiddenBytes)),
        ("max_hidden_part", limits.max_hidden_part.map(Rule::HiddenPart)),
        ("max_leftover_bytes", limits.max_leftover_bytes.map(Rule::LeftoverBytes)),
        ("max_image_bytes", limits.max_image_bytes.map(Rule::ImageBytes)),
        ("min_efficiency", limits.min_efficiency.map(Rule::Efficiency)),
    ];
    rules.into_iter().filter_map(|(name, rule)| Some(Named { name, rule: rule? })).collect()
}
