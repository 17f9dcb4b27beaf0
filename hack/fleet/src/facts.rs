//! The facts, as `facts.json` holds them: absent means none, zero or no.

use serde::Deserialize;
use std::collections::BTreeMap;

const FACTS: &str = include_str!("../facts.json");

/// Everything that is known about the fleet.
#[derive(Debug, Deserialize)]
pub struct Fleet {
    /// Where the facts come from.
    pub source: String,
    /// Requirement files by their path in the fleet: one specifier per line (PEP 508).
    pub files: BTreeMap<String, Vec<String>>,
    /// The services, by name.
    pub services: Vec<Service>,
}

impl Fleet {
    /// Reads the facts that this crate was built with.
    ///
    /// # Errors
    /// When `facts.json` isn't what [`Fleet`] describes.
    pub fn load() -> Result<Self, serde_json::Error> {
        serde_json::from_str(FACTS)
    }

    /// The specifiers that `reference` finds in the fleet, if its file exists there or was only moved.
    #[must_use]
    pub fn specifiers(&self, reference: &FileRef) -> Option<&[String]> {
        let path = reference.file.as_ref().or(reference.moved_to.as_ref())?;
        self.files.get(path).map(Vec::as_slice)
    }
}

/// One Dockerfile of the fleet.
#[derive(Clone, Debug, Deserialize)]
pub struct Service {
    /// Its name in the fleet, a path.
    pub name: String,
    /// One of the services that resolve with wheels only on Python 3.11, under 300 MB: the ones that are built.
    #[serde(default)]
    pub dev: bool,
    /// `migrate` or `keep`.
    pub class: String,
    /// Why it has that class.
    pub reason: String,
    /// `python`, `node`, `python-gpu` or `other`.
    pub tech: String,
    /// The build stages, in order.
    pub stages: Vec<Stage>,
    /// Distribution packages; `apk:` marks Alpine's.
    #[serde(default)]
    pub apt: Vec<String>,
    /// The steps that install Python packages, in order.
    #[serde(default)]
    pub pip: Vec<PipStep>,
    /// The steps that run npm, in order.
    #[serde(default)]
    pub node: Vec<NodeStep>,
    /// The stages that a `COPY --from` names, one entry each.
    #[serde(default)]
    pub copy_from: Vec<String>,
    /// Files that a COPY names and that aren't in the context.
    #[serde(default)]
    pub missing: Vec<String>,
    /// Patterns in a COPY that match nothing.
    #[serde(default)]
    pub globs_unmatched: Vec<String>,
    /// How many lines of the Dockerfile are no instruction at all.
    #[serde(default)]
    pub invalid_lines: usize,
    /// How many variables ENV sets.
    #[serde(default)]
    pub env: usize,
    /// How many labels it sets.
    #[serde(default)]
    pub labels: usize,
    /// Exposed ports.
    #[serde(default)]
    pub ports: Vec<String>,
    /// How many VOLUMEs it declares.
    #[serde(default)]
    pub volumes: usize,
    /// Whether it has a HEALTHCHECK.
    #[serde(default)]
    pub healthcheck: bool,
    /// The uids of the users it adds, `auto` where none is given.
    #[serde(default)]
    pub uids: Vec<String>,
    /// How many repositories it clones while it builds.
    #[serde(default)]
    pub git_clones: usize,
    /// Whether it installs into a virtual environment.
    #[serde(default)]
    pub venv: bool,
    /// What it runs.
    pub cmd: Option<Command>,
    /// What it runs as its entry point.
    pub entrypoint: Option<Command>,
    /// What the pip steps amount to.
    #[serde(default)]
    pub effective: Effective,
}

impl Service {
    /// The name as one path segment that is also a valid image repository name.
    #[must_use]
    pub fn slug(&self) -> String {
        self.name.to_lowercase().replace(['/', '.'], "-")
    }

    /// How many distinct requirements its pip steps ask for.
    #[must_use]
    pub fn requirement_count(&self) -> usize {
        self.effective.requirements.len()
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> &str {
        self.ports.first().map_or("8000", String::as_str)
    }

    /// The stage whose name `base` is, if it is no image.
    #[must_use]
    pub fn stage_named(&self, base: &str) -> Option<usize> {
        self.stages.iter().position(|stage| !stage.name.is_empty() && stage.name == base)
    }
}

/// One build stage.
#[derive(Clone, Debug, Deserialize)]
pub struct Stage {
    /// An image, or the name of an earlier stage.
    pub base: String,
    /// Empty where it has none.
    #[serde(default)]
    pub name: String,
    /// The working directory in force at its end.
    #[serde(default)]
    pub workdir: String,
    /// The user in force at its end.
    #[serde(default)]
    pub user: String,
    /// How many RUN instructions it has.
    #[serde(default)]
    pub runs: usize,
}

/// One RUN that installs Python packages.
#[derive(Clone, Debug, Deserialize)]
pub struct PipStep {
    /// The shape of the shell text, such as `a-sole-r`.
    pub form: String,
    /// The stage it is in.
    #[serde(default)]
    pub stage: usize,
    /// Peculiarities, such as `stderr-redirect`.
    #[serde(default)]
    pub attrs: Vec<String>,
    /// The user it runs as; empty is root.
    #[serde(default)]
    pub run_user: String,
    /// Other commands in the same RUN.
    #[serde(default)]
    pub other: Vec<String>,
    /// The install commands, in order.
    pub installs: Vec<Install>,
}

impl PipStep {
    /// Whether the step has this peculiarity.
    #[must_use]
    pub fn has(&self, attr: &str) -> bool {
        self.attrs.iter().any(|a| a == attr)
    }

    /// Whether this command runs in the same RUN.
    #[must_use]
    pub fn runs(&self, command: &str) -> bool {
        self.other.iter().any(|c| c == command)
    }
}

/// One install command.
#[derive(Clone, Debug, Deserialize)]
pub struct Install {
    /// `pip` or another tool.
    #[serde(default = "pip")]
    pub tool: String,
    /// What joins it to the command before it: `&&`, `||`, `;` or nothing.
    #[serde(default)]
    pub connector: String,
    /// Its flags, without the values that name a place.
    #[serde(default)]
    pub flags: Vec<String>,
    /// The requirements given inline, as pip sees them.
    #[serde(default)]
    pub specs: Vec<String>,
    /// How many of them carry an unquoted `>`, which the shell takes for a redirection.
    #[serde(default)]
    pub redirected: usize,
    /// The requirement files.
    #[serde(default)]
    pub files: Vec<FileRef>,
}

fn pip() -> String {
    "pip".to_owned()
}

/// A requirement file as a command names it.
#[derive(Clone, Debug, Deserialize)]
pub struct FileRef {
    /// The path as written.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The file of the fleet that it is, if it is there.
    pub file: Option<String>,
    /// Where the fleet moved it, if it did.
    pub moved_to: Option<String>,
    /// Empty, `missing-from-context` or `from-git-clone`.
    #[serde(default)]
    pub status: String,
}

impl FileRef {
    /// The name of the file in the service's own context.
    #[must_use]
    pub fn context_name(&self) -> &str {
        if self.reference.starts_with('/') {
            self.reference.rsplit('/').next().unwrap_or_default()
        } else {
            &self.reference
        }
    }
}

/// One RUN that uses npm.
#[derive(Clone, Debug, Deserialize)]
pub struct NodeStep {
    /// The stage it is in.
    #[serde(default)]
    pub stage: usize,
    /// The npm commands.
    pub commands: Vec<String>,
    /// Their flags.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Other commands in the same RUN.
    #[serde(default)]
    pub other: Vec<String>,
}

/// A CMD or ENTRYPOINT.
#[derive(Clone, Debug, Deserialize)]
pub struct Command {
    /// `exec` or `shell`.
    pub kind: String,
    /// The program without its arguments.
    pub program: String,
}

/// What a service's pip steps amount to, measured in the fleet.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Effective {
    /// Every requirement asked for, sorted.
    #[serde(default)]
    pub requirements: Vec<String>,
    /// How many distributions that resolves to on Python 3.11.
    pub packages: Option<usize>,
    /// Their wheels' size in bytes.
    pub wheel_bytes: Option<u64>,
}
