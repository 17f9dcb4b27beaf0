//! One requirement, on the command line or in a requirements file: is it a name, or something to build?
//!
//! Names with extras, versions and markers go to pip's resolver as they are. Wheels too, by http(s) URL, by `file:` URL
//! and by path. Directories, version control and source archives are refused here already: they are built, and asking
//! the resolver about them would run that build.

use super::{NotUnderstood, has_credentials};

/// File name endings that pip takes for an archive, wheels first.
const ARCHIVES: &[&str] = &[
    ".whl",
    ".zip",
    ".tar.gz",
    ".tgz",
    ".tar",
    ".tar.bz2",
    ".tbz",
    ".tar.xz",
    ".txz",
    ".tlz",
    ".tar.lz",
    ".tar.lzma",
];

/// Refuses what is not a name or a wheel by http(s) URL.
///
/// # Errors
/// [`NotUnderstood`] naming the kind; never the text itself, which can hold credentials.
pub fn check_requirement(text: &str) -> Result<(), NotUnderstood> {
    let text = text.trim();
    if text.is_empty() || text.contains(['\0', '\n', '\r']) {
        return Err(NotUnderstood::new("an empty or broken requirement"));
    }
    // A URL requirement's marker follows `;` with a space before it; elsewhere the space is optional.
    let (body, is_url) = match text.split_once('@') {
        Some((name, url)) if is_name(name) => (url.trim_start(), true),
        _ => (text, text.contains("://")),
    };
    if !is_url {
        let body = body.split(';').next().unwrap_or_default().trim();
        if is_local_wheel(body) {
            return Ok(());
        }
        if body.starts_with('.') || body.contains('/') || body.starts_with("file:") {
            return Err(NotUnderstood::new("a requirement by local path"));
        }
        let stem = body.split('[').next().unwrap_or_default().trim().to_ascii_lowercase();
        if ARCHIVES.iter().any(|ending| stem.ends_with(ending)) {
            return Err(NotUnderstood::new("a requirement by local path"));
        }
        return Ok(());
    }
    if has_credentials(body) {
        return Err(NotUnderstood::new("credentials in a requirement"));
    }
    let url = body.split_whitespace().next().unwrap_or_default();
    let scheme = url.split(':').next().unwrap_or_default().to_ascii_lowercase();
    match scheme.as_str() {
        "http" | "https" => {}
        "file" if is_local_wheel(url) => return Ok(()),
        "file" => return Err(NotUnderstood::new("a requirement by local path")),
        _ if scheme.contains('+') => {
            return Err(NotUnderstood::new("a requirement from version control"));
        }
        _ => return Err(NotUnderstood::new("a requirement by a URL that is not http")),
    }
    let path = url.split(['#', '?']).next().unwrap_or_default().to_ascii_lowercase();
    if path.ends_with(".whl") {
        return Ok(());
    }
    Err(NotUnderstood::new("a requirement by URL that is no wheel"))
}

/// Whether a requirement is a wheel by path or `file:` URL, as far as its text tells. What is there is for pip to say.
pub fn names_local_wheel(text: &str) -> bool {
    let text = text.trim();
    let url = match text.split_once('@') {
        Some((name, url)) if is_name(name) => url.trim_start(),
        _ => text,
    };
    is_local_wheel(url.split([';', ' ']).next().unwrap_or_default())
}

/// A path or a `file:` URL, with extras if it has some, of a file whose name ends as a wheel's.
fn is_local_wheel(text: &str) -> bool {
    let path = match text.get(..5) {
        // With a host, or as a relative one, it is nothing that pip reads in one way.
        Some(scheme) if scheme.eq_ignore_ascii_case("file:") => match text[5..].strip_prefix("///") {
            Some(path) => path.split(['#', '[']).next().unwrap_or_default(),
            None => return false,
        },
        _ => text.split('[').next().unwrap_or_default(),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._+-/!".contains(&b);
    // What a plain build keeps there isn't there in an assembled one.
    path.ends_with(".whl") && path.bytes().all(plain) && !path.split('/').any(|part| part == ".cache")
}

/// A distribution name with optional extras, as before `@`.
fn is_name(text: &str) -> bool {
    let text = text.trim();
    let (name, extras) = match text.split_once('[') {
        Some((name, extras)) => match extras.strip_suffix(']') {
            Some(extras) => (name.trim(), extras),
            None => return false,
        },
        None => (text, ""),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !name.is_empty()
        && name.bytes().all(plain)
        && extras.bytes().all(|b| plain(b) || matches!(b, b',' | b' '))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::check_requirement;

    #[test]
    fn names_and_wheel_urls_pass() {
        for text in [
            "requests",
            "fastapi>=0.115.6",
            "uvicorn[standard]==0.30.*",
            "x; python_version < '3.12' and sys_platform == 'linux'",
            "a.b-c_d~=1.0",
            "x @ https://h/p/x-1-py3-none-any.whl",
            "x[a,b]@https://h/x-1-py3-none-any.whl#sha256=00",
            "https://h/x-1-py3-none-any.whl",
            "x @ https://h/x-1-py3-none-any.whl ; python_version > '3'",
            "x==1.0;platform_machine=='a/b'",
            "x-1-py3-none-any.whl",
            "./dist/x-1-py3-none-any.whl",
            "/srv/x-1+cpu-py3-none-any.whl[extra]",
            "./x-1-py3-none-any.whl ; python_version > '3'",
            "file:///srv/x-1-py3-none-any.whl#sha256=00",
            "x @ file:///srv/x-1-py3-none-any.whl",
        ] {
            assert_eq!(check_requirement(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn everything_that_is_built_is_refused_by_kind() {
        for (text, reason) in [
            (".", "a requirement by local path"),
            ("./x", "a requirement by local path"),
            (".[dev]", "a requirement by local path"),
            ("/srv/x", "a requirement by local path"),
            ("dir/x", "a requirement by local path"),
            ("x-1-py3-none-any.WHL", "a requirement by local path"),
            ("x-1.TAR.GZ", "a requirement by local path"),
            ("./a b.whl", "a requirement by local path"),
            ("/root/.cache/x-1-py3-none-any.whl", "a requirement by local path"),
            ("file:x", "a requirement by local path"),
            ("file:x.whl", "a requirement by local path"),
            ("file://localhost/x.whl", "a requirement by local path"),
            ("file:///srv/%2e%2e/x.whl", "a requirement by local path"),
            ("x @ file:///x.tar.gz", "a requirement by local path"),
            ("git+https://h/x.git", "a requirement from version control"),
            ("x @ git+ssh://git@h/x.git@v1", "credentials in a requirement"),
            ("x @ git+https://h/x.git@v1", "a requirement from version control"),
            ("x @ https://u:secret@h/x.whl", "credentials in a requirement"),
            ("https://h/x-1.tar.gz", "a requirement by URL that is no wheel"),
            ("x @ ftp://h/x.whl", "a requirement by a URL that is not http"),
            ("x @ ./x", "a requirement by a URL that is not http"),
            ("", "an empty or broken requirement"),
            ("a\nb", "an empty or broken requirement"),
        ] {
            assert_eq!(check_requirement(text).unwrap_err().reason, reason, "{text}");
        }
    }
}
