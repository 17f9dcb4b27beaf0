//! What is installed: dpkg's status file (`deb-control(5)`, `dpkg-query(1)`), and which packages apt takes for
//! dependencies only (its extended states).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::facts::RootFs;

/// The packages of a root file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// By name and architecture.
    packages: BTreeMap<(String, String), Package>,
    /// Those that nobody asked for.
    automatic: BTreeSet<(String, String)>,
}

/// One package that dpkg knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its version; empty if it never was installed.
    pub version: String,
    /// What has become of it.
    pub condition: Condition,
}

/// What has become of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It is there, whole.
    Installed,
    /// The same, and it must stay at its version.
    Held,
    /// It isn't there; its configuration may be.
    Gone,
    /// Anything else: the words of the status file.
    Other(String),
}

/// Why the state of a root file system can't be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// dpkg has no status file here.
    #[error("there is no {STATUS} in the state before it")]
    Absent,
    /// dpkg was interrupted: what it did isn't in its status file yet.
    #[error("dpkg was interrupted in the state before it")]
    Interrupted,
    /// A file isn't as dpkg or apt writes it.
    #[error("{file} can't be read: {why}")]
    Unreadable {
        /// Which.
        file: &'static str,
        /// What is wrong in it.
        why: String,
    },
}

const STATUS: &str = "/var/lib/dpkg/status";
const JOURNAL: &str = "/var/lib/dpkg/updates";
const EXTENDED: &str = "/var/lib/apt/extended_states";
/// Neither file is larger, in bytes.
const LIMIT: u64 = 64 << 20;

impl State {
    /// Reads the state of a root file system.
    ///
    /// # Errors
    /// If a file isn't as dpkg and apt write it.
    pub fn read(root: &RootFs<'_>) -> Result<Self, StateError> {
        let unreadable = |file: &'static str| move |why: String| StateError::Unreadable { file, why };
        let read = |file: &'static str| match root.read(Path::new(file), LIMIT + 1) {
            Some(bytes) if bytes.len() as u64 > LIMIT => Err(unreadable(file)("it is too large".to_owned())),
            bytes => Ok(bytes),
        };
        if !root.names(Path::new(JOURNAL)).is_empty() {
            return Err(StateError::Interrupted);
        }
        let status = read(STATUS)?.ok_or(StateError::Absent)?;
        let packages = packages(&status).map_err(unreadable(STATUS))?;
        // Without the file, everything was asked for.
        let extended = read(EXTENDED)?.unwrap_or_default();
        let automatic = automatic(&extended).map_err(unreadable(EXTENDED))?;
        Ok(Self { packages, automatic })
    }

    /// A package of an architecture.
    #[must_use]
    pub fn package(&self, name: &str, architecture: &str) -> Option<&Package> {
        self.packages.get(&(name.to_owned(), architecture.to_owned()))
    }

    /// Whether apt takes a package for a dependency only.
    #[must_use]
    pub fn is_automatic(&self, name: &str, architecture: &str) -> bool {
        self.automatic.contains(&(name.to_owned(), architecture.to_owned()))
    }

    /// Whether a package is there, of any architecture.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let of_that_name =
            self.packages.range((name.to_owned(), String::new())..).take_while(|((n, _), _)| n == name);
        of_that_name
            .into_iter()
            .any(|(_, package)| matches!(package.condition, Condition::Installed | Condition::Held))
    }

    /// A package that is neither whole nor gone, and what dpkg says of it.
    #[must_use]
    pub fn unfinished(&self) -> Option<(&str, &str)> {
        self.packages.iter().find_map(|((name, _), package)| match &package.condition {
            Condition::Other(words) => Some((name.as_str(), words.as_str())),
            _ => None,
        })
    }
}

type Key = (String, String);

fn packages(text: &[u8]) -> Result<BTreeMap<Key, Package>, String> {
    let mut all = BTreeMap::new();
    for stanza in stanzas(text)? {
        let name = stanza.need("package")?;
        let architecture = stanza.get("architecture").unwrap_or_default();
        let condition = condition(stanza.need("status")?);
        let version = stanza.get("version").unwrap_or_default();
        if version.is_empty() && condition != Condition::Gone {
            return Err(format!("{name} has no version"));
        }
        let package = Package { version: version.to_owned(), condition };
        if all.insert((name.to_owned(), architecture.to_owned()), package).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    Ok(all)
}

fn automatic(text: &[u8]) -> Result<BTreeSet<Key>, String> {
    let mut all = BTreeSet::new();
    for stanza in stanzas(text)? {
        let name = stanza.need("package")?.to_owned();
        if stanza.get("auto-installed").is_none_or(|value| value != "0") {
            all.insert((name, stanza.get("architecture").unwrap_or_default().to_owned()));
        }
    }
    Ok(all)
}

/// `want flag state`, as in `install ok installed`.
fn condition(status: &str) -> Condition {
    match status.split_ascii_whitespace().collect::<Vec<_>>()[..] {
        ["install", "ok", "installed"] => Condition::Installed,
        ["hold", "ok", "installed"] => Condition::Held,
        [_, "ok", "not-installed" | "config-files"] => Condition::Gone,
        _ => Condition::Other(status.chars().filter(|c| !c.is_control()).take(80).collect()),
    }
}

/// Fields of one package, by their names in lower case. Of a field of several lines, the first one.
#[derive(Default)]
struct Stanza<'a>(BTreeMap<String, &'a str>);

impl<'a> Stanza<'a> {
    fn get(&self, field: &str) -> Option<&'a str> {
        self.0.get(field).copied()
    }

    fn need(&self, field: &str) -> Result<&'a str, String> {
        self.get(field).filter(|value| !value.is_empty()).ok_or_else(|| format!("a package has no {field}"))
    }
}

/// The fields that matter. What else there is may be in any encoding.
const FIELDS: &[&str] = &["package", "architecture", "status", "version", "auto-installed"];

fn stanzas(text: &[u8]) -> Result<Vec<Stanza<'_>>, String> {
    let mut all = Vec::new();
    let mut stanza = Stanza::default();
    let mut anything = false;
    for (number, line) in text.split(|b| *b == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            if std::mem::take(&mut anything) {
                all.push(std::mem::take(&mut stanza));
            }
            continue;
        }
        if line[0].is_ascii_whitespace() {
            if !anything {
                return Err(format!("line {} continues nothing", number + 1));
            }
            continue;
        }
        let colon = line.iter().position(|b| *b == b':');
        let colon = colon.ok_or_else(|| format!("line {} is no field", number + 1))?;
        anything = true;
        let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
        if FIELDS.contains(&name.as_str()) {
            let value = std::str::from_utf8(&line[colon + 1..])
                .map_err(|_| format!("line {} isn't UTF-8", number + 1))?;
            if stanza.0.insert(name, value.trim_ascii()).is_some() {
                return Err(format!("line {} repeats a field", number + 1));
            }
        }
    }
    if anything {
        all.push(stanza);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const STATUS: &str = "Package: curl\nStatus: install ok installed\nArchitecture: amd64\nVersion: 7.88\n\
        Description: a tool\n Status: deinstall ok config-files\n .\n\tVersion: 9\n\n\
        Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: same\nVersion: 2.36\n\n\n\
        Package: libc6\nStatus: hold ok installed\nArchitecture: i386\nVersion: 2.36\n\n\
        package: old\nSTATUS: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n\
        Package: wanted\nStatus: install ok not-installed\n\n\
        Package: broken\nStatus: install ok half-configured\nArchitecture: all\nVersion: 3\nMaintainer: \u{e9}";

    #[test]
    fn what_dpkg_knows() {
        let state = State { packages: packages(STATUS.as_bytes()).unwrap(), automatic: BTreeSet::new() };
        let condition = |name, arch| state.package(name, arch).map(|p| p.condition.clone());
        assert_eq!(condition("curl", "amd64"), Some(Condition::Installed));
        assert_eq!(state.package("curl", "amd64").unwrap().version, "7.88");
        assert_eq!(condition("libc6", "i386"), Some(Condition::Held));
        assert_eq!(condition("old", "all"), Some(Condition::Gone));
        assert_eq!(condition("wanted", ""), Some(Condition::Gone));
        assert_eq!(condition("curl", "i386"), None);
        assert_eq!(state.unfinished(), Some(("broken", "install ok half-configured")));
        assert!(state.has("libc6") && state.has("curl") && !state.has("old") && !state.has("lib"));
    }

    #[test]
    fn what_apt_installed_by_itself() {
        let text = "Package: a\nArchitecture: amd64\nAuto-Installed: 1\n\n\
            Package: b\nArchitecture: amd64\nAuto-Installed: 0\n\n\
            Package: c\nArchitecture: amd64\n";
        let found = automatic(text.as_bytes()).unwrap();
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        // What isn't said counts against the step.
        assert_eq!(names, ["a", "c"]);
        assert!(automatic(b"").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_status() {
        let latin = b"Package: a\nVersion: \xe9\n";
        for (text, wanted) in [
            (&b"Status: install ok installed\n"[..], "no package"),
            (b"Package: a\n", "no status"),
            (b"Package:\nStatus: install ok installed\n", "no package"),
            (b"Package: a\nStatus: install ok installed\n", "a has no version"),
            (b"Package: a\nPackage: b\n", "line 2 repeats"),
            (b"Package: a\nStatus\n", "line 2 is no field"),
            (b" continued\n", "line 1 continues nothing"),
            (latin, "line 2 isn't UTF-8"),
            (
                b"Package: a\nStatus: x ok config-files\n\nPackage: a\nStatus: install ok installed\nVersion: 1\n",
                "a is there twice",
            ),
        ] {
            let error = packages(text).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
        assert!(matches!(condition("install reinstreq half-installed"), Condition::Other(_)));
        assert!(matches!(condition("install ok installed x"), Condition::Other(_)));
        assert!(matches!(condition("deinstall ok installed"), Condition::Other(_)));
    }

    proptest! {
        #[test]
        fn no_file_is_too_strange(text in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = packages(&text);
            let _ = automatic(&text);
        }

        #[test]
        fn an_installed_package_says_so(lines in "(Package|Status|Version|X)(: )?(a|install ok installed|1|\n| )*") {
            if let Ok(found) = packages(lines.as_bytes())
                && found.values().any(|p| p.condition == Condition::Installed)
            {
                prop_assert!(lines.contains("Status: install ok installed"));
            }
        }
    }
}
