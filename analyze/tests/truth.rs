//! What others say of the same archive: GNU tar and Python's tarfile.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use plinth_analyze::layer::{Data, Entry, Kind};
use support::{gzip, noise, read, zstd};

/// A tree with what trees of layers have.
fn tree(root: &Path) {
    let file = |path: &str, content: &[u8], mode: u32| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    file("etc/passwd", b"root\n", 0o644);
    file("usr/bin/su", &noise(1, 70_000), 0o4755);
    file("usr/bin/empty", b"", 0o755);
    file("usr/lib/large", &noise(2, 3_000_001), 0o444);
    file(&format!("{}/{}", "directory-with-a-long-name/".repeat(6), "f".repeat(120)), b"long", 0o600);
    file(&format!("usr/{}", "n".repeat(101)), b"101", 0o640);
    for number in 0..300 {
        file(&format!("usr/share/doc/{}/{number}", number / 10), &noise(number, 10 * number as usize), 0o644);
    }
    fs::write(root.join("usr").join(std::ffi::OsStr::from_bytes(b"caf\xe9")), b"latin").unwrap();
    let mut sparse = File::create(root.join("usr/sparse")).unwrap();
    for place in [1 << 20, 5 << 20, (5 << 20) + 100_000, 40 << 20] {
        sparse.seek(SeekFrom::Start(place)).unwrap();
        sparse.write_all(&noise(place, 5000)).unwrap();
    }
    sparse.set_len(50 << 20).unwrap();
    fs::create_dir_all(root.join("var/empty")).unwrap();
    fs::set_permissions(root.join("var/empty"), fs::Permissions::from_mode(0o1777)).unwrap();
    symlink("bin/su", root.join("usr/link")).unwrap();
    symlink("x".repeat(150), root.join("usr/long-link")).unwrap();
    fs::hard_link(root.join("usr/bin/su"), root.join("etc/hard")).unwrap();
    Command::new("mkfifo").arg(root.join("var/pipe")).status().unwrap();
}

/// Whether a program is there; without it there is nothing to compare with.
fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn archive(root: &Path, to: &Path, options: &[&str]) {
    let status = Command::new("tar")
        .args(["--sort=none", "--numeric-owner", "--owner=1234", "--group=2097153", "--mtime=@1700000000.5"])
        .args(options)
        .arg("-cf")
        .arg(to)
        .arg("-C")
        .arg(root)
        .arg(".")
        .status()
        .unwrap();
    assert!(status.success());
}

const FORMATS: [&[&str]; 5] = [
    &["--format=gnu"],
    &["--format=gnu", "--sparse"],
    &["--format=pax"],
    &["--format=pax", "--sparse"],
    &["--format=pax", "--sparse", "--sparse-version=0.1"],
];

/// `tar -tv` without the time, which it shows in the local zone.
fn as_listed(entry: &Entry) -> String {
    let kind = match entry.kind {
        Kind::File => '-',
        Kind::Directory => 'd',
        Kind::Symlink => 'l',
        Kind::Hardlink => 'h',
        _ => 'p',
    };
    let mut mode: Vec<char> = "rwxrwxrwx"
        .chars()
        .enumerate()
        .map(|(bit, c)| if entry.mode & (0o400 >> bit) != 0 { c } else { '-' })
        .collect();
    for (flag, at, on, off) in [(0o4000, 2, 's', 'S'), (0o2000, 5, 's', 'S'), (0o1000, 8, 't', 'T')] {
        if entry.mode & flag != 0 {
            mode[at] = if mode[at] == 'x' { on } else { off };
        }
    }
    let mode: String = mode.into_iter().collect();
    let path = match (entry.path.is_empty(), entry.kind) {
        (true, _) => "./".to_owned(),
        (_, Kind::Directory) => format!("./{}/", escape(&entry.path)),
        _ => format!("./{}", escape(&entry.path)),
    };
    let link = match (&entry.data, entry.kind) {
        (Data::Target(target), Kind::Symlink) => format!(" -> {}", escape(target)),
        (Data::Target(target), _) => format!(" link to {}", escape(target)),
        _ => String::new(),
    };
    format!("{kind}{mode} {}/{} {} {path}{link}", entry.uid, entry.gid, entry.size)
}

/// As GNU tar does it.
fn escape(bytes: &[u8]) -> String {
    let escaped = |byte: &u8| match byte {
        b' '..=b'~' => char::from(*byte).to_string(),
        byte => format!("\\{byte:03o}"),
    };
    bytes.iter().map(escaped).collect()
}

#[test]
fn gnu_tar_says_the_same() {
    if !has("tar") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    tree(&place.path().join("tree"));
    for options in FORMATS {
        let file = place.path().join("layer.tar");
        archive(&place.path().join("tree"), &file, options);
        let listing = Command::new("tar")
            .args(["-tv", "--numeric-owner", "--quoting-style=escape", "-f"])
            .arg(&file)
            .env("LC_ALL", "C")
            .output();
        let listing = listing.unwrap().stdout;
        let listing: Vec<String> = String::from_utf8(listing)
            .unwrap()
            .lines()
            .map(|line| {
                let fields: Vec<&str> = line.split_whitespace().collect();
                let (name, place) = (fields[5..].join(" "), fields[..3].join(" "));
                format!("{place} {name}")
            })
            .collect();
        let bytes = fs::read(&file).unwrap();
        let (_, entries) = read(bytes.clone()).unwrap();
        assert_eq!(entries.iter().map(as_listed).collect::<Vec<_>>(), listing, "{options:?}");

        let sums =
            Command::new("tar").arg("-xf").arg(&file).arg("--to-command=sha256sum").output().unwrap().stdout;
        let sums: Vec<String> = String::from_utf8(sums)
            .unwrap()
            .lines()
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect();
        let own: Vec<String> = entries
            .iter()
            .filter_map(|entry| match entry.data {
                Data::Content(digest) => Some(digest.hex()),
                _ => None,
            })
            .collect();
        assert_eq!(own, sums, "{options:?}");
        for compressed in [gzip(&bytes), zstd(&bytes)] {
            let (_, again) = read(compressed).unwrap();
            let without_shares = |entries: &[Entry]| -> Vec<Entry> {
                entries.iter().map(|entry| Entry { stored: 0, ..entry.clone() }).collect()
            };
            assert_eq!(without_shares(&again), without_shares(&entries));
        }
    }
}

/// One line for each member, of what both know.
const PYTHON: &str = r"
import hashlib, sys, tarfile
kinds = {b'0': 'File', b'\0': 'File', b'S': 'File', b'5': 'Directory', b'2': 'Symlink', b'1': 'Hardlink', b'6': 'Special'}
with tarfile.open(sys.argv[1], errors='surrogateescape', encoding='utf-8') as archive:
    for member in archive:
        name = lambda text: text.encode('utf-8', 'surrogateescape').hex()
        content = hashlib.sha256(archive.extractfile(member).read()).hexdigest() if member.isreg() else ''
        path = member.name[2:] if member.name.startswith('./') else member.name.removeprefix('.')
        target = name(member.linkname) if member.issym() or member.islnk() else ''
        size = member.size if member.isreg() else 0
        print(kinds[member.type], name(path), oct(member.mode), member.uid, member.gid, int(member.mtime), size, content + target)
";

#[test]
fn python_says_the_same() {
    if !has("tar") || !has("python3") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    tree(&place.path().join("tree"));
    for options in FORMATS {
        let file = place.path().join("layer.tar");
        archive(&place.path().join("tree"), &file, options);
        let output = Command::new("python3").args(["-c", PYTHON]).arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let theirs: Vec<String> =
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        let (_, entries) = read(fs::read(&file).unwrap()).unwrap();
        let ours: Vec<String> = entries
            .iter()
            .map(|entry| {
                let data = match &entry.data {
                    Data::None => String::new(),
                    Data::Content(digest) => digest.hex(),
                    Data::Target(target) => hex(target),
                };
                format!(
                    "{:?} {} 0o{:o} {} {} {} {} {data}",
                    entry.kind,
                    hex(&entry.path),
                    entry.mode,
                    entry.uid,
                    entry.gid,
                    entry.mtime,
                    entry.size
                )
            })
            .collect();
        assert_eq!(ours, theirs, "{options:?}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
