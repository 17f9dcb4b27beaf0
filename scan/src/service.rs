//! One service: a Dockerfile, built in one way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use plinth_frontend::policy::Policy;
use serde::Serialize;

use crate::class::{self, Class};
use crate::context::Context;
use crate::dockerfile::{Base, Lines, Stages, needed, without_bodies};
use crate::finding::{Finding, Kind, Severity};
use crate::instructions::Reader;
use crate::policies::contradiction;
use crate::requirements::Requirement;
use crate::steps::{Foreseen, Step};
use crate::walk::{Unread, read_text};

/// Where the build context of a service is said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "from", content = "file", rename_all = "lowercase")]
pub enum ContextFrom {
    /// In a compose file.
    Compose(String),
    /// In a bake file.
    Bake(String),
    /// Nowhere: it is the directory of the Dockerfile.
    Directory,
}

/// A stage of a service.
#[derive(Clone, Debug, Serialize)]
pub struct StageEntry {
    /// Its name, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The line of its FROM, counted from 1.
    pub line: usize,
    /// The image it stands on, through other stages too; as written if that depends on something unknown.
    pub base: String,
    /// Whether the target needs it.
    pub needed: bool,
}

/// A service.
#[derive(Clone, Debug, Serialize)]
pub struct Service {
    /// Its name: that of the compose service or bake target, else the directory or the Dockerfile.
    pub name: String,
    /// Its name in the compose or bake file, where one describes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_file: Option<String>,
    /// Further names under which compose and bake files have the very same build.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// The Dockerfile, relative to the tree.
    pub dockerfile: String,
    /// The build context, relative to the tree; `.` is the tree.
    pub context: String,
    /// Where that is said.
    pub context_from: ContextFrom,
    /// The stage that is built, if one is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The build arguments that a compose or bake file gives it, as far as their values are known.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, String>,
    /// Whether the Dockerfile could be read.
    pub readable: bool,
    /// What the policy makes of it.
    pub class: Class,
    /// Why. One clause without its full stop.
    pub reason: String,
    /// The version of Python, as the tag of its base says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub python: Option<String>,
    /// Its stages.
    pub stages: Vec<StageEntry>,
    /// The RUNs that install Python packages.
    pub steps: Vec<Step>,
    /// What its steps ask for, in the stages that the target needs: each requirement once, sorted.
    pub requirements: Vec<Requirement>,
    /// Some install has constraints of its own, or names files in place of versions.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_own_versions: bool,
    /// The Debian packages that it installs with apt, sorted.
    pub apt: Vec<String>,
}

/// What to read.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) also: Vec<String>,
    pub(crate) dockerfile: PathBuf,
    pub(crate) context: PathBuf,
    pub(crate) from: ContextFrom,
    pub(crate) target: Option<String>,
    pub(crate) args: BTreeMap<String, String>,
}

/// Reads a service.
pub(crate) fn read(
    tree: &Path,
    job: &Job,
    policy: &Policy,
    built_here: &dyn Fn(&str) -> bool,
    findings: &mut Vec<Finding>,
) -> Service {
    let file = job.dockerfile.display().to_string();
    let context = job.context.display().to_string();
    let mut service = Service {
        name: job.name.clone(),
        in_file: (job.from != ContextFrom::Directory).then(|| job.name.clone()),
        also: job.also.clone(),
        dockerfile: file.clone(),
        context: if context.is_empty() { ".".to_owned() } else { context },
        context_from: job.from.clone(),
        target: job.target.clone(),
        args: job.args.clone(),
        readable: false,
        class: Class::Unknown,
        reason: "its Dockerfile can't be read".to_owned(),
        python: None,
        stages: Vec::new(),
        steps: Vec::new(),
        requirements: Vec::new(),
        has_own_versions: false,
        apt: Vec::new(),
    };
    let path = tree.join(&job.dockerfile);
    let text = match read_text(&path) {
        Ok(text) => text,
        Err(why) => {
            let kind =
                if matches!(why, Unread::TooLarge(_)) { Kind::TooLarge } else { Kind::DockerfileUnreadable };
            findings.push(Finding::new(kind, &file, None, why.to_string()));
            return service;
        }
    };
    let text = without_bodies(&text);
    let dockerfile = match parse_dockerfile::parse(&text) {
        Ok(dockerfile) => dockerfile,
        Err(error) => {
            let line = (error.line() > 0).then(|| error.line());
            let why = error.to_string();
            // It names the place behind what is wrong.
            let why = why.split(" at line ").next().unwrap_or(&why).to_owned();
            let mut finding = Finding::new(
                Kind::DockerfileUnreadable,
                &file,
                line,
                format!("BuildKit can't parse it: {why}"),
            );
            if why.starts_with("duplicate stage name") {
                // That builds, with the last of the two.
                finding.severity = Severity::Warning;
                finding.message = format!("it isn't looked at: {why}");
            }
            findings.push(finding);
            return service;
        }
    };
    service.readable = true;
    findings.extend(contradiction(tree, &job.dockerfile, &job.context));
    let lines = Lines::of(&text);
    let stages = Stages::read(&dockerfile, &lines, &job.args);
    let Some(target) = target(&stages, job, &file, findings) else {
        service.reason = "its target isn't there".to_owned();
        return service;
    };
    let needed = match needed(&stages.all, target) {
        Ok(needed) => needed,
        Err(line) => {
            let message = "its stages copy from one another in a circle; BuildKit refuses that";
            findings.push(Finding::new(Kind::StageCycle, &file, Some(line), message));
            service.reason = "its stages turn in a circle".to_owned();
            return service;
        }
    };
    let bases = std::iter::once(target)
        .chain((0..stages.all.len()).filter(|index| needed[*index] && *index != target));
    let bases: Vec<&Base> = bases.map(|index| stages.bottom(index)).collect();
    (service.class, service.reason) = class::of(&bases, policy, built_here);
    for (index, stage) in stages.all.iter().enumerate() {
        let base = match stages.bottom(index) {
            Base::Image(name) => class::familiar(name),
            Base::Unresolved(written) => {
                if needed[index] && stage.base == *stages.bottom(index) {
                    let message = format!("the base `{written}` depends on a variable without a value");
                    findings.push(Finding::new(Kind::BaseUnresolved, &file, Some(stage.line), message));
                }
                written.clone()
            }
            Base::Scratch | Base::Stage(_) => "scratch".to_owned(),
        };
        service.stages.push(StageEntry {
            name: stage.name.clone(),
            line: stage.line,
            base,
            needed: needed[index],
        });
    }
    let python = bases.iter().find_map(|base| match base {
        Base::Image(name) => class::python_version(name),
        _ => None,
    });
    service.python = python.map(|(major, minor)| format!("{major}.{minor}"));
    let mut reader = Reader {
        tree,
        job,
        file: &file,
        context: Context::new(&tree.join(&job.context), &path),
        lines,
        stages: &stages,
        needed: &needed,
        escape: dockerfile.parser_directives.escape.as_ref().map_or('\\', |escape| escape.value.value),
        images: Vec::new(),
        findings,
        service,
    };
    reader.stages(&dockerfile);
    let mut service = reader.service;
    let steps = service.steps.iter().filter(|step| step.needed && step.foreseen != Foreseen::Fails);
    let mut requirements: Vec<Requirement> =
        steps.flat_map(|step| step.requirements.iter().cloned()).collect();
    service.has_own_versions = service.steps.iter().any(|step| step.needed && step.has_own_versions);
    requirements.sort();
    requirements.dedup_by(|a, b| a.text == b.text);
    service.requirements = requirements;
    service.apt.sort();
    service.apt.dedup();
    service
}

/// The number of the stage to build. What is odd about it is a finding.
fn target(stages: &Stages, job: &Job, file: &str, findings: &mut Vec<Finding>) -> Option<usize> {
    if let Some(name) = &job.target {
        let found = stages.by_name(name);
        if found.is_none() {
            let message = format!("there is no stage `{name}`, which the target of {} names", job.name);
            findings.push(Finding::new(Kind::TargetMissing, file, None, message));
        }
        return found;
    }
    let last = stages.all.len().checked_sub(1)?;
    let name = stages.all[last].name.as_deref().unwrap_or_default().to_ascii_lowercase();
    if last > 0
        && ["test", "tests", "testing", "dev", "development", "debug", "lint"].contains(&name.as_str())
    {
        let message = format!(
            "the last stage is `{name}`, and that is what is built where nobody names a target; name one in a compose or bake file"
        );
        findings.push(Finding::new(Kind::TestStageLast, file, Some(stages.all[last].line), message));
    }
    Some(last)
}
