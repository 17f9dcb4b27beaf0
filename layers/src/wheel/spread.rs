//! Where the files of a wheel go: the archive's root and the keys of its `.data` directory, over a scheme.

use super::entry_points::Scripts;
use super::name;
use super::{WheelError, meta::Part};
use crate::resolution::Scheme;

/// Destination of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Absolute path.
    pub path: String,
    /// Which part of the wheel it comes from.
    pub part: Part,
}

/// Finds the only `.dist-info` directory and checks that it is of the distribution `name`.
///
/// # Errors
/// None, several, or one of another distribution.
pub fn dist_info<'a>(
    tops: impl IntoIterator<Item = &'a str>,
    distribution: &str,
) -> Result<&'a str, WheelError> {
    let found: Vec<&str> = tops.into_iter().filter(|t| t.ends_with(".dist-info")).collect();
    let [only] = found[..] else {
        return Err(WheelError::format(
            "archive",
            format!("has {} .dist-info directories instead of one", found.len()),
        ));
    };
    if !name::canonical(only).starts_with(&name::canonical(distribution)) {
        return Err(WheelError::format(only, format!("is not the metadata directory of {distribution}")));
    }
    Ok(only)
}

/// Where the file `source` of the wheel of `distribution` goes. `None`: the installer leaves it out, because
/// it writes a script of that name itself.
///
/// # Errors
/// A file in a `.data` directory outside of the five known schemes.
pub fn target(
    scheme: &Scheme,
    purelib: bool,
    distribution: &str,
    scripts: &Scripts,
    source: &str,
) -> Result<Option<Target>, WheelError> {
    let root = if purelib { &scheme.purelib } else { &scheme.platlib };
    let top = source.split('/').next().unwrap_or(source);
    if !top.ends_with(".data") {
        return Ok(Some(Target { path: format!("{root}/{source}"), part: Part::Root }));
    }
    let mut parts = source.splitn(3, '/').skip(1);
    let (Some(key), Some(rest)) = (parts.next(), parts.next()) else {
        return Err(WheelError::format(source, "is not in a scheme directory of .data"));
    };
    let (part, path) = match key {
        "purelib" => (Part::Data, format!("{}/{rest}", scheme.purelib)),
        "platlib" => (Part::Data, format!("{}/{rest}", scheme.platlib)),
        "headers" => (Part::Headers, format!("{}/{distribution}/{rest}", scheme.headers)),
        "data" => (Part::Data, format!("{}/{rest}", scheme.data.trim_end_matches('/'))),
        "scripts" => (Part::Scripts, format!("{}/{rest}", scheme.scripts)),
        _ => return Err(WheelError::format(source, format!("unknown scheme {key:?} in .data"))),
    };
    if part == Part::Scripts && is_wrapper(scripts, &path) {
        return Ok(None);
    }
    Ok(Some(Target { path, part }))
}

/// Whether a file in the scripts scheme is an old build tool's wrapper for an entry point: the entry point's
/// name, alone or with one of the suffixes that such wrappers had.
fn is_wrapper(scripts: &Scripts, path: &str) -> bool {
    let file = path.rsplit_once('/').map_or(path, |(_, f)| f);
    let lower = file.to_lowercase();
    // Lengths in characters: lowering can change the length in bytes of a name that is not ASCII.
    let cut = |n: usize| file.chars().take(file.chars().count() - n).collect::<String>();
    let stem = if lower.ends_with(".exe") || lower.ends_with(".pya") {
        cut(4)
    } else if lower.ends_with("-script.py") {
        cut(10)
    } else {
        file.to_owned()
    };
    scripts.contains(&stem)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wheel::entry_points;

    fn scheme() -> Scheme {
        Scheme {
            purelib: "/p/pure".into(),
            platlib: "/p/plat".into(),
            headers: "/p/inc".into(),
            scripts: "/p/bin".into(),
            data: "/p".into(),
        }
    }

    #[test]
    fn five_schemes_and_the_root() {
        let scripts = entry_points::parse("E", "[console_scripts]\nrun = a:b\n").unwrap();
        let at = |purelib, source: &str| {
            target(&scheme(), purelib, "Foo", &scripts, source).map(|t| t.map(|t| t.path))
        };
        assert_eq!(at(true, "a/b.py").unwrap().unwrap(), "/p/pure/a/b.py");
        assert_eq!(at(false, "a/b.py").unwrap().unwrap(), "/p/plat/a/b.py");
        assert_eq!(at(false, "Foo-1.data/purelib/x").unwrap().unwrap(), "/p/pure/x");
        assert_eq!(at(true, "Foo-1.data/platlib/x").unwrap().unwrap(), "/p/plat/x");
        assert_eq!(at(true, "Foo-1.data/headers/s/x.h").unwrap().unwrap(), "/p/inc/Foo/s/x.h");
        assert_eq!(at(true, "Foo-1.data/data/share/x").unwrap().unwrap(), "/p/share/x");
        assert_eq!(at(true, "Foo-1.data/scripts/x").unwrap().unwrap(), "/p/bin/x");
        for wrapper in ["run", "run.exe", "run.EXE", "run-script.py", "run.pya"] {
            assert_eq!(at(true, &format!("Foo-1.data/scripts/{wrapper}")).unwrap(), None, "{wrapper}");
        }
        assert!(at(true, "Foo-1.data/scripts/run.py").unwrap().is_some());
        for bad in ["Foo-1.data/other/x", "Foo-1.data/x", "Foo-1.data"] {
            assert!(at(true, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_metadata_directory() {
        assert_eq!(dist_info(["foo_bar-1.dist-info", "foo"], "Foo.Bar").unwrap(), "foo_bar-1.dist-info");
        assert!(dist_info(["foo"], "foo").is_err());
        assert!(dist_info(["a-1.dist-info", "b-1.dist-info"], "a").is_err());
        assert!(dist_info(["a-1.dist-info"], "b").is_err());
    }
}
