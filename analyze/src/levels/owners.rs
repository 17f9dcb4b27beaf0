//! Whose a file is: of which package, by the packages' own records.

use std::collections::HashMap;

use crate::layer::{Content, Ecosystem, Package, path_key};

/// Packages, and the paths that are theirs.
#[derive(Default)]
pub(super) struct Owners {
    /// The packages, without the keys of their paths.
    pub(super) packages: Vec<Package>,
    by_path: HashMap<u64, u32>,
    /// By a directory that is theirs as a whole.
    by_directory: HashMap<Vec<u8>, u32>,
}

impl Owners {
    /// Adds the packages of a layer. What is known already stays as it is.
    pub(super) fn add(&mut self, content: &Content) {
        for package in &content.packages {
            let directory = package.directory.as_bytes();
            // A record that lies in another layer than its METADATA is the same package's.
            let known = self.by_directory.get(directory).filter(|_| !directory.is_empty()).copied();
            let at = known.unwrap_or_else(|| {
                self.packages.push(Package { owns: Vec::new(), ..package.clone() });
                self.packages.len() as u32 - 1
            });
            if !directory.is_empty() {
                self.by_directory.insert(directory.to_vec(), at);
            }
            for key in &package.owns {
                self.by_path.entry(*key).or_insert(at);
            }
        }
    }

    /// The package of a file, by its place in [`Self::packages`].
    pub(super) fn of(&self, path: &[u8]) -> Option<u32> {
        if let Some(at) = self.by_path.get(&path_key(path)) {
            return Some(*at);
        }
        self.by_directory.get(directory_of(path)?).copied()
    }
}

/// The directory that is one package's, of those around a path: a `.dist-info`, or an npm package's own.
fn directory_of(path: &[u8]) -> Option<&[u8]> {
    const MODULES: &[u8] = b"node_modules/";
    if let Some(at) = path.windows(MODULES.len()).rposition(|window| window == MODULES) {
        let start = at + MODULES.len();
        let slash = |from: usize| path[from..].iter().position(|byte| *byte == b'/').map(|at| from + at);
        let mut end = slash(start)?;
        if path[start] == b'@' {
            end = slash(end + 1)?;
        }
        return Some(&path[..end]);
    }
    let parent = &path[..path.iter().rposition(|byte| *byte == b'/')?];
    const INFO: &[u8] = b".dist-info/";
    let at = path.windows(INFO.len()).position(|window| window == INFO);
    Some(at.map_or(parent, |at| &path[..at + INFO.len() - 1]))
}

/// The directory that a distribution is installed in: that of its `.dist-info`.
pub(super) fn site(package: &Package) -> &str {
    match package.ecosystem {
        Ecosystem::Python => package.directory.rsplit_once('/').map_or("", |(site, _)| site),
        Ecosystem::Npm => &package.directory,
        Ecosystem::Debian => "",
    }
}

/// What of a distribution differs from install to install: what pip writes beside the wheel's own files.
///
/// These are RECORD, INSTALLER, REQUESTED and `direct_url.json` of the `.dist-info`, and what is outside of the
/// directory that it is installed in: scripts with the path of an interpreter in them.
pub(super) fn is_record(package: &Package, path: &[u8]) -> bool {
    if package.ecosystem != Ecosystem::Python {
        return false;
    }
    let Some(inside) = path.strip_prefix(site(package).as_bytes()) else { return true };
    let name = inside.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    path.strip_prefix(package.directory.as_bytes()).is_some_and(|inside| inside.starts_with(b"/"))
        && matches!(name, b"RECORD" | b"INSTALLER" | b"REQUESTED" | b"direct_url.json")
}

/// Whether a path is one of byte code. Its bytes needn't be the same where the source is.
pub(super) fn is_byte_code(path: &[u8]) -> bool {
    path.ends_with(b".pyc")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(ecosystem: Ecosystem, directory: &str, owned: &[&str]) -> Package {
        let mut owns: Vec<u64> = owned.iter().map(|path| path_key(path.as_bytes())).collect();
        owns.sort_unstable();
        Package { ecosystem, name: "x".into(), version: "1".into(), directory: directory.into(), owns }
    }

    #[test]
    fn directories_that_are_one_packages() {
        let of = |path: &str| directory_of(path.as_bytes()).map(|d| String::from_utf8_lossy(d).into_owned());
        assert_eq!(of("app/node_modules/a/lib/x.js").as_deref(), Some("app/node_modules/a"));
        assert_eq!(
            of("node_modules/a/node_modules/@b/c/x.js").as_deref(),
            Some("node_modules/a/node_modules/@b/c")
        );
        assert_eq!(of("node_modules/.package-lock.json"), None);
        assert_eq!(of("s/x-1.dist-info/licenses/a/LICENSE").as_deref(), Some("s/x-1.dist-info"));
        assert_eq!(of("s/x-1.dist-info/METADATA").as_deref(), Some("s/x-1.dist-info"));
        assert_eq!(of("top"), None);
    }

    #[test]
    fn a_record_in_another_layer_is_of_the_same_package() {
        let content = |packages| Content {
            compression: crate::layer::Compression::None,
            stored: 0,
            diff_id: crate::digest::Digest([0; 32]),
            uncompressed: 0,
            canonical: crate::digest::Digest([0; 32]),
            entries: 0,
            files: 0,
            file_bytes: 0,
            packages,
            notes: Vec::new(),
        };
        let mut owners = Owners::default();
        owners.add(&content(vec![package(Ecosystem::Python, "s/x-1.dist-info", &[])]));
        assert_eq!(owners.of(b"s/x.py"), None);
        assert_eq!(owners.of(b"s/x-1.dist-info/METADATA"), Some(0));
        owners.add(&content(vec![package(Ecosystem::Python, "s/x-1.dist-info", &["s/x.py"])]));
        assert_eq!(owners.of(b"s/x.py"), Some(0));
        assert_eq!(owners.packages.len(), 1);
    }

    #[test]
    fn what_differs_from_install_to_install() {
        let package = package(Ecosystem::Python, "v/lib/site-packages/x-1.dist-info", &[]);
        for (path, record) in [
            ("v/lib/site-packages/x.py", false),
            ("v/lib/site-packages/x-1.dist-info/METADATA", false),
            ("v/lib/site-packages/x-1.dist-info/RECORD", true),
            ("v/lib/site-packages/x/RECORD", false),
            ("v/bin/x", true),
        ] {
            assert_eq!(is_record(&package, path.as_bytes()), record, "{path}");
        }
    }
}
