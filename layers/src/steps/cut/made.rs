//! The layer of one distribution, cut out of what a step left.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::code::{Code, Interpreters};
use super::diff::Diff;
use super::find::{Dist, Part, parts};
use super::other_code::OtherCode;
use super::{Error, Places};
use crate::resolution::{Interpreter, Scheme};
use crate::steps::payload::{directories, prune_empty};
use crate::tree::LAYOUT;
use crate::tree::fs::{self as tree_fs, Attributes, Context as _, IoError, inside, time_of};
use crate::wheel::entry_points::Scripts;
use crate::wheel::meta::Part as WheelPart;
use crate::wheel::{Entry, Kind, PayloadMeta, Pyc};

/// What became of the distributions of a [`super::CutSpec`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// For each, the bytes of its layer.
    pub bytes: Vec<u64>,
}

impl Made {
    /// Name of the file in the output directory of `plinth step cut`.
    pub const FILE: &str = "made.json";
}

/// Writes the layer of a distribution to `tree` and what is said about it to `meta`, and gives its bytes. The same files
/// give the same layer as those of an assembled step.
pub(super) fn make(
    dist: &Dist,
    (diff, others): (&Diff, &OtherCode),
    places: Places<'_>,
    pythons: &Interpreters<'_>,
    tree: &Path,
    meta: &Path,
) -> Result<u64, Error> {
    let mut entries: BTreeMap<String, (Part, Entry)> = BTreeMap::new();
    for part in parts(dist, diff, others, places.after)? {
        let target = inside(tree, &part.path);
        match copy(&part, places.after, &target)? {
            Some(entry) => drop(entries.insert(part.path.clone(), (part, entry))),
            None => fs::remove_file(&target).context("remove", &target)?,
        }
    }
    let interpreter = byte_code(dist, places, pythons, &mut entries, tree)?;
    prune_empty(tree, true)?;
    tree_fs::settle_directories(tree)?;
    let (lib, name) = dist.dist_info.rsplit_once('/').unwrap_or_default();
    let lib = lib.to_owned();
    let scheme = Scheme {
        purelib: lib.clone(),
        platlib: lib.clone(),
        headers: lib.clone(),
        scripts: lib.clone(),
        data: lib,
    };
    let described = PayloadMeta {
        layout: LAYOUT,
        name: dist.name.clone(),
        version: dist.version.clone(),
        // Which wheel it was, if any, its files don't say.
        filename: String::new(),
        sha256: String::new(),
        scheme,
        interpreter,
        purelib: true,
        dist_info: name.to_owned(),
        entries: entries.into_values().map(|(_, entry)| entry).collect(),
        record: Vec::new(),
        requires: Vec::new(),
        scripts: Scripts::default(),
        directories: directories(tree)?,
    };
    let mut text = serde_json::to_vec_pretty(&described).map_err(std::io::Error::from)?;
    text.push(b'\n');
    tree_fs::write(&meta.join(PayloadMeta::FILE), &text, Attributes::canonical(0o644))?;
    tree_fs::settle_directories(meta)?;
    let mut bytes = 0;
    for (path, ..) in described.tree_files() {
        let real = inside(tree, path);
        bytes += fs::symlink_metadata(&real).context("look at", &real)?.size();
    }
    Ok(bytes)
}

/// Copies a file as a layer has it. Nothing if it isn't what RECORD says.
fn copy(part: &Part, after: &Path, target: &Path) -> Result<Option<Entry>, IoError> {
    let source = inside(after, &part.path);
    let mut input = File::open(&source).context("open", &source)?;
    let meta = input.metadata().context("look at", &source)?;
    let mut output = tree_fs::create(target)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    let mut size = 0;
    loop {
        let read = input.read(&mut piece).context("read", &source)?;
        if read == 0 {
            break;
        }
        hash.update(&piece[..read]);
        output.write_all(&piece[..read]).context("write", target)?;
        size += read as u64;
    }
    let hash: [u8; 32] = hash.finalize().into();
    if hash != part.sha256 {
        return Ok(None);
    }
    let sha256 = hex::encode(hash);
    let attributes = Attributes { mtime: time_of(&sha256), ..Attributes::of(&meta) };
    tree_fs::settle(&output, target, attributes)?;
    Ok(Some(Entry {
        source: part.path.clone(),
        path: part.path.clone(),
        mode: attributes.mode,
        size,
        sha256,
        kind: Kind::Payload,
        part: WheelPart::Root,
        pyc: None,
    }))
}

/// Makes the byte code again, for the time that the sources have in a layer. A source whose byte code would come out as
/// another code is left out.
fn byte_code(
    dist: &Dist,
    places: Places<'_>,
    pythons: &Interpreters<'_>,
    entries: &mut BTreeMap<String, (Part, Entry)>,
    tree: &Path,
) -> Result<Interpreter, Error> {
    let (lib, _) = dist.dist_info.rsplit_once('/').unwrap_or_default();
    let codes = entries.values().filter_map(|(part, entry)| {
        let pyc = part.pyc.clone()?;
        Some(Code { source: entry.path.clone(), size: entry.size, pyc })
    });
    let codes: Vec<Code> = codes.collect();
    let (interpreter, same) = pythons.compile(lib, &codes, tree)?;
    for (code, same) in codes.iter().zip(same) {
        let target = inside(tree, &code.pyc);
        if !same {
            entries.remove(&code.source);
            for path in [&inside(tree, &code.source), &target] {
                match fs::remove_file(path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(error).context("remove", path).map_err(Error::from);
                    }
                    _ => {}
                }
            }
            continue;
        }
        let there = inside(places.after, &code.pyc);
        let meta = fs::symlink_metadata(&there).context("look at", &there)?;
        let sha256 = crate::tree::sha256(&target)?;
        tree_fs::set(&target, Attributes { mtime: time_of(&sha256), ..Attributes::of(&meta) })?;
        if let Some((_, entry)) = entries.get_mut(&code.source) {
            entry.pyc = Some(Pyc { path: code.pyc.clone(), sha256 });
        }
    }
    Ok(interpreter)
}
