//! What a tree says is what every shell here does: installs, their directories, their arguments, the final status.
#![allow(clippy::unwrap_used)]
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use plinth_layers::script::{FileTest, Install, Next, Node, Refusal, World, walk};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::super::NotSimple;
use super::script;

fn env(name: &str) -> Option<String> {
    (name == "X").then(|| "val".to_owned())
}

fn read(text: &str) -> Result<Node, NotSimple> {
    script(text, &env, &|program| program == "pip")
}

/// The installs in the order in which a shell comes to them, whether it ends well, and the files of its output, by path.
type Ran = (Vec<String>, bool, BTreeMap<PathBuf, String>);

/// A directory with some files, and a program `pip` that says what it was asked, and fails if that is `fail`.
struct Playground(tempfile::TempDir);

impl Playground {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for name in ["bin", "cwd", "cwd/d", "cwd/d/e"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        let pip = root.join("bin/pip");
        fs::write(
            &pip,
            "#!/bin/sh\nprintf '%s\\0' \"pip $PWD $*\" >>\"$LOG\"\nprintf said\n[ \"$1\" != fail ]\n",
        )
        .unwrap();
        fs::set_permissions(&pip, fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("/bin/rm", root.join("bin/rm")).unwrap();
        for (name, text) in [("cwd/a", "x"), ("cwd/empty", ""), ("cwd/d/b", "x")] {
            fs::write(root.join(name), text).unwrap();
        }
        Self(dir)
    }

    fn cwd(&self) -> PathBuf {
        self.0.path().join("cwd").canonicalize().unwrap()
    }

    fn run(&self, shell: &[&str], text: &str) -> Ran {
        let log = self.0.path().join("log");
        fs::write(&log, "").unwrap();
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).arg("-c").arg(text).env_clear().env("X", "val").env("LOG", &log);
        let status =
            command.env("PATH", self.0.path().join("bin")).current_dir(self.cwd()).output().unwrap().status;
        let done = fs::read_to_string(&log).unwrap();
        let mut outputs = BTreeMap::new();
        for directory in ["", "d", "d/e"].map(|directory| self.cwd().join(directory)) {
            for entry in fs::read_dir(&directory).unwrap().map(Result::unwrap) {
                if entry.file_name().to_str().unwrap().starts_with('=') {
                    let path = directory.join(entry.file_name());
                    outputs.insert(path.clone(), fs::read_to_string(&path).unwrap());
                    fs::remove_file(path).unwrap();
                }
            }
        }
        let done = done.split_terminator('\0').map(|line| line.trim_end().to_owned()).collect();
        (done, status.success(), outputs)
    }

    /// The same by walking the tree; nothing where the walk comes to something that is not understood.
    fn walk(&self, node: &Node) -> Option<Ran> {
        let mut files = Files::default();
        let mut events = Vec::new();
        loop {
            let asked = walk(node, &self.cwd(), &events, &mut files).ok()?;
            events = asked.events;
            match asked.next {
                Next::End { success } => return Some((files.done, success, files.outputs)),
                Next::Install { install, cwd, .. } => {
                    files.log(&install, &cwd);
                    events.push(true);
                    if !asked.more {
                        return Some((files.done, true, files.outputs));
                    }
                }
            }
        }
    }
}

#[derive(Default)]
struct Files {
    done: Vec<String>,
    outputs: BTreeMap<PathBuf, String>,
}

impl Files {
    fn log(&mut self, install: &Install, cwd: &Path) {
        let said = format!("pip {} {}", cwd.display(), install.argv[1..].join(" "));
        self.done.push(said.trim_end().to_owned());
        if let Some((last, others)) = install.outputs.split_last() {
            self.outputs.extend(others.iter().map(|name| (cwd.join(name), String::new())));
            self.outputs.insert(cwd.join(last), "said".to_owned());
        }
    }
}

impl World for Files {
    fn test(&mut self, test: FileTest, path: &Path) -> Result<bool, Refusal> {
        Ok(match test {
            FileTest::Exists => path.exists(),
            FileTest::File => path.is_file(),
            FileTest::Directory => path.is_dir(),
            FileTest::NotEmpty => path.metadata().is_ok_and(|m| m.len() > 0),
        })
    }

    fn enter(&mut self, path: &Path) -> Result<bool, Refusal> {
        Ok(path.is_dir())
    }

    fn activates(&mut self, script: &Path) -> Result<(), Refusal> {
        Err(Refusal(script.display().to_string()))
    }

    fn absent(&mut self, path: &Path) -> Result<bool, Refusal> {
        Ok(path.symlink_metadata().is_err())
    }

    fn fails(&mut self, install: &Install, cwd: &Path) -> Result<bool, Refusal> {
        let fails = install.argv.get(1).is_some_and(|word| word == "fail");
        if fails {
            self.log(install, cwd);
        }
        Ok(fails)
    }
}

const SHELLS: [&[&str]; 3] = [&["/bin/dash"], &["/bin/bash"], &["/usr/bin/busybox", "sh"]];

fn shells() -> impl Iterator<Item = &'static [&'static str]> {
    SHELLS.into_iter().filter(|shell| Path::new(shell[0]).exists())
}

fn same_everywhere(playground: &Playground, text: &str) -> bool {
    let Some(expected) = read(text).ok().and_then(|node| playground.walk(&node)) else { return false };
    for shell in shells() {
        assert_eq!(playground.run(shell, text), expected, "{shell:?}: {text:?}");
    }
    true
}

#[test]
fn steps_of_a_fleet() {
    let playground = Playground::new();
    for text in [
        "if [ -f a ]; then pip install -r a; fi",
        "if [ -f none ]; then pip install -r none; fi",
        "if [ -f none ]; then \\\n      pip install -r none; \\\n    elif [ -s a ]; then pip install a; \\\n    else pip x; fi",
        "if [ ! -d d ]\nthen\n  pip x\nelse # here\n  pip y\nfi\n",
        "pip install --upgrade pip && pip install -r a",
        "pip install --upgrade pip setuptools wheel; pip install $X",
        "pip fail 2>/dev/null || pip install a b",
        "pip install a 2>/dev/null || pip install b",
        "pip install a >/dev/null 2>&1 || echo 'no a' >&2",
        "pip fail || true",
        "pip fail || exit 1; pip y",
        "(cd d && pip install -r b) && pip install c",
        "cd d && pip install -r b && cd e && pip x",
        "[ -f a ] && pip install -r a || pip y",
        "test -e none && pip install -r none || true",
        "{ pip a; pip b; } && pip c",
        "set -e; pip a; if [ -f none ]; then pip b; fi; pip c",
        "! pip fail && pip x",
        "pip a || make it",
        "pip a>=1 b>=2.0,!=2.1 c>=1",
        "pip a>=1 \\\n    b>=2 \\\n    c && cd d; pip d>= 2>/dev/null",
        "pip a && rm -rf /nowhere/at/all none && pip b",
        ": comment '#' # pip z\npip a",
    ] {
        assert!(same_everywhere(&playground, text), "{text}: {:?}", read(text));
    }
}

#[test]
fn what_is_refused_or_ends_a_walk() {
    let playground = Playground::new();
    for (text, wanted) in [
        ("for x in a b; do pip $X; done", "the script has `for`, which is a keyword of the shell"),
        ("pip a | tee log", "the script is a pipeline (an unquoted `|`)"),
        ("pip a & pip b", "the script runs a command in the background (an unquoted `&`)"),
        ("pip a > log && pip b", "the shell redirects output to the file `log` (an unquoted `>`)"),
        ("pip b && make>=1", "the shell redirects output to the file `=1` (an unquoted `>`)"),
        ("pip a && echo>=1", "the shell redirects output to the file `=1` (an unquoted `>`)"),
        ("pip a 3>/dev/null", "the shell redirects output to the file `/dev/null` (an unquoted `>`)"),
        ("{ pip a; } 2>/dev/null", "the shell redirects output to the file `/dev/null` (an unquoted `>`)"),
        ("A=1 pip a; pip b", "the script assigns a variable before the command (`A=1`)"),
        ("f() { pip a; }; f", "the script has a subshell or defines a function (an unquoted `(`)"),
        ("[[ -f a ]] && pip a", "the script has `[[`, which is a keyword of the shell"),
    ] {
        assert_eq!(read(text).map_err(|e| e.to_string()), Err(wanted.to_owned()), "{text}");
    }
    for text in [
        "make && pip a",
        "pip fail>=1 || true",
        "pip a && rm -rf a",
        "pip a && rm none",
        "pip a && rm -rf ../none",
        "pip a && rm -rf none*",
        "set -u; pip a",
        "cd .. && pip a",
        "export A=1; pip a",
        "[ -f a -a -f d ] && pip a",
        "echo * && pip a",
        "[ a = a ] && pip a",
        ". ./a && pip a",
        "umask 077 && pip a",
        "trap 'pip x' EXIT; pip a",
        "alias pip=true; pip a",
    ] {
        assert_eq!(playground.walk(&read(text).unwrap()), None, "{text}");
    }
}

#[test]
fn nesting_has_an_end() {
    for open in ["(", "( ", "{ ", "if ", "! ", "if true; then ", "(("] {
        assert!(read(&open.repeat(9_000)).is_err(), "{open}");
        assert!(read(&format!("pip a && {}", open.repeat(9_000))).is_err(), "{open}");
    }
    let deep = format!("{}pip a{}", "( ".repeat(20), " )".repeat(20));
    assert!(same_everywhere(&Playground::new(), &deep));
}

/// Whole commands, their halves, and what stands between them.
fn fragment() -> impl Strategy<Value = &'static str> {
    let commands = prop::sample::select(vec![
        "pip a",
        "pip b $X",
        "pip fail",
        "pip 'c d'",
        "true",
        "false",
        "echo x",
        "[ -f a ]",
        "[ -f none ]",
        "[ ! -s empty ]",
        "test -d d",
        "cd d",
        "cd e",
        "cd none",
        "exit 0",
        "exit 1",
        "set -e",
        "make",
        "pip a 2>/dev/null",
        "pip fail >/dev/null 2>&1",
        "pip a 2 >/dev/null",
        "pip a>=1 b>=2",
        "pip a 2>=1",
        "pip a >=1",
        "pip 2>&1",
        ": x",
    ]);
    let joints = prop::sample::select(vec![
        " && ",
        " || ",
        "; ",
        "\n",
        " ;",
        "&&",
        "||",
        " \\\n && ",
        " # c\n",
        "\n\n",
    ]);
    let openers = prop::sample::select(vec!["if ", "( ", "(", "{ ", "! ", "then ", "else ", "elif "]);
    let closers =
        prop::sample::select(vec!["; fi", " )", ")", "; }", "; then ", "; else ", "; elif ", "\nfi"]);
    let noise =
        prop::sample::select(vec![" ", "\\\n", "fi", "2", " 2>", ">", "#", "'", "\"", "|", "&", "$X", "\t"]);
    prop_oneof![10 => commands, 8 => joints, 3 => openers, 4 => closers, 1 => noise]
}

/// A script with the shape of one, so that many are accepted.
fn shaped() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "pip a",
        "pip fail",
        "pip b $X",
        "true",
        "false",
        "[ -f a ]",
        "[ -f none ]",
        "cd d",
        "exit 1",
        "echo x",
        "make",
        "pip c 2>/dev/null",
        "pip d>=1 e>=2 f>=1",
        "pip g>=3 2>/dev/null",
        "set -e",
        "pip fail >/dev/null 2>&1",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} && {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} || {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}; {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}\n{b}")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.clone().prop_map(|a| format!("{{ {a}; }}")),
            inner.clone().prop_map(|a| format!("! {{ {a}\n}}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("if {a}; then {b}; fi")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("if {a}\nthen {b}\nelse {c}\nfi")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("if {a}; then {b}; elif {c}; then pip e; else pip f; fi")),
        ]
    })
}

#[test]
fn accepted_scripts_do_in_every_shell_what_the_tree_says() {
    let playground = Playground::new();
    let seed = std::env::var("PROPTEST_SEED").ok().and_then(|s| s.parse::<u64>().ok()).unwrap_or(1);
    let bytes: Vec<u8> = seed.to_le_bytes().into_iter().cycle().take(32).collect();
    let config =
        || Config { cases: Config::default().cases.max(800), failure_persistence: None, ..Config::default() };
    let accepted = Cell::new([0; 2]);
    let count = |kind: usize, text: &str| {
        let mut counts = accepted.get();
        counts[kind] += usize::from(same_everywhere(&playground, text));
        accepted.set(counts);
    };
    let mut runner = TestRunner::new_with_rng(config(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    runner
        .run(&prop::collection::vec(fragment(), 1..9), |parts| {
            count(0, &parts.concat());
            Ok(())
        })
        .unwrap();
    let mut runner = TestRunner::new_with_rng(config(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    runner
        .run(&shaped(), |text| {
            count(1, &text);
            Ok(())
        })
        .unwrap();
    let [noise, shape] = accepted.get();
    assert!(noise >= 40 && shape >= 250, "only {noise} and {shape} scripts were accepted");
}
