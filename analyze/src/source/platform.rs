//! What an image runs on.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// Names that are used for one architecture, with the variant that they imply (containerd, `platforms/database.go`).
const ARCHITECTURES: &[(&str, &str, Option<&str>)] = &[
    ("x86_64", "amd64", None),
    ("x86-64", "amd64", None),
    ("i386", "386", None),
    ("aarch64", "arm64", None),
    ("armhf", "arm", Some("v7")),
    ("armel", "arm", Some("v6")),
];

/// An operating system, an architecture and perhaps its variant, such as `linux/arm/v7` (OCI image index specification,
/// `platform`).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Platform {
    /// As Go names it: `linux`, `windows`.
    #[serde(default)]
    pub os: String,
    /// As Go names it: `amd64`, `arm64`.
    #[serde(default)]
    pub architecture: String,
    /// Of the architecture: `v7`.
    pub variant: Option<String>,
}

impl Platform {
    /// Whether this platform is meant by `wanted`, which may leave the variant open.
    #[must_use]
    pub fn is(&self, wanted: &Self) -> bool {
        // Of an `arm` that says no more, v7 is meant.
        let variant = match (&self.variant, self.architecture.as_str()) {
            (None, "arm") => Some("v7"),
            (variant, _) => variant.as_deref(),
        };
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && (wanted.variant.is_none() || variant == wanted.variant.as_deref())
    }

    /// The one way to write it, of several that are in use; as containerd has it.
    fn normal(self) -> Self {
        let lower = |text: String| text.to_ascii_lowercase();
        let (mut os, mut architecture) = (lower(self.os), lower(self.architecture));
        let mut variant = self.variant.map(lower).filter(|variant| !variant.is_empty());
        if os == "macos" {
            os = "darwin".into();
        }
        if let Some((_, name, implied)) = ARCHITECTURES.iter().find(|(other, ..)| *other == architecture) {
            architecture = (*name).into();
            variant = implied.map(str::to_owned).or(variant);
        }
        variant = match (architecture.as_str(), variant.as_deref()) {
            // What each of them is anyway.
            ("arm64", Some("8" | "v8" | "8.0" | "v8.0")) | ("amd64", Some("v1")) | ("386", _) => None,
            ("arm" | "arm64", Some(digits)) if digits.starts_with(|c: char| c.is_ascii_digit()) => {
                Some(format!("v{digits}"))
            }
            _ => variant,
        };
        Self { os, architecture, variant }
    }

    /// As somebody else wrote it: normalized, and fit for a message.
    pub(crate) fn foreign(self) -> Self {
        let quoted = |text: String| super::error::quoted(&text);
        let Self { os, architecture, variant } = self;
        Self { os: quoted(os), architecture: quoted(architecture), variant: variant.map(quoted) }.normal()
    }

    /// Whether it says anything: attestations are of the platform `unknown/unknown`.
    pub(crate) fn is_known(&self) -> bool {
        !self.os.is_empty() && self.os != "unknown"
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match self.variant.as_deref().filter(|variant| !variant.is_empty()) {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split('/').map(str::to_owned);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(os), Some(architecture), variant, None) if !os.is_empty() && !architecture.is_empty() => {
                Ok(Self { os, architecture, variant }.normal())
            }
            _ => Err(format!("`{text}` is no platform; one looks like linux/amd64 or linux/arm/v7")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_variant_may_be_left_open() {
        let arm: Platform = "linux/arm/v7".parse().unwrap();
        assert_eq!(arm.to_string(), "linux/arm/v7");
        assert!(arm.is(&"linux/arm".parse().unwrap()));
        assert!(!arm.is(&"linux/arm64".parse().unwrap()));
        for bad in ["linux", "linux/", "/amd64", "a/b/c/d"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }

    #[test]
    fn one_name_for_each() {
        for (text, expected) in [
            ("linux/x86_64", "linux/amd64"),
            ("Linux/AMD64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm64/8", "linux/arm64"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/arm/7", "linux/arm/v7"),
            ("linux/arm", "linux/arm"),
            ("linux/i386", "linux/386"),
            ("macos/arm64", "darwin/arm64"),
        ] {
            let parsed: Platform = text.parse().unwrap();
            assert_eq!(parsed.to_string(), expected, "{text}");
            // The same of an index, in parts.
            let mut parts = text.split('/').map(str::to_owned);
            let (os, architecture) = (parts.next().unwrap(), parts.next().unwrap());
            assert_eq!(Platform { os, architecture, variant: parts.next() }.foreign(), parsed);
        }
        let arm = |text: &str| text.parse::<Platform>().unwrap();
        assert!(arm("linux/arm").is(&arm("linux/arm/v7")));
        assert!(!arm("linux/arm").is(&arm("linux/arm/v6")));
    }
}
