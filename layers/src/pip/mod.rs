//! pip: what a command line, its environment, its configuration and its requirements files mean.
//!
//! Everything here answers one question: is this `pip install` understood so exactly that its result can
//! be put together without running it? Whatever is not on a list is [`NotUnderstood`], and the step then
//! runs as written.

mod activate;
mod asked;
mod command;
mod env;
mod launcher;
mod named;
mod options;
mod report;
mod requirement;
mod requirements;

pub(crate) use activate::{STEERING, environment_of, is_activation};
pub use asked::Asked;
pub use command::{CacheDir, PipCommand, Program, Target, Tool};
pub(crate) use env::steers;
pub use env::{check_environment, network_variables};
pub use launcher::{Launcher, find_launcher};
pub use named::{Named, normalized};
pub use options::{Effect, OptionSpec};
pub use report::{Report, ReportItem};
pub use requirement::{check_requirement, names_local_wheel};
pub use requirements::{Files, FoundOptions, LocalFiles, read_requirements, requirement_lines};

/// The step is left as written, and this is why.
///
/// The text is one clause for a report: it names options and variables, never their values, since those
/// can hold credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NotUnderstood {
    /// The clause, such as `option --target`.
    pub reason: String,
}

impl NotUnderstood {
    /// A refusal with this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// Whether a URL, or a text that holds one, names a user: `scheme://user[:password]@host`.
///
/// A `${VARIABLE}` in that place counts as a user as well.
pub fn has_credentials(text: &str) -> bool {
    text.match_indices("://").any(|(at, separator)| {
        let rest = &text[at + separator.len()..];
        let end = rest.find(|c: char| matches!(c, '/' | '?' | '#') || c.is_whitespace());
        rest[..end.unwrap_or(rest.len())].contains('@')
    })
}

/// Decodes `%XX` in a segment of a URL's path; none if it isn't UTF-8, or no such encoding.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::has_credentials;

    #[test]
    fn credentials_are_seen_only_in_the_authority() {
        for url in ["https://u:p@h/simple", "x @ https://${TOKEN}@h", "a http://h/ https://u@h"] {
            assert!(has_credentials(url), "{url}");
        }
        for url in ["https://h/simple", "x @ https://h/a.whl", "https://h/p@1/x", "https://h?x@y", "a@b"] {
            assert!(!has_credentials(url), "{url}");
        }
    }
}
