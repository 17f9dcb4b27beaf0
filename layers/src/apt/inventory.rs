//! The inventory of a master image (`docs/apt.md`).

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::facts::RootFs;

/// The program that writes an inventory: it runs in the step that installs the packages of a master, as the last part of
/// it that needs the lists of `apt-get update`. Nothing but a shell and apt's own programs are needed.
pub const INVENTORY_PROGRAM: &str = include_str!("inventory.sh");

/// What a master image says of its packages. Made when the image is built, in the step that installs them: what is
/// listed was tried then, and apt had nothing to do for it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Inventory {
    /// [`Inventory::FORMAT`] of the release that it is for.
    pub format: u32,
    /// The day of the archive that the packages are from.
    pub date: Date,
    /// `sha256:…` of every file that decides what apt chooses, by its path.
    pub files: BTreeMap<String, String>,
    /// The packages that are marked as asked for, at the version that was the candidate on that day.
    pub packages: Vec<Listed>,
}

/// A package of an inventory.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Listed {
    /// Its name, without an architecture.
    pub name: String,
    /// Architecture of the package: the image's, or `all`.
    pub architecture: String,
    /// The version that is installed, and was the candidate.
    pub version: String,
    /// What it recommends.
    pub recommends: Recommends,
}

/// The Recommends of a package, by the first name that meets each of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Recommends {
    /// Packages that meet one, and are installed.
    pub installed: Vec<String>,
    /// Names that nothing met, and that apt didn't install for a package that is there already.
    pub absent: Vec<String>,
}

/// A day, as `YYYY-MM-DD`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Date(String);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Date {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let right = text.len() == 10
            && text.bytes().enumerate().all(|(at, b)| match at {
                4 | 7 => b == b'-',
                _ => b.is_ascii_digit(),
            });
        if right { Ok(Self(text)) } else { Err("a day is written YYYY-MM-DD") }
    }
}

/// Why an inventory can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InventoryError {
    /// There is no such file.
    #[error("its base has no inventory at {}, though a label says so", Inventory::PATH)]
    Absent,
    /// It is for another release.
    #[error("the master's inventory has format {0}, which this release doesn't know")]
    Format(u64),
    /// It isn't what a master's build writes.
    #[error("the master's inventory can't be read: {0}")]
    Unreadable(String),
}

impl Inventory {
    /// Version of this document.
    pub const FORMAT: u32 = 1;
    /// Where it is in an image.
    pub const PATH: &str = "/usr/share/plinth/inventory.json";
    /// The label of an image that has one. Its value is the format.
    pub const LABEL: &str = "dev.plinth.inventory";
    /// No inventory is larger, in bytes.
    const LIMIT: u64 = 16 << 20;

    /// Reads the inventory of a root file system.
    ///
    /// # Errors
    /// If there is none, or it isn't understood.
    pub fn read(root: &RootFs<'_>) -> Result<Self, InventoryError> {
        let bytes = root.read(Path::new(Self::PATH), Self::LIMIT).ok_or(InventoryError::Absent)?;
        Self::parse(&bytes)
    }

    /// Reads the document.
    ///
    /// # Errors
    /// If it isn't understood.
    pub fn parse(bytes: &[u8]) -> Result<Self, InventoryError> {
        #[derive(Deserialize)]
        struct Versioned {
            format: u64,
        }
        let unreadable = |error: serde_json::Error| InventoryError::Unreadable(error.to_string());
        let Versioned { format } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if format != u64::from(Self::FORMAT) {
            return Err(InventoryError::Format(format));
        }
        let inventory: Self = serde_json::from_slice(bytes).map_err(unreadable)?;
        let mut names: Vec<&str> = inventory.packages.iter().map(|package| package.name.as_str()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(InventoryError::Unreadable(format!("it lists {} twice", pair[0]))),
            None => Ok(inventory),
        }
    }

    /// A package by its name.
    #[must_use]
    pub fn package(&self, name: &str) -> Option<&Listed> {
        self.packages.iter().find(|package| package.name == name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const GOOD: &str = r#"{"format": 1, "date": "2026-11-01", "files": {"/etc/apt/x": "sha256:00"}, "packages": [
        {"name": "g++", "architecture": "amd64", "version": "4:12", "recommends": {"installed": ["a"], "absent": []}}]}"#;

    #[test]
    fn what_a_master_says() {
        let inventory = Inventory::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(inventory.date.to_string(), "2026-11-01");
        assert_eq!(inventory.package("g++").unwrap().version, "4:12");
        assert_eq!(inventory.package("g"), None);
    }

    #[test]
    fn what_is_no_inventory() {
        for (from, to, wanted) in [
            ("\"format\": 1", "\"format\": 2", "has format 2"),
            ("\"format\": 1,", "", "missing field `format`"),
            ("2026-11-01", "1 November", "a day is written YYYY-MM-DD"),
            ("2026-11-01", "2026-11-\\u0000\\u0000", "a day is written YYYY-MM-DD"),
            ("\"version\": \"4:12\",", "", "missing field `version`"),
            ("}}]}", "}}", "can't be read"),
        ] {
            let error = Inventory::parse(GOOD.replace(from, to).as_bytes()).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        let twice = r#"{"name": "g++", "architecture": "all", "version": "1", "recommends": {"installed": [], "absent": []}}, "#;
        let error =
            Inventory::parse(GOOD.replacen(r#"{"name""#, &format!("{twice}{{\"name\""), 1).as_bytes());
        assert!(error.unwrap_err().to_string().contains("lists g++ twice"));
    }
}
