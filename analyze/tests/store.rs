//! The store: what is kept, what damage does, and who cleans up.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use plinth_analyze::layer::{Content, Entry};
use plinth_analyze::store::Store;
use support::{Raw, digest, noise, read, tar};

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
    let path = place.path().join("2").join(name.hex());
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
    fs::copy(place.path().join("2").join(digest(b"b").hex()), &path).unwrap();
    assert_eq!(store.content(&name).unwrap(), None);
    keep(&store, b"a", &layer);
    assert_eq!(fs::read(&path).unwrap(), whole);
}

#[test]
fn unfinished_files_go_and_those_of_the_living_stay() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(place.path()).unwrap();
    let directory = place.path().join("2");
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

/// What is kept of a layer is compared with what is kept of another one, perhaps years later. If any value here changes,
/// the store needs a new `VERSION`: otherwise old and new layers would be told apart where they are the same.
#[test]
fn the_values_of_this_version() {
    let mut raw = Raw::default();
    raw.member(b'5', b"etc/", b"", b"")
        .file("etc/motd", b"hello\n")
        .member(b'2', b"etc/issue", b"motd", b"")
        .member(b'1', b"etc/motd.again", b"etc/motd", b"")
        .pax(&[("SCHILY.xattr.user.x", b"1")])
        .file("etc/large", &[7; 1500])
        .file("etc/.wh.gone", b"");
    let (content, entries) = read(raw.end()).unwrap();
    assert_eq!(
        content.canonical.to_string(),
        "sha256:bb9442d5728a50114383df34cbbc6d590e996bbbf01b1a0885af675c3b428cfa"
    );
    assert_eq!(
        content.diff_id.to_string(),
        "sha256:8b73d1dc1aab518b57ff7e9faabbe6778d77546168b5bd9f56aab89db4f961a6"
    );
    let stored: Vec<_> = entries
        .iter()
        .map(|entry| (String::from_utf8_lossy(&entry.path).into_owned(), entry.stored))
        .collect();
    let stored: Vec<_> = stored.iter().map(|(path, stored)| (path.as_str(), *stored)).collect();
    let expected = [
        ("etc", 512),
        ("etc/motd", 1024),
        ("etc/issue", 512),
        ("etc/motd.again", 512),
        ("etc/large", 3072),
        ("etc/gone", 1536),
    ];
    assert_eq!(stored, expected);
}
