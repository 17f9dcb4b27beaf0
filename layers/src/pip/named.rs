//! A requirement by name, taken apart (PEP 508).

use std::str::FromStr as _;

use pep508_rs::{Requirement, VerbatimUrl, VersionOrUrl};

/// The longest text that is taken for a requirement, in bytes.
const LONGEST: usize = 4096;

/// A requirement. Two that ask for the same have the same parts, however they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The distribution's name, normalized (PEP 503).
    pub name: String,
    /// The extras that are asked for, sorted.
    pub extras: Vec<String>,
    /// The version specifier (PEP 440), its parts sorted; empty: any version.
    pub specifier: String,
    /// The environment marker, if there is one.
    pub marker: Option<String>,
    /// The file is named by an address, which isn't kept.
    pub by_url: bool,
}

impl Named {
    /// Reads a requirement.
    ///
    /// # Errors
    /// Why pip would not take it. One clause without its full stop.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("a requirement of {} bytes", text.len()));
        }
        let first_line =
            |text: String| text.lines().next().unwrap_or_default().trim_end_matches('.').to_owned();
        let parsed =
            Requirement::<VerbatimUrl>::from_str(text).map_err(|error| first_line(error.to_string()))?;
        let mut extras: Vec<String> = parsed.extras.iter().map(ToString::to_string).collect();
        extras.sort();
        let (specifier, by_url) = match &parsed.version_or_url {
            None => (String::new(), false),
            Some(VersionOrUrl::VersionSpecifier(specifiers)) => {
                let mut parts: Vec<String> = specifiers.iter().map(ToString::to_string).collect();
                parts.sort();
                (parts.join(","), false)
            }
            Some(VersionOrUrl::Url(_)) => (String::new(), true),
        };
        let marker = parsed.marker.try_to_string();
        Ok(Self { name: parsed.name.to_string(), extras, specifier, marker, by_url })
    }

    /// As a requirement file would have it: the normal form.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.name.clone();
        if !self.extras.is_empty() {
            text.push_str(&format!("[{}]", self.extras.join(",")));
        }
        text.push_str(&self.specifier);
        if let Some(marker) = &self.marker {
            text.push_str(&format!("; {marker}"));
        }
        text
    }
}

/// The normal form of a requirement by name; none for one by address, and for what is none.
#[must_use]
pub fn normalized(text: &str) -> Option<String> {
    Named::parse(text).ok().filter(|named| !named.by_url).map(|named| named.text())
}

#[cfg(test)]
mod tests {
    use super::normalized;

    #[test]
    fn normal_forms() {
        for (text, wanted) in [
            ("Fast_API >= 0.1,<2", Some("fast-api<2,>=0.1")),
            ("uvicorn[standard,Dev]==0.2", Some("uvicorn[dev,standard]==0.2")),
            ("x ; python_version < \"3.9\"", Some("x; python_full_version < '3.9'")),
            ("x", Some("x")),
            ("x @ https://h/x.whl", None),
            ("a b", None),
        ] {
            assert_eq!(normalized(text).as_deref(), wanted, "{text}");
        }
    }
}
