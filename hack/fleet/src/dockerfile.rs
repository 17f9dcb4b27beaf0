//! The text of a Dockerfile.

use crate::facts::{FileRef, PipStep, Service};
use crate::stage::{self, Changes, Plan, Task};
use crate::{app, requirements};

/// Bases of dev services that the locked wheels don't fit, or that are no public image; and the one that they do fit.
const UNLOCKED: [&str; 3] = ["python:3.12-slim", "python:3.12.8-slim", "sutazai/agent-base:latest"];
const LOCKED: &str = "python:3.11-slim";

/// How image references are written.
#[derive(Debug, Default, Clone)]
pub struct Images {
    /// Put in front of every image, with a slash: a registry, perhaps with a path.
    pub registry: Option<String>,
    /// Other images to use: from, to. The registry isn't put in front of these.
    pub instead: Vec<(String, String)>,
}

impl Images {
    fn name(&self, base: &str, repaired: bool) -> String {
        if let Some((_, to)) = self.instead.iter().find(|(from, _)| from == base) {
            return to.clone();
        }
        let base = if repaired && UNLOCKED.contains(&base) { LOCKED } else { base };
        self.registry.as_ref().map_or_else(|| base.to_owned(), |registry| format!("{registry}/{base}"))
    }
}

/// The Dockerfile of `service`.
#[must_use]
pub fn text(service: &Service, images: &Images, changes: &Changes) -> String {
    let mut out = Writer { lines: format!("# {}\n", service.name), service, changes, copied: Vec::new() };
    let last = service.stages.len() - 1;
    for (number, plan) in stage::plan(service, changes).iter().enumerate() {
        out.begin(number, images);
        out.early(number, plan);
        if number == last {
            out.application(last);
        }
        for task in &plan.late {
            out.task(task);
        }
        if number == last {
            out.configuration();
        }
        let stage = &service.stages[number];
        if !stage.user.is_empty() && out.inherited(number, |s| &s.user) != stage.user {
            out.line(&format!("USER {}", stage.user));
        }
        if number == last {
            out.commands();
        }
    }
    out.lines
}

const VENV_PATH: &str = "ENV PATH=\"/opt/venv/bin:$PATH\"";

struct Writer<'f> {
    lines: String,
    service: &'f Service,
    changes: &'f Changes,
    copied: Vec<String>,
}

impl<'f> Writer<'f> {
    fn line(&mut self, text: &str) {
        self.lines.push_str(text);
        self.lines.push('\n');
    }

    /// Dev services are built, so what keeps them from building is put right.
    fn repaired(&self) -> bool {
        self.service.dev && !self.changes.as_found
    }

    /// What a stage has from the stage it continues.
    fn inherited<'a>(
        &'a self,
        number: usize,
        field: impl Fn(&'a crate::facts::Stage) -> &'a String,
    ) -> &'a str {
        match self.service.stage_named(&self.service.stages[number].base) {
            Some(parent) if parent < number => field(&self.service.stages[parent]),
            _ => "",
        }
    }

    fn begin(&mut self, number: usize, images: &Images) {
        let stage = &self.service.stages[number];
        let continues = self.service.stage_named(&stage.base).is_some_and(|parent| parent < number);
        let base = if continues { stage.base.clone() } else { images.name(&stage.base, self.repaired()) };
        let name = if stage.name.is_empty() { String::new() } else { format!(" AS {}", stage.name) };
        if number > 0 {
            self.line("");
        }
        self.line(&format!("FROM {base}{name}"));
        if number == 0 {
            for (key, value) in early_env(self.service) {
                self.line(&format!("ENV {key}={value}"));
            }
        }
        let root = stage.workdir.is_empty() || stage.workdir == "/";
        if !root && self.inherited(number, |s| &s.workdir) != stage.workdir {
            self.line(&format!("WORKDIR {}", stage.workdir));
        }
        self.copied.clear();
    }

    fn early(&mut self, number: usize, plan: &Plan<'f>) {
        if self.service.node.iter().any(|step| step.stage == number) {
            self.line("COPY package.json package-lock.json ./");
        }
        for task in &plan.early {
            self.task(task);
        }
    }

    fn task(&mut self, task: &Task<'f>) {
        match task {
            Task::Run(command) => {
                self.line(&format!("RUN {command}"));
                if command == stage::VENV {
                    self.line(VENV_PATH);
                }
            }
            Task::Pip(step, front) => self.pip(step, front.as_deref()),
        }
    }

    fn pip(&mut self, step: &'f PipStep, front: Option<&str>) {
        for reference in step.installs.iter().flat_map(|install| &install.files) {
            self.copy_requirements(reference);
        }
        // An editable install without a clone in the same step, and poetry, need the project.
        let needs_project =
            step.form == "l-other-tool" || (step.form == "g-local" && !step.runs("git clone"));
        if needs_project && self.service.git_clones == 0 {
            self.copy_once("COPY . .");
        }
        let user = (!step.run_user.is_empty()).then(|| step.run_user.clone());
        if let Some(user) = &user {
            self.copy_once(&format!("USER {user}"));
        }
        self.line(&format!("RUN {}", stage::pip_text(step, front)));
    }

    fn copy_requirements(&mut self, reference: &FileRef) {
        if reference.status == "from-git-clone" {
            return;
        }
        match requirements::copy(self.service, reference, self.changes.as_found) {
            Some(copy) => self.copy_once(&copy),
            // No COPY names the file: the step looks for it among everything.
            None => self.copy_once("COPY . ."),
        }
    }

    fn copy_once(&mut self, line: &str) {
        if !self.copied.iter().any(|copied| copied == line) {
            self.line(line);
            self.copied.push(line.to_owned());
        }
    }

    fn application(&mut self, last: usize) {
        for (number, from) in self.service.copy_from.iter().enumerate() {
            let what = artifact(self.service, number);
            self.line(&format!("COPY --from={from} {what} {what}"));
            if self.service.venv && last > 0 {
                self.line(VENV_PATH);
            }
        }
        for copy in self.odd_copies() {
            self.copy_once(&copy);
        }
        self.copy_once("COPY . .");
        if !self.repaired() {
            for number in 0..self.service.invalid_lines {
                self.line(&format!("line_{number} = \"left over from a script\""));
            }
        }
    }

    /// COPYs of what isn't there: names, which fail a build, and patterns, which don't.
    fn odd_copies(&self) -> Vec<String> {
        let requirement =
            |name: &str| requirements::references(self.service).any(|r| r.context_name() == name);
        let mut copies: Vec<String> = Vec::new();
        for name in self.service.missing.iter().filter(|name| !requirement(name)) {
            let target = if name.ends_with('/') { format!("./{name}") } else { "./".to_owned() };
            let comment = name.starts_with('#');
            match (self.repaired(), name.contains("requirements")) {
                (true, _) if comment => {}
                (true, true) => copies.push(format!("COPY {name}* ./")),
                _ => copies.push(format!("COPY {name} {target}")),
            }
        }
        let pattern_used = |glob: &str| requirement(glob.trim_end_matches('*'));
        copies.extend(
            self.service.globs_unmatched.iter().filter(|g| !pattern_used(g)).map(|g| format!("COPY {g} ./")),
        );
        copies
    }

    fn configuration(&mut self) {
        for (key, value) in late_env(self.service) {
            self.line(&format!("ENV {key}={value}"));
        }
        for number in 0..self.service.labels {
            self.line(&format!("LABEL com.example.fleet.{number}=\"{}\"", self.service.slug()));
        }
        for number in 0..self.service.volumes {
            self.line(&format!("VOLUME /data/{number}"));
        }
        for port in &self.service.ports {
            self.line(&format!("EXPOSE {port}"));
        }
        if self.service.healthcheck {
            let url = format!("http://localhost:{}/health", self.service.port());
            let probe = if self.service.apt.iter().any(|p| p == "curl" || p == "apk:curl") {
                format!("curl -fsS {url}")
            } else if !self.service.tech.starts_with("python") {
                format!("wget -q -O /dev/null {url}")
            } else {
                format!("python -c \"import urllib.request; urllib.request.urlopen('{url}')\"")
            };
            self.line(&format!(
                "HEALTHCHECK --interval=30s --timeout=10s --retries=3 \\\n    CMD {probe} || exit 1"
            ));
        }
    }

    fn commands(&mut self) {
        let commands = [("ENTRYPOINT", &self.service.entrypoint), ("CMD", &self.service.cmd)];
        for (instruction, command) in commands {
            if let Some(command) = command {
                self.line(&format!("{instruction} {}", app::arguments(command, self.service)));
            }
        }
    }
}

/// What a later stage takes from an earlier one.
fn artifact(service: &Service, number: usize) -> String {
    let user_install = service.pip.iter().any(|step| step.form == "e-user-prefix");
    if service.venv {
        "/opt/venv".to_owned()
    } else if user_install {
        "/root/.local".to_owned()
    } else {
        ["/usr/local/bin", "/etc/service", "/usr/share/service", "/var/lib/service"][number % 4].to_owned()
    }
}

/// Variables set before anything runs. Multi-stage builds are the careful ones: they steer Python and pip too.
fn early_env(service: &Service) -> Vec<(&'static str, &'static str)> {
    if service.tech == "node" || service.venv {
        return Vec::new();
    }
    let all = [("PYTHONUNBUFFERED", "1"), ("PYTHONDONTWRITEBYTECODE", "1"), ("PIP_NO_CACHE_DIR", "1")];
    let count = if service.stages.len() > 1 { 3 } else { 1 };
    all.into_iter().take(count.min(service.env)).collect()
}

/// The other variables: the application's.
fn late_env(service: &Service) -> Vec<(String, String)> {
    let mut all = vec![
        ("SERVICE_PORT".to_owned(), service.port().to_owned()),
        ("SERVICE_NAME".to_owned(), service.slug()),
        ("LOG_LEVEL".to_owned(), "INFO".to_owned()),
    ];
    all.extend((1..=service.env).map(|number| (format!("OPTION_{number}"), number.to_string())));
    all.truncate(service.env.saturating_sub(early_env(service).len() + usize::from(service.venv)));
    all
}
