//! Whether a RUN has installs that can be assembled at all, by its operation alone.

use std::path::Path;

use plinth_layers::pip::{CacheDir, PipCommand, Tool, check_environment};
use plinth_layers::script::{Install, Node, first};
use plinth_layers::uv::check_image_state;
use plinth_proto::pb;

use super::split::{Split, split};
use crate::passes::Stop;
use crate::shell;

/// A RUN whose installs, and the order in which it comes to them, are understood.
pub(super) struct Candidate {
    /// What it runs.
    pub(super) parts: Split,
    /// The shell that would run it; none in exec form.
    pub(super) shell: Option<String>,
    /// The environment of the operation, the names of secrets with an empty value included.
    pub(super) env: Vec<(String, String)>,
    /// If it is given secrets: the names of the variables among them.
    pub(super) secrets: Option<Vec<String>>,
    /// Its install commands, those included that it may never come to.
    pub(super) commands: Vec<PipCommand>,
    /// The operation that would run it.
    pub(super) exec: pb::ExecOp,
    /// Index of the root mount among the operation's mounts.
    pub(super) root: usize,
    /// It leaves a download cache below the home directory, which an assembled step doesn't.
    pub(super) leaves_cache: bool,
}

/// Looks at an ExecOp. [`Stop::Unrelated`] if it installs no Python package, as far as its text tells.
pub(super) fn classify(exec: &pb::ExecOp) -> Result<Candidate, Stop> {
    let as_written = |reason: String| Stop::Refused(reason);
    let meta = exec.meta.clone().unwrap_or_default();
    let text = meta.args.join(" ");
    if !mentions_installer(&text) {
        return Err(Stop::Unrelated);
    }
    let env: Vec<(String, String)> = meta
        .env
        .iter()
        .map(|entry| entry.split_once('=').unwrap_or((entry, "")))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
    let mut shell = None;
    let (parts, commands) = match shell::shell_of(&meta.args) {
        shell::Form::Shell { script, shell: program, stops_on_failure } => {
            shell = Some(program.to_owned());
            // The container runtime sets these, so the environment of the operation isn't the whole one.
            if script.contains('$') && (!exec.secretenv.is_empty() || meta.proxy_env.is_some()) {
                return Err(as_written(
                    "its script uses variables beside those that the builder adds".to_owned(),
                ));
            }
            // To bash, a function goes before a program of its name.
            if env.iter().any(|(name, _)| name.starts_with("BASH_FUNC_")) {
                return Err(as_written("its environment holds functions of a shell".to_owned()));
            }
            let lookup = |name: &str| env.iter().rev().find(|(k, _)| k == name).map(|(_, v)| v.clone());
            let read = |text: &str| shell::script(text, &lookup, &is_installer);
            let whole = read(script).map_err(|e| as_written(e.to_string()))?;
            if !program.ends_with("/bash") && whole.activates() && has_word(script, "source") {
                return Err(as_written("its script runs `source`, which not every shell has".to_owned()));
            }
            let whole = followed(Split::none(whole), stops_on_failure);
            match whole {
                Ok(whole) => whole,
                Err(reason) => {
                    let command = |text: &str| read(text).map(|node| understood(node).0);
                    let parts = split(script, &command).filter(|_| only_files_are_shared(exec));
                    parts.and_then(|parts| followed(parts, stops_on_failure).ok()).ok_or(reason)?
                }
            }
        }
        shell::Form::Exec => {
            let installs = Node::Install(Install::new(meta.args.clone()));
            followed(Split::none(installs), false)?
        }
    };
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
    let root =
        root_mount(exec).ok_or_else(|| as_written("its root is mounted in an unusual way".to_owned()))?;
    if let Some(mount) =
        exec.mounts.iter().enumerate().find(|(i, m)| *i != root && keeps_output(m)).map(|(_, m)| m)
    {
        return Err(as_written(format!("it keeps what it writes to the mount at {}", mount.dest)));
    }
    let is_secret = |mount: &pb::Mount| mount.mount_type == pb::MountType::Secret as i32;
    let secrets = (!exec.secretenv.is_empty() || exec.mounts.iter().any(is_secret))
        .then(|| exec.secretenv.iter().map(|secret| secret.name.clone()).collect());
    if secrets.is_some() && commands.iter().any(|command| command.tool == Tool::Uv) {
        return Err(as_written("it is given a secret, with uv".to_owned()));
    }
    let mut leaves_cache = false;
    for command in &commands {
        leaves_cache |= check_places(command, &env, exec)?;
    }
    Ok(Candidate { parts, shell, env, secrets, commands, exec: exec.clone(), root, leaves_cache })
}

/// Checks what a command writes beside the install. Gives whether it leaves its download cache in the image.
fn check_places(command: &PipCommand, env: &[(String, String)], exec: &pb::ExecOp) -> Result<bool, Stop> {
    let as_written = |reason: String| Stop::Refused(reason);
    let covered = |path: &str| {
        exec.mounts.iter().any(|mount| mount.dest != "/" && Path::new(path).starts_with(&mount.dest))
    };
    if command.tool == Tool::Uv {
        if covered("/tmp") {
            return Err(as_written("a mount covers the place of uv's lock".to_owned()));
        }
        check_image_state(command, env, &covered).map_err(|e| as_written(e.reason))?;
        // It never stays in the image.
        return Ok(false);
    }
    match cache(command, env) {
        None => Ok(false),
        Some(place) if covered(&place.directory) => Ok(false),
        Some(place) if place.usual => Ok(true),
        Some(_) => Err(as_written("it keeps its download cache in a directory of its own".to_owned())),
    }
}

/// Programs whose commands are looked at; what else they may be is for the command's reader to say.
fn is_installer(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    name == "uv" || ["pip", "python", "pypy"].iter().any(|start| name.starts_with(start))
}

/// A script whose installs are understood, with their commands, if a walk through it gets anywhere.
fn followed(parts: Split, stops_on_failure: bool) -> Result<(Split, Vec<PipCommand>), Stop> {
    let (script, commands, why) = understood(parts.installs);
    if commands.is_empty() {
        // Whatever it comes to, it is nothing that could be assembled.
        let why = why.unwrap_or_else(|| "its script has no install command that is understood".to_owned());
        return Err(Stop::Refused(why));
    }
    let installs = match script {
        Node::Install(_) => script,
        _ if stops_on_failure => Node::Sequence { nodes: vec![Node::StopOnFailure, script] },
        _ => script,
    };
    first(&installs).map_err(|refusal| Stop::Refused(refusal.to_string()))?;
    Ok((Split { installs, ..parts }, commands))
}

/// Whether a word stands somewhere in a text.
fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| c.is_whitespace() || ";&|(){}!\"'\\".contains(c)).any(|part| part == word)
}

/// Reads the commands of a script, and says why one isn't understood. That matters only if the script comes to it.
fn understood(script: Node) -> (Node, Vec<PipCommand>, Option<String>) {
    let mut commands = Vec::new();
    let mut why = None;
    let script = script.map_installs(&mut |install| match PipCommand::parse(&install.argv) {
        Ok(command) => {
            commands.push(command);
            Node::Install(install)
        }
        Err(error) => {
            why.get_or_insert_with(|| error.reason.clone());
            Node::Other { reason: error.reason }
        }
    });
    (script, commands, why)
}

/// Whether all that goes from one part of a RUN to the next are files of its root, and downloads.
fn only_files_are_shared(exec: &pb::ExecOp) -> bool {
    const DOWNLOADS: &[&str] = &["/var/cache/apt", "/var/lib/apt", "/root/.cache"];
    let cache = |mount: &pb::Mount| {
        mount.mount_type == pb::MountType::Cache as i32
            && DOWNLOADS.iter().any(|place| Path::new(&mount.dest).starts_with(place))
    };
    exec.mounts.iter().filter(|mount| mount.dest != "/").all(|mount| mount.readonly || cache(mount))
}

/// Where pip keeps what it downloads.
struct CachePlace {
    directory: String,
    /// Below the home directory, where nobody names it.
    usual: bool,
}

/// pip's download cache, if it keeps one.
fn cache(command: &PipCommand, env: &[(String, String)]) -> Option<CachePlace> {
    let set =
        |name: &str| env.iter().rev().find(|(k, v)| k == name && !v.is_empty()).map(|(_, v)| v.as_str());
    let own = |directory: &str| Some(CachePlace { directory: directory.to_owned(), usual: false });
    match (command.cache(), set("PIP_CACHE_DIR")) {
        (CacheDir::None, _) => None,
        (CacheDir::At(directory), _) if !directory.is_empty() => own(directory),
        // Whatever its value: pip reads every one as a yes. Which of the two variables wins is not said here.
        (CacheDir::Unsaid, None) if set("PIP_NO_CACHE_DIR").is_some() => None,
        (_, Some(directory)) => own(directory),
        _ => match set("XDG_CACHE_HOME") {
            Some(directory) => own(&format!("{directory}/pip")),
            None => {
                let home = set("HOME").unwrap_or("/root");
                Some(CachePlace { directory: format!("{home}/.cache/pip"), usual: true })
            }
        },
    }
}

/// The first place in a build that counts on pip's download cache being there: it copies it, mounts it, or names it in
/// a command that isn't just a forced removal.
pub(super) fn names_cache(op: &pb::Op) -> bool {
    match &op.op {
        Some(pb::op::Op::Exec(exec)) => {
            let args = exec.meta.iter().flat_map(|meta| &meta.args).any(|arg| command_names_cache(arg));
            args || exec.mounts.iter().any(|mount| cache_in(&mount.selector))
        }
        Some(pb::op::Op::File(file)) => file.actions.iter().any(|action| match &action.action {
            Some(pb::file_action::Action::Copy(copy)) => cache_in(&copy.src),
            _ => false,
        }),
        _ => false,
    }
}

fn command_names_cache(text: &str) -> bool {
    text.split(['\n', ';', '&', '|']).any(|part| {
        let mut words = part.split_whitespace();
        let forced = words.next() == Some("rm")
            && words.any(|word| word.starts_with('-') && !word.starts_with("--") && word.contains('f'));
        cache_in(part) && !forced
    })
}

/// Whether a text names `.cache` as a whole, or `.cache/pip`; not `.cache/huggingface`.
fn cache_in(text: &str) -> bool {
    text.match_indices(".cache").any(|(at, name)| {
        let after = &text[at + name.len()..];
        let inside =
            |text: &str| text.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
        let whole = match after.strip_prefix('/') {
            Some(below) => below.starts_with("pip") || !inside(below),
            None => !inside(after),
        };
        whole
            && text[..at]
                .chars()
                .next_back()
                .is_none_or(|c| matches!(c, '/' | '"' | '\'' | '=') || c.is_whitespace())
    })
}

/// The one mount at `/`, whole and writable, whose result is output 0.
pub(super) fn root_mount(exec: &pb::ExecOp) -> Option<usize> {
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
pub(super) fn keeps_output(mount: &pb::Mount) -> bool {
    mount.mount_type == pb::MountType::Bind as i32 && mount.output >= 0
}

/// A RUN whose text has none of these words needs no line in the report.
fn mentions_installer(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "conda",
        "easy_install",
        "flit",
        "hatch",
        "mamba",
        "micromamba",
        "pdm",
        "pip",
        "pip-sync",
        "pip3",
        "pipenv",
        "pipx",
        "pixi",
        "poetry",
        "rye",
        "setup.py",
        "uv",
        "uvx",
    ];
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')))
        .any(|word| WORDS.contains(&word) || word.starts_with("pip3."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn exec(args: &[&str], env: &[&str]) -> pb::ExecOp {
        let strings = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        let meta =
            pb::Meta { args: strings(args), env: strings(env), cwd: "/".to_owned(), ..Default::default() };
        let root = pb::Mount { dest: "/".to_owned(), ..Default::default() };
        pb::ExecOp { meta: Some(meta), mounts: vec![root], ..Default::default() }
    }

    fn reason(exec: &pb::ExecOp) -> Option<String> {
        match classify(exec) {
            Err(Stop::Refused(reason)) => Some(reason),
            Err(Stop::Unrelated) => Some("unrelated".to_owned()),
            Err(Stop::Failed(_)) => panic!("nothing is asked of the builder"),
            Ok(_) => None,
        }
    }

    #[test]
    fn a_function_in_the_environment_may_be_what_the_shell_calls() {
        let shell = ["/bin/bash", "-c", "pip install x"];
        let function = "BASH_FUNC_pip%%=() { true; }";
        assert_eq!(reason(&exec(&shell, &[function])).unwrap(), "its environment holds functions of a shell");
        assert_eq!(reason(&exec(&["pip", "install", "x"], &[function])), None);
    }

    #[test]
    fn environments_are_activated_where_the_shell_can() {
        let of = |shell: &str, script: &str| reason(&exec(&[shell, "-c", script], &["PATH=/bin"]));
        for (shell, script) in [
            ("/bin/sh", ". /v/bin/activate && pip install x"),
            ("/bin/bash", "source /v/bin/activate && pip install x"),
            ("/bin/bash", "source v/bin/activate; pip install source"),
            ("/bin/sh", "pip install source"),
        ] {
            assert_eq!(of(shell, script), None, "{script}");
        }
        for (shell, script, why) in [
            ("/bin/sh", "source /v/bin/activate && pip install x", "`source`, which not every shell has"),
            (
                "/bin/bash",
                ". /v/bin/activate && $VIRTUAL_ENV/bin/pip install x",
                "the variable `VIRTUAL_ENV`",
            ),
            ("/bin/bash", ". /v/bin/activate && pip install -r $PATH/x", "the variable `PATH`"),
            ("/bin/bash", ". activate && pip install x", "runs `.` beside"),
            ("/bin/bash", ". /v/bin/activate.sh && pip install x", "runs `.` beside"),
            ("/bin/bash", ". ../v/bin/activate && pip install x", "runs `.` beside"),
            ("/bin/bash", ". /v/bin/activate && deactivate && pip install x", "runs `deactivate` beside"),
            ("/bin/bash", "s'ource' /v/bin/activate && pip install x", "command of the shell itself"),
            ("/bin/bash", "PS1= . /v/bin/activate && pip install x", "assigns a variable"),
        ] {
            let refused = of(shell, script).unwrap_or_default();
            assert!(refused.contains(why), "{script}: {refused}");
        }
    }

    #[test]
    fn secrets_stay_where_they_are() {
        let mut with_file = exec(&["pip", "install", "x"], &[]);
        let mount_type = pb::MountType::Secret as i32;
        with_file.mounts.push(pb::Mount {
            dest: "/etc/pip.conf".to_owned(),
            input: -1,
            mount_type,
            ..Default::default()
        });
        let mut with_env = exec(&["pip", "install", "x"], &[]);
        with_env.secretenv.push(pb::SecretEnv { name: "PIP_INDEX_URL".to_owned(), ..Default::default() });
        for (mut exec, names) in [(with_file, vec![]), (with_env, vec!["PIP_INDEX_URL".to_owned()])] {
            assert_eq!(classify(&exec).ok().unwrap().secrets, Some(names));
            exec.meta.as_mut().unwrap().args =
                ["uv", "pip", "install", "--no-cache", "x"].map(Into::into).to_vec();
            assert_eq!(reason(&exec).unwrap(), "it is given a secret, with uv");
        }
        assert_eq!(classify(&exec(&["pip", "install", "x"], &[])).ok().unwrap().secrets, None);
    }

    #[test]
    fn a_cache_in_an_unusual_place_is_part_of_the_image() {
        type Case<'c> = (&'c [&'c str], &'c [&'c str], Result<bool, ()>);
        let cases: &[Case<'_>] = &[
            (&[], &[], Ok(true)),
            (&["--no-cache-dir"], &[], Ok(false)),
            (&["--cache-dir", "/c"], &[], Err(())),
            (&["--no-cache-dir", "--cache-dir=/c"], &[], Err(())),
            (&["--cache-dir=/c", "--no-cache-dir"], &[], Ok(false)),
            (&[], &["PIP_NO_CACHE_DIR=off"], Ok(false)),
            (&[], &["PIP_NO_CACHE_DIR="], Ok(true)),
            (&[], &["PIP_CACHE_DIR=/c"], Err(())),
            (&[], &["PIP_CACHE_DIR=/c", "PIP_NO_CACHE_DIR=1"], Err(())),
            (&[], &["XDG_CACHE_HOME=/c"], Err(())),
            (&["--no-cache-dir"], &["PIP_CACHE_DIR=/c", "XDG_CACHE_HOME=/c"], Ok(false)),
        ];
        for (options, env, wanted) in cases {
            let args: Vec<&str> = ["pip", "install", "x"].iter().chain(*options).copied().collect();
            let got = classify(&exec(&args, env)).map(|candidate| candidate.leaves_cache).map_err(|_| ());
            assert_eq!(got, *wanted, "{options:?} {env:?}");
        }
        let mut mounted = exec(&["pip", "install", "--cache-dir", "/c/pip", "x"], &[]);
        mounted.mounts.push(pb::Mount {
            dest: "/c".to_owned(),
            mount_type: pb::MountType::Cache as i32,
            ..Default::default()
        });
        assert!(!classify(&mounted).ok().unwrap().leaves_cache);
    }

    #[test]
    fn who_counts_on_the_cache() {
        for text in [
            "cp -r /root/.cache /x",
            "ls ~/.cache/pip",
            "rm -r /root/.cache",
            "true && mv /root/.cache/ /x",
            "rm -rf /x; tar c .cache",
            "cp -r \".cache\" /x",
            "C='.cache'",
        ] {
            assert!(command_names_cache(text), "{text}");
        }
        for text in [
            "rm -rf /root/.cache /tmp/*",
            "true && rm -fr ~/.cache/pip",
            "ls /root/.cache/huggingface",
            "a.cache",
            "/x/.cached",
            "rm -r -f /root/.cache",
        ] {
            assert!(!command_names_cache(text), "{text}");
        }
    }
}
