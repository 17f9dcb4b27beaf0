//! Packages below `node_modules`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::layer::{Ecosystem, Package};

use super::Room;

#[derive(Default)]
pub(super) struct Npm {
    /// Name and version, by directory.
    found: BTreeMap<Vec<u8>, (String, String)>,
    broken: u64,
}

/// What is read of a `package.json`. Others' values needn't be what they should.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    name: Value,
    #[serde(default)]
    version: Value,
}

impl Npm {
    pub(super) fn content(&mut self, path: &[u8], content: &[u8], room: &mut Room) {
        let Some((directory, name)) = directory(path) else { return };
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        let Ok(manifest) = serde_json::from_slice::<Manifest>(content) else {
            self.broken += 1;
            return;
        };
        let text = |value: Value| match value {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => None,
        };
        let name = text(manifest.name).unwrap_or_else(|| String::from_utf8_lossy(name).into_owned());
        let version = text(manifest.version).unwrap_or_default();
        if room.take(directory.len() + name.len() + version.len() + 100) {
            self.found.insert(directory.to_vec(), (name, version));
        }
    }

    pub(super) fn finish(self, notes: &mut Vec<String>) -> Vec<Package> {
        if self.broken > 0 {
            notes.push(format!("{} package.json below node_modules that are no JSON objects", self.broken));
        }
        let package = |(directory, (name, version)): (Vec<u8>, (String, String))| Package {
            ecosystem: Ecosystem::Npm,
            name,
            version,
            directory: String::from_utf8_lossy(&directory).into_owned(),
            owns: Vec::new(),
        };
        self.found.into_iter().map(package).collect()
    }
}

/// Directory and name of the package whose `package.json` it is: `…/node_modules/[@SCOPE/]NAME/package.json`.
pub(super) fn directory(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let directory = path.strip_suffix(b"/package.json")?;
    let mut parts = directory.rsplitn(4, |byte| *byte == b'/');
    let (name, above) = (parts.next()?, parts.next()?);
    if above == b"node_modules" {
        return Some((directory, name)).filter(|_| !name.starts_with(b"@") && !name.starts_with(b"."));
    }
    let scoped = above.starts_with(b"@") && parts.next() == Some(b"node_modules");
    scoped.then(|| (directory, &directory[directory.len() - name.len() - above.len() - 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories() {
        let of = |path: &'static str| directory(path.as_bytes());
        assert_eq!(of("app/node_modules/a/package.json"), Some((&b"app/node_modules/a"[..], &b"a"[..])));
        assert_eq!(of("node_modules/@s/a/package.json"), Some((&b"node_modules/@s/a"[..], &b"@s/a"[..])));
        assert_eq!(of("node_modules/a/lib/package.json"), None);
        assert_eq!(of("node_modules/package.json"), None);
        assert_eq!(of("node_modules/@s/package.json"), None);
        assert_eq!(of("app/package.json"), None);
    }
}
