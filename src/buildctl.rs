//! Talking to BuildKit by driving `buildctl`, which has the session, the file sync and the registry credentials
//! that there is no point in writing again.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

use crate::failure::{During as _, Failure};
use crate::trace::Trace;

/// A builder: which `buildctl`, and where the daemon listens.
#[derive(Clone, Debug)]
pub(crate) struct Buildctl {
    program: PathBuf,
    addr: Option<String>,
}

/// How one run of buildctl ended.
pub(crate) struct Run {
    /// Whether it exited with 0.
    pub(crate) ok: bool,
    /// Its standard output.
    pub(crate) stdout: String,
    /// Its progress.
    pub(crate) trace: Trace,
    /// When it was started, in seconds since the epoch.
    pub(crate) started: f64,
    /// From start to exit.
    pub(crate) took: Duration,
}

impl Buildctl {
    /// The `buildctl` of PLINTH_BUILDCTL or of PATH, for the builder at `addr` (none: buildctl's own default).
    pub(crate) fn new(addr: Option<String>) -> Result<Self, Failure> {
        Ok(Self { program: find("buildctl", "PLINTH_BUILDCTL")?, addr })
    }

    /// The same program for another builder.
    pub(crate) fn at(&self, addr: String) -> Self {
        Self { program: self.program.clone(), addr: Some(addr) }
    }

    fn command(&self, args: &[OsString]) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(addr) = &self.addr {
            command.arg("--addr").arg(addr);
        }
        // An own process group: Ctrl-C reaches this process first, which then ends the build in order.
        command.args(args).stdin(Stdio::null()).kill_on_drop(true).process_group(0);
        command
    }

    /// Whether a daemon answers.
    pub(crate) async fn answers(&self) -> bool {
        let mut command = self.command(&["debug".into(), "workers".into()]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        matches!(tokio::time::timeout(Duration::from_secs(5), command.status()).await, Ok(Ok(s)) if s.success())
    }

    /// Runs `buildctl build` with raw progress. `watch` sees the progress after each message.
    pub(crate) async fn build(
        &self,
        args: &[OsString],
        mut watch: impl FnMut(&Trace),
    ) -> Result<Run, Failure> {
        let mut all: Vec<OsString> = vec!["build".into(), "--progress".into(), "rawjson".into()];
        all.extend_from_slice(args);
        let doing = format!("run `{}`", self.program.display());
        let clock = Instant::now();
        let started = now();
        let mut child =
            self.command(&all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().during(&doing)?;
        let (Some(mut out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Failure::new(format!("cannot {doing}: its output is not connected")));
        };
        let stdout = async {
            let mut bytes = Vec::new();
            out.read_to_end(&mut bytes).await.map(|_| bytes)
        };
        let progress = async {
            let mut trace = Trace::default();
            let mut reader = BufReader::new(err);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).await? > 0 {
                trace.line(String::from_utf8_lossy(&line).trim_end());
                watch(&trace);
                line.clear();
            }
            Ok::<_, std::io::Error>(trace)
        };
        let (stdout, trace) = tokio::try_join!(stdout, progress).during(&doing)?;
        let status = child.wait().await.during(&doing)?;
        let took = clock.elapsed();
        Ok(Run {
            ok: status.success(),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            trace,
            started,
            took,
        })
    }
}

/// Seconds since the epoch.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// A program by the variable that names it, or on PATH.
pub(crate) fn find(name: &str, variable: &str) -> Result<PathBuf, Failure> {
    if let Some(path) = std::env::var_os(variable).filter(|value| !value.is_empty()) {
        return Ok(path.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| executable(file)).ok_or_else(|| {
        Failure::new(format!("there is no `{name}` on PATH"))
            .hint(format!("install BuildKit's `{name}`, or name it with {variable}"))
    })
}

fn executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// `--flag name=path` as two arguments, with any bytes in the path.
pub(crate) fn pair(flag: &str, name: &str, value: impl AsRef<OsStr>) -> [OsString; 2] {
    let mut joined = OsString::from(format!("{name}="));
    joined.push(value);
    [flag.into(), joined]
}
