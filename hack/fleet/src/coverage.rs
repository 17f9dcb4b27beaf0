//! The results of a run over the fleet (`hack/fleet-run`), as tables: which install steps are covered, by form.

use crate::facts::{Fleet, Service};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What became of one service; `tests/e2e/coverage/record.rs` writes it.
#[derive(Debug, Deserialize)]
pub struct Record {
    service: String,
    #[serde(default)]
    compared: String,
    failure: Option<Failure>,
    same_failure: Option<bool>,
    equal: Option<bool>,
    #[serde(default)]
    steps: Vec<Step>,
    #[serde(default)]
    carried: usize,
    broken: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Failure {
    instruction: Option<String>,
    error: String,
    said: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Step {
    line: u64,
    treatment: String,
    reason: Option<String>,
}

/// Results that don't belong to these facts.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// Not a line of JSON that the run writes.
    #[error("line {line} of the results is damaged: {source}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// A service of another fleet, or of other facts.
    #[error(
        "the results of {service} don't fit the facts, which have {expected} install steps: run it again"
    )]
    Other {
        /// Its directory.
        service: String,
        /// How many the facts have.
        expected: usize,
    },
}

/// Steps by what became of them.
#[derive(Debug, Default)]
struct Counts {
    assembled: usize,
    split: usize,
    satisfied: usize,
    as_written: usize,
    fails: usize,
    others: usize,
}

impl Counts {
    fn add(&mut self, treatment: &str) {
        *match treatment {
            "assembled" => &mut self.assembled,
            "split" => &mut self.split,
            "satisfied" => &mut self.satisfied,
            "as_written" => &mut self.as_written,
            "fails" => &mut self.fails,
            _ => &mut self.others,
        } += 1;
    }

    fn succeed(&self) -> usize {
        self.assembled + self.split + self.satisfied + self.as_written
    }

    fn row(&self, form: &str) -> String {
        let covered = self.succeed() - self.as_written;
        let part = match self.succeed() {
            0 => "-".to_owned(),
            all => format!("{:.1} %", 100.0 * covered as f64 / all as f64),
        };
        format!(
            "| {form} | {} | {} | {} | {} | {} | {part} | {} | {} |\n",
            self.succeed(),
            self.assembled,
            self.split,
            self.satisfied,
            self.as_written,
            self.fails,
            self.others
        )
    }
}

/// The records in `results`, one JSON document per line.
///
/// # Errors
/// When a line is none.
pub fn read(results: &str) -> Result<Vec<Record>, ResultsError> {
    (1..)
        .zip(results.lines())
        .map(|(line, text)| {
            serde_json::from_str(text).map_err(|source| ResultsError::Malformed { line, source })
        })
        .collect()
}

/// The tables, as Markdown.
///
/// # Errors
/// When a record isn't of a service of `fleet`, or has other install steps.
pub fn tables(fleet: &Fleet, records: &[Record]) -> Result<String, ResultsError> {
    let services: BTreeMap<String, &Service> = fleet.services.iter().map(|s| (s.slug(), s)).collect();
    let mut by_form: BTreeMap<&str, Counts> = BTreeMap::new();
    let mut total = Counts::default();
    for record in records {
        for (form, step) in forms(&services, record)?.into_iter().zip(&record.steps) {
            // What no tree was compared of is not covered.
            let treatment = if record.compared == "decision" { "decided" } else { step.treatment.as_str() };
            by_form.entry(form).or_default().add(treatment);
            total.add(treatment);
        }
    }
    let mut out = String::from(
        "| form | succeed plain | assembled | split | satisfied | as written | covered | fail plain | not run plain |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for (form, counts) in &by_form {
        out.push_str(&counts.row(form));
    }
    out.push_str(&total.row("all"));
    out.push_str(&services_table(records));
    out.push_str(&list("As written", as_written(records)));
    out.push_str(&list("Fail plain", failures(records)));
    out.push_str(&list("Wrong", wrong(records)));
    Ok(out)
}

/// The forms of the steps, in the order of the Dockerfile.
fn forms<'f>(
    services: &BTreeMap<String, &'f Service>,
    record: &Record,
) -> Result<Vec<&'f str>, ResultsError> {
    let mut steps: Vec<_> = services.get(&record.service).map(|s| s.pip.iter().collect()).unwrap_or_default();
    steps.sort_by_key(|step: &&crate::facts::PipStep| step.stage);
    if record.broken.is_none() && steps.len() != record.steps.len() {
        return Err(ResultsError::Other { service: record.service.clone(), expected: steps.len() });
    }
    Ok(steps.into_iter().map(|step| step.form.as_str()).collect())
}

fn services_table(records: &[Record]) -> String {
    let count = |test: &dyn Fn(&Record) -> bool| records.iter().filter(|record| test(record)).count();
    let rows = [
        ("in the results", records.len()),
        ("build plain", count(&|r| r.failure.is_none() && r.compared == "image")),
        ("… and have an equal tree and config", count(&|r| r.failure.is_none() && r.equal == Some(true))),
        (
            "only decided about, up to the big wheels",
            count(&|r| r.failure.is_none() && r.compared == "decision"),
        ),
        ("fail plain", count(&|r| r.failure.is_some())),
        ("… and fail through plinth in the same way", count(&|r| r.same_failure == Some(true))),
        ("… and install something before they fail", count(&|r| r.failure.is_some() && r.compared == "part")),
        ("… with an equal tree up to there", count(&|r| r.failure.is_some() && r.equal == Some(true))),
        ("copies that take layers along", records.iter().map(|record| record.carried).sum()),
    ];
    let rows: String = rows.iter().map(|(what, count)| format!("| {what} | {count} |\n")).collect();
    format!("\n| services | |\n|---|---|\n{rows}")
}

/// A heading, and under each text the services that it holds for, the most frequent first.
fn list(heading: &str, entries: Vec<(String, String)>) -> String {
    let mut grouped: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (text, service) in entries {
        grouped.entry(text).or_default().push(service);
    }
    let mut grouped: Vec<_> = grouped.into_iter().collect();
    grouped.sort_by_key(|(_, services)| std::cmp::Reverse(services.len()));
    let rows: String = grouped
        .into_iter()
        .map(|(text, services)| format!("- {}: {text}: {}\n", services.len(), services.join(", ")))
        .collect();
    if rows.is_empty() { String::new() } else { format!("\n{heading}:\n\n{rows}") }
}

fn as_written(records: &[Record]) -> Vec<(String, String)> {
    let steps = |record: &'_ Record| -> Vec<(String, String)> {
        let written = record.steps.iter().filter(|step| step.treatment == "as_written");
        let reason = |step: &Step| step.reason.clone().unwrap_or_default();
        written.map(|step| (reason(step), format!("{}:{}", record.service, step.line))).collect()
    };
    records.iter().flat_map(steps).collect()
}

fn failures(records: &[Record]) -> Vec<(String, String)> {
    let failed = records.iter().filter_map(|record| Some((record, record.failure.as_ref()?)));
    failed
        .map(|(record, failure)| {
            let instruction = failure.instruction.as_deref().unwrap_or("no instruction");
            let keyword = instruction.split(' ').next().unwrap_or_default();
            let said = failure.said.as_ref().unwrap_or(&failure.error);
            (format!("{keyword}: {said}"), record.service.clone())
        })
        .collect()
}

fn wrong(records: &[Record]) -> Vec<(String, String)> {
    let what = |record: &Record| match (&record.broken, record.same_failure, record.equal) {
        (Some(broken), ..) => Some(broken.lines().next().unwrap_or_default().to_owned()),
        (_, Some(false), _) => Some("fails in another way through plinth".to_owned()),
        (_, _, Some(false)) => Some("differs".to_owned()),
        _ => None,
    };
    records.iter().filter_map(|record| Some((what(record)?, record.service.clone()))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const RESULTS: &str = r#"{"service":"docker-autogpt","compared":"part","failure":{"line":9,"instruction":"RUN pip install -e .","error":"error: exit code: 1","said":"ERROR: no"},"same_failure":true,"equal":true,"steps":[{"line":5,"treatment":"fails"},{"line":9,"treatment":"not_reached"}]}
{"service":"docker-opendevin","compared":"image","equal":false,"steps":[{"line":4,"treatment":"as_written","reason":"it rains"},{"line":7,"treatment":"satisfied"}],"carried":2}
"#;

    #[test]
    fn what_succeeds_plain_is_what_counts() {
        let fleet = Fleet::load().unwrap();
        let tables = tables(&fleet, &read(RESULTS).unwrap()).unwrap();
        for line in [
            "| all | 2 | 0 | 0 | 1 | 1 | 50.0 % | 1 | 1 |",
            "| build plain | 1 |",
            "| … and fail through plinth in the same way | 1 |",
            "| copies that take layers along | 2 |",
            "- 1: it rains: docker-opendevin:4",
            "- 1: RUN: ERROR: no: docker-autogpt",
            "- 1: differs: docker-opendevin",
        ] {
            assert!(tables.lines().any(|found| found == line), "{line:?} is not in\n{tables}");
        }
    }

    #[test]
    fn results_of_another_fleet_are_refused() {
        let fleet = Fleet::load().unwrap();
        for (results, message) in [
            ("{}", "line 1 of the results is damaged"),
            (r#"{"service":"docker-opendevin"}"#, "have 2 install steps: run it again"),
            (r#"{"service":"docker-opendevin","broken":"x"}"#, ""),
        ] {
            let outcome = read(results).and_then(|records| tables(&fleet, &records));
            match outcome {
                Ok(_) => assert_eq!(message, ""),
                Err(error) => assert!(!message.is_empty() && error.to_string().contains(message), "{error}"),
            }
        }
    }
}
