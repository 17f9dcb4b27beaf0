//! Rules, and what couldn't be read.

use super::{Told, shortened};
use crate::amount::{bytes, count, percent};
use crate::section::{Section, section};

/// The rules that aren't kept; how many are.
pub(super) fn verdicts(told: Told<'_>) -> Section {
    let amount = |value: f64, share: bool| if share { percent(value) } else { bytes(value as u64) };
    let mut rows = Vec::new();
    let mut kept = 0;
    for verdict in told.verdicts {
        if verdict.kept {
            kept += 1;
            continue;
        }
        // A limit in bytes is a whole number, and no rule allows a single one.
        let share = verdict.limit <= 1.0;
        let about =
            verdict.image.as_deref().map_or_else(|| "everything".to_owned(), |name| shortened(name, 48));
        rows.push(vec![
            verdict.rule.clone(),
            about,
            amount(verdict.found, share),
            amount(verdict.limit, share),
        ]);
    }
    let mut rules = section("Rules that aren't kept", &["rule", "of", "is", "limit"], rows);
    if !told.verdicts.is_empty() {
        let broken = told.verdicts.len() - kept;
        rules.lines.push(format!("{} kept, {broken} not", count(kept, "rule")));
        if broken == 0 {
            rules.title = "Rules".to_owned();
        }
    }
    rules
}

/// What couldn't be read.
pub(super) fn problems(told: Told<'_>) -> Section {
    let rows =
        told.problems.iter().map(|problem| vec![problem.what.clone(), problem.reason.clone()]).collect();
    section("What couldn't be read: the figures are without it", &["what", "why"], rows)
}
