//! Steps of apt on a master with an inventory: those with nothing to do are taken out, the others run as they are.
//!
//! The masters are made here, with the script that makes the stand-in's inventory. Their archive is a directory of
//! small packages inside the image, so that it is the same one whenever a test runs.

use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::build::{Build, Built, Side};
use crate::support::compare::{Exception, Sides, compare_trees};
use crate::support::env::{Env, e2e};
use crate::support::files::Files;
use crate::support::image::Image;
use crate::support::report::Report;

/// Makes the archive. `tool` needs `library` and recommends `extra`; `apart` stays in the archive.
const ARCHIVE: &str = r#"
set -eu
mkdir -p /repo
cd /repo
deb() {
  name=$1 version=$2
  shift 2
  mkdir -p "/tmp/$name/DEBIAN" "/tmp/$name/usr/share/$name"
  echo "$version" >"/tmp/$name/usr/share/$name/version"
  {
    printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: a <a@example.com>\n' "$name" "$version"
    for field; do echo "$field"; done
    printf 'Description: of a test\n'
  } >"/tmp/$name/DEBIAN/control"
  dpkg-deb --root-owner-group --build "/tmp/$name" "/repo/$name.deb" >/dev/null
  {
    cat "/tmp/$name/DEBIAN/control"
    printf 'Filename: ./%s.deb\nSize: %s\nSHA256: %s\n\n' "$name" "$(stat -c %s "$name.deb")" "$(sha256sum "$name.deb" | cut -d' ' -f1)"
  } >>Packages
  rm -rf "/tmp/$name"
}
deb tool 1:1.0-2 'Depends: library' 'Recommends: nothing | extra, never'
deb library 2.5
deb extra 3
deb lib++ 0.1
deb apart 4
printf 'Date: Sat, 01 Nov 2025 12:00:00 UTC\nSHA256:\n %s %s Packages\n' "$(sha256sum Packages | cut -d' ' -f1)" "$(stat -c %s Packages)" >Release
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/repo ./' >/etc/apt/sources.list.d/repo.list
"#;

const INSTALL: &str = "apt-get update && apt-get install -y";
const CLEAN: &str = "rm -rf /var/lib/apt/lists/*";
const AS_OF: &str = "of the master's inventory, as of 2025-11-01";

/// The master; made once.
pub(crate) fn master(env: &Env) -> &'static str {
    static MASTER: OnceLock<String> = OnceLock::new();
    MASTER.get_or_init(|| {
        let reference = format!("{}/e2e/apt-master:1", env.registry);
        let files = Files::new()
            .with(
                "Dockerfile",
                "FROM python:3.11-slim\nLABEL dev.plinth.inventory=1\nCOPY archive /archive\nRUN sh /archive && rm /archive\n\
                 RUN --mount=from=steps,target=/steps sh /steps/master tool lib++\n",
            )
            .with("archive", ARCHIVE);
        // As hack/images/build puts them together.
        let of_images = Path::new(env!("CARGO_MANIFEST_DIR")).join("hack/images/steps");
        let steps = Files::new().with("inventory", plinth_layers::apt::INVENTORY_PROGRAM);
        for step in std::fs::read_dir(of_images).unwrap() {
            let step = step.unwrap();
            steps.write(step.file_name().to_str().unwrap(), std::fs::read(step.path()).unwrap());
        }
        Build::new(env, Side::Plain, files.path()).context("steps", steps.path()).push(&reference).run().ok();
        reference
    })
}

/// A build through plinth of these instructions, on the master that takes the place of `python:3.11-slim`.
fn through_policy(env: &Env, instructions: &str) -> Built {
    let policy = format!(
        "version = 1\n\n[[base]]\nname = \"apt\"\nimage = \"{}\"\nreplaces = [\"python:3.11-slim\"]\n",
        master(env)
    );
    let files = Files::dockerfile(&format!("FROM python:3.11-slim AS first\n{instructions}"))
        .with("plinth.toml", policy)
        .with(".dockerignore", "plinth.toml\n");
    Build::new(env, Side::Plinth, files.path()).layout().run().ok()
}

/// The plain build of the same instructions on the same files.
fn plain(env: &Env, instructions: &str) -> Image {
    let files = Files::dockerfile(&format!("FROM {} AS first\n{instructions}", master(env)));
    Build::new(env, Side::Plain, files.path()).image()
}

/// Treatment, reason and line of each step of the report.
fn steps(built: &Built) -> Vec<(String, String, u64)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let steps = Report::of_build(built).expect("a report").steps();
    steps
        .iter()
        .map(|step| {
            (text(&step["treatment"]), text(&step["reason"]), step["line"].as_u64().unwrap_or_default())
        })
        .collect()
}

/// Compares with plain; gives what was excused beside times.
#[track_caller]
fn equal(env: &Env, image: &Image, plain: &Image) -> Vec<String> {
    let files = Files::dockerfile(&format!("FROM {}\n", master(env)));
    let base = Build::new(env, Side::Plain, files.path()).image();
    let (base, plain, plinth) = (base.tree(), plain.tree(), image.tree());
    let sides = Sides { base: &base, plain: &plain, plinth: &plinth, home: "root" };
    let compared = compare_trees(&sides, &Exception::ALL);
    compared.assert_equal();
    image.check();
    let excused = compared.excused.into_iter().filter(|(exception, ..)| *exception != Exception::Timestamps);
    excused.map(|(_, path, _)| path).collect()
}

#[test]
fn a_step_with_nothing_to_do_is_taken_out() {
    let env = e2e!();
    let both = "its 2 packages are there at the versions";
    for (script, reason) in [
        (format!("{INSTALL} tool lib++ && {CLEAN}"), both),
        (
            format!("{INSTALL} --no-install-recommends tool && apt-get clean && {CLEAN} /tmp/* /var/tmp/*"),
            "its package is there at the version",
        ),
        (format!("{INSTALL} tool lib++ && {CLEAN} && apt-get clean"), both),
        (format!("set -ex; apt update; apt install -yq lib++ tool; {CLEAN}"), both),
        (format!("DEBIAN_FRONTEND=noninteractive {INSTALL} tool=1:1.0-2 lib++ >/dev/null && {CLEAN}"), both),
        (format!("<<EOF\nset -e\napt-get update\napt-get install -y tool lib++\n{CLEAN}\nEOF"), both),
        ("[\"apt-get\", \"install\", \"-y\", \"tool\", \"lib++\"]".to_owned(), both),
        ("apt-get install -y tool python3 lib++ tool".to_owned(), "its 3 packages are there at the versions"),
    ] {
        let instructions = format!(
            "ENV DEBIAN_FRONTEND=noninteractive\nRUN {script}\nRUN cat /usr/share/tool/version >/after\n"
        );
        let built = through_policy(env, &instructions);
        assert_eq!(steps(&built), [("satisfied".to_owned(), format!("{reason} {AS_OF}"), 3)], "{script}");
        let image = built.layout().image();
        let plain = plain(env, &instructions);
        assert_eq!(image.layers().len() + 1, plain.layers().len(), "{script}");
        assert!(!image.layer_history().iter().any(|by| by.contains("apt")), "{:#?}", image.layer_history());
        let excused = equal(env, &image, &plain);
        let places = ["var/cache/apt/archives", "var/lib/apt/lists"];
        let expected = |path: &String| places.iter().any(|place| path.starts_with(place));
        assert!(excused.iter().all(expected), "{excused:?}");
        assert_eq!(image.tree().get("/after").unwrap().text().unwrap(), "1:1.0-2\n");
    }
}

/// No policy is needed: the image says that it has an inventory. What else the build has is the same as ever.
#[test]
fn a_stage_that_stands_on_the_master_itself() {
    let env = e2e!();
    let dockerfile = format!(
        "FROM {} AS build\nRUN {INSTALL} tool && {CLEAN}\nRUN {INSTALL} apart && {CLEAN} /var/log/*\n\
         RUN {INSTALL} tool lib++ && {CLEAN}\nFROM build\nRUN {INSTALL} lib++ && {CLEAN}\n",
        master(env)
    );
    let files = Files::dockerfile(&dockerfile);
    let built = Build::new(env, Side::Plinth, files.path()).layout().run().ok();
    let found = steps(&built);
    let treatments: Vec<&str> = found.iter().map(|(treatment, ..)| treatment.as_str()).collect();
    assert_eq!(treatments, ["satisfied", "as_written", "satisfied", "satisfied"]);
    assert_eq!(found[1].1, "the master's inventory doesn't list apart");
    let image = built.layout().image();
    let plain = Build::new(env, Side::Plain, files.path()).image();
    assert_eq!(image.layers().len() + 3, plain.layers().len());
    assert_eq!(equal(env, &image, &plain), [] as [String; 0], "the step that stays leaves what apt leaves");
}

/// What keeps a step: the steps before and behind it, and its own form. Its line is the last but one.
#[test]
fn a_step_that_may_have_something_to_do_runs_as_it_is() {
    let env = e2e!();
    let usual = format!("RUN {INSTALL} tool && {CLEAN}");
    let inventory = "/usr/share/plinth/inventory.json";
    let after = |before: &str| format!("RUN {before}\n{usual}\nRUN true\n");
    let own = |script: &str| format!("RUN true\nRUN {script}\nRUN true\n");
    for (instructions, reason) in [
        (own(&format!("{INSTALL} tool apart && {CLEAN}")), "the master's inventory doesn't list apart"),
        (
            after(&format!("sed -i 's/1:1.0-2/1:0.9-1/' {inventory}")),
            "tool is there at 1:1.0-2, the master's inventory has 1:0.9-1",
        ),
        (
            after(&format!("sed -i 's/\"format\": 1/\"format\": 9/' {inventory}")),
            "the master's inventory has format 9, which this release doesn't know",
        ),
        (
            after(&format!("rm {inventory}")),
            "its base has no inventory at /usr/share/plinth/inventory.json, though a label says so",
        ),
        (
            after(
                "sed -i 's/Auto-Installed: 0/Auto-Installed: 1/' /var/lib/apt/extended_states; printf 'Package: tool\\nArchitecture: all\\nAuto-Installed: 1\\n\\n' >>/var/lib/apt/extended_states",
            ),
            "tool is marked as installed automatically, which the step would change",
        ),
        (after("echo 'tool hold' | dpkg --set-selections"), "tool is held back"),
        (
            after("dpkg -P extra"),
            "extra, which tool recommends, is gone since the master's inventory was made",
        ),
        (
            after("echo 'deb [trusted=yes] file:/repo ./' >/etc/apt/sources.list.d/more.list"),
            "/etc/apt/sources.list.d/more.list wasn't there when the master's inventory was made",
        ),
        (
            after(
                "printf 'Package: tool\\nPin: version 2\\nPin-Priority: 1001\\n' >/etc/apt/preferences.d/pin",
            ),
            "/etc/apt/preferences.d/pin wasn't there when the master's inventory was made",
        ),
        (
            after("echo 'APT::Install-Suggests \"true\";' >>/etc/apt/apt.conf.d/docker-clean"),
            "/etc/apt/apt.conf.d/docker-clean has changed since the master's inventory was made",
        ),
        (
            after(
                "printf '#!/bin/sh\\nexec /usr/bin/apt-get \"$@\"\\n' >/usr/local/bin/apt-get; chmod +x /usr/local/bin/apt-get",
            ),
            "`apt-get` isn't the program of that name in /usr/bin",
        ),
        (after("apt-get update"), "/var/lib/apt/lists/_repo_._Packages"),
        (
            own(&format!("{INSTALL} tool && {CLEAN} && mkdir /made")),
            "it does something else beside installing packages",
        ),
        (
            own(&format!("{INSTALL} tool && {CLEAN} && useradd app")),
            "it does something else beside installing packages",
        ),
        (
            own(&format!("{INSTALL} --reinstall tool && {CLEAN}")),
            "the option `--reinstall` of apt isn't understood",
        ),
        (
            own(&format!("apt-get update && apt-get upgrade -y && {CLEAN}")),
            "`apt-get upgrade` is not looked into",
        ),
        (
            own(&format!("--mount=type=cache,target=/var/cache/apt {INSTALL} tool && {CLEAN}")),
            "it has mounts or secrets",
        ),
        // A later step would miss the lists.
        (
            format!("RUN true\nRUN {INSTALL} tool\nRUN apt-get install -y apart\n"),
            "it leaves apt's package lists in the image",
        ),
    ] {
        kept(env, &instructions, 3, reason);
    }
    // Packages are taken away behind it, in its own stage and in one that stands on it.
    for (behind, command) in [
        ("RUN apt-get autoremove -y", "`apt-get autoremove` (line 4)"),
        ("FROM first\nRUN true && apt-get purge -y extra", "`apt-get purge` (line 5)"),
        ("FROM first\nCOPY --from=first /etc/passwd /x\nFROM first\nRUN dpkg -r extra", "`dpkg -r` (line 7)"),
    ] {
        kept(env, &format!("RUN true\n{usual}\n{behind}\n"), 3, &format!("{command} comes after it"));
    }
}

/// A step runs as written, for this reason, and its image is plain's.
#[track_caller]
fn kept(env: &Env, instructions: &str, line: u64, reason: &str) {
    let built = through_policy(env, instructions);
    let found = steps(&built);
    let step = found.iter().find(|(.., at)| *at == line);
    let step = step.unwrap_or_else(|| panic!("nothing about line {line}: {found:?}\n{instructions}"));
    assert!(step.0 == "as_written" && step.1.starts_with(reason), "{step:?}, not {reason}:\n{instructions}");
    let (image, plain) = (built.layout().image(), plain(env, instructions));
    assert_eq!(image.layers(), plain.layers(), "{instructions}");
}

/// Recommends that are gone don't matter to a step that doesn't ask for them.
#[test]
fn recommends_count_where_they_are_asked_for() {
    let env = e2e!();
    let instructions = format!("RUN dpkg -P extra\nRUN {INSTALL} --no-install-recommends tool && {CLEAN}\n");
    let built = through_policy(env, &instructions);
    assert_eq!(steps(&built)[0].0, "satisfied", "{:?}", steps(&built));
    equal(env, &built.layout().image(), &plain(env, &instructions));
}

/// apt itself is asked too: it knows what no list of files tells.
#[test]
fn what_apt_finds_broken() {
    let env = e2e!();
    let policy = format!(
        "FROM {}\nRUN dpkg --force-depends -P library\nRUN {INSTALL} lib++ && {CLEAN}\n",
        master(env)
    );
    let files = Files::dockerfile(&policy);
    let explain = Build::new(env, Side::Plinth, files.path()).opt("requestid", "plinth.explain");
    let built = explain.opt("plinth.format", "json").run().ok();
    let report: Value =
        serde_json::from_str(built.stdout.trim_start().trim_start_matches("result.json").trim()).unwrap();
    let step = &report["platforms"][0]["steps"][0];
    assert_eq!(step["treatment"], "as_written", "{report:#}");
    assert!(step["reason"].as_str().unwrap().starts_with("apt itself finds no way: E: "), "{report:#}");
}

/// On an image without an inventory nothing is asked, and nothing said.
#[test]
fn an_image_without_an_inventory() {
    let env = e2e!();
    let files = Files::dockerfile("FROM python:3.11-slim\nRUN apt-get install -y python3\n");
    let built = Build::new(env, Side::Plinth, files.path()).layout().run().ok();
    assert_eq!(steps(&built), []);
    assert!(!built.progress.vertices().any(|vertex| vertex.name.contains("ask apt")));
    let plain = Build::new(env, Side::Plain, files.path()).image();
    assert_eq!(built.layout().image().digest, plain.digest);
}

/// The stand-in master has what the fleet asks for most; whatever the archive has by now, it was so on that day.
#[test]
fn the_stand_in_master() {
    let env = e2e!();
    let dockerfile = format!(
        "FROM python:3.11-slim\nRUN {INSTALL} curl git gcc g++ build-essential wget unzip python3-dev python3-pip && {CLEAN}\n"
    );
    let files = Files::dockerfile(&dockerfile)
        .with("plinth.toml", crate::bases::policy(env, "python:3.11-slim"))
        .with(".dockerignore", "plinth.toml\n");
    let built = Build::new(env, Side::Plinth, files.path()).layout().run().ok();
    let found = steps(&built);
    assert_eq!((found.len(), found[0].0.as_str()), (1, "satisfied"), "{found:?}");
    assert!(
        found[0]
            .1
            .starts_with("its 9 packages are there at the versions of the master's inventory, as of 20")
    );
}

/// A second build asks nothing again.
#[test]
fn the_answer_is_cached() {
    let env = e2e!();
    let instructions = format!("RUN {INSTALL} tool && {CLEAN}\nRUN echo cached >/x\n");
    let first = through_policy(env, &instructions);
    let second = through_policy(env, &instructions);
    let asked = |built: &Built| {
        let mut vertices =
            built.progress.vertices().filter(|vertex| vertex.name.contains("[plinth] ask apt"));
        vertices.next().map(|vertex| vertex.cached)
    };
    assert!(asked(&first).is_some());
    assert_eq!(asked(&second), Some(true));
    assert_eq!(first.layout().image().digest, second.layout().image().digest);
}
