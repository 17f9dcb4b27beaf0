//! The options of `pip install`, and what each does to the files an install leaves behind.
//!
//! An option that is not in the table is not understood. That includes the options that change the
//! result in a way which the layers do not model; they are listed all the same, so that the reason can
//! say more than "unknown".

/// What an option does, as far as plinth is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Changes output, retries or caches, and no installed file.
    None,
    /// Changes what is resolved. The resolution is pip's own, with the same option.
    Resolve,
    /// Changes how an index is reached: whoever fetches the wheels must do so in the step's place.
    Network,
    /// Changes installed files, or asks for something other than an install.
    Refused,
}

/// One option: all its spellings, whether it takes a value, and its effect.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// Spellings with their dashes; the first is the one used in reports.
    pub names: &'static [&'static str],
    /// Takes one value.
    pub value: bool,
    /// What it does.
    pub effect: Effect,
}

const fn flag(effect: Effect, names: &'static [&'static str]) -> OptionSpec {
    OptionSpec { names, value: false, effect }
}

const fn value(effect: Effect, names: &'static [&'static str]) -> OptionSpec {
    OptionSpec { names, value: true, effect }
}

use Effect::{Network, None as Nothing, Refused, Resolve};

/// pip's general options: they may stand before the sub-command too.
pub(super) const PIP_GENERAL: &[OptionSpec] = &[
    flag(Refused, &["--help", "-h"]),
    flag(Refused, &["--version", "-V"]),
    flag(Refused, &["--debug"]),
    flag(Refused, &["--isolated"]),
    flag(Refused, &["--require-virtualenv", "--require-venv"]),
    value(Refused, &["--python"]),
    value(Refused, &["--log", "--log-file", "--local-log"]),
    value(Refused, &["--keyring-provider"]),
    value(Refused, &["--client-cert"]),
    value(Refused, &["--use-deprecated"]),
    flag(Nothing, &["--verbose", "-v"]),
    flag(Nothing, &["--quiet", "-q"]),
    flag(Nothing, &["--no-input"]),
    flag(Nothing, &["--no-color"]),
    flag(Nothing, &["--no-python-version-warning"]),
    flag(Nothing, &["--disable-pip-version-check"]),
    // `--no-cache` is an abbreviation, but so common and so clearly unique that it is listed.
    flag(Nothing, &["--no-cache-dir", "--no-cache"]),
    value(Nothing, &["--cache-dir"]),
    value(Nothing, &["--retries"]),
    value(Nothing, &["--resume-retries"]),
    value(Nothing, &["--timeout", "--default-timeout"]),
    // Only asked about when a version control checkout is already there.
    value(Nothing, &["--exists-action"]),
    value(Resolve, &["--use-feature"]),
    value(Network, &["--proxy"]),
    value(Network, &["--cert"]),
    value(Network, &["--trusted-host"]),
];

/// The options of `pip install` itself.
pub(super) const PIP_INSTALL: &[OptionSpec] = &[
    value(Resolve, &["--requirement", "-r"]),
    value(Resolve, &["--constraint", "-c"]),
    value(Resolve, &["--index-url", "-i", "--pypi-url"]),
    value(Resolve, &["--extra-index-url"]),
    value(Resolve, &["--find-links", "-f"]),
    flag(Resolve, &["--no-index"]),
    flag(Resolve, &["--no-deps", "--no-dependencies"]),
    flag(Resolve, &["--pre"]),
    flag(Resolve, &["--prefer-binary"]),
    value(Resolve, &["--only-binary"]),
    flag(Resolve, &["--upgrade", "-U"]),
    value(Resolve, &["--upgrade-strategy"]),
    flag(Resolve, &["--require-hashes"]),
    flag(Resolve, &["--ignore-requires-python"]),
    flag(Resolve, &["--break-system-packages"]),
    // The default for root.
    flag(Resolve, &["--no-user"]),
    // These steer builds from source. Such a build is refused, but its metadata can be asked for on the
    // way to a wheel of another version, so they go to the resolver.
    flag(Resolve, &["--use-pep517"]),
    flag(Resolve, &["--no-build-isolation"]),
    flag(Resolve, &["--check-build-dependencies"]),
    flag(Nothing, &["--compile"]),
    flag(Nothing, &["--no-warn-script-location"]),
    flag(Nothing, &["--no-warn-conflicts"]),
    value(Nothing, &["--progress-bar"]),
    value(Nothing, &["--root-user-action"]),
    value(Refused, &["--editable", "-e"]),
    value(Refused, &["--target", "-t"]),
    value(Refused, &["--platform"]),
    value(Refused, &["--python-version"]),
    value(Refused, &["--implementation"]),
    value(Refused, &["--abi"]),
    flag(Resolve, &["--user"]),
    value(Refused, &["--root"]),
    value(Resolve, &["--prefix"]),
    value(Refused, &["--src", "--source", "--source-dir", "--source-directory"]),
    flag(Refused, &["--no-compile"]),
    flag(Refused, &["--force-reinstall"]),
    flag(Refused, &["--ignore-installed", "-I"]),
    value(Refused, &["--no-binary"]),
    flag(Refused, &["--no-use-pep517"]),
    value(Refused, &["--config-settings", "--config-setting", "-C"]),
    value(Refused, &["--global-option"]),
    value(Refused, &["--install-option"]),
    value(Refused, &["--build-constraint"]),
    value(Refused, &["--group"]),
    flag(Refused, &["--no-clean"]),
    flag(Refused, &["--dry-run"]),
    value(Refused, &["--report"]),
];

/// The options of `uv pip install` that mean what pip's of the same name mean, and `--system`.
pub(super) const UV_INSTALL: &[OptionSpec] = &[
    flag(Resolve, &["--system"]),
    flag(Nothing, &["--no-cache", "-n", "--no-cache-dir"]),
    flag(Nothing, &["--quiet", "-q"]),
    flag(Nothing, &["--verbose", "-v"]),
    flag(Nothing, &["--no-progress"]),
    flag(Resolve, &["--compile-bytecode", "--compile"]),
    value(Resolve, &["--requirement", "--requirements", "-r"]),
    value(Resolve, &["--constraint", "--constraints", "-c"]),
    value(Resolve, &["--index-url", "-i"]),
    value(Resolve, &["--extra-index-url"]),
    value(Resolve, &["--index"]),
    value(Resolve, &["--default-index"]),
    value(Nothing, &["--cache-dir"]),
    value(Nothing, &["--link-mode"]),
    flag(Resolve, &["--no-deps"]),
    flag(Resolve, &["--upgrade", "-U"]),
    flag(Resolve, &["--require-hashes"]),
    flag(Resolve, &["--break-system-packages"]),
    value(Refused, &["--editable", "-e"]),
    value(Refused, &["--target", "-t"]),
    value(Refused, &["--prefix"]),
    value(Resolve, &["--python", "-p"]),
];

/// Looks `name` (with its dashes) up in some tables.
pub(super) fn find(tables: &[&'static [OptionSpec]], name: &str) -> Option<&'static OptionSpec> {
    tables.iter().flat_map(|table| table.iter()).find(|spec| spec.names.contains(&name))
}

/// Whether `name` begins a long option of these tables: an abbreviation, unique or not.
pub(super) fn abbreviates(tables: &[&'static [OptionSpec]], name: &str) -> bool {
    tables
        .iter()
        .flat_map(|table| table.iter())
        .flat_map(|spec| spec.names)
        .any(|known| known.starts_with("--") && name.len() > 2 && known.starts_with(name))
}
