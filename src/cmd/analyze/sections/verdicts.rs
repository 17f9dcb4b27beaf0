//! Rules, and what couldn't be read.

use plinth_analyze::rules::{Unit, Verdict};

use super::Told;
use crate::amount::{bytes, count, percent};
use crate::section::{Section, section};

/// The rules that aren't kept; how many are.
pub(super) fn verdicts(told: Told<'_>) -> Section {
    let broken = told.verdicts.iter().filter(|verdict| !verdict.kept);
    let rows: Vec<Vec<String>> = broken.map(row).collect();
    let (kept, broken) = (told.verdicts.len() - rows.len(), rows.len());
    let title = if broken > 0 { "Rules that aren't kept" } else { "Rules" };
    let mut rules = section(title, &["rule", "of", "is", "limit"], rows);
    if !told.verdicts.is_empty() {
        rules.lines.push(format!("{} kept, {broken} not", count(kept, "rule")));
    }
    rules
}

/// Names in full: somebody has to find the image.
fn row(verdict: &Verdict) -> Vec<String> {
    let about = match &verdict.image {
        Some(name) if verdict.platform.is_empty() => name.clone(),
        Some(name) => format!("{name} {}", verdict.platform),
        None => "everything".to_owned(),
    };
    let (mut is, mut limit) = match verdict.unit {
        Unit::Bytes => (bytes(verdict.found as u64), bytes(verdict.limit as u64)),
        Unit::Share => (percent(verdict.found), percent(verdict.limit)),
    };
    // What is rounded to its limit says nothing.
    if is == limit {
        (is, limit) = match verdict.unit {
            Unit::Bytes => (format!("{} B", verdict.found), format!("{} B", verdict.limit)),
            Unit::Share => (format!("{} %", 100.0 * verdict.found), format!("{} %", 100.0 * verdict.limit)),
        };
    }
    vec![verdict.rule.clone(), about, is, limit]
}

/// What couldn't be read.
pub(super) fn problems(told: Told<'_>) -> Section {
    let rows =
        told.problems.iter().map(|problem| vec![problem.what.clone(), problem.reason.clone()]).collect();
    section("What couldn't be read: the figures are without it", &["what", "why"], rows)
}
