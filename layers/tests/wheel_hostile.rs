//! Wheels that must not be unpacked: each is refused, with the reason, before or while it is read.
#![allow(clippy::unwrap_used)]

mod wheels;

use std::fs;
use std::path::Path;

use plinth_layers::resolution::{Layout, Scheme};
use plinth_layers::steps::payload::{self, PayloadSpec};
use plinth_layers::tree::LAYOUT;
use wheels::{Wheel, interpreter, python, sha256};

/// The error of making a payload from these bytes, which nothing may escape from.
fn error(wheel: &Wheel, bytes: &[u8]) -> String {
    let temp = tempfile::tempdir().unwrap();
    let path = |n: &str| temp.path().join(n);
    fs::create_dir_all(path("in/out")).unwrap();
    fs::create_dir_all(path("in/meta")).unwrap();
    fs::write(path("wheel"), bytes).unwrap();
    let (interpreter, _) = interpreter(Path::new(&python()));
    let spec = PayloadSpec {
        layout: LAYOUT,
        name: wheel.name.clone(),
        version: wheel.version.clone(),
        filename: wheel.filename(),
        sha256: sha256(bytes),
        scheme: Scheme {
            purelib: "/p/lib".into(),
            platlib: "/p/lib".into(),
            headers: "/p/include".into(),
            scripts: "/p/bin".into(),
            data: "/p".into(),
        },
        interpreter,
        laid_out_as: Layout::default(),
        foreign: false,
    };
    let result = payload::run(&spec, &path("wheel"), &path("in/out"), &path("in/meta"));
    let mut around: Vec<_> =
        fs::read_dir(temp.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    around.sort();
    assert_eq!(around, ["in", "wheel"], "something was written outside");
    for left in [path("in/out"), path("in/meta")] {
        assert!(fs::read_dir(&left).unwrap().next().is_none(), "{left:?} is not empty");
    }
    match result {
        Ok(()) => panic!("the wheel was accepted"),
        Err(e) => e.to_string(),
    }
}

fn base() -> Wheel {
    Wheel::new("hostile", "1").file("hostile.txt", "content\n")
}

/// The error for a wheel in which every occurrence of `from` was replaced by `to`, of the same length.
fn patched(wheel: &Wheel, from: &[u8], to: &[u8]) -> String {
    assert_eq!(from.len(), to.len());
    let mut bytes = wheel.bytes();
    let mut at = 0;
    let mut count = 0;
    while let Some(i) = bytes[at..].windows(from.len()).position(|w| w == from) {
        bytes[at + i..at + i + to.len()].copy_from_slice(to);
        at += i + to.len();
        count += 1;
    }
    assert!(count > 0);
    error(wheel, &bytes)
}

fn refused(wheel: &Wheel, why: &str) {
    let message = error(wheel, &wheel.bytes());
    assert!(message.contains(why), "{message}");
}

#[test]
fn the_digest_is_checked_first() {
    let wheel = base();
    let temp = tempfile::tempdir().unwrap();
    let path = wheel.write(temp.path());
    let opened = plinth_layers::wheel::archive::Archive::open(&path, &"0".repeat(64));
    assert!(opened.unwrap_err().to_string().contains(&format!("sha256 is {}", sha256(&wheel.bytes()))));
}

#[test]
fn paths_that_lead_elsewhere() {
    for (name, why) in [
        ("../escape", "'.' or '..'"),
        ("a/../../escape", "'.' or '..'"),
        ("./a", "'.' or '..'"),
        ("/etc/escape", "absolute"),
        ("a//b", "empty path component"),
        ("a/.wh.b", "marks a deletion"),
        ("a\u{1b}[2J", "control character"),
        ("hostile-1.data/data/../../../escape", "'.' or '..'"),
    ] {
        let message = error(&base(), &wheels::zip(&[(name.into(), b"x".to_vec(), 0o100_644)], &[]));
        assert!(message.contains(why), "{name}: {message}");
    }
    let wheel = base().file("QQQQ", "x");
    assert!(patched(&wheel, b"QQQQ", b"a\\bc").contains("backslash"));
    assert!(patched(&wheel, b"QQQQ", b"a\0bc").contains("NUL"));
    assert!(patched(&wheel, b"QQQQ", b"a\xffbc").contains("not UTF-8"));
    // Valid UTF-8, but the entry does not say so: code page 437 to some readers.
    let message = patched(&wheel, b"QQQQ", "aéb".as_bytes());
    assert!(message.contains("not marked as UTF-8"), "{message}");
}

/// Info-ZIP's Unicode path field: readers that know it see another name.
#[test]
fn a_second_name_for_an_entry() {
    let wheel = base();
    let good = wheel.bytes();
    let mut field = vec![0x75, 0x70, 11, 0, 1];
    field.extend_from_slice(&crc32(b"hostile.txt").to_le_bytes());
    field.extend_from_slice(b"other!");
    // Into the local header and the directory's record of the first entry.
    let mut bytes = good.clone();
    let central = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    let length = field.len() as u16;
    for (at, fixed) in [(central, 46), (0, 30)] {
        let extra = at + fixed - if fixed == 46 { 16 } else { 2 };
        let name = u16::from_le_bytes(bytes[extra - 2..extra].try_into().unwrap()) as usize;
        let old = u16::from_le_bytes(bytes[extra..extra + 2].try_into().unwrap());
        bytes[extra..extra + 2].copy_from_slice(&(old + length).to_le_bytes());
        let end = at + fixed + name + old as usize;
        bytes.splice(end..end, field.iter().copied());
    }
    // Everything after the first entry has moved by one field, the end also by the other.
    let shift = |bytes: &mut Vec<u8>, at: usize, by: u32| {
        let value = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        bytes[at..at + 4].copy_from_slice(&(value + by).to_le_bytes());
    };
    let mut at = central + field.len();
    let mut first = true;
    while bytes[at..at + 4] == *b"PK\x01\x02" {
        if !first {
            shift(&mut bytes, at + 42, u32::from(length));
        }
        first = false;
        let part = |i: usize| u16::from_le_bytes(bytes[at + i..at + i + 2].try_into().unwrap()) as usize;
        at += 46 + part(28) + part(30) + part(32);
    }
    shift(&mut bytes, at + 12, u32::from(length));
    shift(&mut bytes, at + 16, u32::from(length));
    let message = error(&wheel, &bytes);
    assert!(message.contains("second name"), "{message}");
}

/// CRC-32 as zip files use it.
fn crc32(data: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    crc.sum()
}

#[test]
fn the_same_path_twice() {
    let wheel = base().file("QQQ1", "x").file("QQQ2", "y");
    assert!(patched(&wheel, b"QQQ1", b"QQQ2").contains("same name"));
    refused(&base().file("a", "x").file("a/b", "y"), "below a path that is a file");
    let mut directory = base().file("a", "x");
    directory.directories = vec!["a/".into()];
    refused(&directory, "is a file and a directory");
    // Two parts of the wheel that end up at one path.
    refused(
        &base().file("twice.txt", "x").data("purelib/twice.txt", "y", 0o100_644),
        "the path occurs twice",
    );
    refused(
        &base().file("twice", "x").data("purelib/twice/a", "y", 0o100_644),
        "below a path that is a file",
    );
}

#[test]
fn special_entries() {
    let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    out.add_symlink("link", "/etc/passwd", zip::write::SimpleFileOptions::default()).unwrap();
    let bytes = out.finish().unwrap().into_inner();
    assert!(error(&base(), &bytes).contains("a symlink"));
    // The mode of a device, in the upper half of the attributes of the only entry in the directory.
    let mut bytes = wheels::zip(&[("device".into(), Vec::new(), 0o100_644)], &[]);
    let at = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    bytes[at + 38..at + 42].copy_from_slice(&(0o020_644_u32 << 16).to_le_bytes());
    assert!(error(&base(), &bytes).contains("special file"));
    bytes[at + 38..at + 42].copy_from_slice(&(0o104_755_u32 << 16).to_le_bytes());
    assert!(error(&base(), &bytes).contains("setuid"));
    bytes[at + 38..at + 42].copy_from_slice(&(0o100_644_u32 << 16).to_le_bytes());
    bytes[at + 8] |= 1;
    bytes[6] |= 1;
    assert!(error(&base(), &bytes).contains("encrypted"));
}

#[test]
fn containers_that_can_be_read_in_two_ways() {
    let wheel = base();
    let good = wheel.bytes();
    let mut trailing = good.clone();
    trailing.extend_from_slice(b"more");
    assert!(error(&wheel, &trailing).contains("does not end with its directory"));
    let mut prefixed = b"#!/bin/sh\n".to_vec();
    prefixed.extend_from_slice(&good);
    assert!(error(&wheel, &prefixed).contains("zip archive"));
    let mut two = good.clone();
    two.extend_from_slice(&Wheel::new("other", "1").bytes());
    assert!(error(&wheel, &two).contains("zip archive"));
    // A local header that names another file than the directory.
    let at = good.windows(11).position(|w| w == b"hostile.txt").unwrap();
    let mut renamed = good.clone();
    renamed[at..at + 7].copy_from_slice(b"benign_");
    assert!(error(&wheel, &renamed).contains("zip archive"));
    assert!(error(&wheel, b"").contains("too short"));
    assert!(error(&wheel, &good[..good.len() - 30]).contains("zip archive"));
}

#[test]
fn damaged_data() {
    let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let wheel = base().file("big.txt", "MARKER");
    for (name, content, _) in wheel.entries() {
        use std::io::Write as _;
        out.start_file(name, stored).unwrap();
        out.write_all(&content).unwrap();
    }
    let mut bytes = out.finish().unwrap().into_inner();
    let at = bytes.windows(6).position(|w| w == b"MARKER").unwrap();
    bytes[at] = b'X';
    let message = error(&wheel, &bytes);
    assert!(message.contains("big.txt") && message.contains("damaged"), "{message}");
}

#[test]
fn bombs() {
    // 70 MB of zeros in 70 KB: more than 64 MB, and more than 200 times the size.
    let bomb = base().file("zeros", vec![0_u8; 70 << 20]);
    assert!(bomb.bytes().len() < 200 << 10);
    refused(&bomb, "decompression bomb");
    // The same spread over many files.
    let spread = (0..10).fold(base(), |w, i| w.file(&format!("zeros{i}"), vec![0_u8; 7 << 20]));
    refused(&spread, "decompression bomb");
    // Below the limit it is a wheel like any other, apart from what is wrong with it.
    let metadata = base().info("entry_points.txt", vec![b'\n'; 33 << 20]);
    refused(&metadata, "metadata file of more than");
}

#[test]
fn a_record_that_lies() {
    let mut unlisted = base().file("extra.txt", "x");
    unlisted.unlisted = vec!["extra.txt".into()];
    refused(&unlisted, "\"extra.txt\" is in the archive and not listed");
    let mut missing = base();
    missing.extra_rows = format!("gone.txt,sha256={},1\n", "A".repeat(43));
    refused(&missing, "\"gone.txt\" is listed and not in the archive");
    let mut wrong = base().file("extra.txt", "x");
    wrong.unlisted = vec!["extra.txt".into()];
    wrong.extra_rows = format!("extra.txt,sha256={},1\n", "A".repeat(43));
    refused(&wrong, "\"extra.txt\" has another hash than listed");
    wrong.extra_rows = "extra.txt,,\n".into();
    refused(&wrong, "has no hash");
    wrong.extra_rows = "extra.txt,md5=1B2M2Y8AsgTpgAmY7PhCfg,1\n".into();
    refused(&wrong, "not of the SHA-2 family");
    // Also for a file that is not installed, since a wrapper is generated instead.
    let mut skipped =
        base().data("scripts/cli", "x", 0o100_755).info("entry_points.txt", "[console_scripts]\ncli = a:b\n");
    skipped.unlisted = vec!["hostile-1.data/scripts/cli".into()];
    skipped.extra_rows = format!("hostile-1.data/scripts/cli,sha256={},1\n", "A".repeat(43));
    refused(&skipped, "has another hash than listed");
}

#[test]
fn violations_of_the_format() {
    let without = |name: &str| {
        let wheel = base();
        let entries: Vec<_> = wheel.entries().into_iter().filter(|e| !e.0.ends_with(name)).collect();
        error(&wheel, &wheels::zip(&entries, &[]))
    };
    for name in ["WHEEL", "METADATA", "RECORD"] {
        let message = without(&format!("/{name}"));
        assert!(message.contains(&format!("hostile-1.dist-info/{name}: missing")), "{message}");
    }
    refused(&base().file("other-1.dist-info/METADATA", ""), "has 2 .dist-info directories");
    let mut next = base();
    next.wheel_version = "2.0".into();
    refused(&next, "is not 1.x");
    refused(&base().data("unknown/x", "", 0o100_644), "unknown scheme \"unknown\"");
    let entries = base().entries();
    let named = |name: &str, version: &str| {
        let mut expected = Wheel::new(name, version);
        expected.files = Vec::new();
        error(&expected, &wheels::zip(&entries, &[]))
    };
    assert!(named("host", "1").contains("name \"hostile\", but \"host\" was resolved"));
    assert!(named("hostile", "1.1").contains("version \"1\", but \"1.1\" was resolved"));
    assert!(named("benign", "1").contains("is not the metadata directory of benign"));
}

#[test]
fn too_many_entries() {
    let files: Vec<_> = (0..60_001).map(|i| (format!("f{i}"), Vec::new(), 0o100_644)).collect();
    assert!(error(&base(), &wheels::zip(&files, &[])).contains("more than 60000 entries"));
}
