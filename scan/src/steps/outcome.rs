//! What the installs of a step come to: requirements, and why the step isn't assembled or fails.

use std::path::Path;

use plinth_layers::pip::{PipCommand, read_requirements};

use super::Place;
use super::follow::Reached;
use super::view::View;
use crate::finding::{Finding, Kind};
use crate::project;
use crate::requirements::{self, Requirement, Text};
use crate::shell::is_open;

/// What the installs of a step come to.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) requirements: Vec<Requirement>,
    /// One of them has constraints.
    pub(super) has_own_versions: bool,
    /// Why one of them isn't assembled.
    pub(super) refused: Option<String>,
    /// Why one of them fails.
    pub(super) failed: Option<String>,
}

impl Outcome {
    /// Adds an install that the script comes to.
    pub(super) fn add(
        &mut self,
        reached: &Reached,
        view: &View<'_>,
        place: &Place<'_>,
        findings: &mut Vec<Finding>,
    ) {
        let Some(asked) = &reached.asked else { return };
        let here = (place.file, place.line);
        let note = |kind, message: String, findings: &mut Vec<Finding>| {
            if place.needed {
                findings.push(Finding::new(kind, place.file, Some(place.line), message));
            }
        };
        if let Some(last) = reached.install.outputs.last() {
            let all: Vec<String> =
                reached.install.outputs.iter().map(|output| format!("`>{output}`")).collect();
            let message = format!(
                "the shell takes {} for a redirection: pip is given no version, and what it prints goes to the file \
                 `{last}`; put quotes around the requirement",
                all.join(", ")
            );
            note(Kind::ShellRedirect, message, findings);
        }
        if let Some(missing) = &reached.missing {
            let message = format!("the install names `{missing}`, and no COPY brings that file");
            if !reached.tolerated {
                note(Kind::RequirementsMissing, message.clone(), findings);
            }
            self.failed.get_or_insert(message);
            return;
        }
        if let Err(error) = PipCommand::parse(&reached.install.argv) {
            self.refused.get_or_insert(error.reason);
        }
        for requirement in asked.requirements.iter().chain(&asked.editable) {
            if is_open(requirement) && requirements::parse(requirement, place.file, place.line).is_err() {
                self.refused.get_or_insert("it names what only its shell knows".to_owned());
                continue;
            }
            if requirements::is_local(requirement) || asked.editable.contains(requirement) {
                // A directory is a project; archives and repositories aren't looked into.
                let directory = requirement.split('[').next().unwrap_or_default();
                if !directory.contains("://") && !directory.contains('+') {
                    let directory = reached.cwd.join(directory);
                    self.add_project(view, &directory, &reached.before, "pip", place, findings);
                }
                continue;
            }
            match requirements::parse(requirement, place.file, place.line) {
                Ok(parsed) => self.requirements.push(parsed),
                Err(why) if place.needed => {
                    let message = format!("`{requirement}` is no requirement: {why}");
                    findings.push(Finding::new(
                        Kind::RequirementMalformed,
                        place.file,
                        Some(place.line),
                        message,
                    ));
                }
                Err(_) => {}
            }
        }
        self.has_own_versions |= !asked.constraint_files.is_empty();
        let mut roots = Vec::new();
        for file in &asked.requirement_files {
            if file.contains("://") || is_open(file) || file.starts_with("/dev/") || file == "-" {
                continue;
            }
            let path = reached.cwd.join(file);
            let (read, text) = requirements::read(&view.at(&reached.before), &path, false, here);
            if place.needed {
                findings.extend(read.findings);
            }
            self.has_own_versions |= !read.constraints.is_empty();
            self.requirements.extend(read.requirements);
            match text {
                Text::Unknown => {
                    self.refused
                        .get_or_insert(format!("whether {file} is there can't be told without a build"));
                }
                _ => roots.push((path.display().to_string(), false)),
            }
        }
        if let Err(error) = read_requirements(&mut view.at(&reached.before), &roots) {
            self.refused.get_or_insert(error.reason);
        }
    }
}

impl Outcome {
    /// A project that is installed, with what it depends on.
    pub(super) fn add_project(
        &mut self,
        view: &View<'_>,
        directory: &Path,
        before: &str,
        tool: &str,
        place: &Place<'_>,
        findings: &mut Vec<Finding>,
    ) {
        let project = project::read(&view.at(before), directory, tool);
        self.requirements.extend(project.requirements);
        if place.needed {
            findings.extend(project.findings);
        }
    }
}
