//! The levels over layers that are made up here.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use super::*;
use crate::image::{Blob, Layer};
use crate::layer::{Compression, Data, Ecosystem, Kind, Package as Own, path_key};

/// Layers by the first byte of their digest.
#[derive(Default)]
struct Memory(HashMap<Digest, (Content, Vec<Entry>)>);

impl Contents for Memory {
    fn content(&self, blob: &Digest) -> Result<Option<Content>, Failed> {
        Ok(self.0.get(blob).map(|(content, _)| content.clone()))
    }

    fn entries(&self, blob: &Digest) -> Result<Option<Entries<'_>>, Failed> {
        Ok(self.0.get(blob).map(|(_, entries)| Box::new(entries.iter().cloned().map(Ok)) as Entries<'_>))
    }
}

fn digest(number: u8) -> Digest {
    Digest([number; 32])
}

fn blob(number: u8, size: u64) -> Blob {
    Blob { digest: digest(number), size, media_type: String::new() }
}

fn entry(kind: Kind, path: &str, size: u64, data: Data) -> Entry {
    Entry { path: path.into(), kind, mode: 0o644, uid: 0, gid: 0, mtime: 0, size, stored: size, data }
}

fn file(path: &str, size: u64, content: u8) -> Entry {
    entry(Kind::File, path, size, Data::Content(digest(content)))
}

impl Memory {
    fn with(mut self, number: u8, entries: Vec<Entry>, packages: Vec<Own>) -> Self {
        let stored = entries.iter().map(|entry| entry.stored).sum();
        let content = Content {
            compression: Compression::None,
            stored,
            diff_id: digest(number),
            uncompressed: stored,
            canonical: digest(number),
            entries: entries.len() as u64,
            files: entries.iter().filter(|entry| entry.kind == Kind::File).count() as u64,
            file_bytes: stored,
            packages,
            notes: Vec::new(),
        };
        self.0.insert(digest(number), (content, entries));
        self
    }

    fn image(&self, name: &str, manifest: u8, layers: &[u8]) -> Image {
        let layer = |number: &u8| Layer {
            blob: blob(*number, self.0[&digest(*number)].0.stored),
            diff_id: None,
            created_by: None,
        };
        Image {
            name: name.into(),
            place: "here".into(),
            platform: String::new(),
            manifest: blob(manifest, 10),
            config: blob(manifest + 1, 10),
            layers: layers.iter().map(layer).collect(),
            labels: BTreeMap::new(),
        }
    }

    fn analyze(&self, images: Vec<Image>) -> Analysis {
        let found = Found { images, ..Found::default() };
        analyze(&found, self, Options { top: 10, lock: None, stop: None }).unwrap()
    }
}

fn package(directory: &str, owned: &[&str]) -> Own {
    let mut owns: Vec<u64> = owned.iter().map(|path| path_key(path.as_bytes())).collect();
    owns.sort_unstable();
    let (name, version) = ("x".to_owned(), "1".to_owned());
    Own { ecosystem: Ecosystem::Python, name, version, directory: directory.into(), owns }
}

#[test]
fn what_many_images_waste_is_wasted_once() {
    let memory = Memory::default()
        .with(1, vec![file("a", 100, 1), file("tmp/b", 7, 2)], vec![])
        .with(2, vec![entry(Kind::Whiteout, "a", 0, Data::None)], vec![])
        .with(3, vec![file("a", 5, 3)], vec![]);
    let images = vec![memory.image("one", 100, &[1, 2]), memory.image("two", 110, &[1, 3])];
    let analysis = memory.analyze(images);
    let hidden: Vec<u64> = analysis.waste.iter().flatten().map(Waste::hidden).collect();
    assert_eq!(hidden, [100, 100]);
    assert_eq!(analysis.wasted, Wasted { hidden: 100, left_behind: 7 });
}

#[test]
fn an_image_with_several_names_counts_once() {
    let memory = Memory::default().with(1, vec![file("a", 100, 1)], vec![]);
    let analysis = memory.analyze(vec![memory.image("app:1", 100, &[1]), memory.image("app:2", 100, &[1])]);
    assert_eq!(analysis.blobs.summed, 120);
    assert_eq!(analysis.blobs.total.stored, 120);
    assert_eq!(analysis.waste.iter().flatten().count(), 2);
}

#[test]
fn what_a_layer_deletes_is_no_copy() {
    let site = "usr/lib/python3.11/site-packages";
    let (source, metadata) = (format!("{site}/x.py"), format!("{site}/x-1.dist-info/METADATA"));
    let own = package(&format!("{site}/x-1.dist-info"), &[&source, &metadata]);
    let memory = Memory::default()
        .with(1, vec![file(&source, 100, 1), file(&metadata, 10, 2)], vec![own])
        .with(2, vec![entry(Kind::Whiteout, &source, 0, Data::None)], vec![])
        .with(3, vec![file(&source, 100, 1)], vec![]);
    let analysis = memory.analyze(vec![memory.image("deleted", 100, &[1, 2])]);
    let [x] = &analysis.packages.list[..] else { panic!("{:?}", analysis.packages.list) };
    assert_eq!((x.total.copies, x.total.stored, x.total.saving), (1, 110, 0));
    // Written again, it is one: part of it, and so not the same as the whole.
    let analysis = memory.analyze(vec![memory.image("again", 100, &[1, 3])]);
    let [x] = &analysis.packages.list[..] else { panic!("{:?}", analysis.packages.list) };
    assert_eq!((x.total.copies, x.total.distinct, x.total.stored), (2, 2, 210));
}

#[test]
fn a_package_is_stored_once_whatever_layers_it_is_in() {
    let site = "usr/local/lib/python3.11/site-packages";
    let source = format!("{site}/x.py");
    let (record, code) =
        (format!("{site}/x-1.dist-info/RECORD"), format!("{site}/__pycache__/y.cpython-311.pyc"));
    let own = || vec![package(&format!("{site}/x-1.dist-info"), &[&source, &record])];
    let base = vec![file("usr/local/bin/python3.11", 50, 9)];
    let memory = Memory::default()
        .with(1, base, vec![])
        .with(2, vec![file(&source, 100, 1), file(&record, 10, 2), file(&code, 4, 3)], own())
        .with(3, vec![file(&source, 100, 1), file(&record, 10, 4), file("app", 1, 5)], own());
    let analysis = memory.analyze(vec![memory.image("a", 100, &[1, 2]), memory.image("b", 110, &[1, 3])]);
    let figures = &analysis.achievable;
    // Configs of 10 each, the base, one package, two RECORDs, the application; without the stray byte code.
    assert_eq!((figures.now, figures.layered), (20 + 50 + 114 + 111, 20 + 50 + 100 + 20 + 1));
    assert_eq!((figures.left_by_pip, figures.records, figures.packages), (4, 20, 200));
}
