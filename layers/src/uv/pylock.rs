//! Addresses and checksums of wheels, from the lock file (PEP 751) that `uv pip compile` writes for exact pins.

use serde::Deserialize;

use crate::pip::{NotUnderstood, has_credentials, percent_decode};
use crate::wheel::name;

/// A wheel of a lock file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedWheel {
    /// Normalised name of its distribution.
    pub name: String,
    /// Version of its distribution.
    pub version: String,
    /// File name.
    pub filename: String,
    /// Where it is, by http or https and without a user.
    pub url: String,
    /// Hexadecimal SHA-256.
    pub sha256: String,
    /// Bytes, if the index says so.
    pub size: Option<u64>,
}

#[derive(Deserialize)]
struct Lock {
    #[serde(rename = "lock-version")]
    version: String,
    #[serde(default)]
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: Option<String>,
    #[serde(default)]
    wheels: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    url: Option<String>,
    size: Option<u64>,
    #[serde(default)]
    hashes: Hashes,
}

#[derive(Default, Deserialize)]
struct Hashes {
    sha256: Option<String>,
}

/// All wheels of a lock file that can be fetched by URL and checksum; others are left out.
///
/// # Errors
/// [`NotUnderstood`] if it is no lock file of version 1, or if an address names a user.
pub fn parse_pylock(text: &str) -> Result<Vec<LockedWheel>, NotUnderstood> {
    let other = || NotUnderstood::new("a uv lock of another form");
    let lock: Lock = toml::from_str(text).map_err(|_| other())?;
    if lock.version != "1.0" {
        return Err(other());
    }
    let mut wheels = Vec::new();
    for package in lock.packages {
        let Some(version) = package.version else { continue };
        for file in package.wheels {
            let (Some(url), Some(sha256)) = (file.url, file.hashes.sha256) else { continue };
            if has_credentials(&url) {
                return Err(NotUnderstood::new("the index needs credentials"));
            }
            let plain = url.split('#').next().unwrap_or_default().to_owned();
            let http = plain.starts_with("http://") || plain.starts_with("https://");
            // A query can hold a token, and an operation's address ends up in provenance.
            if plain.contains('?') {
                return Err(NotUnderstood::new("a wheel whose URL has a query"));
            }
            let Some(filename) = percent_decode(plain.rsplit('/').next().unwrap_or_default()) else {
                continue;
            };
            let sane =
                filename.ends_with(".whl") && !filename.contains(['/', '\0']) && !filename.starts_with('.');
            let digest = sha256.len() == 64 && sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            if http && sane && digest {
                let name = name::canonical(&package.name);
                let version = version.clone();
                wheels.push(LockedWheel { name, version, filename, url: plain, sha256, size: file.size });
            }
        }
    }
    Ok(wheels)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn wheels_by_url_and_checksum() {
        let sha = "0123456789abcdef".repeat(4);
        let text = format!(
            "lock-version = \"1.0\"\n[[packages]]\nname = \"A_b\"\nversion = \"1.0+x\"\nwheels = [\
             {{ url = \"http://h/p/a_b-1.0%2Bx-py3-none-any.whl\", size = 7, hashes = {{ sha256 = \"{sha}\" }} }},\
             {{ url = \"http://h/none.whl\" }}, {{ path = \"x.whl\", hashes = {{ sha256 = \"{sha}\" }} }}]\n"
        );
        let wheels = parse_pylock(&text).unwrap();
        assert_eq!(wheels.len(), 1);
        assert_eq!((wheels[0].name.as_str(), wheels[0].version.as_str()), ("a-b", "1.0+x"));
        assert_eq!(wheels[0].filename, "a_b-1.0+x-py3-none-any.whl");
        assert_eq!(wheels[0].sha256, sha);
        assert_eq!(wheels[0].size, Some(7));
        let user = text.replace("http://h/p/", "http://u:p@h/p/");
        assert_eq!(parse_pylock(&user).unwrap_err().reason, "the index needs credentials");
        assert!(parse_pylock(&text.replace("\"1.0\"\n[[", "\"2.0\"\n[[")).is_err());
        assert!(parse_pylock("x").is_err());
    }
}
