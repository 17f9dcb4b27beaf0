//! Which installs a script comes to, as far as the files that are known tell.
//!
//! A build follows scripts exactly, in the state of the step (`plinth_layers::script::walk`), and gives up at the first
//! thing that isn't understood. Here nothing is built, so guesses do: other commands succeed, and so do installs whose
//! requirement files are there.

use std::path::{Path, PathBuf};

use plinth_layers::pip::Asked;
use plinth_layers::script::{FileTest, Install, Node};

use super::absolute;
use super::view::View;
use crate::image::Origin;
use crate::shell::is_open;

/// An install that a script comes to.
pub(super) struct Reached {
    pub(super) install: Install,
    pub(super) asked: Option<Asked>,
    pub(super) cwd: PathBuf,
    /// The commands in front of it, as text.
    pub(super) before: String,
    /// It is sure to fail.
    pub(super) fails: bool,
    /// The requirement file that isn't there.
    pub(super) missing: Option<String>,
    /// Its failure is taken care of: `|| …`, a condition.
    pub(super) tolerated: bool,
}

/// What became of a script.
pub(super) struct Followed {
    pub(super) reached: Vec<Reached>,
    pub(super) success: bool,
    /// A condition that wasn't met, for people.
    pub(super) unmet: Option<String>,
}

/// Follows a script from the beginning.
pub(super) fn follow(script: &Node, view: &mut View<'_>) -> Followed {
    let mut walker = Walker {
        view,
        cwd: absolute(&view.image.workdir),
        before: String::new(),
        reached: Vec::new(),
        unmet: None,
        stops: false,
        tolerant: 0,
    };
    let success = match walker.node(script) {
        Ok(success) | Err(success) => success,
    };
    let Walker { reached, unmet, .. } = walker;
    Followed { reached, success, unmet }
}

struct Walker<'a, 'b> {
    view: &'a View<'b>,
    cwd: PathBuf,
    before: String,
    reached: Vec<Reached>,
    unmet: Option<String>,
    /// `set -e` is on.
    stops: bool,
    /// So many constructs around take note of a failure.
    tolerant: usize,
}

impl Walker<'_, '_> {
    /// The status of a node; an error is the status with which the script ends.
    fn node(&mut self, node: &Node) -> Result<bool, bool> {
        let success = match node {
            Node::Install(install) => self.install(install),
            Node::Test { test, path } => self.test(*test, path),
            Node::Status { success } => *success,
            Node::Exit { success } => return Err(*success),
            Node::StopOnFailure => {
                self.stops = true;
                true
            }
            Node::Cd { path } => {
                self.cwd = self.cwd.join(path);
                true
            }
            Node::Remove { .. } | Node::Activate { .. } => true,
            Node::Other { reason } => {
                self.before.push_str(reason);
                true
            }
            Node::Not { of } => {
                let status = self.tolerating(of)?;
                return Ok(!status);
            }
            Node::And { first, then } => match self.tolerating(first)? {
                true => return self.node(then),
                // `a && b`: that `a` fails ends nothing by itself, but the status is a failure.
                false => return Ok(false),
            },
            Node::Or { first, otherwise } => match self.tolerating(first)? {
                true => return Ok(true),
                false => return self.node(otherwise),
            },
            Node::Sequence { nodes } => {
                let mut status = true;
                for node in nodes {
                    status = self.node(node)?;
                }
                return Ok(status);
            }
            Node::If { condition, then, otherwise } => {
                return match (self.tolerating(condition)?, otherwise) {
                    (true, _) => self.node(then),
                    (false, Some(otherwise)) => self.node(otherwise),
                    (false, None) => Ok(true),
                };
            }
            Node::Subshell { of } => {
                let cwd = self.cwd.clone();
                let status = self.node(of).unwrap_or_else(|status| status);
                self.cwd = cwd;
                return Ok(status);
            }
        };
        if !success && self.stops && self.tolerant == 0 { Err(false) } else { Ok(success) }
    }

    fn tolerating(&mut self, node: &Node) -> Result<bool, bool> {
        self.tolerant += 1;
        let status = self.node(node);
        self.tolerant -= 1;
        status
    }

    fn install(&mut self, install: &Install) -> bool {
        let asked = Asked::of(&install.argv);
        let files =
            asked.iter().flat_map(|asked| asked.requirement_files.iter().chain(&asked.constraint_files));
        let is_missing = |file: &&String| {
            let path = self.cwd.join(file);
            !file.contains("://")
                && !is_open(file)
                && !file.starts_with("/dev/")
                && file.as_str() != "-"
                && matches!(self.view.origin(&path, &self.before), Origin::Missing | Origin::Directory)
        };
        let missing = files.into_iter().find(is_missing).cloned();
        let fails = missing.is_some();
        self.reached.push(Reached {
            install: install.clone(),
            asked,
            cwd: self.cwd.clone(),
            before: self.before.clone(),
            fails,
            missing,
            tolerated: self.tolerant > 0 && fails && !self.stops,
        });
        self.before.push_str(&install.argv.join(" "));
        self.before.push('\n');
        !fails
    }

    fn test(&mut self, test: FileTest, path: &str) -> bool {
        let origin = self.view.origin(&self.cwd.join(Path::new(path)), &self.before);
        let met = match (test, &origin) {
            // What nobody knows may be there.
            (_, Origin::Unknown) => true,
            (FileTest::Exists, origin) => *origin != Origin::Missing,
            (FileTest::Directory, origin) => *origin == Origin::Directory,
            (FileTest::File | FileTest::NotEmpty, origin) => {
                matches!(origin, Origin::Context(_))
            }
        };
        if !met {
            self.unmet.get_or_insert_with(|| format!("{path} is not there, so it comes to no install"));
        }
        met
    }
}
