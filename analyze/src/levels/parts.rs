//! What one layer is made of: package by package, and the rest.

use std::collections::{HashMap, HashSet};

use sha2::Digest as _;

use super::owners::{Owners, is_byte_code, is_record, site};
use super::table::Table;
use super::{Contents, Failed};
use crate::by_chance::{in_pip_cache, source_of};
use crate::digest::Digest;
use crate::image::Image;
use crate::layer::{Data, Ecosystem, Entry, Kind, Package, path_key};

/// One layer's stored bytes, divided up; together they are the layer's.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// The packages that it holds files of.
    pub(super) packages: Vec<Instance>,
    /// What pip writes beside the wheels' files: see [`is_record`].
    pub(super) records: u64,
    /// Byte code of modules that lie in another layer: a run of Python leaves it behind.
    pub(super) stray_byte_code: u64,
    /// pip's download cache.
    pub(super) pip_cache: u64,
    /// Everything else.
    pub(super) rest: u64,
    /// Whether it brings a Python interpreter.
    pub(super) interpreter: bool,
}

/// The files of one package in one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Instance {
    pub(super) ecosystem: Ecosystem,
    pub(super) name: String,
    pub(super) version: String,
    /// Where it is installed.
    pub(super) site: String,
    /// Names and content of its files, without byte code and what differs from install to install. Two with the same
    /// value are the same, wherever they are installed.
    pub(super) content: Digest,
    /// Number of files, byte code and hard links included.
    pub(super) files: u64,
    /// Bytes of their content.
    pub(super) bytes: u64,
    /// Bytes as they are stored.
    pub(super) stored: u64,
}

#[derive(Default)]
struct Sum {
    content: [u64; 4],
    files: u64,
    bytes: u64,
    stored: u64,
}

impl Sum {
    /// Adds a file: what is added up doesn't depend on the order. Files that two packages happen to have in common
    /// don't cancel each other, since each package has its own sum.
    fn add(&mut self, package: &Package, entry: &Entry) {
        self.files += u64::from(matches!(entry.kind, Kind::File | Kind::Hardlink));
        self.bytes += entry.size;
        self.stored += entry.stored;
        let Data::Content(content) = &entry.data else { return };
        if is_byte_code(&entry.path) {
            return;
        }
        let inside = entry.path.strip_prefix(site(package).as_bytes()).unwrap_or(&entry.path);
        let hash = sha2::Sha256::new_with_prefix(content.0).chain_update(inside).finalize();
        for (sum, part) in self.content.iter_mut().zip(hash.chunks_exact(8)) {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(part);
            *sum = sum.wrapping_add(u64::from_le_bytes(bytes));
        }
    }

    fn instance(self, package: &Package) -> Instance {
        let mut content = [0; 32];
        for (bytes, sum) in content.chunks_exact_mut(8).zip(self.content) {
            bytes.copy_from_slice(&sum.to_le_bytes());
        }
        Instance {
            ecosystem: package.ecosystem,
            name: package.name.clone(),
            version: package.version.clone(),
            site: site(package).to_owned(),
            content: Digest(content),
            files: self.files,
            bytes: self.bytes,
            stored: self.stored,
        }
    }
}

/// Goes through a layer, gives each entry to `each`, and divides the layer up.
pub(super) fn parts(
    table: &Table,
    at: usize,
    images: &[Image],
    contents: &dyn Contents,
    each: &mut dyn FnMut(&Entry),
) -> Result<Parts, Failed> {
    let row = &table.rows[at];
    let mut parts = Parts::default();
    let (Some(content), Some(entries)) =
        (contents.content(&row.blob.digest)?, contents.entries(&row.blob.digest)?)
    else {
        parts.rest = row.blob.size;
        return Ok(parts);
    };
    let mut owners = Owners::default();
    owners.add(&content);
    let mut asked = false;
    let mut sums: HashMap<u32, Sum> = HashMap::new();
    let mut sources = HashSet::new();
    let mut byte_code = Vec::new();
    for entry in entries {
        let entry = entry?;
        each(&entry);
        if entry.path.ends_with(b".py") {
            sources.insert(path_key(&entry.path));
        }
        parts.interpreter |= entry.kind == Kind::File && is_interpreter(&entry.path);
        // What is deleted is nobody's any more, and a directory nobody's alone.
        let mut owner = if is_content(entry.kind) { owners.of(&entry.path) } else { None };
        // Records may lie in another layer than the files: that of an image that has both.
        if owner.is_none() && !asked && is_content(entry.kind) && in_site(&entry.path) {
            asked = true;
            for layer in row.images.first().into_iter().flat_map(|image| &images[*image].layers) {
                if let Some(other) = contents.content(&layer.blob.digest)? {
                    owners.add(&other);
                }
            }
            owner = owners.of(&entry.path);
        }
        match owner.map(|owner| (owner, &owners.packages[owner as usize])) {
            Some((_, package)) if is_record(package, &entry.path) => parts.records += entry.stored,
            Some((owner, package)) => sums.entry(owner).or_default().add(package, &entry),
            None if in_pip_cache(&entry.path) => parts.pip_cache += entry.stored,
            None => match source_of(&entry.path) {
                Some(source) => byte_code.push((path_key(&source), entry.stored)),
                None => parts.rest += entry.stored,
            },
        }
    }
    for (source, stored) in byte_code {
        let part = if sources.contains(&source) { &mut parts.rest } else { &mut parts.stray_byte_code };
        *part += stored;
    }
    for (at, sum) in sums {
        // Links alone are no copy of a package.
        match sum.files {
            0 => parts.rest += sum.stored,
            _ => parts.packages.push(sum.instance(&owners.packages[at as usize])),
        }
    }
    parts.packages.sort_by(|a, b| (a.ecosystem, &a.name, &a.site).cmp(&(b.ecosystem, &b.name, &b.site)));
    Ok(parts)
}

/// Whether an entry is something that a package can bring.
fn is_content(kind: Kind) -> bool {
    matches!(kind, Kind::File | Kind::Hardlink | Kind::Symlink)
}

/// `python3.N` in a directory of programs: what every build of CPython installs.
fn is_interpreter(path: &[u8]) -> bool {
    let Some(name) = path.rsplit(|byte| *byte == b'/').next() else { return false };
    let digits = name.strip_prefix(b"python3.").unwrap_or_default();
    !digits.is_empty()
        && digits.iter().all(u8::is_ascii_digit)
        && path[..path.len() - name.len()].ends_with(b"bin/")
}

/// Whether a path is below a directory that distributions are installed in.
fn in_site(path: &[u8]) -> bool {
    [b"/site-packages/".as_slice(), b"/dist-packages/"]
        .iter()
        .any(|site| path.windows(site.len()).any(|window| window == *site))
}
