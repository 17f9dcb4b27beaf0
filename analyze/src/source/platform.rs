//! What an image runs on.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

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
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && (wanted.variant.is_none() || self.variant == wanted.variant)
    }

    /// As somebody else wrote it, fit for a message.
    pub(crate) fn quoted(self) -> Self {
        let quoted = |text: String| super::error::quoted(&text);
        let Self { os, architecture, variant } = self;
        Self { os: quoted(os), architecture: quoted(architecture), variant: variant.map(quoted) }
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
                Ok(Self { os, architecture, variant })
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
}
