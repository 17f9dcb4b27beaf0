//! Requirements files: what pip sees in them, and what can't be assembled.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use plinth_layers::pip::{Files, FoundOptions, read_requirements};

#[derive(Default)]
struct Memory {
    files: BTreeMap<String, Vec<u8>>,
    env: BTreeMap<String, String>,
}

impl Files for Memory {
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.get(path.to_str().unwrap()).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
    fn variable(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }
}

fn read(files: &[(&str, &[u8])]) -> Result<FoundOptions, String> {
    let mut memory = Memory::default();
    for (path, bytes) in files {
        memory.files.insert((*path).to_owned(), bytes.to_vec());
    }
    memory.env.insert("HOST".into(), "example.org".into());
    memory.env.insert("EMPTY".into(), String::new());
    memory.env.insert("TOKEN".into(), "user:hunter2".into());
    let found = read_requirements(&mut memory, &[(files[0].0.to_owned(), false)]);
    found.map_err(|error| error.reason)
}

#[test]
fn lines_are_read_as_pip_reads_them() {
    let text = b"# comment\n\
        fastapi >= 0.115.6 # why\n\
        a#b\n\
        uvicorn[standard] \\\n  ==0.30.* ; python_version < '4'\r\n\
        b==1 --hash=sha256:00 \\\n    --hash sha256:11\n\
        c \\\n# a comment ends the continuation\n\
        \x0cd==${EMPTY}1${UNSET}\n\
        --extra-index-url 'https://${HOST}/simple'\n\
        -i https://h/simple --pre\n\
        \n   \n\
        e\\";
    let found = read(&[("r.txt", text)]).unwrap();
    assert_eq!(
        found.requirements,
        [
            "fastapi >= 0.115.6",
            "a#b",
            "uvicorn[standard]   ==0.30.* ; python_version < '4'",
            "b==1",
            "c",
            "d==${EMPTY}1${UNSET}",
            "e"
        ]
    );
    assert!(found.hashes);
    assert_eq!(found.options.into_iter().collect::<Vec<_>>(), ["--extra-index-url", "--index-url", "--pre"]);
}

#[test]
fn includes_are_relative_to_the_including_file() {
    let found = read(&[
        ("req/dev.txt", b"-r base.txt\n-c../c.txt\nx"),
        ("req/base.txt", b"y\n--requirement=/abs/z.txt"),
        ("/abs/z.txt", b"z"),
        ("req/../c.txt", b"x<2\n"),
    ])
    .unwrap();
    assert_eq!(found.requirements, ["y", "z", "x"]);
    assert_eq!(found.constraints, ["x<2"]);
}

#[test]
fn byte_order_marks_decide_the_encoding() {
    assert_eq!(read(&[("r", b"\xef\xbb\xbfx\n")]).unwrap().requirements, ["x"]);
    assert_eq!(read(&[("r", b"\xff\xfex\0\n\0")]).unwrap().requirements, ["x"]);
    assert_eq!(read(&[("r", b"\xfe\xff\0x\0\n")]).unwrap().requirements, ["x"]);
    assert_eq!(read(&[("r", b"# -*- coding: utf-8 -*-\nx")]).unwrap().requirements, ["x"]);
    for bytes in [&b"x # \xe9"[..], b"# coding: latin-1\nx", b"\xff\xfex", b"\xff\xfe\0\0x\0\0\0"] {
        assert_eq!(read(&[("r", bytes)]).unwrap_err(), "a requirements file that is not UTF-8");
    }
}

#[test]
fn what_cannot_be_assembled_is_refused_by_kind() {
    for (line, reason) in [
        ("-e .", "--editable in a requirements file"),
        ("--editable=git+https://h/x", "--editable in a requirements file"),
        ("./local", "a requirement by local path"),
        ("x @ git+https://h/x", "a requirement from version control"),
        ("x --global-option=y", "an option of a single requirement"),
        ("x --config-settings a=b", "an option of a single requirement"),
        ("x --hash", "--hash without its value"),
        ("--no-binary :all:", "--no-binary in a requirements file"),
        ("--nonsense", "an option in a requirements file"),
        ("--extra-index https://h", "an option in a requirements file"),
        ("-i https://${TOKEN}@h/simple", "credentials in a requirements file"),
        ("x @ https://${TOKEN}@h/x.whl", "credentials in a requirement"),
        ("-i 'https://h", "unbalanced quotes in a requirements file"),
        ("-r ftp://h/r.txt", "a requirements file by URL"),
        ("-c https://u:p@h/c.txt", "credentials in a requirements file"),
        ("-r missing.txt", "a requirements file that can't be read"),
        ("-r r.txt", "a requirements file that includes itself"),
        ("-r a.txt -r b.txt", "two includes on one line"),
    ] {
        assert_eq!(read(&[("r.txt", line.as_bytes()), ("a.txt", b""), ("b.txt", b"")]).unwrap_err(), reason);
    }
    let long = vec![b'#'; (1 << 20) + 1];
    assert_eq!(read(&[("r", &long)]).unwrap_err(), "a requirements file over 1 MiB");
    assert_eq!(
        read(&[("r", "x\n".repeat(100_001).as_bytes())]).unwrap_err(),
        "too many lines of requirements"
    );
    let names: Vec<(String, String)> = (0..20).map(|n| (format!("r{n}"), format!("-r r{}", n + 1))).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|(a, b)| (a.as_str(), b.as_bytes())).collect();
    assert_eq!(read(&files).unwrap_err(), "requirements files nested too deeply");
}
