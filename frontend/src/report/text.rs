//! The report for a terminal: aligned, 100 columns, colours left to the caller.

use super::{BaseAction, Platform, Report, Summary, Treatment, one_line};

/// The columns that no line exceeds.
pub const WIDTH: usize = 100;

/// What a piece of text means, for a caller that colours it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A platform, a section.
    Heading,
    /// Something was rewritten: `replaced`, `assembled`, `satisfied`.
    Rewritten,
    /// Something was left alone on purpose: `kept`.
    Kept,
    /// Something could have been rewritten but wasn't: `refused`, `as written`.
    Refused,
    /// Line numbers.
    Place,
    /// The image or command that a decision is about.
    Subject,
    /// Reasons and figures.
    Detail,
}

/// How a piece of text is shown. It may add what takes no column, such as escape sequences.
pub trait Style {
    /// The text in the style of its role. It holds no newline.
    fn paint(&self, role: Role, text: &str) -> String;
}

/// Text as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Style for Plain {
    fn paint(&self, _role: Role, text: &str) -> String {
        text.to_owned()
    }
}

/// The report as plain text, each line ended by a newline.
pub fn render(report: &Report) -> String {
    render_with(report, &Plain)
}

/// The report as text in a style.
pub fn render_with(report: &Report, style: &dyn Style) -> String {
    let mut page = Page { style, out: String::new() };
    page.line(
        0,
        &[(Role::Detail, &format!("plinth {}: {}", one_line(&report.plinth), headline(report.summary())))],
    );
    for (names, platform) in report.grouped() {
        page.out.push('\n');
        page.line(0, &[(Role::Heading, &one_line(&names))]);
        page.section("base images", &base_rows(platform));
        page.section("install steps", &step_rows(platform));
    }
    page.out
}

/// What was done, in one line.
pub(super) fn headline(sum: Summary) -> String {
    let list = |parts: &[(usize, &str)]| {
        let parts: Vec<String> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        parts.join(", ")
    };
    let bases = list(&[(sum.substituted, "replaced"), (sum.kept, "kept"), (sum.refused, "refused")]);
    let steps = list(&[
        (sum.assembled, "assembled"),
        (sum.carried, "carried"),
        (sum.split, "split"),
        (sum.satisfied, "satisfied"),
        (sum.as_written, "as written"),
    ]);
    match (bases.is_empty(), steps.is_empty()) {
        (true, true) => "there was nothing to decide".to_owned(),
        (false, true) => format!("base images: {bases}"),
        (true, false) => format!("install steps: {steps}"),
        (false, false) => format!("base images: {bases}; install steps: {steps}"),
    }
}

/// One decision, in the words of both renderings.
pub(super) struct Row {
    pub(super) line: Option<u32>,
    pub(super) verb: &'static str,
    pub(super) role: Role,
    pub(super) subject: String,
    pub(super) stage: Option<String>,
    pub(super) details: Vec<String>,
}

pub(super) fn base_rows(platform: &Platform) -> Vec<Row> {
    let row = |base: &super::BaseEntry| {
        let (verb, role, details) = match &base.action {
            BaseAction::Substituted { by, by_image, digest } => {
                ("replaced", Role::Rewritten, vec![format!("by {by}: {by_image}"), digest.clone()])
            }
            BaseAction::Kept { reason } => ("kept", Role::Kept, vec![reason.clone()]),
            BaseAction::Refused { reason } => ("refused", Role::Refused, vec![reason.clone()]),
        };
        Row { line: base.line, verb, role, subject: base.image.clone(), stage: base.stage.clone(), details }
    };
    platform.bases.iter().map(row).collect()
}

pub(super) fn step_rows(platform: &Platform) -> Vec<Row> {
    let row = |step: &super::StepEntry| {
        let (verb, role, details) = match &step.treatment {
            Treatment::Assembled {
                distributions,
                layers,
                shared,
                tail,
                outputs,
                locked,
                outside_lock,
                runs,
            } => {
                let mut details = assembled(*distributions, *layers, shared, *tail);
                details.extend(outputs.iter().map(|file| redirected(file)));
                details.extend(locked.then(|| "with the versions of the lock".to_owned()));
                details.extend(outside_lock.iter().map(|reason| format!("not by the lock: {reason}")));
                details.extend(runs.iter().map(|run| format!("as written, in a layer of its own: {run}")));
                ("assembled", Role::Rewritten, details)
            }
            Treatment::Carried { layers, shared } => ("carried", Role::Rewritten, carried(*layers, shared)),
            Treatment::Split { layers, shared, reason } => {
                let mut details = carried(*layers, shared);
                details.push(format!("it ran: {reason}"));
                ("split", Role::Rewritten, details)
            }
            Treatment::Satisfied { reason } => ("satisfied", Role::Rewritten, vec![reason.clone()]),
            Treatment::AsWritten { reason } => ("as written", Role::Refused, vec![reason.clone()]),
        };
        Row { line: step.line, verb, role, subject: step.command.clone(), stage: step.stage.clone(), details }
    };
    platform.steps.iter().map(row).collect()
}

fn assembled(distributions: u32, layers: u32, shared: &[String], tail: u32) -> Vec<String> {
    let mut figures = format!("{} in {}", count(distributions, "distribution"), count(layers, "layer"));
    if tail > 0 {
        figures.push_str(&format!(", {tail} of them together in the tail layer"));
    }
    let mut details = vec![figures];
    if !shared.is_empty() {
        details.push(format!("own layers: {}", shared.join(", ")));
    }
    details
}

fn carried(layers: u32, shared: &[String]) -> Vec<String> {
    vec![format!("{}, the rest in one", count(layers, "layer")), format!("own layers: {}", shared.join(", "))]
}

fn count(n: u32, one: &str) -> String {
    if n == 1 { format!("{n} {one}") } else { format!("{n} {one}s") }
}

fn redirected(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    format!("the shell reads `>{name}` as a redirection: no version is asked for")
}

struct Page<'a> {
    style: &'a dyn Style,
    out: String,
}

/// Indents: of a section's title, and of its rows.
const TITLE: usize = 2;
const ROW: usize = 4;

impl Page<'_> {
    fn section(&mut self, title: &str, rows: &[Row]) {
        if rows.is_empty() {
            return;
        }
        self.line(TITLE, &[(Role::Heading, title)]);
        let place = |row: &Row| row.line.map(|line| format!("line {line}")).unwrap_or_default();
        let places = rows.iter().map(|row| place(row).len()).max().unwrap_or_default();
        let verbs = rows.iter().map(|row| row.verb.len()).max().unwrap_or_default();
        let column = ROW + if places > 0 { places + 2 } else { 0 } + verbs + 2;
        for row in rows {
            let stage = row.stage.as_ref().map(|stage| format!(" (stage {stage})")).unwrap_or_default();
            let subject = wrap(&format!("{}{stage}", row.subject), WIDTH - column);
            let first = subject.first().map(String::as_str).unwrap_or_default();
            let place = match places {
                0 => String::new(),
                n => format!("{:n$}  ", place(row)),
            };
            let verb = format!("{:verbs$}", row.verb);
            self.line(
                ROW,
                &[(Role::Place, &place), (row.role, &verb), (Role::Detail, "  "), (Role::Subject, first)],
            );
            for line in subject.iter().skip(1) {
                self.line(column, &[(Role::Subject, line)]);
            }
            for line in row.details.iter().flat_map(|detail| wrap(detail, WIDTH - column)) {
                self.line(column, &[(Role::Detail, &line)]);
            }
        }
    }

    fn line(&mut self, indent: usize, parts: &[(Role, &str)]) {
        self.out.extend(std::iter::repeat_n(' ', indent));
        for (role, text) in parts {
            self.out.push_str(&if text.trim().is_empty() {
                (*text).to_owned()
            } else {
                self.style.paint(*role, text)
            });
        }
        self.out.push('\n');
    }
}

/// Lines of at most `width` characters, broken at blanks; a longer word is broken where it must be.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in one_line(text).split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        if used > 0 && used + 1 + word.len() > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        while word.len() > width {
            lines.push(word.drain(..width).collect());
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        used += word.len();
        line.extend(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}
