//! The environment of an install: which variables steer pip, Python or what they are built on.
//!
//! Variables of those families must be on a list. Some are allowed for every value, some for the values
//! that leave the default in place. Reasons name the variable and never its value.

use super::{NotUnderstood, has_credentials};

/// Beginnings of the names that steer an install; `PYTHON` covers `PYTHONPATH` and `PYTHON_GIL`.
const FAMILIES: &[&str] = &[
    "PIP_",
    // pip's own, such as `_PIP_USE_IMPORTLIB_METADATA`.
    "_PIP_",
    "UV_",
    "PYTHON",
    "_PYTHON_",
    "VIRTUAL_ENV",
    "CONDA_",
    "SETUPTOOLS_",
    "DISTUTILS_",
    "DEB_PYTHON_",
    "LD_",
    "NETRC",
    "SOURCE_DATE_EPOCH",
    "__PYVENV_LAUNCHER__",
    "GLIBC_TUNABLES",
    "BASH_ENV",
];

/// Allowed whatever the value: no effect on installed files, or handed to pip's own resolver.
const ALLOWED: &[&str] = &[
    "PIP_BREAK_SYSTEM_PACKAGES",
    "PIP_CACHE_DIR",
    "PIP_CERT",
    // The configuration that results is read by pip itself, and each of its keys is checked.
    "PIP_CONFIG_FILE",
    "PIP_CONSTRAINT",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_DISABLE_PIP_VERSION_CHECK",
    "PIP_EXISTS_ACTION",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_INDEX_URL",
    "PIP_NO_CACHE_DIR",
    "PIP_NO_COLOR",
    "PIP_NO_DEPS",
    "PIP_NO_INDEX",
    "PIP_NO_INPUT",
    "PIP_NO_PYTHON_VERSION_WARNING",
    "PIP_NO_WARN_CONFLICTS",
    "PIP_NO_WARN_SCRIPT_LOCATION",
    "PIP_ONLY_BINARY",
    "PIP_PRE",
    "PIP_PREFER_BINARY",
    "PIP_PROGRESS_BAR",
    "PIP_PROXY",
    "PIP_QUIET",
    "PIP_REQUIRE_HASHES",
    "PIP_RETRIES",
    "PIP_ROOT_USER_ACTION",
    "PIP_TIMEOUT",
    "PIP_TRUSTED_HOST",
    "PIP_UPGRADE",
    "PIP_UPGRADE_STRATEGY",
    "PIP_VERBOSE",
    // What the official images say of themselves.
    "PYTHON_GET_PIP_SHA256",
    "PYTHON_GET_PIP_URL",
    "PYTHON_PIP_VERSION",
    "PYTHON_SETUPTOOLS_VERSION",
    "PYTHON_SHA256",
    "PYTHON_VERSION",
    "PYTHON_WHEEL_VERSION",
    "PYTHONCOERCECLOCALE",
    // Compiling during an install is explicit, and happens all the same.
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONFAULTHANDLER",
    "PYTHONHASHSEED",
    "PYTHONIOENCODING",
    "PYTHONNOUSERSITE",
    // What is found there counts as installed, for pip and so for the resolution.
    "PYTHONPATH",
    "PYTHONUNBUFFERED",
    "PYTHONUTF8",
    "PYTHON_COLORS",
    // Read by uv alone.
    "UV_CACHE_DIR",
    "UV_COMPILE_BYTECODE",
    // uv's own dry run and lock read them, as the step would.
    "UV_DEFAULT_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_HTTP_TIMEOUT",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_LINK_MODE",
    "UV_NO_CACHE",
    "UV_PYTHON_DOWNLOADS",
    "UV_SYSTEM_PYTHON",
    // Read by shells and by uv; pip goes by the interpreter it runs under.
    "VIRTUAL_ENV",
    "VIRTUAL_ENV_PROMPT",
    "VIRTUAL_ENV_DISABLE_PROMPT",
];

/// Allowed when they say no.
const ALLOWED_IF_FALSE: &[&str] = &["PIP_REQUIRE_VIRTUALENV", "PIP_USER"];

/// Checks the environment of a step.
///
/// # Errors
/// [`NotUnderstood`] naming the first variable, in order of names, that is not known to leave the result
/// as it is, or that holds credentials for an index.
pub fn check_environment(env: &[(String, String)]) -> Result<(), NotUnderstood> {
    let mut sorted: Vec<_> = env.iter().collect();
    sorted.sort();
    sorted.into_iter().try_for_each(|(name, value)| check_variable(name, value))
}

/// Names of set variables that make the step reach an index in its own way: certificates, proxies, trust.
/// Whoever fetches the wheels in its place may not reach it without them.
pub fn network_variables(env: &[(String, String)]) -> Vec<&str> {
    const OWN: &[&str] = &[
        "PIP_CERT",
        "PIP_PROXY",
        "PIP_TRUSTED_HOST",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
    ];
    let set = env.iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name.as_str());
    let mut names: Vec<&str> = set
        // The proxy variables count in lower case too.
        .filter(|name| OWN.contains(name) || name.ends_with("_proxy") && OWN.contains(&&*name.to_uppercase()))
        .collect();
    names.sort_unstable();
    names
}

/// Whether a variable of this name may steer an install.
pub(crate) fn steers(name: &str) -> bool {
    FAMILIES.iter().any(|family| name.starts_with(family))
}

fn check_variable(name: &str, value: &str) -> Result<(), NotUnderstood> {
    // pip lower-cases what follows `PIP_`, so `PIP_Target` steers it too: the list is of exact names.
    if !steers(name) {
        return Ok(());
    }
    let refused = Err(NotUnderstood::new(format!("environment variable {}", shown(name))));
    if (name.starts_with("PIP_") || name.starts_with("UV_")) && has_credentials(value) {
        return Err(NotUnderstood::new(format!("credentials in environment variable {}", shown(name))));
    }
    if ALLOWED.contains(&name) {
        return Ok(());
    }
    if ALLOWED_IF_FALSE.contains(&name) {
        let no = ["", "0", "n", "no", "f", "false", "off"].contains(&value.to_ascii_lowercase().as_str());
        return if no { Ok(()) } else { refused };
    }
    match name {
        // CPython takes an empty variable for an unset one.
        _ if value.is_empty() && name.starts_with("PYTHON") && !name.contains('_') => Ok(()),
        // As an error, a warning would keep byte code from being written.
        "PYTHONWARNINGS" if value == "ignore" || value == "default" => Ok(()),
        _ => refused,
    }
}

fn shown(name: &str) -> &str {
    let plain = name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if plain { name } else { "of an unusual name" }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{check_environment, network_variables};

    fn check(name: &str, value: &str) -> Result<(), String> {
        check_environment(&[("PATH".into(), "/bin".into()), (name.into(), value.into())])
            .map_err(|error| error.reason)
    }

    #[test]
    fn the_environment_of_an_official_image_passes() {
        for (name, value) in [
            ("PYTHON_VERSION", "3.12.7"),
            ("PYTHON_SHA256", "00"),
            ("LANG", "C.UTF-8"),
            ("GPG_KEY", "00"),
            ("PYTHONUNBUFFERED", "1"),
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("PIP_NO_CACHE_DIR", "1"),
            ("PIP_INDEX_URL", "https://h/simple"),
            ("PIP_USER", "0"),
            ("PYTHONOPTIMIZE", ""),
            ("PYTHONPATH", "/app"),
            ("VIRTUAL_ENV", "/opt/venv"),
            ("APP_PIP_TARGET", "/x"),
        ] {
            assert_eq!(check(name, value), Ok(()), "{name}");
        }
    }

    #[test]
    fn what_steers_an_install_is_refused_by_name() {
        for (name, value) in [
            ("PIP_TARGET", "/x"),
            ("PIP_Target", "/x"),
            ("PIP_USER", "1"),
            ("PIP_VERSION", "24"),
            ("_PIP_USE_IMPORTLIB_METADATA", "0"),
            ("PIP_NO_COMPILE", "1"),
            ("PIP_REQUIRE_VIRTUALENV", "true"),
            ("PYTHONOPTIMIZE", "2"),
            ("PYTHONPYCACHEPREFIX", "/x"),
            ("PYTHONHOME", "/x"),
            ("PYTHONSAFEPATH", "1"),
            ("PYTHONNODEBUGRANGES", "1"),
            ("PYTHONWARNINGS", "error"),
            ("PYTHON_ANYTHING", "1"),
            ("_PYTHON_SYSCONFIGDATA_NAME", "x"),
            ("SOURCE_DATE_EPOCH", "0"),
            ("SETUPTOOLS_USE_DISTUTILS", "stdlib"),
            ("DEB_PYTHON_INSTALL_LAYOUT", "deb"),
            ("__PYVENV_LAUNCHER__", "x"),
            ("LD_PRELOAD", "/x.so"),
            ("UV_PROJECT_ENVIRONMENT", "/x"),
            ("NETRC", "/x"),
        ] {
            assert_eq!(check(name, value), Err(format!("environment variable {name}")));
        }
    }

    #[test]
    fn no_value_is_ever_repeated() {
        let reason = check("PIP_INDEX_URL", "https://user:hunter2@h/simple").unwrap_err();
        assert_eq!(reason, "credentials in environment variable PIP_INDEX_URL");
        let reason = check("UV_INDEX_URL", "https://user:hunter2@h/simple").unwrap_err();
        assert_eq!(reason, "credentials in environment variable UV_INDEX_URL");
        assert_eq!(
            check("PIP_\u{1b}[31m", "hunter2").unwrap_err(),
            "environment variable of an unusual name"
        );
    }

    #[test]
    fn variables_of_the_network_are_named() {
        let pairs = [("https_proxy", "p"), ("PIP_CERT", "/c"), ("HTTP_PROXY", ""), ("PATH", "/bin")];
        let env = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(network_variables(&env), ["PIP_CERT", "https_proxy"]);
    }

    #[test]
    fn the_first_name_in_order_is_reported_whatever_the_order_given() {
        let env = |names: [&str; 2]| names.map(|name| (name.to_owned(), "1".to_owned()));
        let one = check_environment(&env(["PYTHONHOME", "LD_PRELOAD"])).unwrap_err();
        let other = check_environment(&env(["LD_PRELOAD", "PYTHONHOME"])).unwrap_err();
        assert_eq!(one, other);
        assert_eq!(one.reason, "environment variable LD_PRELOAD");
    }
}
