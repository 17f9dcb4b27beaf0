//! The store: what is kept, what damage does, and who cleans up.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use plinth_analyze::layer::{Content, Entry};
use plinth_analyze::store::Store;
use support::{digest, noise, read, tar};

fn layer() -> (Content, Vec<Entry>) {
    let files: Vec<_> = (0..300).map(|number| (format!("usr/lib/x/{number}"), noise(number, 100))).collect();
    let files: Vec<_> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    read(tar(&files)).unwrap()
}

fn keep(store: &Store, name: &[u8], (content, entries): &(Content, Vec<Entry>)) {
    let mut writer = store.writer(&digest(name)).unwrap();
    for entry in entries {
        writer.entry(entry).unwrap();
    }
    writer.finish(content).unwrap();
}

#[test]
fn what_was_kept_comes_back() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(place.path()).unwrap();
    let layer = layer();
    assert_eq!(store.content(&digest(b"a")).unwrap(), None);
    assert!(store.entries(&digest(b"a")).unwrap().is_none());
    keep(&store, b"a", &layer);
    let again = Store::open(place.path()).unwrap();
    assert_eq!(again.content(&digest(b"a")).unwrap().as_ref(), Some(&layer.0));
    assert!(again.has(&digest(b"a")).unwrap());
    let entries: Result<Vec<_>, _> = again.entries(&digest(b"a")).unwrap().unwrap().collect();
    assert_eq!(entries.unwrap(), layer.1);
    assert!(!again.has(&digest(b"b")).unwrap());
}

#[test]
fn any_damage_counts_as_absent_and_is_mended() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(place.path()).unwrap();
    let layer = layer();
    let name = digest(b"a");
    keep(&store, b"a", &layer);
    let path = place.path().join("1").join(name.hex());
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(97).chain([whole.len() - 1, whole.len() - 33, whole.len() - 65]) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        assert!(!store.has(&name).unwrap(), "a bit at {at}");
        assert!(store.entries(&name).unwrap().is_none(), "a bit at {at}");
        fs::write(&path, &whole[..at]).unwrap();
        assert!(!store.has(&name).unwrap(), "cut off at {at}");
        assert_eq!(store.content(&name).unwrap(), None, "cut off at {at}");
    }
    // What is another layer's isn't this one's.
    keep(&store, b"b", &layer);
    fs::copy(place.path().join("1").join(digest(b"b").hex()), &path).unwrap();
    assert_eq!(store.content(&name).unwrap(), None);
    keep(&store, b"a", &layer);
    assert_eq!(fs::read(&path).unwrap(), whole);
}

#[test]
fn unfinished_files_go_and_those_of_the_living_stay() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(place.path()).unwrap();
    let directory = place.path().join("1");
    let layer = layer();
    let files = || fs::read_dir(&directory).unwrap().count();
    let mut writer = store.writer(&digest(b"a")).unwrap();
    writer.entry(&layer.1[0]).unwrap();
    fs::write(directory.join(".tmp-1-0"), b"of a dead process").unwrap();
    assert_eq!(files(), 2);
    Store::open(place.path()).unwrap();
    assert_eq!(files(), 1, "the writer's own is still there");
    drop(writer);
    assert_eq!(files(), 0);
    let writer = store.writer(&digest(b"a")).unwrap();
    Store::open(place.path()).unwrap();
    writer.finish(&Content { entries: 0, ..layer.0 }).unwrap();
    assert!(store.has(&digest(b"a")).unwrap());
}
