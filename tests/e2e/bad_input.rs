//! Bad input: what is said, how the build ends, and what is left behind.
//!
//! Where plain pip fails, the build fails through plinth too, at the same line. Where only plinth would fail, the
//! step runs as written.

use std::time::{Duration, Instant};

use crate::bases::policy;
use crate::pip::{BASE, Case, Expect, check, wheels};
use crate::support::build::{Build, Built, Side};
use crate::support::env::{Env, e2e};
use crate::support::files::Files;
use crate::support::index::Index;
use crate::support::report::Report;
use crate::support::server::Manner;
use crate::support::wheel::{Made, Wheel};

fn install(index: &Index, what: &str) -> Files {
    Files::dockerfile(&format!(
        "FROM {BASE}\nWORKDIR /app\nRUN pip install --no-cache-dir --retries 0 --timeout 5 -i {} {what}\nCMD [\"x\"]\n",
        index.url()
    ))
}

fn run(env: &Env, side: Side, files: &Files) -> Built {
    Build::new(env, side, files.path()).layout().run()
}

/// A failure on both sides that points at the same line and has pip's own words.
#[track_caller]
fn both_fail(env: &Env, files: &Files, words: &[&str]) {
    for side in Side::BOTH {
        let built = run(env, side, files);
        let error = built.error();
        assert!(error.contains("Dockerfile:3"), "{side:?} doesn't show the line:\n{error}");
        assert!(error.contains(">>> RUN pip install"), "{side:?} has no excerpt:\n{error}");
        assert!(
            words.iter().any(|word| built.stderr.contains(word)),
            "{side:?} says none of {words:?}:\n{}",
            built.stderr
        );
    }
}

/// After whatever went wrong, the builder still builds.
fn still_builds(env: &Env) {
    let index = Index::of(&wheels());
    let built = run(env, Side::Plinth, &install(&index, "beta")).ok();
    assert!(
        built
            .layout()
            .image()
            .tree()
            .get("/usr/local/lib/python3.11/site-packages/beta/__init__.py")
            .is_some()
    );
}

#[test]
fn a_policy_that_does_not_parse() {
    let env = e2e!();
    let files = Files::dockerfile("FROM python:3.11-slim\nRUN true\n")
        .with("plinth.toml", "version = 1\n\n[[base]]\nname = \"a\"\nreplaces = [\"x\"\n");
    let error = run(env, Side::Plinth, &files).error();
    assert!(error.contains("plinth.toml"), "{error}");
    assert!(error.contains('5') || error.contains('6'), "the line isn't named:\n{error}");
}

#[test]
fn a_policy_with_a_key_nobody_knows() {
    let env = e2e!();
    let text = policy(env, "python:3.11*") + "replace = [\"typo\"]\n";
    let files = Files::dockerfile("FROM python:3.11-slim\nRUN true\n").with("plinth.toml", text);
    let error = run(env, Side::Plinth, &files).error();
    assert!(error.contains("plinth.toml") && error.contains("replace"), "{error}");
}

/// A master that can't be had keeps the build from starting, or keeps the base: never something in between.
#[test]
fn a_policy_that_names_an_image_that_is_not_there() {
    let env = e2e!();
    let image = format!("{}/bases/not-there:1", env.registry);
    let text = format!(
        "version = 1\n[[base]]\nname = \"gone\"\nimage = \"{image}\"\nreplaces = [\"python:3.11*\"]\n"
    );
    let dockerfile = "FROM python:3.11-slim\nRUN true\n";
    let files = Files::dockerfile(dockerfile).with("plinth.toml", text);
    let built = run(env, Side::Plinth, &files);
    if built.code == Some(0) {
        let report = Report::of_build(&built).expect("a refusal is reported");
        assert_eq!(report.bases()[0].1, "refused");
        assert!(report.reasons().join("\n").contains("not-there"), "{}", report.json());
        assert!(
            built.progress.warnings.iter().any(|w| w.lines.iter().any(|(line, _)| *line == 1)),
            "no warning on the FROM line"
        );
        let plain = Build::new(env, Side::Plain, Files::dockerfile(dockerfile).path()).image();
        assert_eq!(built.layout().image().layers()[..2], plain.layers()[..2]);
    } else {
        let error = built.error();
        assert!(error.contains("not-there"), "{error}");
    }
}

#[test]
fn requirements_that_do_not_resolve() {
    let env = e2e!();
    let index = Index::of(&wheels());
    both_fail(env, &install(&index, "alpha==7.0"), &["No matching distribution found for alpha==7.0"]);
    both_fail(
        env,
        &install(&index, "beta==1.0 'beta>1.4'"),
        &["ResolutionImpossible", "conflicting", "Double requirement"],
    );
    both_fail(
        env,
        &install(&index, "no-such-project"),
        &["No matching distribution found for no-such-project"],
    );
    both_fail(env, &install(&index, "'beta=='"), &["No matching distribution found for beta=="]);
    both_fail(env, &install(&index, "-r missing.txt"), &["missing.txt"]);
}

/// What the index says of a wheel isn't what it hands out.
#[test]
fn a_wheel_whose_hash_differs() {
    let env = e2e!();
    let wheel = Wheel::simple("victim", "1.0").make();
    let index = Index::of(std::slice::from_ref(&wheel));
    let other = Wheel::simple("victim", "1.0").file("victim/evil.py", "EVIL = 1\n").make();
    index.server.put(&Index::path(&wheel), crate::support::server::Answer::file(&other.bytes));
    both_fail(env, &install(&index, "victim"), &["DO NOT MATCH THE HASHES", "HASH"]);
    still_builds(env);
}

/// Wheels that no installer should trust. What pip makes of each is what the build gives; plinth never assembles it.
fn suspicious() -> Vec<(&'static str, Made)> {
    let site = "victim/__init__.py";
    let bomb = vec![0_u8; 300 << 20];
    vec![
        ("a RECORD that lies", Wheel::simple("victim", "1.0").lying().make()),
        (
            "a RECORD with another size",
            Wheel::simple("victim", "1.0")
                .record_says(site, "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0")
                .make(),
        ),
        (
            "a RECORD of a file that isn't there",
            Wheel::simple("victim", "1.0")
                .record_says("victim/gone.py", "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0")
                .make(),
        ),
        (
            "a way out by ..",
            Wheel::simple("victim", "1.0").file("../../../../../escaped.py", "OUT = 1\n").make(),
        ),
        (
            "a way out within the prefix",
            Wheel::simple("victim", "1.0").file("../escaped.py", "OUT = 1\n").make(),
        ),
        ("an absolute name", Wheel::simple("victim", "1.0").file("/escaped.py", "OUT = 1\n").make()),
        ("one name twice", Wheel::simple("victim", "1.0").file(site, "VERSION = 'second'\n").make()),
        ("a symbolic link", Wheel::simple("victim", "1.0").symlink("victim/link", "/etc/passwd").make()),
        (
            "a file where a directory must be",
            Wheel::simple("victim", "1.0").file("victim/a", "").file("victim/a/b.py", "").make(),
        ),
        ("no end of zeros", Wheel::simple("victim", "1.0").file("victim/zeros.bin", bomb).make()),
        ("another name inside", {
            let mut made = Wheel::simple("other", "1.0").make();
            (made.project, made.file) = ("victim".to_owned(), "victim-1.0-py3-none-any.whl".to_owned());
            made
        }),
        ("half an archive", {
            let mut made = Wheel::simple("victim", "1.0").make();
            made.bytes.truncate(made.bytes.len() / 2);
            made
        }),
    ]
}

#[test]
fn wheels_that_lie() {
    let env = e2e!();
    for (what, wheel) in suspicious() {
        let index = Index::of(&[wheel]);
        let files = install(&index, "victim");
        let [plain, plinth] = Side::BOTH.map(|side| run(env, side, &files));
        assert_eq!(
            plinth.code, plain.code,
            "{what}: plain and plinth end differently\n{}\n{}",
            plain.stderr, plinth.stderr
        );
        if plain.code != Some(0) {
            assert!(plinth.error().contains("Dockerfile:3"), "{what}: {}", plinth.stderr);
            continue;
        }
        let treatments = Report::of_build(&plinth).map(|r| r.treatments()).unwrap_or_default();
        if !matches!(what, "a RECORD of a file that isn't there" | "no end of zeros") {
            assert!(treatments.iter().all(|t| t == "as_written"), "{what}: {treatments:?}");
        }
        let (plain, plinth) = (plain.layout().image(), plinth.layout().image());
        let found = crate::pip::compare(env, &plain, &plinth, &crate::pip::before(env, &files));
        assert!(found.differences.is_empty(), "{what}: {:?}", found.differences);
        for tree in [plain.tree(), plinth.tree()] {
            let escaped = tree.get("/escaped.py").is_some()
                || tree.get("/usr/local/lib/python3.11/escaped.py").is_some();
            assert!(!escaped, "{what}: a file outside of site-packages");
        }
    }
    still_builds(env);
}

/// A wheel that unpacks without end fills no disk and stops within the time that pip itself takes.
#[test]
fn an_index_that_hangs() {
    let env = e2e!();
    let index = Index::of(&wheels());
    index.server.all("/", Manner::Hangs);
    let started = Instant::now();
    both_fail(env, &install(&index, "beta"), &["No matching distribution", "timed out", "Read timed out"]);
    assert!(started.elapsed() < Duration::from_secs(200), "it took {:?}", started.elapsed());
    still_builds(env);
}

#[test]
fn an_index_that_breaks_off() {
    let env = e2e!();
    let index = Index::of(&wheels());
    index.server.all(".whl", Manner::BreaksOff);
    both_fail(
        env,
        &install(&index, "beta"),
        &["IncompleteRead", "Connection broken", "HASH", "ProtocolError", "not a zip"],
    );
    still_builds(env);
}

/// A wheel that was there when it was resolved and isn't any more: resolved again, then as written.
#[test]
fn a_wheel_that_has_gone() {
    let env = e2e!();
    let old = Wheel::simple("moving", "1.0").make();
    let new = Wheel::simple("moving", "1.1").make();
    let index = Index::of(std::slice::from_ref(&old));
    let files = install(&index, "moving");
    let first = run(env, Side::Plinth, &files).ok();
    assert!(
        first
            .layout()
            .image()
            .tree()
            .get("/usr/local/lib/python3.11/site-packages/moving-1.0.dist-info/RECORD")
            .is_some()
    );
    // The base changes, so the payloads have to be put together again, from a resolution that may be cached.
    index.server.remove(&Index::path(&old));
    index.publish(std::slice::from_ref(&new));
    let builder = crate::support::builder::Builder::start(env, &[]);
    let second = Build::new(env, Side::Plinth, files.path()).on(&builder.host).layout().run().ok();
    assert!(
        second
            .layout()
            .image()
            .tree()
            .get("/usr/local/lib/python3.11/site-packages/moving-1.1.dist-info/RECORD")
            .is_some()
    );
    // Still named by the index, but gone: pip fails, and so does the build, at the line of the step.
    index.server.remove(&Index::path(&new));
    let third = crate::support::builder::Builder::start(env, &[]);
    let built = Build::new(env, Side::Plinth, files.path()).on(&third.host).layout().run();
    assert!(built.error().contains("Dockerfile:3"), "{}", built.stderr);
    assert!(built.stderr.contains("404"), "{}", built.stderr);
}

/// A policy of the builder that denies http sources: fetched by the step's own means, or as written; equal either way.
#[test]
fn a_source_policy_that_denies_http() {
    let env = e2e!();
    let index = Index::of(&wheels());
    let files = install(&index, "alpha").with(
        "policy.json",
        r#"{"rules": [{"action": "DENY", "selector": {"identifier": "http://*", "matchType": "WILDCARD"}}, {"action": "DENY", "selector": {"identifier": "https://*", "matchType": "WILDCARD"}}]}"#,
    );
    let [plain, plinth] = Side::BOTH.map(|side| {
        Build::new(env, side, files.path())
            .flag("--source-policy-file", files.join("policy.json"))
            .layout()
            .run()
            .ok()
            .layout()
            .image()
    });
    crate::pip::compare(env, &plain, &plinth, &crate::pip::before(env, &files)).assert_equal();
}

/// A definition that doesn't fit into a message: the error is the builder's own, and the builder lives.
#[test]
fn a_definition_over_the_message_limit() {
    let env = e2e!();
    let mut text = format!("FROM {BASE}\n");
    let filler = "x".repeat(120_000);
    for i in 0..150 {
        text.push_str(&format!("RUN : {i} {filler}\n"));
    }
    let files = Files::dockerfile(&text);
    let codes = Side::BOTH.map(|side| Build::new(env, side, files.path()).run());
    let [plain, plinth] = codes;
    assert!(matches!(plinth.code, Some(0 | 1)), "{}", plinth.stderr);
    if plain.code == Some(1) {
        assert_eq!(plinth.code, Some(1), "{}", plinth.stderr);
    }
    if plinth.code == Some(1) {
        assert!(plinth.error().len() > 20, "an error that says nothing: {}", plinth.stderr);
    }
    still_builds(env);
}

/// Requirements of a size that nobody writes.
#[test]
fn requirements_without_end() {
    let env = e2e!();
    let index = Index::of(&wheels());
    let lines = "beta>=1\n".repeat(20_000) + "# end\n";
    let loops = [("a.txt", "-r b.txt\n"), ("b.txt", "-r a.txt\nbeta\n")];
    let body = "COPY r.txt a.txt b.txt /\nRUN pip install --no-cache-dir -i @INDEX@ beta";
    check(
        env,
        &index,
        &Case { body, files: &[("r.txt", &lines), loops[0], loops[1]], expect: Expect::Either, check: "" },
    );
    let files = Files::dockerfile(&format!(
        "FROM {BASE}\nCOPY . /\nRUN pip install --no-cache-dir -i {} -r /a.txt\n",
        index.url()
    ))
    .with("a.txt", loops[0].1)
    .with("b.txt", loops[1].1);
    let [plain, plinth] = Side::BOTH.map(|side| run(env, side, &files));
    assert_eq!(plinth.code, plain.code, "files that include each other\n{}\n{}", plain.stderr, plinth.stderr);
}
