//! A builder that can't merge: installs run as written, with the reason and the way out; everything else works.
//!
//! The builder is `buildkitd-without-mergeop` of `hack/get --without-mergeop`. It announces `mergeop` and `diffop` as
//! switched off, as dockerd with its classic image store does, and refuses the operations.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use base64::Engine as _;
use prost_reflect::prost::Message as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::bases::policy;
use crate::definitions::{message, pool};
use crate::pip::{BASE, wheels};
use crate::support::build::{Build, Built, Side};
use crate::support::builder::Builder;
use crate::support::bytecode;
use crate::support::compare::{Exception, Sides, compare_trees};
use crate::support::env::{Env, e2e};
use crate::support::files::Files;
use crate::support::index::Index;
use crate::support::progress::Warning;
use crate::support::report::{LABEL, Report};
use crate::support::tree::Tree;

/// Why, in the builder's own words, and where it would be otherwise.
const REASON: &str = "the builder has no mergeop (only enabled with containerd image store backend); Docker has it with its containerd image store, and so has any current builder of the docker-container or remote driver";

fn start(env: &Env) -> Builder {
    Builder::start_program(env, "buildkitd-without-mergeop", &[])
}

/// Two steps that plinth would assemble elsewhere (lines 3 and 5), and one that it never does (line 4).
fn service(index: &Index, from: &str) -> Files {
    let pip = format!("RUN pip install --no-cache-dir -i {}", index.url());
    Files::dockerfile(&format!(
        "FROM {from}\nUSER root\n{pip} alpha\n{pip} datafull && mkdir /x\n{pip} ns-one\nCOPY --link app.py /app/\nCMD [\"x\"]\n"
    ))
    .with("app.py", "import alpha\n")
    .with(".dockerignore", "plinth.toml\n")
}

fn build(env: &Env, builder: &Builder, side: Side, files: &Files) -> Built {
    Build::new(env, side, files.path()).on(&builder.host).layout().run().ok()
}

/// The report and the warnings of [`service`].
#[track_caller]
fn says_why(built: &Built) {
    let report = Report::of_build(built).expect("a report of the build");
    assert_eq!(report.treatments(), ["as_written"; 3], "{}", report.json());
    let reasons = report.reasons();
    let other = "its script runs `mkdir` beside the install";
    assert_eq!(reasons, [REASON, other, REASON], "{}", report.json());
    assert_no_saving(&report.json());
    // Once, however many steps there are.
    let warnings: Vec<&Warning> =
        built.progress.warnings.iter().filter(|w| w.short.contains("mergeop")).collect();
    let [warning] = warnings[..] else { panic!("one warning: {:#?}", built.progress.warnings) };
    assert_eq!(warning.short, format!("plinth runs installs as written: {REASON}"));
    assert_eq!((warning.file.as_str(), warning.lines.as_slice()), ("Dockerfile", [(3, 3)].as_slice()));
}

/// No word, in whatever form, of layers that are shared.
#[track_caller]
fn assert_no_saving(report: &str) {
    for word in ["assembled", "shared", "layers", "saved"] {
        assert!(!report.contains(word), "{word:?} is claimed: {report}");
    }
}

fn plinth(env: &Env, builder: &Builder, args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_plinth"))
        .args(args)
        .env("BUILDKIT_HOST", &builder.host)
        .env("PLINTH_FRONTEND", env.frontend.as_deref().unwrap_or_default())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The text without its line breaks.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Solves the merge of two directories, with or without the operation saying what it needs.
fn merge(host: &str, declared: bool) -> Output {
    let pool = pool();
    let encode = |name: &str, json: Value| message(&pool, name, &json).encode_to_vec();
    let digest = |op: &[u8]| format!("sha256:{}", hex::encode(Sha256::digest(op)));
    let directory = |path: &str| {
        let mkdir = json!({"path": path, "mode": 493, "timestamp": -1});
        let action = json!({"input": -1, "secondaryInput": -1, "output": 0, "mkdir": mkdir});
        encode("pb.Op", json!({"file": {"actions": [action]}}))
    };
    let (one, two) = (directory("/one"), directory("/two"));
    let merge = json!({
        "inputs": [{"digest": digest(&one)}, {"digest": digest(&two)}],
        "merge": {"inputs": [{"input": 0}, {"input": 1}]},
    });
    let merge = encode("pb.Op", merge);
    let end = encode("pb.Op", json!({"inputs": [{"digest": digest(&merge)}]}));
    let metadata = if declared { json!({"caps": {"mergeop": true}}) } else { json!({}) };
    let metadata = json!({digest(&merge): metadata, digest(&end): {}});
    let def = [one, two, merge, end].map(|op| base64::engine::general_purpose::STANDARD.encode(op));
    let definition = encode("pb.Definition", json!({"def": def, "metadata": metadata}));

    let mut client = Command::new("buildctl")
        .args(["--addr", host, "build", "--progress=plain"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    client.stdin.take().unwrap().write_all(&definition).unwrap();
    client.wait_with_output().unwrap()
}

/// The builder is what these tests take it for: it refuses what an ordinary one does.
#[test]
fn it_really_cannot_merge() {
    let env = e2e!();
    let builder = start(env);
    for declared in [true, false] {
        let ordinary = merge(&env.host, declared);
        assert!(ordinary.status.success(), "{}", String::from_utf8_lossy(&ordinary.stderr));
        let refused = merge(&builder.host, declared);
        let error = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{error}");
        let why = if declared {
            "has been disabled on the build server: only enabled with containerd image store backend"
        } else {
            "no support for *pb.Op_Merge here"
        };
        assert!(error.contains(why), "{error}");
    }
}

/// Nothing is rewritten, so the image is the built-in frontend's, which carries no label.
#[test]
fn installs_run_as_written() {
    let env = e2e!();
    if env.frontend.is_none() {
        return;
    }
    let builder = start(env);
    let files = service(&Index::of(&wheels()), BASE);
    let [plain, through] = Side::BOTH.map(|side| build(env, &builder, side, &files));
    says_why(&through);
    assert_eq!(through.digest(), plain.digest());
    let layout = through.layout();
    let at = format!("oci:{}", layout.path().display());
    let image = layout.image();
    assert_eq!(image.label(LABEL), None);
    let installer = "/usr/local/lib/python3.11/site-packages/alpha-2.0.dist-info/INSTALLER";
    let own = image.layer_history().iter().position(|by| by.contains("pip install")).unwrap();
    assert_eq!(image.layer_tree(own).get(installer).unwrap().text().unwrap(), "pip\n");

    let (code, out, err) = plinth(env, &builder, &["report", &at]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains("nothing in it was rewritten"), "{err}");

    let dir = files.path().to_str().unwrap();
    let (code, out, err) = plinth(env, &builder, &["explain", dir]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(
        out.lines().next().unwrap().split(": ").skip(1).collect::<Vec<_>>(),
        ["install steps", "3 as written"]
    );
    assert_eq!(unwrapped(&out).matches(REASON).count(), 2, "{out}");
    assert_no_saving(&out);
    assert_eq!(err.matches(REASON).count(), 1, "the warning: {err}");
}

/// Moving a stage onto a master merges nothing. That image is rewritten, so its label says what wasn't done.
#[test]
fn bases_are_replaced_all_the_same() {
    let env = e2e!();
    if env.frontend.is_none() {
        return;
    }
    let builder = start(env);
    let index = Index::of(&wheels());
    let files = service(&index, BASE).with("plinth.toml", policy(env, "python:3.11*"));
    let built = build(env, &builder, Side::Plinth, &files);
    says_why(&built);
    let layout = built.layout();
    let at = format!("oci:{}", layout.path().display());
    let image = layout.image();
    image.check();
    let report = Report::of(&image).expect("a substituted base is in the label");
    assert_eq!(report.bases(), [("python:3.11-slim".to_owned(), "substituted".to_owned(), Some(1))]);
    assert_eq!(report.treatments(), ["as_written"; 3]);
    assert_eq!(report.reasons().iter().filter(|reason| *reason == REASON).count(), 2, "{}", report.json());
    assert_no_saving(&report.json());

    // Layer by layer what plain pip makes on the master.
    let master = format!("{}/bases/python-master:3.11", env.registry);
    let plain = build(env, &builder, Side::Plain, &service(&index, &master)).layout().image();
    assert_eq!(image.layer_history(), plain.layer_history());
    let own = image.layer_history().iter().position(|by| by.contains("pip install")).unwrap();
    assert_eq!(image.layers()[..own], plain.layers()[..own]);
    for at in own..image.layers().len() {
        let (plain, plinth) = (plain.layer_tree(at), image.layer_tree(at));
        let sides = Sides { base: &Tree::default(), plain: &plain, plinth: &plinth, home: "root" };
        let exceptions = [Exception::Timestamps, Exception::ByteCode];
        bytecode::compare(env, BASE, compare_trees(&sides, &exceptions)).assert_equal();
    }

    let (code, out, err) = plinth(env, &builder, &["report", &at]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.lines().next().unwrap().ends_with("install steps: 3 as written"), "{out}");
    assert_eq!(unwrapped(&out).matches(REASON).count(), 2, "{out}");
    assert_no_saving(&out);
}
