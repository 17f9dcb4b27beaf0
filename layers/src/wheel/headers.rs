//! The `Key: value` files of a wheel: WHEEL and METADATA.

use pep440_rs::Version;
use std::str::FromStr;

use super::{WheelError, name};

/// What WHEEL says that matters for installing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WheelFile {
    /// `Root-Is-Purelib`: the archive's root goes to `purelib`, otherwise to `platlib`.
    pub root_is_purelib: bool,
}

/// Parses WHEEL. `file` is its name for messages.
///
/// # Errors
/// A major version that this code does not know, or values that Python's mail parser, which installers use
/// here, would read in another way.
pub fn parse_wheel(file: &str, text: &str) -> Result<WheelFile, WheelError> {
    let version = single(file, text, "Wheel-Version")?
        .ok_or_else(|| WheelError::format(file, "has no Wheel-Version"))?;
    let mut numbers = version.trim().split('.').map(u32::from_str);
    match numbers.next() {
        Some(Ok(1)) if numbers.all(|n| n.is_ok()) => {}
        _ => return Err(WheelError::format(file, format!("Wheel-Version {version:?} is not 1.x"))),
    }
    let root_is_purelib = match single(file, text, "Root-Is-Purelib")? {
        Some(v) if v.eq_ignore_ascii_case("true") => true,
        Some(v) if v.eq_ignore_ascii_case("false") => false,
        Some(v) => {
            return Err(WheelError::format(file, format!("Root-Is-Purelib {v:?} is neither true nor false")));
        }
        None => false,
    };
    Ok(WheelFile { root_is_purelib })
}

/// Checks that METADATA is about the distribution that was resolved.
///
/// # Errors
/// Another name or version, or none.
pub fn check_metadata(
    file: &str,
    text: &str,
    expected_name: &str,
    expected_version: &str,
) -> Result<(), WheelError> {
    let get = |key| single(file, text, key)?.ok_or_else(|| WheelError::format(file, format!("has no {key}")));
    let (found_name, found_version) = (get("Name")?, get("Version")?);
    let (found_name, found_version) = (found_name.trim(), found_version.trim());
    if name::canonical(found_name) != name::canonical(expected_name) {
        return Err(WheelError::Mismatch {
            field: "name",
            expected: expected_name.into(),
            found: found_name.into(),
        });
    }
    let same = match (Version::from_str(found_version), Version::from_str(expected_version)) {
        (Ok(a), Ok(b)) => a == b,
        _ => found_version == expected_version,
    };
    if !same {
        return Err(WheelError::Mismatch {
            field: "version",
            expected: expected_version.into(),
            found: found_version.into(),
        });
    }
    Ok(())
}

/// The names in METADATA's `Requires-Dist`, as they are spelled there. `file` is its name for messages.
///
/// # Errors
/// A dependency whose name isn't in the header's own line.
pub fn required_names(file: &str, text: &str) -> Result<Vec<String>, WheelError> {
    let head = text.lines().take_while(|l| !l.is_empty());
    let values =
        head.filter_map(|l| l.split_once(':')).filter(|(k, _)| k.eq_ignore_ascii_case("Requires-Dist"));
    let name = |v: &str| -> String {
        v.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).collect()
    };
    let mut names: Vec<String> = values.map(|(_, v)| name(v)).collect();
    names.sort();
    names.dedup();
    if names.first().is_some_and(String::is_empty) {
        return Err(WheelError::format(file, "has a Requires-Dist without a name in its line"));
    }
    Ok(names)
}

/// What METADATA says of the distributions that this one needs, without what is for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// `Name`, as it is spelled there.
    pub name: String,
    /// `Version`, as it is spelled there.
    pub version: String,
    /// `Requires-Python`.
    pub python: Option<String>,
    /// The values of `Requires-Dist`, in order.
    pub requires: Vec<String>,
    /// The values of `Provides-Extra`, as they are spelled there.
    pub extras: Vec<String>,
}

/// Reads METADATA. `file` is its name for messages.
///
/// # Errors
/// No name, or no version, or one of them twice; a dependency or an extra over several lines.
pub fn needs(file: &str, text: &str) -> Result<Needs, WheelError> {
    let get = |key| single(file, text, key)?.ok_or_else(|| WheelError::format(file, format!("has no {key}")));
    let (mut requires, mut extras) = (Vec::new(), Vec::new());
    // Of the header before: what it is if it matters here.
    let mut before = None;
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            break;
        }
        if line.contains('\r') {
            return Err(WheelError::format(file, "has a line end of an unusual form"));
        }
        if line.starts_with([' ', '\t']) {
            // What it adds may be a marker. Of a text for people it is nothing to us.
            match before {
                Some(key) => return Err(WheelError::format(file, format!("{key} spans several lines"))),
                None => continue,
            }
        }
        // Anything else ends the headers.
        let Some((key, value)) = line.split_once(':') else { break };
        if key.bytes().any(|b| !b.is_ascii_graphic()) {
            break;
        }
        before =
            ["Requires-Dist", "Provides-Extra"].into_iter().find(|known| key.eq_ignore_ascii_case(known));
        match before {
            Some("Requires-Dist") => requires.push(value.trim().to_owned()),
            Some(_) => extras.push(value.trim().to_owned()),
            None => {}
        }
    }
    Ok(Needs {
        name: get("Name")?.trim().to_owned(),
        version: get("Version")?.trim().to_owned(),
        python: single(file, text, "Requires-Python")?.map(|value| value.trim().to_owned()),
        requires,
        extras,
    })
}

/// The value of a header that may occur once, in the block before the first empty line.
fn single<'a>(file: &str, text: &'a str, key: &str) -> Result<Option<&'a str>, WheelError> {
    let mut found = None;
    let mut continued = false;
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) {
            if continued {
                return Err(WheelError::format(file, format!("{key} spans several lines")));
            }
            continue;
        }
        let Some((k, v)) = line.split_once(':') else { break };
        continued = k.eq_ignore_ascii_case(key);
        if continued && found.replace(v.trim_start_matches([' ', '\t'])).is_some() {
            return Err(WheelError::format(file, format!("{key} occurs twice")));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn needs_of_a_distribution() {
        let text = "Metadata-Version: 2.1\nName: Foo.Bar\nVersion: 1.0\nRequires-Python: >=3.8\nSummary: x\n  y: z\n\
            Requires-Dist: a>=1\nrequires-dist: b; extra == 'x'\n\nRequires-Dist: c\n";
        let needs = needs("M", text).unwrap();
        assert_eq!((needs.name.as_str(), needs.version.as_str()), ("Foo.Bar", "1.0"));
        assert_eq!(needs.python.as_deref(), Some(">=3.8"));
        assert_eq!(needs.requires, ["a>=1", "b; extra == 'x'"]);
        let with = |lines: &str| super::needs("M", &format!("Name: x\nVersion: 1\n{lines}\n"));
        let folded = "License: a\n  b\nDescription: c\n \n  d: e\nProvides-Extra: x\nRequires-Dist: f\n";
        let found = with(folded).unwrap();
        assert_eq!((found.requires, found.extras), (vec!["f".to_owned()], vec!["x".to_owned()]));
        for bad in [
            "Requires-Dist: a\n  ; python_version < '3'\n",
            "requires-dist: a\r\n\t; extra == 'x'\r\n",
            "Requires-Dist:\n a\n",
            "Provides-Extra: x\n y\n",
            "Requires-Python: >=3\n ,<4\n",
            "Summary: a\rRequires-Dist: b\n",
        ] {
            assert!(with(bad).is_err(), "{bad:?}");
        }
        // The mail parser stops at what is no header.
        assert!(with("Requires-Dist : a\nRequires-Dist: b\n").unwrap().requires.is_empty());
        assert!(super::needs("M", "Name: x\n").is_err());
        assert!(super::needs("M", "Name: x\nVersion: 1\nVersion: 2\n").is_err());
    }

    #[test]
    fn wheel_versions() {
        let parse = |t: &str| parse_wheel("W", t);
        assert!(parse("Wheel-Version: 1.0\nRoot-Is-Purelib: true\n").unwrap().root_is_purelib);
        assert!(!parse("Wheel-Version: 1.9\r\nroot-is-purelib: False\r\n").unwrap().root_is_purelib);
        assert!(!parse("Wheel-Version: 1.0\n\nRoot-Is-Purelib: true\n").unwrap().root_is_purelib);
        for bad in [
            "Wheel-Version: 2.0\nRoot-Is-Purelib: true\n",
            "Root-Is-Purelib: true\n",
            "Wheel-Version: 1.x\n",
            "Wheel-Version: 1.0\nWheel-Version: 1.0\n",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true \n",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n false\n",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn requirements_keep_their_spelling() {
        let text = "Name: a\nRequires-Dist: Foo_Bar>=1\nrequires-dist: b.c [x] ; os_name == 'nt'\n\nRequires-Dist: no\n";
        assert_eq!(required_names("M", text).unwrap(), ["Foo_Bar", "b.c"]);
        assert!(required_names("M", "Name: a\nRequires-Dist: a\n ; os_name == 'nt'\n").is_ok());
        assert!(required_names("M", "Name: a\nRequires-Dist:\n Foo_Bar\n").is_err());
    }

    #[test]
    fn metadata_must_be_of_the_resolved_distribution() {
        let check = |n, v| check_metadata("M", "Metadata-Version: 2.1\nName: Foo.Bar\nVersion: 1.0\n", n, v);
        assert!(check("foo-bar", "1.0.0").is_ok());
        assert_eq!(
            check("foo", "1.0").unwrap_err().to_string(),
            "the wheel says it is name \"Foo.Bar\", but \"foo\" was resolved"
        );
        assert!(matches!(check("foo-bar", "1.1"), Err(WheelError::Mismatch { field: "version", .. })));
    }
}
