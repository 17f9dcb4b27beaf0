//! The limits that a policy and a `.dive-ci` set.

use std::path::Path;

use plinth_analyze::rules::{DiveRules, Named, OfAll, OfImage, Rule};
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
    let all = [
        ("max_repeated_part", limits.max_repeated_part.map(OfAll::RepeatedPart)),
        ("max_repeated_bytes", limits.max_repeated_bytes.map(OfAll::RepeatedBytes)),
    ];
    let image = [
        ("max_hidden_bytes", limits.max_hidden_bytes.map(OfImage::HiddenBytes)),
        ("max_hidden_part", limits.max_hidden_part.map(OfImage::HiddenPart)),
        ("max_leftover_bytes", limits.max_leftover_bytes.map(OfImage::LeftoverBytes)),
        ("max_image_bytes", limits.max_image_bytes.map(OfImage::Bytes)),
        ("min_efficiency", limits.min_efficiency.map(OfImage::Efficiency)),
    ];
    let all = all.into_iter().map(|(name, rule)| (name, rule.map(Rule::All)));
    let image = image.into_iter().map(|(name, rule)| (name, rule.map(Rule::Image)));
    all.chain(image).filter_map(|(name, rule)| Some(Named { name, rule: rule? })).collect()
}
