//! Names of archive entries: only those that mean the same path to everybody.

use std::collections::BTreeSet;

use super::WheelError;

/// Checks the name of one entry (without the `/` that ends a directory's name).
///
/// # Errors
/// Absolute, empty or dotted components, backslashes, control characters and the prefix that image layers
/// reserve for deletions.
pub fn check(name: &str) -> Result<(), WheelError> {
    let bad = |why| Err(WheelError::Entry { name: name.to_owned(), why });
    if name.starts_with('/') {
        return bad("absolute path");
    }
    if name.contains('\0') {
        return bad("NUL in the path");
    }
    if name.contains('\\') {
        return bad("backslash in the path");
    }
    if name.chars().any(is_line_or_control) {
        return bad("control character or line separator in the path");
    }
    for component in name.split('/') {
        match component {
            "" => return bad("empty path component"),
            "." | ".." => return bad("'.' or '..' in the path"),
            c if c.starts_with(".wh.") => return bad("'.wh.' marks a deletion in image layers"),
            c if c.len() > 255 => return bad("path component longer than 255 bytes"),
            _ => {}
        }
    }
    Ok(())
}

/// Characters at which Python's `str.splitlines` breaks, and everything else that is invisible.
pub(crate) fn is_line_or_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Checks that no path occurs twice and none is both a file and a directory.
///
/// # Errors
/// Names the path that clashes.
pub fn check_clashes<'a>(
    files: impl IntoIterator<Item = &'a str>,
    directories: impl IntoIterator<Item = &'a str>,
) -> Result<(), WheelError> {
    let clash = |name: &str, why| Err(WheelError::Entry { name: name.to_owned(), why });
    let mut seen = BTreeSet::new();
    for file in files {
        if !seen.insert(file) {
            return clash(file, "the path occurs twice");
        }
    }
    for file in &seen {
        if ancestors(file).any(|a| seen.contains(a)) {
            return clash(file, "lies below a path that is a file");
        }
    }
    for directory in directories {
        if seen.contains(directory) || ancestors(directory).any(|a| seen.contains(a)) {
            return clash(directory, "is a file and a directory");
        }
    }
    Ok(())
}

/// The proper ancestors of a `/`-separated path, nearest first, without the root.
pub(crate) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = path;
    std::iter::from_fn(move || {
        let (parent, _) = rest.rsplit_once('/')?;
        rest = parent;
        (!parent.is_empty()).then_some(parent)
    })
}

/// Path of `target` relative to the directory `base`, both absolute and normal, as Python's `os.path.relpath`.
#[must_use]
pub fn relative(target: &str, base: &str) -> String {
    let t: Vec<&str> = target.split('/').filter(|c| !c.is_empty()).collect();
    let b: Vec<&str> = base.split('/').filter(|c| !c.is_empty()).collect();
    let common = t.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let up = std::iter::repeat_n("..", b.len() - common);
    let parts: Vec<&str> = up.chain(t[common..].iter().copied()).collect();
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

/// PEP 503 normal form of a distribution's name.
#[must_use]
pub fn canonical(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if matches!(c, '-' | '_' | '.') {
            if !out.ends_with('-') {
                out.push('-');
            }
        } else {
            out.extend(c.to_lowercase());
        }
    }
    out
}

/// Where Python keeps the byte code of the source file at `path` (PEP 3147), for one `cache_tag`.
#[must_use]
pub fn cache_path(path: &str, cache_tag: &str) -> String {
    let (head, tail) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = match tail.rsplit_once('.') {
        Some(("", rest)) => rest,
        Some((base, _)) => base,
        None => tail,
    };
    format!("{head}/__pycache__/{stem}.{cache_tag}.pyc")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_one_path_pass() {
        for name in ["a", "a/b.py", "a b/ü,\".txt", "..a/b..", "a/.hidden"] {
            assert!(check(name).is_ok(), "{name}");
        }
        for name in
            ["", "/a", "a//b", "a/../b", "..", "./a", "a\\b", "a\0b", "a\nb", "a\u{2028}", "a/.wh.b", "a/"]
        {
            assert!(check(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn relative_paths_are_those_of_python() {
        assert_eq!(relative("/u/l/bin/x", "/u/l/lib/p/sp"), "../../../bin/x");
        assert_eq!(relative("/u/l/lib/p/sp/a/b", "/u/l/lib/p/sp"), "a/b");
        assert_eq!(relative("/x", "/u"), "../x");
    }

    #[test]
    fn byte_code_paths() {
        assert_eq!(cache_path("/s/a.b.py", "cpython-311"), "/s/__pycache__/a.b.cpython-311.pyc");
        assert_eq!(cache_path("/s/.py", "cpython-311"), "/s/__pycache__/py.cpython-311.pyc");
    }

    #[test]
    fn clashes_are_found() {
        assert!(check_clashes(["a", "a"], []).is_err());
        assert!(check_clashes(["a", "a/b"], []).is_err());
        assert!(check_clashes(["a", "a-b", "a.b"], ["c"]).is_ok());
        assert!(check_clashes(["a/b"], ["a/b"]).is_err());
        assert!(check_clashes(["a/b"], ["a/b/c"]).is_err());
        assert!(check_clashes(["a/b/c"], ["a/b"]).is_ok());
    }
}
