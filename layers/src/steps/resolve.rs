//! `plinth step resolve`: what a pip command would install in the state before it, by pip's own answer.
//!
//! Runs as the same user, with the same environment, working directory and mounts as the step, on a
//! read-only root. pip is asked by `--dry-run --report`; a small program of ours (`pip/helper.py`) runs it
//! and reports in the same process what else decides the result: interpreter, install scheme,
//! configuration, what is installed already. Anything that is not as the layers model it is a refusal, and
//! a refusal is an answer, not an error.

use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, thread};

use serde::Deserialize;

use crate::facts::fingerprint;
use crate::pip::{
    CacheDir, Launcher, LocalFiles, NotUnderstood, PipCommand, Report, Tool, check_environment,
    find_launcher, read_requirements,
};
use crate::resolution::{Distribution, Interpreter, Outcome, Plan, Removal, Resolution, Scheme};
use crate::steps::mounts;
use crate::steps::probe::write_fixed;
use crate::uv;

/// The program that runs pip.
const HELPER: &str = include_str!("../pip/helper.py");
/// Configuration keys without effect on files, or which the resolver takes into account.
const CONFIG_KEYS: &[&str] = &[
    "break-system-packages",
    "cert",
    "default-timeout",
    "disable-pip-version-check",
    "exists-action",
    "extra-index-url",
    "find-links",
    "index-url",
    "no-cache-dir",
    "no-color",
    "no-deps",
    "no-index",
    "no-input",
    "no-python-version-warning",
    "no-warn-conflicts",
    "no-warn-script-location",
    "only-binary",
    "pre",
    "prefer-binary",
    "progress-bar",
    "proxy",
    "quiet",
    "require-hashes",
    "retries",
    "root-user-action",
    "timeout",
    "trusted-host",
    "upgrade",
    "upgrade-strategy",
    "verbose",
];
/// Bytes of the helper's answer and of pip's report: the latter holds the whole metadata of each wheel.
const MAX_ANSWER: u64 = 256 << 20;

/// The step could not be done at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading or writing files.
    #[error("resolve: {what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// pip itself found no answer, or broke off. Not an answer to keep: the index may be back tomorrow.
    #[error("resolve: {reason}")]
    Unresolved {
        /// pip's last error line, without URLs.
        reason: String,
    },
}

fn io(what: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { what, source }
}

/// What a resolution is asked of: the command and the process state it would run in.
#[derive(Clone, Debug)]
pub struct Context {
    /// The command as the kernel gets it.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// Its working directory, absolute.
    pub cwd: PathBuf,
}

/// Resolves the command in this process's environment, and writes [`Resolution::FILE`] to `out`.
///
/// `cwd` is the working directory of the step, and not of this process: the builder would make it. `globs` are literal beginnings of words that a shell would match against file names: if a file begins like
/// that, the arguments may be others than `argv`.
///
/// # Errors
/// [`Error::Unresolved`] if pip found no answer; otherwise if files can't be written. A command that is not
/// understood is [`Outcome::Refuse`].
pub fn run(globs: &[String], cwd: &Path, argv: &[String], out: &Path) -> Result<(), Error> {
    let mut env = Vec::new();
    let mut resolution = None;
    for (name, value) in std::env::vars_os() {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => env.push((name, value)),
            _ => resolution = Some(refuse(NotUnderstood::new("an environment that is not UTF-8"))),
        }
    }
    let resolution = match resolution {
        Some(resolution) => resolution,
        // A step whose working directory is missing leaves one behind, whatever else it does.
        None if !cwd.is_dir() => refuse(NotUnderstood::new("a working directory that is not there")),
        None => match matched(globs, cwd) {
            Some(reason) => refuse(reason),
            None => resolve(&Context { argv: argv.to_vec(), env, cwd: cwd.to_owned() })?,
        },
    };
    let resolution = match &resolution.outcome {
        Outcome::Assemble(plan) => {
            let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(io("read the mounts"))?;
            mounted(&mounts, &plan.scheme).map_or(resolution, refuse)
        }
        Outcome::Refuse { .. } => resolution,
    };
    let mut text =
        serde_json::to_string_pretty(&resolution).map_err(io::Error::from).map_err(io("encode"))?;
    text.push('\n');
    write_fixed(&out.join(Resolution::FILE), text.as_bytes()).map_err(io("write the resolution"))
}

/// Whether something is mounted over, or in, a place of the install. The frontend compares what is written in the
/// Dockerfile; this sees where it really is, when a link is on the way.
fn mounted(mountinfo: &str, scheme: &Scheme) -> Option<NotUnderstood> {
    let places =
        [&scheme.purelib, &scheme.platlib, &scheme.scripts, &scheme.headers, &scheme.data].map(Path::new);
    // Field 5 of proc_pid_mountinfo(5), where blanks are octal escapes.
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    let points = points.map(|point| point.replace("\\040", " ")).filter(|point| point != "/");
    let covers = |point: &String| {
        let point = Path::new(point);
        places.iter().any(|place| place.starts_with(point) || point.starts_with(place))
    };
    points
        .into_iter()
        .any(|point| covers(&point))
        .then(|| NotUnderstood::new("a mount over the place that it installs to"))
}

/// Whether a file of the working directory could match a word of the command.
fn matched(globs: &[String], cwd: &Path) -> Option<NotUnderstood> {
    if let Some(glob) = globs.iter().find(|glob| glob.contains('/')) {
        return Some(NotUnderstood::new(format!(
            "an unquoted file name pattern in another directory (`{glob}…`)"
        )));
    }
    if globs.is_empty() {
        return None;
    }
    let Ok(entries) = fs::read_dir(cwd) else {
        return Some(NotUnderstood::new(
            "an unquoted file name pattern, and a working directory that can't be read",
        ));
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if let Some(glob) = globs.iter().find(|glob| name.starts_with(glob.as_str())) {
            let what = format!("an unquoted file name pattern (`{glob}…`) that may match a file");
            return Some(NotUnderstood::new(what));
        }
    }
    None
}

/// Resolves a command in a given state.
///
/// # Errors
/// As for [`run`].
pub fn resolve(context: &Context) -> Result<Resolution, Error> {
    match PipCommand::parse(&context.argv) {
        Ok(command) if command.tool == Tool::Uv => return resolve_uv(context, &command),
        _ => {}
    }
    let (command, launcher) = match prepare(context) {
        Ok(prepared) => prepared,
        Err(reason) => return Ok(refuse(reason)),
    };
    // TMPDIR may name a directory of the image, which is read-only here.
    let scratch = match tempfile::tempdir().or_else(|_| tempfile::tempdir_in("/tmp")) {
        Ok(scratch) => scratch,
        Err(_) => return Ok(refuse(NotUnderstood::new("no temporary directory that can be written"))),
    };
    let ran = ask(context, &command, &launcher, scratch.path())?;
    match judge(&command, &launcher, scratch.path(), &ran) {
        Ok(plan) => Ok(Resolution { format: Resolution::FORMAT, outcome: Outcome::Assemble(Box::new(plan)) }),
        Err(NoPlan::NotUnderstood(reason)) => Ok(refuse(reason)),
        Err(NoPlan::Unresolved(reason)) => Err(Error::Unresolved { reason }),
    }
}

/// The same for uv.
fn resolve_uv(context: &Context, command: &PipCommand) -> Result<Resolution, Error> {
    let scratch = match tempfile::tempdir().or_else(|_| tempfile::tempdir_in("/tmp")) {
        Ok(scratch) => scratch,
        Err(_) => return Ok(refuse(NotUnderstood::new("no temporary directory that can be written"))),
    };
    match uv::plan(command, &context.env, &context.cwd, scratch.path()) {
        Ok(plan) => Ok(Resolution { format: Resolution::FORMAT, outcome: Outcome::Assemble(Box::new(plan)) }),
        Err(uv::Problem::NotUnderstood(reason)) => Ok(refuse(reason)),
        Err(problem @ uv::Problem::Unresolved(_)) => Err(Error::Unresolved { reason: problem.to_string() }),
        Err(uv::Problem::Io(error)) => Err(io("ask uv")(error)),
    }
}

fn refuse(reason: NotUnderstood) -> Resolution {
    Resolution { format: Resolution::FORMAT, outcome: Outcome::Refuse { reason: reason.reason } }
}

/// Everything that can be refused without starting an interpreter.
fn prepare(context: &Context) -> Result<(PipCommand, Launcher), NotUnderstood> {
    let command = PipCommand::parse(&context.argv)?;
    check_environment(&context.env)?;
    let set = |name: &str| context.env.iter().find(|(key, value)| key == name && !value.is_empty());
    let caches = command.cache() != CacheDir::None && set("PIP_NO_CACHE_DIR").is_none();
    if caches && set("HOME").is_some_and(|(_, home)| !Path::new(home).is_dir()) {
        // It would be made for the download cache, and stay.
        return Err(NotUnderstood::new("a home directory that is not there"));
    }
    let mut files = LocalFiles { cwd: &context.cwd, env: &context.env };
    let variable = context.env.iter().find(|(name, _)| name == "PIP_CONSTRAINT");
    let from_env = variable.into_iter().flat_map(|(_, files)| files.split_whitespace());
    let constraints = from_env.chain(command.constraint_files.iter().map(String::as_str));
    let requirements = command.requirement_files.iter().map(String::as_str);
    let all = constraints.map(|file| (file, true)).chain(requirements.map(|file| (file, false)));
    let all: Vec<_> = all.map(|(file, constraint)| (file.to_owned(), constraint)).collect();
    read_requirements(&mut files, &all)?;
    let path = context.env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_str());
    let launcher = find_launcher(&command, path.unwrap_or_default())?;
    if launcher.script.is_none() {
        // `-m` looks in the working directory first, until pip takes it off the path.
        if let Ok(entries) = fs::read_dir(&context.cwd) {
            for entry in entries.flatten() {
                if shadows(&entry.file_name().to_string_lossy(), &entry.path()) {
                    return Err(NotUnderstood::new("a module in the working directory that shadows pip"));
                }
            }
        }
    }
    Ok((command, launcher))
}

/// Modules that some Python imports for `-m pip` while the working directory is still on the path.
const IMPORTED_FIRST: &[&str] = &[
    "_collections_abc",
    "_weakrefset",
    "abc",
    "codecs",
    "collections",
    "contextlib",
    "copyreg",
    "enum",
    "functools",
    "genericpath",
    "heapq",
    "importlib",
    "io",
    "itertools",
    "keyword",
    "linecache",
    "operator",
    "os",
    "pkgutil",
    "posixpath",
    "re",
    "reprlib",
    "runpy",
    "sre_compile",
    "sre_constants",
    "sre_parse",
    "stat",
    "string",
    "token",
    "tokenize",
    "traceback",
    "types",
    "typing",
    "warnings",
    "weakref",
    "zipimport",
];

/// Whether a file of this name would be imported in place of one of pip's first modules.
fn shadows(name: &str, path: &Path) -> bool {
    let (stem, ending) = name.split_once('.').unwrap_or((name, ""));
    if stem == "pip" {
        return true;
    }
    let module = match ending.rsplit('.').next() {
        // A directory without it gives way to a module further down the path.
        Some("") => path.join("__init__.py").exists() || path.join("__init__.pyc").exists(),
        Some(last) => matches!(last, "py" | "pyc" | "so"),
        None => false,
    };
    module && IMPORTED_FIRST.contains(&stem)
}

/// How the interpreter ended.
struct Ran {
    ok: bool,
    last_error: Option<String>,
}

fn ask(context: &Context, command: &PipCommand, launcher: &Launcher, scratch: &Path) -> Result<Ran, Error> {
    let program = scratch.join("main.py");
    fs::write(&program, HELPER).map_err(io("write the helper"))?;
    let (general, install) = command.arguments.split_at(command.install_at + 1);
    let mut child = Command::new(&launcher.interpreter);
    child
        .args(&launcher.flags)
        .arg(&program)
        .arg(scratch.join("answer.json"))
        .arg(launcher.script.as_deref().unwrap_or_default())
        .args(general)
        // pip decides on a user install by whether it may write, which it may not here.
        .args(["--no-user", "--dry-run", "--report"])
        .arg(scratch.join("report.json"))
        .args(install)
        .env_clear()
        .envs(context.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&context.cwd)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // Images come without byte code for the standard library, and making it takes longer than resolving.
    if Path::new(mounts::PYCACHE).is_dir() {
        child.env("PYTHONPYCACHEPREFIX", mounts::PYCACHE);
    }
    let mut child = match child.spawn() {
        Ok(child) => child,
        Err(error) => {
            let why = format!("its interpreter can't be started ({})", error.kind());
            return Ok(Ran { ok: false, last_error: Some(why) });
        }
    };
    let out = child.stdout.take().map(|pipe| thread::spawn(move || echo(pipe)));
    let last_error = child.stderr.take().and_then(echo);
    if let Some(out) = out {
        let _ = out.join();
    }
    let status = child.wait().map_err(io("wait for the interpreter"))?;
    Ok(Ran { ok: status.success(), last_error })
}

/// Passes the output on to stderr (stdout may be somebody's data) and keeps the last error line.
fn echo(pipe: impl Read) -> Option<String> {
    let mut last = None;
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    while reader.by_ref().take(1 << 16).read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        let _ = io::stderr().write_all(&line);
        let text = String::from_utf8_lossy(&line);
        if let Some((_, message)) = text.split_once("ERROR: ") {
            last = Some(without_urls(message));
        }
        line.clear();
    }
    last
}

/// One line without URLs, control characters and paths of this run.
fn without_urls(text: &str) -> String {
    let words = text.split_whitespace().filter(|word| !word.contains("://") && !word.contains("/tmp"));
    let line = words.collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}

/// What `pip/helper.py` writes.
#[derive(Deserialize)]
struct Answer {
    code: i64,
    error: Option<String>,
    executable: String,
    implementation: String,
    #[serde(flatten)]
    described: Option<Described>,
    #[serde(flatten)]
    concluded: Option<Concluded>,
}

#[derive(Deserialize)]
struct Described {
    version: String,
    cache_tag: String,
    abi: String,
    magic: String,
    prefix: String,
    optimize: u8,
    stdlib: String,
    umask: u32,
    root: bool,
    pip_version: String,
    pip_directory: String,
    scheme: Scheme,
    real: Scheme,
    sites: Vec<String>,
    customized: Vec<String>,
    externally_managed: bool,
    config: Vec<ConfigItem>,
    netrc: bool,
}

#[derive(Deserialize)]
struct ConfigItem {
    key: String,
    set: bool,
    credentials: bool,
}

#[derive(Deserialize)]
struct Concluded {
    order: Vec<OrderItem>,
    installed: Vec<InstalledItem>,
    satisfied: Vec<String>,
}

#[derive(Deserialize)]
struct OrderItem {
    name: String,
    spelling: String,
    replaces: bool,
}

#[derive(Deserialize)]
struct InstalledItem {
    name: String,
    canonical: String,
    version: String,
    location: String,
    info: String,
    local: bool,
    user: bool,
}

/// Why there is no plan.
enum NoPlan {
    /// It is not as the layers model it. That stays so: an answer.
    NotUnderstood(NotUnderstood),
    /// pip failed.
    Unresolved(String),
}

impl From<NotUnderstood> for NoPlan {
    fn from(reason: NotUnderstood) -> Self {
        Self::NotUnderstood(reason)
    }
}

fn judge(command: &PipCommand, launcher: &Launcher, scratch: &Path, ran: &Ran) -> Result<Plan, NoPlan> {
    let unresolved = || {
        let why = ran.last_error.as_deref().unwrap_or("no reason given");
        NoPlan::Unresolved(format!("pip could not resolve it: {why}"))
    };
    let Some(text) = read_limited(&scratch.join("answer.json")).filter(|_| ran.ok) else {
        return Err(unresolved());
    };
    let answer: Answer = serde_json::from_str(&text).map_err(|_| unresolved())?;
    let Some(described) = answer.described else {
        return Err(NotUnderstood::new("a pip or Python of an unknown kind").into());
    };
    if answer.implementation != "cpython" {
        return Err(NotUnderstood::new("an interpreter other than CPython").into());
    }
    if answer.executable != launcher.interpreter {
        return Err(NotUnderstood::new("an interpreter that is started through another program").into());
    }
    check_state(command, &described)?;
    if answer.error.is_some() {
        return Err(NotUnderstood::new("a pip whose resolver is not known").into());
    }
    let Some(concluded) = answer.concluded.filter(|_| answer.code == 0) else {
        return Err(unresolved());
    };
    let report = read_limited(&scratch.join("report.json"));
    let report = Report::parse(&report.ok_or_else(|| NotUnderstood::new("no report from pip"))?)?;
    let install = in_order(&report, &concluded, &described)?;
    let remove = removals(&concluded, &described)?;
    Ok(Plan {
        installer: "pip".to_owned(),
        installer_version: described.pip_version.clone(),
        interpreter: interpreter(launcher, &described)?,
        scheme: described.scheme,
        install,
        remove,
        satisfied: concluded.satisfied,
        lock: None,
    })
}

fn read_limited(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = fs::File::open(path).ok()?;
    let size = file.take(MAX_ANSWER).read_to_string(&mut text).ok()?;
    ((size as u64) < MAX_ANSWER).then_some(text)
}

/// Refuses states in which pip does something that the layers do not model.
fn check_state(command: &PipCommand, facts: &Described) -> Result<(), NotUnderstood> {
    let refused = |what: &str| Err(NotUnderstood::new(what));
    if !facts.root {
        return refused("an install by a user other than root");
    }
    if facts.umask != 0o022 {
        return refused("an unusual umask");
    }
    if facts.optimize != 0 {
        return refused("an optimising interpreter");
    }
    if facts.version.contains('-') || facts.cache_tag.is_empty() || facts.abi.is_empty() {
        return refused("an unreleased or unusual interpreter");
    }
    if pip_version(&facts.pip_version) < (22, 2) {
        return refused("a pip before 22.2");
    }
    for item in &facts.config {
        let Some((section, key)) = item.key.rsplit_once('.') else {
            return refused("a pip configuration of another form");
        };
        if !matches!(section, "global" | "install" | ":env:") {
            continue;
        }
        if item.credentials {
            return refused("the index needs credentials");
        }
        // The configuration file's own place, and what says no to something.
        // Constraints of the environment were read; those of a file might hold anything. The environment's cache
        // directory was looked at by the frontend; another one is left behind as any file.
        let harmless = (section == ":env:" && matches!(key, "config-file" | "constraint" | "cache-dir"))
            || (key == "cache-dir" && command.cache() == CacheDir::None)
            || (!item.set && matches!(key, "user" | "require-virtualenv"));
        if !harmless && !CONFIG_KEYS.contains(&key) {
            let plain = key.len() < 40 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            let key = if plain { key } else { "of an unusual name" };
            return refused(&format!("pip configuration key {key}"));
        }
    }
    if facts.netrc {
        return refused("a netrc file, so the index may need credentials");
    }
    // Where files and variables disagree, this does not say which of them wins.
    let mut settings = facts.config.iter().filter(|item| item.key.ends_with(".break-system-packages"));
    let first = settings.next();
    let allowed = command.has("--break-system-packages")
        || first.is_some_and(|item| item.set) && settings.all(|item| item.set);
    // pip looks for the marker since 23.0; before, it is not asked for.
    if facts.externally_managed && !allowed && pip_version(&facts.pip_version) >= (23, 0) {
        return refused("an externally managed interpreter");
    }
    if facts.customized.iter().any(|file| Path::new(file).parent() != Some(Path::new(&facts.stdlib))) {
        return refused("a sitecustomize or usercustomize module");
    }
    let ours = [&facts.scheme.purelib, &facts.scheme.platlib].into_iter().chain(&facts.sites);
    if !ours.into_iter().any(|site| *site == facts.pip_directory) {
        return refused("a pip outside of its interpreter's site-packages");
    }
    if facts.scheme.headers.is_empty() || facts.scheme != facts.real {
        return refused("an install prefix that is reached through a symlink");
    }
    let paths = [
        &facts.scheme.purelib,
        &facts.scheme.platlib,
        &facts.scheme.headers,
        &facts.scheme.scripts,
        &facts.scheme.data,
    ];
    if paths.into_iter().any(|path| !path.starts_with('/')) {
        return refused("a relative install prefix");
    }
    Ok(())
}

/// Major and minor.
fn pip_version(version: &str) -> (u32, u32) {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// The report's distributions in the order in which pip would install them.
fn in_order(
    report: &Report,
    concluded: &Concluded,
    facts: &Described,
) -> Result<Vec<Distribution>, NotUnderstood> {
    let origin = pip_version(&facts.pip_version) >= (23, 1);
    let mut found = Vec::new();
    for item in &report.install {
        found.push((canonical(&item.metadata.name), item.distribution(origin)?));
    }
    let mut ordered = Vec::new();
    for item in &concluded.order {
        let Some(at) = found.iter().position(|(name, _)| *name == item.name) else {
            return Err(NotUnderstood::new("a pip report that differs from its resolution"));
        };
        let mut distribution = found.swap_remove(at).1;
        if item.spelling != distribution.name {
            distribution.spelling = Some(item.spelling.clone());
        }
        ordered.push(distribution);
    }
    if !found.is_empty() {
        return Err(NotUnderstood::new("a pip report that differs from its resolution"));
    }
    Ok(ordered)
}

/// Normalised name (PEP 503).
fn canonical(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        let letter = if matches!(letter, '-' | '_' | '.') { '-' } else { letter.to_ascii_lowercase() };
        if letter != '-' || !out.ends_with('-') {
            out.push(letter);
        }
    }
    out
}

/// What pip would uninstall first.
fn removals(concluded: &Concluded, facts: &Described) -> Result<Vec<Removal>, NotUnderstood> {
    let mut removals = Vec::new();
    for item in &concluded.order {
        let mut there = concluded.installed.iter().filter(|dist| dist.canonical == item.name);
        let first = there.next();
        if there.next().is_some() {
            return Err(NotUnderstood::new(format!("{} is installed twice", item.name)));
        }
        let Some(dist) = first else {
            if item.replaces {
                return Err(NotUnderstood::new(format!("{} is replaced but not found", item.name)));
            }
            continue;
        };
        if !item.replaces {
            return Err(NotUnderstood::new(format!("{} would be installed over another", item.name)));
        }
        if !dist.local {
            // pip leaves it where it is.
            continue;
        }
        let understood = dist.info.ends_with(".dist-info")
            && !dist.user
            && dist.location != facts.stdlib
            && Path::new(&dist.info).starts_with(&facts.prefix)
            && fs::canonicalize(&dist.info).is_ok_and(|real| real == Path::new(&dist.info))
            && Path::new(&dist.info).join("RECORD").is_file();
        if !understood {
            return Err(NotUnderstood::new(format!("{} can't be uninstalled by its RECORD", item.name)));
        }
        removals.push(Removal {
            name: dist.name.clone(),
            version: dist.version.clone(),
            dist_info: dist.info.clone(),
        });
    }
    Ok(removals)
}

fn interpreter(launcher: &Launcher, facts: &Described) -> Result<Interpreter, NotUnderstood> {
    let unreadable = || NotUnderstood::new("an interpreter that can't be read");
    let physical = fs::canonicalize(&launcher.interpreter).map_err(|_| unreadable())?;
    let minor = facts.version.rsplit_once('.').map(|(minor, _)| minor.to_owned()).unwrap_or_default();
    let fingerprint = fingerprint(Path::new("/"), &physical, &minor).map_err(|_| unreadable())?;
    Ok(Interpreter {
        executable: launcher.interpreter.clone(),
        physical: physical.to_str().ok_or_else(unreadable)?.to_owned(),
        version: facts.version.clone(),
        cache_tag: facts.cache_tag.clone(),
        abi: facts.abi.clone(),
        magic: facts.magic.clone(),
        fingerprint,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn mounts_are_seen_where_they_really_are() {
        let place = |path: &str| format!("/usr/local{path}");
        let scheme = Scheme {
            purelib: place("/lib/python3.11/site-packages"),
            platlib: place("/lib/python3.11/site-packages"),
            headers: place("/include/python3.11"),
            scripts: place("/bin"),
            data: place(""),
        };
        let line = |point: &str| {
            format!("22 1 0:2 / / rw - overlay overlay rw\n36 22 0:32 /x {point} ro - ext4 /dev/x rw\n")
        };
        for point in
            ["/usr", "/usr/local", "/usr/local/lib/python3.11/site-packages", "/usr/local/share/a\\040b"]
        {
            assert!(mounted(&line(point), &scheme).is_some(), "{point}");
        }
        for point in ["/proc", "/usr/lib", "/usr/locale", "/.plinth/tmp", "/root/.cache"] {
            assert_eq!(mounted(&line(point), &scheme), None, "{point}");
        }
    }

    #[test]
    fn modules_of_an_application_shadow_those_of_the_library() {
        let cwd = tempfile::tempdir().unwrap();
        for directory in ["enum", "collections", "app"] {
            fs::create_dir(cwd.path().join(directory)).unwrap();
        }
        fs::write(cwd.path().join("enum/__init__.py"), "").unwrap();
        let seen = |name: &str| shadows(name, &cwd.path().join(name));
        for name in [
            "typing.py",
            "types.cpython-311.pyc",
            "re.cpython-311-x86_64-linux-gnu.so",
            "enum",
            "pip",
            "pip.py",
        ] {
            assert!(seen(name), "{name}");
        }
        for name in
            ["typing.txt", "types.py.orig", "main.py", "collections", "app", "typing_extra.py", ".re.py"]
        {
            assert!(!seen(name), "{name}");
        }
    }

    #[test]
    fn names_are_normalised_as_pep_503_says() {
        assert_eq!(canonical("Foo__Bar.-baz"), "foo-bar-baz");
    }

    #[test]
    fn an_error_line_loses_urls_and_control_characters() {
        let line = "Could not find \u{1b}[31mx (from https://u:p@h/simple)  in /tmp/abc\n";
        assert_eq!(without_urls(line), "Could not find [31mx (from in");
    }
}
