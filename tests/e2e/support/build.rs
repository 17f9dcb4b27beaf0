//! One build, run by `buildctl`, on either side: plain, or through plinth.
//!
//! Both sides go through the same client, options and daemon. They differ in one build argument only,
//! `BUILDKIT_SYNTAX`, which is how people turn plinth on without editing a Dockerfile.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::env::Env;
use super::image::{Image, Layout};
use super::progress::Progress;

/// The fixed time of all builds that are compared: seconds since 1970.
pub(crate) const EPOCH: &str = "1700000000";

/// No build of these tests takes this long; one that does hangs.
const LIMIT: Duration = Duration::from_secs(300);

/// Which frontend builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// BuildKit's own.
    Plain,
    /// The one under test.
    Plinth,
}

impl Side {
    /// Both, plain first: what it leaves in the cache is what plinth may reuse.
    pub(crate) const BOTH: [Self; 2] = [Self::Plain, Self::Plinth];
}

/// What becomes of the result.
#[derive(Clone)]
enum Output {
    Nothing,
    Layout(String),
    Push(String),
    Local,
}

/// A build to be run.
#[derive(Clone)]
pub(crate) struct Build {
    host: String,
    args: Vec<OsString>,
    output: Output,
    limit: Duration,
    until: Vec<String>,
}

impl Build {
    /// A build of the Dockerfile in `context`, at the fixed time.
    pub(crate) fn new(env: &Env, side: Side, context: &Path) -> Self {
        let build = Self {
            host: env.host.clone(),
            args: Vec::new(),
            output: Output::Nothing,
            limit: LIMIT,
            until: Vec::new(),
        };
        let build = build
            .flag("--frontend", "dockerfile.v0")
            .local("context", context)
            .local("dockerfile", context)
            .arg("SOURCE_DATE_EPOCH", EPOCH);
        match (side, &env.frontend) {
            (Side::Plinth, Some(frontend)) => build.arg("BUILDKIT_SYNTAX", frontend),
            _ => build,
        }
    }

    /// A flag of buildctl.
    pub(crate) fn flag(mut self, flag: &str, value: impl Into<OsString>) -> Self {
        self.args.push(flag.into());
        self.args.push(value.into());
        self
    }

    /// An option of the frontend.
    pub(crate) fn opt(self, key: &str, value: &str) -> Self {
        self.flag("--opt", format!("{key}={value}"))
    }

    /// A build argument.
    pub(crate) fn arg(self, key: &str, value: &str) -> Self {
        self.opt(&format!("build-arg:{key}"), value)
    }

    /// A directory of the client.
    pub(crate) fn local(self, name: &str, dir: &Path) -> Self {
        let mut value = OsString::from(format!("{name}="));
        value.push(dir);
        self.flag("--local", value)
    }

    /// A named context that is a directory of the client.
    pub(crate) fn context(self, name: &str, dir: &Path) -> Self {
        let local = format!("named-{}", name.replace(['/', ':', '.'], "-"));
        self.opt(&format!("context:{name}"), &format!("local:{local}")).local(&local, dir)
    }

    /// A secret, read from a file.
    pub(crate) fn secret(self, id: &str, file: &Path) -> Self {
        self.flag("--secret", format!("id={id},src={}", file.display()))
    }

    /// On another builder.
    pub(crate) fn on(mut self, host: &str) -> Self {
        self.host = host.to_owned();
        self
    }

    /// For a build that may take longer than those of the tests.
    pub(crate) fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Ends the build a moment after one of these was named in its progress.
    pub(crate) fn until(mut self, names: &[String]) -> Self {
        self.until = names.to_vec();
        self
    }

    /// The result as an OCI layout, for [`Built::image`].
    pub(crate) fn layout(self) -> Self {
        self.layout_with("")
    }

    /// The same with further attributes of the exporter (`,name=value`).
    pub(crate) fn layout_with(mut self, attributes: &str) -> Self {
        self.output = Output::Layout(attributes.to_owned());
        self
    }

    /// The result pushed to the registry, as this reference.
    pub(crate) fn push(mut self, reference: &str) -> Self {
        self.output = Output::Push(reference.to_owned());
        self
    }

    /// The result's files in a directory.
    pub(crate) fn files(mut self) -> Self {
        self.output = Output::Local;
        self
    }

    /// Runs it.
    pub(crate) fn run(&self) -> Built {
        let dir = tempfile::Builder::new().prefix("plinth-e2e-out-").tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let mut command = Command::new("buildctl");
        command.arg("--addr").arg(&self.host).arg("build").arg("--progress=plain");
        command.arg("--trace").arg(at("trace")).arg("--metadata-file").arg(at("metadata"));
        command.args(&self.args);
        match &self.output {
            Output::Nothing => {}
            Output::Layout(attributes) => {
                let dest = at("out");
                let value = format!("type=oci,tar=false,dest={}{attributes}", dest.display());
                command.arg("--output").arg(value);
            }
            Output::Push(reference) => {
                command.arg("--output").arg(format!("type=image,name={reference},push=true"));
            }
            Output::Local => {
                command.arg("--output").arg(format!("type=local,dest={}", at("out").display()));
            }
        }
        command.stdin(Stdio::null());
        command.stdout(File::create(at("stdout")).unwrap());
        command.stderr(File::create(at("stderr")).unwrap());
        let started = Instant::now();
        let mut child =
            command.spawn().expect("buildctl isn't on the PATH: run hack/up and source .plinth/env");
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > self.limit {
                let _ = child.kill();
                let _ = child.wait();
                panic!("a build hangs; its log so far:\n{}", text(&at("stderr")));
            }
            let named = |trace: &str| self.until.iter().any(|name| trace.contains(name));
            if !self.until.is_empty() && named(&text(&at("trace"))) {
                // What belongs to it has a moment to be named too.
                std::thread::sleep(Duration::from_secs(3));
                let _ = child.kill();
                break child.wait().unwrap();
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        Built {
            code: status.code(),
            stdout: text(&at("stdout")),
            stderr: text(&at("stderr")),
            progress: Progress::read(&at("trace")),
            metadata: serde_json::from_str(&text(&at("metadata"))).unwrap_or_default(),
            dir,
        }
    }

    /// Runs it to an OCI layout, and gives its only image.
    ///
    /// # Panics
    /// If the build fails.
    pub(crate) fn image(&self) -> Image {
        self.clone().layout().run().ok().layout().image()
    }
}

/// A build that has been run.
pub(crate) struct Built {
    /// Exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// What buildctl printed: results of subrequests.
    pub(crate) stdout: String,
    /// Plain progress and, at the end, the error.
    pub(crate) stderr: String,
    /// The raw progress.
    pub(crate) progress: Progress,
    /// The exporter's answer.
    pub(crate) metadata: serde_json::Value,
    dir: TempDir,
}

impl Built {
    /// The same, of a build that succeeded.
    ///
    /// # Panics
    /// If it failed: with its log.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "the build failed:\n{}", self.stderr);
        self
    }

    /// The error of a build that had to fail: what follows the progress, without what differs from one run to the
    /// next of the same build (timings, names of snapshots).
    ///
    /// # Panics
    /// If it succeeded, or if it ended in another way than by an error.
    #[track_caller]
    pub(crate) fn error(&self) -> String {
        assert_eq!(self.code, Some(1), "the build should have failed with exit code 1:\n{}", self.stderr);
        let mut lines = Vec::new();
        for line in self.stderr.lines() {
            let progress = line
                .strip_prefix('#')
                .and_then(|rest| rest.split_once(' '))
                .is_some_and(|(number, _)| number.parse::<u32>().is_ok());
            let from_client = line.starts_with("time=\"");
            if !progress && !from_client && !line.trim().is_empty() {
                lines.push(without_snapshots(&without_time(line)));
            }
        }
        assert!(!lines.is_empty(), "a build that failed without a word:\n{}", self.stderr);
        lines.join("\n")
    }

    /// The layout that was asked for.
    pub(crate) fn layout(self) -> Layout {
        Layout::new(self.dir, "out")
    }

    /// The files that were asked for.
    pub(crate) fn files(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// Digest of the image, as the exporter says.
    pub(crate) fn digest(&self) -> String {
        self.metadata["containerimage.digest"].as_str().expect("no image digest in the metadata").to_owned()
    }
}

/// In the error, lines of a step's log start with the seconds since it began.
fn without_time(line: &str) -> String {
    match line.split_once(' ') {
        Some((time, rest)) if time.contains('.') && time.parse::<f64>().is_ok() => format!("T {rest}"),
        _ => line.to_owned(),
    }
}

/// A checksum that fails names the snapshot by two random identifiers: `ref ID::ID:`.
fn without_snapshots(line: &str) -> String {
    let Some(at) = line.find("checksum of ref ") else { return line.to_owned() };
    let (before, after) = line.split_at(at + "checksum of ref ".len());
    let rest = after.split_once(": ").map_or("", |(_, rest)| rest);
    format!("{before}REF: {rest}")
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
