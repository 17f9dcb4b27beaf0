//! Byte code, made by the interpreter that will run it.
//!
//! What a process compiled before can show in the bytes of what it compiles next: which strings it holds decides
//! whether they are marked as shared. So a process has a fixed hash seed and a sorted list, and which files share
//! a process follows from the wheel alone. How many processes run at once depends on the machine, and shows nowhere.

use std::io::Write;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::resolution::Interpreter;
use crate::steps::mounts;

/// Source bytes per process: about a second of work. A new process costs a hundredth of that, or a twentieth with
/// sources so large that most of it is getting memory. Another value is other byte code, and so another
/// [`LAYOUT`](crate::tree::LAYOUT).
const CHUNK: u64 = 8 << 20;

/// What a file counts at least, in source bytes: an empty one takes time too.
const FILE: u64 = 1 << 10;

/// Most processes at once, whatever the machine has: other payloads are made at the same time.
const AT_ONCE: usize = 8;

/// The program that compiles.
const COMPILE: &str = include_str!("compile.py");

/// One file to compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The file, with its final time set: byte code records it.
    pub source: PathBuf,
    /// Its size in bytes, as the wheel has it: decides which files share a process.
    pub size: u64,
    /// The path that byte code records and tracebacks show.
    pub shown: String,
    /// Where the byte code is written: nothing is there yet, and of its directories only the last may be missing.
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
    #[error("the path {0:?} is not UTF-8, or has a NUL in it")]
    Path(PathBuf),
}

/// How many processes may run at once here.
#[must_use]
pub fn at_once() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get).min(AT_ONCE)
}

/// Compiles with up to `at_once` processes at once, and says for each job whether there is byte code now. Files that
/// do not compile are left out, as installers do. The interpreter is checked even if there is nothing to compile.
///
/// # Errors
/// See [`CompileError`].
pub fn compile(interpreter: &Interpreter, jobs: &[Job], at_once: usize) -> Result<Vec<bool>, CompileError> {
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by(|a, b| jobs[*a].shown.cmp(&jobs[*b].shown));
    let chunks = cut(&order, |i| jobs[*i].size, CHUNK);
    let run = |chunk: &&[usize]| compile_chunk(interpreter, chunk.iter().map(|i| &jobs[*i]));
    let mut compiled = Vec::with_capacity(jobs.len());
    for done in in_order(&chunks, at_once, run) {
        compiled.extend(done?);
    }
    let mut out = vec![false; jobs.len()];
    for (i, done) in order.iter().zip(compiled) {
        out[*i] = done;
    }
    Ok(out)
}

/// Cuts a list into pieces of at most `limit`, or of one item; at least one piece.
fn cut<T>(items: &[T], size: impl Fn(&T) -> u64, limit: u64) -> Vec<&[T]> {
    let mut out = Vec::new();
    let (mut start, mut sum) = (0, 0_u64);
    for (i, item) in items.iter().enumerate() {
        let size = size(item).max(FILE);
        if i > start && sum.saturating_add(size) > limit {
            out.push(&items[start..i]);
            (start, sum) = (i, 0);
        }
        sum = sum.saturating_add(size);
    }
    out.push(&items[start..]);
    out
}

/// Does `work` for each item, some at once; the results are in the order of the items.
pub(crate) fn in_order<T: Sync, R: Send>(
    items: &[T],
    at_once: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut results = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(i) else { return results };
            results.push((i, work(item)));
        }
    };
    let mut results = std::thread::scope(|scope| {
        let others: Vec<_> = (1..at_once.min(items.len())).map(|_| scope.spawn(worker)).collect();
        let mut results = worker();
        for other in others {
            results.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        results
    });
    results.sort_by_key(|(i, _)| *i);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Compiles in one process, and says for each job whether there is byte code now.
fn compile_chunk<'a>(
    interpreter: &Interpreter,
    jobs: impl ExactSizeIterator<Item = &'a Job>,
) -> Result<Vec<bool>, CompileError> {
    let facts = [
        ("version", &interpreter.version),
        ("cache_tag", &interpreter.cache_tag),
        ("abi", &interpreter.abi),
        ("magic", &interpreter.magic),
    ];
    let count = jobs.len();
    let mut words: Vec<&str> = facts.iter().map(|(_, expected)| expected.as_str()).collect();
    for job in jobs {
        for path in [job.source.as_path(), Path::new(&job.shown), job.target.as_path()] {
            let text = path.to_str().filter(|text| !text.contains('\0'));
            words.push(text.ok_or_else(|| CompileError::Path(path.to_owned()))?);
        }
    }
    let answer = run(&interpreter.physical, COMPILE, words.join("\0").as_bytes())?;
    let mut answer = answer.split('\0');
    for (field, expected) in facts {
        let found = answer.next().unwrap_or_default();
        if found != expected {
            return Err(CompileError::Interpreter {
                path: interpreter.physical.clone(),
                field,
                expected: expected.clone(),
                found: found.to_owned(),
            });
        }
    }
    let done: Option<Vec<bool>> = answer
        .map(|word| match word {
            "1" => Some(true),
            "0" => Some(false),
            _ => None,
        })
        .collect();
    done.filter(|done| done.len() == count).ok_or_else(|| CompileError::Run {
        path: interpreter.physical.clone(),
        why: "it answered something else than asked".to_owned(),
    })
}

/// The interpreter at `path`, as it describes itself, [`Interpreter::fingerprint`] left empty.
///
/// # Errors
/// [`CompileError::Run`].
pub fn ask(path: &str) -> Result<Interpreter, CompileError> {
    // Of an interpreter that is none of these.
    let answer = run(path, COMPILE, b"\0\0\0")?;
    let [version, cache_tag, abi, magic] = answer.split('\0').collect::<Vec<_>>()[..] else {
        let why = "it answered something else than asked".to_owned();
        return Err(CompileError::Run { path: path.to_owned(), why });
    };
    Ok(Interpreter {
        executable: path.to_owned(),
        physical: path.to_owned(),
        version: version.to_owned(),
        cache_tag: cache_tag.to_owned(),
        abi: abi.to_owned(),
        magic: magic.to_owned(),
        fingerprint: String::new(),
    })
}

/// Runs a program with an interpreter, and gives its answer.
pub(crate) fn run(path: &str, program: &str, request: &[u8]) -> Result<String, CompileError> {
    let failed = |why: String| CompileError::Run { path: path.to_owned(), why };
    let mut command = Command::new(path);
    // Warm byte code of the interpreter's own modules: it starts sooner and compiles the same.
    if Path::new(mounts::PYCACHE).is_dir() {
        command.arg("-X").arg(format!("pycache_prefix={}", mounts::PYCACHE));
    }
    let mut child = command
        // Not -I or -E: they would also ignore the hash seed.
        .args(["-S", "-s", "-B", "-c", program])
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
    let stdin = child.stdin.take();
    // Written and read at the same time: who knows what a broken interpreter says before it listens.
    let (written, output) = std::thread::scope(|scope| {
        let writer = scope.spawn(move || stdin.map_or(Ok(()), |mut stdin| stdin.write_all(request)));
        let output = child.wait_with_output();
        let written =
            writer.join().unwrap_or_else(|_| Err(std::io::Error::other("the request was not sent")));
        (written, output)
    });
    let output = output.map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        return Err(failed(format!("{}: {}", output.status, end_of_errors(&output))));
    }
    written.map_err(|e| failed(e.to_string()))?;
    String::from_utf8(output.stdout).map_err(|e| failed(format!("unexpected answer: {e}")))
}

/// The last lines of what it said on standard error.
fn end_of_errors(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    let mut tail: Vec<&str> = errors.lines().rev().take(5).collect();
    tail.reverse();
    tail.join("; ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_cut_follows_from_the_sizes() {
        let sizes = |limit: u64, sizes: &[u64]| -> Vec<usize> {
            cut(sizes, |size| *size * FILE, limit * FILE).iter().map(|piece| piece.len()).collect()
        };
        assert_eq!(sizes(4, &[]), [0]);
        assert_eq!(sizes(4, &[9]), [1]);
        assert_eq!(sizes(4, &[1, 3, 1, 9, 9, 2, 2]), [2, 1, 1, 1, 2]);
        assert_eq!(sizes(4, &[0, 0, 0, 0, 0]), [4, 1]);
        assert_eq!(cut(&[u64::MAX, 1, u64::MAX], |size| *size, 5).len(), 3);
    }

    #[test]
    fn results_are_in_order_however_many_run_at_once() {
        let items: Vec<u64> = (0..20).collect();
        for at_once in [0, 1, 3, 50] {
            let done = in_order(&items, at_once, |i| {
                std::thread::sleep(std::time::Duration::from_millis((20 - i) % 3));
                i * 2
            });
            assert_eq!(done, items.iter().map(|i| i * 2).collect::<Vec<_>>());
        }
        assert!(in_order(&[], 2, |i: &u64| *i).is_empty());
    }
}
