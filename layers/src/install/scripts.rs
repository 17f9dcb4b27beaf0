//! The scripts that pip generates for entry points, and the ones whose first line it rewrites.
//!
//! Every text here is what some pip release writes; the tests install with real releases and compare.

use crate::wheel::entry_points::{EntryPoint, Scripts};

/// What differs between pip releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    template: Template,
    /// The versioned names of pip's and setuptools' own scripts are recognised with several digits (22.3).
    long_versions: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Template {
    /// Strips the launcher's suffixes with a regular expression.
    Regex,
    /// Strips `.exe` by slicing (25.2).
    Slice,
    /// Strips `.exe` by name (26).
    Suffix,
}

impl Dialect {
    /// The dialect of a pip release; `None` for one whose behaviour is not known.
    #[must_use]
    pub fn of(version: &str) -> Option<Self> {
        let digits = |s: &str| -> Option<u32> {
            let end = s.find(|c: char| !c.is_ascii_digit()).unwrap_or(s.len());
            s[..end].parse().ok()
        };
        let mut parts = version.split('.');
        let release = (digits(parts.next()?)?, digits(parts.next()?)?);
        if !((22, 2)..=(26, 3)).contains(&release) {
            return None;
        }
        let template = match release {
            (26.., _) => Template::Suffix,
            (25, 2..) => Template::Slice,
            _ => Template::Regex,
        };
        Some(Self { template, long_versions: release >= (22, 3) })
    }

    /// All scripts that are generated, as pairs of name and entry point, in order. `minor` is the
    /// interpreter's `X.Y`.
    #[must_use]
    pub fn generated(self, scripts: &Scripts, minor: &str) -> Vec<(String, EntryPoint)> {
        let major = minor.split('.').next().unwrap_or(minor);
        let mut console = scripts.console.clone();
        let mut out = Vec::new();
        // pip and setuptools carry the names of the Python version that built their wheel; pip replaces them
        // by those of the version that it installs for.
        if let Some(entry) = take(&mut console, "pip") {
            for name in ["pip".to_owned(), format!("pip{major}"), format!("pip{minor}")] {
                out.push((name, entry.clone()));
            }
            console.retain(|e| !self.versioned(&e.name, "pip", ""));
        }
        if let Some(entry) = take(&mut console, "easy_install") {
            for name in ["easy_install".to_owned(), format!("easy_install-{minor}")] {
                out.push((name, entry.clone()));
            }
            console.retain(|e| !self.versioned(&e.name, "easy_install", "-"));
        }
        out.extend(console.into_iter().chain(scripts.gui.clone()).map(|e| (e.name.clone(), e)));
        out
    }

    /// Whether `name` is `base`, or `base` + `separator` and a version number.
    fn versioned(self, name: &str, base: &str, separator: &str) -> bool {
        let Some(rest) = name.strip_prefix(base) else { return false };
        if rest.is_empty() {
            return true;
        }
        let Some(rest) = rest.strip_prefix(separator) else { return false };
        let number = |s: &str| {
            s.bytes().all(|b| b.is_ascii_digit()) && !s.is_empty() && (self.long_versions || s.len() == 1)
        };
        match rest.split_once('.') {
            Some((major, minor)) => number(major) && number(minor),
            // Only pip's scripts exist with a major version alone.
            None => separator.is_empty() && number(rest),
        }
    }

    /// The text of a generated script.
    #[must_use]
    pub fn text(self, executable: &str, entry: &EntryPoint) -> String {
        let EntryPoint { module, attribute, .. } = entry;
        let import = attribute.split('.').next().unwrap_or(attribute);
        let shebang = shebang(executable);
        match self.template {
            Template::Regex => format!(
                "{shebang}# -*- coding: utf-8 -*-\nimport re\nimport sys\nfrom {module} import {import}\n\
                 if __name__ == '__main__':\n    \
                 sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])\n    \
                 sys.exit({attribute}())\n"
            ),
            Template::Slice => format!(
                "{shebang}import sys\nfrom {module} import {import}\nif __name__ == '__main__':\n    \
                 if sys.argv[0].endswith('.exe'):\n        sys.argv[0] = sys.argv[0][:-4]\n    \
                 sys.exit({attribute}())\n"
            ),
            Template::Suffix => format!(
                "{shebang}import sys\nfrom {module} import {import}\nif __name__ == '__main__':\n    \
                 sys.argv[0] = sys.argv[0].removesuffix('.exe')\n    \
                 sys.exit({attribute}())\n"
            ),
        }
    }
}

fn take(entries: &mut Vec<EntryPoint>, name: &str) -> Option<EntryPoint> {
    let index = entries.iter().position(|e| e.name == name)?;
    Some(entries.remove(index))
}

/// Longest first line that every kernel accepts.
const MAX_SHEBANG: usize = 127;

/// The first line or lines of a generated script. Where a kernel could not parse it (spaces, too long), the
/// script starts as a shell script that is also valid Python.
fn shebang(executable: &str) -> String {
    let quoted = if executable.contains(' ') && !executable.starts_with('"') {
        format!("\"{executable}\"")
    } else {
        executable.to_owned()
    };
    if !quoted.contains(' ') && quoted.len() + 3 <= MAX_SHEBANG {
        format!("#!{quoted}\n")
    } else {
        format!("#!/bin/sh\n'''exec' {quoted} \"$0\" \"$@\"\n' '''\n")
    }
}

/// Why scripts for this interpreter's path are not generated here, if so.
#[must_use]
pub fn unfit(executable: &str) -> Option<&'static str> {
    if !executable.starts_with('/') {
        return Some("the interpreter's path is not absolute");
    }
    if !executable.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Some("the interpreter's path is not plain ASCII");
    }
    if executable.starts_with("/usr/bin/env ") {
        return Some("the interpreter's path looks like a call of env");
    }
    // Python takes such a text in the first line for the declaration of the file's encoding.
    if executable.contains("coding:") || executable.contains("coding=") {
        return Some("the interpreter's path looks like a declaration of an encoding");
    }
    None
}

/// Start of a first line that is rewritten.
pub const PLACEHOLDER: &[u8] = b"#!python";

/// A script of the wheel with its first line replaced by one that names the interpreter. The line goes as a
/// whole, arguments included.
#[must_use]
pub fn rewrite(script: &[u8], executable: &str) -> Vec<u8> {
    let rest = script.iter().position(|b| *b == b'\n').map_or(&[][..], |i| &script[i + 1..]);
    let mut out = format!("#!{executable}\n").into_bytes();
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wheel::entry_points;

    #[test]
    fn known_releases() {
        for known in ["22.2", "22.2.2", "23.0.1+dfsg", "25.3", "24.1b1", "26.3"] {
            assert!(Dialect::of(known).is_some(), "{known}");
        }
        for unknown in ["22.1.2", "21.3", "26.4", "27.0", "x", ""] {
            assert!(Dialect::of(unknown).is_none(), "{unknown}");
        }
    }

    #[test]
    fn pips_own_scripts_follow_the_interpreter() {
        let scripts = entry_points::parse(
            "E",
            "[console_scripts]\npip=p:m\npip3=p:m\npip3.10=p:m\npipx=x:m\neasy_install=e:m\neasy_install-3.9=e:m\n",
        )
        .unwrap();
        let names = |v| -> Vec<String> {
            Dialect::of(v).unwrap().generated(&scripts, "3.11").into_iter().map(|g| g.0).collect()
        };
        assert_eq!(names("23.0"), ["pip", "pip3", "pip3.11", "easy_install", "easy_install-3.11", "pipx"]);
        assert_eq!(
            names("22.2"),
            ["pip", "pip3", "pip3.11", "easy_install", "easy_install-3.11", "pip3.10", "pipx"]
        );
    }

    #[test]
    fn long_and_spaced_interpreters() {
        assert_eq!(shebang("/usr/bin/python3"), "#!/usr/bin/python3\n");
        let just = format!("/{}", "x".repeat(123));
        assert_eq!(shebang(&just), format!("#!{just}\n"));
        let long = format!("/{}", "x".repeat(124));
        assert_eq!(shebang(&long), format!("#!/bin/sh\n'''exec' {long} \"$0\" \"$@\"\n' '''\n"));
        assert_eq!(shebang("/a b/python"), "#!/bin/sh\n'''exec' \"/a b/python\" \"$0\" \"$@\"\n' '''\n");
    }

    #[test]
    fn first_lines() {
        assert_eq!(rewrite(b"#!python -u\r\nx\n", "/p"), b"#!/p\nx\n");
        assert_eq!(rewrite(b"#!pythonw", "/p"), b"#!/p\n");
    }
}
