//! Streams and archives that are broken, or made to be read in two ways: each is an error that says what is wrong.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{self, Cursor, Read, Write};

use plinth_analyze::image::Blob;
use plinth_analyze::layer::{self, Data, Kind, Limits, ReadError};
use support::{Raw, blob, digest, gnu, gzip, noise, pax, read, read_as, tar, zstd};

/// The error of stored bytes that are those of the descriptor.
fn error(bytes: Vec<u8>) -> String {
    read(bytes).expect_err("it is refused").to_string()
}

fn archive() -> Vec<u8> {
    tar(&[("a", &noise(1, 200_000)), ("b", b"b")])
}

// The descriptor.

#[test]
fn bytes_that_are_not_those_of_the_digest() {
    let bytes = gzip(&archive());
    let wrong = Blob { digest: digest(b"else"), ..blob(&bytes) };
    let error = read_as(bytes.clone(), &wrong, None, &Limits::default()).expect_err("refused").to_string();
    let got = digest(&bytes);
    assert_eq!(
        error,
        format!("its bytes have the digest {got}: they are not what was stored under this name")
    );
    // That is what is said too if they lead to nothing.
    let broken = b"no archive".to_vec();
    let wrong = Blob { digest: digest(b"else"), ..blob(&broken) };
    let found = read_as(broken, &wrong, None, &Limits::default());
    assert!(matches!(found, Err(ReadError::Digest(_))), "{found:?}");
}

#[test]
fn more_bytes_and_fewer() {
    let bytes = gzip(&archive());
    let size = bytes.len() as u64;
    for (said, expected) in [
        (size - 1, format!("it has more bytes, its descriptor says {}", size - 1)),
        (size + 1, format!("it has {size} bytes, its descriptor says {}", size + 1)),
        (0, "it has more bytes, its descriptor says 0".to_owned()),
    ] {
        let wrong = Blob { size: said, ..blob(&bytes) };
        let error = read_as(bytes.clone(), &wrong, None, &Limits::default()).expect_err("refused");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_stream_without_end_is_not_read_to_it() {
    let endless = Box::new(io::repeat(0));
    let blob = Blob { size: 10_000_000, ..blob(b"") };
    let error = support::read_stream(endless, &blob, None, &Limits::default()).expect_err("refused");
    assert_eq!(error.to_string(), "it has more bytes, its descriptor says 10000000");
}

#[test]
fn the_source_fails() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the connection is gone"))
        }
    }
    let bytes = gzip(&archive());
    let stream = Box::new(Cursor::new(bytes[..1000].to_vec()).chain(Broken));
    let error = support::read_stream(stream, &blob(&bytes), None, &Limits::default()).expect_err("refused");
    assert_eq!(error.to_string(), "the connection is gone");
}

#[test]
fn another_diff_id() {
    for bytes in [archive(), gzip(&archive()), zstd(&archive())] {
        let blob = blob(&bytes);
        let right = digest(&archive());
        read_as(bytes.clone(), &blob, Some(right), &Limits::default()).unwrap();
        let wrong = digest(b"else");
        let error = read_as(bytes, &blob, Some(wrong), &Limits::default()).expect_err("refused").to_string();
        assert_eq!(
            error,
            format!("the config of its image says diff ID {wrong}, its uncompressed bytes have {right}")
        );
    }
}

#[test]
fn an_error_of_the_caller_ends_it() {
    let files = vec![1; 1 << 20];
    let bytes = tar(&[("a", &files), ("b", &files)]);
    let bytes = bytes[..bytes.len() - 1024].to_vec();
    let read = layer::read(
        Box::new(Cursor::new(bytes.clone()).chain(io::repeat(0))),
        &Blob { size: 1 << 40, ..blob(&bytes) },
        None,
        &Limits::default(),
        &mut |_| Err(io::Error::other("no room")),
        &|_| (),
    );
    assert_eq!(read.expect_err("refused").to_string(), "no room");
}

#[test]
fn a_size_that_nobody_stores() {
    let blob = Blob { size: u64::MAX, ..blob(b"") };
    let error =
        support::read_stream(Box::new(io::repeat(0)), &blob, None, &Limits::default()).expect_err("refused");
    let limit = 1u64 << 40;
    assert_eq!(
        error.to_string(),
        format!("the descriptor says {} bytes, more than the {limit} that are read", u64::MAX)
    );
}

// Compressed streams.

#[test]
fn gzip_that_ends_early() {
    let bytes = gzip(&archive());
    for len in [3, 12, 5_000, 100_000, bytes.len() - 9, bytes.len() - 1] {
        let error = error(bytes[..len].to_vec());
        assert!(error.starts_with("broken gzip stream at byte "), "{len}: {error}");
        assert!(error.ends_with(": it ends in the middle"), "{len}: {error}");
    }
}

#[test]
fn zstd_that_ends_early() {
    let bytes = zstd(&archive());
    for len in [5, 12, 5_000, 100_000, bytes.len() - 1] {
        let error = error(bytes[..len].to_vec());
        assert!(error.starts_with("broken zstd stream at byte "), "{len}: {error}");
        assert!(error.ends_with(": it ends in the middle"), "{len}: {error}");
    }
}

#[test]
fn gzip_with_a_wrong_bit() {
    let bytes = gzip(&archive());
    for at in [bytes.len() / 2, bytes.len() - 2, bytes.len() - 6] {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        let error = error(bytes);
        assert!(error.ends_with("corrupt gzip stream does not have a matching checksum"), "{at}: {error}");
    }
    let mut text = gzip(&tar(&[("a", &b"some text, over and over\n".repeat(10_000))]));
    let middle = text.len() / 2;
    text[middle..middle + 8].fill(0xff);
    assert!(error(text).starts_with("broken gzip stream at byte "));
}

#[test]
fn zstd_with_a_wrong_bit() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(&archive()).unwrap();
    let mut bytes = encoder.finish().unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let error = error(bytes);
    assert!(error.starts_with("broken zstd stream at byte "), "{error}");
    assert!(error.ends_with("checksum"), "{error}");
}

#[test]
fn something_behind_the_end() {
    for (compressed, name) in [(gzip(&archive()), "gzip"), (zstd(&archive()), "zstd")] {
        let error = error([compressed, b"and more of it".to_vec()].concat());
        assert!(error.starts_with(&format!("broken {name} stream at byte ")), "{error}");
        assert!(error.ends_with("what stands behind its end is no further part of it"), "{error}");
    }
}

#[test]
fn a_window_that_is_too_large() {
    let window = |log| {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(log).unwrap();
        encoder.write_all(&archive()).unwrap();
        encoder.finish().unwrap()
    };
    read(window(27)).unwrap();
    let error = error(window(28));
    assert!(error.ends_with("it needs a window of more than 2^27 bytes"), "{error}");
}

#[test]
fn more_than_the_limits() {
    let zeros = tar(&[("zeros", &vec![0; 8 << 20])]);
    for bytes in [gzip(&zeros), zstd(&zeros)] {
        let limits = Limits { uncompressed: 4 << 20, ..Limits::default() };
        let error = read_as(bytes.clone(), &blob(&bytes), None, &limits).expect_err("refused").to_string();
        assert_eq!(error, "it is more than 4194304 bytes uncompressed, the most that is read");
    }
    let limits = Limits { ratio: 500, ratio_from: 4 << 20, ..Limits::default() };
    for bytes in [gzip(&zeros), zstd(&zeros)] {
        let error = read_as(bytes.clone(), &blob(&bytes), None, &limits).expect_err("refused").to_string();
        assert!(error.ends_with("beyond 4194304 bytes no more than 500 times as many are read"), "{error}");
    }
    // By default, zeros are as good as anything else.
    read(zstd(&zeros)).unwrap();
}

// Archives.

/// The message behind the place.
fn refused(raw: &mut Raw) -> String {
    let error = error(raw.end());
    let (place, reason) = error.split_once(": ").unwrap();
    assert!(place.starts_with("tar archive, at byte "), "{error}");
    reason.to_owned()
}

#[test]
fn no_archive() {
    assert!(error(vec![1; 2000]).ends_with("no tar header where one should be"));
    let mut archive = archive();
    archive[5] = b'x';
    assert!(error(archive).ends_with("no tar header where one should be: its checksum is wrong"));
    assert!(error(b"PK\x03\x04".to_vec()).ends_with("it ends in the middle of a member"));
}

#[test]
fn nothing_at_all_is_an_empty_layer() {
    let (content, _) = read(Vec::new()).unwrap();
    assert_eq!((content.entries, content.uncompressed, content.diff_id), (0, 0, digest(b"")));
    assert!(content.notes.is_empty());
}

#[test]
fn archives_that_end_early() {
    let whole = tar(&[("a", &[7; 700])]);
    for len in [100, 512 + 100, 512 + 700, 512 + 1023] {
        assert!(error(whole[..len].to_vec()).ends_with("it ends in the middle of a member"), "{len}");
    }
    let notes = |bytes: &[u8]| read(bytes.to_vec()).unwrap().0.notes;
    assert_eq!(notes(&whole), [""; 0]);
    assert_eq!(notes(&whole[..512 + 1024]), ["it ends without blocks of zeros"]);
    assert_eq!(notes(&whole[..512 + 1024 + 512]), ["it ends with one block of zeros instead of two"]);
    assert!(error(whole[..512 + 1024 + 700].to_vec()).ends_with("it ends in the middle of a member"));
}

#[test]
fn bytes_behind_the_end() {
    let mut bytes = archive();
    bytes.extend([0; 10_240]);
    assert_eq!(read(bytes.clone()).unwrap().0.notes, [""; 0]);
    bytes.extend(b"more");
    let (content, entries) = read(bytes).unwrap();
    assert_eq!(
        (content.notes, entries.len()),
        (vec!["4 bytes behind its end that aren't zero".to_owned()], 2)
    );
    let mut raw = Raw::default();
    raw.file("a", b"").data(&[0; 512]).file("b", b"");
    assert_eq!(refused(&mut raw), "one block of zeros and then something else");
}

#[test]
fn pax_against_the_header() {
    let mut raw = Raw::default();
    raw.pax(&[("size", b"1024")]).file("a", &[0; 512]).file("hidden", b"");
    assert_eq!(refused(&mut raw), "PAX says that \"a\" has 1024 bytes, its header 512");
    let mut raw = Raw::default();
    raw.pax(&[("size", b"0")]).file("a", &[0; 512]);
    assert_eq!(refused(&mut raw), "PAX says that \"a\" has 0 bytes, its header 512");
    // Said twice the same, and what the header has no room for.
    let mut raw = Raw::default();
    read(raw.pax(&[("size", b"3")]).file("a", b"abc").end()).unwrap();
    let mut raw = Raw::default();
    raw.pax(&[("size", b"8589934592")]).file("a", b"abc");
    assert_eq!(refused(&mut raw), "it ends in the middle of a member");
    let mut raw = Raw::default();
    raw.pax(&[("size", b"9223372036854775807")]).file("a", b"abc");
    assert_eq!(refused(&mut raw), "it ends in the middle of a member");
    for bad in ["-1", "1e3", " 3", "9223372036854775808", "0x3"] {
        let mut raw = Raw::default();
        raw.pax(&[("size", bad.as_bytes())]).file("a", b"abc");
        assert_eq!(refused(&mut raw), format!("PAX size that is no number: \"{bad}\""));
    }
}

#[test]
fn pax_twice() {
    let mut raw = Raw::default();
    raw.pax(&[("path", b"a"), ("path", b"b")]).file("x", b"");
    assert_eq!(refused(&mut raw), "PAX path twice, with different values");
    let mut raw = Raw::default();
    raw.pax(&[("path", b"a")]).pax(&[("path", b"b")]).file("x", b"");
    assert_eq!(refused(&mut raw), "two PAX headers before one member");
    let mut raw = Raw::default();
    raw.pax(&[("path", b"a\0b")]).file("x", b"");
    assert_eq!(refused(&mut raw), "PAX path with a NUL");
    let mut raw = Raw::default();
    raw.pax(&[("path", b"a")]);
    assert_eq!(refused(&mut raw), "an extended header at the end, with no member that it is for");
    let mut raw = Raw::default();
    raw.member(b'x', b"", b"", b"12 path=a\n").file("x", b"");
    assert_eq!(refused(&mut raw), "a PAX record that is none: \"12 path=a\\n\"");
}

#[test]
fn global_headers() {
    let global = |key: &str, value: &str| {
        let mut raw = Raw::default();
        raw.member(b'g', b"", b"", &pax(&[(key, value.as_bytes())])).file("a", b"1");
        raw
    };
    let (content, entries) = read(global("comment", "0123").end()).unwrap();
    assert_eq!(content.notes, ["1 global PAX headers, which runtimes pass over"]);
    assert_eq!(entries[0].path, b"a");
    for key in ["path", "linkpath", "size", "uid", "gid", "SCHILY.xattr.user.x", "GNU.sparse.major"] {
        let reason = refused(&mut global(key, "1"));
        assert_eq!(reason, format!("a global PAX header with {key}, which not all readers heed"));
    }
}

#[test]
fn extended_headers_that_are_huge_or_many() {
    for kind in [b'x', b'g', b'L', b'K'] {
        let mut raw = Raw::default();
        raw.with(kind, b"", b"", b"", |header| header[124..136].copy_from_slice(b"77777777777\0"));
        assert_eq!(
            refused(&mut raw),
            "an extended header of 8589934591 bytes; no more than 1048576 are read"
        );
    }
    let mut raw = Raw::default();
    for _ in 0..20 {
        raw.member(b'g', b"", b"", &pax(&[("comment", b"x")]));
    }
    assert_eq!(refused(raw.file("a", b"")), "more than 16 extended headers before one member");
    let mut raw = Raw::default();
    raw.with(b'x', b"", b"", &pax(&[("path", b"b")]), |header| header[257..265].fill(0)).file("a", b"");
    assert_eq!(refused(&mut raw), "an extended header in an archive of the old format");
}

#[test]
fn long_names_of_gnu() {
    let long = "long/".repeat(60) + "name";
    let mut raw = Raw::default();
    raw.with(b'L', b"././@LongLink", b"", format!("{long}\0").as_bytes(), gnu);
    raw.with(b'K', b"././@LongLink", b"", format!("{long}s\0").as_bytes(), gnu);
    raw.with(b'2', b"long/long", b"long/", b"", gnu);
    let (_, entries) = read(raw.end()).unwrap();
    assert_eq!(entries[0].path, long.as_bytes());
    assert_eq!(
        (entries[0].kind, &entries[0].data),
        (Kind::Symlink, &Data::Target(format!("{long}s").into_bytes()))
    );

    let mut raw = Raw::default();
    raw.with(b'L', b"", b"", b"a\0", gnu).with(b'L', b"", b"", b"b\0", gnu).file("x", b"");
    assert_eq!(refused(&mut raw), "two long names before one member");
    let mut raw = Raw::default();
    raw.with(b'L', b"", b"", b"a\0", gnu).pax(&[("path", b"b")]).file("x", b"");
    assert_eq!(refused(&mut raw), "two names of one member, \"a\" and \"b\"");
    let mut raw = Raw::default();
    raw.with(b'L', b"", b"", b"a\0", gnu);
    assert_eq!(refused(&mut raw), "an extended header at the end, with no member that it is for");
}

#[test]
fn names_that_lead_elsewhere() {
    for name in ["..", "../a", "a/../../b", "a/..", "/.."] {
        let mut raw = Raw::default();
        assert_eq!(refused(raw.file(name, b"")), format!("\"{name}\" has a `..` in its name"));
    }
    let mut raw = Raw::default();
    let (content, entries) =
        read(raw.file("/etc/a", b"").file("./b", b"").file(".//c/./d", b"").end()).unwrap();
    let paths: Vec<_> = entries.iter().map(|entry| entry.path.as_slice()).collect();
    assert_eq!(paths, [&b"etc/a"[..], b"b", b"c/d"]);
    assert_eq!(content.notes, ["1 absolute names"]);
    let mut raw = Raw::default();
    let (_, entries) = read(raw.member(b'5', b"./", b"", b"").end()).unwrap();
    assert_eq!((entries[0].path.as_slice(), entries[0].kind), (&b""[..], Kind::Directory));
    let mut raw = Raw::default();
    assert_eq!(refused(raw.file("", b"")), "\"\" is the root, and no directory");
}

#[test]
fn names_needn_t_be_text() {
    let mut raw = Raw::default();
    raw.member(b'0', b"caf\xe9", b"", b"1").member(b'2', b"\xff\xfe", b"\xe9", b"");
    let (_, entries) = read(raw.end()).unwrap();
    assert_eq!(entries[0].path, b"caf\xe9");
    assert_eq!((&entries[1].path[..], &entries[1].data), (&b"\xff\xfe"[..], &Data::Target(b"\xe9".to_vec())));
}

#[test]
fn types() {
    for kind in [b'D', b'M', b'V', b'X', b'A', b'8', 0xff] {
        let mut raw = Raw::default();
        raw.member(kind, b"a", b"", b"");
        let shown = kind.escape_ascii();
        assert_eq!(refused(&mut raw), format!("\"a\" is of type '{shown}', which no layer has"));
    }
    for kind in b"23456" {
        let mut raw = Raw::default();
        raw.member(*kind, b"a", b"b", &[0; 512]);
        assert_eq!(refused(&mut raw), "\"a\" is no file and has 512 bytes");
    }
    let mut raw = Raw::default();
    raw.with(b'1', b"a", b"b", b"", |header| header[124..136].copy_from_slice(b"00000001000\0"))
        .file("b", b"1");
    assert_eq!(read(raw.end()).unwrap().1.len(), 2, "a hard link has no bytes of its own");
    let mut raw = Raw::default();
    raw.pax(&[("SCHILY.xattr.user.x", b"1"), ("SCHILY.xattr.user.x", b"2")]).file("a", b"");
    assert_eq!(refused(&mut raw), "PAX user.x twice, with different values");
    let mut raw = Raw::default();
    assert_eq!(refused(raw.file("a/", b"")), "\"a/\" is a file by its type and a directory by its name");
    let mut raw = Raw::default();
    let old = |header: &mut [u8; 512]| header[257..265].fill(0);
    raw.with(0, b"a", b"", b"1", old).with(0, b"d/", b"", b"", old).with(b'7', b"c", b"", b"2", |_| {});
    let (_, entries) = read(raw.end()).unwrap();
    let kinds: Vec<_> = entries.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [Kind::File, Kind::Directory, Kind::File]);
}

#[test]
fn numbers_that_are_none() {
    let with = |at: usize, value: &'static [u8]| {
        let mut raw = Raw::default();
        raw.with(b'0', b"a", b"", b"", |header| header[at..at + value.len()].copy_from_slice(value));
        raw
    };
    for (mut raw, reason) in [
        (with(100, b"0000abc\0"), "its mode is no number: \"0000abc\\x00\""),
        (with(108, b"-000001\0"), "its owner is no number: \"-000001\\x00\""),
        (with(124, b"00000000009\0"), "its size is no number: \"00000000009\\x00\""),
        (with(124, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "its size is negative"),
        (with(124, b"\x80\0\x01\0\0\0\0\0\0\0\0\0"), "its size is no number of 63 bits"),
    ] {
        assert_eq!(refused(&mut raw), reason);
    }
    let (_, entries) = read(with(136, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfb").end()).unwrap();
    assert_eq!(entries[0].mtime, -5);
}

#[test]
fn links_and_whiteouts_in_any_order() {
    let mut raw = Raw::default();
    raw.member(b'1', b"link", b"later/file", b"")
        .file("dir/.wh.gone", b"")
        .file("dir/gone", b"back")
        .file("dir/.wh..wh..opq", b"")
        .file("later/file", b"1")
        .file("later/.wh.file", b"")
        .member(b'1', b"twice", b"/later/file", b"")
        .file("later/file", b"2");
    let (content, entries) = read(raw.end()).unwrap();
    let seen: Vec<_> =
        entries.iter().map(|entry| (entry.kind, String::from_utf8_lossy(&entry.path))).collect();
    let expected = [
        (Kind::Hardlink, "link"),
        (Kind::Whiteout, "dir/gone"),
        (Kind::File, "dir/gone"),
        (Kind::Opaque, "dir"),
        (Kind::File, "later/file"),
        (Kind::Whiteout, "later/file"),
        (Kind::Hardlink, "twice"),
        (Kind::File, "later/file"),
    ];
    assert_eq!(seen, expected.map(|(kind, path)| (kind, path.into())));
    assert_eq!(entries[6].data, Data::Target(b"/later/file".to_vec()));
    assert_eq!((content.files, content.file_bytes), (3, 6));
    for name in [".wh.", "a/.wh..", "a/.wh..."] {
        let mut raw = Raw::default();
        assert!(refused(raw.file(name, b"")).ends_with("is a whiteout that hides nothing it could name"));
    }
}

// Sparse files.

/// A member of the old GNU format, with a map in its header.
fn sparse(raw: &mut Raw, pieces: &[(u64, u64)], real: u64, data: &[u8]) {
    raw.with(b'S', b"sparse", b"", data, |header| {
        gnu(header);
        for (index, (offset, length)) in pieces.iter().enumerate() {
            let at = 386 + 24 * index;
            header[at..at + 24].copy_from_slice(format!("{offset:011o}\0{length:011o}\0").as_bytes());
        }
        header[483..495].copy_from_slice(format!("{real:011o}\0").as_bytes());
    });
}

#[test]
fn sparse_files_have_their_logical_content() {
    let logical = [&[0; 1024][..], &[1; 512], &[0; 512], &[2; 10], &[0; 990]].concat();
    let data = [&[1; 512][..], &[2; 10]].concat();
    let mut raw = Raw::default();
    sparse(&mut raw, &[(1024, 512), (2048, 10), (3048, 0)], 3048, &data);
    let records: [(&str, &[u8]); 5] = [
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"one"),
        ("GNU.sparse.realsize", b"3048"),
        ("mtime", b"1"),
    ];
    let mut map = b"2\n1024\n512\n2048\n10\n".to_vec();
    map.resize(512, 0);
    raw.pax(&records).file("GNUSparseFile.0/one", &[map, data.clone()].concat());
    raw.pax(&[
        ("GNU.sparse.map", b"1024,512,2048,10"),
        ("GNU.sparse.size", b"3048"),
        ("GNU.sparse.numblocks", b"2"),
    ]);
    raw.file("map", &data);
    let (content, entries) = read(raw.end()).unwrap();
    let names: Vec<_> = entries.iter().map(|entry| entry.path.as_slice()).collect();
    assert_eq!(names, [&b"sparse"[..], b"one", b"map"]);
    for entry in &entries {
        assert_eq!((entry.size, &entry.data), (3048, &Data::Content(digest(&logical))));
    }
    assert_eq!(content.file_bytes, 3 * 3048);
}

#[test]
fn sparse_files_that_are_none() {
    for (pieces, real, reason) in [
        (&[(0, 512), (100, 10)][..], 3048, "pieces of a sparse file that overlap"),
        (&[(0, 512), (3048, 10)], 3048, "a piece of a sparse file behind the file's end"),
        (&[(0, 512)], 3048, "a sparse file whose pieces have 512 bytes, and its data 522"),
    ] {
        let mut raw = Raw::default();
        sparse(&mut raw, pieces, real, &[0; 522]);
        assert_eq!(refused(&mut raw), reason);
    }
    let mut raw = Raw::default();
    raw.pax(&[("GNU.sparse.major", b"2"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"1")]);
    assert_eq!(refused(raw.file("a", b"")), "a sparse file of a format that isn't known");
    let mut raw = Raw::default();
    raw.pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"1")]);
    assert_eq!(refused(raw.file("a", &[b'9'; 512])), "a map of a sparse file that is none");
    let mut raw = Raw::default();
    raw.pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"1")]);
    assert_eq!(refused(raw.file("a", b"4000000000\n")), "a sparse file of more than 1048576 pieces");
}

#[test]
fn holes_have_a_limit() {
    let mut raw = Raw::default();
    sparse(&mut raw, &[(0, 1), (5 << 30, 1)], (5 << 30) + 1, b"");
    let bytes = {
        let mut raw = Raw::default();
        raw.with(b'S', b"sparse", b"", b"ab", |header| {
            gnu(header);
            header[386..410].copy_from_slice(b"00000000000\x0000000000002\0");
            header[483..495].copy_from_slice(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff");
        });
        raw.end()
    };
    let error = error(bytes);
    let holes = (1u64 << 63) - 1 - 2;
    assert_eq!(
        error,
        format!("its sparse files have holes of {holes} bytes; no more than {} are read", 64u64 << 30)
    );
}
