//! What a person should look at.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The build fails, or does something other than what is written.
    Error,
    /// It builds, but hardly as it was meant.
    Warning,
}

/// What kind of finding it is. The names in JSON stay the same from release to release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A Dockerfile that BuildKit can't parse.
    DockerfileUnreadable,
    /// A COPY or ADD of something that isn't in the build context.
    CopyMissing,
    /// The build context that a compose or bake file names isn't there.
    ContextMissing,
    /// The Dockerfile that a compose or bake file names isn't there.
    DockerfileMissing,
    /// A target that the Dockerfile has no stage for.
    TargetMissing,
    /// Stages that copy from one another in a circle.
    StageCycle,
    /// A base image whose name depends on a variable without a value.
    BaseUnresolved,
    /// A compose or bake file that can't be read.
    BuildFileUnreadable,
    /// `pip install a>=1` without quotes: the shell takes `>` as a redirection.
    ShellRedirect,
    /// A requirement file that an install names and that isn't there.
    RequirementsMissing,
    /// A line of a requirement file that pip would not accept.
    RequirementMalformed,
    /// A requirement file that includes itself, or is over a limit.
    RequirementsUnreadable,
    /// A package that one file or command names more than once.
    RequirementTwice,
    /// A module of the standard library as a requirement: the package of that name is another one, if there is any.
    StandardLibrary,
    /// The last stage looks like a test stage, and nothing names a target.
    TestStageLast,
    /// A link that leads out of the tree that was scanned; it isn't followed.
    LinkOutside,
    /// A file over the size that is read.
    TooLarge,
    /// Two policies for one service, of which a build takes the first.
    PolicyTwice,
}

impl Kind {
    /// How bad findings of this kind are.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::DockerfileUnreadable
            | Self::CopyMissing
            | Self::ContextMissing
            | Self::DockerfileMissing
            | Self::TargetMissing
            | Self::StageCycle
            | Self::ShellRedirect
            | Self::RequirementsMissing
            | Self::RequirementMalformed
            | Self::RequirementsUnreadable
            | Self::TooLarge => Severity::Error,
            Self::BaseUnresolved
            | Self::BuildFileUnreadable
            | Self::RequirementTwice
            | Self::StandardLibrary
            | Self::TestStageLast
            | Self::LinkOutside
            | Self::PolicyTwice => Severity::Warning,
        }
    }

    /// The name that JSON has.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DockerfileUnreadable => "dockerfile-unreadable",
            Self::CopyMissing => "copy-missing",
            Self::ContextMissing => "context-missing",
            Self::DockerfileMissing => "dockerfile-missing",
            Self::TargetMissing => "target-missing",
            Self::StageCycle => "stage-cycle",
            Self::BaseUnresolved => "base-unresolved",
            Self::BuildFileUnreadable => "build-file-unreadable",
            Self::ShellRedirect => "shell-redirect",
            Self::RequirementsMissing => "requirements-missing",
            Self::RequirementMalformed => "requirement-malformed",
            Self::RequirementsUnreadable => "requirements-unreadable",
            Self::RequirementTwice => "requirement-twice",
            Self::StandardLibrary => "standard-library",
            Self::TestStageLast => "test-stage-last",
            Self::LinkOutside => "link-outside",
            Self::TooLarge => "too-large",
            Self::PolicyTwice => "policy-twice",
        }
    }
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Finding {
    /// The file, relative to the tree that was scanned.
    pub file: String,
    /// Its line, counted from 1; none where it is about the file as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// How bad it is.
    pub severity: Severity,
    /// What kind.
    pub kind: Kind,
    /// What is wrong and what to do, as a sentence without its full stop.
    pub message: String,
}

impl Finding {
    /// A finding in a line of a file.
    pub(crate) fn new(kind: Kind, file: &str, line: Option<usize>, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, severity: kind.severity(), kind, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}
