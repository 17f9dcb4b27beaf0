#![allow(clippy::unwrap_used)]
use super::*;

const EXAMPLE: &str = r#"
version = 1

[[base]]
name      = "python-3.12"
image     = "registry.example.com/bases/python-master:3.12"
replaces  = ["python:3.12*-slim*", "python:3.12*-bookworm"]
move_from = ["3.11"]

[[base]]
name     = "nodejs-18"
image    = "registry.example.com/bases/nodejs-master:18"
replaces = ["node:18*", "**"]

[[base]]
name     = "gpu"
image    = "registry.example.com/bases/gpu:1"
replaces = ["pytorch/pytorch:2.2*", "mycorp/legacy-x"]

[keep]
images = ["mycorp/legacy-*"]

[gates]
size_saved = 0.5
"#;

/// The decision in short: `keep RULE`, `BASE by RULE`, or `-`.
fn short(policy: &Policy, image: &str) -> String {
    match policy.decide(&familiar(image)) {
        BaseDecision::Keep { rule, .. } => format!("keep {rule}"),
        BaseDecision::Replace { base, rule } => format!("{} by {rule}", base.name),
        BaseDecision::Unmatched => "-".to_owned(),
    }
}

#[test]
fn decisions() {
    let policy = Policy::parse(EXAMPLE, "plinth.toml").unwrap();
    for (image, wanted) in [
        ("docker.io/library/python:3.12.8-slim", "python-3.12 by python:3.12*-slim*"),
        // `**` of a later base comes before the patterns that move_from adds.
        ("python:3.11-slim", "nodejs-18 by **"),
        ("node:18-alpine", "nodejs-18 by node:18*"),
        // A wildcard never takes a database; a full name takes even a vendor's image.
        ("postgres:16", "keep **/postgres"),
        ("pytorch/pytorch:2.2.0-cuda12.1-cudnn8-devel", "gpu by pytorch/pytorch:2.2*"),
        ("pytorch/pytorch:2.1.0-cuda12.1-cudnn8-devel", "keep pytorch/*"),
        // [keep] wins over a full name.
        ("mycorp/legacy-x:1", "keep mycorp/legacy-*"),
        // The master itself is what `**` would take, too.
        ("registry.example.com/bases/nodejs-master:18", "-"),
        ("not an image", "-"),
    ] {
        assert_eq!(short(&policy, image), wanted, "{image}");
    }
}

#[test]
fn move_from_adds_patterns() {
    let text = "version = 1\n[[base]]\nname = \"p\"\nimage = \"m:1\"\nreplaces = [\"python:3.12*-slim*\"]\n";
    let plain = Policy::parse(text, "f").unwrap();
    assert_eq!(short(&plain, "python:3.11-slim"), "-");
    let moving = Policy::parse(&format!("{text}move_from = [\"3.11\"]\n"), "f").unwrap();
    assert_eq!(short(&moving, "python:3.11-slim"), "p by python:3.11*-slim*");
    assert_eq!(short(&moving, "python:3.10-slim"), "-");
    let kept =
        Policy::parse(&format!("{text}move_from = [\"3.11\"]\n[keep]\nimages = [\"python:3.11*\"]"), "f")
            .unwrap();
    assert_eq!(short(&kept, "python:3.11-slim"), "keep python:3.11*");
}

#[test]
fn minors() {
    let policy = Policy::parse(EXAMPLE, "plinth.toml").unwrap();
    let base = &policy.bases[0];
    assert_eq!(base.accepts_minor("3.12", "3.12"), Ok(()));
    assert_eq!(base.accepts_minor("3.11", "3.12"), Ok(()));
    assert_eq!(
        base.accepts_minor("3.10", "3.12").unwrap_err(),
        "the image has Python 3.10 and the base `python-3.12` has Python 3.12; to let such services move, add \
         move_from = [\"3.10\"] to that base"
    );
}

#[test]
fn limits_have_none() {
    let policy = Policy::parse("version = 1", "f").unwrap();
    assert_eq!(policy.analyze, AnalyzeLimits::default());
    let text =
        "version = 1\n[analyze]\nmax_hidden_bytes = \"20 MB\"\nmax_image_bytes = 7\nmin_efficiency = 0.9";
    let limits = Policy::parse(text, "f").unwrap().analyze;
    assert_eq!((limits.max_hidden_bytes, limits.max_image_bytes), (Some(20_000_000), Some(7)));
    assert_eq!((limits.min_efficiency, limits.max_repeated_part), (Some(0.9), None));
    for (field, message) in [
        ("max_repeated_part = 30", "p:3:21: a share is between 0 and 1, not 30; write 60 % as 0.60"),
        (
            "max_repeated_bytes = \"x\"",
            "p:3:22: `x` is no number of bytes; write it like 20000000, \"20 MB\" or \"20 MiB\"",
        ),
    ] {
        let error = Policy::parse(&format!("version = 1\n[analyze]\n{field}"), "p").unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn gates_have_defaults() {
    let policy = Policy::parse(EXAMPLE, "plinth.toml").unwrap();
    assert_eq!(policy.gates, Gates { size_saved: 0.5, build_time_saved: 0.70 });
    assert_eq!(Policy::parse("version = 1", "f").unwrap().gates, Gates::default());
    assert_eq!(Policy::parse("version = 1\n[gates]\nsize_saved = 1", "f").unwrap().gates.size_saved, 1.0);
}

#[test]
fn reasons() {
    let policy = Policy::parse(EXAMPLE, "plinth.toml").unwrap();
    let BaseDecision::Keep { reason, .. } = policy.decide("mycorp/legacy-x:1") else { panic!("not kept") };
    assert_eq!(reason, "the policy keeps `mycorp/legacy-*`");
    let BaseDecision::Keep { reason, .. } = policy.decide("redis:7") else { panic!("not kept") };
    assert_eq!(
        reason,
        "Redis is a database: its server, data directory and upgrade path belong to its own image"
    );
}

#[test]
fn every_mistake_has_a_place_and_an_advice() {
    let base = |more: &str| {
        format!("version = 1\n[[base]]\nname = \"a\"\nimage = \"m:1\"\nreplaces = [\"x\"]\n{more}")
    };
    let hint = "; correct the file (docs/policy.md describes every field)";
    for (text, wanted) in [
        (String::new(), "p:1:1: the policy names no version; start the file with `version = 1`".to_owned()),
        (
            "# c\nversion = 2".to_owned(),
            "p:2:11: this release reads policies of version 1, not 2; use the plinth release that the policy was written for"
                .to_owned(),
        ),
        ("version = \"1\"".to_owned(), format!("p:1:11: invalid type: string \"1\", expected i64{hint}")),
        ("version = 1\nx =".to_owned(), format!("p:2:4: string values must be quoted, expected literal string{hint}")),
        (
            "version = 1\nbases = 1".to_owned(),
            format!("p:2:1: unknown field `bases`, expected one of `version`, `base`, `keep`, `gates`, `analyze`, `python`, `run`{hint}"),
        ),
        (
            base("replace = 1"),
            format!("p:6:1: unknown field `replace`, expected one of `name`, `image`, `replaces`, `move_from`{hint}"),
        ),
        ("version = 1\n[[base]]\nname = \"a\"\nimage = \"b\"".to_owned(), format!("p:2:1: missing field `replaces`{hint}")),
        (
            base("[python]\nconstraints = \"c.txt\""),
            "p:7:15: `[python] constraints` is reserved and not supported by this release; remove it".to_owned(),
        ),
        (base("[run]\nuser = \"u\""), "p:7:8: `[run] user` is reserved and not supported by this release; remove it".to_owned()),
        (
            base("[gates]\nsize_saved = 60"),
            "p:7:14: a gate is a share between 0 and 1, not 60; write 60 % as 0.60".to_owned(),
        ),
        (
            base("[gates]\nsize_saved = nan"),
            "p:7:14: a gate is a share between 0 and 1, not NaN; write 60 % as 0.60".to_owned(),
        ),
        (
            base("move_from = [\"3.11\", \"3\"]"),
            "p:6:22: `3` is not a Python version; write it as major and minor, like \"3.11\"".to_owned(),
        ),
        (
            base("[[base]]\nname = \"a\"\nimage = \"n\"\nreplaces = [\"y\"]"),
            "p:7:8: another base, on line 3, is named `a` too; give each base a name of its own".to_owned(),
        ),
        (
            base("[[base]]\nname = \"b\"\nimage = \"n\"\nreplaces = [\"y\", \"docker.io/library/x\"]"),
            "p:9:18: `docker.io/library/x` is replaced by the base `a` on line 3 already; remove one of the two".to_owned(),
        ),
        (
            base("[[base]]\nname = \"b\"\nimage = \"n\"\nreplaces = []"),
            "p:9:12: the base `b` replaces nothing; list the images it stands in for, like replaces = [\"python:3.12*-slim\"]"
                .to_owned(),
        ),
        (
            base("[[base]]\nname = \"b c\"\nimage = \"n\"\nreplaces = []"),
            "p:7:8: `b c` is not a name for a base; use letters, digits, `.`, `_` and `-`".to_owned(),
        ),
        (
            base("[[base]]\nname = \"b\"\nimage = \"UP:1\"\nreplaces = [\"y\"]"),
            "p:8:9: `UP` is not a repository name: use lower-case letters and digits, joined by `.`, `_`, `__` or `-`, in parts \
             joined by `/`"
                .to_owned(),
        ),
        (
            base("[keep]\nimages = [\"[x\"]"),
            "p:7:11: `[x` is not a valid pattern: unclosed character class; missing ']'".to_owned(),
        ),
    ] {
        assert_eq!(Policy::parse(&text, "p").unwrap_err().to_string(), wanted, "{text}");
    }
}

#[test]
fn columns_count_characters() {
    let error = Policy::parse("\u{feff}version = 1 # ä\n\"ä\" = 1", "p").unwrap_err();
    assert_eq!(error.position, Position { line: 2, column: 1 });
    assert_eq!(Position::of("ää x", 5), Position { line: 1, column: 4 });
}
