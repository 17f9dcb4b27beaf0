//! Runs uv in the state before a step, on a read-only root, and makes a plan of its answer.
//!
//! Three programs: uv's dry run (what, and which wheel), uv's own lock of exactly those versions (where, and which
//! checksum), and the interpreter that uv found (install scheme). Each must agree with the others, and the scheme with
//! what uv noted of the interpreter in its cache; else the step is not understood. The cache is empty and our own. With
//! stand-ins of the fleet's lock, that lock says where wheels are, in place of the second program.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::answer::{Answer, Change};
use super::{is_known, parse_pylock, state};
use crate::described::Python;
use crate::pip::{
    LocalFiles, NotUnderstood, PipCommand, Program, check_environment, names_local_wheel, read_requirements,
};
use crate::resolution::{Distribution, LeftFile, Plan, Scheme};
use crate::said::in_one_line;

/// The program that describes an interpreter.
const HELPER: &str = include_str!("helper.py");
/// Bytes of a program's output that are read.
const MAX_OUTPUT: u64 = 256 << 20;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The step runs as written. That stays so: an answer.
    #[error(transparent)]
    NotUnderstood(#[from] NotUnderstood),
    /// uv found no answer.
    #[error("uv could not resolve it: {0}")]
    Unresolved(String),
    /// Reading or writing files.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

fn refused<T>(reason: &str) -> Result<T, Problem> {
    Err(NotUnderstood::new(reason).into())
}

#[derive(Deserialize)]
struct Described {
    executable: String,
    implementation: String,
    #[serde(flatten)]
    python: Python,
    prefix: String,
    #[serde(rename = "virtual")]
    is_virtual: bool,
    umask: u32,
    root: bool,
    machine: String,
    /// `glibc X.Y`, if it is that.
    libc: Option<String>,
    scheme: Scheme,
    real: Scheme,
}

/// What uv is given beside the step's own.
#[derive(Clone, Copy, Default)]
pub struct Given<'a> {
    /// Constraints in a file.
    pub constraints: Option<&'a Path>,
    /// What takes the place of every index.
    pub wheels: Option<Wheels<'a>>,
}

/// Stand-ins of wheels, of which there is one version each: with these, no index is asked.
#[derive(Clone, Copy)]
pub struct Wheels<'a> {
    /// They are in this directory.
    pub directory: &'a Path,
    /// By file name: address and SHA-256 of the wheel.
    pub known: &'a BTreeMap<String, (String, String)>,
    /// The machine (`uname -m`) that they are for.
    pub machine: &'a str,
    /// The glibc that they are for, `X.Y`.
    pub glibc: &'a str,
}

/// One run's directories and environment.
struct Run<'a> {
    uv: PathBuf,
    cwd: &'a Path,
    env: Vec<(&'a str, &'a str)>,
    cache: PathBuf,
    tmp: PathBuf,
}

/// What a uv command, already parsed, would install in this file system, if it were given this as well. `scratch` is a
/// directory without `cache`, `tmp`, `pins.in` and `describe.py`. With [`Given::wheels`], "no answer"
/// ([`Problem::Unresolved`]) is only that these don't give one.
///
/// # Errors
/// See [`Problem`].
pub fn plan(
    command: &PipCommand,
    env: &[(String, String)],
    cwd: &Path,
    scratch: &Path,
    given: Given<'_>,
) -> Result<Plan, Problem> {
    check_environment(env)?;
    state::check_options(command, env)?;
    check_requirements(command, env, cwd)?;
    let get = |name: &str| env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    state::check_files(cwd, Path::new(get("HOME").unwrap_or("/root")))?;
    const OURS: &[&str] =
        &["UV_NO_CACHE", "UV_CACHE_DIR", "RUST_LOG", "TMPDIR", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"];
    let run = Run {
        uv: find(command, get("PATH").unwrap_or_default())?,
        cwd,
        env: env.iter().map(|(k, v)| (k.as_str(), v.as_str())).filter(|(k, _)| !OURS.contains(k)).collect(),
        cache: scratch.join("cache"),
        tmp: scratch.join("tmp"),
    };
    fs::create_dir(&run.tmp)?;
    let (_, log) = run.uv(&dry_run(command, given), given.wheels.is_none())?;
    // What a stand-in doesn't say that it has, the wheel may have.
    if given.wheels.is_some() && log.contains("does not have an extra named") {
        return Err(Problem::Unresolved("an extra that the lock doesn't have".to_owned()));
    }
    let answer = Answer::parse(&log)?;
    if !is_known(&answer.uv) {
        return refused(&format!("what uv {} leaves behind is not known", answer.uv));
    }
    let described = describe(&run, &answer.python, scratch)?;
    check_described(&run, &answer, &described)?;
    if let Some(Wheels { machine, glibc, .. }) = given.wheels
        && (described.machine != machine || described.libc != Some(format!("glibc {glibc}")))
    {
        return Err(Problem::Unresolved("wheels for another platform".to_owned()));
    }
    let lock = lock_file(&run, &described)?;
    let mut wanted = Vec::new();
    for change in &answer.changes {
        match change {
            Change::Install { name, version, filename } => wanted.push((name, version, filename)),
            Change::Remove { name, .. } => return refused(&format!("an uninstall by uv: {name}")),
        }
    }
    if wanted.is_empty() && lock.is_some() {
        return refused("uv has nothing to install and would leave a lock file");
    }
    let located = match given.wheels {
        _ if wanted.is_empty() => Vec::new(),
        Some(wheels) => wanted.iter().map(|wanted| known(wheels, wanted)).collect::<Result<_, _>>()?,
        None => locate(&run, command, &described, &wanted, scratch)?,
    };
    let install = wanted.iter().zip(located).map(|(wanted, found)| distribution(wanted, found)).collect();
    Ok(Plan {
        installer: "uv".to_owned(),
        installer_version: answer.uv.clone(),
        interpreter: described.python.interpreter(&described.executable)?,
        scheme: described.scheme,
        install,
        remove: Vec::new(),
        satisfied: Vec::new(),
        left: lock.into_iter().collect(),
        fetch_with: Vec::new(),
        locked: None,
        compiler: None,
    })
}

/// What is in files, read as pip reads them. uv itself reads them too; this only looks for what can't be assembled.
fn check_requirements(command: &PipCommand, env: &[(String, String)], cwd: &Path) -> Result<(), Problem> {
    let constraints = command.constraint_files.iter().map(|file| (file.clone(), true));
    let all: Vec<_> =
        constraints.chain(command.requirement_files.iter().map(|file| (file.clone(), false))).collect();
    for (file, _) in &all {
        let lower = file.to_ascii_lowercase();
        if [".toml", ".py", ".cfg", ".lock", ".pylock"].iter().any(|end| lower.ends_with(end)) {
            return refused("a requirements file of another kind");
        }
    }
    let found = read_requirements(&mut LocalFiles { cwd, env }, &all)?;
    if found.hashes {
        return refused("hashes checked by uv");
    }
    if found.requirements.iter().chain(&found.constraints).any(|text| names_local_wheel(text)) {
        return refused("a requirement by local path, with uv");
    }
    if found.by_url {
        return refused("a requirements file by URL, with uv");
    }
    if let Some(option) = found.options.first() {
        return refused(&format!("{option} in a requirements file, with uv"));
    }
    Ok(())
}

/// The first executable file of that name in PATH. It must be a program and no script around one.
fn find(command: &PipCommand, path: &str) -> Result<PathBuf, Problem> {
    let Program::Script(name) = &command.program else { return refused("uv as a module") };
    let candidates: Vec<PathBuf> = if name.starts_with('/') {
        vec![name.into()]
    } else {
        path.split(':').map(|directory| Path::new(directory).join(name)).collect()
    };
    let program = candidates
        .into_iter()
        .find(|p| fs::metadata(p).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0))
        .filter(|p| p.is_absolute());
    let Some(program) = program else { return refused("a program that is not in PATH") };
    let mut magic = [0; 4];
    match fs::File::open(&program).and_then(|mut file| file.read_exact(&mut magic)) {
        Ok(()) if magic == *b"\x7fELF" => Ok(program),
        _ => refused("a uv that is not the program itself"),
    }
}

/// The arguments of the dry run: what the step gives, without what is about output and cache.
fn dry_run(command: &PipCommand, given: Given<'_>) -> Vec<String> {
    let mut args: Vec<String> =
        ["pip", "install", "--dry-run", "--verbose", "--no-progress", "--color", "never"]
            .map(String::from)
            .into();
    for (name, value) in &command.options {
        match *name {
            "--no-cache" | "--cache-dir" | "--quiet" | "--verbose" | "--no-progress" | "--link-mode" => {
                continue;
            }
            "--requirement" => args.push("-r".into()),
            "--constraint" => args.push("-c".into()),
            name => args.push(name.into()),
        }
        args.extend(value.clone());
    }
    if let Some(file) = given.constraints {
        args.extend(["-c".to_owned(), file.to_string_lossy().into_owned()]);
    }
    if let Some(wheels) = given.wheels {
        let directory = wheels.directory.to_string_lossy().into_owned();
        args.extend(["--no-index".to_owned(), "--find-links".to_owned(), directory]);
    }
    args.push("--".into());
    args.extend(command.requirements.iter().cloned());
    args
}

impl Run<'_> {
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.env.iter().copied()).current_dir(self.cwd);
        command.env("UV_CACHE_DIR", &self.cache).env("TMPDIR", &self.tmp).env("NO_COLOR", "1");
        command.stdin(Stdio::null());
        command
    }

    /// Standard output and error of uv; `loud`: what people should see of it is passed on.
    fn uv(&self, args: &[String], loud: bool) -> Result<(String, String), Problem> {
        let output = match self.command(&self.uv).args(args).output() {
            Ok(output) => output,
            Err(error) => return Err(Problem::Unresolved(format!("it can't be started ({})", error.kind()))),
        };
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        let debug = ["DEBUG ", "  Installed: ", "  Requested: "];
        for line in log.lines().filter(|line| loud && !debug.iter().any(|start| line.starts_with(start))) {
            let _ = writeln!(std::io::stderr(), "{line}");
        }
        if !output.status.success() {
            let line = log.lines().find_map(|line| line.strip_prefix("error: ")).unwrap_or("no reason given");
            return Err(Problem::Unresolved(in_one_line(line)));
        }
        Ok((String::from_utf8_lossy(&output.stdout).into_owned(), log))
    }
}

fn describe(run: &Run<'_>, python: &str, scratch: &Path) -> Result<Described, Problem> {
    if !python.starts_with('/') {
        return refused("an interpreter by a relative path");
    }
    let helper = scratch.join("describe.py");
    fs::write(&helper, HELPER)?;
    let output = run.command(Path::new(python)).args(["-I", "-B"]).arg(&helper).output()?;
    match serde_json::from_slice(&output.stdout) {
        Ok(described) if output.status.success() => Ok(described),
        _ => refused("an interpreter of an unknown kind"),
    }
}

fn check_described(run: &Run<'_>, answer: &Answer, facts: &Described) -> Result<(), Problem> {
    if facts.executable != answer.python {
        return refused("an interpreter that is started through another program");
    }
    if facts.implementation != "cpython" {
        return refused("an interpreter other than CPython");
    }
    if !facts.python.is_usual() {
        return refused("an unreleased or unusual interpreter");
    }
    if !facts.root {
        return refused("an install by a user other than root");
    }
    if facts.umask != 0o022 {
        return refused("an unusual umask");
    }
    if facts.scheme != facts.real {
        return refused("an install prefix that is reached through a symlink");
    }
    if !super::files::fits(&facts.executable) {
        return refused("an interpreter with a long or unusual path");
    }
    // uv keeps what it knows of an interpreter as MessagePack: the scheme as a list of five texts.
    let s = &facts.scheme;
    let mut scheme = vec![0x95];
    for path in [&s.purelib, &s.platlib, &s.scripts, &s.data, &s.headers] {
        scheme.extend(packed(path));
    }
    let executable = packed(&facts.executable);
    let mut same = false;
    for file in interpreters(&run.cache)? {
        let bytes = read(&file)?;
        let has = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        same |= has(&scheme) && has(&executable);
    }
    if !same {
        return refused("an install scheme that uv sees in another way");
    }
    Ok(())
}

/// A text in MessagePack.
fn packed(text: &str) -> Vec<u8> {
    let mut out = match text.len() {
        short @ 0..32 => vec![0xa0 | u8::try_from(short).unwrap_or_default()],
        long => match u8::try_from(long) {
            Ok(long) => vec![0xd9, long],
            Err(_) => [&[0xda][..], &u16::try_from(long).unwrap_or(u16::MAX).to_be_bytes()].concat(),
        },
    };
    out.extend_from_slice(text.as_bytes());
    out
}

/// Files of uv's cache that describe interpreters.
fn interpreters(cache: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for bucket in fs::read_dir(cache)?.flatten() {
        if !bucket.file_name().to_string_lossy().starts_with("interpreter-v") {
            continue;
        }
        for directory in fs::read_dir(bucket.path())?.flatten() {
            for file in fs::read_dir(directory.path())?.flatten() {
                found.push(file.path());
            }
        }
    }
    Ok(found)
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_OUTPUT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The lock file that uv would leave, if it isn't there yet: in a virtual environment's directory, or in `/tmp` under
/// a name that the dry run has just used. Its mode differs from release to release, and is that of every lock of uv's.
fn lock_file(run: &Run<'_>, facts: &Described) -> Result<Option<LeftFile>, Problem> {
    let mode = |path: &Path| fs::metadata(path).map(|meta| meta.permissions().mode() & 0o7777);
    let path = if facts.is_virtual {
        format!("{}/.lock", facts.prefix)
    } else {
        let names: Vec<String> = fs::read_dir(&run.tmp)?
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        let mut locks = names.iter().filter(|name| name.starts_with("uv-") && name.ends_with(".lock"));
        match (locks.next(), locks.next()) {
            (Some(name), None) if Path::new("/tmp").is_dir() => format!("/tmp/{name}"),
            _ => return refused("a uv that locks in another way"),
        }
    };
    let mode = match mode(&run.cache.join(".lock")) {
        Ok(mode @ (0o666 | 0o777)) => mode,
        _ => return refused("a uv that locks in another way"),
    };
    match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(Some(LeftFile { path, mode, content: String::new() }))
        }
        Ok(meta) if meta.is_file() && meta.len() == 0 && meta.permissions().mode() & 0o7777 == mode => {
            Ok(None)
        }
        _ => refused("a lock file of uv of an unusual form"),
    }
}

/// A wheel as the dry run names it: normalised name, version, file name.
type Wanted<'a> = (&'a String, &'a String, &'a String);

fn distribution((name, version, filename): &Wanted<'_>, (url, sha256): (String, String)) -> Distribution {
    Distribution {
        name: (*name).clone(),
        version: (*version).clone(),
        filename: (*filename).clone(),
        url,
        sha256,
        // uv marks whatever it installs.
        requested: true,
        direct_url: None,
        // uv names the directory of headers by the normalised name.
        spelling: None,
    }
}

/// Address and checksum of what a stand-in stands for.
fn known(wheels: Wheels<'_>, (name, _, filename): &Wanted<'_>) -> Result<(String, String), Problem> {
    match wheels.known.get(*filename) {
        Some(found) => Ok(found.clone()),
        None => refused(&format!("a wheel that isn't from the lock: {name}")),
    }
}

/// Addresses and checksums of the wheels of the answer, in its order.
fn locate(
    run: &Run<'_>,
    command: &PipCommand,
    facts: &Described,
    wanted: &[Wanted<'_>],
    scratch: &Path,
) -> Result<Vec<(String, String)>, Problem> {
    let pins = scratch.join("pins.in");
    let lines: Vec<String> = wanted.iter().map(|(name, version, _)| format!("{name}=={version}\n")).collect();
    fs::write(&pins, lines.concat())?;
    let mut args: Vec<String> =
        ["pip", "compile", "--no-deps", "--quiet", "--no-progress", "--color", "never"]
            .map(String::from)
            .into();
    args.extend(["--format", "pylock.toml", "--python", &facts.executable].map(String::from));
    for (name, value) in &command.options {
        if matches!(*name, "--index-url" | "--extra-index-url" | "--index" | "--default-index") {
            args.push((*name).to_owned());
            args.extend(value.clone());
        }
    }
    args.push(pins.to_string_lossy().into_owned());
    let (text, _) = run.uv(&args, true)?;
    let locked = parse_pylock(&text)?;
    let mut located = Vec::new();
    for (name, version, filename) in wanted {
        let mut same =
            locked.iter().filter(|w| w.name == **name && w.version == **version && w.filename == **filename);
        let (Some(wheel), None) = (same.next(), same.next()) else {
            return refused(&format!("a wheel that uv does not lock as it selects it: {name}"));
        };
        located.push((wheel.url.clone(), wheel.sha256.clone()));
    }
    Ok(located)
}
