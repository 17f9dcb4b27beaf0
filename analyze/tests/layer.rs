//! Layers as they should be.
#![allow(clippy::unwrap_used)]

mod support;

use plinth_analyze::layer::{Compression, Data, Kind};
use support::{Raw, digest, gzip, noise, read, tar, zstd};

#[test]
fn every_compression_gives_the_same() {
    let archive = tar(&[("a", b"alpha"), ("dir/b", &noise(1, 700_000)), ("c", &[0; 300_000])]);
    let mut several = gzip(&archive[..1000]);
    several.extend(gzip(&archive[1000..]));
    let mut frames = vec![0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    frames.extend(zstd(&archive[..100_000]));
    frames.extend([0x5f, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]);
    frames.extend(zstd(&archive[100_000..]));
    let plain = read(archive.clone()).unwrap();
    assert_eq!(plain.0.compression, Compression::None);
    for (bytes, compression) in [
        (gzip(&archive), Compression::Gzip),
        (several, Compression::Gzip),
        (zstd(&archive), Compression::Zstd),
        (frames, Compression::Zstd),
    ] {
        let stored = bytes.len() as u64;
        let (content, entries) = read(bytes).unwrap();
        assert_eq!((content.compression, content.stored), (compression, stored));
        assert_eq!(content.diff_id, digest(&archive));
        assert_eq!(content.uncompressed, archive.len() as u64);
        assert_eq!(content.canonical, plain.0.canonical);
        assert_eq!((content.entries, content.files, content.file_bytes), (3, 3, 1_000_005));
        let same = |entries: &[plinth_analyze::layer::Entry]| -> Vec<_> {
            entries.iter().map(|entry| (entry.path.clone(), entry.size, entry.data.clone())).collect()
        };
        assert_eq!(same(&entries), same(&plain.1));
        assert_eq!(entries[1].data, Data::Content(digest(&noise(1, 700_000))));
        // The noise takes nearly all that is stored.
        assert!(entries[1].stored > 650_000 && entries[2].stored < 60_000, "{entries:?}");
    }
}

#[test]
fn shares_of_plain_bytes_are_exact() {
    let (_, entries) = read(tar(&[("a", &[1; 600]), ("b", b""), ("c", &[1; 512])])).unwrap();
    let shares: Vec<_> = entries.iter().map(|entry| entry.stored).collect();
    assert_eq!(shares, [512 + 1024, 512, 512 + 512 + 1024]);
}

#[test]
fn order_and_time_make_no_difference() {
    let a = |raw: &mut Raw| {
        raw.with(b'0', b"a", b"", b"1", |header| header[136..148].copy_from_slice(b"00000000777\0"));
    };
    let b = |raw: &mut Raw| {
        raw.pax(&[("SCHILY.xattr.user.x", b"1"), ("mtime", b"12.5")]).member(b'5', b"b/", b"", b"");
    };
    let (mut one, mut other, mut third) = (Raw::default(), Raw::default(), Raw::default());
    a(&mut one);
    b(&mut one);
    b(&mut other);
    other.file("a", b"1");
    third.file("a", b"1").member(b'5', b"b/", b"", b"");
    let [one, other, third] = [&mut one, &mut other, &mut third].map(|raw| read(raw.end()).unwrap());
    assert_eq!(one.0.canonical, other.0.canonical);
    assert_ne!(one.0.canonical, third.0.canonical, "extended attributes count");
    assert_eq!((one.1[0].mtime, one.1[1].mtime), (0o777, 12));
    assert_eq!((other.1[0].path.as_slice(), other.1[0].kind), (&b"b"[..], Kind::Directory));
}
