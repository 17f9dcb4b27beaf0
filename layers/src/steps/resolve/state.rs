//! Which states pip is understood in: who runs it, with which interpreter, configuration and install scheme.

use std::path::Path;

use super::answer::Described;
use crate::pip::{CacheDir, NotUnderstood, PipCommand};

/// Configuration keys without effect on files, or which the resolver takes into account.
const CONFIG_KEYS: &[&str] = &[
    "break-system-packages",
    "cert",
    "default-timeout",
    "disable-pip-version-check",
    "exists-action",
    "extra-index-url",
    "find-links",
    "index-url",
    "no-cache-dir",
    "no-color",
    "no-deps",
    "no-index",
    "no-input",
    "no-python-version-warning",
    "no-warn-conflicts",
    "no-warn-script-location",
    "only-binary",
    "pre",
    "prefer-binary",
    "progress-bar",
    "proxy",
    "quiet",
    "require-hashes",
    "retries",
    "root-user-action",
    "timeout",
    "trusted-host",
    "upgrade",
    "upgrade-strategy",
    "verbose",
];

/// Refuses states in which pip does something that the layers do not model. `secrets`: the step has some, and so no
/// address of an index is kept.
pub(super) fn check_state(
    command: &PipCommand,
    facts: &Described,
    secrets: bool,
) -> Result<(), NotUnderstood> {
    let refused = |what: &str| Err(NotUnderstood::new(what));
    if !facts.root {
        return refused("an install by a user other than root");
    }
    if facts.umask != 0o022 {
        return refused("an unusual umask");
    }
    if facts.optimize != 0 {
        return refused("an optimising interpreter");
    }
    if !facts.python.is_usual() {
        return refused("an unreleased or unusual interpreter");
    }
    if pip_version(&facts.pip_version) < (22, 2) {
        return refused("a pip before 22.2");
    }
    for item in &facts.config {
        let Some((section, key)) = item.key.rsplit_once('.') else {
            return refused("a pip configuration of another form");
        };
        if !matches!(section, "global" | "install" | ":env:") {
            continue;
        }
        if item.credentials && !secrets {
            return refused("the index needs credentials");
        }
        // The configuration file's own place, and what says no to something.
        // Constraints of the environment were read; those of a file might hold anything. The environment's cache
        // directory was looked at by the frontend; another one is left behind as any file.
        let harmless = (section == ":env:" && matches!(key, "config-file" | "constraint" | "cache-dir"))
            || (key == "cache-dir" && command.cache() == CacheDir::None)
            || (!item.set && matches!(key, "user" | "require-virtualenv"));
        if !harmless && !CONFIG_KEYS.contains(&key) {
            let plain = key.len() < 40 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            let key = if plain { key } else { "of an unusual name" };
            return refused(&format!("pip configuration key {key}"));
        }
    }
    if facts.netrc && !secrets {
        return refused("a netrc file, so the index may need credentials");
    }
    // Where files and variables disagree, this does not say which of them wins.
    let mut settings = facts.config.iter().filter(|item| item.key.ends_with(".break-system-packages"));
    let first = settings.next();
    let allowed = command.has("--break-system-packages")
        || first.is_some_and(|item| item.set) && settings.all(|item| item.set);
    // pip looks for the marker since 23.0; before, it is not asked for.
    if facts.externally_managed && !allowed && pip_version(&facts.pip_version) >= (23, 0) {
        return refused("an externally managed interpreter");
    }
    if facts.customized.iter().any(|file| Path::new(file).parent() != Some(Path::new(&facts.stdlib))) {
        return refused("a sitecustomize or usercustomize module");
    }
    let ours = [&facts.scheme.purelib, &facts.scheme.platlib].into_iter().chain(&facts.sites);
    if !ours.into_iter().any(|site| *site == facts.pip_directory) {
        return refused("a pip outside of its interpreter's site-packages");
    }
    if facts.scheme.headers.is_empty() || facts.scheme != facts.real {
        return refused("an install prefix that is reached through a symlink");
    }
    let paths = [
        &facts.scheme.purelib,
        &facts.scheme.platlib,
        &facts.scheme.headers,
        &facts.scheme.scripts,
        &facts.scheme.data,
    ];
    if paths.into_iter().any(|path| !path.starts_with('/')) {
        return refused("a relative install prefix");
    }
    Ok(())
}

/// Major and minor.
pub(super) fn pip_version(version: &str) -> (u32, u32) {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}
