//! From what the passes decided to the report.

use crate::passes::base::{Action, Decisions};
use crate::passes::pip::{Step, Treatment};
use crate::report;

/// The report's entry for one platform.
#[must_use]
pub fn platform(id: &str, decisions: &Decisions, steps: &[Step]) -> report::Platform {
    let bases = decisions.values().filter_map(|decision| {
        let action = match &decision.action {
            Action::Substituted { base, masters } => {
                // One master per platform of the FROM, which `--platform` can make another than the image's.
                let reference = &masters.get(id).or_else(|| masters.values().next())?.reference;
                let (name, digest) = reference.split_once('@').unwrap_or((reference, ""));
                report::BaseAction::Substituted {
                    by: base.clone(),
                    by_image: name.to_owned(),
                    digest: digest.to_owned(),
                }
            }
            Action::Kept(reason) => report::BaseAction::Kept { reason: reason.clone() },
            Action::Refused(reason) => report::BaseAction::Refused { reason: reason.clone() },
            Action::Unmatched => return None,
        };
        Some(report::BaseEntry {
            stage: None,
            image: decision.image.clone(),
            line: small(decision.line),
            action,
        })
    });
    let steps = steps.iter().filter_map(|step| {
        let treatment = match &step.treatment {
            Treatment::Assembled { alone, tail, outputs, locked, outside, runs, layers, .. } => {
                report::Treatment::Assembled {
                    distributions: count(alone.len() + tail.len()),
                    layers: count(*layers),
                    shared: alone.clone(),
                    tail: count(tail.len()),
                    outputs: outputs.clone(),
                    locked: *locked,
                    outside_lock: outside.clone(),
                    runs: runs.clone(),
                }
            }
            Treatment::Carried { alone, layers } => {
                report::Treatment::Carried { layers: count(*layers), shared: alone.clone() }
            }
            Treatment::Split { alone, layers, reason } => report::Treatment::Split {
                layers: count(*layers),
                shared: alone.clone(),
                reason: reason.clone(),
            },
            Treatment::Satisfied(reason) => report::Treatment::Satisfied { reason: reason.clone() },
            Treatment::AsWritten(reason) => report::Treatment::AsWritten { reason: reason.clone() },
            Treatment::Unrelated => return None,
        };
        Some(report::StepEntry::new(step.stage.clone(), small(step.line), &step.command, treatment))
    });
    report::Platform { platform: id.to_owned(), bases: bases.collect(), steps: steps.collect() }
}

fn small(line: Option<usize>) -> Option<u32> {
    line.and_then(|line| u32::try_from(line).ok())
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
