//! The plan that `uv pip install --dry-run -v` prints to its standard error.

use std::collections::BTreeMap;

use crate::pip::NotUnderstood;
use crate::wheel::name;

/// One line of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `+ name==version`.
    Install {
        /// Normalised name.
        name: String,
        /// Version.
        version: String,
        /// File name of the wheel that uv selected.
        filename: String,
    },
    /// `- name==version`.
    Remove {
        /// Normalised name.
        name: String,
        /// Version.
        version: String,
    },
}

/// What a dry run says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Version of uv.
    pub uv: String,
    /// The interpreter that uv installs for, as uv shows it.
    pub python: String,
    /// What it would do, in its order.
    pub changes: Vec<Change>,
}

impl Answer {
    /// Reads the output of a run that succeeded.
    ///
    /// # Errors
    /// [`NotUnderstood`] for any line of the plan that is not an install of a selected wheel or a removal, and if uv
    /// does not say what it is or which interpreter it found.
    pub fn parse(text: &str) -> Result<Self, NotUnderstood> {
        let refused = |what: &str| NotUnderstood::new(what);
        let (mut uv, mut python) = (None, None);
        let mut selected: BTreeMap<(String, String), &str> = BTreeMap::new();
        let mut lines = Vec::new();
        let mut planned = [None, None];
        let mut nothing = false;
        for line in text.lines() {
            if let Some(message) = line.strip_prefix("DEBUG ") {
                if let Some(rest) = message.strip_prefix("uv ") {
                    uv = rest.split(' ').next();
                } else if let Some(rest) = message.strip_prefix("Selecting: ") {
                    if let Some((name, version, file)) = selection(rest) {
                        selected.insert((name::canonical(name), version.to_owned()), file);
                    }
                } else if let Some(rest) = message.strip_prefix("Found `") {
                    python =
                        rest.split_once("` at `").and_then(|(_, rest)| rest.split_once('`')).map(|p| p.0);
                } else if let Some(rest) = message.strip_prefix("Checking for Python interpreter at path `") {
                    python = rest.strip_suffix('`');
                }
            } else if let Some(rest) = line.strip_prefix("Would install ") {
                planned[0] = count(rest);
            } else if let Some(rest) = line.strip_prefix("Would uninstall ") {
                planned[1] = count(rest);
            } else if line == "Would make no changes" {
                nothing = true;
            } else if line.starts_with(" + ") || line.starts_with(" - ") || line.starts_with(" ~ ") {
                lines.push(line);
            }
        }
        let uv = uv.ok_or_else(|| refused("a uv that doesn't say which release it is"))?.to_owned();
        let python =
            python.ok_or_else(|| refused("a uv that doesn't say which interpreter it found"))?.to_owned();
        let mut changes = Vec::new();
        for line in lines {
            let (sign, rest) = line.split_at(3);
            if rest.contains(" (from ") || rest.contains(" @ ") {
                return Err(refused("a requirement by URL, with uv"));
            }
            let (name, version) =
                rest.split_once("==").ok_or_else(|| refused("a uv plan of another form"))?;
            let plain = |text: &str| {
                !text.is_empty()
                    && text
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+' | b'!'))
            };
            if !plain(name) || !plain(version) {
                return Err(refused("a uv plan of another form"));
            }
            let (name, version) = (name::canonical(name), version.to_owned());
            changes.push(match sign {
                " + " => {
                    let file = selected.get(&(name.clone(), version.clone()));
                    let filename = file.filter(|file| file.ends_with(".whl"));
                    let filename = filename
                        .ok_or_else(|| NotUnderstood::new(format!("needs a source build: {name}")))?;
                    Change::Install { name, version, filename: (*filename).to_owned() }
                }
                " - " => Change::Remove { name, version },
                _ => return Err(refused("a reinstall by uv")),
            });
        }
        let installs = changes.iter().filter(|c| matches!(c, Change::Install { .. })).count();
        let counted = [installs, changes.len() - installs].map(|n| (n > 0).then_some(n));
        if counted != planned || nothing != changes.is_empty() {
            return Err(refused("a uv plan of another form"));
        }
        Ok(Self { uv, python, changes })
    }
}

/// `name==version [state] (file)`.
fn selection(text: &str) -> Option<(&str, &str, &str)> {
    let (what, rest) = text.split_once(" [")?;
    let (name, version) = what.split_once("==")?;
    let (_, file) = rest.split_once("] (")?;
    Some((name, version, file.strip_suffix(')')?))
}

/// The number in `N packages`.
fn count(text: &str) -> Option<usize> {
    text.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HEAD: &str = "DEBUG uv 0.13.8 (x86_64-unknown-linux-gnu)\n\
        DEBUG Found `cpython-3.11.7-linux-x86_64-gnu` at `/usr/local/bin/python` (first executable in the search path)\n\
        DEBUG Selecting: a-b==1.0 [compatible] (a_b-1.0-py3-none-any.whl)\n";

    #[test]
    fn a_plan_names_its_wheels() {
        let text = format!("{HEAD}Would download 1 package\nWould install 1 package\n + a-b==1.0\n");
        let answer = Answer::parse(&text).unwrap();
        assert_eq!((answer.uv.as_str(), answer.python.as_str()), ("0.13.8", "/usr/local/bin/python"));
        let filename = "a_b-1.0-py3-none-any.whl".to_owned();
        assert_eq!(answer.changes, [Change::Install { name: "a-b".into(), version: "1.0".into(), filename }]);
        let none = Answer::parse(&format!("{HEAD}Would make no changes\n")).unwrap();
        assert_eq!(none.changes, []);
    }

    #[test]
    fn other_plans_are_refused() {
        for (plan, reason) in [
            ("Would install 1 package\n + a-b==1.1\n", "needs a source build: a-b"),
            ("Would install 1 package\n + c==1.0\n", "needs a source build: c"),
            ("Would install 1 package\n + a-b==1.0 (from http://h/x.whl)\n", "a requirement by URL, with uv"),
            ("Would install 1 package\n ~ a-b==1.0\n", "a reinstall by uv"),
            ("Would install 2 packages\n + a-b==1.0\n", "a uv plan of another form"),
            (" + a-b==1.0\n", "a uv plan of another form"),
            ("Would install 1 package\n + a-b\n", "a uv plan of another form"),
            ("", "a uv plan of another form"),
        ] {
            assert_eq!(Answer::parse(&format!("{HEAD}{plan}")).unwrap_err().reason, reason, "{plan}");
        }
        assert!(Answer::parse("Would make no changes\n").unwrap_err().reason.contains("which release"));
    }
}
