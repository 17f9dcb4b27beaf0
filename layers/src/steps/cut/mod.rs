//! `plinth step survey`, `cut` and `rest-of`: what a step left, cut along the RECORDs in it.
//!
//! A step that isn't understood runs as it is written. Where it leaves installed distributions behind, each big one gets
//! a layer of its own, as that of an assembled step: the files that its RECORD lists, with the times that layers have,
//! and byte code made for them. `survey` says which distributions there are, `cut` makes their layers, and `rest-of`
//! turns the state before with these layers on it into the state after, deletions included.
//!
//! Only a file that is what RECORD says goes into a layer. Everything else is the rest's: what is not understood there
//! costs sharing, and nothing more.
//!
//! ```text
//! diff       what the step changed
//! find       the distributions among that, and their files
//! made       the layer of one
//! code       its byte code
//! header     what byte code says of its source
//! other_code byte code that is not beside its source
//! rest       everything else
//! ```

mod code;
mod diff;
mod find;
mod header;
mod made;
mod other_code;
mod rest;

use std::io;
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde::{Deserialize, Serialize};

use self::code::Interpreters;
use self::diff::Diff;
use self::other_code::OtherCode;
use super::payload::read_meta;
use super::probe::write_fixed;
use crate::install::compile::CompileError;
use crate::tree::LAYOUT;
use crate::tree::fs::IoError;

pub use self::find::Dist;
pub use self::made::Made;

/// What `survey` found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Survey {
    /// What the step installed.
    Installed {
        /// By path of their `.dist-info`.
        dists: Vec<Dist>,
    },
    /// What the step left can't be cut.
    Refused {
        /// One sentence for the report.
        reason: String,
    },
}

impl Survey {
    /// Name of the file in the output directory of `plinth step survey`.
    pub const FILE: &str = "survey.json";
}

/// What `cut` makes layers of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutSpec {
    /// Layout version: [`crate::tree::LAYOUT`].
    pub layout: u32,
    /// PATH of the step, for interpreters that are not in the environment that they install into.
    pub path_env: String,
    /// The distributions.
    pub dists: Vec<Dist>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The inputs do not belong together.
    #[error("bad specification of what is cut: {0}")]
    Spec(String),
    /// No byte code.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The file system.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The answer can't be written.
    #[error("write what was cut: {0}")]
    Write(#[from] io::Error),
}

/// The states that are compared.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// Before the step.
    pub before: &'a Path,
    /// After it.
    pub after: &'a Path,
}

/// Finds out what the step installed, and writes [`Survey::FILE`] to `out`.
///
/// # Errors
/// See [`Error`]; a refusal is an answer.
pub fn survey(places: Places<'_>, out: &Path) -> Result<(), Error> {
    let diff = Diff::between(places.before, places.after)?;
    let survey = match diff.objection(places.before, places.after)? {
        Some(reason) => Survey::Refused { reason },
        None => Survey::Installed { dists: find::dists(&diff, places.after)? },
    };
    write(&out.join(Survey::FILE), &survey)
}

/// Makes the layers, to `N/` of `trees` and of `metas`, and writes [`Made::FILE`] to `out`.
///
/// # Errors
/// See [`Error`].
pub fn cut(spec: &CutSpec, places: Places<'_>, trees: &Path, metas: &Path, out: &Path) -> Result<(), Error> {
    check(spec.layout)?;
    let diff = Diff::between(places.before, places.after)?;
    let others = OtherCode::of(&diff, places.after)?;
    let pythons = Interpreters::new(places.after, &spec.path_env);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut made = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(dist) = spec.dists.get(i) else { return Ok(made) };
            let [tree, meta] = [trees, metas].map(|directory| directory.join(i.to_string()));
            made.push((i, made::make(dist, (&diff, &others), places, &pythons, &tree, &meta)?));
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(spec.dists.len().max(1));
    let parts: Vec<Result<Vec<_>, Error>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let join = |worker: thread::ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().map(join).collect()
    });
    let mut bytes = vec![0; spec.dists.len()];
    for (i, size) in parts.into_iter().collect::<Result<Vec<_>, _>>()?.concat() {
        bytes[i] = size;
    }
    write(&out.join(Made::FILE), &Made { bytes })
}

/// Makes `root`, the state before with `count` layers on it, what the state after is. `N/` of `metas` has what `cut` said
/// of each.
///
/// # Errors
/// See [`Error`].
pub fn rest_of(places: Places<'_>, layers: usize, metas: &Path, root: &Path) -> Result<(), Error> {
    let metas: Vec<_> =
        (0..layers).map(|i| read_meta(metas, i)?.map_err(Error::Spec)).collect::<Result<_, _>>()?;
    metas.iter().try_for_each(|meta| check(meta.layout))?;
    rest::rest(&Diff::between(places.before, places.after)?, &metas, places, root)
}

fn check(layout: u32) -> Result<(), Error> {
    if layout == LAYOUT {
        return Ok(());
    }
    Err(Error::Spec(format!("layout {layout} is not {LAYOUT}, the one of this release")))
}

fn write(path: &Path, answer: &impl Serialize) -> Result<(), Error> {
    let mut text = serde_json::to_vec(answer).map_err(io::Error::from)?;
    text.push(b'\n');
    Ok(write_fixed(path, &text)?)
}
