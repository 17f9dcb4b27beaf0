//! File trees in memory, from layers applied in order as a container runtime does.
//!
//! Layers are parsed once per test run and kept by digest: most images here share their base.

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::sync::{Arc, Mutex, OnceLock};

use sha2::{Digest as _, Sha256};

use super::image::Layout;

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Regular file.
    File,
    /// Directory.
    Directory,
    /// Symbolic link.
    Link,
    /// Device, pipe: nothing that the tests make, kept by its tar type.
    Other(u8),
}

/// A path's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// What it is.
    pub(crate) kind: Kind,
    /// Permission bits with setuid, setgid and sticky.
    pub(crate) mode: u32,
    /// Numeric owner.
    pub(crate) uid: u64,
    /// Numeric group.
    pub(crate) gid: u64,
    /// Where a link points to.
    pub(crate) target: String,
    /// Bytes of a file.
    pub(crate) size: u64,
    /// Hex SHA-256 of a file.
    pub(crate) sha256: String,
    /// Extended attributes.
    pub(crate) xattrs: BTreeMap<String, Vec<u8>>,
    /// Seconds since 1970.
    pub(crate) mtime: u64,
    /// The bytes, of files that the comparison looks into.
    pub(crate) content: Option<Arc<[u8]>>,
}

impl Node {
    /// A directory of root's with mode 0755.
    pub(crate) fn directory() -> Self {
        Self {
            kind: Kind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
            target: String::new(),
            size: 0,
            sha256: String::new(),
            xattrs: BTreeMap::new(),
            mtime: 0,
            content: None,
        }
    }

    /// A file of root's with mode 0644.
    pub(crate) fn file(content: &[u8]) -> Self {
        Self {
            kind: Kind::File,
            mode: 0o644,
            size: content.len() as u64,
            sha256: hex::encode(Sha256::digest(content)),
            content: Some(content.into()),
            ..Self::directory()
        }
    }

    /// A symbolic link.
    pub(crate) fn link(target: &str) -> Self {
        Self { kind: Kind::Link, mode: 0o777, target: target.to_owned(), ..Self::directory() }
    }

    /// The content as text, if it was kept.
    pub(crate) fn text(&self) -> Option<String> {
        self.content.as_deref().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }
}

/// Paths without a leading slash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    /// Everything but the root.
    pub(crate) nodes: BTreeMap<String, Node>,
}

/// One entry of a layer.
struct Entry {
    path: String,
    change: Change,
}

enum Change {
    Put(Node),
    HardLink(String),
    Remove,
    Empty,
}

/// Contents up to this size are kept, for messages.
const SMALL: u64 = 4096;

impl Tree {
    /// The node at a path.
    pub(crate) fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path.trim_start_matches('/'))
    }

    /// Puts a node; for trees made by hand.
    pub(crate) fn with(mut self, path: &str, node: Node) -> Self {
        let mut at = 0;
        while let Some(slash) = path[at..].find('/') {
            self.nodes.entry(path[..at + slash].to_owned()).or_insert_with(Node::directory);
            at += slash + 1;
        }
        self.nodes.insert(path.to_owned(), node);
        self
    }

    /// Applies one layer of a layout.
    pub(crate) fn apply(&mut self, layout: &Layout, digest: &str) {
        let entries = parsed(layout, digest);
        // Whiteouts hide what lies below, never what the same layer adds.
        for entry in entries.iter() {
            match &entry.change {
                Change::Remove => {
                    let path = self.physical(&entry.path);
                    self.remove(&path, true);
                }
                Change::Empty => {
                    let path = self.physical(&entry.path);
                    self.remove(&path, false);
                }
                Change::Put(_) | Change::HardLink(_) => {}
            }
        }
        for entry in entries.iter() {
            let node = match &entry.change {
                Change::Put(node) => node.clone(),
                Change::HardLink(target) => {
                    let target = self.physical(target);
                    self.nodes
                        .get(&target)
                        .unwrap_or_else(|| {
                            panic!("{digest}: {} links to {target}, which isn't there", entry.path)
                        })
                        .clone()
                }
                Change::Remove | Change::Empty => continue,
            };
            let path = self.physical(&entry.path);
            let keeps = node.kind == Kind::Directory
                && self.nodes.get(&path).is_some_and(|old| old.kind == Kind::Directory);
            if !keeps {
                self.remove(&path, true);
            }
            self.nodes.insert(path, node);
        }
    }

    fn remove(&mut self, path: &str, itself: bool) {
        if itself {
            self.nodes.remove(path);
        }
        let inside = format!("{path}/");
        let gone: Vec<_> = self
            .nodes
            .range(inside.clone()..)
            .map(|(p, _)| p)
            .take_while(|p| p.starts_with(&inside))
            .cloned()
            .collect();
        for path in gone {
            self.nodes.remove(&path);
        }
    }

    /// Runtimes follow links on the way to an entry, and never one at its end.
    pub(crate) fn physical(&self, path: &str) -> String {
        let Some((parent, name)) = path.rsplit_once('/') else { return path.to_owned() };
        let parent = self.resolve(parent, 0);
        if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
    }

    /// Follows every link of a path, as opening it would.
    pub(crate) fn resolve(&self, path: &str, depth: u32) -> String {
        assert!(depth < 40, "links go round in circles at {path}");
        let mut done = String::new();
        let mut parts = path.split('/').filter(|part| !part.is_empty() && *part != ".");
        while let Some(part) = parts.next() {
            if part == ".." {
                done.truncate(done.rfind('/').unwrap_or(0));
                continue;
            }
            let next = if done.is_empty() { part.to_owned() } else { format!("{done}/{part}") };
            if let Some(Node { kind: Kind::Link, target, .. }) = self.nodes.get(&next) {
                let rest: Vec<_> = parts.collect();
                let base = if target.starts_with('/') { String::new() } else { done };
                return self.resolve(&format!("{base}/{target}/{}", rest.join("/")), depth + 1);
            }
            done = next;
        }
        done
    }
}

fn parsed(layout: &Layout, digest: &str) -> Arc<Vec<Entry>> {
    static LAYERS: OnceLock<Mutex<HashMap<String, Arc<Vec<Entry>>>>> = OnceLock::new();
    let layers = LAYERS.get_or_init(Mutex::default);
    if let Some(entries) = layers.lock().unwrap().get(digest) {
        return Arc::clone(entries);
    }
    let blob = layout.blob(digest);
    let entries = Arc::new(parse(&blob));
    layers.lock().unwrap().insert(digest.to_owned(), Arc::clone(&entries));
    entries
}

fn parse(blob: &[u8]) -> Vec<Entry> {
    let reader: Box<dyn std::io::Read> = match blob {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(blob)),
        _ => Box::new(blob),
    };
    let mut archive = tar::Archive::new(reader);
    let mut entries = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = clean(&entry.path_bytes());
        if path.is_empty() {
            continue;
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if name == ".wh..wh..opq" {
            entries.push(Entry { path: parent.to_owned(), change: Change::Empty });
            continue;
        }
        if let Some(hidden) = name.strip_prefix(".wh.") {
            let path = if parent.is_empty() { hidden.to_owned() } else { format!("{parent}/{hidden}") };
            entries.push(Entry { path, change: Change::Remove });
            continue;
        }
        let xattrs = entry.pax_extensions().unwrap().map(|extensions| {
            extensions
                .map(Result::unwrap)
                .filter_map(|e| {
                    Some((e.key().ok()?.strip_prefix("SCHILY.xattr.")?.to_owned(), e.value_bytes().to_vec()))
                })
                .collect()
        });
        let header = entry.header();
        let kind = header.entry_type();
        let mut node = Node {
            mode: header.mode().unwrap() & 0o7777,
            uid: header.uid().unwrap(),
            gid: header.gid().unwrap(),
            mtime: header.mtime().unwrap(),
            xattrs: xattrs.unwrap_or_default(),
            ..Node::directory()
        };
        let change = if kind.is_hard_link() {
            Change::HardLink(clean(&entry.link_name_bytes().unwrap()))
        } else if kind.is_dir() {
            Change::Put(node)
        } else if kind.is_symlink() {
            node.kind = Kind::Link;
            node.target = String::from_utf8_lossy(&entry.link_name_bytes().unwrap()).into_owned();
            Change::Put(node)
        } else if kind.is_file() || kind.is_contiguous() {
            let mut content = Vec::with_capacity(entry.size().try_into().unwrap());
            entry.read_to_end(&mut content).unwrap();
            node.kind = Kind::File;
            node.size = content.len() as u64;
            node.sha256 = hex::encode(Sha256::digest(&content));
            let looked_into = path.ends_with(".pyc") || name == "RECORD" || name.starts_with('=');
            if node.size <= SMALL || looked_into {
                node.content = Some(content.into());
            }
            Change::Put(node)
        } else {
            node.kind = Kind::Other(kind.as_byte());
            Change::Put(node)
        };
        entries.push(Entry { path, change });
    }
    entries
}

fn clean(path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    path.trim_start_matches("./").trim_matches('/').to_owned()
}
