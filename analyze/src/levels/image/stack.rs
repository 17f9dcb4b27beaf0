//! The layers of one image on top of each other: what of the lower ones can't be seen any more.

use std::collections::BTreeMap;

use super::leftovers::leftover;
use super::tree::{ROOT, State, Tree};
use super::{Bytes, Waste, Wasted, WastedFile};
use crate::layer::{Data, Entry, Kind, path_key};

/// What a file is made of: one of these for all its hard links.
struct Body {
    size: u64,
    stored: u64,
    /// The first bytes of the content's digest; 0 if it has none.
    content: u64,
    /// The names that it has.
    names: u32,
    /// The layer that brought it, and the node it was brought at.
    layer: u32,
    at: u32,
}

/// Why a file can't be seen.
#[derive(Clone, Copy)]
enum Hidden {
    Overwritten,
    SameAgain,
    Deleted,
}

/// An image in the making.
pub(super) struct Stack {
    tree: Tree,
    bodies: Vec<Body>,
    layer: u32,
    /// Directories of this layer, of which it isn't known yet whether it has something in them.
    directories: Vec<u32>,
    waste: Waste,
    /// Hidden files: their stored bytes, by node.
    hidden: BTreeMap<u32, (u64, u64)>,
    leftovers: BTreeMap<u32, &'static str>,
    /// The bodies that are hidden.
    gone: Vec<u32>,
}

impl Stack {
    pub(super) fn new() -> Self {
        Self {
            tree: Tree::new(),
            bodies: Vec::new(),
            layer: 0,
            directories: Vec::new(),
            waste: Waste::default(),
            hidden: BTreeMap::new(),
            leftovers: BTreeMap::new(),
            gone: Vec::new(),
        }
    }

    /// The next entry of the layer.
    pub(super) fn entry(&mut self, entry: &Entry) {
        match entry.kind {
            Kind::Whiteout => self.whiteout(&entry.path),
            Kind::Opaque => {
                if let Some(at) = self.tree.find(&entry.path) {
                    self.remove_below(at, Hidden::Deleted, true);
                }
                self.mark(&entry.path);
            }
            Kind::Directory => {
                let at = self.mark(&entry.path);
                if self.tree.node(at).state != State::Directory {
                    self.remove(at, Hidden::Overwritten);
                }
                self.put(at, State::Directory);
                self.directories.push(at);
            }
            Kind::File => {
                let at = self.mark(&entry.path);
                let content = match &entry.data {
                    Data::Content(digest) => first(&digest.0),
                    _ => 0,
                };
                self.replace(at, Some((content, entry.size)));
                let (layer, size, stored) = (self.layer, entry.size, entry.stored);
                self.bodies.push(Body { size, stored, content, names: 1, layer, at });
                let body = u32::try_from(self.bodies.len() - 1).unwrap_or(u32::MAX);
                self.put(at, State::File(body));
                self.count(at, entry.size);
                if let Some(kind) = leftover(&entry.path) {
                    self.leftovers.insert(at, kind);
                }
            }
            Kind::Hardlink => {
                let at = self.mark(&entry.path);
                let target = match &entry.data {
                    Data::Target(target) => self.tree.find(target),
                    _ => None,
                };
                // The target may be the very file that is replaced.
                let body = target.and_then(|target| match self.tree.node(target).state {
                    State::File(body) => Some(body),
                    _ => None,
                });
                if let Some(body) = body {
                    self.bodies[body as usize].names += 1;
                }
                self.replace(at, None);
                self.put(at, body.map_or(State::Other, State::File));
                self.count(at, 0);
            }
            Kind::Symlink | Kind::Special => {
                let at = self.mark(&entry.path);
                self.replace(at, None);
                self.put(at, State::Other);
                self.count(at, 0);
            }
        }
    }

    /// The layer is complete.
    pub(super) fn end_of_layer(&mut self) {
        for at in std::mem::take(&mut self.directories) {
            if self.tree.node(at).below != self.layer {
                self.count(at, 0);
            }
        }
        self.layer += 1;
    }

    /// The image is complete: its waste, with so many files by name.
    pub(super) fn finish(mut self, top: usize) -> Waste {
        for (at, kind) in &self.leftovers {
            if let State::File(body) = self.tree.node(*at).state {
                let wasted = self.wasted(body, false);
                let body = &self.bodies[body as usize];
                self.waste.leftovers.entry(kind).or_default().add(body.size, body.stored);
                self.waste.entries.push(wasted);
            }
        }
        let gone: Vec<Wasted> = self.gone.iter().map(|body| self.wasted(*body, true)).collect();
        self.waste.entries.extend(gone);
        let (mut least, mut sum) = (0, 0);
        for at in 0..self.tree.len() {
            let node = self.tree.node(at);
            least += node.least;
            sum += node.sum;
            if node.times > 1 {
                self.waste.by_path += node.sum;
            }
            if let (State::File(_), true) = (node.state, at != ROOT) {
                self.waste.files += 1;
            }
        }
        // A share of nothing is no share: an empty image wastes nothing.
        self.waste.efficiency = if sum == 0 { 1.0 } else { least as f64 / sum as f64 };
        let mut worst: Vec<_> = self.hidden.into_iter().collect();
        worst.sort_by_key(|(at, (stored, _))| (std::cmp::Reverse(*stored), *at));
        let named = worst.into_iter().take(top);
        self.waste.worst =
            named.map(|(at, (stored, size))| WastedFile { path: self.tree.path(at), size, stored }).collect();
        self.waste
    }

    fn wasted(&self, body: u32, hidden: bool) -> Wasted {
        let body = &self.bodies[body as usize];
        let path = path_key(&self.tree.bytes(body.at));
        Wasted { layer: body.layer, path, stored: body.stored, hidden }
    }

    /// The node of an entry. Whatever stands in the way to it is no directory any more.
    fn mark(&mut self, path: &[u8]) -> u32 {
        let at = self.tree.make(path);
        let above: Vec<u32> = self.tree.above(at).collect();
        for node in above {
            self.tree.node_mut(node).below = self.layer;
            if self.tree.node(node).state != State::Directory {
                self.remove(node, Hidden::Overwritten);
                self.put(node, State::Directory);
            }
        }
        at
    }

    fn put(&mut self, at: u32, state: State) {
        let layer = self.layer;
        let node = self.tree.node_mut(at);
        node.state = state;
        node.layer = layer;
    }

    fn count(&mut self, at: u32, size: u64) {
        let node = self.tree.node_mut(at);
        node.least = if node.times == 0 { size } else { node.least.min(size) };
        node.sum += size;
        node.times += 1;
    }

    fn whiteout(&mut self, path: &[u8]) {
        let Some(at) = self.tree.find(path) else { return };
        let above: Vec<u32> = self.tree.above(at).collect();
        for node in above {
            self.tree.node_mut(node).below = self.layer;
        }
        let size = if self.tree.node(at).state == State::Directory { self.size_below(at) } else { 0 };
        self.count(at, size);
        // An entry of this very layer stays: a whiteout hides what is below, wherever it stands in the archive.
        self.remove_below(at, Hidden::Deleted, true);
        if self.tree.node(at).layer < self.layer {
            self.remove(at, Hidden::Deleted);
        }
    }

    /// What stands at a path makes room for something that is no directory.
    fn replace(&mut self, at: u32, new: Option<(u64, u64)>) {
        if self.tree.node(at).state == State::Directory {
            self.remove_below(at, Hidden::Overwritten, false);
        }
        let same = match (self.tree.node(at).state, new) {
            (State::File(body), Some((content, size))) => {
                let body = &self.bodies[body as usize];
                body.content == content && body.size == size
            }
            _ => false,
        };
        self.remove(at, if same { Hidden::SameAgain } else { Hidden::Overwritten });
    }

    /// Takes away what is at a node; its body, if that was its last name.
    fn remove(&mut self, at: u32, why: Hidden) {
        let state = std::mem::replace(&mut self.tree.node_mut(at).state, State::Absent);
        self.leftovers.remove(&at);
        let State::File(number) = state else { return };
        let body = &mut self.bodies[number as usize];
        body.names -= 1;
        if body.names > 0 {
            return;
        }
        self.gone.push(number);
        let kind = match why {
            Hidden::Overwritten => &mut self.waste.overwritten,
            Hidden::SameAgain => &mut self.waste.same_again,
            Hidden::Deleted => &mut self.waste.deleted,
        };
        kind.add(body.size, body.stored);
        let hidden = self.hidden.entry(at).or_default();
        hidden.0 += body.stored;
        hidden.1 += body.size;
    }

    /// Takes away what is below a node; `lower`: only what earlier layers put there.
    fn remove_below(&mut self, at: u32, why: Hidden, lower: bool) {
        let mut todo: Vec<u32> = self.tree.children(at).collect();
        while let Some(at) = todo.pop() {
            todo.extend(self.tree.children(at));
            if !lower || self.tree.node(at).layer < self.layer {
                self.remove(at, why);
            }
        }
    }

    /// Bytes of the files below a node, as earlier layers put them there.
    fn size_below(&self, at: u32) -> u64 {
        let mut sum = 0;
        let mut todo: Vec<u32> = self.tree.children(at).collect();
        while let Some(at) = todo.pop() {
            todo.extend(self.tree.children(at));
            let node = self.tree.node(at);
            if let (State::File(body), true) = (node.state, node.layer < self.layer) {
                sum += self.bodies[body as usize].size;
            }
        }
        sum
    }
}

impl Bytes {
    fn add(&mut self, size: u64, stored: u64) {
        self.files += 1;
        self.size += size;
        self.stored += stored;
    }
}

fn first(digest: &[u8; 32]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn entry(kind: Kind, path: &str, size: u64, data: Data) -> Entry {
        Entry { path: path.into(), kind, mode: 0o644, uid: 0, gid: 0, mtime: 0, size, stored: size, data }
    }

    fn file(path: &str, size: u64, content: u8) -> Entry {
        entry(Kind::File, path, size, Data::Content(Digest([content; 32])))
    }

    fn bare(kind: Kind, path: &str) -> Entry {
        entry(kind, path, 0, Data::None)
    }

    fn link(path: &str, target: &str) -> Entry {
        entry(Kind::Hardlink, path, 0, Data::Target(target.into()))
    }

    fn stacked(layers: &[&[Entry]]) -> Waste {
        let mut stack = Stack::new();
        for layer in layers {
            layer.iter().for_each(|entry| stack.entry(entry));
            stack.end_of_layer();
        }
        stack.finish(10)
    }

    #[test]
    fn what_an_upper_layer_hides() {
        let below = [bare(Kind::Directory, "d"), file("d/a", 10, 1), file("d/b", 20, 2), file("c", 5, 3)];
        let waste = stacked(&[&below, &[file("d/a", 11, 9), file("c", 5, 3)], &[bare(Kind::Whiteout, "d")]]);
        assert_eq!((waste.overwritten.size, waste.same_again.size, waste.deleted.size), (10, 5, 31));
        assert_eq!(waste.files, 1);
        let worst: Vec<_> = waste.worst.iter().map(|file| (file.path.as_str(), file.size)).collect();
        assert_eq!(worst, [("d/a", 21), ("d/b", 20), ("c", 5)]);
    }

    #[test]
    fn a_whiteout_hides_what_is_below_wherever_it_stands() {
        for layer in [
            [bare(Kind::Opaque, "d"), file("d/new", 3, 3)],
            [file("d/new", 3, 3), bare(Kind::Opaque, "d")],
            [bare(Kind::Whiteout, "d"), file("d/new", 3, 3)],
            [file("d/new", 3, 3), bare(Kind::Whiteout, "d")],
        ] {
            let waste = stacked(&[&[file("d/old", 7, 1)], &layer]);
            assert_eq!((waste.deleted.files, waste.deleted.size, waste.files), (1, 7, 1), "{layer:?}");
        }
    }

    #[test]
    fn a_file_is_there_as_long_as_it_has_a_name() {
        let below = [file("a", 10, 1), link("b", "a")];
        assert_eq!(stacked(&[&below, &[bare(Kind::Whiteout, "a")]]).deleted.size, 0);
        let both = [bare(Kind::Whiteout, "a"), bare(Kind::Whiteout, "b")];
        assert_eq!(stacked(&[&below, &both]).deleted.size, 10);
        // A link to itself, and one to nothing.
        let odd = [link("a", "a"), link("x", "nowhere")];
        assert_eq!(stacked(&[&below, &odd]).overwritten.size, 0);
    }

    #[test]
    fn a_file_in_place_of_a_directory_and_the_other_way_round() {
        let waste = stacked(&[&[file("d/a", 10, 1)], &[file("d", 3, 3)], &[file("d/b", 4, 4)]]);
        assert_eq!((waste.overwritten.size, waste.files), (13, 1));
    }

    #[test]
    fn what_is_left_behind() {
        let layer = [file("root/.cache/pip/x", 10, 1), file("tmp/y", 4, 2)];
        let waste = stacked(&[&layer, &[bare(Kind::Whiteout, "tmp/y")]]);
        assert_eq!(
            waste.leftovers.iter().map(|(kind, bytes)| (*kind, bytes.size)).collect::<Vec<_>>(),
            [("cache of pip", 10)]
        );
    }

    #[test]
    fn efficiency() {
        assert_eq!(stacked(&[]).efficiency, 1.0);
        // The same path twice, 10 and 30 bytes: 10 would have done.
        let waste = stacked(&[&[file("a", 10, 1)], &[file("a", 30, 2)]]);
        assert_eq!((waste.efficiency, waste.by_path), (0.25, 40));
        // A removed file counts with its size, and 0.
        let waste = stacked(&[&[file("a", 10, 1), file("b", 10, 1)], &[bare(Kind::Whiteout, "a")]]);
        assert_eq!((waste.efficiency, waste.by_path), (0.5, 10));
    }
}
