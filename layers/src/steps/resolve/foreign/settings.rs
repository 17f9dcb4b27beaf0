//! The settings that pip would go by: its options, the environment, configuration files, and pip itself.

use std::collections::BTreeSet;
use std::path::Path;

use super::python::{PREFIX, Python};
use super::values::{option, variable};
use crate::facts::RootFs;
use crate::pip::{PipCommand, steers};
use crate::steps::resolve::stubs::DEFAULT_INDEX;

/// Keys of a configuration file that change nothing about what is installed, or are looked at here.
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

/// Bytes of a configuration file at most.
const CONFIGURATION: u64 = 64 << 10;

/// The first and the last release of pip (`X.Y`) that this follows.
const PIPS: [(u32, u32); 2] = [(22, 2), (26, 3)];

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

    /// Refuses what may change what pip installs, or where, and what makes it fail. `script`: what it is started by, if
    /// that is its script.
    pub(super) fn check(
        &self,
        command: &PipCommand,
        script: Option<&str>,
        index: &str,
    ) -> Result<(), String> {
        for (name, value) in &command.options {
            let form = option(name.trim_start_matches('-')).ok_or_else(|| format!("option {name}"))?;
            if value.as_ref().is_some_and(|value| !form.takes(value)) {
                return Err(format!("a value of option {name}"));
            }
        }
        self.check_variables()?;
        // Python tells by PATH how it is called, in other words where PATH has others.
        let bin = format!("{PREFIX}/bin");
        let path = self.variable("PATH").unwrap_or_default();
        if path.split(':').any(|entry| entry != bin && Path::new(entry) == Path::new(&bin)) {
            return Err("an unusual PATH".to_owned());
        }
        self.check_process()?;
        self.check_home()?;
        if let Some(script) = script {
            self.check_script(script)?;
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

    fn check_variables(&self) -> Result<(), String> {
        for (name, value) in self.env {
            let form = variable(name);
            if steers(name) && !value.is_empty() && form.is_none() || name.starts_with("XDG_CONFIG") {
                return Err(format!("environment variable {name}"));
            }
            if form.is_some_and(|form| !value.is_empty() && !form.takes(value)) {
                return Err(format!("the value of environment variable {name}"));
            }
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
        if !home.starts_with('/') {
            return Err("a HOME that isn't absolute".to_owned());
        }
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

    /// The directory that its file is really in is where modules are looked for first.
    fn check_script(&self, script: &str) -> Result<(), String> {
        let bin = format!("{PREFIX}/bin");
        let physical = self.fs.physical(Path::new(script));
        if physical.as_deref().and_then(Path::parent) != Some(Path::new(&bin)) {
            return Err(format!("its script {script} isn't a file of {bin}"));
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
        let Some(bytes) = self.fs.read(Path::new(FILE), CONFIGURATION + 1) else {
            return if self.exists(FILE) { Err(format!("{FILE} is no file")) } else { Ok(None) };
        };
        if bytes.len() as u64 > CONFIGURATION {
            return Err(format!("{FILE} is larger than any"));
        }
        let text = plain(bytes).ok_or_else(|| format!("{FILE} has unusual characters"))?;
        configured(&text).map_err(|line| format!("{FILE} says `{line}`"))
    }

    /// The version of the pip that is there.
    pub(super) fn pip(&self) -> Result<String, String> {
        let file = format!("{}/pip/__init__.py", self.python.release.site());
        let text = self.fs.read(Path::new(&file), 1 << 14).ok_or("there is no pip in its site-packages")?;
        let text = String::from_utf8_lossy(&text);
        let version = text.lines().find_map(|line| line.strip_prefix("__version__ = \"")?.strip_suffix('"'));
        let version = version.ok_or("its pip doesn't say its version")?.to_owned();
        check_version(&version)?;
        let stdlib = self.python.release.stdlib();
        // Before its own directory, or in place of it.
        for directory in [&stdlib, &format!("{stdlib}/lib-dynload"), &self.python.release.site()] {
            for name in self.fs.names(Path::new(directory)) {
                let name = name.to_string_lossy();
                let own = name == "pip" && *directory == self.python.release.site();
                let module = name == "pip" || name.starts_with("pip.");
                if module && !own {
                    return Err(format!("there is {directory}/{name}"));
                }
            }
        }
        Ok(version)
    }
}

/// Whether it is a release of pip that is followed.
fn check_version(version: &str) -> Result<(), String> {
    let parts: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
    let [major, minor, ..] = parts.unwrap_or_default()[..] else {
        return Err("its pip is no final release".to_owned());
    };
    let [first, last] = PIPS;
    if (major, minor) < first || (major, minor) > last {
        return Err(format!("its pip is none from {}.{} to {}.{}", first.0, first.1, last.0, last.1));
    }
    Ok(())
}

/// A text of printable ASCII, in which a line ends in one way or the other: Python ends lines at other characters too, and
/// takes more of them for blanks.
fn plain(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    let lines = text.replace("\r\n", "\n");
    lines.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t' | b'\n')).then_some(text)
}

/// The index that a configuration file names; the line, if it has another than a few plain ones.
fn configured(text: &str) -> Result<Option<String>, String> {
    let (mut global, mut install) = (None, None);
    let mut section = "";
    // What it has twice makes it no configuration at all.
    let (mut sections, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for line in text.lines() {
        let shown = || line.chars().filter(|c| !c.is_control()).take(40).collect::<String>();
        if line.trim().is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.trim_end().strip_suffix(']')) {
            section = name;
            if !["global", "install"].contains(&section) || !sections.insert(section) {
                return Err(shown());
            }
            continue;
        }
        // What begins with a blank continues the line before.
        let (key, value) =
            line.split_once('=').filter(|_| !line.starts_with([' ', '\t'])).ok_or_else(shown)?;
        let (key, value) = (key.trim(), value.trim());
        let known = KEYS.contains(&key) && option(key).is_some_and(|form| form.takes(value));
        if section.is_empty()
            || !known
            || value.is_empty()
            || !keys.insert((section, key))
            || crate::pip::has_credentials(value)
        {
            return Err(key.chars().take(40).collect());
        }
        if key == "index-url" {
            let slot = if section == "install" { &mut install } else { &mut global };
            *slot = Some(value.to_owned());
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
            "[global]\nindex-url =\n",
            "[global]\ntimeout = x\n",
            "[global]\ntimeout = 0\n",
            "[global]\nretries = many\n",
            "[global]\nprogress-bar = pretty\n",
            "[global]\nroot-user-action = x\n",
            "[global]\nno-cache-dir = x\n",
            "[global]\ntimeout = 3\ntimeout = 3\n",
            "[global]\ntimeout = 3\n[global]\nretries = 3\n",
            "[global]\n[install]\n[global]\n",
            "[list]\n",
        ] {
            assert!(configured(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn characters_of_configuration_files() {
        for good in ["", "[global]\n\ttimeout = 3\r\n", "# ~"] {
            assert!(plain(good.into()).is_some(), "{good:?}");
        }
        for bad in
            ["a\rb", "a\r", "a\u{c}b", "a\u{a0}", "\u{feff}a", "a\u{2028}b", "a\0", "a\u{85}", "a\r\r\n"]
        {
            assert_eq!(plain(bad.into()), None, "{bad:?}");
        }
        assert_eq!(plain(vec![0xff]), None);
    }

    #[test]
    fn releases_of_pip() {
        for good in ["22.2", "22.2.2", "24.0", "26.3", "26.3.1"] {
            assert_eq!(check_version(good), Ok(()), "{good}");
        }
        for bad in ["22.1.2", "26.4", "27.0", "25.0b1", "25.0.dev0", "25", "", "x.y"] {
            assert!(check_version(bad).is_err(), "{bad}");
        }
    }

    /// A state with a Python 3.11 below `/usr/local`, and these files with this text.
    fn state<T>(files: &[(&str, &str)], env: &[(&str, &str)], ask: impl Fn(&State<'_>) -> T) -> T {
        let root = tempfile::tempdir().unwrap();
        let site = "usr/local/lib/python3.11/site-packages";
        let all = [(format!("{site}/pip/__init__.py"), "__version__ = \"24.0\"\n")];
        let all = all.into_iter().chain(files.iter().map(|(path, text)| ((*path).to_owned(), *text)));
        for (path, text) in all {
            let path = root.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let python = Python::of_release("3.11.2");
        let env: Vec<_> = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        ask(&State { fs: &RootFs::new(root.path()), python: &python, env: &env })
    }

    fn checked(
        files: &[(&str, &str)],
        env: &[(&str, &str)],
        words: &str,
        script: Option<&str>,
    ) -> Result<(), String> {
        let argv: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let command = PipCommand::parse(&argv).unwrap();
        state(files, env, |state| state.check(&command, script, DEFAULT_INDEX))
    }

    #[test]
    fn values_are_looked_at() {
        // The process that runs the tests may be anybody's.
        let failed = |env: &[(&str, &str)], words: &str| match checked(&[], env, words, None) {
            Err(reason) if reason.contains("a user other than root") => None,
            other => other.err(),
        };
        assert_eq!(
            failed(&[("PIP_TIMEOUT", "3"), ("PYTHONHASHSEED", "")], "pip install --retries 3 a"),
            None
        );
        assert_eq!(failed(&[], "pip install --retries x a").unwrap(), "a value of option --retries");
        assert_eq!(failed(&[], "pip install --timeout 0 a").unwrap(), "a value of option --timeout");
        assert_eq!(failed(&[], "pip install --pre a").unwrap(), "option --pre");
        for (name, value) in [("PYTHONHASHSEED", "x"), ("PIP_RETRIES", "x"), ("PYTHONUTF8", "2")] {
            let refused = failed(&[(name, value)], "pip install a").unwrap();
            assert_eq!(refused, format!("the value of environment variable {name}"));
        }
        let refused = failed(&[("_PIP_USE_IMPORTLIB_METADATA", "0")], "pip install a").unwrap();
        assert_eq!(refused, "environment variable _PIP_USE_IMPORTLIB_METADATA");
    }

    #[test]
    fn homes_are_absolute() {
        let home = |home: &str| state(&[("/h/.netrc", "")], &[("HOME", home)], |state| state.check_home());
        assert_eq!(home("/x"), Ok(()));
        assert_eq!(home("h").unwrap_err(), "a HOME that isn't absolute");
        assert_eq!(home("/h").unwrap_err(), "there is /h/.netrc");
    }

    #[test]
    fn a_script_is_really_where_it_is_found() {
        let root = tempfile::tempdir().unwrap();
        let inside = |path: &str| root.path().join(path.trim_start_matches('/'));
        for directory in ["/usr/local/bin", "/opt"] {
            std::fs::create_dir_all(inside(directory)).unwrap();
        }
        std::fs::write(inside("/usr/local/bin/pip3"), "").unwrap();
        std::fs::write(inside("/opt/pip"), "").unwrap();
        std::os::unix::fs::symlink("/opt/pip", inside("/usr/local/bin/pip")).unwrap();
        std::os::unix::fs::symlink("/usr/local/bin/pip3", inside("/opt/pip3")).unwrap();
        let (fs, python) = (RootFs::new(root.path()), Python::of_release("3.11.2"));
        let state = State { fs: &fs, python: &python, env: &[] };
        assert_eq!(state.check_script("/usr/local/bin/pip3"), Ok(()));
        assert_eq!(state.check_script("/opt/pip3"), Ok(()));
        let refused = "its script /usr/local/bin/pip isn't a file of /usr/local/bin";
        assert_eq!(state.check_script("/usr/local/bin/pip").unwrap_err(), refused);
        assert!(state.check_script("/usr/local/bin/none").is_err());
    }

    #[test]
    fn another_pip_is_seen() {
        let pip = |file: &str| state(&[(file, "")], &[], |state| state.pip());
        let stdlib = "/usr/local/lib/python3.11";
        assert_eq!(pip("/x").unwrap(), "24.0");
        for (other, below) in [
            ("pip", "/__init__.py"),
            ("pip.py", ""),
            ("pip.cpython-311-x86_64-linux-gnu.so", ""),
            ("lib-dynload/pip.so", ""),
            ("lib-dynload/pip", "/x"),
            ("site-packages/pip.abi3.so", ""),
        ] {
            let refused = pip(&format!("{stdlib}/{other}{below}")).unwrap_err();
            assert_eq!(refused, format!("there is {stdlib}/{other}"));
        }
    }

    #[test]
    fn large_configuration_files_are_not_read_in_part() {
        let long = format!("[global]\n{}", "# comment\n".repeat(7_000));
        let refused = state(&[("/etc/pip.conf", &long)], &[], |state| state.configured()).unwrap_err();
        assert_eq!(refused, "/etc/pip.conf is larger than any");
        let odd = state(&[("/etc/pip.conf", "[global]\rtimeout = 3\n")], &[], |state| state.configured());
        assert_eq!(odd.unwrap_err(), "/etc/pip.conf has unusual characters");
    }
}
