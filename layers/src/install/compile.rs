//! Byte code, made by the interpreter that will run it.
//!
//! One process per wheel, with a fixed hash seed and a sorted list: what a process compiled before can show in
//! the bytes of what it compiles next.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::resolution::Interpreter;
use crate::steps::mounts;

/// One file to compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The file, with its final time set: byte code records it.
    pub source: PathBuf,
    /// The path that byte code records and tracebacks show.
    pub shown: String,
    /// Where the byte code is written.
    pub target: PathBuf,
}

/// Compiling could not be done, as opposed to a file that has a syntax error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The interpreter could not be run, or failed.
    #[error("the interpreter {path} cannot compile: {why}")]
    Run {
        /// Its path.
        path: String,
        /// What happened, with the end of its error output.
        why: String,
    },
    /// Another interpreter than the one the layer is for.
    #[error("the interpreter {path} has {field} {found:?}, but byte code is needed for {expected:?}")]
    Interpreter {
        /// Its path.
        path: String,
        /// `version`, `cache_tag`, `abi` or `magic`.
        field: &'static str,
        /// Of the specification.
        expected: String,
        /// Of the interpreter.
        found: String,
    },
    /// A path cannot be handed over.
    #[error("the path {0:?} is not UTF-8")]
    Path(PathBuf),
}

#[derive(Serialize)]
struct Request<'a> {
    expect: Facts<&'a str>,
    files: Vec<(&'a str, &'a str, &'a str)>,
}

#[derive(Serialize, Deserialize)]
struct Facts<S> {
    version: S,
    cache_tag: S,
    abi: S,
    magic: S,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(flatten)]
    facts: Facts<String>,
    compiled: Vec<usize>,
}

/// Compiles and says for each job whether there is byte code now. Files that do not compile are left out, as
/// installers do. The interpreter is checked even if there is nothing to compile.
///
/// # Errors
/// See [`CompileError`].
pub fn compile(interpreter: &Interpreter, jobs: &[Job]) -> Result<Vec<bool>, CompileError> {
    let text = |p: &'_ Path| p.to_str().map(str::to_owned).ok_or_else(|| CompileError::Path(p.to_owned()));
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by(|a, b| jobs[*a].shown.cmp(&jobs[*b].shown));
    let mut paths = Vec::with_capacity(jobs.len());
    for index in &order {
        paths.push((text(&jobs[*index].source)?, text(&jobs[*index].target)?));
    }
    let request = Request {
        expect: Facts {
            version: &interpreter.version,
            cache_tag: &interpreter.cache_tag,
            abi: &interpreter.abi,
            magic: &interpreter.magic,
        },
        files: order
            .iter()
            .zip(&paths)
            .map(|(i, (source, target))| (source.as_str(), jobs[*i].shown.as_str(), target.as_str()))
            .collect(),
    };
    let answer = run(&interpreter.physical, &request)?;
    let found = &answer.facts;
    for (field, expected, found) in [
        ("version", &interpreter.version, &found.version),
        ("cache_tag", &interpreter.cache_tag, &found.cache_tag),
        ("abi", &interpreter.abi, &found.abi),
        ("magic", &interpreter.magic, &found.magic),
    ] {
        if expected != found {
            return Err(CompileError::Interpreter {
                path: interpreter.physical.clone(),
                field,
                expected: expected.clone(),
                found: found.clone(),
            });
        }
    }
    let mut out = vec![false; jobs.len()];
    for number in answer.compiled {
        if let Some(done) = order.get(number).and_then(|i| out.get_mut(*i)) {
            *done = true;
        }
    }
    Ok(out)
}

fn run(path: &str, request: &Request<'_>) -> Result<Answer, CompileError> {
    let failed = |why: String| CompileError::Run { path: path.to_owned(), why };
    let input = serde_json::to_vec(request).map_err(|e| failed(e.to_string()))?;
    let mut command = Command::new(path);
    // Warm byte code of the interpreter's own modules: it starts sooner and compiles the same.
    if Path::new(mounts::PYCACHE).is_dir() {
        command.arg("-X").arg(format!("pycache_prefix={}", mounts::PYCACHE));
    }
    let mut child = command
        // Not -I or -E: they would also ignore the hash seed.
        .args(["-S", "-s", "-B", "-c", include_str!("compile.py")])
        .env_clear()
        .env("PYTHONHASHSEED", "0")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUTF8", "1")
        .env("LC_ALL", "C.UTF-8")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| failed(e.to_string()))?;
    let errors = child.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut errors) = errors {
            // Best effort: it only ends up in a message.
            let _ = errors.read_to_end(&mut text);
        }
        text
    });
    let written = match child.stdin.take() {
        Some(mut stdin) => stdin.write_all(&input),
        None => Ok(()),
    };
    let output = child.wait_with_output().map_err(|e| failed(e.to_string()))?;
    let errors = reader.join().unwrap_or_default();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&errors).into_owned();
        let tail: Vec<&str> = errors.lines().rev().take(5).collect();
        let tail = tail.into_iter().rev().collect::<Vec<_>>().join("; ");
        return Err(failed(format!("{}: {tail}", output.status)));
    }
    written.map_err(|e| failed(e.to_string()))?;
    serde_json::from_slice(&output.stdout).map_err(|e| failed(format!("unexpected answer: {e}")))
}
