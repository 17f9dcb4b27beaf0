//! What a run of pip leaves behind beside what it was asked for: byte code of modules that it imported itself, and its
//! download cache. Paths are those of an archive, without a `/` at either end.

/// The source that a `.pyc` in a `__pycache__` is made from (PEP 3147 and 488); none: the path is no such byte code.
#[must_use]
pub fn source_of(path: &[u8]) -> Option<Vec<u8>> {
    let (directory, name) = split_last(path, b'/').filter(|(directory, _)| is_cache_directory(directory))?;
    let stem = name.strip_suffix(b".pyc").filter(|stem| !stem.starts_with(b".wh."))?;
    // `test_x.cpython-311-pytest-7.4.0`: pytest adds its own version to the interpreter's tag.
    const PYTEST: &[u8] = b"-pytest-";
    let end = stem.windows(PYTEST.len()).position(|window| window == PYTEST).unwrap_or(stem.len());
    let (mut module, tag) = split_last(&stem[..end], b'.')?;
    if tag.starts_with(b"opt-") {
        module = split_last(module, b'.')?.0;
    }
    let mut source = split_last(directory, b'/').map(|(above, _)| [above, b"/"].concat()).unwrap_or_default();
    source.extend_from_slice(module);
    source.extend_from_slice(b".py");
    Some(source)
}

/// Whether a path is a directory that interpreters keep byte code in.
#[must_use]
pub fn is_cache_directory(path: &[u8]) -> bool {
    name(path) == b"__pycache__"
}

/// Whether a path is, or lies in, the download cache of pip in anybody's home directory. Deletions are not in it.
#[must_use]
pub fn in_pip_cache(path: &[u8]) -> bool {
    let parts: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
    parts.windows(2).any(|pair| pair == [&b".cache"[..], &b"pip"[..]]) && !name(path).starts_with(b".wh.")
}

/// The directory that a path is in; none at the top.
#[must_use]
pub fn parent(path: &[u8]) -> Option<&[u8]> {
    split_last(path, b'/').map(|(parent, _)| parent)
}

fn name(path: &[u8]) -> &[u8] {
    split_last(path, b'/').map_or(path, |(_, name)| name)
}

fn split_last(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().rposition(|&b| b == byte)?;
    Some((&text[..at], &text[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_code_and_its_source() {
        let of = |path: &str| source_of(path.as_bytes()).map(|s| String::from_utf8_lossy(&s).into_owned());
        assert_eq!(of("a/__pycache__/b.cpython-311.opt-1.pyc").as_deref(), Some("a/b.py"));
        assert_eq!(of("__pycache__/b.cpython-311.pyc").as_deref(), Some("b.py"));
        assert_eq!(of("t/__pycache__/test_b.cpython-311-pytest-7.4.0.pyc").as_deref(), Some("t/test_b.py"));
        assert_eq!(of("a/__pycache__/b-1.2.cpython-311.pyc").as_deref(), Some("a/b-1.2.py"));
        for none in
            ["a/b.pyc", "a/__pycache__/b.py", "a/__pycache__/.wh.b.cpython-311.pyc", "__pycache__", "a"]
        {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn download_caches() {
        for inside in ["root/.cache/pip", "root/.cache/pip/http/1", ".cache/pip/x"] {
            assert!(in_pip_cache(inside.as_bytes()), "{inside}");
        }
        for outside in ["root/.cache", "root/.cache/uv/x", "a/x.cache/pip/y", "root/.cache/pip/.wh.x"] {
            assert!(!in_pip_cache(outside.as_bytes()), "{outside}");
        }
    }
}
