//! Is the tree that plinth made the tree that the same Dockerfile gives plain?
//!
//! Equal means equal: kind, mode, owner, link target, content, attributes, for every path. The exceptions are
//! [`Exception::ALL`], and nothing else is excused; `comparison.rs` shows of each that it isn't any wider.

use std::collections::BTreeSet;
use std::fmt;

use super::tree::{Kind, Node, Tree};

/// What may differ. The list of the user documentation is this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exception {
    /// Modification times. Pip leaves the time of the build; plinth's are fixed, which is what makes layers shareable.
    Timestamps,
    /// The source time inside a `.pyc` header, and the way equal code is written down. The code object must be the
    /// same, the magic number, flags and source size too, and it must be fresh where plain's is.
    ByteCode,
    /// Byte code of files that no distribution of the steps owns (the standard library's, pip's own): left behind by
    /// running pip at all. May be absent, not different.
    StrayByteCode,
    /// Pip's download cache below the home directory: `.cache/pip`, and `.cache` if that held nothing else.
    PipCache,
    /// What an installer prints, where an unquoted `>=` makes the shell put it in a file: all but its last line.
    Output,
    /// The empty places in which apt keeps what it downloads, which it makes even if it has nothing to do. May be absent.
    AptPlaces,
}

impl Exception {
    /// All of them.
    pub(crate) const ALL: [Self; 6] = [
        Self::Timestamps,
        Self::ByteCode,
        Self::StrayByteCode,
        Self::PipCache,
        Self::Output,
        Self::AptPlaces,
    ];
}

/// What was compared.
pub(crate) struct Sides<'t> {
    /// The base image of both: what was there before any step.
    pub(crate) base: &'t Tree,
    /// The plain build.
    pub(crate) plain: &'t Tree,
    /// The build through plinth.
    pub(crate) plinth: &'t Tree,
    /// Home directory of the steps, without a leading slash.
    pub(crate) home: &'t str,
}

/// One difference that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Where.
    pub(crate) path: String,
    /// What: plain's side first.
    pub(crate) what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}: {}", self.path, self.what)
    }
}

/// Two byte-code files whose code isn't the same bytes.
#[derive(Clone, Debug)]
pub(crate) struct CodePair {
    /// Where.
    pub(crate) path: String,
    /// Plain's, with header.
    pub(crate) plain: Vec<u8>,
    /// Plinth's, with header.
    pub(crate) plinth: Vec<u8>,
}

/// The outcome.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// What counts.
    pub(crate) differences: Vec<Difference>,
    /// What was excused: why, where, and the bytes that plinth's tree has less.
    pub(crate) excused: Vec<(Exception, String, u64)>,
    /// Byte code that an interpreter has to compare.
    pub(crate) code: Vec<CodePair>,
}

impl Comparison {
    /// Fails with a list of the differences, if there are any.
    #[track_caller]
    pub(crate) fn assert_equal(&self) {
        let shown: Vec<_> = self.differences.iter().take(40).map(Difference::to_string).collect();
        assert!(
            shown.is_empty(),
            "{} differences between plain and plinth (plain's side first):\n{}",
            self.differences.len(),
            shown.join("\n")
        );
    }

    /// Bytes that an exception hides: they are never counted as saved by sharing.
    pub(crate) fn excused_bytes(&self, exception: Exception) -> u64 {
        self.excused.iter().filter(|(e, ..)| *e == exception).map(|(.., bytes)| bytes).sum()
    }

    fn differ(&mut self, path: &str, what: impl Into<String>) {
        self.differences.push(Difference { path: path.to_owned(), what: what.into() });
    }
}

/// Compares, with these exceptions. Byte code that differs is in [`Comparison::code`], for
/// [`super::bytecode::compare`] to judge.
pub(crate) fn compare_trees(sides: &Sides<'_>, exceptions: &[Exception]) -> Comparison {
    let mut out = Comparison::default();
    let excuses = |exception| exceptions.contains(&exception);
    let owned = owned(sides);
    let paths: BTreeSet<&String> = sides.plain.nodes.keys().chain(sides.plinth.nodes.keys()).collect();
    for path in paths {
        match (sides.plain.nodes.get(path), sides.plinth.nodes.get(path)) {
            (Some(plain), None) => {
                if excuses(Exception::PipCache) && is_pip_cache(sides, path) {
                    out.excused.push((Exception::PipCache, path.clone(), plain.size));
                } else if excuses(Exception::StrayByteCode) && is_stray(sides, &owned, path, plain) {
                    out.excused.push((Exception::StrayByteCode, path.clone(), plain.size));
                } else if excuses(Exception::AptPlaces) && is_apt_place(sides, path, plain) {
                    out.excused.push((Exception::AptPlaces, path.clone(), 0));
                } else {
                    out.differ(path, format!("{} is missing", shown(plain)));
                }
            }
            (None, Some(plinth)) => out.differ(path, format!("{} that plain doesn't have", shown(plinth))),
            (Some(plain), Some(plinth)) => {
                if excuses(Exception::PipCache) && in_pip_cache(sides, path) {
                    if plain != plinth {
                        out.excused.push((
                            Exception::PipCache,
                            path.clone(),
                            plain.size.saturating_sub(plinth.size),
                        ));
                    }
                    continue;
                }
                // Whichever step was the first to import it has made it, with its umask and as its user.
                let stray = excuses(Exception::StrayByteCode) && is_stray(sides, &owned, path, plain);
                let before = out.differences.len();
                access(&mut out, path, plain, plinth);
                if stray && out.differences.len() > before {
                    out.differences.truncate(before);
                    out.excused.push((Exception::StrayByteCode, path.clone(), 0));
                }
                fields(&mut out, path, plain, plinth);
                times(&mut out, path, plain, plinth, excuses(Exception::Timestamps));
                if excuses(Exception::Output) && is_output(path, plain, plinth) {
                    let less = plain.size.saturating_sub(plinth.size);
                    out.excused.push((Exception::Output, path.clone(), less));
                    continue;
                }
                contents(&mut out, sides, path, (plain, plinth), excuses(Exception::ByteCode));
            }
            (None, None) => unreachable!("the path is of one of the trees"),
        }
    }
    out
}

fn fields(out: &mut Comparison, path: &str, plain: &Node, plinth: &Node) {
    if plain.kind != plinth.kind {
        out.differ(path, format!("kind {:?}, {:?}", plain.kind, plinth.kind));
    }
    if plain.target != plinth.target {
        out.differ(path, format!("link target {}, {}", plain.target, plinth.target));
    }
    if plain.xattrs != plinth.xattrs {
        out.differ(path, format!("attributes {:?}, {:?}", plain.xattrs, plinth.xattrs));
    }
}

fn access(out: &mut Comparison, path: &str, plain: &Node, plinth: &Node) {
    if plain.mode != plinth.mode {
        out.differ(path, format!("mode {:04o}, {:04o}", plain.mode, plinth.mode));
    }
    if (plain.uid, plain.gid) != (plinth.uid, plinth.gid) {
        out.differ(path, format!("owner {}:{}, {}:{}", plain.uid, plain.gid, plinth.uid, plinth.gid));
    }
}

fn times(out: &mut Comparison, path: &str, plain: &Node, plinth: &Node, excused: bool) {
    if plain.mtime == plinth.mtime {
        return;
    }
    if excused {
        out.excused.push((Exception::Timestamps, path.to_owned(), 0));
    } else {
        out.differ(path, format!("time {}, {}", plain.mtime, plinth.mtime));
    }
}

fn contents(
    out: &mut Comparison,
    sides: &Sides<'_>,
    path: &str,
    (plain, plinth): (&Node, &Node),
    code: bool,
) {
    let code = code && source_of(path).is_some();
    if code && stale(sides.plinth, path) && !stale(sides.plain, path) {
        out.differ(
            path,
            "byte code that doesn't belong to its source any more: the interpreter would ignore it",
        );
    }
    if plain.sha256 == plinth.sha256 {
        return;
    }
    if let (true, Some(a), Some(b)) = (code, &plain.content, &plinth.content)
        && a.len() > HEADER
        && b.len() > HEADER
    {
        // Magic number and flags, then the time, then the size of the source.
        if a[..8] != b[..8] || a[12..HEADER] != b[12..HEADER] {
            out.differ(
                path,
                format!("byte-code header {}, {}", hex::encode(&a[..HEADER]), hex::encode(&b[..HEADER])),
            );
        } else {
            out.excused.push((Exception::ByteCode, path.to_owned(), 0));
            if a[HEADER..] != b[HEADER..] {
                out.code.push(CodePair { path: path.to_owned(), plain: a.to_vec(), plinth: b.to_vec() });
            }
        }
        return;
    }
    let text = |node: &Node| node.text().map_or_else(|| node.sha256.clone(), |text| format!("{text:?}"));
    out.differ(
        path,
        format!("content of {} bytes, {} bytes: {}, {}", plain.size, plinth.size, text(plain), text(plinth)),
    );
}

/// Bytes before the code in a `.pyc` (PEP 552).
const HEADER: usize = 16;

/// Is this timestamp-based byte code made from another state of its source?
fn stale(tree: &Tree, path: &str) -> bool {
    let (Some(source), Some(node)) = (source_of(path), tree.nodes.get(path)) else { return false };
    let (Some(source), Some(content)) = (tree.nodes.get(&source), &node.content) else { return false };
    if content.len() <= HEADER || content[4..8] != [0; 4] {
        return false;
    }
    let word = |at: usize| u64::from(u32::from_le_bytes(content[at..at + 4].try_into().unwrap()));
    word(8) != source.mtime & 0xffff_ffff || word(12) != source.size & 0xffff_ffff
}

/// `a/__pycache__/b.cpython-311.pyc` is made from `a/b.py`.
fn source_of(path: &str) -> Option<String> {
    let (dir, name) = path.rsplit_once("/__pycache__/")?;
    let stem = name.strip_suffix(".pyc")?.split_once('.')?.0;
    Some(format!("{dir}/{stem}.py"))
}

/// What the distributions own that the steps installed: the paths of each RECORD that the base doesn't have like this.
fn owned(sides: &Sides<'_>) -> BTreeSet<String> {
    let mut owned = BTreeSet::new();
    for (path, node) in &sides.plain.nodes {
        let Some(info) = path.strip_suffix("/RECORD").filter(|info| info.ends_with(".dist-info")) else {
            continue;
        };
        if sides.base.nodes.get(path).is_some_and(|base| base.sha256 == node.sha256) {
            continue;
        }
        let site = info.rsplit_once('/').map_or("", |(site, _)| site);
        for line in node.text().unwrap_or_default().lines() {
            let name = line.rsplitn(3, ',').last().unwrap_or_default().trim_matches('"');
            let from = if name.starts_with('/') { name.to_owned() } else { format!("{site}/{name}") };
            owned.insert(sides.plain.physical(&normal(&from)));
        }
    }
    owned
}

/// Takes `.` and `..` out of a path.
fn normal(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

fn is_stray(sides: &Sides<'_>, owned: &BTreeSet<String>, path: &str, node: &Node) -> bool {
    if sides.base.nodes.contains_key(path) {
        return false;
    }
    if node.kind == Kind::Directory {
        let inside = format!("{path}/");
        return path.ends_with("/__pycache__")
            && sides
                .plain
                .nodes
                .range(inside.clone()..)
                .take_while(|(p, _)| p.starts_with(&inside))
                .all(|(p, n)| is_stray(sides, owned, p, n));
    }
    node.kind == Kind::File
        && source_of(path).is_some_and(|source| {
            !owned.contains(path)
                && !owned.contains(&source)
                && sides.base.nodes.contains_key(&source)
                && sides.plain.nodes.contains_key(&source)
        })
}

/// A file named as the rest of a specifier that differs, except for its last line.
fn is_output(path: &str, plain: &Node, plinth: &Node) -> bool {
    let last = |node: &Node| Some(node.text()?.lines().next_back()?.to_owned());
    path.rsplit('/').next().is_some_and(|name| name.starts_with('='))
        && plain.content != plinth.content
        && last(plain)
            .is_some_and(|line| line.starts_with("Successfully installed ") && last(plinth) == Some(line))
}

fn in_pip_cache(sides: &Sides<'_>, path: &str) -> bool {
    let cache = format!("{}/.cache/pip", sides.home);
    path.strip_prefix(&cache).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_pip_cache(sides: &Sides<'_>, path: &str) -> bool {
    if in_pip_cache(sides, path) {
        return true;
    }
    let inside = format!("{path}/");
    path == format!("{}/.cache", sides.home)
        && !sides.base.nodes.contains_key(path)
        && sides
            .plain
            .nodes
            .range(inside.clone()..)
            .take_while(|(p, _)| p.starts_with(&inside))
            .all(|(p, _)| in_pip_cache(sides, p))
}

/// `archives`, with nothing in it but an empty `lock` and an empty `partial`, and such places among the package lists.
fn is_apt_place(sides: &Sides<'_>, path: &str, node: &Node) -> bool {
    const ARCHIVES: &str = "var/cache/apt/archives";
    const FILES: [&str; 2] = ["var/cache/apt/archives/lock", "var/lib/apt/lists/lock"];
    const DIRECTORIES: [&str; 3] =
        ["var/cache/apt/archives/partial", "var/lib/apt/lists/partial", "var/lib/apt/lists/auxfiles"];
    let start = format!("{path}/");
    let mut inside = sides.plain.nodes.range(start.clone()..).take_while(|(p, _)| p.starts_with(&start));
    let right = match node.kind {
        Kind::File => FILES.contains(&path) && node.size == 0,
        Kind::Directory if path == ARCHIVES => inside.all(|(p, n)| is_apt_place(sides, p, n)),
        Kind::Directory => DIRECTORIES.contains(&path) && inside.next().is_none(),
        Kind::Link | Kind::Other(_) => false,
    };
    right && !sides.base.nodes.contains_key(path)
}

fn shown(node: &Node) -> String {
    match node.kind {
        Kind::File => format!("a file of {} bytes", node.size),
        Kind::Directory => "a directory".to_owned(),
        Kind::Link => format!("a link to {}", node.target),
        Kind::Other(kind) => format!("an entry of type {kind}"),
    }
}
