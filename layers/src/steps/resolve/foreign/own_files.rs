//! Whether pip is as it was installed: what a patched one would do isn't known.
//!
//! By its own RECORD, which is no proof against somebody who means harm, but shows what was changed by hand. Byte code in
//! `__pycache__` is taken for that of its source.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::python::Release;
use crate::facts::RootFs;
use crate::wheel::record;

/// Files that a pip has at most; it has about 500.
const FILES: usize = 4_000;

/// Bytes that a file of pip's has at most.
const SIZE: u64 = 8 << 20;

/// Compares the files of pip with its RECORD.
///
/// # Errors
/// If one was changed, added, or taken away. One clause.
pub(super) fn check(fs: &RootFs<'_>, python: &Release, version: &str) -> Result<(), String> {
    let site = python.site();
    let file = format!("{site}/pip-{version}.dist-info/RECORD");
    let text = fs.read(Path::new(&file), SIZE).and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.ok_or_else(|| format!("there is no {file}"))?;
    let rows = record::parse_installed(&file, &text).map_err(|_| format!("{file} can't be read"))?;
    // By path below `site`; none is written for byte code.
    let mut listed: BTreeMap<String, String> = BTreeMap::new();
    for [path, hash, _] in rows {
        if let (true, Some(hash)) = (path.starts_with("pip/"), hash.strip_prefix("sha256=")) {
            listed.insert(path, hash.to_owned());
        }
    }
    let mut left = vec!["pip".to_owned()];
    let mut seen = 0;
    while let Some(directory) = left.pop() {
        for name in fs.names(&Path::new(&site).join(&directory)) {
            seen += 1;
            let name = name.to_str().filter(|_| seen <= FILES).ok_or("its pip has unusual files")?;
            let path = format!("{directory}/{name}");
            let full = format!("{site}/{path}");
            if fs.is_directory_itself(Path::new(&full)) {
                if name != "__pycache__" {
                    left.push(path);
                }
                continue;
            }
            let hash = fs.physical(Path::new(&full)).filter(|physical| *physical == Path::new(&full));
            let hash = hash.and_then(|_| fs.read(Path::new(&full), SIZE));
            let hash = hash.map(|bytes| URL_SAFE_NO_PAD.encode(Sha256::digest(bytes)));
            if hash.is_none() || listed.remove(&path) != hash {
                return Err(format!("{full} isn't as pip was installed"));
            }
        }
    }
    // Docker's images leave tests out.
    let is_test = |path: &str| path.split('/').any(|part| ["test", "tests"].contains(&part));
    match listed.keys().find(|path| !is_test(path)) {
        Some(path) => Err(format!("there is no {site}/{path}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_changed_pip_is_seen() {
        let root = tempfile::tempdir().unwrap();
        let python = Release::new("3.11.2");
        let site = root.path().join(python.site().trim_start_matches('/'));
        let write = |path: &str, text: &str| {
            let path = site.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let check = || check(&RootFs::new(root.path()), &python, "24.0");
        assert!(check().unwrap_err().ends_with("pip-24.0.dist-info/RECORD"));
        let hash = |text: &str| URL_SAFE_NO_PAD.encode(Sha256::digest(text));
        let row = |path: &str| format!("{path},sha256={},1\n", hash("x"));
        let rows =
            ["pip/__init__.py", "pip/_internal/a.py", "pip/_vendor/tests/b.py", "pip-24.0.dist-info/WHEEL"];
        let rows: String = rows.into_iter().map(row).collect();
        write("pip-24.0.dist-info/RECORD", &format!("{rows}pip/__pycache__/__init__.cpython-311.pyc,,\n"));
        write("pip/__init__.py", "x");
        write("pip/__pycache__/__init__.cpython-311.pyc", "x");
        assert!(check().unwrap_err().contains("there is no"));
        write("pip/_internal/a.py", "x");
        assert_eq!(check(), Ok(()));
        for other in ["pip/_internal/c.py", "pip/_internal/a.pyc", "pip/new/__init__.py"] {
            write(other, "x");
            assert!(check().unwrap_err().contains(other), "{other}");
            std::fs::remove_file(site.join(other)).unwrap();
        }
        write("pip/_internal/a.py", "y");
        assert!(check().unwrap_err().contains("pip/_internal/a.py isn't as pip was installed"));
        std::fs::remove_file(site.join("pip/_internal/a.py")).unwrap();
        write("a.py", "x");
        std::os::unix::fs::symlink("../../a.py", site.join("pip/_internal/a.py")).unwrap();
        assert!(check().unwrap_err().contains("pip/_internal/a.py isn't as pip was installed"));
    }
}
