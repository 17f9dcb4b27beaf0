//! A builder of this run's own: started with an empty cache, stopped and deleted with everything it stored.
//!
//! A cache that was not made here is never touched: the daemon gets a root directory, a socket and a copy of the
//! configuration of its own, and only what lies under that directory is unmounted and removed.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::buildctl::{Buildctl, find};
use crate::failure::{During as _, Failure};
use crate::ui;

/// How long a daemon may take to answer for the first time.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end by itself.
const STOP: Duration = Duration::from_secs(20);

/// A running daemon. Dropping it stops it and deletes its state.
pub(crate) struct Builder {
    child: Child,
    addr: String,
    state: Option<TempDir>,
}

impl Builder {
    /// Starts a daemon with an empty cache and waits until it answers. `config` is copied, not used in place.
    pub(crate) async fn start(buildctl: &Buildctl, config: Option<&Path>) -> Result<Self, Failure> {
        let program = find("buildkitd", "PLINTH_BUILDKITD")?;
        // A short name: a socket path has at most 107 bytes.
        let state = tempfile::Builder::new()
            .prefix("plinth-compare-")
            .tempdir()
            .during("make a directory for the builder's state")?;
        let text = match config {
            Some(path) => fs::read_to_string(path)
                .during(format!("read the builder's configuration `{}`", path.display()))?,
            None => String::new(),
        };
        let file = state.path().join("buildkitd.toml");
        fs::write(&file, configuration(&text)?).during("write the builder's configuration")?;
        let log = state.path().join("log");
        let out = File::create(&log).during("write the builder's log")?;
        let err = out.try_clone().during("write the builder's log")?;
        let addr = format!("unix://{}", state.path().join("sock").display());
        let child = Command::new(&program)
            .arg("--config")
            .arg(&file)
            .arg("--root")
            .arg(state.path().join("root"))
            .args(["--addr", &addr])
            .arg("--otel-socket-path")
            .arg(state.path().join("otel"))
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .during(format!("start `{}`", program.display()))?;
        let mut builder = Self { child, addr, state: Some(state) };
        let buildctl = buildctl.at(builder.addr.clone());
        let started = Instant::now();
        while !buildctl.answers().await {
            let ended = builder.child.try_wait().during("watch the builder")?;
            if ended.is_some() || started.elapsed() > START {
                return Err(Failure::new(match ended {
                    Some(status) => format!("the builder did not start (`{}`: {status})", program.display()),
                    None => format!("the builder does not answer after {} s", START.as_secs()),
                })
                .detail(tail(&log))
                .hint(
                    "buildkitd needs root and runc; or give two builders with --plain-addr and --plinth-addr",
                ));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(builder)
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> &str {
        &self.addr
    }

    fn ended_within(&mut self, limit: Duration) -> bool {
        let started = Instant::now();
        while started.elapsed() < limit {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            thread::sleep(Duration::from_millis(50));
        }
        false
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        // The group was made for the daemon, so its id is the daemon's.
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let (Some(group), Ok(None)) = (group, self.child.try_wait()) {
            // That it has just ended by itself is no error.
            let _ = kill_process_group(group, Signal::TERM);
            if !self.ended_within(STOP) {
                let _ = kill_process_group(group, Signal::KILL);
                self.ended_within(STOP);
            }
        }
        if let Some(state) = self.state.take() {
            unmount_under(state.path());
            let path = state.path().to_owned();
            if let Err(cause) = state.close() {
                ui::note(&format!(
                    "warning: cannot delete the builder's state `{}`: {cause}",
                    path.display()
                ));
            }
        }
    }
}

/// Unmounts what a daemon that had to be killed left mounted.
fn unmount_under(dir: &Path) {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for point in mounts_under(&table, dir) {
        let flags = rustix::mount::UnmountFlags::DETACH;
        if let Err(cause) = rustix::mount::unmount(&point, flags) {
            ui::note(&format!("warning: cannot unmount `{}`: {cause}", point.display()));
        }
    }
}

/// The mount points below `dir`, the last mounted first.
fn mounts_under(table: &str, dir: &Path) -> Vec<PathBuf> {
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(|point| {
        // The kernel writes these four characters as octal escapes.
        let point = point.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n");
        PathBuf::from(point.replace("\\134", "\\"))
    });
    let mut points: Vec<PathBuf> = points.filter(|point| point.starts_with(dir)).collect();
    points.reverse();
    points
}

/// The configuration for a daemon of our own: what `text` says, without the places that must not be shared, and
/// with a cache that is never collected while it is measured.
fn configuration(text: &str) -> Result<String, Failure> {
    use toml::{Table, Value};
    let mut config: Table = text.parse().during("read the builder's configuration")?;
    for shared in ["root", "grpc", "otel"] {
        config.remove(shared);
    }
    let worker = config.entry("worker").or_insert_with(|| Value::Table(Table::new()));
    let wrong = || Failure::new("the builder's configuration has a `worker` that is no table");
    let worker = worker.as_table_mut().ok_or_else(wrong)?;
    let mut containerd = Table::new();
    containerd.insert("enabled".into(), false.into());
    worker.insert("containerd".into(), containerd.into());
    let oci = worker.entry("oci").or_insert_with(|| Value::Table(Table::new()));
    let oci = oci.as_table_mut().ok_or_else(wrong)?;
    oci.insert("enabled".into(), true.into());
    oci.insert("gc".into(), false.into());
    if !oci.contains_key("snapshotter") {
        oci.insert("snapshotter".into(), "overlayfs".into());
    }
    toml::to_string(&config).during("write the builder's configuration")
}

fn tail(log: &Path) -> Vec<String> {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn shares_no_place_with_the_builder_it_is_copied_from() {
        let text = "root = \"/var/lib/buildkit\"\n[grpc]\naddress = [\"unix:///run/b.sock\"]\ndebugAddress = \"127.0.0.1:6060\"\n[worker.oci]\ngc = true\nnetworkMode = \"host\"\n[registry.\"r:5\"]\nhttp = true\n";
        let config: toml::Table = configuration(text).unwrap().parse().unwrap();
        let expected: toml::Table = "[worker.oci]\nenabled = true\ngc = false\nnetworkMode = \"host\"\nsnapshotter = \"overlayfs\"\n[worker.containerd]\nenabled = false\n[registry.\"r:5\"]\nhttp = true\n".parse().unwrap();
        assert_eq!(config, expected);
    }

    #[test]
    fn only_its_own_mounts_innermost_first() {
        let table = "30 1 8:1 / / rw - ext4 /dev/a rw\n31 30 0:1 / /t/x/root/a rw - overlay o rw\n32 31 0:2 / /t/x/root/a/b\\040c rw - overlay o rw\n33 30 0:3 / /t/xy/root rw - overlay o rw\n";
        let found = mounts_under(table, Path::new("/t/x"));
        assert_eq!(found, [PathBuf::from("/t/x/root/a/b c"), PathBuf::from("/t/x/root/a")]);
    }
}
