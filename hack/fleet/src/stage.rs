//! What runs in which stage: the RUN instructions of a Dockerfile, planned before a line is written.
//!
//! The facts say how many RUNs a stage has and what the whole Dockerfile does, not which RUN adds the user. The plan
//! puts each task into a stage that has a RUN to spare, and small housekeeping into the ones left over.

use crate::facts::{PipStep, Service};
use crate::{apt, node, pip};

/// Where a clone comes from: a host that exists nowhere, since the facts don't name it.
pub const CLONE_URL: &str = "https://git.example.com/fleet/source.git";

/// Makes the virtual environment.
pub const VENV: &str = "python -m venv /opt/venv";

/// A RUN, or what surrounds one.
#[derive(Debug)]
pub enum Task<'f> {
    /// Shell text of our own making.
    Run(String),
    /// A step that installs Python packages, with the shell text in front of it in the same RUN.
    Pip(&'f PipStep, Option<String>),
}

/// The RUNs of one stage, before and after its application files arrive.
#[derive(Debug, Default)]
pub struct Plan<'f> {
    /// Before: packages, users, Python packages.
    pub early: Vec<Task<'f>>,
    /// After: what works on the files.
    pub late: Vec<Task<'f>>,
}

/// How the generated Dockerfile may differ from the facts.
#[derive(Debug, Default, Clone)]
pub struct Changes {
    /// Leave missing files missing and invalid lines invalid in dev services too; their builds then fail.
    pub as_found: bool,
    /// Leave out the steps that install distribution packages, and what needs them.
    pub without_apt: bool,
}

/// The plan of every stage of `service`.
#[must_use]
pub fn plan<'f>(service: &'f Service, changes: &Changes) -> Vec<Plan<'f>> {
    let mut plans: Vec<Plan<'f>> = service.stages.iter().map(|_| Plan::default()).collect();
    let compound = service.pip.iter().any(|step| step.runs("apt-get install"));
    let packages = if changes.without_apt { Vec::new() } else { packages_by_stage(service) };
    for (stage, names) in &packages {
        if let (Some(command), false) = (apt::command(names), compound) {
            plans[*stage].early.push(Task::Run(command));
        }
    }
    if service.venv {
        plans[0].early.push(Task::Run(VENV.to_owned()));
    }
    for _ in 0..separate_clones(service) {
        if let Some(text) = clone(service, changes, &plans) {
            plans[0].early.push(Task::Run(text));
        }
    }
    for step in &service.pip {
        let names =
            packages.iter().find(|(stage, _)| *stage == step.stage).map(|(_, names)| names.as_slice());
        let front = if step.runs("apt-get install") { names.and_then(apt::command) } else { None };
        plans[step.stage].early.push(Task::Pip(step, front));
    }
    for step in &service.node {
        let built = step.commands.iter().any(|c| c == "npm run");
        let side = if built { &mut plans[step.stage].late } else { &mut plans[step.stage].early };
        side.push(Task::Run(node::command(step)));
    }
    add_users(service, &mut plans);
    let apt_left_out = if changes.without_apt { packages_by_stage(service) } else { Vec::new() };
    for (number, plan) in plans.iter_mut().enumerate() {
        let left_out = apt_left_out.iter().filter(|(stage, _)| *stage == number).count();
        housekeeping(service, number, left_out, plan);
    }
    plans
}

/// The shell text of a pip task.
#[must_use]
pub fn pip_text(step: &PipStep, front: Option<&str>) -> String {
    let command = pip::command(step);
    front.map_or_else(|| command.clone(), |front| format!("{front} \\\n    && {command}"))
}

/// Build tools go to the first stage; a last stage that starts afresh gets the rest, if it has a RUN for it.
fn packages_by_stage(service: &Service) -> Vec<(usize, Vec<&str>)> {
    let all: Vec<&str> = service.apt.iter().map(String::as_str).collect();
    if all.is_empty() {
        return Vec::new();
    }
    let last = service.stages.len() - 1;
    let afresh = service.stage_named(&service.stages[last].base).is_none();
    // An image of another system in front can't install what the last one needs.
    let foreign = all[0].starts_with("apk:") != service.stages[0].base.contains("alpine");
    if last > 0 && (foreign || service.stages[0].runs == 0) {
        return vec![(last, all)];
    }
    if last == 0 || !afresh || service.stages[last].runs < 2 {
        return vec![(0, all)];
    }
    let (build, run): (Vec<&str>, Vec<&str>) = all.iter().partition(|package| apt::is_build_only(package));
    if build.is_empty() || run.is_empty() {
        return vec![(0, all)];
    }
    vec![(0, build), (last, run)]
}

/// Clones that have a RUN of their own.
fn separate_clones(service: &Service) -> usize {
    let inside = service.pip.iter().filter(|step| step.runs("git clone")).count();
    service.git_clones.saturating_sub(inside).min(1)
}

/// A dev service's build must not need a repository that the facts don't name: an empty one made in place stands for it.
fn clone(service: &Service, changes: &Changes, plans: &[Plan<'_>]) -> Option<String> {
    let spare = spare(service, 0, plans) > service.pip.iter().filter(|step| step.stage == 0).count();
    match (service.dev && !changes.as_found, changes.without_apt) {
        (true, true) => None,
        (true, false) => spare.then(|| "git init -q /opt/source".to_owned()),
        (false, _) => Some(format!("git clone --depth 1 {CLONE_URL} .")),
    }
}

fn spare(service: &Service, stage: usize, plans: &[Plan<'_>]) -> usize {
    service.stages[stage].runs.saturating_sub(plans[stage].early.len() + plans[stage].late.len())
}

/// Each user is added in the first stage of its line that has a RUN to spare, else where it is used.
fn add_users(service: &Service, plans: &mut [Plan<'_>]) {
    let mut known: Vec<&str> = Vec::new();
    for (number, stage) in service.stages.iter().enumerate() {
        // The base image brings users of these names.
        if stage.user.is_empty() || stage.user == "node" || known.contains(&stage.user.as_str()) {
            continue;
        }
        known.push(&stage.user);
        let mut line = vec![number];
        while let Some(parent) = service.stage_named(&service.stages[line[line.len() - 1]].base) {
            line.push(parent);
        }
        let place = line.iter().rev().find(|s| spare(service, **s, plans) > 0).copied().unwrap_or(number);
        let at = plans[place].early.iter().position(|task| matches!(task, Task::Pip(..)));
        let task = Task::Run(add_user(service, number, &stage.user));
        // Before the pip steps only if one of them runs as this user.
        let needed = service.pip.iter().any(|step| step.stage == place && step.run_user == stage.user);
        match at.filter(|_| needed) {
            Some(at) => plans[place].early.insert(at, task),
            None => plans[place].early.push(task),
        }
    }
}

fn add_user(service: &Service, stage: usize, name: &str) -> String {
    let uid = service.uids.first().filter(|uid| *uid != "auto");
    if root_image(service, stage).contains("alpine") {
        return format!("adduser -D{} {name}", uid.map_or_else(String::new, |uid| format!(" -u {uid}")));
    }
    format!("useradd --create-home{} {name}", uid.map_or_else(String::new, |uid| format!(" --uid {uid}")))
}

/// The image that a stage starts from in the end.
fn root_image(service: &Service, stage: usize) -> &str {
    let base = &service.stages[stage].base;
    match service.stage_named(base) {
        Some(parent) if parent < stage => root_image(service, parent),
        _ => base,
    }
}

/// Fills the RUNs that no other fact explains.
fn housekeeping(service: &Service, number: usize, left_out: usize, plan: &mut Plan<'_>) {
    let stage = &service.stages[number];
    let used = plan.early.len() + plan.late.len() + left_out;
    let home = if stage.workdir.is_empty() || stage.workdir == "/" { "/srv" } else { stage.workdir.as_str() };
    for number in 0..stage.runs.saturating_sub(used) {
        plan.late.push(Task::Run(match number {
            0 => format!("mkdir -p {home}/logs {home}/data"),
            1 => format!("chmod 0755 {home}/logs {home}/data"),
            other => format!("mkdir -p {home}/data/{other}"),
        }));
    }
}
