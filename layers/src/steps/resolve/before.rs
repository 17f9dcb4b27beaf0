//! What is refused before an interpreter is started: by the command, the environment, and files.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::Context;
use super::secret::{places, without_addresses};
use crate::pip::{
    CacheDir, FoundOptions, Launcher, LocalFiles, NotUnderstood, PipCommand, check_environment,
    find_launcher, normalized, read_requirements,
};

/// Whether a file of the working directory could match a word of the command.
pub(super) fn matched(globs: &[String], cwd: &Path) -> Option<NotUnderstood> {
    if let Some(glob) = globs.iter().find(|glob| glob.contains('/')) {
        return Some(NotUnderstood::new(format!(
            "an unquoted file name pattern in another directory (`{glob}…`)"
        )));
    }
    if globs.is_empty() {
        return None;
    }
    let Ok(entries) = fs::read_dir(cwd) else {
        return Some(NotUnderstood::new(
            "an unquoted file name pattern, and a working directory that can't be read",
        ));
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if let Some(glob) = globs.iter().find(|glob| name.starts_with(glob.as_str())) {
            let what = format!("an unquoted file name pattern (`{glob}…`) that may match a file");
            return Some(NotUnderstood::new(what));
        }
    }
    None
}

/// What is known without starting an interpreter.
pub(super) struct Prepared {
    pub(super) command: PipCommand,
    pub(super) launcher: Launcher,
    /// Where wheels are to be looked for, if that has to be said again.
    pub(super) fetch_with: Vec<String>,
    /// What it asks for, in normal form; or why a lock has nothing to say of it.
    pub(super) asked: Result<BTreeSet<String>, String>,
    /// What it asks for, as it is written.
    pub(super) requirements: Vec<String>,
    /// Its requirements files have options, or hashes.
    pub(super) options_in_files: bool,
    /// The command, or a file, says where wheels are to be looked for, or what they have to be like.
    pub(super) own_index: bool,
}

/// Everything that can be refused without starting an interpreter.
pub(super) fn prepare(context: &Context) -> Result<Prepared, NotUnderstood> {
    let command = PipCommand::parse(&context.argv)?;
    check_environment(&without_addresses(&context.env, context.secrets.as_deref()))?;
    let set = |name: &str| context.env.iter().find(|(key, value)| key == name && !value.is_empty());
    let caches = command.cache() != CacheDir::None && set("PIP_NO_CACHE_DIR").is_none();
    if caches && set("HOME").is_some_and(|(_, home)| !Path::new(home).is_dir()) {
        // It would be made for the download cache, and stay.
        return Err(NotUnderstood::new("a home directory that is not there"));
    }
    let mut files = LocalFiles { cwd: &context.cwd, env: &context.env };
    let variable = context.env.iter().find(|(name, _)| name == "PIP_CONSTRAINT");
    let from_env = variable.into_iter().flat_map(|(_, files)| files.split_whitespace());
    let constraints = from_env.chain(command.constraint_files.iter().map(String::as_str));
    let requirements = command.requirement_files.iter().map(String::as_str);
    let all = constraints.map(|file| (file, true)).chain(requirements.map(|file| (file, false)));
    let all: Vec<_> = all.map(|(file, constraint)| (file.to_owned(), constraint)).collect();
    let found = read_requirements(&mut files, &all)?;
    let fetch_with = match context.secrets {
        Some(_) => places(&command, &found, &context.cwd)?,
        None => Vec::new(),
    };
    let path = context.env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_str());
    let launcher = find_launcher(&command, path.unwrap_or_default())?;
    if launcher.script.is_none() {
        // `-m` looks in the working directory first, until pip takes it off the path.
        if let Ok(entries) = fs::read_dir(&context.cwd) {
            for entry in entries.flatten() {
                if shadows(&entry.file_name().to_string_lossy(), &entry.path()) {
                    return Err(NotUnderstood::new("a module in the working directory that shadows pip"));
                }
            }
        }
    }
    let asked = asked(&command, &found, variable.is_some());
    let own_index = found.hashes
        || found.options.iter().any(|option| STEERS.contains(option))
        || command.options.iter().any(|(option, _)| STEERS.contains(option));
    let requirements = command.requirements.iter().chain(&found.requirements).cloned().collect();
    let options_in_files = found.hashes || !found.options.is_empty();
    Ok(Prepared { command, launcher, fetch_with, asked, requirements, options_in_files, own_index })
}

/// Options after which an index isn't asked for the versions of the lock in the usual way.
const STEERS: &[&str] =
    &["--index-url", "--extra-index-url", "--find-links", "--no-index", "--no-binary", "--require-hashes"];

/// What a command of uv's asks for, in normal form; or why a lock has nothing to say of it.
pub(super) fn asked_of_uv(context: &Context, command: &PipCommand) -> Result<BTreeSet<String>, String> {
    let mut files = LocalFiles { cwd: &context.cwd, env: &context.env };
    let all: Vec<_> = command.requirement_files.iter().map(|file| (file.clone(), false)).collect();
    let found = read_requirements(&mut files, &all).map_err(|refused| refused.reason)?;
    let own = ["UV_CONSTRAINT", "UV_OVERRIDE"];
    asked(command, &found, context.env.iter().any(|(name, _)| own.contains(&name.as_str())))
}

/// What a command asks for by name.
fn asked(command: &PipCommand, found: &FoundOptions, constrained: bool) -> Result<BTreeSet<String>, String> {
    if found.by_url {
        return Err("it reads requirements from an address".to_owned());
    }
    if constrained || !command.constraint_files.is_empty() || !found.constraints.is_empty() {
        return Err("it has constraints of its own".to_owned());
    }
    let all = command.requirements.iter().chain(&found.requirements);
    let named =
        |text: &String| normalized(text).ok_or_else(|| "it names a file in place of a version".to_owned());
    all.map(named).collect()
}

/// Modules that some Python imports for `-m pip` while the working directory is still on the path.
const IMPORTED_FIRST: &[&str] = &[
    "_collections_abc",
    "_weakrefset",
    "abc",
    "codecs",
    "collections",
    "contextlib",
    "copyreg",
    "enum",
    "functools",
    "genericpath",
    "heapq",
    "importlib",
    "io",
    "itertools",
    "keyword",
    "linecache",
    "operator",
    "os",
    "pkgutil",
    "posixpath",
    "re",
    "reprlib",
    "runpy",
    "sre_compile",
    "sre_constants",
    "sre_parse",
    "stat",
    "string",
    "token",
    "tokenize",
    "traceback",
    "types",
    "typing",
    "warnings",
    "weakref",
    "zipimport",
];

/// Whether a file of this name would be imported in place of one of pip's first modules.
fn shadows(name: &str, path: &Path) -> bool {
    let (stem, ending) = name.split_once('.').unwrap_or((name, ""));
    if stem == "pip" {
        return true;
    }
    let module = match ending.rsplit('.').next() {
        // A directory without it gives way to a module further down the path.
        Some("") => path.join("__init__.py").exists() || path.join("__init__.pyc").exists(),
        Some(last) => matches!(last, "py" | "pyc" | "so"),
        None => false,
    };
    module && IMPORTED_FIRST.contains(&stem)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn modules_of_an_application_shadow_those_of_the_library() {
        let cwd = tempfile::tempdir().unwrap();
        for directory in ["enum", "collections", "app"] {
            fs::create_dir(cwd.path().join(directory)).unwrap();
        }
        fs::write(cwd.path().join("enum/__init__.py"), "").unwrap();
        let seen = |name: &str| shadows(name, &cwd.path().join(name));
        for name in [
            "typing.py",
            "types.cpython-311.pyc",
            "re.cpython-311-x86_64-linux-gnu.so",
            "enum",
            "pip",
            "pip.py",
        ] {
            assert!(seen(name), "{name}");
        }
        for name in
            ["typing.txt", "types.py.orig", "main.py", "collections", "app", "typing_extra.py", ".re.py"]
        {
            assert!(!seen(name), "{name}");
        }
    }
}
