//! Installs for a platform that the builder can't run, with a lock for it: what is put together is what pip does with the
//! same files where it can be run.
//!
//! The images are CPython's own builds for both platforms (`hack/pythons/build`). That for arm64 is real and never starts:
//! no builder here runs arm64.

use std::collections::BTreeSet;

use plinth_layers::pip::normalized;

use crate::pip::wheels;
use crate::support::build::{Build, Built, Side};
use crate::support::bytecode;
use crate::support::compare::{Exception, Sides, compare_trees};
use crate::support::env::{Env, e2e};
use crate::support::files::Files;
use crate::support::index::Index;
use crate::support::report::Report;
use crate::support::tree::Tree;
use crate::support::wheel::{Made, Wheel};

/// CPython as its own build installs it, for amd64 and arm64.
pub(crate) const BUILT: &str = "python-built:3.11";

/// Whether the images of `hack/pythons/build` are there.
pub(crate) fn built_pythons() -> bool {
    let there = std::env::var("PLINTH_E2E_PYTHONS").as_deref() == Ok("1");
    if !there {
        eprintln!("skipped: it needs the images of hack/pythons/build, and PLINTH_E2E_PYTHONS=1");
    }
    there
}

/// A lock for these wheels: `sets` are requirements, and versions other than the shared ones, which are the last ones of
/// `wheels`.
pub(crate) fn lock(platform: &str, index: &Index, wheels: &[Made], sets: &[(&[&str], &[&str])]) -> String {
    let mut text = format!("version = 3\nplatform = \"{platform}\"\nindex = \"{}\"\n", index.url());
    let version = |wheel: &Made| wheel.file.split('-').nth(1).unwrap().to_owned();
    for (number, wheel) in wheels.iter().enumerate() {
        let (project, version) = (&wheel.project, version(wheel));
        let apart = wheels[number + 1..].iter().any(|other| other.project == *project);
        let url = format!("{}{}", index.server.url(), Index::path(wheel));
        let metadata = String::from_utf8(wheel.metadata.clone()).unwrap();
        let all = |key: &str| -> Vec<String> {
            metadata.lines().filter_map(|line| Some(line.strip_prefix(key)?.trim().to_owned())).collect()
        };
        text.push_str(&format!(
            "[[package]]\npython = \"3.11\"\nname = \"{project}\"\nversion = \"{version}\"\nurl = \"{url}\"\n\
             sha256 = \"{}\"\napart = {apart}\n[package.needs]\nname = {:?}\nrequires = {:?}\nextras = {:?}\n",
            wheel.sha256(),
            all("Name:")[0],
            all("Requires-Dist:"),
            all("Provides-Extra:"),
        ));
        if let Some(python) = all("Requires-Python:").first() {
            text.push_str(&format!("python = {python:?}\n"));
        }
    }
    for (number, (requirements, versions)) in sets.iter().enumerate() {
        let requirements: Vec<String> = requirements.iter().map(|text| normalized(text).unwrap()).collect();
        text.push_str(&format!(
            "[[set]]\npython = \"3.11\"\nservices = [\"s{number}\"]\nrequirements = {requirements:?}\nversions = {versions:?}\n"
        ));
    }
    text
}

const ARM64: &str = "aarch64-manylinux_2_36";

fn policy(lock: &str) -> Files {
    Files::new().with("plinth.toml", "version = 1\n").with("plinth.linux-arm64.lock", lock)
}

fn through_plinth(env: &Env, files: &Files, policy: &Files, platform: &str) -> Built {
    let build = Build::new(env, Side::Plinth, files.path()).context("plinth", policy.path());
    build.opt("platform", platform).layout().run()
}

/// The wheels of the other tests, and one with code for each platform.
fn all_wheels(arm64: bool) -> Vec<Made> {
    let (tag, code) = match arm64 {
        true => ("cp311-cp311-manylinux_2_17_aarch64.manylinux2014_aarch64", "ELF of aarch64"),
        false => ("cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64", "ELF of x86_64"),
    };
    let native = Wheel::simple("native", "1.0")
        .only_for(tag)
        .file("native/speed.so", code)
        .metadata("Requires-Dist: alpha")
        .metadata("Requires-Dist: beta; platform_machine == \"aarch64\"")
        .metadata("Requires-Dist: gamma; platform_machine == \"x86_64\"")
        .make();
    let usual = wheels().into_iter().filter(|wheel| !wheel.file.contains("2.0rc1"));
    usual.filter(|wheel| !wheel.file.contains("gamma-3")).chain([native]).collect()
}

/// What the constraints of a set come to.
fn constraints(wheels: &[Made], versions: &[&str]) -> String {
    let pin = |wheel: &Made| format!("{}=={}", wheel.project, wheel.file.split('-').nth(1).unwrap());
    let mut pins: std::collections::BTreeMap<String, String> = Default::default();
    for pinned in wheels.iter().map(pin).chain(versions.iter().map(|pin| (*pin).to_owned())) {
        pins.insert(pinned.split('=').next().unwrap().to_owned(), pinned.clone());
    }
    pins.into_values().map(|pin| pin + "\n").collect()
}

/// The tree of `base` with what a build made of another base: what the same steps would make of this one.
fn moved(base: &Tree, other_base: &Tree, made: &Tree) -> Tree {
    let mut tree = base.clone();
    for (path, node) in &made.nodes {
        // Byte code of a module that only the other platform has.
        if path.contains("_sysconfigdata_") {
            continue;
        }
        if other_base.nodes.get(path) != Some(node) {
            tree.nodes.insert(path.clone(), node.clone());
        }
    }
    for path in other_base.nodes.keys().filter(|path| !made.nodes.contains_key(*path)) {
        tree.nodes.remove(path);
    }
    tree
}

/// Nothing of arm64 has run, and nothing of it could.
#[track_caller]
fn nothing_ran(built: &Built) {
    let runs: Vec<_> = built.progress.vertices().filter(|v| v.started && v.name.contains("RUN")).collect();
    let names: Vec<_> = runs.iter().map(|v| &v.name).filter(|name| !name.contains("amd64")).collect();
    // The merge that stands for a step has its name; it runs nothing, or this build could not have succeeded: the kernel
    // starts no program of the image.
    assert!(runs.iter().all(|v| v.error.is_empty()), "{names:?}");
}

/// Builds for arm64 through plinth, and for amd64 plain with the lock's versions as constraints, and compares what is
/// made. `own` are paths that differ by platform.
#[track_caller]
fn same_as_here(
    env: &Env,
    body: &str,
    files: &[(&str, &str)],
    sets: &[(&[&str], &[&str])],
    own: &[&str],
) -> Vec<String> {
    let (here, abroad) = (all_wheels(false), all_wheels(true));
    let index = Index::of(&abroad);
    index.publish(&[here.clone(), abroad.clone()].concat());
    let body = body.replace("@INDEX@", &index.url());
    let text = format!("FROM {BUILT}\nWORKDIR /app\nCOPY . ./\n{body}\n");
    let context = Files::dockerfile(&text).with("none.in", "");
    files.iter().for_each(|(name, text)| context.write(name, text));
    context.write(".dockerignore", "*Dockerfile\n.dockerignore\nc.txt\n");
    let lock = lock(ARM64, &index, &abroad, sets);
    let plinth = through_plinth(env, &context, &policy(&lock), "linux/arm64").ok();
    let report = Report::of_build(&plinth).unwrap();
    assert!(report.treatments().iter().all(|t| t == "assembled"), "{}", report.json());
    assert!(report.steps().iter().all(|step| step["locked"] == true), "{}", report.json());
    nothing_ran(&plinth);

    // Each RUN with the constraints of its own set.
    let mut constrained = String::new();
    let mut number = 0;
    for line in text.lines() {
        match line.strip_prefix("RUN ") {
            Some(rest) => {
                let file = format!("c{number}.txt");
                constrained.push_str(&format!(
                    "RUN --mount=type=bind,from=constraints,source={file},target=/c.txt PIP_CONSTRAINT=/c.txt {rest}\n"
                ));
                number += 1;
            }
            None => constrained.push_str(&format!("{line}\n")),
        }
    }
    let mut stage = "FROM scratch AS constraints\n".to_owned();
    for (number, (_, versions)) in sets.iter().enumerate() {
        let pins = constraints(&here, versions);
        stage.push_str(&format!("COPY <<PINS /c{number}.txt\n{pins}PINS\n"));
    }
    context.write("Dockerfile", format!("{stage}{constrained}"));
    let plain = Build::new(env, Side::Plain, context.path()).layout().run().ok().layout().image();

    let before: String =
        text.lines().take_while(|line| !line.starts_with("RUN")).map(|l| format!("{l}\n")).collect();
    context.write("Dockerfile", &before);
    let tree = |platform: &str| {
        let build = Build::new(env, Side::Plain, context.path()).opt("platform", platform);
        build.layout().run().ok().layout().image().tree()
    };
    let (base_here, base_abroad) = (tree("linux/amd64"), tree("linux/arm64"));
    let mut expected = moved(&base_abroad, &base_here, &plain.tree());
    let made = plinth.layout().image();
    let mut found = made.tree();
    for path in own {
        assert!(found.nodes.contains_key(*path), "{path}");
        expected.nodes.remove(*path);
        found.nodes.remove(*path);
    }
    let sides = Sides { base: &base_abroad, plain: &expected, plinth: &found, home: "root" };
    let comparison = compare_trees(&sides, &Exception::ALL);
    bytecode::compare(env, BUILT, comparison).assert_equal();
    let new: BTreeSet<&String> =
        found.nodes.keys().filter(|path| !base_abroad.nodes.contains_key(*path)).collect();
    assert!(new.iter().any(|path| path.ends_with("__init__.cpython-311.pyc")), "{new:?}");
    made.diff_ids()
}

/// Does the builder itself run arm64? Then nothing of this is asked.
fn runs_arm64(env: &Env) -> bool {
    let out = std::process::Command::new("buildctl")
        .args(["--addr", &env.host, "debug", "workers", "--format", "{{json .}}"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&out.stdout).contains("\"architecture\":\"arm64\"")
}

macro_rules! foreign {
    () => {{
        let env = e2e!();
        if env.frontend.is_none() || !built_pythons() || runs_arm64(env) {
            return;
        }
        env
    }};
}

#[test]
fn pure_packages_are_those_of_pip_here() {
    let env = foreign!();
    same_as_here(
        env,
        "RUN pip install --no-cache-dir -i @INDEX@ -r r.in",
        &[(
            "r.in",
            "# web\nAlpha[fast]\nns-one\nns-two  # shares a directory\ndatafull\nmixed-case.name\nbeta ; python_version < \"3\"\n",
        )],
        &[(
            &[
                "alpha[fast]",
                "beta; python_full_version < '3'",
                "datafull",
                "mixed-case-name",
                "ns-one",
                "ns-two",
            ],
            &[],
        )],
        &[],
    );
}

#[test]
fn code_for_the_platform_comes_from_its_wheels() {
    let env = foreign!();
    let site = "usr/local/lib/python3.11/site-packages";
    let own = [
        format!("{site}/native/speed.so"),
        format!("{site}/native-1.0.dist-info/WHEEL"),
        format!("{site}/native-1.0.dist-info/RECORD"),
        // On amd64 it needs another one.
    ];
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    same_as_here(
        env,
        "RUN python -m pip install --no-cache-dir --index-url=@INDEX@ native beta gamma",
        &[],
        &[(&["beta", "gamma", "native"], &[])],
        &own,
    );
}

#[test]
fn an_older_version_is_replaced() {
    let env = foreign!();
    same_as_here(
        env,
        "RUN pip install --no-cache-dir -i @INDEX@ 'alpha<2' 'beta==1.0'\nRUN python3 -m pip install --no-cache-dir -i @INDEX@ alpha beta datafull",
        &[],
        &[(&["alpha<2", "beta==1.0"], &["alpha==1.0", "beta==1.0"]), (&["alpha", "beta", "datafull"], &[])],
        &[],
    );
}

/// One build for both platforms: the layers of pure packages are the same.
#[test]
fn both_platforms_share_what_is_pure() {
    let env = foreign!();
    let wheels = all_wheels(true);
    let index = Index::of(&wheels);
    let sets: &[(&[&str], &[&str])] = &[(&["big"], &[])];
    let module = (0..2_000).map(|i| format!("def f{i}():\n    return {i}\n")).collect::<String>();
    let big = [Wheel::simple("big", "1.0").file("big/big.py", module).make()];
    index.publish(&big);
    let policy = policy(&lock(ARM64, &index, &big, sets))
        .with("plinth.lock", lock("x86_64-manylinux_2_36", &index, &big, sets));
    // The root of the base for amd64 has no /dev, which a RUN would leave behind.
    let files = Files::dockerfile(&format!(
        "FROM {BUILT}\nWORKDIR /dev\nWORKDIR /\nRUN pip install --no-cache-dir -i {} big\n",
        index.url()
    ));
    let images = through_plinth(env, &files, &policy, "linux/amd64,linux/arm64").ok().layout().images();
    let layers = |number: usize| {
        let notes = images[number].layer_history();
        let at = notes.iter().position(|note| note == "plinth: big 1.0");
        (at.map(|at| images[number].layers()[at].clone()), notes)
    };
    let (here, abroad) = (layers(0), layers(1));
    assert!(here.0.is_some(), "{:?}", here.1);
    assert_eq!(here.0, abroad.0, "{:?}", abroad.1);
}

/// Whatever isn't known stays as it is written, and so fails where nothing runs it.
#[test]
fn what_is_not_known_is_left_as_written() {
    let env = foreign!();
    let wheels = all_wheels(true);
    let index = Index::of(&wheels);
    let install = format!("RUN pip install --no-cache-dir -i {} beta\n", index.url());
    let good = lock(ARM64, &index, &wheels, &[(&["beta"], &[]), (&["native"], &[])]);
    let site = "/usr/local/lib/python3.11/site-packages";
    let reason = |body: &str, lock: &str, from: &str| {
        let files = Files::dockerfile(&format!("FROM {from}\n{body}"));
        let policy = policy(lock);
        let build = Build::new(env, Side::Plinth, files.path()).context("plinth", policy.path());
        let build = build.opt("platform", "linux/arm64");
        let built = build.opt("requestid", "plinth.explain").opt("plinth.format", "json").run().ok();
        let text = built.stdout.trim_start().trim_start_matches("result.json").trim();
        let answer: serde_json::Value = serde_json::from_str(text).unwrap();
        let step = answer["platforms"][0]["steps"].as_array().unwrap().last().unwrap().clone();
        let ran: Vec<_> =
            built.progress.vertices().filter(|v| v.started && v.name.contains("RUN pip")).collect();
        assert!(ran.is_empty() || step["treatment"] == "assembled", "{ran:?}");
        match step["treatment"].as_str().unwrap() {
            "as_written" => step["reason"].as_str().unwrap().to_owned(),
            other => other.to_owned(),
        }
    };
    assert_eq!(reason(&install, &good, BUILT), "assembled");
    let file = |path: &str, text: &str| format!("COPY <<TEXT {path}\n{text}\nTEXT\n{install}");
    for (body, why) in [
        (file("/etc/pip.conf", "[global]\ntarget = /x"), "/etc/pip.conf says `target`"),
        (file("/root/.config/pip/pip.conf", "[global]"), "there is /root/.config/pip/pip.conf"),
        (file("/root/.netrc", ""), "there is /root/.netrc"),
        (file("/usr/local/pyvenv.cfg", "home = /x"), "there is /usr/local/pyvenv.cfg"),
        (file(&format!("{site}/x.pth"), "import x"), "x.pth, which would run first"),
        (file(&format!("{site}/sitecustomize.py"), ""), "sitecustomize.py, which would run first"),
        (
            file(&format!("{site}/x.egg-info"), ""),
            "x.egg-info is an installed distribution of an unusual form",
        ),
        (file("/usr/local/bin/json.py", ""), "/usr/local/bin/json.py goes before a module of that name"),
        (file("/usr/local/lib/python3.11/EXTERNALLY-MANAGED", ""), "EXTERNALLY-MANAGED"),
        (file("/root/.local/lib/python3.11/x", ""), "there is /root/.local/lib/python3.11"),
        (format!("ENV PIP_EXTRA_INDEX_URL=http://x/\n{install}"), "PIP_EXTRA_INDEX_URL"),
        (format!("ENV PYTHONPATH=/x\n{install}"), "PYTHONPATH"),
        (format!("ENV PIP_TRUSTED_HOST=x\n{install}"), "reaches the index in its own way"),
        (install.replace("-i ", "-i http://127.0.0.1:1/x/ -f "), "option --find-links"),
        (install.replace(&index.url(), "http://127.0.0.1:1/"), "its index isn't the lock's"),
        (install.replace("install ", "install -U "), "option --upgrade"),
        (install.replace("beta", "alpha"), "the lock doesn't cover `alpha`"),
        (install.replace("beta", "'beta>1'"), "the lock doesn't cover `beta>1`"),
        (
            install
                .replace("pip install --no-cache-dir -i", "uv pip install --system --no-cache --index-url"),
            "uv, for a platform",
        ),
    ] {
        let said = reason(&body, &good, BUILT);
        assert!(said.contains(why), "{why}: {said}");
    }
    for (lock, why) in [
        (
            lock("aarch64-manylinux_2_28", &index, &wheels, &[(&["beta"], &[])]),
            "its glibc is 2.36, the lock is for",
        ),
        (
            good.replace("name = \"beta\"\nrequires = []", "name = \"beta\"\nrequires = [\"nobody\"]"),
            "the lock has no nobody",
        ),
    ] {
        let said = reason(&install, &lock, BUILT);
        assert!(said.contains(why), "{why}: {said}");
    }
    // An image for arm64 alone: nothing compiles for it.
    let alone = format!("{}/e2e/foreign-alone:3.11", env.registry);
    let files = Files::dockerfile(&format!("FROM {BUILT}\nENV ALONE=1\n"));
    Build::new(env, Side::Plain, files.path()).opt("platform", "linux/arm64").push(&alone).run().ok();
    let said = reason(&install, &good, &alone);
    assert!(said.contains("no image for this machine has Python 3.11.2"), "{said}");
    // The lock names an image that does.
    let files = Files::dockerfile(&format!("FROM {BUILT}\n"));
    let digest = Build::new(env, Side::Plain, files.path())
        .push(&format!("{}/e2e/foreign-compiler:3.11", env.registry))
        .run()
        .ok()
        .digest();
    let compiler = format!("compilers = [\"{}/e2e/foreign-compiler:3.11@{digest}\"]\n", env.registry);
    let named = good.replacen("[[package]]", &format!("{compiler}[[package]]"), 1);
    assert_eq!(reason(&install, &named, &alone), "assembled");
}
