//! The answer of a resolution: which distributions a step installs, with which interpreter and where.
//!
//! Written by `plinth step resolve` in the state before the step, read by the frontend and by the
//! payload and record steps. It is data of one build and not a stable format; [`Resolution::FORMAT`]
//! guards against a cache entry written by another release.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::steps::resolve::FoundProgram;
use crate::tree::is_plain;

/// What `plinth step resolve` found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// [`Resolution::FORMAT`] of the release that wrote it.
    pub format: u32,
    /// Assemble, or leave the step as written.
    pub outcome: Outcome,
    /// How the script came to it: see [`crate::script::walk()`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<bool>,
    /// Where its shell remembers to have found programs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<FoundProgram>,
    /// The script may go on after this install.
    #[serde(default)]
    pub more: bool,
}

impl Resolution {
    /// Version of this document. Part of the cache key of every step that reads it.
    pub const FORMAT: u32 = 3;
    /// Name of the file in the output directory of `plinth step resolve`.
    pub const FILE: &str = "resolution.json";

    /// An answer about one command, with nothing before or after it.
    #[must_use]
    pub fn of(outcome: Outcome) -> Self {
        Self { format: Self::FORMAT, outcome, events: Vec::new(), found: Vec::new(), more: false }
    }
}

/// The answers that a resolution has. An installer that fails is neither: the step that asked it fails, nothing
/// is cached, and the RUN runs as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    /// The step can be assembled from wheels.
    Assemble(Box<Plan>),
    /// The step must run as written.
    Refuse {
        /// One sentence for the report, without URLs, credentials or times.
        reason: String,
    },
    /// The script comes to its end without another install.
    End {
        /// Whether it succeeds.
        success: bool,
    },
}

/// Everything needed to build the layers of one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What goes into `INSTALLER`: `pip` or `uv`.
    pub installer: String,
    /// Version of that installer, such as `23.0.1`.
    pub installer_version: String,
    /// The interpreter that the installer runs under.
    pub interpreter: Interpreter,
    /// Install scheme of that interpreter (`sysconfig` names), logical paths.
    pub scheme: Scheme,
    /// Distributions to install, in the order in which the installer would install them.
    pub install: Vec<Distribution>,
    /// Installed distributions that the installer would remove first.
    pub remove: Vec<Removal>,
    /// `name version` of requirements found satisfied by what is there already.
    pub satisfied: Vec<String>,
    /// Files that the step leaves behind beside the distributions, and that are not there yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<LeftFile>,
    /// Options that say where the wheels are, for those that are fetched by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fetch_with: Vec<String>,
    /// Whether its versions are those of the fleet's lock; none if there is no lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<Locked>,
    /// What makes its byte code, if its own interpreter can't be run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compiler: Option<Compiler>,
}

/// The same release of Python as that of the step, for the machine that builds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compiler {
    /// The number of its image among those that were offered.
    pub image: usize,
    /// What it is.
    pub interpreter: Interpreter,
}

/// Whether a fleet's lock has versions for an install.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Locked {
    /// All that it installs is of the lock.
    Covered,
    /// It is resolved as without a lock.
    Outside {
        /// Why. One clause without its full stop.
        reason: String,
    },
}

impl Locked {
    pub(crate) fn outside(reason: &str) -> Self {
        Self::Outside { reason: reason.to_owned() }
    }
}

impl Plan {
    /// The interpreter that makes its byte code.
    #[must_use]
    pub fn compiled_by(&self) -> &Interpreter {
        self.compiler.as_ref().map_or(&self.interpreter, |compiler| &compiler.interpreter)
    }

    /// How its installer lays out wheels.
    #[must_use]
    pub fn layout(&self) -> Layout {
        if self.installer == "uv" { Layout::Uv } else { Layout::Pip }
    }

    /// Every place that the step writes to.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        let Scheme { purelib, platlib, headers, scripts, data } = &self.scheme;
        let left = self.left.iter().map(|left| left.path.as_str());
        [purelib, platlib, headers, scripts, data].into_iter().map(String::as_str).chain(left)
    }
}

/// A file that belongs to no distribution: the lock that uv makes for the environment that it installs into, or a file
/// into which the shell sends what an installer prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftFile {
    /// Absolute path, links resolved.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// What is in it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub content: String,
}

/// How the files of a wheel are laid out. uv and pip differ in byte code, in the modes of scripts, and in what they
/// do with unusual wheels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// As pip does, with byte code.
    #[default]
    Pip,
    /// As uv does, without byte code.
    Uv,
}

impl Layout {
    /// Whether it is pip's, which specifications don't mention.
    #[must_use]
    pub fn is_pip(&self) -> bool {
        *self == Self::Pip
    }
}

/// A Python interpreter as seen inside a root file system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Interpreter {
    /// `sys.executable`: what a generated script's shebang names, such as `/usr/local/bin/python3.11`.
    pub executable: String,
    /// The file behind it, with every symlink resolved.
    pub physical: String,
    /// `X.Y.Z`.
    pub version: String,
    /// `sys.implementation.cache_tag`, such as `cpython-311`.
    pub cache_tag: String,
    /// `SOABI`, such as `cpython-311-x86_64-linux-gnu`.
    pub abi: String,
    /// `importlib.util.MAGIC_NUMBER`, hexadecimal: the byte-code format.
    pub magic: String,
    /// `sha256:…` over the interpreter's executable and, if it is a shared build, its `libpython`.
    pub fingerprint: String,
}

/// Where the parts of a wheel go: the keys of the binary distribution format's `.data` directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scheme {
    /// Pure Python root.
    pub purelib: String,
    /// Platform-specific root; equal to `purelib` on most systems.
    pub platlib: String,
    /// Directory of headers; the distribution's name is appended by the installer.
    pub headers: String,
    /// Directory of scripts.
    pub scripts: String,
    /// Root of the `data` scheme: the prefix.
    pub data: String,
}

/// One wheel to install.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// Name as the installer reports it (metadata spelling).
    pub name: String,
    /// Version, PEP 440.
    pub version: String,
    /// File name of the wheel.
    pub filename: String,
    /// Where the installer would fetch it: by http or https, or from a file of the state before. Never holds credentials;
    /// empty if it could: then the wheel is to be found by name and version.
    pub url: String,
    /// Hexadecimal SHA-256 of the wheel.
    pub sha256: String,
    /// Named on the command line or in a requirements file: gets `REQUESTED`.
    pub requested: bool,
    /// Content of `direct_url.json` (PEP 610), for a requirement by URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct_url: Option<String>,
    /// How the requirement that asked for it spells it, where that is not `name`: the installer names the directory of
    /// its headers like that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spelling: Option<String>,
}

impl Distribution {
    /// Where it is in the state before the step, if it isn't fetched from elsewhere.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        Self::local_path(&self.url)
    }

    /// The path that a `file:` URL names, if it is plain.
    pub(crate) fn local_path(url: &str) -> Option<PathBuf> {
        let path = crate::pip::percent_decode(url.strip_prefix("file://")?)?;
        // What is below `.cache` in a plain build isn't there in an assembled one; what is below the others is this
        // process's own.
        let fine = is_plain(&path)
            && !path.chars().any(char::is_control)
            && !path.split('/').any(|part| part == ".cache")
            && !["/proc/", "/dev/", "/sys/", "/.plinth/"].iter().any(|place| path.starts_with(place));
        fine.then(|| path.into())
    }
}

/// One installed distribution that is removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// Name, metadata spelling.
    pub name: String,
    /// Installed version.
    pub version: String,
    /// Absolute path of its `.dist-info` directory.
    pub dist_info: String,
}
