//! Python distributions (PyPA, "Recording installed projects").

use std::collections::BTreeMap;

use crate::layer::{Ecosystem, Package, path_key};

use super::{Room, fields, set};

/// What names the directory of a distribution.
const DIST_INFO: &[u8] = b".dist-info";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum File {
    Metadata,
    Record,
}

#[derive(Default)]
pub(super) struct Python {
    distributions: BTreeMap<Vec<u8>, Distribution>,
    /// Byte code: of the source file, and its own. RECORD doesn't list what was compiled after the installation.
    code: Vec<(u64, u64)>,
}

#[derive(Default)]
struct Distribution {
    /// Whether METADATA or RECORD is in this layer.
    described: bool,
    name: Option<String>,
    version: Option<String>,
    /// What is in its directory.
    own: Vec<u64>,
    /// What RECORD names.
    record: Option<Vec<u64>>,
}

impl Python {
    /// Any entry but directories and whiteouts.
    pub(super) fn entry(&mut self, path: &[u8], room: &mut Room) -> Option<File> {
        if let Some(source) = source(path) {
            if room.take(16) {
                self.code.push((path_key(&source), path_key(path)));
            }
            return None;
        }
        let (directory, file) = directory(path)?;
        if !self.distributions.contains_key(directory) {
            if !room.take(directory.len() + size_of::<Distribution>()) {
                return None;
            }
            self.distributions.insert(directory.to_vec(), Distribution::default());
        }
        let distribution = self.distributions.get_mut(directory)?;
        if room.take(8) {
            distribution.own.push(path_key(path));
        }
        let file = match file {
            b"METADATA" => File::Metadata,
            b"RECORD" => File::Record,
            _ => return None,
        };
        distribution.described = true;
        Some(file)
    }

    pub(super) fn content(&mut self, file: File, path: &[u8], content: &[u8], room: &mut Room) {
        let Some((directory, _)) = directory(path) else { return };
        let Some(distribution) = self.distributions.get_mut(directory) else { return };
        match file {
            File::Metadata => {
                // Behind the first blank line is the description.
                let blank = content.windows(2).position(|pair| pair == b"\n\n").unwrap_or(content.len());
                for (name, value) in fields(&content[..blank]) {
                    let slot = match name {
                        name if name.eq_ignore_ascii_case(b"Name") => &mut distribution.name,
                        name if name.eq_ignore_ascii_case(b"Version") => &mut distribution.version,
                        _ => continue,
                    };
                    if slot.is_none() && !value.is_empty() && room.take(value.len()) {
                        *slot = Some(value);
                    }
                }
            }
            File::Record => {
                let site = parent(directory);
                let mut keys = Vec::new();
                for name in names(content) {
                    if let Some(path) = resolve(site, &name)
                        && room.take(8)
                    {
                        keys.push(path_key(&path));
                    }
                }
                distribution.record = Some(keys);
            }
        }
    }

    pub(super) fn finish(mut self) -> Vec<Package> {
        self.code.sort_unstable();
        let code = self.code;
        let described = self.distributions.into_iter().filter(|(_, distribution)| distribution.described);
        described
            .map(|(directory, distribution)| {
                let (name, version) = named(&directory);
                let owns = distribution.record.map_or_else(Vec::new, |record| {
                    let compiled = record.iter().flat_map(|key| {
                        let first = code.partition_point(|(source, _)| source < key);
                        code[first..].iter().take_while(move |(source, _)| source == key).map(|pair| pair.1)
                    });
                    let compiled: Vec<u64> = compiled.collect();
                    set([record, compiled, distribution.own].concat())
                });
                Package {
                    ecosystem: Ecosystem::Python,
                    name: normalized(&distribution.name.unwrap_or(name)),
                    version: distribution.version.unwrap_or(version),
                    directory: String::from_utf8_lossy(&directory).into_owned(),
                    owns,
                }
            })
            .collect()
    }
}

/// The `.dist-info` of a file in it, at whatever depth, and the file's name from there.
fn directory(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut start = 0;
    for part in path.split(|byte| *byte == b'/') {
        let end = start + part.len();
        if part.len() > DIST_INFO.len() && part.ends_with(DIST_INFO) {
            return path.get(end + 1..).map(|file| (&path[..end], file));
        }
        start = end + 1;
    }
    None
}

/// The source of byte code: `D/__pycache__/NAME.TAG[.opt-N].pyc` is of `D/NAME.py` (PEP 3147, PEP 488).
fn source(path: &[u8]) -> Option<Vec<u8>> {
    let stem = path.strip_suffix(b".pyc")?;
    let slash = stem.iter().rposition(|byte| *byte == b'/')?;
    let directory = stem[..slash].strip_suffix(b"__pycache__")?;
    if !directory.is_empty() && !directory.ends_with(b"/") {
        return None;
    }
    let mut parts: Vec<&[u8]> = stem[slash + 1..].split(|byte| *byte == b'.').collect();
    if parts.len() > 2 && parts.last().is_some_and(|part| part.starts_with(b"opt-")) {
        parts.pop();
    }
    (parts.len() > 1).then(|| parts.pop());
    Some([directory, &parts.join(&b'.'), b".py"].concat())
}

fn parent(path: &[u8]) -> &[u8] {
    &path[..path.iter().rposition(|byte| *byte == b'/').unwrap_or(0)]
}

/// Where a name in RECORD leads; nothing if that is outside of the layer.
fn resolve(site: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let absolute = name.first() == Some(&b'/');
    let mut path = if absolute { Vec::new() } else { site.to_vec() };
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if path.is_empty() => return None,
            b".." => path.truncate(parent(&path).len()),
            _ => {
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(part);
            }
        }
    }
    (!path.is_empty()).then_some(path)
}

/// The first field of each row of a RECORD: CSV, where a name with a comma is quoted.
pub(crate) fn names(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        while let Some(b'\n' | b'\r') = rest.first() {
            rest = &rest[1..];
        }
        if rest.is_empty() {
            return None;
        }
        let mut name = Vec::new();
        if let Some(quoted) = rest.strip_prefix(b"\"") {
            rest = quoted;
            while let Some((byte, behind)) = rest.split_first() {
                rest = behind;
                match byte {
                    b'"' if rest.first() == Some(&b'"') => {
                        name.push(b'"');
                        rest = &rest[1..];
                    }
                    b'"' => break,
                    byte => name.push(*byte),
                }
            }
        } else {
            let end = rest.iter().position(|byte| matches!(byte, b',' | b'\n' | b'\r')).unwrap_or(rest.len());
            name.extend_from_slice(&rest[..end]);
            rest = &rest[end..];
        }
        let line = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        rest = &rest[line..];
        Some(name)
    })
}

/// Name and version of `NAME-VERSION.dist-info`.
fn named(directory: &[u8]) -> (String, String) {
    let name = directory.rsplit(|byte| *byte == b'/').next().unwrap_or(directory);
    let name = String::from_utf8_lossy(name.strip_suffix(DIST_INFO).unwrap_or(name));
    match name.rsplit_once('-') {
        Some((name, version)) => (name.to_owned(), version.to_owned()),
        None => (name.into_owned(), String::new()),
    }
}

/// PEP 503.
fn normalized(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for part in name.split(['-', '_', '.']).filter(|part| !part.is_empty()) {
        if !normal.is_empty() {
            normal.push('-');
        }
        normal.push_str(&part.to_lowercase());
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_code() {
        let of = |path: &str| source(path.as_bytes()).map(|path| String::from_utf8_lossy(&path).into_owned());
        assert_eq!(of("a/__pycache__/b.cpython-312.pyc").as_deref(), Some("a/b.py"));
        assert_eq!(of("__pycache__/b.cpython-312.opt-2.pyc").as_deref(), Some("b.py"));
        assert_eq!(of("a/__pycache__/b.c.pypy310.pyc").as_deref(), Some("a/b.c.py"));
        assert_eq!(of("a/__pycache__/b.pyc").as_deref(), Some("a/b.py"));
        assert_eq!(of("a/b.pyc"), None);
        assert_eq!(of("a/x__pycache__/b.cpython-312.pyc"), None);
    }

    #[test]
    fn records() {
        let text = b"a/b.py,sha256=x,1\r\n\"c,\"\"d.py\",,\n\n../../../bin/x,,\nlast";
        let found: Vec<Vec<u8>> = names(text).collect();
        assert_eq!(found, [&b"a/b.py"[..], b"c,\"d.py", b"../../../bin/x", b"last"]);
        assert_eq!(names(b"\"open").collect::<Vec<_>>(), [b"open".to_vec()]);
        let site = b"usr/lib/python3.12/site-packages";
        assert_eq!(resolve(site, b"../../../bin/x"), Some(b"usr/bin/x".to_vec()));
        assert_eq!(resolve(site, b"/opt/./x"), Some(b"opt/x".to_vec()));
        assert_eq!(resolve(b"", b"x"), Some(b"x".to_vec()));
        assert_eq!(resolve(site, b"../../../../../x"), None);
        assert_eq!(resolve(site, b"../../../.."), None);
    }

    #[test]
    fn names_of_directories() {
        assert_eq!(named(b"x/ruamel.yaml-0.18.dist-info"), ("ruamel.yaml".into(), "0.18".into()));
        assert_eq!(named(b"x.dist-info"), ("x".into(), String::new()));
        assert_eq!(normalized("Ruamel._Yaml"), "ruamel-yaml");
    }
}
