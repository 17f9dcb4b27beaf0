//! Whether a RUN is an install that can be assembled at all, by its operation alone.

use plinth_layers::pip::{PipCommand, Tool, check_environment};
use plinth_proto::pb;

use crate::shell;

/// A RUN that is just one understood install command.
pub(super) struct Candidate {
    /// The command as the kernel gets it.
    pub(super) argv: Vec<String>,
    /// Literal beginnings of the words that a shell would match against file names: the arguments hold only if no file
    /// begins like that.
    pub(super) globs: Vec<String>,
    /// The environment of the operation, the names of secrets with an empty value included.
    pub(super) env: Vec<(String, String)>,
    /// What it means.
    pub(super) command: PipCommand,
    /// The operation that would run it.
    pub(super) exec: pb::ExecOp,
    /// Index of the root mount among the operation's mounts.
    pub(super) root: usize,
}

/// Why a RUN isn't one.
pub(super) enum NoCandidate {
    /// It installs no Python package, as far as its text tells.
    Unrelated,
    /// It has to do with installing, but must run as written.
    AsWritten(String),
}

/// Looks at an ExecOp.
pub(super) fn classify(exec: &pb::ExecOp) -> Result<Candidate, NoCandidate> {
    let as_written = |reason: String| NoCandidate::AsWritten(reason);
    let meta = exec.meta.clone().unwrap_or_default();
    let text = meta.args.join(" ");
    if !mentions_installer(&text) {
        return Err(NoCandidate::Unrelated);
    }
    let env: Vec<(String, String)> = meta
        .env
        .iter()
        .map(|entry| entry.split_once('=').unwrap_or((entry, "")))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
    let (argv, globs) = match shell::shell_of(&meta.args) {
        shell::Form::Shell(script) => {
            // The container runtime sets these, so the environment of the operation isn't the whole one.
            if script.contains('$') && (!exec.secretenv.is_empty() || meta.proxy_env.is_some()) {
                return Err(as_written("its script uses variables beside those that the builder adds".to_owned()));
            }
            let lookup = |name: &str| env.iter().rev().find(|(k, _)| k == name).map(|(_, v)| v.clone());
            let simple = shell::simple_command_with_globs(script, &lookup).map_err(|e| as_written(e.to_string()))?;
            let globs = simple.globs.iter().map(|glob| literal_start(&simple.argv[glob.index])).collect();
            (simple.argv, globs)
        }
        shell::Form::Exec => (meta.args.clone(), Vec::new()),
    };
    let command = PipCommand::parse(&argv).map_err(|e| as_written(e.reason))?;
    if command.tool == Tool::Uv {
        return Err(as_written("`uv pip install` runs as written: its own layout isn't assembled yet".to_owned()));
    }
    let secrets = exec.secretenv.iter().map(|secret| (secret.name.clone(), String::new()));
    let env: Vec<(String, String)> = env.iter().cloned().chain(secrets).collect();
    check_environment(&env).map_err(|e| as_written(e.reason))?;
    if !matches!(meta.user.as_str(), "" | "0" | "root" | "0:0" | "root:root" | "root:0" | "0:root") {
        return Err(as_written("it runs as another user than root".to_owned()));
    }
    if exec.security != pb::SecurityMode::Sandbox as i32 || !exec.cdi_devices.is_empty() {
        return Err(as_written("it runs with special privileges or devices".to_owned()));
    }
    if !meta.valid_exit_codes.is_empty() {
        return Err(as_written("its exit code is read in a special way".to_owned()));
    }
    let root = root_mount(exec).ok_or_else(|| as_written("its root is mounted in an unusual way".to_owned()))?;
    if let Some(mount) = exec.mounts.iter().enumerate().find(|(i, m)| *i != root && keeps_output(m)).map(|(_, m)| m) {
        return Err(as_written(format!("it keeps what it writes to the mount at {}", mount.dest)));
    }
    Ok(Candidate { argv, globs, env, command, exec: exec.clone(), root })
}

/// The part of a word before its first wildcard. Every file name that the word matches begins like that.
fn literal_start(word: &str) -> String {
    word.chars().take_while(|c| !matches!(c, '*' | '?' | '[')).collect()
}

/// The one mount at `/`, whole and writable, whose result is output 0.
fn root_mount(exec: &pb::ExecOp) -> Option<usize> {
    let mut roots = exec.mounts.iter().enumerate().filter(|(_, mount)| mount.dest == "/");
    let (at, mount) = roots.next()?;
    let plain = mount.output == 0
        && mount.input >= 0
        && mount.selector.is_empty()
        && !mount.readonly
        && mount.mount_type == pb::MountType::Bind as i32;
    (plain && roots.next().is_none()).then_some(at)
}

/// Secret, ssh, cache and memory mounts have no result of their own, whatever their `output` says.
fn keeps_output(mount: &pb::Mount) -> bool {
    mount.mount_type == pb::MountType::Bind as i32 && mount.output >= 0
}

/// A RUN whose text has none of these words needs no line in the report.
fn mentions_installer(text: &str) -> bool {
    const WORDS: &[&str] = &["pip", "pip3", "uv", "uvx", "poetry", "pipenv", "pdm", "conda", "mamba", "easy_install", "pipx"];
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')))
        .any(|word| WORDS.contains(&word) || word.starts_with("pip3."))
}
