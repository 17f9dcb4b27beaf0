//! Python interpreters of a root file system, and what identifies one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{PythonFacts, RootFs};

/// Why an interpreter has no fingerprint.
#[derive(Debug, thiserror::Error)]
#[error("read the interpreter {path}: {source}")]
pub struct FingerprintError {
    path: PathBuf,
    source: io::Error,
}

/// No interpreter is larger.
const MAX_SIZE: u64 = 512 << 20;

/// Interpreters named `python3`, `python` and `python3.N` in the directories of PATH, in the order in which
/// PATH finds them; each physical file once.
pub fn find_pythons(root: &RootFs<'_>, path_env: &str) -> Vec<PythonFacts> {
    let directories: Vec<_> = path_env.split(':').filter(|d| d.starts_with('/')).map(Path::new).collect();
    let mut candidates: Vec<PathBuf> = Vec::new();
    for name in ["python3", "python"] {
        candidates.extend(directories.iter().map(|directory| directory.join(name)));
    }
    for directory in &directories {
        let names = root.names(directory);
        let names = names.iter().filter_map(|name| name.to_str()).filter(|name| minor_of(name).is_some());
        candidates.extend(names.map(|name| directory.join(name)));
    }
    let mut seen = BTreeSet::new();
    let mut pythons = Vec::new();
    for path in candidates {
        if !root.is_program(&path) {
            continue;
        }
        let Some(physical) = root.physical(&path).filter(|physical| seen.insert(physical.clone())) else {
            continue;
        };
        // `pythonX.Y` is the name that every build of CPython installs; anything else (a shim, another
        // implementation) can't be told apart by its files.
        let Some(minor) = physical.file_name().and_then(|name| minor_of(name.to_str()?)) else { continue };
        let Ok(fingerprint) = fingerprint_in(root, &physical, &minor) else { continue };
        let (Some(path), Some(physical)) = (path.to_str(), physical.to_str()) else { continue };
        pythons.push(PythonFacts { path: path.into(), physical: physical.into(), minor, fingerprint });
    }
    pythons
}

/// `3.N` of `python3.N`.
fn minor_of(name: &str) -> Option<String> {
    let digits = name.strip_prefix("python3.")?;
    let plain = !digits.is_empty() && digits.len() < 4 && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| format!("3.{digits}"))
}

/// `sha256:…` over the interpreter's executable and, if it asks for one, the shared `libpythonX.Y` beside it.
///
/// `physical` is the executable's path in `root` without symlinks, `minor` is `X.Y`. The library is looked for
/// in the `lib` directories of the executable's prefix and of the system. Paths are not part of the digest.
///
/// # Errors
/// A file can't be read.
pub fn fingerprint(root: &Path, physical: &Path, minor: &str) -> Result<String, FingerprintError> {
    fingerprint_in(&RootFs::new(root), physical, minor)
}

fn fingerprint_in(root: &RootFs<'_>, physical: &Path, minor: &str) -> Result<String, FingerprintError> {
    let program = read(root, physical)?;
    let mut digest = Sha256::new();
    let mut add = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    };
    add(&program);
    let stem = format!("libpython{minor}");
    // A statically linked interpreter may mention the name too; then the library is usually not there, and
    // where it is, it only makes the fingerprint stricter.
    if program.windows(stem.len()).any(|window| window == stem.as_bytes()) {
        for (name, path) in libraries(root, physical, &stem) {
            add(name.as_bytes());
            add(&read(root, &path)?);
        }
    }
    Ok(format!("sha256:{}", hex::encode(digest.finalize())))
}

/// Physical files named `libpythonX.Y*.so*`, by name; the first directory that holds any decides.
fn libraries(root: &RootFs<'_>, program: &Path, stem: &str) -> BTreeMap<String, PathBuf> {
    let mut directories = Vec::new();
    if let Some(prefix) = program.parent().and_then(Path::parent) {
        directories.extend([prefix.join("lib"), prefix.join("lib64")]);
    }
    directories.extend(["/usr/lib".into(), "/usr/lib64".into()]);
    let triplets = root.names(Path::new("/usr/lib"));
    let triplets = triplets.iter().filter(|name| name.to_string_lossy().contains("-linux-"));
    directories.extend(triplets.map(|name| Path::new("/usr/lib").join(name)));
    for directory in directories {
        let mut found = BTreeMap::new();
        for name in root.names(&directory) {
            let Some(name) = name.to_str() else { continue };
            let rest = name.strip_prefix(stem).unwrap_or("x");
            let ours = rest.contains(".so") && !rest.starts_with(|c: char| c.is_ascii_digit());
            let physical = root.physical(&directory.join(name)).filter(|_| ours);
            // Links to one library count once, by the library's own name.
            let Some(physical) = physical else { continue };
            if let Some(name) = physical.file_name().and_then(|name| name.to_str()) {
                found.insert(name.to_owned(), physical.clone());
            }
        }
        if !found.is_empty() {
            return found;
        }
    }
    BTreeMap::new()
}

fn read(root: &RootFs<'_>, path: &Path) -> Result<Vec<u8>, FingerprintError> {
    let mut bytes = Vec::new();
    let result = root.open(path).and_then(|file| file.take(MAX_SIZE + 1).read_to_end(&mut bytes));
    match result {
        Ok(size) if size as u64 <= MAX_SIZE => Ok(bytes),
        Ok(_) => Err(FingerprintError { path: path.to_owned(), source: io::ErrorKind::FileTooLarge.into() }),
        Err(source) => Err(FingerprintError { path: path.to_owned(), source }),
    }
}
