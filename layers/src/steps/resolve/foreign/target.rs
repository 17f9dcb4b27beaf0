//! What fits the platform: wheels by their tags, and markers by its environment.

use std::str::FromStr as _;

use pep440_rs::{Version, VersionSpecifiers};
use pep508_rs::{ExtraName, MarkerEnvironment, MarkerEnvironmentBuilder, Requirement, VerbatimUrl};

use super::markers::{is_normal_extra, is_plain};
use super::python::Release;
use super::specifiers::allows;

/// An interpreter on Linux with glibc.
pub(super) struct Target {
    /// The `N` of `3.N`.
    minor: u32,
    machine: &'static str,
    glibc: (u32, u32),
    version: Version,
    environment: MarkerEnvironment,
}

impl Target {
    /// What a Python is on a machine.
    pub(super) fn new(python: &Release, machine: &'static str, glibc: (u32, u32)) -> Result<Self, String> {
        let unclear = |_| "its Python has an unusual version".to_owned();
        let minor =
            python.minor.trim_start_matches("3.").parse().map_err(|_| "its Python isn't 3".to_owned())?;
        let environment = MarkerEnvironment::try_from(MarkerEnvironmentBuilder {
            implementation_name: "cpython",
            implementation_version: &python.version,
            os_name: "posix",
            platform_machine: machine,
            platform_python_implementation: "CPython",
            // Of the kernel; markers that ask for them are refused.
            platform_release: "",
            platform_system: "Linux",
            platform_version: "",
            python_full_version: &python.version,
            python_version: &python.minor,
            sys_platform: "linux",
        })
        .map_err(unclear)?;
        let version = Version::from_str(&python.version).map_err(unclear)?;
        Ok(Self { minor, machine, glibc, version, environment })
    }

    /// Whether `Requires-Python` allows it.
    pub(super) fn allowed_by(&self, requires_python: &str) -> Result<bool, String> {
        let specifiers = VersionSpecifiers::from_str(requires_python)
            .map_err(|_| format!("Requires-Python {requires_python:?} can't be read"))?;
        allows(&specifiers, &self.version)
    }

    /// Whether a requirement applies for one of these extras, or for none if there are none.
    pub(super) fn applies(&self, requirement: &Requirement<VerbatimUrl>, extras: &[ExtraName]) -> bool {
        let marker = &requirement.marker;
        // As pip does: each extra by itself.
        if extras.is_empty() {
            return marker.evaluate(&self.environment, &[]);
        }
        extras.iter().any(|extra| marker.evaluate(&self.environment, std::slice::from_ref(extra)))
    }

    /// Whether a wheel fits, by its file name.
    pub(super) fn fits(&self, filename: &str) -> bool {
        let Some(stem) = filename.strip_suffix(".whl") else { return false };
        let parts: Vec<&str> = stem.split('-').collect();
        let [.., python, abi, platform] = parts.as_slice() else { return false };
        if !(5..=6).contains(&parts.len()) {
            return false;
        }
        platform.split('.').any(|platform| {
            python.split('.').any(|python| abi.split('.').any(|abi| self.tag(python, abi, platform)))
        })
    }

    fn tag(&self, python: &str, abi: &str, platform: &str) -> bool {
        let own = format!("cp3{}", self.minor);
        // `N` of `cp3N` or `py3N`, if it isn't later than this one.
        let up_to = |prefix: &str| {
            let number = python.strip_prefix(prefix).and_then(|number| number.parse::<u32>().ok());
            number.is_some_and(|number| number <= self.minor && format!("{prefix}{number}") == python)
        };
        let code = match abi {
            "none" => python == "py3" || python == own || up_to("py3"),
            "abi3" => up_to("cp3") && python != "cp30" && python != "cp31",
            _ => abi == own && python == own,
        };
        code && (self.platform(platform) || platform == "any" && abi == "none")
    }

    fn platform(&self, platform: &str) -> bool {
        let Some(name) = platform.strip_suffix(&format!("_{}", self.machine)) else { return false };
        let oldest = if self.machine == "x86_64" { (2, 5) } else { (2, 17) };
        let needed = match name {
            "linux" => return true,
            "manylinux1" => (2, 5),
            "manylinux2010" => (2, 12),
            "manylinux2014" => (2, 17),
            _ => {
                let numbers = name.strip_prefix("manylinux_").and_then(|rest| rest.split_once('_'));
                let Some((Ok(major), Ok(minor))) = numbers.map(|(a, b)| (a.parse(), b.parse())) else {
                    return false;
                };
                (major, minor)
            }
        };
        needed.0 == self.glibc.0 && needed >= oldest && needed <= self.glibc
    }
}

/// Reads a requirement, and takes nothing of it that the reader has doubts about.
pub(super) fn requirement(text: &str) -> Result<Requirement<VerbatimUrl>, String> {
    let shown = || text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(80).collect::<String>();
    let mut doubts = 0;
    let mut reporter = |_, _: String| doubts += 1;
    let found = Requirement::parse_reporter(text, "/", &mut reporter);
    let (before, marker) = text.split_once(';').unwrap_or((text, ""));
    // Which extra an unusual spelling means depends on the release of pip.
    let named =
        before.split_once('[').map(|(_, rest)| rest.split_once(']').map_or(rest, |(extras, _)| extras));
    let mut extras = named.into_iter().flat_map(|extras| extras.split(',')).map(str::trim);
    let plain = extras.all(is_normal_extra) && is_plain(marker);
    match found {
        Ok(found) if doubts == 0 && plain => Ok(found),
        _ => Err(format!("the requirement `{}` can't be read with certainty", shown())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn wheels_that_fit() {
        let python = Release::new("3.11.2");
        let target = Target::new(&python, "aarch64", (2, 36)).unwrap();
        for fits in [
            "a-1-py3-none-any.whl",
            "a-1-py2.py3-none-any.whl",
            "a-1-1-py311-none-any.whl",
            "a-1-cp311-cp311-manylinux_2_17_aarch64.manylinux2014_aarch64.whl",
            "a-1-cp39-abi3-manylinux_2_28_aarch64.whl",
            "a-1-cp311-none-manylinux_2_36_aarch64.whl",
            "a-1-py3-none-manylinux2014_aarch64.whl",
            "a-1-cp311-cp311-linux_aarch64.whl",
        ] {
            assert!(target.fits(fits), "{fits}");
        }
        for other in [
            "a-1-cp311-cp311-manylinux2014_x86_64.whl",
            "a-1-cp311-cp311-musllinux_1_2_aarch64.whl",
            "a-1-cp311-cp311-manylinux_2_37_aarch64.whl",
            "a-1-cp311-cp311-manylinux_2_5_aarch64.whl",
            "a-1-cp311-cp311t-manylinux_2_17_aarch64.whl",
            "a-1-cp312-abi3-manylinux_2_17_aarch64.whl",
            "a-1-cp310-cp310-manylinux_2_17_aarch64.whl",
            "a-1-py312-none-any.whl",
            "a-1-py2-none-any.whl",
            "a-1-pp39-pypy39_pp73-manylinux_2_17_aarch64.whl",
            "a-1-cp311-cp311-any.whl",
            "a-1.zip",
            "py3-none-any.whl",
        ] {
            assert!(!target.fits(other), "{other}");
        }
    }

    #[test]
    fn markers() {
        let python = Release::new("3.11.2");
        let target = Target::new(&python, "aarch64", (2, 36)).unwrap();
        let applies = |text: &str, extras: &[&str]| {
            let extras: Vec<ExtraName> = extras.iter().map(|extra| extra.parse().unwrap()).collect();
            target.applies(&requirement(text).unwrap(), &extras)
        };
        assert!(applies("a", &[]));
        assert!(applies("a; platform_machine == 'aarch64' and python_version < '3.12'", &[]));
        assert!(applies("a; platform_machine in 'x86_64 aarch64'", &[]));
        assert!(!applies("a; extra == 'x'", &[]));
        assert!(applies("a[u-v, w]; extra == 'x-y'", &["x-y"]));
        assert!(!applies("a; extra == 'x' and sys_platform == 'win32'", &["x"]));
        for doubtful in [
            "a; python_version > 'x'",
            "a>=1.0b.x",
            "a; 'a' == 'b'",
            "a[U]",
            "a[u_v]>1",
            "a[u,]",
            "a; extra == 'X_y'",
            "a; python_version ~= '3.8'",
        ] {
            assert!(requirement(doubtful).is_err(), "{doubtful}");
        }
        assert_eq!(target.allowed_by(">=3.8,!=3.9.*"), Ok(true));
        assert_eq!(target.allowed_by(">=3.12"), Ok(false));
        for doubtful in ["!=3.11.2.0.*", ">=3.11.0rc1", "===3.11.2", ">=3.8.*"] {
            assert!(target.allowed_by(doubtful).is_err(), "{doubtful}");
        }
    }
}
