//! `plinth step record`: everything of an install that differs from one install to the next.
//!
//! It runs in the state before the step, so it is also the place where the state can object: a link on the way of
//! a path, a directory that would hand down its group. Nothing is written before all objections were heard.

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::payload::read_meta;
use super::remove;
use crate::install::scripts::{self, Dialect};
use crate::install::uninstall::{Removed, UninstallError};
use crate::resolution::{Distribution, Plan};
use crate::tree::fs::{self as tree_fs, Attributes, Context, inside, mtime};
use crate::tree::state::{Node, State};
use crate::tree::{IoError, LAYOUT};
use crate::uv;
use crate::wheel::entry_points::EntryPoint;
use crate::wheel::record::{Row, hash_field, write as write_rows};
use crate::wheel::{Kind, PayloadMeta, meta::Part, name};

/// Which payloads go into the tail layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordSpec {
    /// Layout version: [`crate::tree::LAYOUT`].
    pub layout: u32,
    /// Indices into [`crate::resolution::Plan::install`] of the wheels whose trees are copied into the tail.
    pub tail: Vec<usize>,
}

/// Whether the step may be assembled, written as [`Verdict::FILE`] beside the trees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Verdict {
    /// The layers give what the installer would have left.
    Assembled,
    /// They would not: the step must run as written.
    Refused {
        /// One sentence for the report.
        reason: String,
    },
}

impl Verdict {
    /// Name of the file in the status directory of `plinth step record`.
    pub const FILE: &str = "verdict.json";
}

/// Why there is neither a record layer nor a verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The inputs do not belong together.
    #[error("bad record specification: {0}")]
    Spec(String),
    /// The file system.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// A refusal or a failure, on the way to the verdict.
enum Stop {
    Refuse(String),
    Fail(Error),
}

impl From<IoError> for Stop {
    fn from(e: IoError) -> Self {
        Self::Fail(e.into())
    }
}

impl From<UninstallError> for Stop {
    fn from(e: UninstallError) -> Self {
        match e {
            UninstallError::Io(e) => e.into(),
            refused @ UninstallError::Refused { .. } => Self::Refuse(refused.to_string()),
        }
    }
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Refuse(reason.into()))
}

/// A file of the record layer.
struct Made {
    content: Vec<u8>,
    mode: u32,
}

/// Who put a file where, and what it is.
struct Owner {
    index: usize,
    mode: u32,
    sha256: String,
}

/// Writes the record tree, the tail tree and the verdict.
///
/// `root` is the state before the step; `metas` and `trees` hold, named by the index into `plan.install`, what
/// [`super::payload::run`] wrote (trees only of the members of the tail). The output directories must be there and
/// empty. With a refusal the two trees stay empty.
///
/// # Errors
/// See [`Error`]; a refusal is not an error.
// One parameter per mount of the container that this runs in.
#[allow(clippy::too_many_arguments)]
pub fn run(
    plan: &Plan,
    spec: &RecordSpec,
    root: &Path,
    metas: &Path,
    trees: &Path,
    record_out: &Path,
    tail_out: &Path,
    status_out: &Path,
) -> Result<(), Error> {
    if spec.layout != LAYOUT {
        return Err(Error::Spec(format!("layout {} is not {LAYOUT}, the one of this release", spec.layout)));
    }
    let verdict = match assemble(plan, root, metas) {
        Ok(layer) => {
            layer.write(record_out)?;
            tail(plan, spec, trees, tail_out)?;
            Verdict::Assembled
        }
        Err(Stop::Refuse(reason)) => Verdict::Refused { reason },
        Err(Stop::Fail(error)) => return Err(error),
    };
    let mut text = serde_json::to_vec(&verdict).map_err(|e| Error::Spec(e.to_string()))?;
    text.push(b'\n');
    tree_fs::write(&status_out.join(Verdict::FILE), &text, Attributes::canonical(0o644))?;
    tree_fs::settle_directories(status_out)?;
    Ok(())
}

fn tail(plan: &Plan, spec: &RecordSpec, trees: &Path, out: &Path) -> Result<(), Error> {
    // In the order of installation, whatever the order of the specification.
    let members: BTreeSet<usize> = spec.tail.iter().copied().collect();
    for index in members {
        if index >= plan.install.len() {
            return Err(Error::Spec(format!("the tail names distribution {index}, which is not there")));
        }
        tree_fs::copy_tree(&trees.join(index.to_string()), out)?;
    }
    tree_fs::settle_directories(out)?;
    Ok(())
}

/// The record layer before it is written.
struct Layer {
    files: BTreeMap<String, Made>,
    /// Existing directories, with what the step leaves of them.
    restated: BTreeMap<String, Attributes>,
}

impl Layer {
    fn write(&self, out: &Path) -> Result<(), IoError> {
        for (path, made) in &self.files {
            tree_fs::write(&inside(out, path), &made.content, Attributes::canonical(made.mode))?;
        }
        for path in self.restated.keys() {
            let real = inside(out, path);
            fs::create_dir_all(&real).context("create the directory", &real)?;
        }
        tree_fs::settle_directories(out)?;
        // Longest first: a child before its parent.
        for (path, attributes) in self.restated.iter().rev() {
            tree_fs::set(&inside(out, path), *attributes)?;
        }
        Ok(())
    }
}

fn assemble(plan: &Plan, root: &Path, metas: &Path) -> Result<Layer, Stop> {
    let writer = match plan.installer.as_str() {
        "pip" => Dialect::of(&plan.installer_version).map(Writer::Pip),
        "uv" => uv::is_known(&plan.installer_version).then_some(Writer::Uv),
        _ => None,
    };
    let Some(writer) = writer else {
        return refuse(format!(
            "what {} {} leaves behind is not known exactly",
            plan.installer, plan.installer_version
        ));
    };
    let metas_read = read_metas(plan, metas)?;
    let mut state = State::new(root);
    let removed = remove::plans(plan, &mut state)?;
    let mut files = BTreeMap::new();
    let mut owners: BTreeMap<String, Owner> = BTreeMap::new();
    for (index, (distribution, meta)) in plan.install.iter().zip(&metas_read).enumerate() {
        let kept = metas.join(index.to_string()).join(PayloadMeta::KEPT);
        let made = distribution_files(plan, writer, distribution, meta, &kept)?;
        for (path, mode, sha256) in meta.tree_files() {
            claim(&mut owners, plan, index, path, mode, sha256.to_owned())?;
        }
        for (path, file) in made {
            let sha256 = hex::encode(Sha256::digest(&file.content));
            claim(&mut owners, plan, index, &path, file.mode, sha256)?;
            files.insert(path, file);
        }
        let info = format!("{}/{}", meta.lib_dir(), meta.dist_info);
        if state.node(&info)? != Node::Absent {
            return refuse(format!("{info} is there already, and nothing removes it"));
        }
    }
    for left in &plan.left {
        if state.node(&left.path)? != Node::Absent {
            return refuse(format!("{} is there already", left.path));
        }
        let content = left.content.clone().into_bytes();
        let sha256 = hex::encode(Sha256::digest(&content));
        claim(&mut owners, plan, plan.install.len(), &left.path, left.mode, sha256)?;
        files.insert(left.path.clone(), Made { content, mode: left.mode });
    }
    if matches!(writer, Writer::Uv) {
        // It depends on the link mode, and on what is there.
        for path in owners.keys() {
            if state.node(path)? != Node::Absent {
                return refuse(format!("{path} is there already, and how uv replaces it is not known"));
            }
        }
    }
    check_removals(plan, &removed, &owners)?;
    let restated = place(&state, &removed, &owners)?;
    Ok(Layer { files, restated })
}

fn read_metas(plan: &Plan, metas: &Path) -> Result<Vec<PayloadMeta>, Stop> {
    let mut out = Vec::new();
    let mut names = BTreeSet::new();
    for (index, distribution) in plan.install.iter().enumerate() {
        let spec = |why: String| Stop::Fail(Error::Spec(why));
        let meta = read_meta(metas, index)?.map_err(spec)?;
        if meta.layout != LAYOUT
            || !meta.sha256.eq_ignore_ascii_case(&distribution.sha256)
            || name::canonical(&meta.name) != name::canonical(&distribution.name)
        {
            return Err(spec(format!(
                "{}/{index} describes another wheel, or is of another release",
                metas.display()
            )));
        }
        if meta.scheme != plan.scheme {
            return refuse(format!(
                "{} was laid out for other install paths than the step's",
                distribution.name
            ));
        }
        let (a, b) = (&meta.interpreter, plan.compiled_by());
        if (&a.cache_tag, &a.magic, &a.abi) != (&b.cache_tag, &b.magic, &b.abi) {
            return refuse(format!(
                "{} was compiled for {}, the step's interpreter is {}",
                distribution.name, a.cache_tag, b.cache_tag
            ));
        }
        if !names.insert(name::canonical(&meta.name)) {
            return refuse(format!("{} would be installed twice", distribution.name));
        }
        out.push(meta);
    }
    check_headers(plan, &out)?;
    Ok(out)
}

/// An installer names the directory of a distribution's headers as the first requirement that asked for it spells
/// the distribution. Accepts only what everybody here spells alike.
fn check_headers(plan: &Plan, metas: &[PayloadMeta]) -> Result<(), Stop> {
    let with_headers = plan.install.iter().zip(metas);
    for (distribution, meta) in
        with_headers.filter(|(_, m)| m.entries.iter().any(|e| e.part == Part::Headers))
    {
        let wanted = name::canonical(&meta.name);
        let others = metas.iter().flat_map(|m| &m.requires).filter(|r| name::canonical(r) == wanted);
        if std::iter::once(&meta.name)
            .chain(&distribution.spelling)
            .chain(others)
            .any(|spelling| *spelling != wanted)
        {
            return refuse(format!(
                "{} has header files, whose directory is named as its requirement happens to be spelled",
                meta.name
            ));
        }
    }
    Ok(())
}

/// Notes that a path is written; two distributions may write the same file, but not different ones.
fn claim(
    owners: &mut BTreeMap<String, Owner>,
    plan: &Plan,
    index: usize,
    path: &str,
    mode: u32,
    sha256: String,
) -> Result<(), Stop> {
    match owners.entry(path.to_owned()) {
        Slot::Vacant(slot) => {
            slot.insert(Owner { index, mode, sha256 });
            Ok(())
        }
        Slot::Occupied(slot) => {
            let first = slot.get();
            if first.mode == mode && first.sha256 == sha256 {
                return Ok(());
            }
            let names = |i: usize| plan.install.get(i).map_or("?", |d| d.name.as_str());
            refuse(format!("{} and {} both write {path}, differently", names(first.index), names(index)))
        }
    }
}

/// Whose files are written.
#[derive(Clone, Copy)]
enum Writer {
    Pip(Dialect),
    Uv,
}

impl Writer {
    /// The text of a generated script.
    fn script(self, executable: &str, entry: &EntryPoint) -> String {
        match self {
            Self::Pip(dialect) => dialect.text(executable, entry),
            Self::Uv => uv::files::script(executable, entry),
        }
    }

    /// Content of INSTALLER.
    fn installer(self) -> Vec<u8> {
        match self {
            Self::Pip(_) => b"pip\n".to_vec(),
            Self::Uv => uv::files::INSTALLER.to_vec(),
        }
    }
}

/// The files that one distribution gets besides its payload.
fn distribution_files(
    plan: &Plan,
    writer: Writer,
    distribution: &Distribution,
    meta: &PayloadMeta,
    kept: &Path,
) -> Result<BTreeMap<String, Made>, Stop> {
    let executable = plan.interpreter.executable.as_str();
    let mut parts = plan.interpreter.version.splitn(3, '.');
    let minor = format!("{}.{}", parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let generated = match writer {
        Writer::Pip(dialect) => Some(dialect.generated(&meta.scripts, &minor)),
        Writer::Uv => uv::files::generated(&meta.scripts),
    };
    let Some(generated) = generated else {
        return refuse(format!("{} has scripts with names of pip's, with uv", distribution.name));
    };
    let names_it = !generated.is_empty() || meta.entries.iter().any(|e| e.kind == Kind::Script);
    if let Some(why) = scripts::unfit(executable).filter(|_| names_it) {
        return refuse(why);
    }
    let read = |index, pyc| {
        let path = kept.join(PayloadMeta::kept_file(index, pyc));
        fs::read(&path).context("read", &path)
    };
    let mut made: BTreeMap<String, Made> = BTreeMap::new();
    let lib_dir = meta.lib_dir();
    let info = format!("{lib_dir}/{}", meta.dist_info);
    for (index, entry) in meta.entries.iter().enumerate() {
        match entry.kind {
            Kind::Payload | Kind::Record | Kind::Replaced => {}
            Kind::Script => {
                let content = scripts::rewrite(&read(index, false)?, executable);
                if let Some(pyc) = &entry.pyc {
                    let byte_code = resize(read(index, true)?, content.len())
                        .ok_or_else(|| Stop::Fail(Error::Spec(format!("{} is too short", pyc.path))))?;
                    made.insert(pyc.path.clone(), Made { content: byte_code, mode: 0o644 });
                }
                made.insert(entry.path.clone(), Made { content, mode: entry.mode });
            }
            Kind::Kept => {
                made.insert(entry.path.clone(), Made { content: read(index, false)?, mode: entry.mode });
            }
        }
    }
    // What the installer writes itself, in its order; each gets a row of its own in RECORD.
    let mut own: Vec<String> = Vec::new();
    for (script, entry) in &generated {
        let path = format!("{}/{script}", plan.scheme.scripts);
        let content = writer.script(executable, entry).into_bytes();
        if made.insert(path.clone(), Made { content, mode: 0o755 }).is_some() {
            return refuse(format!("{} brings {path} and generates it too", distribution.name));
        }
        own.push(path);
    }
    let installer = format!("{info}/INSTALLER");
    let content = writer.installer();
    made.insert(installer.clone(), Made { content, mode: 0o644 });
    own.push(installer);
    if let Some(direct) = &distribution.direct_url {
        let path = format!("{info}/direct_url.json");
        made.insert(path.clone(), Made { content: direct.clone().into_bytes(), mode: 0o644 });
        own.push(path);
    }
    if distribution.requested {
        let path = format!("{info}/REQUESTED");
        // Emptied, not replaced, if the wheel has one: it keeps its mode.
        let mode = made.get(&path).map_or(0o644, |m| m.mode);
        made.insert(path.clone(), Made { content: Vec::new(), mode });
        own.push(path);
    }
    let record = record_rows(meta, lib_dir, &made, &own);
    let content = match writer {
        Writer::Pip(_) => write_rows(&record),
        Writer::Uv => uv::files::record(record),
    };
    let content = content.into_bytes();
    made.insert(format!("{info}/RECORD"), Made { content, mode: 0o644 });
    Ok(made)
}

/// Byte code for the same code in a file of another size: its header holds the size at offset 12 (PEP 552).
fn resize(mut byte_code: Vec<u8>, size: usize) -> Option<Vec<u8>> {
    // Python keeps the size modulo 2^32.
    let size = u32::try_from(size as u64 & 0xffff_ffff).ok()?;
    byte_code.get_mut(12..16)?.copy_from_slice(&size.to_le_bytes());
    Some(byte_code)
}

/// The rows of RECORD as pip computes them: the wheel's rows with their paths mapped to where the files went and
/// hashes of rewritten files, a row for each file it generated, one without hash for everything else.
fn record_rows(meta: &PayloadMeta, lib_dir: &str, made: &BTreeMap<String, Made>, own: &[String]) -> Vec<Row> {
    let hashed = |path: &str| -> (String, String) {
        made.get(path).map_or_else(Default::default, |m| {
            (hash_field(&Sha256::digest(&m.content)), m.content.len().to_string())
        })
    };
    let mut installed: BTreeMap<&str, &crate::wheel::Entry> =
        meta.entries.iter().map(|e| (e.source.as_str(), e)).collect();
    let mut rows: Vec<Row> = Vec::new();
    for [path, hash, size] in &meta.record {
        match installed.remove(path.as_str()) {
            Some(entry) => {
                let (hash, size) = if entry.kind == Kind::Script {
                    hashed(&entry.path)
                } else {
                    (hash.clone(), size.clone())
                };
                rows.push([name::relative(&entry.path, lib_dir), hash, size]);
            }
            // Left out by the installer, yet still listed under its path in the wheel.
            None => rows.push([path.clone(), hash.clone(), size.clone()]),
        }
    }
    for path in own {
        let (hash, size) = hashed(path);
        rows.push([name::relative(path, lib_dir), hash, size]);
    }
    let unhashed = |path: &str| [name::relative(path, lib_dir), String::new(), String::new()];
    rows.extend(installed.values().map(|e| unhashed(&e.path)));
    rows.extend(meta.entries.iter().filter_map(|e| e.pyc.as_ref()).map(|p| unhashed(&p.path)));
    rows.sort();
    rows
}

/// Removals happen before all installs here, but in turn with them in an installer. Refuses where that shows.
fn check_removals(plan: &Plan, removed: &[Removed], owners: &BTreeMap<String, Owner>) -> Result<(), Stop> {
    for (removal, removed) in plan.remove.iter().zip(removed) {
        let wanted = name::canonical(&removal.name);
        let Some(position) = plan.install.iter().position(|d| name::canonical(&d.name) == wanted) else {
            return refuse(format!("{} is removed, but no other version is installed", removal.name));
        };
        for path in owners.iter().filter(|(_, o)| o.index < position).map(|(p, _)| p) {
            if removed.files.contains(path) {
                return refuse(format!(
                    "{path} is installed by one distribution and then removed with {}",
                    removal.name
                ));
            }
            let below = name::ancestors(path).find(|a| removed.trees.contains(*a));
            if below.is_some_and(|tree| removed.deep.contains(tree)) {
                return refuse(format!(
                    "{path} is installed into a directory that goes with {}",
                    removal.name
                ));
            }
        }
    }
    Ok(())
}

/// Checks every path that is written against the state before the step, and gives the existing directories on
/// the way with the attributes that they have afterwards.
fn place(
    state: &State,
    removed: &[Removed],
    owners: &BTreeMap<String, Owner>,
) -> Result<BTreeMap<String, Attributes>, Stop> {
    let mut restated: BTreeMap<String, Attributes> = BTreeMap::new();
    let mut touched: BTreeSet<String> = removed.iter().flat_map(|r| r.touched.iter().cloned()).collect();
    let directories: BTreeSet<&str> =
        owners.keys().filter_map(|p| p.rsplit_once('/')).map(|(d, _)| d).collect();
    for directory in directories {
        if let Some(file) =
            std::iter::once(directory).chain(name::ancestors(directory)).find(|a| owners.contains_key(*a))
        {
            return refuse(format!("{file} is both a file and a directory of this step"));
        }
        // Any name below, to look at the directory itself as well.
        let existing = match state.ancestors(&format!("{directory}/x"))? {
            Ok(existing) => existing,
            Err(component) => {
                return refuse(format!(
                    "{component} is on the way of {directory} and is not a real directory"
                ));
            }
        };
        // The longest one is where something new appears: a file, or the next directory.
        if let Some((parent, attributes)) = existing.last_key_value() {
            if attributes.mode & 0o2000 != 0 {
                return refuse(format!("{parent} is setgid: what is made in it takes its group"));
            }
            touched.insert(parent.clone());
        }
        restated.extend(existing);
    }
    for (path, owner) in owners {
        let byte_code = path.ends_with(".pyc");
        match state.node(path)? {
            Node::Absent | Node::File => {}
            // Replaced like a file; except that Python does not write byte code over one.
            Node::Link { dangling: false } if !byte_code => {}
            Node::Link { .. } => return refuse(format!("{path} is a link that would be written through")),
            Node::Directory(_) => {
                return refuse(format!("{path} is a directory, and a file is installed there"));
            }
            Node::Other => return refuse(format!("{path} is a special file")),
        }
        debug_assert!(owner.mode & !0o777 == 0);
    }
    for (path, attributes) in &mut restated {
        if touched.contains(path) {
            attributes.mtime = mtime();
        }
    }
    Ok(restated)
}
