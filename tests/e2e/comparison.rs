//! The comparison itself: each exception holds for what it is for, and a difference just outside it is found.

use crate::support::bytecode;
use crate::support::compare::{Comparison, Exception, Sides, compare_trees};
use crate::support::env::e2e;
use crate::support::files::Files;
use crate::support::tree::{Node, Tree};

const SITE: &str = "usr/local/lib/python3.11/site-packages";

/// A `.pyc` with this source time and size, flags, and code.
fn pyc(time: u32, size: u32, flags: u32, code: &[u8]) -> Node {
    let mut bytes = vec![0xa7, 0x0d, 0x0d, 0x0a];
    bytes.extend(flags.to_le_bytes());
    bytes.extend(time.to_le_bytes());
    bytes.extend(size.to_le_bytes());
    bytes.extend(code);
    Node::file(&bytes)
}

fn at(time: u64, node: Node) -> Node {
    Node { mtime: time, ..node }
}

/// A base with a standard library and pip in it.
fn base() -> Tree {
    Tree::default()
        .with("usr/local/lib/python3.11/json.py", Node::file(b"json"))
        .with("usr/local/bin/python3", Node::link("python3.11"))
        .with(&format!("{SITE}/pip/cli.py"), Node::file(b"pip"))
        .with(&format!("{SITE}/pip-23.dist-info/RECORD"), Node::file(b"pip/cli.py,sha256=x,3\n"))
        .with("root", Node { mode: 0o700, ..Node::directory() })
}

/// The base with one distribution installed at this time.
fn installed(time: u32) -> Tree {
    let record = "../../../bin/tool,sha256=x,4\ndemo/__init__.py,sha256=x,4\ndemo/__pycache__/__init__.cpython-311.pyc,,\n";
    let when = u64::from(time);
    base()
        .with(&format!("{SITE}/demo/__init__.py"), at(when, Node::file(b"demo")))
        .with(&format!("{SITE}/demo/__pycache__/__init__.cpython-311.pyc"), pyc(time, 4, 0, b"\x00code"))
        .with(&format!("{SITE}/demo-1.dist-info/RECORD"), at(when, Node::file(record.as_bytes())))
        .with("usr/local/bin/tool", Node { mode: 0o755, mtime: when, ..Node::file(b"tool") })
}

fn compared(plain: &Tree, plinth: &Tree) -> Comparison {
    compare_trees(&Sides { base: &base(), plain, plinth, home: "root" }, &Exception::ALL)
}

/// The one difference there must be, as text.
#[track_caller]
fn only(plain: &Tree, plinth: &Tree) -> String {
    let found = compared(plain, plinth);
    assert_eq!(found.differences.len(), 1, "{:?}", found.differences);
    found.differences[0].to_string()
}

/// Changes a node of a tree.
fn changed(mut tree: Tree, path: &str, change: impl FnOnce(&mut Node)) -> Tree {
    change(tree.nodes.get_mut(path).expect("the path is in the tree"));
    tree
}

#[test]
fn equal_trees_are_equal() {
    let found = compared(&installed(7), &installed(7));
    found.assert_equal();
    assert_eq!(found.excused, [], "nothing needs an exception");
}

#[test]
fn times_are_excused_and_nothing_else_of_a_node() {
    let found = compared(&installed(7), &installed(9));
    found.assert_equal();
    assert!(found.excused.iter().any(|(e, ..)| *e == Exception::Timestamps));
    let strict = compare_trees(
        &Sides { base: &base(), plain: &installed(7), plinth: &installed(9), home: "root" },
        &[Exception::ByteCode],
    );
    assert!(strict.differences.iter().all(|d| d.what == "time 7, 9"), "{:?}", strict.differences);
    assert_eq!(strict.differences.len(), 3, "module, RECORD and script: {:?}", strict.differences);

    let tool = "usr/local/bin/tool";
    let differ = |change: fn(&mut Node)| only(&installed(7), &changed(installed(9), tool, change));
    assert_eq!(differ(|n| n.mode = 0o644), "/usr/local/bin/tool: mode 0755, 0644");
    assert_eq!(differ(|n| n.mode |= 0o4000), "/usr/local/bin/tool: mode 0755, 4755");
    assert_eq!(differ(|n| n.uid = 1), "/usr/local/bin/tool: owner 0:0, 1:0");
    assert_eq!(differ(|n| n.gid = 2), "/usr/local/bin/tool: owner 0:0, 0:2");
    assert_eq!(
        differ(|n| *n = Node { mode: 0o755, ..Node::file(b"took") }),
        "/usr/local/bin/tool: content of 4 bytes, 4 bytes: \"tool\", \"took\""
    );
    assert!(
        differ(|n| n.xattrs = [("security.capability".to_owned(), vec![1])].into()).contains("attributes")
    );
}

#[test]
fn directories_and_links_count() {
    let root = |mode| changed(installed(7), "root", |n| n.mode = mode);
    assert_eq!(only(&root(0o700), &root(0o755)), "/root: mode 0700, 0755");
    let python = "usr/local/bin/python3";
    let other = changed(installed(7), python, |n| n.target = "python3.12".to_owned());
    assert_eq!(only(&installed(7), &other), "/usr/local/bin/python3: link target python3.11, python3.12");
    let directory = changed(installed(7), python, |n| *n = Node { mode: 0o777, ..Node::directory() });
    assert!(compared(&installed(7), &directory).differences.iter().any(|d| d.what == "kind Link, Directory"));
}

#[test]
fn missing_and_additional_paths_count() {
    let mut less = installed(7);
    less.nodes.remove("usr/local/bin/tool");
    assert_eq!(only(&installed(7), &less), "/usr/local/bin/tool: a file of 4 bytes is missing");
    assert_eq!(only(&less, &installed(7)), "/usr/local/bin/tool: a file of 4 bytes that plain doesn't have");
    let record = format!("{SITE}/demo-1.dist-info/RECORD");
    let other = changed(installed(7), &record, |n| *n = Node::file(b""));
    assert!(compared(&installed(7), &other).differences.iter().any(|d| d.path == record));
}

#[test]
fn apts_empty_places_may_be_absent_and_nothing_else_of_apts() {
    let archives = "var/cache/apt/archives";
    let left = |more: &[(&str, Node)]| {
        let tree = installed(7)
            .with("var/cache/apt/archives/lock", Node { mode: 0o640, ..Node::file(b"") })
            .with("var/cache/apt/archives/partial", Node { mode: 0o700, uid: 42, ..Node::directory() })
            .with("var/lib/apt/lists/auxfiles", Node::directory())
            .with("var/lib/apt/lists/lock", Node { mode: 0o640, ..Node::file(b"") })
            .with("var/lib/apt/lists/partial", Node::directory());
        more.iter().cloned().fold(tree, |tree, (path, node)| tree.with(path, node))
    };
    let without =
        || installed(7).with("var/cache/apt", Node::directory()).with("var/lib/apt/lists", Node::directory());
    let found = compared(&left(&[]), &without());
    found.assert_equal();
    let excused: Vec<_> =
        found.excused.iter().map(|(why, path, bytes)| (*why, path.as_str(), *bytes)).collect();
    let places = [
        archives,
        "var/cache/apt/archives/lock",
        "var/cache/apt/archives/partial",
        "var/lib/apt/lists/auxfiles",
        "var/lib/apt/lists/lock",
        "var/lib/apt/lists/partial",
    ];
    assert_eq!(excused, places.map(|path| (Exception::AptPlaces, path, 0)));
    let paths = |plain: &Tree, plinth: &Tree| -> Vec<String> {
        compared(plain, plinth).differences.into_iter().map(|difference| difference.path).collect()
    };
    // Something that was downloaded, and was left there: then nothing of it is excused but what is empty.
    for more in ["var/cache/apt/archives/x.deb", "var/cache/apt/archives/partial/x.deb"] {
        assert!(paths(&left(&[(more, Node::file(b"x"))]), &without()).contains(&more.to_owned()), "{more}");
        assert!(
            paths(&left(&[(more, Node::file(b"x"))]), &without()).contains(&archives.to_owned()),
            "{more}"
        );
    }
    let lock = left(&[("var/cache/apt/archives/lock", Node::file(b"1"))]);
    assert!(paths(&lock, &without()).contains(&"var/cache/apt/archives/lock".to_owned()));
    for other in [
        "var/cache/apt/pkgcache.bin",
        "var/lib/apt/lists/x_Packages",
        "var/lib/apt/extended_states",
        "var/log/apt/history.log",
    ] {
        assert!(paths(&left(&[(other, Node::file(b""))]), &without()).contains(&other.to_owned()), "{other}");
    }
    // Only what the base lacks, only if it is absent, and never the other way round.
    let base = left(&[]);
    let sides = Sides { base: &base, plain: &left(&[]), plinth: &without(), home: "root" };
    assert_eq!(compare_trees(&sides, &Exception::ALL).differences.len(), places.len());
    assert_eq!(paths(&without(), &left(&[])).len(), places.len());
    assert_eq!(paths(&left(&[]), &left(&[("var/cache/apt/archives/partial", Node::directory())])).len(), 2);
}

#[test]
fn byte_code_of_other_code_or_for_another_interpreter_counts() {
    let path = format!("{SITE}/demo/__pycache__/__init__.cpython-311.pyc");
    let differ = |node: Node| only(&installed(7), &changed(installed(9), &path, |n| *n = node));
    // Flags: with unchecked-hash byte code, a module that is patched later would keep running its old code.
    assert!(differ(pyc(9, 4, 1, b"\x00code")).contains("byte-code header"));
    let mut foreign = pyc(9, 4, 0, b"\x00code").content.unwrap().to_vec();
    foreign[0] ^= 1;
    assert!(differ(Node::file(&foreign)).contains("byte-code header"));
    // Byte code that isn't fresh is as good as none.
    assert!(differ(pyc(8, 4, 0, b"\x00code")).contains("doesn't belong to its source"));

    let code = compared(&installed(7), &changed(installed(9), &path, |n| *n = pyc(9, 4, 0, b"\x00cola")));
    assert_eq!(code.code.len(), 1, "other bytes are for an interpreter to judge");

    let mut none = installed(9);
    none.nodes.remove(&path);
    assert!(only(&installed(7), &none).ends_with("is missing"));
}

#[test]
fn code_that_only_looks_different_is_equal_and_other_code_is_not() {
    let env = e2e!();
    let files = Files::dockerfile(
        r#"FROM python:3.11-slim AS run
RUN <<PY python3
import marshal
source = "def f(a):\n    return (a, 'text', 1.5, frozenset(('x', 'y')))\n"
def write(name, code, dump=marshal.dumps):
    open(name, "wb").write(bytes(16) + dump(code))
code = lambda text, name="/m.py": compile(text, name, "exec")
write("/same0", code(source))
# Without references: the same objects in other bytes.
write("/same1", code(source), lambda c: marshal.dumps(c, 2))
write("/constant", code(source.replace("1.5", "1.6")))
write("/name", code(source.replace("def f", "def g")))
write("/line", code("\n" + source))
write("/file", code(source, "/tmp/m.py"))
write("/op", code(source.replace("(a,", "(-a,")))
PY
FROM scratch
COPY --from=run /same0 /same1 /constant /name /line /file /op /
"#,
    );
    let built = crate::support::build::Build::new(env, crate::support::build::Side::Plain, files.path())
        .files()
        .run()
        .ok();
    let read = |name: &str| std::fs::read(built.files().join(name)).unwrap();
    assert_ne!(read("same0"), read("same1"), "the same code was to be written in two ways");
    let names = ["same1", "constant", "name", "line", "file", "op"];
    let pairs: Vec<_> = names
        .iter()
        .map(|name| crate::support::compare::CodePair {
            path: (*name).to_owned(),
            plain: read("same0"),
            plinth: read(name),
        })
        .collect();
    let found: Vec<_> =
        bytecode::different(env, "python:3.11-slim", &pairs).into_iter().map(|d| d.path).collect();
    assert_eq!(found, names[1..]);
}

#[test]
fn stray_byte_code_is_only_what_no_step_owns() {
    let stray = |tree: Tree| {
        tree.with("usr/local/lib/python3.11/__pycache__/json.cpython-311.pyc", pyc(1, 4, 0, b"json!"))
            .with(&format!("{SITE}/pip/__pycache__/cli.cpython-311.pyc"), pyc(1, 3, 0, b"pip!"))
    };
    let found = compared(&stray(installed(7)), &installed(7));
    found.assert_equal();
    assert_eq!(found.excused_bytes(Exception::StrayByteCode), 21 + 20);

    // Not excused the other way round, nor for a source that isn't there, nor with other files beside it.
    assert_eq!(compared(&installed(7), &stray(installed(7))).differences.len(), 4);
    let orphan =
        installed(7).with("usr/local/lib/python3.11/__pycache__/gone.cpython-311.pyc", pyc(1, 4, 0, b"gone"));
    assert_eq!(compared(&orphan, &installed(7)).differences.len(), 2, "directory and file");
    let other = stray(installed(7)).with("usr/local/lib/python3.11/__pycache__/notes.txt", Node::file(b"x"));
    let found: Vec<_> = compared(&other, &installed(7)).differences.into_iter().map(|d| d.path).collect();
    assert_eq!(
        found,
        ["usr/local/lib/python3.11/__pycache__", "usr/local/lib/python3.11/__pycache__/notes.txt"]
    );

    // Where both have it, the step that was the first to import it has made it.
    let json = "usr/local/lib/python3.11/__pycache__/json.cpython-311.pyc";
    let private = |tree: Tree, path: &str| changed(tree, path, |node| node.mode = 0o600);
    let both = stray(installed(7));
    compared(&both, &private(both.clone(), json)).assert_equal();
    let source = "usr/local/lib/python3.11/json.py";
    assert_eq!(compared(&both, &private(both.clone(), source)).differences.len(), 1);
    let content = changed(both.clone(), json, |node| *node = pyc(1, 5, 0, b"json!"));
    assert!(!compared(&both, &content).differences.is_empty());

    // Once a step has installed another pip, its byte code is the step's.
    let record = format!("{SITE}/pip-23.dist-info/RECORD");
    let upgrade = |tree: Tree| changed(tree, &record, |n| *n = Node::file(b"pip/cli.py,sha256=y,3\n"));
    let found: Vec<_> = compared(&upgrade(stray(installed(7))), &upgrade(installed(7)))
        .differences
        .into_iter()
        .map(|d| d.path)
        .collect();
    assert_eq!(
        found,
        [format!("{SITE}/pip/__pycache__"), format!("{SITE}/pip/__pycache__/cli.cpython-311.pyc")]
    );
}

#[test]
fn the_cache_of_pip_is_only_that() {
    let cached = |tree: Tree| tree.with("root/.cache/pip/http/a", Node::file(b"12345"));
    let found = compared(&cached(installed(7)), &installed(7));
    found.assert_equal();
    assert_eq!(found.excused_bytes(Exception::PipCache), 5);

    let elsewhere =
        |path: &str| compared(&installed(7).with(path, Node::file(b"x")), &installed(7)).differences.len();
    assert_eq!(elsewhere("root/.cache/other"), 2);
    assert_eq!(elsewhere("root/.cache/pipx/a"), 3);
    assert_eq!(elsewhere("home/.cache/pip/a"), 4, "not the home of the steps");
    assert_eq!(
        compared(&installed(7), &cached(installed(7))).differences.len(),
        4,
        "nor the other way round"
    );
    let both = cached(installed(7)).with("root/.cache/other", Node::file(b"x"));
    let found: Vec<_> = compared(&both, &installed(7)).differences.into_iter().map(|d| d.path).collect();
    assert_eq!(found, ["root/.cache", "root/.cache/other"]);
}

#[test]
fn what_an_installer_prints_ends_alike() {
    let printed = |path: &str, text: &str| installed(7).with(path, Node::file(text.as_bytes()));
    let (plain, last) =
        ("Collecting a\n  2.1 MB/s\nSuccessfully installed a-1\n", "Successfully installed a-1\n");
    let found = compared(&printed("app/=1", plain), &printed("app/=1", last));
    found.assert_equal();
    assert_eq!(found.excused_bytes(Exception::Output), (plain.len() - last.len()) as u64);

    for (path, other) in [
        ("app/log", last),
        ("app/=1/x", last),
        ("app/=1", "Successfully installed a-2\n"),
        ("app/=1", ""),
        ("app/=1", "Collecting a\n"),
    ] {
        assert_eq!(
            compared(&printed(path, plain), &printed(path, other)).differences.len(),
            1,
            "{path} {other}"
        );
    }
    let other = changed(printed("app/=1", last), "app/=1", |n| n.mode = 0o600);
    assert_eq!(only(&printed("app/=1", plain), &other), "/app/=1: mode 0644, 0600");
    assert!(!compared(&printed("app/=1", plain), &installed(7)).differences.is_empty(), "it has to be there");
}

/// Layers are applied as a runtime does; the builder's own view of the same image is the proof.
#[test]
fn trees_are_what_a_container_sees() {
    let env = e2e!();
    let text = "FROM debian:bookworm-slim\n\
        RUN mkdir -p /a/b/c /gone /opaque/x && echo 1 >/a/b/c/f && echo 2 >/gone/f && echo 3 >/opaque/x/f && ln -s b /a/link && chmod 2770 /a/b\n\
        RUN rm -r /gone && rm -r /opaque && mkdir /opaque && echo 4 >/opaque/new && chown 5:6 /a/b/c/f && ln /a/b/c/f /a/hard\n\
        RUN rm /a/link && mkdir /a/link && echo 5 >/a/link/g && echo 6 >>/a/b/c/f\n";
    let probe = format!(
        "{text}RUN cd / && find a opaque gone -printf '%p|%y|%m|%U:%G|%l|' \\( -type f -exec sha256sum -z {{}} \\; -printf '\\n' -o -printf '\\n' \\) 2>/dev/null \
         | tr -d '\\0' >/listing; true\nFROM scratch\nCOPY --from=0 /listing /\n"
    );
    let (files, probe) = (Files::dockerfile(text), Files::dockerfile(&probe));
    let side = crate::support::build::Side::Plain;
    let tree = crate::support::build::Build::new(env, side, files.path()).image().tree();
    let listing = crate::support::build::Build::new(env, side, probe.path()).files().run().ok();
    let listing = std::fs::read_to_string(listing.files().join("listing")).unwrap();
    let mut expected: Vec<_> =
        listing.lines().map(|line| line.split("  ").next().unwrap().to_owned()).collect();
    expected.sort();
    let mut found: Vec<_> = tree
        .nodes
        .iter()
        .filter(|(path, _)| {
            ["a", "opaque", "gone"].iter().any(|top| path == top || path.starts_with(&format!("{top}/")))
        })
        .map(|(path, node)| {
            let kind = match node.kind {
                crate::support::tree::Kind::File => 'f',
                crate::support::tree::Kind::Directory => 'd',
                _ => 'l',
            };
            format!("{path}|{kind}|{:o}|{}:{}|{}|{}", node.mode, node.uid, node.gid, node.target, node.sha256)
        })
        .collect();
    found.sort();
    assert_eq!(found, expected);
}
