//! A base on musl, as `python:3.11-alpine` is: CPython built for it, on busybox (`hack/pythons/build`). What plinth puts
//! together there is what pip leaves, and a lock for glibc gives its versions at most, never its wheels.

use sha2::Digest as _;

use crate::foreign_lock::{built_pythons, lock};
use crate::pip::{before, compare, same_config};
use crate::support::build::{Build, Side};
use crate::support::env::{Env, e2e};
use crate::support::files::Files;
use crate::support::index::Index;
use crate::support::report::Report;
use crate::support::wheel::{Made, Wheel};

const BASE: &str = "python-musl:3.11";

/// The code of a distribution that has wheels for both libraries.
const CODE: &str = "usr/local/lib/python3.11/site-packages/speedy/code.so";

fn speedy(tag: &'static str) -> Made {
    Wheel::simple("speedy", "1.0")
        .only_for(tag)
        .file("speedy/code.so", tag)
        .metadata("Requires-Dist: calm")
        .make()
}

const MUSL: &str = "cp311-cp311-musllinux_1_2_x86_64";
const GLIBC: &str = "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64";

fn calm(version: &str) -> Made {
    Wheel::simple("calm", version)
        .script("calm-tool", "calm:where")
        .data("data/share/calm.txt", "calm\n")
        .data_script("calm-script", "#!python\nimport calm\n")
        .make()
}

/// Builds plain, with these constraints, and through plinth, with this policy. The code is that for musl.
#[track_caller]
fn same(env: &Env, index: &Index, constraints: &str, policy: Option<&Files>) -> Report {
    let text = |prefix: &str| {
        format!(
            "FROM {BASE}\nRUN {prefix}pip install --no-cache-dir -i {} speedy\nENV AFTER=1\n",
            index.url()
        )
    };
    let plain =
        Files::dockerfile(&text("--mount=type=bind,source=c.txt,target=/c.txt PIP_CONSTRAINT=/c.txt "))
            .with("c.txt", constraints);
    let plain = Build::new(env, Side::Plain, plain.path()).layout().run().ok().layout().image();
    let files = Files::dockerfile(&text(""));
    let build = Build::new(env, Side::Plinth, files.path());
    let build = match policy {
        Some(policy) => build.context("plinth", policy.path()),
        None => build,
    };
    let built = build.layout().run().ok();
    let report = Report::of_build(&built);
    let plinth = built.layout().image();
    same_config(&plain, &plinth);
    compare(env, &plain, &plinth, &before(env, &files)).assert_equal();
    let code = hex::encode(sha2::Sha256::digest(MUSL));
    assert_eq!(plinth.tree().get(CODE).unwrap().sha256, code, "the wheel for musl");
    report.unwrap()
}

macro_rules! musl {
    () => {{
        let env = e2e!();
        if env.frontend.is_none() || !built_pythons() {
            return;
        }
        env
    }};
}

#[test]
fn an_install_on_musl_is_assembled() {
    let env = musl!();
    let index = Index::of(&[speedy(MUSL), speedy(GLIBC), calm("1.0"), calm("2.0")]);
    let report = same(env, &index, "", None);
    assert_eq!(report.treatments(), ["assembled"]);
}

/// Its versions are constraints, as `PIP_CONSTRAINT` has them; which wheel that is, the index says.
#[test]
fn no_wheel_of_a_lock_for_glibc_is_taken() {
    let env = musl!();
    let index = Index::of(&[speedy(MUSL), speedy(GLIBC), calm("1.0"), calm("2.0")]);
    let lock = lock("x86_64-manylinux_2_36", &index, &[speedy(GLIBC), calm("1.0")], &[(&["speedy"], &[])]);
    let policy = Files::new().with("plinth.toml", "version = 1\n").with("plinth.lock", lock);
    let report = same(env, &index, "speedy==1.0\ncalm==1.0\n", Some(&policy));
    assert_eq!(report.treatments(), ["assembled"]);
    assert_eq!(report.steps()[0]["locked"], true, "{}", report.json());
}
