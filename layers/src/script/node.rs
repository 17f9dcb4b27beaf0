//! The tree.

use serde::{Deserialize, Serialize};

/// A part of a script. Each ends with a status: success or failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Node {
    /// A command of an installer.
    Install(Install),
    /// `[ -f FILE ]` and the like.
    Test {
        /// What is asked of it.
        test: FileTest,
        /// The file, as it is written; relative to the working directory.
        path: String,
    },
    /// A command that changes nothing (`true`, `:`, `echo …`), with its status.
    Status {
        /// Whether it succeeds.
        success: bool,
    },
    /// `cd DIRECTORY`.
    Cd {
        /// The directory, as it is written; without `..`.
        path: String,
    },
    /// `rm -rf PATH…`, which does nothing where none of them is there: what an install leaves behind elsewhere is often
    /// removed like that.
    Remove {
        /// The paths, as they are written; without `..`.
        paths: Vec<String>,
    },
    /// `. DIRECTORY/bin/activate`: the commands after it run in a virtual environment.
    Activate {
        /// The script, as it is written: with a `/` in it, and without `..`.
        path: String,
    },
    /// `set -e`: from here on, a command that fails ends the script.
    StopOnFailure,
    /// `exit 0`, `exit 1`.
    Exit {
        /// Whether the status is success.
        success: bool,
    },
    /// `! …`
    Not {
        /// What is negated.
        of: Box<Node>,
    },
    /// `… && …`
    And {
        /// Runs first.
        first: Box<Node>,
        /// Runs if it succeeded.
        then: Box<Node>,
    },
    /// `… || …`
    Or {
        /// Runs first.
        first: Box<Node>,
        /// Runs if it failed.
        otherwise: Box<Node>,
    },
    /// `…; …`
    Sequence {
        /// One after the other.
        nodes: Vec<Node>,
    },
    /// `if …; then …; else …; fi`; an `elif` is an `if` in the place of the `else`.
    If {
        /// What decides.
        condition: Box<Node>,
        /// Runs if it succeeded.
        then: Box<Node>,
        /// Runs if it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        otherwise: Option<Box<Node>>,
    },
    /// `( … )`: a working directory and an `exit` stay inside.
    Subshell {
        /// What runs in it.
        of: Box<Node>,
    },
    /// A command that is not understood: a walk that gets here ends.
    Other {
        /// Why. One sentence without its full stop.
        reason: String,
    },
}

/// A command of an installer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Install {
    /// The command as the kernel gets it.
    pub argv: Vec<String>,
    /// Literal beginnings of the words that a shell would match against file names: the arguments hold only if no file
    /// begins like that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub globs: Vec<String>,
    /// Files that the shell opens for its standard output, in order, in the working directory: what it prints is in
    /// the last of them, the others are empty. An unquoted `a>=1` gives the file `=1`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
}

impl Install {
    /// A command as it stands.
    #[must_use]
    pub fn new(argv: Vec<String>) -> Self {
        Self { argv, globs: Vec::new(), outputs: Vec::new() }
    }
}

/// What `[` asks of a file. A symbolic link is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileTest {
    /// `-e`: it is there.
    Exists,
    /// `-f`: it is a regular file.
    File,
    /// `-d`: it is a directory.
    Directory,
    /// `-s`: it is there and not empty.
    NotEmpty,
}

impl Node {
    /// All commands of installers in it, in the order in which they are written.
    #[must_use]
    pub fn installs(&self) -> Vec<&Install> {
        let mut all = Vec::new();
        self.collect(&mut all);
        all
    }

    /// Puts another node in the place of each command of an installer.
    #[must_use]
    pub fn map_installs(self, change: &mut dyn FnMut(Install) -> Self) -> Self {
        let mut within = |node: Box<Self>| Box::new(node.map_installs(change));
        match self {
            Self::Not { of } => Self::Not { of: within(of) },
            Self::Subshell { of } => Self::Subshell { of: within(of) },
            Self::And { first, then } => Self::And { first: within(first), then: within(then) },
            Self::Or { first, otherwise } => Self::Or { first: within(first), otherwise: within(otherwise) },
            Self::If { condition, then, otherwise } => {
                let (condition, then) = (within(condition), within(then));
                Self::If { condition, then, otherwise: otherwise.map(within) }
            }
            Self::Sequence { nodes } => {
                Self::Sequence { nodes: nodes.into_iter().map(|node| node.map_installs(change)).collect() }
            }
            Self::Install(install) => change(install),
            other => other,
        }
    }

    /// Whether it activates a virtual environment somewhere.
    #[must_use]
    pub fn activates(&self) -> bool {
        match self {
            Self::Activate { .. } => true,
            Self::Not { of } | Self::Subshell { of } => of.activates(),
            Self::And { first, then: second } | Self::Or { first, otherwise: second } => {
                first.activates() || second.activates()
            }
            Self::Sequence { nodes } => nodes.iter().any(Self::activates),
            Self::If { condition, then, otherwise } => {
                condition.activates() || then.activates() || otherwise.iter().any(|node| node.activates())
            }
            Self::Install(_)
            | Self::Test { .. }
            | Self::Status { .. }
            | Self::Cd { .. }
            | Self::Remove { .. }
            | Self::StopOnFailure
            | Self::Exit { .. }
            | Self::Other { .. } => false,
        }
    }

    fn collect<'a>(&'a self, all: &mut Vec<&'a Install>) {
        match self {
            Self::Install(install) => all.push(install),
            Self::Not { of } | Self::Subshell { of } => of.collect(all),
            Self::And { first, then: second } | Self::Or { first, otherwise: second } => {
                first.collect(all);
                second.collect(all);
            }
            Self::Sequence { nodes } => nodes.iter().for_each(|node| node.collect(all)),
            Self::If { condition, then, otherwise } => {
                condition.collect(all);
                then.collect(all);
                otherwise.iter().for_each(|node| node.collect(all));
            }
            Self::Test { .. }
            | Self::Status { .. }
            | Self::Cd { .. }
            | Self::Remove { .. }
            | Self::Activate { .. }
            | Self::StopOnFailure
            | Self::Exit { .. }
            | Self::Other { .. } => {}
        }
    }
}
