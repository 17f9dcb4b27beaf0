//! Further builders with an empty state of their own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::env::Env;

/// A running buildkitd; it is stopped, and its state removed, with the value.
pub(crate) struct Builder {
    daemon: Child,
    dir: Option<TempDir>,
    /// Its address.
    pub(crate) host: String,
}

impl Builder {
    /// Starts one. `extra` are further arguments of buildkitd.
    pub(crate) fn start(env: &Env, extra: &[&str]) -> Self {
        Self::start_program(env, "buildkitd", extra)
    }

    /// Starts another program that takes the arguments of buildkitd.
    pub(crate) fn start_program(env: &Env, program: &str, extra: &[&str]) -> Self {
        let config = env.buildkitd_config.as_deref().expect(
            "PLINTH_BUILDKITD_CONFIG isn't set: these tests start builders that must know the registry",
        );
        let dir = tempfile::Builder::new().prefix("plinth-e2e-builder-").tempdir().unwrap();
        let host = format!("unix://{}/sock", dir.path().display());
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let daemon = Command::new(program)
            .arg("--config")
            .arg(config)
            .arg("--root")
            .arg(dir.path().join("state"))
            .args(["--addr", &host])
            .arg("--otel-socket-path")
            .arg(dir.path().join("otel"))
            .args(extra)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{program} ({error}): run hack/up, hack/get --without-mergeop, and source .plinth/env")
            });
        let mut builder = Self { daemon, dir: Some(dir), host };
        builder.wait();
        builder
    }

    fn root(&self) -> &Path {
        self.dir.as_ref().unwrap().path()
    }

    fn wait(&mut self) {
        let started = Instant::now();
        loop {
            let mut ask = Command::new("buildctl");
            let ask = ask
                .args(["--addr", &self.host, "debug", "workers"])
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            if ask.status().unwrap().success() {
                return;
            }
            let gone = self.daemon.try_wait().unwrap().is_some();
            if gone || started.elapsed() > Duration::from_secs(30) {
                let log = std::fs::read_to_string(self.root().join("log")).unwrap_or_default();
                panic!("a further buildkitd doesn't start:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        // Asked to stop, it takes its mounts down; killed, it would leave them in the directory.
        // Not by the program `kill`, which a small system doesn't have.
        if let Some(pid) = i32::try_from(self.daemon.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.daemon.wait();
        if let Some(dir) = self.dir.take() {
            let path = dir.keep();
            if let Err(error) = std::fs::remove_dir_all(&path) {
                eprintln!("{} of a stopped builder stays behind: {error}", path.display());
            }
        }
    }
}
