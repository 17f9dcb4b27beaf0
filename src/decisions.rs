//! What plinth decided, for people: the report that a rewritten image carries and that `explain` asks for.
//!
//! The document and its text are the frontend's; colours, and the short form in a table's cell, are the command line's.

use std::collections::BTreeMap;
use std::fmt;

use anstyle::AnsiColor;
use plinth_frontend::report::{LABEL, Report, Role, Style, render_with};
use serde::Serialize;

/// How many steps were treated in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Replaced by assembled layers.
    pub(crate) assembled: usize,
    /// Copies from other stages that took layers along.
    pub(crate) carried: usize,
    /// Run, and what they left cut into layers.
    pub(crate) split: usize,
    /// Removed, since what they ask for is there already.
    pub(crate) satisfied: usize,
    /// Run just as they are written.
    pub(crate) as_written: usize,
    /// Base images that a master replaced.
    pub(crate) substituted: usize,
}

impl Counts {
    /// The counts of an image's report; none if it carries none, or one of another version.
    pub(crate) fn of_labels(labels: &BTreeMap<String, String>) -> Option<Self> {
        let summary = Report::from_label(labels.get(LABEL)?).ok()?.summary();
        Some(Self {
            assembled: summary.assembled,
            carried: summary.carried,
            split: summary.split,
            satisfied: summary.satisfied,
            as_written: summary.as_written,
            substituted: summary.substituted,
        })
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            assembled: sum.assembled + one.assembled,
            carried: sum.carried + one.carried,
            split: sum.split + one.split,
            satisfied: sum.satisfied + one.satisfied,
            as_written: sum.as_written + one.as_written,
            substituted: sum.substituted + one.substituted,
        })
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.substituted, 'b'),
            (self.assembled, 'a'),
            (self.carried, 'c'),
            (self.split, 's'),
            (self.satisfied, 'r'),
            (self.as_written, 'w'),
        ];
        let parts: Vec<String> = all
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, letter)| format!("{count}{letter}"))
            .collect();
        f.write_str(&parts.join(" "))
    }
}

/// Colours for a terminal; they are taken out again where there is none, or where NO_COLOR is set.
struct Colours;

impl Style for Colours {
    fn paint(&self, role: Role, text: &str) -> String {
        let style = match role {
            Role::Heading => anstyle::Style::new().bold(),
            Role::Rewritten => AnsiColor::Green.on_default(),
            Role::Kept => AnsiColor::Cyan.on_default(),
            Role::Refused => AnsiColor::Yellow.on_default(),
            Role::Place | Role::Detail => anstyle::Style::new().dimmed(),
            Role::Subject => anstyle::Style::new(),
        };
        format!("{style}{text}{style:#}")
    }
}

/// A report as text for standard output.
pub(crate) fn text(report: &Report) -> String {
    render_with(report, &Colours)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use plinth_frontend::report::{Platform, StepEntry, Treatment};

    fn report() -> Report {
        let mut report = Report::new();
        let step = |line, treatment| StepEntry::new(None, Some(line), "pip install x", treatment);
        let assembled = Treatment::Assembled {
            distributions: 1,
            layers: 2,
            shared: vec!["x 1".into()],
            tail: 0,
            outputs: vec![],
            locked: false,
            outside_lock: None,
            runs: vec![],
        };
        let as_written = |why: &str| Treatment::AsWritten { reason: why.into() };
        let steps = vec![step(2, assembled), step(3, as_written("a pipe")), step(4, as_written("a loop"))];
        report.platforms.push(Platform { platform: "linux/amd64".into(), bases: Vec::new(), steps });
        report
    }

    #[test]
    fn counts_of_a_label() {
        let labels = BTreeMap::from([(LABEL.to_owned(), report().to_label())]);
        let counts = Counts::of_labels(&labels).unwrap();
        assert_eq!(counts, Counts { assembled: 1, as_written: 2, ..Counts::default() });
        assert_eq!(counts.to_string(), "1a 2w");
        assert_eq!(Counts::of_labels(&BTreeMap::new()), None);
        assert_eq!(Counts::of_labels(&BTreeMap::from([(LABEL.to_owned(), "{}".into())])), None);
    }

    #[test]
    fn colours_are_all_that_is_added() {
        let plain = plinth_frontend::report::render(&report());
        assert!(plain.contains("a pipe"), "{plain}");
        let coloured = text(&report());
        assert_ne!(coloured, plain);
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
    }
}
