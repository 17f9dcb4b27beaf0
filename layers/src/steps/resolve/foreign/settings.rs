//! The settings that pip would go by: its options, the environment, configuration files, and pip itself.

use std::collections::BTreeSet;
use std::path::Path;

use super::python::{PREFIX, Python};
use crate::facts::RootFs;
use crate::pip::{PipCommand, steers};
use crate::steps::resolve::stubs::DEFAULT_INDEX;

/// Options that change nothing about what is installed.
const OPTIONS: &[&str] = &[
    "--requirement",
    "--index-url",
    "--no-cache-dir",
    "--cache-dir",
    "--verbose",
    "--quiet",
    "--no-input",
    "--no-color",
    "--no-python-version-warning",
    "--disable-pip-version-check",
    "--retries",
    "--timeout",
    "--exists-action",
    "--compile",
    "--no-warn-script-location",
    "--no-warn-conflicts",
    "--progress-bar",
    "--root-user-action",
    "--no-user",
];

/// Variables of pip and Python that change nothing about it, or are looked at here.
const VARIABLES: &[&str] = &[
    "PIP_CACHE_DIR",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_DISABLE_PIP_VERSION_CHECK",
    "PIP_INDEX_URL",
    "PIP_NO_CACHE_DIR",
    "PIP_NO_COLOR",
    "PIP_NO_INPUT",
    "PIP_NO_PYTHON_VERSION_WARNING",
    "PIP_NO_WARN_CONFLICTS",
    "PIP_NO_WARN_SCRIPT_LOCATION",
    "PIP_PROGRESS_BAR",
    "PIP_QUIET",
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_RETRIES",
    "PIP_ROOT_USER_ACTION",
    "PIP_TIMEOUT",
    "PIP_USER",
    "PIP_VERBOSE",
    "PYTHON_GET_PIP_SHA256",
    "PYTHON_GET_PIP_URL",
    "PYTHON_PIP_VERSION",
    "PYTHON_SETUPTOOLS_VERSION",
    "PYTHON_SHA256",
    "PYTHON_VERSION",
    "PYTHON_WHEEL_VERSION",
    "PYTHONCOERCECLOCALE",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONFAULTHANDLER",
    "PYTHONHASHSEED",
    "PYTHONIOENCODING",
    "PYTHONNOUSERSITE",
    "PYTHONUNBUFFERED",
    "PYTHONUTF8",
    "PYTHON_COLORS",
];

/// Keys of a configuration file, likewise.
const KEYS: &[&str] = &[
    "default-timeout",
    "disable-pip-version-check",
    "index-url",
    "no-cache-dir",
    "no-color",
    "no-input",
    "progress-bar",
    "retries",
    "root-user-action",
    "timeout",
];

/// The state that pip would run in.
pub(super) struct State<'a> {
    pub(super) fs: &'a RootFs<'a>,
    pub(super) python: &'a Python,
    pub(super) env: &'a [(String, String)],
}

impl State<'_> {
    fn variable(&self, name: &str) -> Option<&str> {
        let mut found = self.env.iter().filter(|(known, value)| known == name && !value.is_empty());
        found.next().map(|(_, value)| value.as_str())
    }

    fn exists(&self, path: &str) -> bool {
        let path = Path::new(path);
        // A dangling link counts: what it leads to may be mounted.
        let name = path.file_name().unwrap_or_default();
        path.parent().is_some_and(|parent| self.fs.names(parent).iter().any(|known| known == name))
    }

    /// Refuses what may change what pip installs, or where. `by_script`: it is started by its script.
    pub(super) fn check(&self, command: &PipCommand, by_script: bool, index: &str) -> Result<(), String> {
        for (option, _) in &command.options {
            if !OPTIONS.contains(option) {
                return Err(format!("option {option}"));
            }
        }
        for (name, value) in self.env {
            let known = VARIABLES.contains(&name.as_str())
                || name.starts_with("UV_")
                || name.starts_with("VIRTUAL_ENV");
            if steers(name) && !value.is_empty() && !known {
                return Err(format!("environment variable {name}"));
            }
            if name.starts_with("XDG_CONFIG") {
                return Err(format!("environment variable {name}"));
            }
        }
        // Python tells by PATH how it is called, in other words where PATH has others.
        let bin = format!("{PREFIX}/bin");
        let path = self.variable("PATH").unwrap_or_default();
        if path.split(':').any(|entry| entry != bin && Path::new(entry) == Path::new(&bin)) {
            return Err("an unusual PATH".to_owned());
        }
        self.check_process()?;
        self.check_home()?;
        if by_script {
            self.check_beside(&bin)?;
        }
        let named = command.options.iter().filter(|(option, _)| *option == "--index-url");
        let named = named.filter_map(|(_, value)| value.as_deref()).next_back();
        let configured = self.configured()?;
        let own = named.or(self.variable("PIP_INDEX_URL")).or(configured.as_deref()).unwrap_or(DEFAULT_INDEX);
        if own.trim_end_matches('/') != index.trim_end_matches('/') {
            return Err("its index isn't the lock's".to_owned());
        }
        Ok(())
    }

    /// Root, with the usual umask. The step itself would run as this process does.
    fn check_process(&self) -> Result<(), String> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let first = |key: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            value.and_then(|value| value.split_whitespace().next()).unwrap_or_default().to_owned()
        };
        match (first("Uid").as_str(), first("Gid").as_str(), first("Umask").as_str()) {
            ("0", "0", "0022") => Ok(()),
            _ => Err("an install by a user other than root, or an unusual umask".to_owned()),
        }
    }

    /// Nothing of the user's own.
    fn check_home(&self) -> Result<(), String> {
        let home = self.variable("HOME").unwrap_or("/root");
        let minor = &self.python.release.minor;
        for file in [
            format!("{home}/.netrc"),
            format!("{home}/_netrc"),
            format!("{home}/.pip/pip.conf"),
            format!("{home}/.config/pip/pip.conf"),
            format!("{home}/.pydistutils.cfg"),
            format!("{home}/.local/lib/python{minor}"),
            format!("{PREFIX}/pip.conf"),
            "/etc/xdg/pip/pip.conf".to_owned(),
        ] {
            if self.exists(&file) {
                return Err(format!("there is {file}"));
            }
        }
        Ok(())
    }

    /// A script's own directory goes before the standard library.
    fn check_beside(&self, bin: &str) -> Result<(), String> {
        let modules = |directory: &str| -> BTreeSet<String> {
            let names = self.fs.names(Path::new(directory)).into_iter();
            names
                .map(|name| name.to_string_lossy().split('.').next().unwrap_or_default().to_owned())
                .collect()
        };
        let stdlib = self.python.release.stdlib();
        let library = modules(&stdlib).into_iter().chain(modules(&format!("{stdlib}/lib-dynload")));
        let library = library.chain(modules(&self.python.release.site()));
        let library: BTreeSet<String> = library.collect();
        for name in self.fs.names(Path::new(bin)) {
            let name = name.to_string_lossy();
            let path = format!("{bin}/{name}");
            let directory = self.fs.metadata(Path::new(&path)).is_some_and(|meta| meta.is_dir());
            let ending = name.rsplit_once('.').map(|(_, ending)| ending).unwrap_or_default();
            let module = name.split('.').next().unwrap_or_default();
            if (directory || ["py", "pyc", "so"].contains(&ending)) && library.contains(module) {
                return Err(format!("{path} goes before a module of that name"));
            }
        }
        Ok(())
    }

    /// The index that the configuration file names.
    fn configured(&self) -> Result<Option<String>, String> {
        const FILE: &str = "/etc/pip.conf";
        let Some(bytes) = self.fs.read(Path::new(FILE), 1 << 16) else {
            return if self.exists(FILE) { Err(format!("{FILE} is no file")) } else { Ok(None) };
        };
        let text = String::from_utf8(bytes).map_err(|_| format!("{FILE} is no UTF-8 text"))?;
        configured(&text).map_err(|line| format!("{FILE} says `{line}`"))
    }

    /// The version of the pip that is there.
    pub(super) fn pip(&self) -> Result<String, String> {
        let file = format!("{}/pip/__init__.py", self.python.release.site());
        let text = self.fs.read(Path::new(&file), 1 << 14).ok_or("there is no pip in its site-packages")?;
        let text = String::from_utf8_lossy(&text);
        let version = text.lines().find_map(|line| line.strip_prefix("__version__ = \"")?.strip_suffix('"'));
        let version = version.ok_or("its pip doesn't say its version")?.to_owned();
        let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        if (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) < (22, 2) {
            return Err("a pip before 22.2".to_owned());
        }
        for other in ["pip", "pip.py", "pip.pyc"] {
            let path = format!("{}/{other}", self.python.release.stdlib());
            if self.exists(&path) {
                return Err(format!("there is {path}"));
            }
        }
        Ok(version)
    }
}

/// The index that a configuration file names; the line, if it has another than a few plain ones.
fn configured(text: &str) -> Result<Option<String>, String> {
    let (mut global, mut install) = (None, None);
    let mut section = "";
    for line in text.lines() {
        let shown = || line.chars().filter(|c| !c.is_control()).take(40).collect::<String>();
        if line.trim().is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.trim_end().strip_suffix(']')) {
            section = name;
            continue;
        }
        // What begins with a blank continues the line before.
        let (key, value) =
            line.split_once('=').filter(|_| !line.starts_with([' ', '\t'])).ok_or_else(shown)?;
        let (key, value) = (key.trim(), value.trim());
        if !["global", "install"].contains(&section)
            || !KEYS.contains(&key)
            || crate::pip::has_credentials(value)
        {
            return Err(key.chars().take(40).collect());
        }
        if key == "index-url" {
            let slot = if section == "install" { &mut install } else { &mut global };
            if slot.replace(value.to_owned()).is_some() || value.is_empty() {
                return Err(key.to_owned());
            }
        }
    }
    Ok(install.or(global))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn configuration_files() {
        assert_eq!(configured("").unwrap(), None);
        let text =
            "# x\n[global]\nindex-url = http://h/simple/\ntimeout=3\n\n[install]\nindex-url=http://i\n";
        assert_eq!(configured(text).unwrap().unwrap(), "http://i");
        for bad in [
            "index-url = x\n",
            "[global]\nextra-index-url = x\n",
            "[global]\nindex-url = x\n  y\n",
            "[global]\nindex-url\n",
            "[global]\nindex_url = x\n",
            "[install]\ntarget = /x\n",
            "[list]\nformat = x\n",
            "[global]\nindex-url = x\nindex-url = y\n",
            "[global]\nindex-url = http://u:p@h\n",
        ] {
            assert!(configured(bad).is_err(), "{bad}");
        }
    }
}
