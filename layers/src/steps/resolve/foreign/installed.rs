//! The distributions that are there, by their `.dist-info`.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr as _;

use pep440_rs::Version;

use super::python::{PREFIX, Release};
use crate::facts::RootFs;
use crate::wheel::{headers, name};

/// A distribution that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Installed {
    /// As METADATA spells it.
    pub(super) name: String,
    pub(super) version: Version,
    /// As METADATA spells it.
    pub(super) version_text: String,
    /// The values of `Requires-Dist`.
    pub(super) requires: Vec<String>,
    /// The extras that it has.
    pub(super) extras: Vec<String>,
    /// The directory that describes it.
    pub(super) info: String,
    pub(super) has_record: bool,
}

/// All of them, by normalized name. `by_script`: pip looks beside its script too.
///
/// # Errors
/// If there are some of another kind, or in other places, so that it isn't clear what pip would make of them.
pub(super) fn read(
    fs: &RootFs<'_>,
    python: &Release,
    by_script: bool,
) -> Result<BTreeMap<String, Installed>, String> {
    let (stdlib, site) = (python.stdlib(), python.site());
    let mut elsewhere = vec![stdlib.clone(), format!("{stdlib}/lib-dynload")];
    if by_script {
        elsewhere.push(format!("{PREFIX}/bin"));
    }
    let names = |directory: &str| {
        let names = fs.names(Path::new(directory)).into_iter();
        names.map(|name| name.to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    // `importlib.metadata` takes them in any case.
    let describes = |name: &str| {
        let name = name.to_ascii_lowercase();
        [".dist-info", ".egg-info", ".egg", ".egg-link"].iter().any(|ending| name.ends_with(ending))
    };
    for directory in elsewhere {
        if let Some(name) = names(&directory).into_iter().find(|name| describes(name)) {
            return Err(format!("there is {directory}/{name}"));
        }
    }
    let mut found = BTreeMap::new();
    for name in names(&site).into_iter().filter(|name| describes(name)) {
        let info = format!("{site}/{name}");
        let stem = name.strip_suffix(".dist-info").filter(|stem| !stem.starts_with(['~', '-']));
        let (Some(stem), true) = (stem, fs.is_directory_itself(Path::new(&info))) else {
            return Err(format!("{info} is an installed distribution of an unusual form"));
        };
        let installed = describe(fs, &info, stem)?;
        let key = name::canonical(&installed.name);
        if found.insert(key, installed).is_some() {
            return Err(format!("{stem} is installed twice"));
        }
    }
    Ok(found)
}

fn describe(fs: &RootFs<'_>, info: &str, stem: &str) -> Result<Installed, String> {
    let unclear = || format!("{info} doesn't say clearly what it is");
    let file = format!("{info}/METADATA");
    let bytes = fs.read(Path::new(&file), 4 << 20).ok_or_else(unclear)?;
    let text = String::from_utf8(bytes).map_err(|_| unclear())?;
    let needs = headers::needs(&file, &text).map_err(|_| unclear())?;
    let version = Version::from_str(&needs.version).map_err(|_| unclear())?;
    // Its directory must say the same.
    let (name, number) = stem.rsplit_once('-').ok_or_else(unclear)?;
    let same = name::canonical(name) == name::canonical(&needs.name)
        && Version::from_str(number).is_ok_and(|number| number == version);
    if !same {
        return Err(unclear());
    }
    Ok(Installed {
        name: needs.name,
        version,
        version_text: needs.version,
        requires: needs.requires,
        extras: needs.extras,
        info: info.to_owned(),
        has_record: fs.open(&Path::new(info).join("RECORD")).is_ok(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn descriptions_in_any_case_are_seen() {
        let root = tempfile::tempdir().unwrap();
        let python = Release::new("3.11.2");
        let inside = |path: &str| root.path().join(path.trim_start_matches('/'));
        let site = inside(&python.site());
        let plain = site.join("A_b-1.0.dist-info");
        std::fs::create_dir_all(&plain).unwrap();
        std::fs::write(plain.join("METADATA"), "Name: a-b\nVersion: 1.0\nProvides-Extra: x\n").unwrap();
        let found = read(&RootFs::new(root.path()), &python, true).unwrap();
        assert_eq!(found["a-b"].extras, ["x"]);
        for odd in ["c-1.DIST-INFO", "c-1.Dist-Info", "c.EGG-info"] {
            std::fs::create_dir(site.join(odd)).unwrap();
            let refused = read(&RootFs::new(root.path()), &python, true).unwrap_err();
            assert!(refused.contains(odd), "{refused}");
            std::fs::remove_dir(site.join(odd)).unwrap();
        }
        let beside = inside("/usr/local/bin/d.Egg-Info");
        std::fs::create_dir_all(&beside).unwrap();
        assert!(read(&RootFs::new(root.path()), &python, true).is_err());
        assert!(read(&RootFs::new(root.path()), &python, false).is_ok());
    }
}
