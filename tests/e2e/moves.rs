//! `plinth move` with a real uv against an index: who can go to another Python, and what is in the way.

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::env::e2e;
use crate::support::files::Files;
use crate::support::index::Index;
use crate::support::wheel::Wheel;

fn index() -> Index {
    let old = |version: &str, tag: &'static str| Wheel::simple("old", version).only_for(tag).make();
    Index::of(&[
        old("1.0", "cp311-none-any"),
        old("1.5", "cp312-none-any"),
        old("2.0", "py3-none-any"),
        old("3.0", "cp313-none-any"),
        Wheel::simple("needy", "1.0").metadata("Requires-Dist: old==1.0").make(),
        Wheel::simple("needy", "2.0").metadata("Requires-Dist: old>=2").make(),
        Wheel::simple("forever", "1.0").only_for("cp311-none-any").make(),
        // A resolver that takes no notice of it is not to be believed.
        Wheel::simple("forbidden", "1.0").metadata("Requires-Python: >=3.8,<3.13").make(),
        Wheel::new("relic", "1.0")
            .file("relic/__init__.py", "from . import deep\n")
            .file("relic/deep.py", "import os\nimport imp\n")
            .make(),
        // Only if somebody calls for it, or is prepared.
        Wheel::new("careful", "1.0")
            .file(
                "careful/__init__.py",
                "try:\n    import cgi\nexcept ImportError:\n    cgi = None\n\n\ndef f():\n    import imp\n",
            )
            .file("careful/unused.py", "import asyncore\n")
            .make(),
        // It brings what Python has no longer.
        Wheel::new("standard-imp", "1.0").file("imp.py", "def find_module():\n    pass\n").make(),
    ])
}

fn moves(files: &Files, index: &str, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plinth"));
    let to = if more.contains(&"--to") { &[][..] } else { &["--to", "3.13"] };
    command.current_dir(files.path()).args(["move", "services", "--index-url", index]).args(to).args(more);
    command.env("PLINTH_UV", std::env::var("PLINTH_UV").unwrap()).env("UV_CACHE_DIR", files.join("cache"));
    command.output().unwrap()
}

#[test]
fn who_can_move_and_what_is_in_the_way() {
    let _ = e2e!();
    let index = index();
    let service = |install: &str| format!("FROM python:3.11-slim\nRUN pip install {install}\n");
    let files = Files::new()
        .with("services/fine/Dockerfile", service("'old>=1' careful"))
        .with("services/pinned/Dockerfile", service("old==1.0 careful"))
        .with("services/deeper/Dockerfile", service("needy==1.0"))
        .with("services/stuck/Dockerfile", service("forever"))
        .with("services/forbidden/Dockerfile", service("forbidden"))
        .with("services/broken/Dockerfile", service("relic"))
        .with("services/mended/Dockerfile", service("relic standard-imp"))
        .with("services/newer/Dockerfile", "FROM python:3.13-slim\nRUN pip install relic\n");
    let output = moves(&files, &index.url(), &["--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let all: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(all.len(), 7, "{all:?}");
    let of = |service: &str| all.iter().find(|one| one["services"][0] == service).unwrap();
    assert_eq!(of("fine")["verdict"], "moves");
    assert_eq!(of("mended")["verdict"], "moves");
    assert_eq!(of("pinned")["verdict"], "after_changes");
    assert_eq!(of("pinned")["changes"], serde_json::json!([{ "requirement": "old==1.0", "first": "2.0" }]));
    // What it needs is in the way, and not it itself.
    assert_eq!(of("deeper")["changes"], serde_json::json!([{ "requirement": "needy==1.0", "first": "2.0" }]));
    assert_eq!(of("stuck")["reason"], "no version of `forever` can be had for Python 3.13");
    assert_eq!(of("forbidden")["reason"], "forbidden 1.0 is for Python >=3.8, <3.13");
    assert_eq!(
        of("broken")["reason"],
        "relic 1.0 doesn't import: relic/deep.py imports `imp`, which Python has no longer from 3.12 on"
    );
    let text = String::from_utf8(moves(&files, &index.url(), &[]).stdout).unwrap();
    assert!(text.starts_with("to Python 3.13: 2 move as they are, 2 after changes, 3 stay\n"), "{text}");

    let down = moves(&files, "http://127.0.0.1:9/simple/", &[]);
    assert_eq!(down.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&down.stderr).contains("the package index can't be reached"));
    let wrong = moves(&files, &index.url(), &["--to", "later"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("`later` is no version of Python"));
}
