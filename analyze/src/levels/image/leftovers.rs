//! What package managers leave behind in an image, and nobody needs there.

/// The kind of leftover that a path is, if it is one.
pub(super) fn leftover(path: &[u8]) -> Option<&'static str> {
    /// Directories from the root.
    const AT: &[(&str, &str)] = &[
        ("var/lib/apt/lists/", "lists of apt"),
        ("var/cache/apt/", "packages of apt"),
        ("var/cache/apk/", "packages of apk"),
        ("var/cache/dnf/", "packages of dnf"),
        ("var/cache/yum/", "packages of yum"),
        ("opt/conda/pkgs/", "packages of conda"),
        ("usr/local/share/.cache/yarn/", "cache of yarn"),
        ("tmp/", "temporary files"),
        ("var/tmp/", "temporary files"),
    ];
    /// Directories below a home, wherever that is.
    const IN: &[(&str, &str)] = &[
        (".cache/pip/", "cache of pip"),
        (".cache/uv/", "cache of uv"),
        (".cache/pypoetry/", "cache of poetry"),
        (".cache/pipenv/", "cache of pipenv"),
        (".cache/yarn/", "cache of yarn"),
        (".cache/go-build/", "cache of go"),
        (".npm/_cacache/", "cache of npm"),
        (".npm/_logs/", "cache of npm"),
        (".cargo/registry/", "cache of cargo"),
    ];
    let at = AT.iter().find(|(start, _)| path.starts_with(start.as_bytes()));
    let inside = || {
        IN.iter().find(|(part, _)| {
            let here = |at: usize| at == 0 || path[at - 1] == b'/';
            path.windows(part.len()).enumerate().any(|(at, window)| window == part.as_bytes() && here(at))
        })
    };
    // apt leaves an empty file and a directory there in every case; they have no bytes.
    at.or_else(inside).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::leftover;

    #[test]
    fn by_path() {
        for (path, kind) in [
            ("root/.cache/pip/http-v2/a", Some("cache of pip")),
            ("home/app/.npm/_cacache/x", Some("cache of npm")),
            ("var/lib/apt/lists/deb_Packages", Some("lists of apt")),
            ("srv/tmp/x", None),
            ("app/x.cache/pip/y", None),
            ("usr/lib/python3/dist-packages/x.py", None),
        ] {
            assert_eq!(leftover(path.as_bytes()), kind, "{path}");
        }
    }
}
