//! The paths of one image, and what is at each of them while its layers are put on top of each other.
//!
//! A path takes about 130 bytes and its last name, whatever the number of layers.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

/// The root.
pub(super) const ROOT: u32 = 0;

/// No node.
const NONE: u32 = u32::MAX;

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing, any more or yet.
    Absent,
    /// A directory, or what has something below it.
    Directory,
    /// A file, by the place of its body; of two hard links it is the same.
    File(u32),
    /// A symbolic link or a device.
    Other,
}

/// One path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    parent: u32,
    first: u32,
    next: u32,
    name_at: u32,
    name_len: u32,
    /// What is there.
    pub(super) state: State,
    /// The layer that put it there.
    pub(super) layer: u32,
    /// The last layer with an entry below.
    pub(super) below: u32,
    /// Sizes of all that was ever there, a removal of a directory included.
    pub(super) sum: u64,
    /// The least of those.
    pub(super) least: u64,
    /// How many they were.
    pub(super) times: u32,
}

/// All paths.
pub(super) struct Tree {
    nodes: Vec<Node>,
    names: Vec<u8>,
    by_name: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Tree {
    pub(super) fn new() -> Self {
        let root = Node {
            parent: NONE,
            first: NONE,
            next: NONE,
            name_at: 0,
            name_len: 0,
            state: State::Directory,
            layer: 0,
            below: NONE,
            sum: 0,
            least: 0,
            times: 0,
        };
        Self {
            nodes: vec![root],
            names: Vec::new(),
            by_name: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    pub(super) fn node(&self, at: u32) -> &Node {
        &self.nodes[at as usize]
    }

    pub(super) fn node_mut(&mut self, at: u32) -> &mut Node {
        &mut self.nodes[at as usize]
    }

    /// The number of nodes.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.nodes.len()).unwrap_or(NONE)
    }

    /// The node of a path, if anything was ever there.
    pub(super) fn find(&self, path: &[u8]) -> Option<u32> {
        names(path).try_fold(ROOT, |parent, name| self.child(parent, name))
    }

    /// The node of a path; all that lead there are made.
    pub(super) fn make(&mut self, path: &[u8]) -> u32 {
        names(path).fold(ROOT, |parent, name| match self.child(parent, name) {
            Some(at) => at,
            None => self.add(parent, name),
        })
    }

    fn child(&self, parent: u32, name: &[u8]) -> Option<u32> {
        let same = |at: &u32| {
            let node = self.node(*at);
            node.parent == parent && self.name(node) == name
        };
        self.by_name.find(hash(&self.hasher, parent, name), same).copied()
    }

    fn add(&mut self, parent: u32, name: &[u8]) -> u32 {
        let at = self.len();
        let name_at = u32::try_from(self.names.len()).unwrap_or(NONE);
        self.names.extend_from_slice(name);
        self.nodes.push(Node {
            parent,
            first: NONE,
            next: self.node(parent).first,
            name_at,
            name_len: u32::try_from(name.len()).unwrap_or(NONE),
            state: State::Absent,
            layer: 0,
            below: NONE,
            sum: 0,
            least: 0,
            times: 0,
        });
        self.node_mut(parent).first = at;
        let (nodes, names, hasher) = (&self.nodes, &self.names, &self.hasher);
        self.by_name.insert_unique(hash(hasher, parent, name), at, |at| {
            let node = &nodes[*at as usize];
            hash(hasher, node.parent, name_in(names, node))
        });
        at
    }

    fn name(&self, node: &Node) -> &[u8] {
        name_in(&self.names, node)
    }

    /// The nodes above one, the nearest first, without the root.
    pub(super) fn above(&self, at: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(Some(at), |at| Some(self.node(*at).parent).filter(|parent| *parent != NONE))
            .skip(1)
            .filter(|at| *at != ROOT)
    }

    /// The nodes right below one.
    pub(super) fn children(&self, at: u32) -> impl Iterator<Item = u32> {
        let some = |at: u32| Some(at).filter(|at| *at != NONE);
        std::iter::successors(some(self.node(at).first), move |at| some(self.node(*at).next))
    }

    /// The path of a node.
    pub(super) fn bytes(&self, at: u32) -> Vec<u8> {
        let mut names: Vec<_> = std::iter::once(at).chain(self.above(at)).collect();
        names.reverse();
        let names: Vec<&[u8]> = names.into_iter().map(|at| self.name(self.node(at))).collect();
        names.join(&b'/')
    }

    /// The path of a node; what isn't UTF-8 is replaced.
    pub(super) fn path(&self, at: u32) -> String {
        String::from_utf8_lossy(&self.bytes(at)).into_owned()
    }
}

fn name_in<'a>(names: &'a [u8], node: &Node) -> &'a [u8] {
    &names[node.name_at as usize..][..node.name_len as usize]
}

fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty())
}

fn hash(hasher: &DefaultHashBuilder, parent: u32, name: &[u8]) -> u64 {
    hasher.hash_one((parent, name))
}
