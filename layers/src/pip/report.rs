//! pip's installation report, and which of its items can be assembled.

use serde::Deserialize;
use serde_json::Value;

use super::{NotUnderstood, has_credentials};
use crate::resolution::Distribution;

/// The parts of a report that are used; it is documented as format version 1.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// Format version; `0` is what pip 22 writes, with the same fields.
    pub version: String,
    /// What would be installed.
    pub install: Vec<ReportItem>,
}

/// One distribution of a report.
#[derive(Clone, Debug, Deserialize)]
pub struct ReportItem {
    /// Origin, in the form of PEP 610.
    pub download_info: Value,
    /// Requested by URL.
    pub is_direct: bool,
    /// Named by the user.
    pub requested: bool,
    /// Core metadata.
    pub metadata: ReportMetadata,
}

/// The two metadata fields that are used.
#[derive(Clone, Debug, Deserialize)]
pub struct ReportMetadata {
    /// `Name`.
    pub name: String,
    /// `Version`.
    pub version: String,
}

impl Report {
    /// Reads a report.
    ///
    /// # Errors
    /// [`NotUnderstood`] if it is no report, or of another format version.
    pub fn parse(text: &str) -> Result<Self, NotUnderstood> {
        let report: Self =
            serde_json::from_str(text).map_err(|_| NotUnderstood::new("a pip report of another form"))?;
        match report.version.as_str() {
            "0" | "1" => Ok(report),
            _ => Err(NotUnderstood::new("a pip report of another version")),
        }
    }
}

impl ReportItem {
    /// The wheel to install. `direct_url_is_origin` says that this pip writes `direct_url.json` from
    /// what it reports as the origin, which it does since 23.1. `secrets`: its address is not kept, so it may have
    /// anything in it.
    ///
    /// # Errors
    /// [`NotUnderstood`] if it is no wheel by http(s) URL or plain path, or its SHA-256 is not known.
    pub fn distribution(
        &self,
        direct_url_is_origin: bool,
        secrets: bool,
    ) -> Result<Distribution, NotUnderstood> {
        let name = &self.metadata.name;
        let refused = |what: &str| NotUnderstood::new(format!("{what}: {}", shown(name)));
        let info = &self.download_info;
        if info.get("vcs_info").is_some() || info.get("dir_info").is_some() {
            return Err(refused("needs a source build"));
        }
        let (Some(url), Some(archive)) = (info.get("url").and_then(Value::as_str), info.get("archive_info"))
        else {
            return Err(NotUnderstood::new("a pip report of another form"));
        };
        let url = url.split('#').next().unwrap_or_default();
        if has_credentials(url) && !secrets {
            return Err(NotUnderstood::new("the index needs credentials"));
        }
        if url.contains('?') && !secrets {
            // Signatures and tokens go there, and the URL becomes part of the build's provenance.
            return Err(refused("a wheel whose URL has a query"));
        }
        let lower = url.to_ascii_lowercase();
        let filename = super::percent_decode(
            url.split('?').next().unwrap_or_default().rsplit('/').next().unwrap_or_default(),
        );
        let Some(filename) = filename.filter(|name| name.to_ascii_lowercase().ends_with(".whl")) else {
            return Err(refused("needs a source build"));
        };
        if filename.contains(['/', '\0']) || filename.starts_with('.') || !filename.ends_with(".whl") {
            return Err(refused("a wheel of an unusual name"));
        }
        let web = lower.starts_with("https://") || lower.starts_with("http://");
        if !web && Distribution::local_path(url).is_none() {
            return Err(refused("a wheel that comes neither by http nor from a plain path"));
        }
        let direct_url = match (self.is_direct, direct_url_is_origin) {
            (false, _) => None,
            (true, true) => Some(sorted_json(info)),
            // It has another one.
            (true, false) => None,
        };
        let sha256 = sha256_of(archive).ok_or_else(|| refused("no SHA-256 known"))?;
        Ok(Distribution {
            name: name.clone(),
            version: self.metadata.version.clone(),
            filename,
            url: url.to_owned(),
            sha256,
            requested: self.requested,
            direct_url,
            spelling: None,
        })
    }
}

/// `hashes.sha256`, or the older `hash` of the form `sha256=…`.
fn sha256_of(archive: &Value) -> Option<String> {
    let new = archive.get("hashes").and_then(|hashes| hashes.get("sha256")).and_then(Value::as_str);
    let old = archive.get("hash").and_then(Value::as_str).and_then(|hash| hash.strip_prefix("sha256="));
    let digest = new.or(old)?.to_ascii_lowercase();
    (digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit())).then_some(digest)
}

/// JSON as Python's `json.dumps(…, sort_keys=True)` writes it: sorted keys, `, ` and `: `, ASCII only.
fn sorted_json(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort();
            let parts: Vec<_> =
                keys.iter().map(|key| format!("{}: {}", quoted(key), sorted_json(&map[*key]))).collect();
            format!("{{{}}}", parts.join(", "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(sorted_json).collect::<Vec<_>>().join(", "))
        }
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::from("\"");
    for unit in text.encode_utf16() {
        match unit {
            0x22 => out.push_str("\\\""),
            0x5c => out.push_str("\\\\"),
            0x08 => out.push_str("\\b"),
            0x09 => out.push_str("\\t"),
            0x0a => out.push_str("\\n"),
            0x0c => out.push_str("\\f"),
            0x0d => out.push_str("\\r"),
            0x20..=0x7e => out.push(char::from(unit as u8)),
            _ => {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out.push('"');
    out
}

/// A distribution name for a report.
fn shown(name: &str) -> &str {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if name.len() <= 100 && name.bytes().all(plain) { name } else { "(an unusual name)" }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn item(info: &str, direct: bool) -> ReportItem {
        serde_json::from_str(&format!(
            r#"{{"download_info": {info}, "is_direct": {direct}, "requested": true,
                 "metadata": {{"name": "X", "version": "1"}}}}"#
        ))
        .unwrap()
    }

    fn sha() -> String {
        "0123456789abcdef".repeat(4)
    }

    #[test]
    fn a_pinned_wheel_becomes_a_distribution() {
        let info = format!(
            r#"{{"url": "https://h/X-1%2Blocal-py3-none-any.whl", "archive_info": {{"hash": "sha256={0}", "hashes": {{"sha256": "{0}"}}}}}}"#,
            sha()
        );
        let got = item(&info, false).distribution(true, false).unwrap();
        assert_eq!(got.filename, "X-1+local-py3-none-any.whl");
        assert_eq!(got.url, "https://h/X-1%2Blocal-py3-none-any.whl");
        assert_eq!(got.sha256, sha());
        assert_eq!(got.direct_url, None);
        let got = item(&info, true).distribution(true, false).unwrap();
        assert_eq!(
            got.direct_url.unwrap(),
            format!(
                r#"{{"archive_info": {{"hash": "sha256={0}", "hashes": {{"sha256": "{0}"}}}}, "url": "https://h/X-1%2Blocal-py3-none-any.whl"}}"#,
                sha()
            )
        );
    }

    #[test]
    fn what_is_no_pinned_wheel_is_refused() {
        let archive = format!(r#""archive_info": {{"hashes": {{"sha256": "{}"}}}}"#, sha());
        for (info, reason) in [
            (format!(r#"{{"url": "https://h/x-1.tar.gz", {archive}}}"#), "needs a source build: X"),
            (r#"{"url": "https://h/x", "vcs_info": {}}"#.to_owned(), "needs a source build: X"),
            (r#"{"url": "file:///x", "dir_info": {}}"#.to_owned(), "needs a source build: X"),
            (
                format!(r#"{{"url": "file:///x/.cache/x-1-py3-none-any.whl", {archive}}}"#),
                "a wheel that comes neither by http nor from a plain path: X",
            ),
            (format!(r#"{{"url": "https://u@h/x.whl", {archive}}}"#), "the index needs credentials"),
            (r#"{"url": "https://h/x.whl", "archive_info": {}}"#.to_owned(), "no SHA-256 known: X"),
            (
                r#"{"url": "https://h/x.whl", "archive_info": {"hash": "md5=0"}}"#.into(),
                "no SHA-256 known: X",
            ),
            (format!(r#"{{"url": "https://h/..%2fx.whl", {archive}}}"#), "a wheel of an unusual name: X"),
            (format!(r#"{{"url": "https://h/x.whl?sig=0", {archive}}}"#), "a wheel whose URL has a query: X"),
            (r#"{}"#.to_owned(), "a pip report of another form"),
        ] {
            assert_eq!(item(&info, false).distribution(true, false).unwrap_err().reason, reason, "{info}");
        }
        let info = format!(r#"{{"url": "https://h/x.whl", {archive}}}"#);
        assert_eq!(item(&info, true).distribution(false, false).unwrap().direct_url, None);
    }

    #[test]
    fn json_is_written_as_python_writes_it() {
        let value = serde_json::json!({"b": [1, true, null], "a": "é\u{1f600}\"\\\n\u{7f}"});
        assert_eq!(
            sorted_json(&value),
            "{\"a\": \"\\u00e9\\ud83d\\ude00\\\"\\\\\\n\\u007f\", \"b\": [1, true, null]}"
        );
    }
}
