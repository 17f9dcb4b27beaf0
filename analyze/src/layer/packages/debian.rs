//! Packages of dpkg (dpkg(1), "FILES"; deb-control(5)), and of distroless images, which keep them one by one.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::layer::{Ecosystem, Package, path_key};

use super::{Room, fields, set};

const STATUS: &[u8] = b"var/lib/dpkg/status";
const INFO: &[u8] = b"var/lib/dpkg/info/";
const STATUS_D: &[u8] = b"var/lib/dpkg/status.d/";

/// Top directories that are links to the same below `usr` in a merged system. Lists can have either name.
const MERGED: [&[u8]; 6] = [b"bin/", b"sbin/", b"lib/", b"lib32/", b"lib64/", b"libx32/"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum File {
    /// All packages of the system.
    Status,
    /// The files of one package.
    List,
    /// One package of a distroless image.
    One,
    /// Its files.
    Sums,
}

#[derive(Default)]
pub(super) struct Debian {
    status: Option<Vec<Stanza>>,
    /// By the name of the list, which may end in `:ARCHITECTURE`.
    lists: BTreeMap<String, Vec<u64>>,
    /// By the name in `status.d`.
    ones: BTreeMap<String, One>,
    /// What else lies beside the lists or in `status.d`, by name.
    own: BTreeMap<String, Vec<u64>>,
}

#[derive(Default)]
struct One {
    stanza: Option<Stanza>,
    files: Vec<u64>,
}

#[derive(Clone)]
struct Stanza {
    name: String,
    version: String,
    architecture: String,
}

impl Debian {
    /// Any entry but directories and whiteouts.
    pub(super) fn entry(&mut self, path: &[u8], room: &mut Room) -> Option<File> {
        if path == STATUS {
            return Some(File::Status);
        }
        let (name, file) = parts(path)?;
        if room.take(name.len() + 48) {
            self.own.entry(name).or_default().push(path_key(path));
        }
        file
    }

    pub(super) fn content(&mut self, file: File, path: &[u8], content: &[u8], room: &mut Room) {
        if file == File::Status {
            let mut packages = stanzas(content);
            packages.retain(|package| {
                room.take(
                    package.name.len()
                        + package.version.len()
                        + package.architecture.len()
                        + size_of::<Stanza>(),
                )
            });
            self.status = Some(packages);
            return;
        }
        let Some((name, _)) = parts(path) else { return };
        match file {
            File::List => {
                let lines = content.split(|byte| *byte == b'\n');
                let files = files(lines.filter_map(|line| line.strip_prefix(b"/")), room);
                self.lists.insert(name, files);
            }
            File::Sums => {
                // `DIGEST  PATH`
                let paths = content.split(|byte| *byte == b'\n').filter_map(|line| {
                    let path = line.get(line.iter().position(|byte| *byte == b' ')?..)?;
                    Some(path.trim_ascii_start())
                });
                let files = files(paths, room);
                self.ones.entry(name).or_default().files = files;
            }
            File::One => {
                let stanza = stanzas(content).into_iter().next();
                if room.take(size_of::<One>() + content.len().min(1024)) {
                    self.ones.entry(name).or_default().stanza = stanza;
                }
            }
            File::Status => {}
        }
    }

    pub(super) fn finish(mut self, notes: &mut Vec<String>) -> Vec<Package> {
        let package = |name: String, version: String, owns: Vec<u64>| Package {
            ecosystem: Ecosystem::Debian,
            name,
            version,
            directory: String::new(),
            owns: set(owns),
        };
        let status = self.status.map(|status| {
            let mut by_name = HashMap::<String, Vec<Stanza>>::new();
            for stanza in status {
                by_name.entry(stanza.name.clone()).or_default().push(stanza);
            }
            by_name
        });
        let (mut packages, mut unknown) = (Vec::new(), 0);
        for (listed, mut owns) in self.lists {
            let (name, architecture) = match listed.split_once(':') {
                Some((name, architecture)) => (name, Some(architecture)),
                None => (&listed[..], None),
            };
            let version = match &status {
                // Of a package that was removed, the list stays, with the files of its configuration.
                Some(status) => status.get(name).and_then(|stanzas| {
                    let wanted =
                        |stanza: &&Stanza| architecture.is_none_or(|wanted| stanza.architecture == wanted);
                    stanzas.iter().find(wanted).map(|stanza| stanza.version.clone())
                }),
                None => {
                    unknown += 1;
                    Some(String::new())
                }
            };
            if let Some(version) = version {
                owns.extend(self.own.remove(&listed).unwrap_or_default());
                packages.push(package(name.to_owned(), version, owns));
            }
        }
        for (file, one) in self.ones {
            if let Some(stanza) = one.stanza {
                let own = self.own.remove(&file).unwrap_or_default();
                packages.push(package(stanza.name, stanza.version, [one.files, own].concat()));
            }
        }
        if unknown > 0 {
            notes.push(format!(
                "{unknown} Debian packages without their versions, since dpkg's status isn't in this layer"
            ));
        }
        packages
    }
}

/// The package's name as files spell it, and what the file is.
fn parts(path: &[u8]) -> Option<(String, Option<File>)> {
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    if let Some(file) = path.strip_prefix(INFO) {
        let dot = file.iter().rposition(|byte| *byte == b'.')?;
        return Some((text(&file[..dot]), (&file[dot..] == b".list").then_some(File::List)));
    }
    let file = path.strip_prefix(STATUS_D)?;
    Some(match file.strip_suffix(b".md5sums") {
        Some(name) => (text(name), Some(File::Sums)),
        None => (text(file), Some(File::One)),
    })
}

/// Those packages that are installed, or whose stanza has no word on it.
fn stanzas(text: &[u8]) -> Vec<Stanza> {
    let mut packages = Vec::new();
    for stanza in split_blank(text) {
        let (mut name, mut version, mut architecture, mut installed) = (None, None, None, true);
        for (field, value) in fields(stanza) {
            match field {
                b"Package" => name = Some(value),
                b"Version" => version = Some(value),
                b"Architecture" => architecture = Some(value),
                b"Status" => installed = value.split_ascii_whitespace().nth(2) == Some("installed"),
                _ => {}
            }
        }
        if let Some(name) = name.filter(|_| installed) {
            packages.push(Stanza {
                name,
                version: version.unwrap_or_default(),
                architecture: architecture.unwrap_or_default(),
            });
        }
    }
    packages
}

/// Paragraphs.
fn split_blank(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.windows(2).position(|pair| pair == b"\n\n").unwrap_or(rest.len());
        let (stanza, behind) = rest.split_at(end);
        rest = behind.get(2..).unwrap_or_default();
        Some(stanza)
    })
}

/// The keys of a list's files. A directory stands in a list as its files do, and is left out: it belongs to every package
/// that has something in it.
fn files<'a>(paths: impl Iterator<Item = &'a [u8]>, room: &mut Room) -> Vec<u64> {
    let (mut keys, mut directories) = (Vec::new(), HashSet::new());
    for path in paths {
        let path = path.strip_prefix(b"./").unwrap_or(path);
        if path.is_empty() || path == b"." || !room.take(8) {
            continue;
        }
        keys.push(path_key(path));
        if let Some(slash) = path.iter().rposition(|byte| *byte == b'/') {
            directories.insert(path_key(&path[..slash]));
        }
        if MERGED.iter().any(|top| path.starts_with(top)) && room.take(8) {
            let merged = [b"usr/", path].concat();
            keys.push(path_key(&merged));
            if let Some(slash) = merged.iter().rposition(|byte| *byte == b'/') {
                directories.insert(path_key(&merged[..slash]));
            }
        }
    }
    keys.retain(|key| !directories.contains(key));
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let mut room = Room { left: 1 << 20, all: 1 << 20, refused: false };
        let paths =
            [&b"."[..], b"lib", b"lib/x", b"lib/x/a.so", b"etc", b"etc/a", b"usr", b"usr/bin", b"usr/bin/a"];
        let keys = set(files(paths.into_iter(), &mut room));
        let wanted = [&b"lib/x/a.so"[..], b"usr/lib/x/a.so", b"etc/a", b"usr/bin/a"];
        assert_eq!(keys, set(wanted.iter().map(|path| path_key(path)).collect()));
    }

    #[test]
    fn status() {
        let text = b"Package: a\nStatus: install ok installed\nVersion: 1\nDescription: x\n Package: no\n\n\
            Package: b\nStatus: deinstall ok config-files\nVersion: 2\n\nPackage: c\nVersion: 3\nArchitecture: all\n";
        let found: Vec<_> = stanzas(text).into_iter().map(|found| (found.name, found.version)).collect();
        assert_eq!(found, [("a".into(), "1".into()), ("c".into(), "3".into())] as [(String, String); 2]);
    }
}
