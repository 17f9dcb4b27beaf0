//! The one error type of the command line: what happened and where, and what to do about it.
//!
//! Printed as `error: …`, the lines that belong to it, and `hint: …` after a blank line.

use std::fmt;

/// Why a command could not do its work (exit code 2).
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    detail: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    /// `what` says what happened and where, in one line without a period.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), detail: Vec::new(), hint: None }
    }

    /// What the user can do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Lines of another program that explain the failure, shown as they are.
    pub(crate) fn detail(mut self, lines: Vec<String>) -> Self {
        self.detail = lines;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        for line in &self.detail {
            write!(f, "\n  {line}")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

/// Turns any error into a [`Failure`] that says what was being done.
pub(crate) trait During<T> {
    /// `doing` completes the sentence "cannot …".
    fn during(self, doing: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: fmt::Display> During<T> for Result<T, E> {
    fn during(self, doing: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|cause| Failure::new(format!("cannot {doing}: {cause}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_where_and_what_to_do() {
        let failure = Failure::new("no Dockerfile in `app`")
            .detail(vec!["looked at app/Dockerfile".into()])
            .hint("name another file with --file");
        assert_eq!(
            failure.to_string(),
            "no Dockerfile in `app`\n  looked at app/Dockerfile\n\nhint: name another file with --file"
        );
    }

    #[test]
    fn keeps_the_cause() {
        let result: Result<(), _> = Err("permission denied").during("read `a.toml`");
        assert_eq!(result.map_err(|e| e.to_string()), Err("cannot read `a.toml`: permission denied".into()));
    }
}
