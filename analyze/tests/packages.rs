//! Packages that a layer's own files speak of.
#![allow(clippy::unwrap_used)]

mod support;

use plinth_analyze::layer::{Content, Ecosystem, Limits, Package, path_key};
use support::{Raw, blob, read, read_as, tar};

fn keys(paths: &[&str]) -> Vec<u64> {
    let mut keys: Vec<_> = paths.iter().map(|path| path_key(path.as_bytes())).collect();
    keys.sort_unstable();
    keys
}

fn packages(files: &[(&str, &[u8])]) -> Vec<Package> {
    read(tar(files)).unwrap().0.packages
}

#[test]
fn python_distributions_by_their_records() {
    let site = "usr/lib/python3.12/site-packages";
    let at = |path: &str| format!("{site}/{path}");
    let record = b"ruamel/yaml.py,sha256=x,10\n\"ruamel/a,b.py\",,\n../../../bin/yaml,,\n\
        Ruamel.Yaml-0.18.dist-info/METADATA,,\nruamel/absent.py,,\n/opt/yaml/data,,\n";
    let files: [(String, &[u8]); 8] = [
        (at("ruamel/__pycache__/yaml.cpython-312.pyc"), b"code"),
        (at("Ruamel.Yaml-0.18.dist-info/RECORD"), record),
        (at("ruamel/yaml.py"), b"source"),
        (at("ruamel/__pycache__/yaml.cpython-312.opt-1.pyc"), b"code"),
        (at("ruamel/__pycache__/other.cpython-312.pyc"), b"code"),
        (
            at("Ruamel.Yaml-0.18.dist-info/METADATA"),
            b"Metadata-Version: 2.1\nName: Ruamel_Yaml\nVersion: 0.18.0\n\nName: not this",
        ),
        (at("Ruamel.Yaml-0.18.dist-info/licenses/LICENSE"), b"text"),
        ("usr/bin/yaml".into(), b"script"),
    ];
    let files: Vec<_> = files.iter().map(|(path, content)| (path.as_str(), *content)).collect();
    let found = packages(&files);
    assert_eq!(found.len(), 1);
    let package = &found[0];
    assert_eq!(
        (package.ecosystem, &package.name[..], &package.version[..]),
        (Ecosystem::Python, "ruamel-yaml", "0.18.0")
    );
    assert_eq!(package.directory, at("Ruamel.Yaml-0.18.dist-info"));
    let owned = [
        at("ruamel/yaml.py"),
        at("ruamel/a,b.py"),
        at("ruamel/absent.py"),
        at("ruamel/__pycache__/yaml.cpython-312.pyc"),
        at("ruamel/__pycache__/yaml.cpython-312.opt-1.pyc"),
        at("Ruamel.Yaml-0.18.dist-info/METADATA"),
        at("Ruamel.Yaml-0.18.dist-info/RECORD"),
        at("Ruamel.Yaml-0.18.dist-info/licenses/LICENSE"),
        "usr/bin/yaml".into(),
        "opt/yaml/data".into(),
    ];
    assert_eq!(package.owns, keys(&owned.each_ref().map(|path| path.as_str())));
}

#[test]
fn python_distributions_of_which_a_part_is_elsewhere() {
    let found = packages(&[
        ("a/One-1.0.dist-info/METADATA", b"Name: One\nVersion: 1.0\n"),
        ("a/Two-2.0.dist-info/RECORD", b"two.py,,\n"),
        ("a/three-3.0.dist-info/INSTALLER", b"pip"),
        ("a/four-4.0.dist-info/.wh.RECORD", b""),
        ("five-5.0.dist-info/METADATA", b"nothing of use"),
    ]);
    let found: Vec<_> =
        found.iter().map(|found| (&found.name[..], &found.version[..], found.owns.len())).collect();
    assert_eq!(found, [("one", "1.0", 0), ("two", "2.0", 2), ("five", "5.0", 0)]);
}

#[test]
fn debian_packages_by_their_lists() {
    let status = b"Package: a\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:1.0-1\n\n\
        Package: b\nStatus: install ok installed\nArchitecture: i386\nVersion: 2~i386\n\n\
        Package: b\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2\n\n\
        Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 3\n\n\
        Package: below\nStatus: install ok installed\nArchitecture: amd64\nVersion: 4\n";
    let found = packages(&[
        ("var/lib/dpkg/info/a.list", b"/.\n/usr\n/usr/bin\n/usr/bin/a\n/lib\n/lib/a.so\n"),
        ("var/lib/dpkg/info/a.postinst", b"#!/bin/sh\n"),
        ("var/lib/dpkg/info/b:amd64.list", b"/.\n/usr\n/usr/b\n"),
        ("var/lib/dpkg/info/gone.list", b"/etc/gone\n"),
        ("var/lib/dpkg/status", status),
    ]);
    let named: Vec<_> = found.iter().map(|found| (&found.name[..], &found.version[..])).collect();
    assert_eq!(named, [("a", "1:1.0-1"), ("b", "2")]);
    let owned =
        ["usr/bin/a", "lib/a.so", "usr/lib/a.so", "var/lib/dpkg/info/a.list", "var/lib/dpkg/info/a.postinst"];
    assert_eq!(found[0].owns, keys(&owned));
    assert_eq!(found[1].owns, keys(&["usr/b", "var/lib/dpkg/info/b:amd64.list"]));
    assert_eq!((found[0].ecosystem, &found[0].directory[..]), (Ecosystem::Debian, ""));

    let (content, _) = read(tar(&[("var/lib/dpkg/info/a.list", b"/usr/a\n")])).unwrap();
    assert_eq!(
        content.notes,
        ["1 Debian packages without their versions, since dpkg's status isn't in this layer"]
    );
    assert_eq!((content.packages.len(), &content.packages[0].version[..]), (1, ""));
}

#[test]
fn debian_packages_of_distroless_images() {
    let found = packages(&[
        ("./var/lib/dpkg/status.d/libssl3", b"Package: libssl3\nVersion: 3.0\nArchitecture: amd64\n"),
        (
            "./var/lib/dpkg/status.d/libssl3.md5sums",
            b"0123  usr/lib/libssl.so.3\n4567  usr/share/doc/libssl3/copyright\n",
        ),
    ]);
    assert_eq!((found.len(), &found[0].name[..], &found[0].version[..]), (1, "libssl3", "3.0"));
    let owned = [
        "usr/lib/libssl.so.3",
        "usr/share/doc/libssl3/copyright",
        "var/lib/dpkg/status.d/libssl3",
        "var/lib/dpkg/status.d/libssl3.md5sums",
    ];
    assert_eq!(found[0].owns, keys(&owned));
}

#[test]
fn npm_packages_by_their_directories() {
    let (content, _) = read(tar(&[
        ("app/package.json", b"{\"name\": \"app\", \"version\": \"0\"}"),
        (
            "app/node_modules/a/package.json",
            b"\xef\xbb\xbf{\"name\": \"real\", \"version\": \"1.0.0\", \"x\": [1]}",
        ),
        ("app/node_modules/a/lib/package.json", b"{\"type\": \"module\"}"),
        ("app/node_modules/@s/b/package.json", b"{\"version\": \"2.0.0\"}"),
        ("app/node_modules/c/package.json", b"{\"name\": 1, \"version\": null}"),
        ("app/node_modules/d/package.json", b"no JSON"),
        ("app/node_modules/a/node_modules/a/package.json", b"{\"name\": \"a\", \"version\": \"3\"}"),
    ]))
    .unwrap();
    let found: Vec<_> = content
        .packages
        .iter()
        .map(|found| (&found.name[..], &found.version[..], &found.directory["app/node_modules/".len()..]))
        .collect();
    assert_eq!(
        found,
        [("@s/b", "2.0.0", "@s/b"), ("real", "1.0.0", "a"), ("a", "3", "a/node_modules/a"), ("c", "", "c")]
    );
    assert_eq!(content.notes, ["1 package.json below node_modules that are no JSON objects"]);
}

#[test]
fn a_link_describes_nothing() {
    let mut raw = Raw::default();
    raw.member(b'1', b"a/One-1.0.dist-info/METADATA", b"x", b"");
    raw.member(b'2', b"node_modules/a/package.json", b"x", b"");
    let found = read(raw.end()).unwrap().0.packages;
    assert_eq!((found.len(), &found[0].name[..], &found[0].version[..]), (1, "one", "1.0"));
}

#[test]
fn what_is_kept_has_a_limit() {
    let record: String = (0..10_000).map(|number| format!("x/{number}.py,,\n")).collect();
    let bytes = tar(&[
        ("a/x-1.dist-info/RECORD", record.as_bytes()),
        ("a/x-1.dist-info/METADATA", b"Name: x\nVersion: 1"),
    ]);
    let read =
        |limits: &Limits| -> Content { read_as(bytes.clone(), &blob(&bytes), None, limits).unwrap().0 };
    assert_eq!(read(&Limits::default()).packages[0].owns.len(), 10_002);
    let content = read(&Limits { metadata_layer: 8000, ..Limits::default() });
    assert!((900..1001).contains(&content.packages[0].owns.len()), "{}", content.packages[0].owns.len());
    assert_eq!(
        content.notes,
        ["not all of its packages are known: no more than 8000 bytes are kept of them"]
    );
    let content = read(&Limits { metadata_file: 100, ..Limits::default() });
    assert_eq!(content.packages[0].owns.len(), 0);
    assert_eq!(content.notes, ["1 files that describe packages are larger than 100 bytes, and passed over"]);
}
