//! The install steps: RUNs that install Python packages.
//!
//! ```text
//! exec      the operation that BuildKit would make of a RUN, for `foresee`
//! view      the files of the stage, for readers of requirements
//! follow    which installs a script comes to, as far as files tell
//! form      what it looks like, for counting
//! outcome   what the installs ask for, and what is in the way
//! ```

mod exec;
mod follow;
mod form;
mod outcome;
mod view;

use std::path::{Path, PathBuf};

use parse_dockerfile::RunInstruction;
use plinth_frontend::passes::pip::{Foreseen as Verdict, foresee};
use plinth_frontend::report::redact;
use plinth_frontend::shell::{Form as Shape, script, shell_of};
use plinth_layers::script::{Install, Node};
use serde::Serialize;

pub use form::Form;

use self::follow::follow;
use self::outcome::Outcome;
use self::view::View;
use crate::context::Context;
use crate::finding::{Finding, Kind};
use crate::image::{Image, may_make_files};
use crate::requirements::{self, Requirement};
use crate::shell::commands;

/// What a build would do to a step, as far as can be told without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Foreseen {
    /// Replaced by package layers, if everything it resolves to is a wheel.
    Assembled,
    /// It comes to no install and is taken out: a condition isn't met.
    Satisfied,
    /// Runs as written; what it leaves is cut into package layers where that pays.
    Split,
    /// It fails, with and without plinth.
    Fails,
}

/// An install step.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// The first line of its RUN, counted from 1.
    pub line: usize,
    /// The number of its stage, counted from 0.
    pub stage: usize,
    /// Whether the target needs that stage.
    pub needed: bool,
    /// The instruction, in one line and shortened.
    pub command: String,
    /// What it looks like.
    pub form: Form,
    /// What would become of it.
    pub foreseen: Foreseen,
    /// Why it isn't assembled. One clause without its full stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the installs that it comes to ask for.
    pub requirements: Vec<Requirement>,
    /// It has constraints of its own, or names files in place of versions.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_own_versions: bool,
}

/// Where a RUN stands.
pub(crate) struct Place<'a> {
    /// The Dockerfile, relative to the tree.
    pub(crate) file: &'a str,
    pub(crate) line: usize,
    pub(crate) stage: usize,
    pub(crate) needed: bool,
    pub(crate) escape: char,
}

/// Looks at a RUN. None if it installs no Python packages.
pub(crate) fn look(
    run: &RunInstruction<'_>,
    image: &Image,
    context: &Context,
    tree: &Path,
    place: &Place<'_>,
    findings: &mut Vec<Finding>,
) -> Option<Step> {
    let exec = exec::of(run, image, place.escape);
    let arguments = exec.meta.as_ref().map(|meta| meta.args.clone()).unwrap_or_default();
    let verdict = foresee(&exec);
    if verdict == Verdict::Unrelated {
        return None;
    }
    let words = match shell_of(&arguments) {
        Shape::Shell { script, .. } => commands(script, &image.env),
        Shape::Exec => vec![arguments.clone()],
    };
    let (node, exact) = node(&arguments, &words, image);
    let text = arguments.last().map_or("", String::as_str);
    let mounts = exec::mounted(run, image);
    let mut view = View::new(
        image,
        context,
        tree,
        mounts,
        !exact || is_undecided(&node) || may_make_files(text, &words),
    );
    let followed = follow(&node, &mut view);
    let form = form::of(&node, &words);
    // `pip --version`, `poetry config`: the word is there, but nothing is installed.
    if form == Form::OtherTool && form::other_tools(&words).is_empty() {
        return None;
    }
    let mut step = Step {
        line: place.line,
        stage: place.stage,
        needed: place.needed,
        command: shortened(&words.iter().map(|command| command.join(" ")).collect::<Vec<_>>().join(" && ")),
        form,
        foreseen: Foreseen::Assembled,
        reason: None,
        requirements: Vec::new(),
        has_own_versions: false,
    };
    let mut outcome = Outcome::default();
    for reached in &followed.reached {
        outcome.add(reached, &view, place, findings);
    }
    for tool in form::other_tools(&words) {
        outcome.add_project(&view, &absolute(&image.workdir), "", tool, place, findings);
    }
    step.has_own_versions = outcome.has_own_versions || outcome.requirements.iter().any(|one| one.by_url);
    step.requirements = outcome.requirements;
    let (foreseen, reason) = match verdict {
        _ if !followed.success && outcome.failed.is_some() => (Foreseen::Fails, outcome.failed),
        Verdict::AsWritten { reason } => (Foreseen::Split, Some(reason)),
        _ if !exact => (Foreseen::Split, Some("its script is not understood".to_owned())),
        _ if followed.reached.iter().all(|reached| reached.fails) => (Foreseen::Satisfied, followed.unmet),
        _ => match outcome.refused {
            Some(reason) => (Foreseen::Split, Some(reason)),
            None => (Foreseen::Assembled, None),
        },
    };
    (step.foreseen, step.reason) = (foreseen, reason);
    if place.needed {
        for (first, second) in requirements::twice(&step.requirements) {
            let message = format!(
                "{} is asked for twice: `{}` here, `{}` in line {}",
                second.name, second.text, first.text, first.line
            );
            findings.push(Finding::new(Kind::RequirementTwice, &second.file, Some(second.line), message));
        }
        for requirement in step.requirements.iter().filter(|r| requirements::is_standard_library(&r.name)) {
            let message = format!(
                "{} is a module of Python's standard library; the package of that name on an index, if there is one, is \
                 something else: remove the line",
                requirement.name
            );
            findings.push(Finding::new(
                Kind::StandardLibrary,
                &requirement.file,
                Some(requirement.line),
                message,
            ));
        }
    }
    Some(step)
}

/// The tree of a script, and whether it is exactly what a shell would run; else its commands one after the other.
fn node(arguments: &[String], words: &[Vec<String>], image: &Image) -> (Node, bool) {
    let Shape::Shell { script: text, .. } = shell_of(arguments) else {
        return (Node::Install(Install::new(arguments.to_vec())), true);
    };
    let lookup = |name: &str| image.env.get(name).map(str::to_owned);
    match script(text, &lookup, &is_installer) {
        Ok(node) => (node, true),
        Err(_) => {
            let nodes = words.iter().map(|command| match is_installer(&command[0]) {
                true => Node::Install(Install::new(command.clone())),
                false => Node::Other { reason: String::new() },
            });
            (Node::Sequence { nodes: nodes.collect() }, false)
        }
    }
}

/// Whether it depends on a command that isn't understood which way a script goes.
fn is_undecided(node: &Node) -> bool {
    let other = |node: &Node| matches!(node, Node::Other { .. });
    match node {
        Node::If { condition, then, otherwise } => {
            other(condition) || is_undecided(then) || otherwise.iter().any(|node| is_undecided(node))
        }
        Node::Or { first, otherwise } => other(first) || is_undecided(first) || is_undecided(otherwise),
        Node::And { first, then } => is_undecided(first) || is_undecided(then),
        Node::Not { of } | Node::Subshell { of } => is_undecided(of),
        Node::Sequence { nodes } => nodes.iter().any(is_undecided),
        _ => false,
    }
}

fn is_installer(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    name == "uv" || ["pip", "python"].iter().any(|start| name.starts_with(start))
}

/// One line of at most so many characters, without credentials.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 120;
    let text = redact(text).split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// A path of an image, from where it is written.
pub(crate) fn absolute(workdir: &str) -> PathBuf {
    Path::new("/").join(workdir)
}
