//! The distributions that a step installed, and which of their files a layer of their own could have.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::diff::{Change, Diff};
use super::other_code::OtherCode;
use crate::tree::fs::{Context as _, IoError, list};
use crate::wheel::{name, record};

/// No list of a distribution's files is longer, in bytes.
const MAX_RECORD: u64 = 64 << 20;

/// What an installer writes of its own into a `.dist-info`, and that differs from install to install.
const INSTALLERS: [&str; 6] =
    ["RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "provenance_url.json", "uv_cache.json"];

/// A distribution that a step installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dist {
    /// Name, as its `.dist-info` has it.
    pub name: String,
    /// Version.
    pub version: String,
    /// Absolute path of its `.dist-info`.
    pub dist_info: String,
    /// Bytes of the files that a layer of its own could have.
    pub bytes: u64,
}

/// One of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Absolute path.
    pub(super) path: String,
    /// The SHA-256 that RECORD has.
    pub(super) sha256: [u8; 32],
    /// Where its byte code is, if it has some.
    pub(super) pyc: Option<String>,
}

/// The distributions whose RECORD is new or another than before, by path.
///
/// # Errors
/// The operating system's.
pub(super) fn dists(diff: &Diff, after: &Path) -> Result<Vec<Dist>, IoError> {
    let others = OtherCode::of(diff, after)?;
    let mut found = Vec::new();
    for path in diff.changed.keys().filter(|path| path.ends_with("RECORD")) {
        let Some(dist_info) = path.parent().and_then(Path::to_str) else { continue };
        let Some(title) = dist_info.rsplit('/').next().and_then(|name| name.strip_suffix(".dist-info"))
        else {
            continue;
        };
        let Some((name, version)) = title.split_once('-') else { continue };
        let mut dist = Dist {
            name: name.to_owned(),
            version: version.to_owned(),
            dist_info: format!("/{dist_info}"),
            bytes: 0,
        };
        for part in parts(&dist, diff, &others, after)? {
            let paths = [Some(&part.path), part.pyc.as_ref()];
            dist.bytes += paths.into_iter().flatten().map(|path| size(diff, path)).sum::<u64>();
        }
        found.push(dist);
    }
    Ok(found)
}

fn size(diff: &Diff, path: &str) -> u64 {
    diff.changed.get(Path::new(&path[1..])).map_or(0, |change| change.now.size())
}

/// The files of a distribution that a layer of its own could have. What is left out here stays with what else the step
/// left: that is never wrong.
///
/// # Errors
/// The operating system's.
pub(super) fn parts(
    dist: &Dist,
    diff: &Diff,
    others: &OtherCode,
    after: &Path,
) -> Result<Vec<Part>, IoError> {
    let Some((lib, _)) = dist.dist_info.rsplit_once('/') else { return Ok(Vec::new()) };
    let listed = after.join(&dist.dist_info[1..]).join("RECORD");
    let meta = fs::symlink_metadata(&listed).context("look at", &listed)?;
    if !meta.is_file() || meta.size() > MAX_RECORD {
        return Ok(Vec::new());
    }
    let text = fs::read(&listed).context("read", &listed)?;
    let rows = std::str::from_utf8(&text).ok().and_then(|text| record::parse_installed("RECORD", text).ok());
    let Some(rows) = rows else { return Ok(Vec::new()) };
    let mut parts: BTreeMap<String, Part> = BTreeMap::new();
    let tag = cache_tag(lib, &rows);
    let mut caches = Caches::default();
    for [path, hash, _] in &rows {
        let Some(path) = absolute(lib, path) else { continue };
        let hash = hash.strip_prefix("sha256=").and_then(|hash| URL_SAFE_NO_PAD.decode(hash).ok());
        let Some(sha256) = hash.and_then(|hash| <[u8; 32]>::try_from(hash).ok()) else { continue };
        let own = path.strip_prefix(&dist.dist_info).and_then(|below| below.strip_prefix('/'));
        if own.is_some_and(|name| INSTALLERS.contains(&name)) || path.ends_with(".pyc") {
            continue;
        }
        if !is_ordinary(diff, &path) || others.name(diff, &path) || names_interpreter(lib, &path, after)? {
            continue;
        }
        let pyc = match caches.of(&path, tag.as_deref(), diff, after)? {
            Code::None => None,
            Code::At(pyc) => Some(pyc),
            Code::Odd => continue,
        };
        parts.insert(path.clone(), Part { path, sha256, pyc });
    }
    Ok(parts.into_values().collect())
}

/// `relative` as RECORD has it; none if it means another place to somebody.
fn absolute(lib: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> =
        if relative.starts_with('/') { Vec::new() } else { lib.split('/').skip(1).collect() };
    for part in relative.trim_start_matches('/').split('/') {
        match part {
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    name::check(&parts.join("/")).ok()?;
    Some(format!("/{}", parts.join("/")))
}

/// A regular file that the step made, with one name, in directories that are and were no links.
fn is_ordinary(diff: &Diff, path: &str) -> bool {
    let at = |path: &str| diff.changed.get(Path::new(&path[1..]));
    let was_none_or =
        |change: &Change, kind: fn(&fs::Metadata) -> bool| change.before.as_ref().is_none_or(kind);
    let Some(file) = at(path) else { return false };
    file.now.is_file()
        && file.now.nlink() == 1
        && file.now.mode() & 0o7000 == 0
        && was_none_or(file, |before| !before.is_dir())
        && name::ancestors(path).filter_map(at).all(|change| was_none_or(change, fs::Metadata::is_dir))
}

/// Whether it is a script whose first line an installer wrote: another one elsewhere.
fn names_interpreter(lib: &str, path: &str, after: &Path) -> Result<bool, IoError> {
    use std::io::Read as _;
    if Path::new(path).starts_with(lib) {
        return Ok(false);
    }
    let real = after.join(&path[1..]);
    let mut head = Vec::new();
    let mut file = fs::File::open(&real).context("open", &real)?.take(512);
    file.read_to_end(&mut head).context("read", &real)?;
    let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let first = String::from_utf8_lossy(first);
    let program = first.strip_prefix("#!").map(|line| line.split(' ').next().unwrap_or_default());
    let interpreter = program.is_some_and(|program| {
        program.starts_with('/') && program.rsplit('/').next().is_some_and(|name| name.starts_with("py"))
    });
    // A path that is too long for a first line.
    Ok(interpreter || head.starts_with(b"#!/bin/sh\n'''exec' "))
}

/// Where the byte code of a source is.
enum Code {
    None,
    At(String),
    /// Not where it is made again, or older than its source.
    Odd,
}

/// The names in directories of byte code, each read once.
#[derive(Default)]
struct Caches(HashMap<String, Option<Vec<OsString>>>);

impl Caches {
    /// None if it is something else than a directory.
    fn names(&mut self, directory: &str, after: &Path) -> Result<Option<&[OsString]>, IoError> {
        let names = match self.0.entry(directory.to_owned()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let real = after.join(&directory[1..]);
                new.insert(match fs::symlink_metadata(&real) {
                    Ok(meta) if meta.is_dir() => {
                        Some(list(&real)?.into_iter().map(|(name, _)| name).collect())
                    }
                    Ok(_) => None,
                    Err(_) => Some(Vec::new()),
                })
            }
        };
        Ok(names.as_deref())
    }

    fn of(&mut self, path: &str, tag: Option<&str>, diff: &Diff, after: &Path) -> Result<Code, IoError> {
        let Some((directory, stem)) = path.strip_suffix(".py").and_then(|path| path.rsplit_once('/')) else {
            return Ok(Code::None);
        };
        let Some(names) = self.names(&format!("{directory}/__pycache__"), after)? else {
            return Ok(Code::Odd);
        };
        let of_this = |name: &&OsString| {
            let rest = name.as_bytes().strip_prefix(stem.as_bytes());
            rest.is_some_and(|rest| rest.starts_with(b"."))
        };
        let mut names = names.iter().filter(of_this);
        let Some(only) = names.next() else { return Ok(Code::None) };
        let Some(expected) = tag.map(|tag| name::cache_path(path, tag)) else { return Ok(Code::Odd) };
        let is_expected = Path::new(&expected).file_name() == Some(only);
        if names.next().is_some() || !is_expected || !is_ordinary(diff, &expected) {
            return Ok(Code::Odd);
        }
        Ok(Code::At(expected))
    }
}

/// The interpreter's tag in the names of byte code: that of the directory `pythonX.Y`, else that of the byte code listed.
fn cache_tag(lib: &str, rows: &[record::Row]) -> Option<String> {
    let minor = lib.rsplit('/').find_map(|part| part.strip_prefix("python3."));
    if let Some(minor) = minor.filter(|minor| minor.bytes().all(|byte| byte.is_ascii_digit())) {
        return Some(format!("cpython-3{minor}"));
    }
    let code = rows.iter().find_map(|[path, ..]| path.rsplit_once("/__pycache__/")?.1.strip_suffix(".pyc"));
    code.and_then(|name| name.rsplit_once('.')).map(|(_, tag)| tag.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_record_lead_where_an_installer_puts_files() {
        let of = |path| absolute("/usr/local/lib/python3.11/site-packages", path);
        assert_eq!(of("a/b.py").as_deref(), Some("/usr/local/lib/python3.11/site-packages/a/b.py"));
        assert_eq!(of("../../../bin/x").as_deref(), Some("/usr/local/bin/x"));
        assert_eq!(of("/opt/x").as_deref(), Some("/opt/x"));
        assert_eq!(of("a/../b").as_deref(), Some("/usr/local/lib/python3.11/site-packages/b"));
        for path in ["../../../../../../x", "", "a//b", "./a", "a/./b", "a/", ".wh.x", "a\\b", "/../x"] {
            assert_eq!(of(path), None, "{path}");
        }
    }

    #[test]
    fn the_tag_is_that_of_the_interpreter() {
        let row = |path: &str| [path.to_owned(), String::new(), String::new()];
        let rows = [row("x.py"), row("a/__pycache__/x.cpython-312.pyc")];
        assert_eq!(cache_tag("/v/lib/python3.11/site-packages", &rows).as_deref(), Some("cpython-311"));
        assert_eq!(cache_tag("/deps", &rows).as_deref(), Some("cpython-312"));
        assert_eq!(cache_tag("/usr/lib/python3/dist-packages", &rows[..1]), None);
    }
}
