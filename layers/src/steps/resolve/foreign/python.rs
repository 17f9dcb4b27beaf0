//! The interpreter of a root file system, as its own build installed it below `/usr/local`.
//!
//! Where it takes its modules from, and so what pip would do with it, follows from its files if nothing was changed about
//! them: no virtual environment, no distribution's patches, nothing that runs when it starts. This is what Docker's images
//! of Python have. Everything else is refused.

use std::path::Path;

use crate::facts::{Libc, RootFs, libc_of};
use crate::resolution::Interpreter;

/// Where it is.
pub(super) const PREFIX: &str = "/usr/local";

/// Magic numbers of the byte code of releases: CPython changes none once X.Y.0 is out. Whoever compiles is asked again.
/// Before 3.11, pip reads what is installed in another way.
const MAGIC: &[(u32, u16)] = &[(11, 3495), (12, 3531), (13, 3571), (14, 3627)];

/// A release of Python, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Release {
    /// `X.Y.Z`, a final release.
    pub(super) version: String,
    /// `X.Y`.
    pub(super) minor: String,
}

impl Release {
    /// The release `X.Y.Z`.
    pub(super) fn new(version: &str) -> Self {
        let minor = version.rsplit_once('.').map(|(minor, _)| minor.to_owned()).unwrap_or_default();
        Self { version: version.to_owned(), minor }
    }

    /// The directory of the standard library.
    pub(super) fn stdlib(&self) -> String {
        format!("{PREFIX}/lib/python{}", self.minor)
    }

    /// The directory of installed distributions.
    pub(super) fn site(&self) -> String {
        format!("{}/site-packages", self.stdlib())
    }
}

/// What is known of an interpreter by its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Python {
    pub(super) release: Release,
    /// `SOABI`.
    pub(super) abi: String,
    /// Its file, without links on the way.
    pub(super) physical: String,
    magic: String,
}

impl Python {
    /// Reads the interpreter that `executable` starts, if it is for this machine.
    ///
    /// # Errors
    /// What isn't as it must be. One clause.
    pub(super) fn read(fs: &RootFs<'_>, executable: &str, machine: &str) -> Result<Self, String> {
        let bin = format!("{PREFIX}/bin");
        let name = executable.strip_prefix(&format!("{bin}/")).filter(|name| !name.contains('/'));
        if name.is_none() {
            return Err(format!("its interpreter is {executable} and not one of {bin}"));
        }
        let physical = fs.physical(Path::new(executable)).ok_or("its interpreter isn't there")?;
        let physical = physical.to_str().ok_or("its interpreter has an unusual name")?.to_owned();
        let minor = physical.strip_prefix(&format!("{bin}/python")).unwrap_or_default().to_owned();
        let number = minor.strip_prefix("3.").and_then(|number| number.parse::<u32>().ok());
        let magic = MAGIC.iter().find(|(known, _)| Some(*known) == number);
        let (_, magic) =
            magic.ok_or_else(|| format!("its interpreter is {physical}, of which not enough is known"))?;
        let magic = hex::encode([&magic.to_le_bytes()[..], b"\r\n"].concat());
        check_machine(fs, Path::new(&physical), machine)?;
        check_places(fs, &bin, &minor)?;
        let version = version(fs, &minor)?;
        let abi = abi(fs, &minor, machine)?;
        Ok(Self { release: Release { version, minor }, abi, physical, magic })
    }

    /// One of a release, wherever it is.
    #[cfg(test)]
    pub(super) fn of_release(version: &str) -> Self {
        let release = Release::new(version);
        let physical = format!("{PREFIX}/bin/python{}", release.minor);
        Self { release, abi: String::new(), physical, magic: String::new() }
    }

    /// As it would describe itself, called `executable`.
    pub(super) fn interpreter(&self, executable: &str) -> Interpreter {
        Interpreter {
            executable: executable.to_owned(),
            physical: self.physical.clone(),
            version: self.release.version.clone(),
            cache_tag: format!("cpython-{}", self.release.minor.replace('.', "")),
            abi: self.abi.clone(),
            magic: self.magic.clone(),
            fingerprint: String::new(),
        }
    }
}

/// Whether a file is a program for this machine (`e_machine` of a 64-bit little-endian ELF file).
fn check_machine(fs: &RootFs<'_>, path: &Path, machine: &str) -> Result<(), String> {
    let wanted: u16 = match machine {
        "x86_64" => 62,
        "aarch64" => 183,
        _ => return Err(format!("nothing is known of programs for {machine}")),
    };
    let head = fs.read(path, 20).unwrap_or_default();
    let elf = head.get(..6) == Some(b"\x7fELF\x02\x01".as_slice());
    if !elf || head.get(18..20) != Some(wanted.to_le_bytes().as_slice()) {
        return Err(format!("{} is no program for {machine}", path.display()));
    }
    Ok(())
}

fn exists(fs: &RootFs<'_>, path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    path.parent().is_some_and(|parent| fs.names(parent).iter().any(|known| known == name))
}

/// Nothing leads elsewhere, and nothing runs when it starts.
fn check_places(fs: &RootFs<'_>, bin: &str, minor: &str) -> Result<(), String> {
    let stdlib = format!("{PREFIX}/lib/python{minor}");
    let site = format!("{stdlib}/site-packages");
    for directory in [bin, &stdlib, &site, &format!("{stdlib}/lib-dynload")] {
        let path = Path::new(directory);
        if fs.physical(path).as_deref() != Some(path) || !fs.is_directory_itself(path) {
            return Err(format!("{directory} is no directory, or is reached by a link"));
        }
    }
    // With any of these beside it or above it, an interpreter takes its modules from elsewhere.
    let zip = format!("{PREFIX}/lib/python{}.zip", minor.replace('.', ""));
    for file in [
        format!("{bin}/pyvenv.cfg"),
        format!("{PREFIX}/pyvenv.cfg"),
        format!("{bin}/pybuilddir.txt"),
        format!("{bin}/Modules"),
        format!("{stdlib}/EXTERNALLY-MANAGED"),
        zip,
        // A library for every program that starts.
        "/etc/ld.so.preload".to_owned(),
    ] {
        // A dangling link counts: what it leads to may be mounted.
        if exists(fs, Path::new(&file)) {
            return Err(format!("there is {file}"));
        }
    }
    let names = |directory: &str| {
        let names = fs.names(Path::new(directory)).into_iter();
        names.map(|name| name.to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    // Of the program, and of its library.
    for directory in [bin, &format!("{PREFIX}/lib")] {
        if let Some(name) = names(directory).into_iter().find(|name| name.ends_with("._pth")) {
            return Err(format!("there is {directory}/{name}"));
        }
    }
    for directory in [&stdlib, &format!("{stdlib}/lib-dynload"), &site] {
        for name in names(directory) {
            let module = name.split('.').next().unwrap_or_default();
            if ["sitecustomize", "usercustomize", "_manylinux"].contains(&module) {
                return Err(format!("there is {directory}/{name}, which would run first"));
            }
            if name.ends_with(".pth") && !is_distutils_precedence(fs, &format!("{directory}/{name}")) {
                return Err(format!("there is {directory}/{name}, which would run first"));
            }
        }
    }
    // Distributions put their own scheme into it.
    for file in [format!("{stdlib}/sysconfig.py"), format!("{stdlib}/sysconfig/__init__.py")] {
        let Some(text) = fs.read(Path::new(&file), 1 << 20) else { continue };
        let text = String::from_utf8_lossy(&text);
        if ["posix_local", "deb_system", "rpm_prefix"].iter().any(|name| text.contains(name)) {
            return Err(format!("{file} was changed by a distribution"));
        }
        return Ok(());
    }
    Err("there is no sysconfig in its standard library".to_owned())
}

/// The one that setuptools brings. What it does is nothing to pip, which takes no `distutils` from Python 3.10 on.
fn is_distutils_precedence(fs: &RootFs<'_>, path: &str) -> bool {
    // What is longer isn't it, whatever it begins with.
    let text = fs.read(Path::new(path), (4 << 10) + 1).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let of = |default: &str| {
        format!(
            "import os; var = 'SETUPTOOLS_USE_DISTUTILS'; enabled = os.environ.get(var, '{default}') == 'local'; \
             enabled and __import__('_distutils_hack');"
        )
    };
    path.ends_with("/distutils-precedence.pth")
        && text.len() <= 4 << 10
        && [of("local"), of("stdlib")].contains(&text.trim_end_matches('\n').to_owned())
}

/// `X.Y.Z` by the header that every build installs.
fn version(fs: &RootFs<'_>, minor: &str) -> Result<String, String> {
    let file = format!("{PREFIX}/include/python{minor}/patchlevel.h");
    let text = fs.read(Path::new(&file), 1 << 16).ok_or_else(|| format!("there is no {file}"))?;
    let text = String::from_utf8_lossy(&text);
    let defined = |name: &str| {
        let mut words = text.lines().map(str::split_whitespace);
        words.find_map(|mut line| match (line.next(), line.next(), line.next()) {
            (Some("#define"), Some(known), Some(value)) if known == name => Some(value.to_owned()),
            _ => None,
        })
    };
    if defined("PY_RELEASE_LEVEL").as_deref() != Some("PY_RELEASE_LEVEL_FINAL") {
        return Err("its Python is no final release".to_owned());
    }
    let version = defined("PY_VERSION").unwrap_or_default().trim_matches('"').to_owned();
    let micro = version.strip_prefix(&format!("{minor}.")).unwrap_or_default();
    if micro.is_empty() || !micro.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("{file} says {version:?}"));
    }
    Ok(version)
}

/// `SOABI` by what the build noted of itself, if that is a usual build.
fn abi(fs: &RootFs<'_>, minor: &str, machine: &str) -> Result<String, String> {
    let stdlib = format!("{PREFIX}/lib/python{minor}");
    let names = fs.names(Path::new(&stdlib)).into_iter();
    let names = names.filter_map(|name| name.into_string().ok());
    let found: Vec<String> =
        names.filter(|name| name.starts_with("_sysconfigdata_") && name.ends_with(".py")).collect();
    let [file] = found.as_slice() else {
        return Err(format!("there are {} notes of its build (_sysconfigdata)", found.len()));
    };
    let text = fs.read(Path::new(&stdlib).join(file).as_path(), 1 << 20).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let value = |name: &str| {
        let start = format!("'{name}': ");
        let at = text.lines().map(|line| line.trim_start_matches([' ', '{']));
        let mut found =
            at.filter_map(|line| line.trim_start_matches("build_time_vars = {").strip_prefix(&start));
        found.next().map(|value| value.trim_end_matches([',', '}']).trim_matches('\'').to_owned())
    };
    let abi = format!("cpython-{}-{machine}-linux-gnu", minor.replace('.', ""));
    for (name, wanted) in
        [("SOABI", abi.as_str()), ("prefix", PREFIX), ("PLATLIBDIR", "lib"), ("Py_DEBUG", "0")]
    {
        let found = value(name).unwrap_or_default();
        if found != wanted {
            return Err(format!("its Python was built with {name} {found:?}, not {wanted:?}"));
        }
    }
    Ok(abi)
}

/// Version of the glibc of a root file system. It says so itself.
pub(super) fn glibc(fs: &RootFs<'_>, machine: &str) -> Result<(u32, u32), String> {
    if libc_of(fs) != Libc::Glibc {
        return Err("its libc isn't glibc".to_owned());
    }
    let places = [format!("/lib/{machine}-linux-gnu"), "/lib64".to_owned(), "/lib".to_owned()];
    for place in places {
        let path = Path::new(&place).join("libc.so.6");
        let Some(bytes) = fs.read(&path, 16 << 20) else { continue };
        check_machine(fs, &path, machine)?;
        const SAYS: &[u8] = b" release version ";
        let at = bytes.windows(SAYS.len()).position(|window| window == SAYS);
        let text: String = at
            .map(|at| bytes[at + SAYS.len()..].iter().take(8).map(|b| char::from(*b)).collect())
            .unwrap_or_default();
        let text = text.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap_or_default();
        let mut numbers = text.trim_end_matches('.').split('.').map(str::parse);
        if let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) {
            return Ok((major, minor));
        }
    }
    Err("its glibc doesn't say its version".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nothing_runs_first() {
        let check = |files: &[(&str, &str)]| {
            let root = tempfile::tempdir().unwrap();
            let inside = |path: &str| root.path().join(path.trim_start_matches('/'));
            let stdlib = "/usr/local/lib/python3.11";
            let own = [
                ("/usr/local/bin/python3.11".to_owned(), ""),
                (format!("{stdlib}/sysconfig.py"), ""),
                (format!("{stdlib}/site-packages/x.py"), ""),
                (format!("{stdlib}/lib-dynload/x.so"), ""),
            ];
            let files = files.iter().map(|(path, text)| ((*path).to_owned(), *text));
            for (path, text) in own.into_iter().chain(files) {
                std::fs::create_dir_all(inside(&path).parent().unwrap()).unwrap();
                std::fs::write(inside(&path), text).unwrap();
            }
            check_places(&RootFs::new(root.path()), "/usr/local/bin", "3.11")
        };
        assert_eq!(check(&[]), Ok(()));
        for file in [
            "/etc/ld.so.preload",
            "/usr/local/lib/libpython3.11.so.1._pth",
            "/usr/local/lib/libpython3.11.so.1.0._pth",
            "/usr/local/bin/python._pth",
            "/usr/local/lib/python3.11/lib-dynload/sitecustomize.so",
            "/usr/local/lib/python3.11/lib-dynload/usercustomize.cpython-311-x86_64-linux-gnu.so",
            "/usr/local/lib/python3.11/lib-dynload/_manylinux.py",
            "/usr/local/lib/python3.11/site-packages/sitecustomize.py",
        ] {
            assert!(check(&[(file, "")]).unwrap_err().contains(file), "{file}");
        }
        let pth = "/usr/local/lib/python3.11/site-packages/distutils-precedence.pth";
        let text = "import os; var = 'SETUPTOOLS_USE_DISTUTILS'; enabled = os.environ.get(var, 'local') == 'local'; \
                    enabled and __import__('_distutils_hack');";
        assert_eq!(check(&[(pth, text)]), Ok(()));
        assert_eq!(check(&[(pth, &format!("{text}\n"))]), Ok(()));
        for odd in [
            format!("{text}{}import x", "\n".repeat(4 << 10)),
            format!("{text}\u{a0}"),
            text.replace("var,", "vax,"),
        ] {
            assert!(check(&[(pth, &odd)]).is_err(), "{odd:?}");
        }
    }
}
