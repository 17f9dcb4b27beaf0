//! Stand-ins for the wheels of a lock: with them, pip resolves without an index.
//!
//! A stub has the name of its wheel and as much of its METADATA as decides what is installed. pip is pointed to the
//! directory of the stubs and to nothing else, so that each package has the version of the lock or none; it is pip's
//! own resolver that judges these, with its own rules and in its own order. In what it answers, the stubs are replaced by
//! the wheels that they stand for.
//!
//! That is what pip would have said of the index, on two conditions which `pip/helper.py` looks at: the step's index is
//! the lock's, and the interpreter is of the lock's platform, so that there is no wheel that it would rather have. If
//! pip finds no answer this way, the index is asked.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::lock::{Lock, Needs, Package};
use crate::pip::{Report, percent_decode};
use crate::uv::Wheels;

/// The index that pip asks if nobody says otherwise.
pub(super) const DEFAULT_INDEX: &str = "https://pypi.org/simple";

/// Stubs in a directory.
#[derive(Clone, Debug)]
pub(super) struct Stubs {
    directory: PathBuf,
    /// By file name: address and SHA-256 of the wheel.
    wheels: BTreeMap<String, (String, String)>,
    /// On which conditions they can be used.
    conditions: Conditions,
}

#[derive(Clone, Debug, Serialize)]
struct Conditions {
    index: String,
    default_index: &'static str,
    machine: String,
    glibc: String,
}

impl Stubs {
    /// Writes the stubs for some versions (`name==version`) into a new directory of `scratch`. None if the lock doesn't
    /// say enough.
    pub(super) fn write(
        lock: &Lock,
        python: &str,
        pins: &[String],
        scratch: &Path,
    ) -> io::Result<Option<Self>> {
        let (Some(index), Some((machine, glibc))) = (&lock.index, platform(&lock.platform)) else {
            return Ok(None);
        };
        let directory = scratch.join("stubs");
        std::fs::create_dir(&directory)?;
        let mut wheels = BTreeMap::new();
        let packages = lock.package.iter().filter(|package| package.python == python);
        for package in
            packages.filter(|package| pins.contains(&format!("{}=={}", package.name, package.version)))
        {
            let (Some(needs), Some(file)) = (&package.needs, filename(package)) else { continue };
            stub(&directory.join(&file), &file, package, needs)?;
            wheels.insert(file, (package.url.clone(), package.sha256.clone()));
        }
        let index = index.trim_end_matches('/').to_owned();
        let conditions = Conditions { index, default_index: DEFAULT_INDEX, machine, glibc };
        Ok(Some(Self { directory, wheels, conditions }))
    }

    /// The index that they stand for, without a slash at its end.
    pub(super) fn index(&self) -> &str {
        &self.conditions.index
    }

    /// For uv.
    pub(super) fn wheels(&self) -> Wheels<'_> {
        let Conditions { machine, glibc, .. } = &self.conditions;
        Wheels { directory: &self.directory, known: &self.wheels, machine, glibc }
    }

    /// For `pip/helper.py`.
    pub(super) fn argument(&self) -> String {
        let directory = self.directory.to_string_lossy();
        serde_json::json!({ "directory": directory, "conditions": self.conditions }).to_string()
    }

    /// Puts the wheels in the place of the stubs.
    ///
    /// # Errors
    /// If something else is in the report.
    pub(super) fn replace(&self, report: &mut Report) -> Result<(), String> {
        for item in &mut report.install {
            let url = item.download_info.get("url").and_then(|url| url.as_str()).unwrap_or_default();
            let path = url.strip_prefix("file://").and_then(percent_decode).unwrap_or_default();
            let file = Path::new(&path).strip_prefix(&self.directory).ok().and_then(|file| file.to_str());
            let Some((url, sha256)) = file.and_then(|file| self.wheels.get(file)) else {
                return Err(format!("{} is not from the lock", item.metadata.name));
            };
            item.download_info =
                serde_json::json!({ "url": url, "archive_info": { "hashes": { "sha256": sha256 } } });
        }
        Ok(())
    }
}

/// Machine and glibc of uv's name of a platform, such as `x86_64-manylinux_2_36`.
pub(super) fn platform(name: &str) -> Option<(String, String)> {
    let (machine, version) = name.split_once("-manylinux_")?;
    let (major, minor) = version.split_once('_')?;
    let number = |text: &str| text.parse::<u32>().is_ok();
    (number(major) && number(minor)).then(|| (machine.to_owned(), format!("{major}.{minor}")))
}

/// The file name of a wheel.
pub(super) fn filename(package: &Package) -> Option<String> {
    let file = percent_decode(package.url.rsplit('/').next()?)?;
    (file.ends_with(".whl") && !file.contains(['/', '\0']) && !file.starts_with('.')).then_some(file)
}

fn stub(path: &Path, file: &str, package: &Package, needs: &Needs) -> io::Result<()> {
    let mut metadata = format!("Metadata-Version: 2.1\nName: {}\nVersion: {}\n", needs.name, package.version);
    let lines = needs.python.iter().map(|python| format!("Requires-Python: {python}\n"));
    let lines = lines.chain(needs.requires.iter().map(|text| format!("Requires-Dist: {text}\n")));
    metadata.extend(lines.chain(needs.extras.iter().map(|extra| format!("Provides-Extra: {extra}\n"))));
    // As its file name has them.
    let mut parts = file.split('-');
    let info = format!("{}-{}.dist-info", parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let wheel = "Wheel-Version: 1.0\nGenerator: plinth\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    let mut archive = ZipWriter::new(File::create(path)?);
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, content) in [("METADATA", metadata.as_str()), ("WHEEL", wheel), ("RECORD", "")] {
        archive.start_file(format!("{info}/{name}"), options)?;
        archive.write_all(content.as_bytes())?;
    }
    archive.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn platforms() {
        assert_eq!(platform("x86_64-manylinux_2_36"), Some(("x86_64".to_owned(), "2.36".to_owned())));
        for other in ["linux", "x86_64-unknown-linux-gnu", "x86_64-manylinux2014", "x86_64-manylinux_2_x"] {
            assert_eq!(platform(other), None, "{other}");
        }
    }

    #[test]
    fn stubs_stand_for_wheels() {
        let mut lock = Lock::new("x86_64-manylinux_2_36");
        let needs = |name: &str| Needs {
            name: name.to_owned(),
            python: Some(">=3.8".to_owned()),
            requires: vec!["b>=1".to_owned()],
            extras: vec!["x".to_owned()],
        };
        for name in ["a", "b"] {
            lock.package.push(Package {
                python: "3.11".to_owned(),
                name: name.to_owned(),
                version: "1".to_owned(),
                url: format!("https://h/p/{name}-1%2Blocal-py3-none-any.whl"),
                sha256: "0".repeat(64),
                size: None,
                apart: false,
                needs: Some(needs(name)),
            });
        }
        let scratch = tempfile::tempdir().unwrap();
        // The lock doesn't say which index it is from.
        assert!(Stubs::write(&lock, "3.11", &["a==1".to_owned()], scratch.path()).unwrap().is_none());
        lock.index = Some("https://h/simple/".to_owned());
        let stubs = Stubs::write(&lock, "3.11", &["a==1".to_owned()], scratch.path()).unwrap().unwrap();
        let names: Vec<_> = std::fs::read_dir(scratch.path().join("stubs")).unwrap().collect();
        assert_eq!(names.len(), 1);
        assert!(stubs.argument().contains("\"index\":\"https://h/simple\""), "{}", stubs.argument());
        let report = |url: &str| {
            let item = serde_json::json!({ "download_info": { "url": url, "archive_info": {} }, "is_direct": false,
                "requested": true, "metadata": { "name": "a", "version": "1" } });
            Report::parse(&serde_json::json!({ "version": "1", "install": [item] }).to_string()).unwrap()
        };
        let path = scratch.path().join("stubs/a-1%2Blocal-py3-none-any.whl");
        let mut found = report(&format!("file://{}", path.display()));
        stubs.replace(&mut found).unwrap();
        let wheel = found.install[0].distribution(true, false).unwrap();
        assert_eq!(wheel.url, "https://h/p/a-1%2Blocal-py3-none-any.whl");
        assert_eq!((wheel.filename.as_str(), wheel.sha256.len()), ("a-1+local-py3-none-any.whl", 64));
        assert!(stubs.replace(&mut report("https://h/a.whl")).is_err());
    }
}
