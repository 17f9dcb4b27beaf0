//! What an install command asks for, also where [`super::PipCommand`] doesn't understand all of it.
//!
//! For looking at commands that nobody is going to assemble: a report over a fleet wants to know that `-e .` is installed,
//! and which requirements stand beside it. Nothing here is good enough to act upon.

use super::command::{Tool, tool_of};
use super::options::{self, OptionSpec};

/// What stands on the command line of an install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The installer.
    pub tool: Tool,
    /// Requirements, in order.
    pub requirements: Vec<String>,
    /// Values of `-e`.
    pub editable: Vec<String>,
    /// Values of `-r`.
    pub requirement_files: Vec<String>,
    /// Values of `-c`.
    pub constraint_files: Vec<String>,
    /// The names of all options, as the tables spell them first; those that aren't in the tables as they stand.
    pub options: Vec<String>,
}

impl Asked {
    /// Reads the arguments of a program. None if it isn't an install with pip or `uv pip`.
    #[must_use]
    pub fn of(argv: &[String]) -> Option<Self> {
        let (tool, arguments) = tool_of(argv)?;
        let tables: &[&'static [OptionSpec]] = match tool {
            Tool::Pip => &[options::PIP_GENERAL, options::PIP_INSTALL],
            Tool::Uv => &[options::UV_INSTALL],
        };
        let mut asked = Self {
            tool,
            requirements: Vec::new(),
            editable: Vec::new(),
            requirement_files: Vec::new(),
            constraint_files: Vec::new(),
            options: Vec::new(),
        };
        let mut installs = false;
        let mut arguments = arguments.iter();
        let mut only_arguments = false;
        while let Some(argument) = arguments.next() {
            if only_arguments || !argument.starts_with('-') || argument.len() < 2 {
                match (installs, argument.as_str()) {
                    (false, "install") => installs = true,
                    (false, _) => return None,
                    (true, _) => asked.requirements.push(argument.clone()),
                }
                continue;
            }
            if argument == "--" {
                only_arguments = true;
                continue;
            }
            let (name, joined) = match argument.split_once('=') {
                Some((name, value)) if argument.starts_with("--") => (name, Some(value)),
                None if argument.starts_with("--") => (argument.as_str(), None),
                // Of a group of short ones, only the first is looked at: `-rFILE`, and `-qU`.
                _ if argument.is_char_boundary(2) => {
                    (&argument[..2], Some(&argument[2..]).filter(|rest| !rest.is_empty()))
                }
                _ => (argument.as_str(), None),
            };
            let spec = options::find(tables, name);
            let name = spec.map_or(name, |spec| spec.names[0]);
            let value = match spec {
                Some(spec) if spec.value => joined.map(str::to_owned).or_else(|| arguments.next().cloned()),
                _ => None,
            };
            match (name, value) {
                ("--requirement", Some(value)) => asked.requirement_files.push(value),
                ("--constraint", Some(value)) => asked.constraint_files.push(value),
                ("--editable", Some(value)) => asked.editable.push(value),
                _ => {}
            }
            asked.options.push(name.to_owned());
        }
        installs.then_some(asked)
    }

    /// Whether an option was given, by the first spelling of the table.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.options.iter().any(|option| option == name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn asked(text: &str) -> Option<Asked> {
        let argv: Vec<String> = text.split(' ').map(str::to_owned).collect();
        Asked::of(&argv)
    }

    #[test]
    fn commands() {
        let found = asked(
            "pip install --no-cache-dir -U -r a.txt -rb.txt --constraint=c.txt -e . x>=1 --target /t y",
        )
        .unwrap();
        assert_eq!(found.requirement_files, ["a.txt", "b.txt"]);
        assert_eq!(
            (found.constraint_files, found.editable),
            (vec!["c.txt".to_owned()], vec![".".to_owned()])
        );
        assert_eq!(found.requirements, ["x>=1", "y"]);
        assert_eq!(found.options[..2], ["--no-cache-dir", "--upgrade"]);
        assert_eq!(asked("python3.11 -u -m pip install x").unwrap().requirements, ["x"]);
        assert_eq!(asked("/venv/bin/pip -q install -- -x").unwrap().requirements, ["-x"]);
        assert_eq!(asked("uv pip install --system x").unwrap().tool, Tool::Uv);
        for text in ["pip list", "pip", "python -m venv /v", "uv sync", "pip download x", "apt-get install x"]
        {
            assert_eq!(asked(text), None, "{text}");
        }
    }
}
