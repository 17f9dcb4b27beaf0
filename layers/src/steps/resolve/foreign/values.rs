//! Values of settings that change nothing about what is installed: pip and Python must take them, too.
//!
//! A value that they don't take makes the install fail, and that is then what it has to do here as well. What can't be said
//! of every release with certainty is refused.

/// A form of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Whatever it is.
    Any,
    /// What pip takes for yes or no, and for how often.
    Flag,
    /// A small number.
    Count,
    /// The same, more than nothing.
    Seconds,
    /// One of a few words.
    OneOf(&'static [&'static str]),
    /// What Python takes for the seed of its hashes.
    Seed,
}

impl Form {
    /// Whether a value has this form.
    pub(super) fn takes(self, value: &str) -> bool {
        let count = (1..=5).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
        match self {
            Self::Any => true,
            Self::Flag => {
                ["0", "1", "true", "false", "yes", "no", "on", "off"].contains(&&*value.to_ascii_lowercase())
            }
            Self::Count => count,
            Self::Seconds => count && value.bytes().any(|b| b != b'0'),
            Self::OneOf(words) => words.contains(&value),
            Self::Seed => {
                let number = value.bytes().all(|b| b.is_ascii_digit()) && value.parse::<u32>().is_ok();
                number || value == "random"
            }
        }
    }
}

const BAR: Form = Form::OneOf(&["on", "off"]);
const ROOT: Form = Form::OneOf(&["warn", "ignore"]);

/// The values that an option of pip, or a key of its configuration, takes, by its name without dashes; none if it isn't one
/// that leaves everything as it is.
pub(super) fn option(name: &str) -> Option<Form> {
    Some(match name {
        "cache-dir" | "index-url" | "requirement" => Form::Any,
        "default-timeout" | "timeout" => Form::Seconds,
        "retries" => Form::Count,
        "progress-bar" => BAR,
        "root-user-action" => ROOT,
        "exists-action" => Form::OneOf(&["s", "i", "w", "b", "a"]),
        "compile"
        | "disable-pip-version-check"
        | "no-cache-dir"
        | "no-color"
        | "no-input"
        | "no-user"
        | "no-warn-conflicts"
        | "no-warn-script-location"
        | "quiet"
        | "verbose" => Form::Flag,
        _ => return None,
    })
}

/// The values that a variable of pip's or Python's takes, likewise.
pub(super) fn variable(name: &str) -> Option<Form> {
    Some(match name {
        "PIP_CACHE_DIR" | "PIP_INDEX_URL" => Form::Any,
        "PIP_DEFAULT_TIMEOUT" | "PIP_TIMEOUT" => Form::Seconds,
        "PIP_RETRIES" => Form::Count,
        "PIP_PROGRESS_BAR" => BAR,
        "PIP_ROOT_USER_ACTION" => ROOT,
        // That they say no is looked at elsewhere.
        "PIP_REQUIRE_VIRTUALENV" | "PIP_USER" => Form::Flag,
        "PIP_DISABLE_PIP_VERSION_CHECK"
        | "PIP_NO_CACHE_DIR"
        | "PIP_NO_COLOR"
        | "PIP_NO_INPUT"
        | "PIP_NO_PYTHON_VERSION_WARNING"
        | "PIP_NO_WARN_CONFLICTS"
        | "PIP_NO_WARN_SCRIPT_LOCATION"
        | "PIP_QUIET"
        | "PIP_VERBOSE" => Form::Flag,
        // What the official images say of themselves.
        "PYTHON_GET_PIP_SHA256"
        | "PYTHON_GET_PIP_URL"
        | "PYTHON_PIP_VERSION"
        | "PYTHON_SETUPTOOLS_VERSION"
        | "PYTHON_SHA256"
        | "PYTHON_VERSION"
        | "PYTHON_WHEEL_VERSION" => Form::Any,
        "PYTHONCOERCECLOCALE"
        | "PYTHONDONTWRITEBYTECODE"
        | "PYTHONFAULTHANDLER"
        | "PYTHONNOUSERSITE"
        | "PYTHONUNBUFFERED"
        | "PYTHON_COLORS" => Form::Any,
        "PYTHONHASHSEED" => Form::Seed,
        "PYTHONIOENCODING" => Form::OneOf(&["utf-8", "utf8", "UTF-8", "UTF8"]),
        "PYTHONUTF8" => Form::OneOf(&["0", "1"]),
        _ if name.starts_with("UV_") || name.starts_with("VIRTUAL_ENV") => Form::Any,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_that_fail_are_not_taken() {
        for (name, good, bad) in [
            ("PYTHONHASHSEED", "0 42 4294967295 random", "x -1 4294967296 +1 0x1"),
            ("PYTHONIOENCODING", "utf-8 UTF8", "latin-1 nonsense utf-8:strict"),
            ("PYTHONUTF8", "0 1", "2 yes"),
            ("PIP_TIMEOUT", "1 60", "0 x 1.5 -1 1_0 1234567"),
            ("PIP_DEFAULT_TIMEOUT", "100", "never"),
            ("PIP_RETRIES", "0 5", "x -1"),
            ("PIP_PROGRESS_BAR", "on off", "pretty raw x"),
            ("PIP_ROOT_USER_ACTION", "warn ignore", "abort 1"),
            ("PIP_NO_CACHE_DIR", "1 off True no", "2 maybe y"),
            ("PIP_DISABLE_PIP_VERSION_CHECK", "1 ON", "x"),
            ("PIP_NO_WARN_CONFLICTS", "1", "x"),
            ("PIP_QUIET", "1 yes", "x -1"),
        ] {
            let form = variable(name).unwrap();
            assert!(good.split(' ').all(|value| form.takes(value)), "{name}");
            assert!(!bad.split(' ').any(|value| form.takes(value)), "{name}");
            assert!(!form.takes(""), "{name}");
        }
        for (name, good, bad) in [
            ("timeout", "15", "0 x"),
            ("retries", "0", "x"),
            ("progress-bar", "off", "ascii"),
            ("exists-action", "w", "x wipe"),
            ("root-user-action", "ignore", "x"),
            ("no-cache-dir", "true", "x"),
        ] {
            let form = option(name).unwrap();
            assert!(good.split(' ').all(|value| form.takes(value)), "{name}");
            assert!(!bad.split(' ').any(|value| form.takes(value)), "{name}");
        }
        for other in ["target", "no-python-version-warning", "no_input", ""] {
            assert_eq!(option(other), None, "{other}");
        }
        for other in ["PIP_TARGET", "PYTHONPATH", "_PIP_USE_IMPORTLIB_METADATA", "PYTHONWARNINGS"] {
            assert_eq!(variable(other), None, "{other}");
        }
    }
}
