//! `plinth step payload`: one wheel into its payload tree and its meta.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::summary::Summary;
use crate::install::compile::{self, CompileError, Job};
use crate::install::{constants, scripts};
use crate::resolution::{Interpreter, Layout, Scheme};
use crate::tree::fs::{self as tree_fs, Attributes, Context, inside};
use crate::tree::{IoError, LAYOUT};
use crate::wheel::archive::{Archive, Member};
use crate::wheel::record::{Digests, Promise};
use crate::wheel::{
    self, Entry, Kind, PayloadMeta, Pyc, WheelError, entry_points, headers, meta::Part, name, spread,
};

/// What decides a payload's bytes, besides the wheel itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadSpec {
    /// Layout version: [`crate::tree::LAYOUT`].
    pub layout: u32,
    /// Name of the distribution, metadata spelling.
    pub name: String,
    /// Version of the distribution.
    pub version: String,
    /// File name of the wheel.
    pub filename: String,
    /// Hexadecimal SHA-256 that the wheel must have.
    pub sha256: String,
    /// Where its parts go; physical paths.
    pub scheme: Scheme,
    /// The interpreter that compiles, [`Interpreter::fingerprint`] left empty: it is not part of a payload's identity.
    pub interpreter: Interpreter,
    /// Whose way of laying out files; byte code is part of it.
    #[serde(default, skip_serializing_if = "Layout::is_pip")]
    pub laid_out_as: Layout,
    /// The byte code is for another platform than that of the interpreter that makes it: nothing of this one may show.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub foreign: bool,
}

/// Why there is no payload.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The specification is of another release, or cannot be met.
    #[error("bad payload specification: {0}")]
    Spec(String),
    /// The wheel is not one that is assembled.
    #[error(transparent)]
    Wheel(#[from] WheelError),
    /// No byte code.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The file system.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// Files of `.dist-info` that are the installer's to write.
const INSTALLER_FILES: [&str; 3] = ["INSTALLER", "REQUESTED", "direct_url.json"];

/// Spreads the wheel over the scheme below `out`, compiles it there, and describes it in `meta`. Both
/// directories must be there and empty; both end up canonical.
///
/// # Errors
/// See [`Error`]. Both directories are empty again then.
pub fn run(spec: &PayloadSpec, wheel: &Path, out: &Path, meta: &Path) -> Result<(), Error> {
    check(spec)?;
    let done = make(spec, wheel, out, meta);
    if done.is_err() {
        // Half a payload could be taken for one. The reason matters more than a failure to clean up.
        let _ = clear(out).and(clear(meta));
    }
    done
}

/// As [`run`], and says in `meta` what came of it. A wheel that is broken is an answer, and cached; anything else is a
/// failure, and isn't. Gives the reason that was written down for a broken one.
///
/// # Errors
/// See [`Error`], but for [`Error::Wheel`].
pub fn answer(spec: &PayloadSpec, wheel: &Path, out: &Path, meta: &Path) -> Result<Option<String>, Error> {
    let (summary, refused) = match run(spec, wheel, out, meta) {
        Ok(()) => (Summary::of(out).context("measure", out)?, None),
        Err(error @ Error::Wheel(_)) => {
            let reason = format!("{}: {error}", spec.filename);
            (Summary::Refused { reason: reason.clone() }, Some(reason))
        }
        Err(error) => return Err(error),
    };
    summary.write(&spec.sha256, meta).context("describe the payload in", meta)?;
    Ok(refused)
}

fn clear(directory: &Path) -> Result<(), IoError> {
    for (name, kind) in tree_fs::list(directory)? {
        let path = directory.join(name);
        let gone = if kind.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        gone.context("remove", &path)?;
    }
    Ok(())
}

fn make(spec: &PayloadSpec, wheel: &Path, out: &Path, meta: &Path) -> Result<(), Error> {
    let mut archive = Archive::open(wheel, &spec.sha256)?;
    let mut described = describe(spec, &mut archive)?;
    unpack(spec, &mut archive, &mut described, out, meta)?;
    if spec.laid_out_as.is_pip() {
        byte_code(&mut described, spec.foreign, out, meta)?;
    }
    tree_fs::settle_directories(out)?;
    described.directories = directories(out)?;
    let mut text = serde_json::to_vec_pretty(&described).map_err(|e| Error::Spec(e.to_string()))?;
    text.push(b'\n');
    tree_fs::write(&meta.join(PayloadMeta::FILE), &text, Attributes::canonical(0o644))?;
    tree_fs::settle_directories(meta)?;
    Ok(())
}

fn check(spec: &PayloadSpec) -> Result<(), Error> {
    if spec.layout != LAYOUT {
        return Err(Error::Spec(format!("layout {} is not {LAYOUT}, the one of this release", spec.layout)));
    }
    let s = &spec.scheme;
    for path in [&s.purelib, &s.platlib, &s.headers, &s.scripts, &s.data] {
        let normal = path.strip_prefix('/').is_some_and(|rest| name::check(rest).is_ok());
        if !normal {
            return Err(Error::Spec(format!("the install path {path:?} is not absolute and plain")));
        }
    }
    if name::check(&spec.name).is_err() || spec.name.contains('/') {
        return Err(Error::Spec(format!("{:?} is not a distribution's name", spec.name)));
    }
    Ok(())
}

/// Everything that can be said before a file is unpacked.
fn describe(spec: &PayloadSpec, archive: &mut Archive) -> Result<PayloadMeta, WheelError> {
    let dist_info = spread::dist_info(archive.tops(), &spec.name)?.to_owned();
    let file = |name: &str| format!("{dist_info}/{name}");
    let wheel_file = headers::parse_wheel(&file("WHEEL"), &archive.text(&file("WHEEL"))?)?;
    let metadata = archive.text(&file("METADATA"))?;
    headers::check_metadata(&file("METADATA"), &metadata, &spec.name, &spec.version)?;
    let record = wheel::record::parse(&file("RECORD"), &archive.text(&file("RECORD"))?)?;
    let scripts = match archive.find(&file("entry_points.txt")) {
        Some(_) => entry_points::parse(&file("entry_points.txt"), &archive.text(&file("entry_points.txt"))?)?,
        None => entry_points::Scripts::default(),
    };
    let requires = headers::required_names(&file("METADATA"), &metadata)?;
    let mut entries = Vec::new();
    for member in archive.members() {
        let purelib = wheel_file.root_is_purelib;
        let Some(target) = spread::target(&spec.scheme, purelib, &spec.name, &scripts, &member.name)? else {
            continue;
        };
        let kind = match member.name.strip_prefix(&format!("{dist_info}/")) {
            Some("RECORD") => Kind::Record,
            Some(name) if INSTALLER_FILES.contains(&name) => Kind::Kept,
            _ => Kind::Payload,
        };
        entries.push(Entry {
            source: member.name.clone(),
            path: target.path,
            mode: if member.executable { 0o755 } else { 0o644 },
            size: 0,
            sha256: String::new(),
            kind,
            part: target.part,
            pyc: None,
        });
    }
    if spec.laid_out_as == Layout::Uv {
        as_uv(archive, &dist_info, &record, &mut entries)?;
    }
    // Headers come among the data files, in the archive's order; the order only shows where paths
    // coincide, and that is refused.
    entries.sort_by_key(|e| match e.part {
        Part::Root => 0,
        Part::Data | Part::Headers => 1,
        Part::Scripts => 2,
    });
    name::check_clashes(entries.iter().map(|e| e.path.as_str()), [])?;
    Ok(PayloadMeta {
        layout: spec.layout,
        name: spec.name.clone(),
        version: spec.version.clone(),
        filename: spec.filename.clone(),
        sha256: spec.sha256.to_ascii_lowercase(),
        scheme: spec.scheme.clone(),
        interpreter: spec.interpreter.clone(),
        purelib: wheel_file.root_is_purelib,
        dist_info,
        entries,
        record,
        requires,
        scripts,
        directories: Vec::new(),
    })
}

/// Applies what uv does in another way than pip, and refuses wheels of which that is not known.
fn as_uv(
    archive: &Archive,
    dist_info: &str,
    record: &[wheel::record::Row],
    entries: &mut [Entry],
) -> Result<(), WheelError> {
    let odd = |path: &str, why: &str| WheelError::format(path, format!("{why}, with uv"));
    if let Some(directory) = archive.empty_directory() {
        return Err(odd(directory, "is an empty directory"));
    }
    if let Some(member) = archive.members().iter().find(|m| m.unclear) {
        return Err(odd(&member.name, "has an execute bit that installers read differently"));
    }
    if entries.len() != archive.members().len() {
        return Err(odd(dist_info, "has wrappers for its scripts"));
    }
    let listed: std::collections::BTreeSet<&str> = record.iter().map(|row| row[0].as_str()).collect();
    for [path, _, size] in record {
        // uv writes the size anew.
        if !size.is_empty() && size.parse::<u64>().is_ok_and(|n| n.to_string() != *size) {
            return Err(odd(path, "has a size of an unusual form in RECORD"));
        }
    }
    for entry in entries {
        if entry.kind == Kind::Kept {
            return Err(odd(&entry.source, "is a file of the installer"));
        }
        if !listed.contains(entry.source.as_str()) {
            return Err(odd(&entry.source, "is not listed in RECORD"));
        }
        if entry.part == Part::Scripts {
            if entry.source.split('/').count() != 3 {
                return Err(odd(&entry.source, "is a script in a directory"));
            }
            entry.mode = 0o755;
        }
    }
    Ok(())
}

/// Writes every file to the payload or to the kept ones, verifying RECORD on the way; files that are not
/// installed are verified too.
fn unpack(
    spec: &PayloadSpec,
    archive: &mut Archive,
    described: &mut PayloadMeta,
    out: &Path,
    meta: &Path,
) -> Result<(), Error> {
    let members: Vec<Member> = archive.members().to_vec();
    let names: Vec<&str> = members.iter().map(|m| m.name.as_str()).collect();
    let promises = wheel::record::promises(&described.dist_info, &described.record, &names)?;
    let index: BTreeMap<String, usize> =
        described.entries.iter().enumerate().map(|(i, e)| (e.source.clone(), i)).collect();
    for member in &members {
        let promise = promises.get(&member.name);
        let Some(i) = index.get(&member.name).copied() else {
            verify(archive, member, promise, &mut io::sink())?;
            continue;
        };
        let entry = &mut described.entries[i];
        let destination = match entry.kind {
            Kind::Record => {
                (entry.size, entry.sha256) = verify(archive, member, promise, &mut io::sink())?;
                continue;
            }
            Kind::Kept => kept(meta, i, false),
            _ => inside(out, &entry.path),
        };
        let mut file = tree_fs::create(&destination)?;
        (entry.size, entry.sha256) = verify(archive, member, promise, &mut file)?;
        if entry.part == Part::Scripts && starts_with(&destination, scripts::PLACEHOLDER)? {
            if spec.laid_out_as == Layout::Uv && starts_with(&destination, b"#!pythonw")? {
                return Err(WheelError::format(&entry.source, "starts with `#!pythonw`, with uv").into());
            }
            entry.kind = Kind::Script;
            let to = kept(meta, i, false);
            relocate(&destination, &to)?;
            tree_fs::set(&to, Attributes::canonical(0o644))?;
            continue;
        }
        let mode = if entry.kind == Kind::Payload { entry.mode } else { 0o644 };
        let attributes = match entry.kind {
            Kind::Payload => Attributes::of_content(mode, &entry.sha256),
            _ => Attributes::canonical(mode),
        };
        tree_fs::settle(&file, &destination, attributes)?;
    }
    prune_empty(out, true)?;
    Ok(())
}

fn verify(
    archive: &mut Archive,
    member: &Member,
    promise: Option<&Promise>,
    to: &mut dyn Write,
) -> Result<(u64, String), WheelError> {
    let mut tee = Tee { to, digests: Digests::new(promise) };
    let size = archive.copy(member, &mut tee)?;
    Ok((size, hex::encode(tee.digests.finish(&member.name, promise)?)))
}

struct Tee<'a> {
    to: &'a mut dyn Write,
    digests: Digests,
}

impl Write for Tee<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let n = self.to.write(data)?;
        self.digests.update(&data[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn kept(meta: &Path, index: usize, pyc: bool) -> std::path::PathBuf {
    meta.join(PayloadMeta::KEPT).join(PayloadMeta::kept_file(index, pyc))
}

fn starts_with(path: &Path, prefix: &[u8]) -> Result<bool, IoError> {
    let mut head = Vec::new();
    fs::File::open(path)
        .and_then(|f| f.take(prefix.len() as u64).read_to_end(&mut head))
        .context("read", path)?;
    Ok(head == prefix)
}

/// Moves a file between two output directories, which may be different mounts.
fn relocate(from: &Path, to: &Path) -> Result<(), IoError> {
    let mut source = fs::File::open(from).context("open", from)?;
    io::copy(&mut source, &mut tree_fs::create(to)?).context("copy", from)?;
    fs::remove_file(from).context("remove", from)
}

/// Removes directories that hold nothing: what they were made for went elsewhere.
pub(super) fn prune_empty(directory: &Path, is_root: bool) -> Result<bool, IoError> {
    let mut empty = true;
    for (name, kind) in tree_fs::list(directory)? {
        if !kind.is_dir() || !prune_empty(&directory.join(&name), false)? {
            empty = false;
        }
    }
    if empty && !is_root {
        fs::remove_dir(directory).context("remove", directory)?;
    }
    Ok(empty)
}

/// Compiles every Python file among the installed ones.
fn byte_code(described: &mut PayloadMeta, foreign: bool, out: &Path, meta: &Path) -> Result<(), Error> {
    let lib_dir = described.lib_dir().to_owned();
    let cache_tag = described.interpreter.cache_tag.clone();
    let scratch = meta.join("scratch");
    let mut jobs = Vec::new();
    let mut owners = Vec::new();
    for (i, entry) in described.entries.iter().enumerate() {
        if !entry.path.ends_with(".py") || !matches!(entry.kind, Kind::Payload | Kind::Script) {
            continue;
        }
        let (source, target) = if entry.kind == Kind::Script {
            // The interpreter sees the finished script, whose first line is another; only that line
            // differs, and no code comes from it.
            let original = fs::read(kept(meta, i, false)).context("read", &kept(meta, i, false))?;
            let source = scratch.join(format!("{i}.py"));
            tree_fs::write(&source, &scripts::rewrite(&original, "python"), Attributes::canonical(0o644))?;
            (source, kept(meta, i, true))
        } else {
            let pyc = name::cache_path(&entry.path, &cache_tag);
            (inside(out, &entry.path), inside(out, &pyc))
        };
        // The installer joins RECORD's relative path to its directory and compiles under that name.
        let shown = format!("{lib_dir}/{}", name::relative(&entry.path, &lib_dir));
        jobs.push(Job { source, size: entry.size, shown, target });
        owners.push(i);
    }
    let by_path: BTreeMap<String, usize> =
        described.entries.iter().enumerate().map(|(i, e)| (e.path.clone(), i)).collect();
    // A wheel may bring byte code of its own. Set aside, since Python would write into it.
    let mut shipped = BTreeMap::new();
    for (job, owner) in jobs.iter().zip(&owners) {
        let pyc = name::cache_path(&described.entries[*owner].path, &cache_tag);
        if let Some(i) = by_path.get(&pyc).copied() {
            if described.entries[*owner].kind == Kind::Script {
                return Err(WheelError::format(pyc, "brings byte code of a script that is rewritten").into());
            }
            let aside = scratch.join(format!("{i}.pyc"));
            relocate(&job.target, &aside)?;
            shipped.insert(*owner, (i, aside));
        }
    }
    let compiled = compile::compile(&described.interpreter, &jobs, compile::at_once())?;
    if foreign {
        let made = || jobs.iter().zip(&owners).zip(&compiled).filter(|(_, done)| **done).map(|(job, _)| job);
        let files: Vec<&Path> = made().map(|(job, _)| job.target.as_path()).collect();
        let found = constants::not_numbers(&described.interpreter, &files)?;
        if let Some(((_, owner), _)) = made().zip(found).find(|(_, found)| *found) {
            let why = "has a constant that isn't a number, whose bits depend on the processor";
            return Err(WheelError::format(&described.entries[*owner].source, why).into());
        }
    }
    let mut content = Vec::new();
    for ((job, owner), done) in jobs.iter().zip(&owners).zip(compiled) {
        if let Some((i, aside)) = shipped.get(owner) {
            if done {
                described.entries[*i].kind = Kind::Replaced;
            } else {
                relocate(aside, &job.target)?;
                let entry = &described.entries[*i];
                tree_fs::set(&job.target, Attributes::of_content(entry.mode, &entry.sha256))?;
            }
        }
        if !done {
            continue;
        }
        let mut file = fs::File::open(&job.target).context("open", &job.target)?;
        content.clear();
        file.read_to_end(&mut content).context("read", &job.target)?;
        let sha256 = hex::encode(Sha256::digest(&content));
        let attributes = match described.entries[*owner].kind {
            Kind::Payload => Attributes::of_content(0o644, &sha256),
            _ => Attributes::canonical(0o644),
        };
        tree_fs::settle(&file, &job.target, attributes)?;
        let path = name::cache_path(&described.entries[*owner].path, &cache_tag);
        described.entries[*owner].pyc = Some(Pyc { path, sha256 });
    }
    if scratch.exists() {
        fs::remove_dir_all(&scratch).context("remove", &scratch)?;
    }
    Ok(())
}

pub(super) fn directories(out: &Path) -> Result<Vec<String>, IoError> {
    fn walk(path: &Path, shown: &str, all: &mut Vec<String>) -> Result<(), IoError> {
        for (name, kind) in tree_fs::list(path)? {
            if kind.is_dir() {
                let below = format!("{shown}/{}", name.to_string_lossy());
                walk(&path.join(&name), &below, all)?;
                all.push(below);
            }
        }
        Ok(())
    }
    let mut all = Vec::new();
    walk(out, "", &mut all)?;
    all.sort();
    Ok(all)
}

/// What was said of the payload with this number, below a directory with `N/` for each. The inner error says why that is
/// no such document.
pub(super) fn read_meta(metas: &Path, index: usize) -> Result<Result<PayloadMeta, String>, IoError> {
    let path = metas.join(index.to_string()).join(PayloadMeta::FILE);
    let bytes = fs::read(&path).context("read", &path)?;
    Ok(serde_json::from_slice(&bytes).map_err(|e| format!("{}: {e}", path.display())))
}
