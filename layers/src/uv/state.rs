//! What steers uv besides its arguments: environment, options without a place in the layers, configuration files.

use std::path::Path;

use crate::pip::{NotUnderstood, PipCommand};

/// Checks what can be told from the command and its environment alone.
///
/// `covered` says whether something is mounted at, or above, a directory: what goes there is no part of the image.
///
/// # Errors
/// [`NotUnderstood`] if uv would leave its cache in the image, write byte code, link into its cache, or look for its
/// files in unusual places.
pub fn check_image_state(
    command: &PipCommand,
    env: &[(String, String)],
    covered: &dyn Fn(&str) -> bool,
) -> Result<(), NotUnderstood> {
    let refused = |what: &str| Err(NotUnderstood::new(what));
    let get = |name: &str| env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    // Where its lock goes.
    if get("TMPDIR").is_some() {
        return refused("environment variable TMPDIR, with uv");
    }
    check_options(command, env)?;
    let no_cache = match get("UV_NO_CACHE") {
        None => false,
        Some("1" | "true") => true,
        Some(value) if says_no(value) => false,
        Some(_) => return refused("a value of UV_NO_CACHE"),
    };
    if !no_cache && !command.has("--no-cache") {
        let given = command.options.iter().rev().find(|(name, _)| *name == "--cache-dir");
        let directory = match given.and_then(|(_, value)| value.as_deref()).or(get("UV_CACHE_DIR")) {
            Some(directory) => directory.to_owned(),
            None => format!("{}/.cache/uv", get("HOME").unwrap_or("/root")),
        };
        if !directory.starts_with('/') || directory.contains("/../") || !covered(&directory) {
            return refused(
                "uv's cache, which stays in the image (`--no-cache`, or a cache mount, avoids that)",
            );
        }
    }
    Ok(())
}

/// The part of it that is about options, and variables that say the same.
pub(super) fn check_options(command: &PipCommand, env: &[(String, String)]) -> Result<(), NotUnderstood> {
    let refused = |what: &str| Err(NotUnderstood::new(what));
    let get = |name: &str| env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    for name in ["XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "XDG_CACHE_HOME", "XDG_DATA_HOME", "RUST_LOG"] {
        if get(name).is_some() {
            return refused(&format!("environment variable {name}, with uv"));
        }
    }
    if command.has("--compile-bytecode") || !get("UV_COMPILE_BYTECODE").is_none_or(says_no) {
        return refused("uv with byte code");
    }
    if command.has("--require-hashes") {
        return refused("hashes checked by uv");
    }
    let link_modes = command.options.iter().filter(|(name, _)| *name == "--link-mode");
    let mut modes = link_modes.filter_map(|(_, value)| value.as_deref()).chain(get("UV_LINK_MODE"));
    if modes.any(|mode| !matches!(mode, "copy" | "hardlink" | "clone")) {
        return refused("files of uv that are links into its cache");
    }
    Ok(())
}

/// How uv reads a variable that is a switch; the empty text is not one.
fn says_no(value: &str) -> bool {
    matches!(value, "0" | "false")
}

/// Looks for configuration files where uv does: in the working directory and everything above it, in the home
/// directory, in `/etc`.
///
/// # Errors
/// [`NotUnderstood`] if there is any, or a `.netrc`.
pub(super) fn check_files(cwd: &Path, home: &Path) -> Result<(), NotUnderstood> {
    let found = || Err(NotUnderstood::new("a configuration file of uv"));
    for directory in cwd.ancestors() {
        if directory.join("uv.toml").exists() {
            return found();
        }
        let project = directory.join("pyproject.toml");
        // Wider than `[tool.uv]`, which can be spelled in many ways.
        match std::fs::read_to_string(&project) {
            Ok(text) if text.contains("uv") => return found(),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(_) => return Err(NotUnderstood::new("a pyproject.toml that can't be read")),
        }
    }
    let fixed = ["/etc/uv/uv.toml", "/etc/xdg/uv/uv.toml"];
    if fixed.iter().any(|path| Path::new(path).exists()) || home.join(".config/uv/uv.toml").exists() {
        return found();
    }
    if home.join(".netrc").exists() || home.join("_netrc").exists() {
        return Err(NotUnderstood::new("a netrc file, so the index may need credentials"));
    }
    Ok(())
}
