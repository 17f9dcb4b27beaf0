//! What a root file system is: operating system, C library, architecture, interpreters.
//!
//! Read from the files of an image and never from its name. Base substitution compares the facts of the
//! original base with those of the master; the pip pass uses them to find an interpreter that can compile.

mod elf;
mod os;
mod python;
mod rootfs;

pub use elf::libc_of;
pub use os::{accounts, node_version, os_release, programs};
pub use python::{FingerprintError, find_pythons, fingerprint};
pub use rootfs::RootFs;

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Facts about one root file system, written by `plinth step probe` as [`Facts::FILE`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// [`Facts::FORMAT`] of the release that wrote it.
    pub format: u32,
    /// `ID` of `os-release`, such as `debian`; empty if there is none.
    pub os_id: String,
    /// `VERSION_ID` of `os-release`, such as `12`.
    pub os_version: String,
    /// C library family, by the dynamic loader that is there.
    pub libc: Libc,
    /// Python interpreters, the one that PATH finds as `python3` (or `python`) first.
    pub pythons: Vec<PythonFacts>,
    /// `X.Y.Z` of Node, if `node` is on PATH and its version can be read from its header files.
    pub node: Option<String>,
    /// Names in `/etc/passwd`.
    pub users: BTreeSet<String>,
    /// Names in `/etc/group`.
    pub groups: BTreeSet<String>,
    /// Names of the programs in the directories of PATH.
    pub programs: BTreeSet<String>,
}

impl Facts {
    /// Version of this document.
    pub const FORMAT: u32 = 2;
    /// Name of the file in the output directory of `plinth step probe`.
    pub const FILE: &str = "facts.json";

    /// Reads the facts of a root file system. Nothing of it is run, and no symlink leads out of it.
    ///
    /// `path_env` is the image's PATH. What is absent or can't be read is absent from the facts.
    pub fn read(root: &Path, path_env: &str) -> Self {
        let root = RootFs::new(root);
        let (os_id, os_version) = os_release(&root);
        Self {
            format: Self::FORMAT,
            os_id,
            os_version,
            libc: libc_of(&root),
            pythons: find_pythons(&root, path_env),
            node: node_version(&root, path_env),
            users: accounts(&root, "/etc/passwd"),
            groups: accounts(&root, "/etc/group"),
            programs: programs(&root, path_env),
        }
    }
}

/// C library family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Libc {
    /// GNU libc.
    Glibc,
    /// musl.
    Musl,
    /// No dynamic loader of either was found.
    None,
}

/// One interpreter, as its files tell it (nothing is run: the image may be of another architecture).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PythonFacts {
    /// Path by which it was found, such as `/usr/local/bin/python3`.
    pub path: String,
    /// The file behind it.
    pub physical: String,
    /// `X.Y`.
    pub minor: String,
    /// `sha256:…`, computed as for [`crate::resolution::Interpreter::fingerprint`].
    pub fingerprint: String,
}
