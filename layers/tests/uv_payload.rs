//! Payloads as uv lays them out, and wheels of which that is not known.
#![allow(clippy::unwrap_used)]

mod wheels;

use std::fs;
use std::path::Path;

use plinth_layers::resolution::{Layout, Scheme};
use plinth_layers::steps::payload::{self, PayloadSpec};
use plinth_layers::tree::{LAYOUT, diff_id};
use wheels::{Wheel, interpreter, python, sha256, tree};

fn spec(wheel: &Wheel, laid_out_as: Layout) -> PayloadSpec {
    PayloadSpec {
        layout: LAYOUT,
        name: wheel.name.clone(),
        version: wheel.version.clone(),
        filename: wheel.filename(),
        sha256: sha256(&wheel.bytes()),
        scheme: Scheme {
            purelib: "/p/lib".into(),
            platlib: "/p/lib".into(),
            headers: "/p/include".into(),
            scripts: "/p/bin".into(),
            data: "/p".into(),
        },
        interpreter: interpreter(Path::new(&python())).0,
        laid_out_as,
        foreign: false,
    }
}

/// The payload's tree and its diff ID, or why there is none.
fn payload(wheel: &Wheel, layout: Layout) -> Result<(Vec<String>, String), String> {
    let temp = tempfile::tempdir().unwrap();
    let path = |name: &str| temp.path().join(name);
    fs::create_dir(path("out")).unwrap();
    fs::create_dir(path("meta")).unwrap();
    fs::write(path("wheel"), wheel.bytes()).unwrap();
    payload::run(&spec(wheel, layout), &path("wheel"), &path("out"), &path("meta"))
        .map_err(|e| e.to_string())?;
    let modes = tree(&path("out")).into_iter().filter(|(_, what)| !what.starts_with("dir"));
    let modes = modes.map(|(path, what)| format!("{path} {}", what.split(' ').nth(1).unwrap())).collect();
    Ok((modes, diff_id(&path("out")).unwrap()))
}

fn wheel() -> Wheel {
    Wheel::new("some", "1").file("some.py", "x = 1\n").data("scripts/plain", "#!/bin/sh\n", 0o100_644).data(
        "scripts/named",
        "#!python\n",
        0o100_644,
    )
}

#[test]
fn no_byte_code_and_executable_scripts() {
    let (uv, id) = payload(&wheel(), Layout::Uv).unwrap();
    assert_eq!(
        uv,
        [
            "/p/bin/plain 755",
            "/p/lib/some-1.dist-info/METADATA 644",
            "/p/lib/some-1.dist-info/WHEEL 644",
            "/p/lib/some.py 644"
        ]
    );
    let (pip, _) = payload(&wheel(), Layout::Pip).unwrap();
    assert!(
        pip.contains(&"/p/bin/plain 644".to_owned()) && pip.iter().any(|path| path.contains(".pyc ")),
        "{pip:?}"
    );
    // It depends on the wheel and the layout version alone: no interpreter has touched it.
    assert_eq!(id, "sha256:774ec04953ab40431ab6961b8d4958ef63bad6fe93a8fef778fe02cc071267d7");
}

#[test]
fn pips_specification_does_not_mention_the_layout() {
    let text = |layout| serde_json::to_string(&spec(&wheel(), layout)).unwrap();
    assert!(!text(Layout::Pip).contains("laid_out_as"));
    assert!(text(Layout::Uv).contains("\"laid_out_as\":\"uv\""));
}

#[test]
fn wheels_that_uv_lays_out_in_a_way_that_is_not_known() {
    let mut empty = wheel();
    empty.directories = vec!["nothing/".into()];
    let mut unlisted = wheel().info("RECORD.jws", "x");
    unlisted.unlisted = vec!["some-1.dist-info/RECORD.jws".into()];
    let entry = wheel().info("entry_points.txt", "[console_scripts]\nplain = some:x\n");
    for (wheel, reason) in [
        (empty, "nothing: is an empty directory, with uv"),
        (unlisted, "some-1.dist-info/RECORD.jws: is not listed in RECORD, with uv"),
        (entry, "some-1.dist-info: has wrappers for its scripts, with uv"),
        (wheel().info("INSTALLER", "me"), "some-1.dist-info/INSTALLER: is a file of the installer, with uv"),
        (
            wheel().data("scripts/a/b", "", 0o100_644),
            "some-1.data/scripts/a/b: is a script in a directory, with uv",
        ),
        (
            wheel().data("scripts/w", "#!pythonw\n", 0o100_644),
            "some-1.data/scripts/w: starts with `#!pythonw`, with uv",
        ),
    ] {
        let why = payload(&wheel, Layout::Uv).unwrap_err();
        assert!(why.ends_with(reason) || why.contains(reason), "{why}");
        payload(&wheel, Layout::Pip).unwrap();
    }
}
