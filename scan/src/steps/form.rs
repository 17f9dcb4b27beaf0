//! What an install step looks like, for counting.

use plinth_layers::script::Node;
use serde::Serialize;

/// The shapes that install steps have. Of several that fit, the first in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// poetry, pipenv, conda, `uv sync`, …
    OtherTool,
    /// `apt-get … && pip install …`
    Compound,
    /// `-e .`, a directory, a repository.
    Local,
    /// `if [ -f F ]; then pip install -r F; fi`
    Conditional,
    /// `--index-url`, `--extra-index-url`.
    Index,
    /// `… || …`
    Fallback,
    /// `--user`, `--prefix`, `--target`.
    Target,
    /// `pip install --upgrade pip`
    PipUpgrade,
    /// `pip install --upgrade pip && pip install …`
    UpgradeAndInstall,
    /// `pip install -r F`
    Requirements,
    /// `pip install PACKAGES`
    Packages,
}

impl Form {
    /// For tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OtherTool => "other tool",
            Self::Compound => "behind apt",
            Self::Local => "local or editable",
            Self::Index => "another index",
            Self::Conditional => "conditional",
            Self::Fallback => "fallback",
            Self::Target => "--user, --prefix, --target",
            Self::PipUpgrade => "pip itself",
            Self::UpgradeAndInstall => "pip itself, then more",
            Self::Requirements => "requirement files",
            Self::Packages => "packages",
        }
    }
}

/// The form of a script; `words` are all its commands.
pub(super) fn of(node: &Node, words: &[Vec<String>]) -> Form {
    let asked: Vec<_> =
        node.installs().iter().filter_map(|i| plinth_layers::pip::Asked::of(&i.argv)).collect();
    let any = |options: &[&str]| asked.iter().any(|asked| options.iter().any(|option| asked.has(option)));
    let own = |requirement: &String| {
        let name = requirement.split(['=', '<', '>', '!', '~', '[']).next().unwrap_or_default().trim();
        matches!(name, "pip" | "setuptools" | "wheel")
    };
    let only_own = |asked: &plinth_layers::pip::Asked| {
        asked.requirement_files.is_empty()
            && asked.editable.is_empty()
            && !asked.requirements.is_empty()
            && asked.requirements.iter().all(own)
    };
    let local = |asked: &plinth_layers::pip::Asked| {
        !asked.editable.is_empty()
            || asked.requirements.iter().any(|text| crate::requirements::is_local(text))
    };
    if asked.is_empty() {
        return Form::OtherTool;
    }
    if words.iter().any(|command| {
        matches!(command[0].rsplit('/').next(), Some("apt-get" | "apt" | "apk" | "yum" | "dnf"))
    }) {
        return Form::Compound;
    }
    if asked.iter().any(local) {
        return Form::Local;
    }
    // A script that isn't understood has its words.
    if tests(node) || words.iter().any(|command| matches!(command[0].as_str(), "[" | "test" | "[[")) {
        return Form::Conditional;
    }
    if any(&["--index-url", "--extra-index-url", "--index", "--default-index"]) {
        return Form::Index;
    }
    if alternatives(node) {
        return Form::Fallback;
    }
    if any(&["--user", "--prefix", "--target"]) {
        return Form::Target;
    }
    if asked.iter().all(only_own) {
        return Form::PipUpgrade;
    }
    if asked.len() > 1 && only_own(&asked[0]) {
        return Form::UpgradeAndInstall;
    }
    if asked.iter().any(|asked| !asked.requirement_files.is_empty()) {
        Form::Requirements
    } else {
        Form::Packages
    }
}

fn tests(node: &Node) -> bool {
    match node {
        Node::Test { .. } | Node::If { .. } => true,
        Node::Not { of } | Node::Subshell { of } => tests(of),
        Node::And { first, then: second } | Node::Or { first, otherwise: second } => {
            tests(first) || tests(second)
        }
        Node::Sequence { nodes } => nodes.iter().any(tests),
        _ => false,
    }
}

fn alternatives(node: &Node) -> bool {
    match node {
        Node::Or { .. } => true,
        Node::Not { of } | Node::Subshell { of } => alternatives(of),
        Node::And { first, then } => alternatives(first) || alternatives(then),
        Node::Sequence { nodes } => nodes.iter().any(alternatives),
        _ => false,
    }
}

/// The tools other than pip and `uv pip` with which commands install packages.
pub(super) fn other_tools(words: &[Vec<String>]) -> Vec<&str> {
    words.iter().filter_map(|command| tool_of(command)).collect()
}

fn tool_of(command: &[String]) -> Option<&str> {
    let program = command[0].rsplit('/').next().unwrap_or_default();
    let verb = |verbs: &[&str]| command[1..].iter().any(|word| verbs.contains(&word.as_str()));
    let installs = match program {
        "poetry" | "pdm" | "pipenv" | "conda" | "mamba" | "micromamba" | "pixi" | "hatch" | "rye" => {
            verb(&["install", "sync", "add", "update"])
        }
        "uv" => command.get(1).is_some_and(|word| word != "pip") && verb(&["sync", "add", "install", "run"]),
        "pipx" => verb(&["install", "inject"]),
        "pip-sync" | "easy_install" => true,
        _ => program.starts_with("python") && verb(&["setup.py"]),
    };
    installs.then_some(program)
}
