//! Base substitution: what is replaced, what is kept, what is refused, and that nothing else changes.

use crate::support::build::{Build, Built, Side};
use crate::support::env::{Env, e2e};
use crate::support::files::Files;
use crate::support::image::Image;
use crate::support::report::Report;

/// A policy that puts the stand-in master in the place of these images.
pub(crate) fn policy(env: &Env, replaces: &str) -> String {
    format!(
        "version = 1\n\n[[base]]\nname = \"python-3.11\"\nimage = \"{}/bases/python-master:3.11\"\nreplaces = [\"{replaces}\"]\n",
        env.registry
    )
}

/// A policy that also moves services of 3.11 to 3.13.
fn moving(env: &Env) -> String {
    format!(
        "version = 1\n\n[[base]]\nname = \"python-3.13\"\nimage = \"{}/bases/python-master:3.13\"\nreplaces = [\"python:3.13*\"]\nmove_from = [\"3.11\"]\n",
        env.registry
    )
}

/// Layers of an image of the registry.
fn layers(env: &Env, image: &str) -> Vec<String> {
    Build::new(env, Side::Plain, Files::dockerfile(&format!("FROM {image}\n")).path()).image().layers()
}

fn master_layers(env: &Env) -> Vec<String> {
    layers(env, &format!("{}/bases/python-master:3.11", env.registry))
}

/// Builds through plinth with a policy beside the Dockerfile.
fn build(env: &Env, dockerfile: &str, policy: &str) -> Built {
    let files =
        Files::dockerfile(dockerfile).with("plinth.toml", policy).with(".dockerignore", "plinth.toml\n");
    Build::new(env, Side::Plinth, files.path()).layout().run().ok()
}

fn actions(built: &Built) -> Vec<String> {
    Report::of_build(built).expect("a report").bases().into_iter().map(|(.., action, _)| action).collect()
}

#[track_caller]
fn stands_on(image: &Image, layers: &[String]) {
    let found = image.layers();
    assert!(
        found.len() >= layers.len() && found[..layers.len()] == *layers,
        "not on that base:\n{found:#?}\n{layers:#?}"
    );
}

#[test]
fn files_of_the_master_and_config_of_the_original() {
    let env = e2e!();
    let dockerfile =
        "FROM python:3.11-slim\nRUN curl --version >/curl && id -u >/uid && pwd >/cwd\nEXPOSE 80\n";
    let built = build(env, dockerfile, &policy(env, "python:3.11*"));
    assert_eq!(actions(&built), ["substituted"]);
    let image = built.layout().image();
    stands_on(&image, &master_layers(env));
    image.check();
    let config = &image.config["config"];
    assert!(
        config.get("User").is_none_or(|user| user == ""),
        "the master's USER is not the author's: {config:#}"
    );
    assert_eq!(config.get("WorkingDir").and_then(|d| d.as_str()).unwrap_or("/"), "/");
    assert_eq!(config["Cmd"][0], "python3");
    assert!(
        !config["Env"].to_string().contains("MASTER=1"),
        "the master's own environment stays with it: {config:#}"
    );
    assert!(config["ExposedPorts"].get("80/tcp").is_some());
    let tree = image.tree();
    assert_eq!(tree.get("/uid").unwrap().text().unwrap(), "0\n");
    assert_eq!(tree.get("/cwd").unwrap().text().unwrap(), "/\n");
    assert!(image.layer_history().last().unwrap().contains("curl --version"), "{:#?}", image.layer_history());
}

/// The named context is asked before the file beside the Dockerfile.
#[test]
fn the_policy_of_a_named_context() {
    let env = e2e!();
    let files =
        Files::dockerfile("FROM python:3.11-slim\nRUN true\n").with("plinth.toml", "this would be an error");
    let context = Files::new().with("plinth.toml", policy(env, "python:3.11-slim"));
    let built =
        Build::new(env, Side::Plinth, files.path()).context("plinth", context.path()).layout().run().ok();
    assert_eq!(actions(&built), ["substituted"]);
}

#[test]
fn the_policy_at_the_root_of_the_context() {
    let env = e2e!();
    let files = Files::new()
        .with("docker/Dockerfile", "FROM python:3.11-slim\nRUN true\n")
        .with("plinth.toml", policy(env, "python:3.11-slim"));
    let built =
        Build::new(env, Side::Plinth, files.path()).opt("filename", "docker/Dockerfile").layout().run().ok();
    assert_eq!(actions(&built), ["substituted"]);
}

#[test]
fn keep_rules_win() {
    let env = e2e!();
    for (image, text) in [
        ("redis:7-alpine", policy(env, "*")),
        ("python:3.11-slim", policy(env, "python:3.11*") + "\n[keep]\nimages = [\"python:3.11-slim\"]\n"),
    ] {
        let built = build(env, &format!("FROM {image}\nRUN echo kept >/kept\n"), &text);
        assert_eq!(actions(&built), ["kept"], "{image}");
        let reasons = Report::of_build(&built).unwrap().reasons();
        assert!(reasons.iter().any(|reason| !reason.is_empty()), "{image} is kept without a reason");
        stands_on(&built.layout().image(), &layers(env, image));
    }
}

/// An image that no base replaces: as if there were no policy.
#[test]
fn an_image_that_the_policy_does_not_know() {
    let env = e2e!();
    let dockerfile = "FROM debian:bookworm-slim\nRUN echo unknown >/unknown\n";
    let built = build(env, dockerfile, &policy(env, "python:3.11*"));
    let files = Files::dockerfile(dockerfile);
    let plain = Build::new(env, Side::Plain, files.path()).image();
    assert_eq!(built.layout().image().digest, plain.digest);
}

/// Only what is built upon is replaced. What is copied or mounted from keeps the files that the author saw.
#[test]
fn copied_and_mounted_images_keep_the_original() {
    let env = e2e!();
    let dockerfile = "FROM python:3.11-slim\n\
        COPY --from=python:3.11-slim /var/lib/dpkg/status /copied\n\
        RUN --mount=from=python:3.11-slim,target=/other cp /other/var/lib/dpkg/status /mounted\n\
        RUN cp /var/lib/dpkg/status /own\n";
    let image = build(env, dockerfile, &policy(env, "python:3.11*")).layout().image();
    stands_on(&image, &master_layers(env));
    let tree = image.tree();
    let original =
        Build::new(env, Side::Plain, Files::dockerfile("FROM python:3.11-slim\n").path()).image().tree();
    let status = &original.get("/var/lib/dpkg/status").unwrap().sha256;
    assert_eq!(&tree.get("/copied").unwrap().sha256, status);
    assert_eq!(&tree.get("/mounted").unwrap().sha256, status);
    assert_ne!(&tree.get("/own").unwrap().sha256, status, "the step itself runs on the master");
}

#[test]
fn a_stage_named_like_an_image() {
    let env = e2e!();
    let dockerfile =
        "FROM debian:bookworm-slim AS python\nRUN echo stage >/stage\nFROM python\nRUN cat /stage >/two\n";
    let built = build(env, dockerfile, &policy(env, "python*"));
    let plain = Build::new(env, Side::Plain, Files::dockerfile(dockerfile).path()).image();
    assert_eq!(built.layout().image().digest, plain.digest);
}

#[test]
fn arguments_platforms_and_digests_in_from() {
    let env = e2e!();
    let tagged =
        Build::new(env, Side::Plain, Files::dockerfile("FROM python:3.11-slim\n").path()).layout().run().ok();
    let name = tagged
        .progress
        .vertices()
        .find(|v| v.name.contains("python:3.11-slim@sha256"))
        .map(|v| v.name.clone())
        .expect("the base is pinned");
    let digest = name.split('@').nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    for from in [
        "ARG V=3.11\nFROM python:${V}-slim".to_owned(),
        "FROM --platform=$BUILDPLATFORM python:3.11-slim AS x".to_owned(),
        "FROM docker.io/library/python:3.11-slim".to_owned(),
        format!("FROM python:3.11-slim@{digest}"),
    ] {
        let built = build(env, &format!("{from}\nRUN true\n"), &policy(env, "python:3.11*"));
        assert_eq!(actions(&built), ["substituted"], "{from}");
        stands_on(&built.layout().image(), &master_layers(env));
    }
}

/// One platform that the master lacks keeps the base on all of them.
#[test]
fn every_platform_or_none() {
    let env = e2e!();
    let files = Files::dockerfile("FROM python:3.11-slim\nRUN true\n")
        .with("plinth.toml", policy(env, "python:3.11*"));
    let both = Build::new(env, Side::Plinth, files.path())
        .opt("platform", "linux/amd64,linux/386")
        .layout()
        .run()
        .ok();
    assert_eq!(actions(&both), ["substituted", "substituted"]);
    // The master of 3.13 is there for one platform only.
    let files = Files::dockerfile("FROM python:3.11-slim\nRUN true\n").with("plinth.toml", moving(env));
    let both = Build::new(env, Side::Plinth, files.path())
        .opt("platform", "linux/amd64,linux/386")
        .layout()
        .run()
        .ok();
    assert_eq!(actions(&both), ["refused", "refused"]);
    for image in both.layout().images() {
        image.check();
    }
}

/// Another libc, or no Python where there was one: never.
#[test]
fn a_master_that_is_something_else() {
    let env = e2e!();
    let text = format!(
        "version = 1\n[[base]]\nname = \"wrong\"\nimage = \"{}/library/debian:bookworm-slim\"\nreplaces = [\"python:3.11*\"]\n",
        env.registry
    );
    let built = build(env, "FROM python:3.11-slim\nRUN true\n", &text);
    assert_eq!(actions(&built), ["refused"]);
    warns_on_line(&built, 1);
    stands_on(&built.layout().image(), &layers(env, "python:3.11-slim"));
}

#[track_caller]
fn warns_on_line(built: &Built, line: u64) {
    let warnings = &built.progress.warnings;
    assert!(
        warnings
            .iter()
            .any(|w| w.file.ends_with("Dockerfile") && w.lines.iter().any(|(first, _)| *first == line)),
        "no warning on line {line}: {warnings:#?}"
    );
}

#[test]
fn moving_to_another_version() {
    let env = e2e!();
    let built = build(env, "FROM python:3.11-slim\nRUN python3 -V >/version\n", &moving(env));
    assert_eq!(actions(&built), ["substituted"]);
    let tree = built.layout().image().tree();
    assert!(tree.get("/version").unwrap().text().unwrap().starts_with("Python 3.13"));
}

#[test]
fn a_path_that_names_the_old_interpreter() {
    let env = e2e!();
    let dockerfile = "FROM python:3.11-slim AS builder\nRUN mkdir -p /usr/local/lib/python3.11/site-packages/x\n\
        FROM python:3.11-slim\nCOPY --from=builder /usr/local/lib/python3.11/site-packages /usr/local/lib/python3.11/site-packages\n";
    let built = build(env, dockerfile, &moving(env));
    assert!(actions(&built).iter().all(|action| action == "refused"), "{:?}", actions(&built));
    let reasons = Report::of_build(&built).unwrap().reasons().join("\n");
    assert!(
        reasons.contains("python3.11") && (reasons.contains("line 2") || reasons.contains("line 4")),
        "{reasons}"
    );
    warns_on_line(&built, 3);
    stands_on(&built.layout().image(), &layers(env, "python:3.11-slim"));
}

/// Each stage of its own image; triggers of the original still run.
#[test]
fn stages_and_triggers() {
    let env = e2e!();
    let base = format!("{}/e2e/triggers:3.11", env.registry);
    let parent = Files::dockerfile("FROM python:3.11-slim\nONBUILD RUN echo triggered >/triggered\n");
    Build::new(env, Side::Plain, parent.path()).push(&base).run().ok();
    let text = policy(env, "python:3.11*").replace("\"]", &format!("\", \"{base}\"]"));
    let built = build(
        env,
        &format!("FROM python:3.11-slim AS one\nRUN echo 1 >/one\nFROM {base}\nCOPY --from=one /one /two\n"),
        &text,
    );
    assert_eq!(actions(&built), ["substituted", "substituted"]);
    let image = built.layout().image();
    stands_on(&image, &master_layers(env));
    assert_eq!(image.tree().get("/triggered").unwrap().text().unwrap(), "triggered\n");
}
