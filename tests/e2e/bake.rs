//! `plinth bake`: a fleet that nobody edits is built through plinth by `docker buildx bake`, and by compose's own
//! override in the hands of bake. With a real buildx and its remote driver.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::env::{Env, e2e};
use crate::support::files::Files;

const COMPOSE: &str = "services:
  api:
    build:
      context: .
      dockerfile: deploy/Api.Dockerfile
      args: {LINE: \"3.11\"}
  cache:
    build: ./cache
  db:
    image: postgres:16
";
const API: &str = "ARG LINE
FROM python:${LINE}-slim
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
";
const JOB: &str = "FROM python:3.11-slim\nRUN pip install --no-cache-dir click\n";

fn fleet() -> Files {
    Files::new()
        .with("compose.yaml", COMPOSE)
        .with("deploy/Api.Dockerfile", API)
        .with("requirements.txt", "click\n")
        .with("cache/Dockerfile", "FROM redis:7-alpine\nRUN true\n")
        .with("jobs/nightly/Dockerfile", JOB)
}

fn plinth(directory: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plinth"));
    command.current_dir(directory).args(args).output().unwrap()
}

/// A buildx with this one builder.
struct Buildx {
    config: tempfile::TempDir,
}

impl Buildx {
    fn new(env: &Env) -> Self {
        let buildx = Self { config: tempfile::tempdir().unwrap() };
        buildx.run(Path::new("/"), &["create", "--name", "here", "--driver", "remote", &env.host]);
        buildx
    }

    fn run(&self, directory: &Path, args: &[&str]) -> Output {
        let output = Command::new("buildx")
            .current_dir(directory)
            .env("BUILDX_CONFIG", self.config.path())
            .args(args)
            .output()
            .expect("buildx isn't on the PATH: run hack/get --buildx and source .plinth/env");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "buildx {args:?}:\n{stderr}");
        output
    }

    /// Builds the targets of some files, and gives what is known of each afterwards.
    fn bake(&self, directory: &Path, files: &[&str], targets: &[&str]) -> Value {
        let metadata = directory.join("metadata.json");
        let mut args = vec!["bake", "--builder", "here", "--progress", "plain", "--allow", "fs=*"];
        args.extend(files.iter().flat_map(|file| ["-f", file]));
        args.extend(["--set", "*.output=type=cacheonly", "--metadata-file", metadata.to_str().unwrap()]);
        args.extend(targets);
        self.run(directory, &args);
        serde_json::from_slice(&std::fs::read(metadata).unwrap()).unwrap()
    }
}

/// What became of the installs of a target.
fn treatments(metadata: &Value, target: &str) -> Vec<String> {
    let report = &metadata[target]["frontend.plinth.report"];
    let report: Value = match report {
        Value::String(text) => serde_json::from_str(text).unwrap(),
        other => other.clone(),
    };
    let steps = report["platforms"][0]["steps"].as_array().cloned().unwrap_or_default();
    steps.iter().map(|step| step["treatment"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_fleet_goes_through_plinth_without_an_edit() {
    let env = e2e!();
    let Some(frontend) = &env.frontend else { return };
    let files = fleet();
    let policy = Files::new().with("plinth.toml", "version = 1\n");
    let policy_directory = policy.path().to_str().unwrap();
    let args = ["bake", ".", "--frontend", frontend, "--policy", policy_directory, "-o", "plinth.bake.json"];
    let output = plinth(files.path(), &args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    // Of a policy without masters, two services stand on Python; the cache and nothing else is left alone.
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert_eq!(stderr, "2 builds through plinth; 1 services stay as they are (plinth scan says why)\n");
    assert!(output.stdout.is_empty());

    let buildx = Buildx::new(env);
    // By itself, and behind the file that defines the targets.
    for own in [&["plinth.bake.json"][..], &["compose.yaml", "plinth.bake.json"][..]] {
        let metadata = buildx.bake(files.path(), own, &["plinth"]);
        for target in ["api", "jobs-nightly"] {
            assert_eq!(treatments(&metadata, target), ["assembled"], "{own:?} {target}: {metadata:#}");
        }
        assert!(metadata.get("cache").is_none());
    }
    // Without the override, plinth has nothing to do with it.
    let metadata = buildx.bake(files.path(), &["compose.yaml"], &["api", "cache"]);
    assert_eq!(metadata["api"].get("frontend.plinth.report"), None);
}

#[test]
fn an_override_for_compose() {
    let env = e2e!();
    let Some(frontend) = &env.frontend else { return };
    let files = fleet();
    let args = ["bake", ".", "--frontend", frontend, "--format", "compose", "-o", "plinth.compose.yaml"];
    assert_eq!(plinth(files.path(), &args).status.code(), Some(0));
    // No Docker runs compose here; bake reads and merges compose files as compose does.
    let metadata =
        Buildx::new(env).bake(files.path(), &["compose.yaml", "plinth.compose.yaml"], &["api", "cache"]);
    assert_eq!(treatments(&metadata, "api"), ["assembled"]);
    assert_eq!(metadata["cache"].get("frontend.plinth.report"), None);
}
