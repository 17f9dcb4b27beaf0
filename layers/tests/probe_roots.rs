//! Facts of generated root file systems.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use plinth_layers::facts::{Facts, Libc, fingerprint};
use plinth_layers::steps::probe;

const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

fn file(root: &Path, path: &str, bytes: &[u8], mode: u32) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

fn link(root: &Path, target: &str, path: &str) {
    fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
    symlink(target, root.join(path)).unwrap();
}

/// A merged `/usr` with a distribution's Python and an image's own one before it in PATH.
fn debian(root: &Path) {
    link(root, "usr/lib", "lib");
    link(root, "usr/lib64", "lib64");
    link(root, "usr/bin", "bin");
    file(root, "usr/lib/os-release", b"PRETTY_NAME=\"x\"\nVERSION_ID=\"12\"\nID=debian\n", 0o644);
    link(root, "../usr/lib/os-release", "etc/os-release");
    file(root, "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", b"loader", 0o755);
    link(root, "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "usr/lib64/ld-linux-x86-64.so.2");
    file(root, "usr/local/bin/python3.12", b"\x7fELF needs libpython3.12.so.1.0", 0o755);
    link(root, "python3.12", "usr/local/bin/python3");
    link(root, "python3", "usr/local/bin/python");
    file(root, "usr/local/lib/libpython3.12.so.1.0", b"library", 0o755);
    link(root, "libpython3.12.so.1.0", "usr/local/lib/libpython3.12.so");
    file(root, "usr/bin/python3.11", b"\x7fELF static", 0o755);
    link(root, "/etc/alternatives/python3", "usr/bin/python3");
    link(root, "/usr/bin/python3.11", "etc/alternatives/python3");
}

#[test]
fn a_merged_usr_with_two_pythons_and_node() {
    let dir = tempfile::tempdir().unwrap();
    debian(dir.path());
    file(dir.path(), "usr/local/bin/node", b"node", 0o755);
    let header =
        b"#define NODE_MAJOR_VERSION 18\n#define NODE_MINOR_VERSION 20\n#define NODE_PATCH_VERSION 4\n";
    file(dir.path(), "usr/local/include/node/node_version.h", header, 0o644);
    file(
        dir.path(),
        "etc/passwd",
        b"root:x:0:0::/root:/bin/sh\nnode:x:1000:1000::/:/bin/sh\n\nbroken\n",
        0o644,
    );
    file(dir.path(), "etc/group", b"staff:x:50:\n", 0o644);
    file(dir.path(), "usr/bin/not-a-program", b"", 0o644);
    let facts = Facts::read(dir.path(), PATH);
    assert_eq!(facts.users.iter().collect::<Vec<_>>(), ["node", "root"]);
    assert_eq!(facts.groups.iter().collect::<Vec<_>>(), ["staff"]);
    assert_eq!(
        facts.programs.iter().collect::<Vec<_>>(),
        ["node", "python", "python3", "python3.11", "python3.12"]
    );
    assert_eq!((facts.os_id.as_str(), facts.os_version.as_str()), ("debian", "12"));
    assert_eq!(facts.libc, Libc::Glibc);
    assert_eq!(facts.node.as_deref(), Some("18.20.4"));
    let pythons: Vec<_> =
        facts.pythons.iter().map(|p| (p.path.as_str(), p.physical.as_str(), p.minor.as_str())).collect();
    assert_eq!(
        pythons,
        [
            ("/usr/local/bin/python3", "/usr/local/bin/python3.12", "3.12"),
            ("/usr/bin/python3", "/usr/bin/python3.11", "3.11"),
        ]
    );
}

#[test]
fn the_fingerprint_covers_the_library_and_no_path() {
    let dir = tempfile::tempdir().unwrap();
    debian(dir.path());
    let program = Path::new("/usr/local/bin/python3.12");
    let before = fingerprint(dir.path(), program, "3.12").unwrap();
    assert_eq!(before, Facts::read(dir.path(), PATH).pythons[0].fingerprint);

    // The same two files elsewhere are the same interpreter.
    file(dir.path(), "opt/py/bin/python3.12", b"\x7fELF needs libpython3.12.so.1.0", 0o755);
    file(dir.path(), "opt/py/lib/libpython3.12.so.1.0", b"library", 0o755);
    let moved = fingerprint(dir.path(), Path::new("/opt/py/bin/python3.12"), "3.12").unwrap();
    assert_eq!(moved, before);

    file(dir.path(), "usr/local/lib/libpython3.12.so.1.0", b"Library", 0o755);
    assert_ne!(fingerprint(dir.path(), program, "3.12").unwrap(), before);

    let fixed = fingerprint(dir.path(), Path::new("/usr/bin/python3.11"), "3.11").unwrap();
    file(dir.path(), "usr/lib/libpython3.11.so.1.0", b"unused", 0o755);
    assert_eq!(fingerprint(dir.path(), Path::new("/usr/bin/python3.11"), "3.11").unwrap(), fixed);
    assert!(fingerprint(dir.path(), Path::new("/none"), "3.11").is_err());
}

#[test]
fn musl_both_and_nothing() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Facts::read(dir.path(), PATH).libc, Libc::None);
    file(dir.path(), "etc/os-release", b"ID=alpine\nVERSION_ID=3.20.3\n", 0o644);
    file(dir.path(), "lib/ld-musl-x86_64.so.1", b"loader", 0o755);
    link(dir.path(), "/bin/busybox", "bin/sh");
    let facts = Facts::read(dir.path(), PATH);
    assert_eq!((facts.os_id.as_str(), facts.libc), ("alpine", Libc::Musl));
    assert!(facts.pythons.is_empty());
    assert_eq!(facts.node, None);

    // glibc's loader beside it: the shell's own loader decides.
    file(dir.path(), "lib64/ld-linux-x86-64.so.2", b"loader", 0o755);
    assert_eq!(Facts::read(dir.path(), PATH).libc, Libc::None);
    file(dir.path(), "bin/busybox", &elf64("/lib/ld-musl-x86_64.so.1"), 0o755);
    assert_eq!(Facts::read(dir.path(), PATH).libc, Libc::Musl);
}

/// An ELF file with nothing but a program interpreter.
fn elf64(interpreter: &str) -> Vec<u8> {
    let mut file = vec![0; 120];
    file[..6].copy_from_slice(b"\x7fELF\x02\x01");
    file[32] = 64; // program headers
    file[54] = 56;
    file[56] = 1;
    file[64] = 3; // PT_INTERP
    file[72] = 120;
    file[96] = interpreter.len() as u8 + 1;
    file.extend(interpreter.as_bytes());
    file.push(0);
    file
}

#[test]
fn loops_broken_links_shims_and_links_to_the_outside_are_no_interpreters() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    file(dir.path(), "python3.9", b"outside", 0o755);
    link(&root, "python", "usr/bin/python3");
    link(&root, "python3", "usr/bin/python");
    link(&root, "/nowhere", "usr/bin/python3.8");
    link(&root, "../../../python3.9", "usr/bin/python3.9");
    link(&root, dir.path().join("python3.9").to_str().unwrap(), "usr/local/bin/python3.9");
    file(&root, "usr/bin/python3.10", b"not executable", 0o644);
    file(&root, "usr/bin/python3.10-config", b"#!/bin/sh", 0o755);
    file(&root, "usr/local/bin/python3", b"#!/bin/sh\nexec shim", 0o755);
    fs::create_dir_all(root.join("bin/python3.7")).unwrap();
    link(&root, "../../../../../etc/os-release", "etc/os-release");
    let facts = Facts::read(&root, PATH);
    assert_eq!(facts.pythons, []);
    assert_eq!(facts.os_id, "");
}

#[test]
fn the_step_writes_one_file_that_is_always_the_same() {
    use std::os::unix::fs::MetadataExt as _;
    let dir = tempfile::tempdir().unwrap();
    let (root, out) = (dir.path().join("root"), dir.path().join("out"));
    fs::create_dir_all(&out).unwrap();
    debian(&root);
    probe::run(&root, PATH, &out).unwrap();
    let meta = fs::metadata(out.join(Facts::FILE)).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.mtime(), meta.mtime_nsec()), (0o644, 315_532_800, 0));
    let first = fs::read(out.join(Facts::FILE)).unwrap();
    let read: Facts = serde_json::from_slice(&first).unwrap();
    assert_eq!(read, Facts::read(&root, PATH));
    probe::run(&root, PATH, &out).unwrap();
    assert_eq!(fs::read(out.join(Facts::FILE)).unwrap(), first);
}
