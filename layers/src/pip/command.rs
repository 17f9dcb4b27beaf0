//! The command line of an install, as the kernel gets it.
//!
//! pip reads its arguments with Python's `optparse`: `--option=value`, `--option value`, `-ovalue`, grouped
//! short flags, unique abbreviations, options after arguments, `--` as the end of options. The same is
//! read here with a table of options ([`super::options`]); abbreviations are refused, since what is unique
//! depends on pip's version.

use serde::Serialize;

use super::options::{self, Effect, OptionSpec};
use super::requirements::is_web;
use super::{NotUnderstood, check_requirement, has_credentials, names_local_wheel};
use crate::tree::is_plain;

/// Which installer a command line calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// pip.
    Pip,
    /// uv's pip interface.
    Uv,
}

/// How the installer is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// A script: a name to be looked up in PATH, or an absolute path.
    Script(String),
    /// `-m pip` of an interpreter: its name or absolute path, and flags for it that have no effect on files.
    Module {
        /// Name to be looked up in PATH, or an absolute path.
        python: String,
        /// `-u`, `-B`.
        flags: Vec<String>,
    },
}

/// Where the command line tells the installer to keep what it downloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheDir<'a> {
    /// Nowhere.
    None,
    /// In this directory.
    At(&'a str),
    /// It doesn't say: environment and configuration decide.
    Unsaid,
}

/// Where the command line tells pip to install to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Target<'a> {
    /// Into the user's site-packages.
    pub user: bool,
    /// Below this directory, absolute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<&'a str>,
}

/// An install command that is understood to its last argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipCommand {
    /// The installer.
    pub tool: Tool,
    /// How it is started.
    pub program: Program,
    /// The installer's own arguments: everything after the program (and `-m pip`).
    pub arguments: Vec<String>,
    /// Index of `install` in [`PipCommand::arguments`].
    pub install_at: usize,
    /// Values of `-r`, in order.
    pub requirement_files: Vec<String>,
    /// Values of `-c`, in order.
    pub constraint_files: Vec<String>,
    /// Requirements given on the command line, in order.
    pub requirements: Vec<String>,
    /// All options in order: first spelling of the table, and the value if it takes one.
    pub options: Vec<(&'static str, Option<String>)>,
    /// Options that make the step reach the index in its own way ([`Effect::Network`]).
    pub network_options: Vec<&'static str>,
}

impl PipCommand {
    /// Reads a command line.
    ///
    /// # Errors
    /// [`NotUnderstood`] with the reason if it is no install, or holds an option, a requirement or a
    /// spelling that is not known to leave exactly what the layers can give.
    pub fn parse(argv: &[String]) -> Result<Self, NotUnderstood> {
        let Some((program, rest)) = argv.split_first() else {
            return Err(NotUnderstood::new("an empty command"));
        };
        let name = base_name(program)?;
        if is_versioned(name, "pip") {
            return Self::parse_arguments(Tool::Pip, Program::Script(program.clone()), rest);
        }
        if is_versioned(name, "python") {
            let at = rest.iter().position(|argument| argument != "-u" && argument != "-B");
            let at = at.unwrap_or(rest.len());
            return match &rest[at..] {
                [m, pip, arguments @ ..] if m == "-m" && pip == "pip" => {
                    let program = Program::Module { python: program.clone(), flags: rest[..at].to_vec() };
                    Self::parse_arguments(Tool::Pip, program, arguments)
                }
                _ => Err(NotUnderstood::new("a Python program other than `-m pip`")),
            };
        }
        if name == "uv" {
            return match rest {
                [pip, arguments @ ..] if pip == "pip" => {
                    Self::parse_arguments(Tool::Uv, Program::Script(program.clone()), arguments)
                }
                _ => Err(NotUnderstood::new("uv with something other than `pip install`")),
            };
        }
        Err(NotUnderstood::new("not a pip command"))
    }

    fn parse_arguments(tool: Tool, program: Program, arguments: &[String]) -> Result<Self, NotUnderstood> {
        let mut command = Self {
            tool,
            program,
            arguments: arguments.to_vec(),
            install_at: 0,
            requirement_files: Vec::new(),
            constraint_files: Vec::new(),
            requirements: Vec::new(),
            options: Vec::new(),
            network_options: Vec::new(),
        };
        let (general, all): (&[&'static [OptionSpec]], &[&'static [OptionSpec]]) = match tool {
            Tool::Pip => (&[options::PIP_GENERAL], &[options::PIP_GENERAL, options::PIP_INSTALL]),
            Tool::Uv => (&[], &[options::UV_INSTALL]),
        };
        // pip takes the first argument that is no option for the sub-command, and then removes the first
        // argument of that spelling, so an option value `install` before it would confuse pip itself.
        let mut at = 0;
        while let Some(argument) = arguments.get(at) {
            if argument == "--" || !argument.starts_with('-') || argument.len() < 2 {
                break;
            }
            at = command.take_option(general, at)?;
        }
        if arguments.get(at).map(String::as_str) != Some("install") {
            return Err(NotUnderstood::new("a sub-command other than install"));
        }
        if arguments[..at].iter().any(|argument| argument == "install") {
            return Err(NotUnderstood::new("an option value that reads `install`"));
        }
        command.install_at = at;
        at += 1;
        let mut only_arguments = false;
        while let Some(argument) = arguments.get(at) {
            if only_arguments || argument.len() < 2 || !argument.starts_with('-') {
                command.requirements.push(argument.clone());
                at += 1;
            } else if argument == "--" {
                only_arguments = true;
                at += 1;
            } else {
                at = command.take_option(all, at)?;
            }
        }
        command.check()?;
        Ok(command)
    }

    /// Reads the option (or the group of short ones) at `at`; returns the index after it and its value.
    fn take_option(&mut self, tables: &[&'static [OptionSpec]], at: usize) -> Result<usize, NotUnderstood> {
        let argument = self.arguments[at].clone();
        if argument.starts_with("--") {
            let (name, joined) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (argument.as_str(), None),
            };
            let Some(spec) = options::find(tables, name) else {
                return Err(NotUnderstood::new(if options::abbreviates(tables, name) {
                    format!("abbreviated option {name}")
                } else {
                    format!("option {}", shown(name))
                }));
            };
            return match (spec.value, joined) {
                (false, None) => self.add(spec, None).map(|()| at + 1),
                (false, Some(_)) => Err(NotUnderstood::new(format!("{name} with a value"))),
                (true, Some(value)) => self.add(spec, Some(value)).map(|()| at + 1),
                (true, None) => self.add_next(spec, at),
            };
        }
        let letters = argument.char_indices().skip(1);
        for (index, letter) in letters {
            let Some(spec) = options::find(tables, &format!("-{letter}")) else {
                return Err(NotUnderstood::new(format!("option {}", shown(&format!("-{letter}")))));
            };
            if !spec.value {
                self.add(spec, None)?;
                continue;
            }
            let rest = &argument[index + letter.len_utf8()..];
            if rest.is_empty() {
                return self.add_next(spec, at);
            }
            self.add(spec, Some(rest.to_owned()))?;
            break;
        }
        Ok(at + 1)
    }

    fn add_next(&mut self, spec: &'static OptionSpec, at: usize) -> Result<usize, NotUnderstood> {
        // optparse takes the next argument whatever it looks like.
        match self.arguments.get(at + 1).cloned() {
            Some(value) => self.add(spec, Some(value)).map(|()| at + 2),
            None => Err(NotUnderstood::new(format!("{} without its value", spec.names[0]))),
        }
    }

    fn add(&mut self, spec: &'static OptionSpec, value: Option<String>) -> Result<(), NotUnderstood> {
        let name = spec.names[0];
        match spec.effect {
            Effect::Refused => return Err(NotUnderstood::new(format!("option {name}"))),
            Effect::Network => self.network_options.push(name),
            Effect::None | Effect::Resolve => {}
        }
        if let Some(value) = &value {
            if has_credentials(value) {
                return Err(NotUnderstood::new(format!("credentials in {name}")));
            }
            match name {
                "--requirement" => self.requirement_files.push(check_file(name, value)?),
                "--constraint" => self.constraint_files.push(check_file(name, value)?),
                "--use-feature" if !["truststore", "fast-deps"].contains(&value.as_str()) => {
                    return Err(NotUnderstood::new("a value of --use-feature"));
                }
                _ => {}
            }
        }
        self.options.push((name, value));
        Ok(())
    }

    fn check(&self) -> Result<(), NotUnderstood> {
        if self.requirements.is_empty() && self.requirement_files.is_empty() {
            return Err(NotUnderstood::new("an install of nothing"));
        }
        let target = self.target();
        if target.user && target.prefix.is_some() {
            return Err(NotUnderstood::new("--user and --prefix together"));
        }
        if target.prefix.is_some_and(|prefix| !is_plain(prefix)) {
            return Err(NotUnderstood::new("--prefix with a path that is not absolute and plain"));
        }
        if self.tool == Tool::Uv && self.requirements.iter().any(|text| names_local_wheel(text)) {
            return Err(NotUnderstood::new("a requirement by local path"));
        }
        self.requirements.iter().try_for_each(|requirement| check_requirement(requirement))
    }

    /// Where it installs to: of an option given twice, the last counts.
    pub fn target(&self) -> Target<'_> {
        let of = |names: &[&str]| self.options.iter().rev().find(|(option, _)| names.contains(option));
        Target {
            user: of(&["--user", "--no-user"]).is_some_and(|(option, _)| *option == "--user"),
            prefix: of(&["--prefix"]).and_then(|(_, value)| value.as_deref()),
        }
    }

    /// What the command line says of the download cache: the last of its options wins.
    pub fn cache(&self) -> CacheDir<'_> {
        let said = self.options.iter().rev().find_map(|(option, value)| match *option {
            "--no-cache-dir" => Some(CacheDir::None),
            "--cache-dir" => Some(CacheDir::At(value.as_deref().unwrap_or_default())),
            _ => None,
        });
        said.unwrap_or(CacheDir::Unsaid)
    }

    /// Whether an option was given, by the first spelling of the table.
    pub fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(option, _)| *option == name)
    }
}

/// Requirements files are read from files of the state before, and from nowhere else.
fn check_file(option: &str, value: &str) -> Result<String, NotUnderstood> {
    if value.is_empty() || value == "-" || value.starts_with("/dev/") || value.starts_with("/proc/") {
        return Err(NotUnderstood::new(format!("{option} that is no file")));
    }
    let scheme = value.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    if matches!(scheme.as_deref(), Some("file")) || has_scheme(value) && !is_web(value) {
        return Err(NotUnderstood::new(format!("{option} by URL")));
    }
    Ok(value.to_owned())
}

/// What pip takes for an address and no path.
fn has_scheme(value: &str) -> bool {
    value.split_once(':').is_some_and(|(scheme, _)| matches!(&*scheme.to_ascii_lowercase(), "http" | "https"))
}

/// The installer that a program is, and what it is given behind its name and `-m pip`, or `pip`.
pub(super) fn tool_of(argv: &[String]) -> Option<(Tool, &[String])> {
    let (program, rest) = argv.split_first()?;
    let name = program.rsplit('/').next()?;
    if is_versioned(name, "pip") {
        return Some((Tool::Pip, rest));
    }
    if is_versioned(name, "python") {
        let at = rest.iter().position(|argument| !matches!(argument.as_str(), "-u" | "-B"))?;
        let [m, pip, arguments @ ..] = &rest[at..] else { return None };
        return (m == "-m" && pip == "pip").then_some((Tool::Pip, arguments));
    }
    let [pip, arguments @ ..] = rest else { return None };
    (name == "uv" && pip == "pip").then_some((Tool::Uv, arguments))
}

/// The last part of an absolute path, or the name itself; a relative path depends on the working directory.
fn base_name(program: &str) -> Result<&str, NotUnderstood> {
    match program.rsplit_once('/') {
        None => Ok(program),
        Some((_, name)) if program.starts_with('/') => Ok(name),
        Some(_) => Err(NotUnderstood::new("a program by a relative path")),
    }
}

/// `stem`, `stem3` or `stem3.N`.
fn is_versioned(name: &str, stem: &str) -> bool {
    let Some(version) = name.strip_prefix(stem) else { return false };
    match version.strip_prefix('3') {
        None => version.is_empty(),
        Some("") => true,
        Some(minor) => minor
            .strip_prefix('.')
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())),
    }
}

/// An option name for a report; anything that does not look like one is not repeated.
fn shown(name: &str) -> &str {
    let plain = name.len() <= 40 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if plain { name } else { "of an unknown form" }
}
