//! Byte code, made again for a layer and compared with what the step left.

use std::collections::HashMap;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::Error;
use super::header::{self, Header};
use crate::facts::{RootFs, find_pythons};
use crate::install::compile::{self, CompileError, Job, ask};
use crate::resolution::Interpreter;
use crate::tree::fs::{Context as _, IoError, inside};
use crate::wheel::name;

/// A source with byte code.
#[derive(Clone, Debug)]
pub(super) struct Code {
    /// Absolute path of the source.
    pub(super) source: String,
    /// Its bytes.
    pub(super) size: u64,
    /// Absolute path of the byte code.
    pub(super) pyc: String,
}

/// The interpreters of the state after a step. They run in it: its root is the root of this process.
pub(super) struct Interpreters<'a> {
    after: &'a Path,
    /// PATH of the step.
    path_env: &'a str,
    known: Mutex<HashMap<PathBuf, Option<Interpreter>>>,
}

impl<'a> Interpreters<'a> {
    pub(super) fn new(after: &'a Path, path_env: &'a str) -> Self {
        Self { after, path_env, known: Mutex::default() }
    }

    /// Compiles sources that are in `tree` already, to where their byte code goes there. Says of each whether it is the
    /// same code as in the state after the step, and valid there. `lib` is the directory that they were installed to.
    ///
    /// # Errors
    /// If the file system or an interpreter fails.
    pub(super) fn compile(
        &self,
        lib: &str,
        codes: &[Code],
        tree: &Path,
    ) -> Result<(Interpreter, Vec<bool>), Error> {
        let Some(interpreter) = codes.first().and_then(|code| self.find(lib, code)) else {
            return Ok((Interpreter::default(), vec![false; codes.len()]));
        };
        let mut valid = Vec::new();
        for code in codes {
            valid.push(self.is_valid(code, &interpreter)?);
        }
        let shown = |code: &Code| format!("{lib}/{}", name::relative(&code.source, lib));
        let jobs: Vec<Job> = codes
            .iter()
            .map(|code| Job {
                source: inside(tree, &code.source),
                size: code.size,
                shown: shown(code),
                target: inside(tree, &code.pyc),
            })
            .collect();
        let compiled = compile::compile(&interpreter, &jobs, 1)?;
        let mut same: Vec<bool> = valid.iter().zip(compiled).map(|(valid, done)| *valid && done).collect();
        let compared: Vec<usize> = (0..codes.len()).filter(|i| same[*i]).collect();
        let words = compared.iter().flat_map(|i| {
            let there = inside(self.after, &codes[*i].pyc);
            [jobs[*i].target.clone(), there, PathBuf::from(shown(&codes[*i]))]
        });
        let words: Option<Vec<String>> = words.map(|path| path.to_str().map(str::to_owned)).collect();
        let words = words.ok_or_else(|| Error::Spec("a path is not UTF-8".to_owned()))?;
        if !compared.is_empty() {
            let request = words.join("\0");
            let answer = compile::run(&interpreter.physical, include_str!("same.py"), request.as_bytes())?;
            let answers: Vec<&str> = answer.split('\0').collect();
            if answers.len() != compared.len() {
                let why = "it compared something else than asked".to_owned();
                return Err(CompileError::Run { path: interpreter.physical, why }.into());
            }
            for (i, answer) in compared.into_iter().zip(answers) {
                same[i] = answer == "1";
            }
        }
        Ok((interpreter, same))
    }

    /// Byte code that Python would take: made of this source, by an interpreter with this format.
    fn is_valid(&self, code: &Code, interpreter: &Interpreter) -> Result<bool, IoError> {
        let (source, pyc) = (inside(self.after, &code.source), inside(self.after, &code.pyc));
        let meta = std::fs::symlink_metadata(&source).context("look at", &source)?;
        let Some(header) = Header::read(&pyc)? else { return Ok(false) };
        Ok(header.magic() == interpreter.magic && header.source() == Some(header::source(&meta)))
    }

    /// The interpreter whose byte code it is: that of the environment that it was installed into, else one that PATH finds.
    fn find(&self, lib: &str, code: &Code) -> Option<Interpreter> {
        let tag = code.pyc.rsplit('/').next()?.strip_suffix(".pyc")?.rsplit_once('.')?.1;
        let minor = tag.strip_prefix("cpython-3")?;
        let program = format!("python3.{minor}");
        let root = RootFs::new(self.after);
        let prefix = lib.split_once(&format!("/lib/{program}/")).map(|(prefix, _)| prefix);
        let own = prefix.map(|prefix| PathBuf::from(format!("{prefix}/bin/{program}")));
        let own = own.filter(|own| root.is_program(own)).and_then(|own| root.physical(&own));
        // Only if that isn't it: finding them reads them whole.
        let others = iter::once_with(|| find_pythons(&root, self.path_env)).flatten();
        let others = others.filter(|python| python.minor == format!("3.{minor}"));
        let mut all = own.into_iter().chain(others.map(|python| python.physical.into()));
        all.find_map(|path| self.ask(&path).filter(|interpreter| interpreter.cache_tag == tag))
    }

    fn ask(&self, physical: &Path) -> Option<Interpreter> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = known.entry(physical.to_owned()).or_insert_with(|| ask(physical.to_str()?).ok());
        asked.clone()
    }
}
