//! Layers of several wheels, as a fleet's lock has them: the same layer in every service that has all of its wheels, and
//! the image that plain pip makes.

use std::path::Path;

use crate::pip::{BASE, before, compare};
use crate::support::build::{Build, Built, Side};
use crate::support::env::{Env, e2e};
use crate::support::files::Files;
use crate::support::image::Image;
use crate::support::index::Index;
use crate::support::report::Report;
use crate::support::wheel::{Made, Wheel};

/// Wheels of which each is big enough for a layer of its own; all of them write into the same directory. What `text` says
/// is in them.
pub(crate) fn wheels_with(text: &str) -> Vec<Made> {
    let big = |name: &str| {
        let module = (0..2_000).map(|i| format!("def f{i}():\n    return {i}\n")).collect::<String>();
        Wheel::simple(name, "1.0")
            .file(&format!("{name}/big.py"), module)
            .file(&format!("together/{name}.py"), format!("NAME = '{name} {text}'\n"))
            .script(&format!("{name}-tool"), &format!("{name}.big:f0"))
            .make()
    };
    vec![big("one"), big("two"), big("three")]
}

fn wheels() -> Vec<Made> {
    wheels_with("")
}

/// A lock in which `one` and `two` share a layer, with these versions of what is asked for.
pub(crate) fn lock(wheels: &[Made]) -> String {
    let mut text = String::from("version = 3\nplatform = \"x86_64-manylinux_2_36\"\n");
    for wheel in wheels {
        let name = &wheel.project;
        let sha256 = wheel.sha256();
        text.push_str(&format!(
            "[[package]]\npython = \"3.11\"\nname = \"{name}\"\nversion = \"1.0\"\nurl = \"https://h/{name}.whl\"\nsha256 = \"{sha256}\"\n"
        ));
    }
    text.push_str("[[layer]]\npython = \"3.11\"\npackages = [\"one==1.0\", \"two==1.0\"]\n");
    text.push_str("[[layer]]\npython = \"3.11\"\npackages = [\"three==1.0\"]\n");
    text.push_str(
        "[[set]]\npython = \"3.11\"\nservices = [\"api\"]\nrequirements = [\"one\", \"three\", \"two\"]\n",
    );
    text
}

fn policy(wheels: &[Made]) -> Files {
    Files::new().with("plinth.toml", "version = 1\n").with("plinth.lock", lock(wheels))
}

fn through_plinth(env: &Env, files: &Files, policy: &Path) -> Built {
    Build::new(env, Side::Plinth, files.path()).context("plinth", policy).layout().run().ok()
}

/// The layers that an image's history has a note for, by that note.
pub(crate) fn layer(image: &Image, note: &str) -> Option<String> {
    let place = image.layer_history().iter().position(|text| text == note)?;
    Some(image.layers()[place].clone())
}

const PAIR: &str = "plinth: one 1.0, two 1.0";

#[test]
fn a_layer_of_several_wheels_is_that_of_every_service_that_has_them() {
    let env = e2e!();
    if env.frontend.is_none() {
        return;
    }
    let wheels = wheels();
    let (index, policy) = (Index::of(&wheels), policy(&wheels));
    let service = |asked: &str| {
        let text = format!(
            "FROM {BASE}\nRUN pip install --no-cache-dir -i {} {asked}\nRUN one-tool || true\n",
            index.url()
        );
        let files = Files::dockerfile(&text);
        let plain = Build::new(env, Side::Plain, files.path()).layout().run().ok().layout().image();
        let built = through_plinth(env, &files, policy.path());
        let report = Report::of_build(&built).unwrap();
        assert_eq!(report.steps()[0]["treatment"], "assembled", "{}", report.json());
        let image = built.layout().image();
        compare(env, &plain, &image, &before(env, &files)).assert_equal();
        image
    };
    let (all, pair, others) = (service("one two three"), service("two one"), service("three two"));
    let shared = layer(&all, PAIR).expect("no layer of both");
    assert_eq!(layer(&pair, PAIR).as_ref(), Some(&shared));
    assert_eq!(layer(&pair, "plinth: one 1.0"), None);
    // What has only one of them doesn't get the other.
    assert_eq!(layer(&others, PAIR), None);
    assert!(layer(&others, "plinth: two 1.0").is_some(), "{:?}", others.layer_history());
    assert_eq!(layer(&others, "plinth: three 1.0"), layer(&all, "plinth: three 1.0"));
    // In the order of the lock.
    let notes = all.layer_history();
    let place = |note: &str| notes.iter().position(|text| text == note).unwrap();
    assert!(place(PAIR) < place("plinth: three 1.0"), "{notes:?}");
}

#[test]
fn a_copy_takes_a_layer_of_several_wheels_along_or_leaves_it() {
    let env = e2e!();
    if env.frontend.is_none() {
        return;
    }
    let wheels = wheels();
    let (index, policy) = (Index::of(&wheels), policy(&wheels));
    let build = |change: &str| {
        let text = format!(
            "FROM {BASE} AS builder\nRUN python3 -m venv /opt/venv\nENV PATH=/opt/venv/bin:$PATH\n\
             RUN pip install --no-cache-dir -i {} one two three\n{change}\
             FROM {BASE}\nCOPY --from=builder /opt/venv /opt/venv\nRUN /opt/venv/bin/one-tool || true\n",
            index.url()
        );
        let files = Files::dockerfile(&text);
        let plain = Build::new(env, Side::Plain, files.path()).layout().run().ok().layout().image();
        let built = through_plinth(env, &files, policy.path());
        let image = built.layout().image();
        compare(env, &plain, &image, &before(env, &files)).assert_equal();
        image
    };
    let whole = build("");
    assert!(layer(&whole, PAIR).is_some() && layer(&whole, "plinth: three 1.0").is_some());
    let changed = build("RUN rm /opt/venv/lib/python3.11/site-packages/two/big.py\n");
    let notes = changed.layer_history();
    assert!(layer(&changed, PAIR).is_none() && layer(&changed, "plinth: three 1.0").is_some(), "{notes:?}");
}

#[test]
fn a_broken_wheel_of_a_layer_leaves_the_step_as_it_is() {
    let env = e2e!();
    if env.frontend.is_none() {
        return;
    }
    let mut wheels = wheels();
    wheels[1] = Wheel::simple("two", "1.0").lying().make();
    let (index, policy) = (Index::of(&wheels), policy(&wheels));
    let text = format!("FROM {BASE}\nRUN pip install --no-cache-dir -i {} one two || true\n", index.url());
    let files = Files::dockerfile(&text.replace(" || true", ""));
    let built = Build::new(env, Side::Plinth, files.path()).context("plinth", policy.path()).layout().run();
    let plain = Build::new(env, Side::Plain, files.path()).layout().run();
    assert_eq!(built.code, plain.code);
    if let Some(report) = Report::of_build(&built) {
        assert_ne!(report.treatments(), ["assembled"], "{}", report.json());
    }
}
