//! Which interpreter a pip command runs under.
//!
//! A pip script is found as the kernel and the shell find it, and must be one of the few forms that
//! installers generate: an interpreter in the first line, and a call of pip's `main`. A wrapper of any
//! other form (a version manager's shim, a company's own) is not understood.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{NotUnderstood, PipCommand, Program};

/// How to start pip's interpreter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launcher {
    /// Absolute path as it would be executed: symlinks in it are left as they are.
    pub interpreter: String,
    /// Flags for the interpreter.
    pub flags: Vec<String>,
    /// The pip script, or none for `-m pip`.
    pub script: Option<String>,
}

/// A generated script is a few hundred bytes.
const MAX_SCRIPT: u64 = 8192;

/// Finds it in the running file system.
///
/// # Errors
/// [`NotUnderstood`] if there is none, or if it is of a form that is not known.
pub fn find_launcher(command: &PipCommand, path_env: &str) -> Result<Launcher, NotUnderstood> {
    match &command.program {
        Program::Module { python, flags } => {
            Ok(Launcher { interpreter: find_program(python, path_env)?, flags: flags.clone(), script: None })
        }
        Program::Script(name) => {
            let script = find_program(name, path_env)?;
            let interpreter = read_script(Path::new(&script))?;
            Ok(Launcher { interpreter, flags: Vec::new(), script: Some(script) })
        }
    }
}

/// Looks a program up in PATH, like the shell: the first executable file of that name.
fn find_program(name: &str, path_env: &str) -> Result<String, NotUnderstood> {
    if name.starts_with('/') {
        return if is_program(Path::new(name)) {
            Ok(name.to_owned())
        } else {
            Err(NotUnderstood::new("a program that is not there"))
        };
    }
    for directory in path_env.split(':') {
        if !directory.starts_with('/') {
            return Err(NotUnderstood::new("a relative directory in PATH"));
        }
        let path = format!("{}/{name}", directory.trim_end_matches('/'));
        if is_program(Path::new(&path)) {
            return Ok(path);
        }
    }
    Err(NotUnderstood::new("a program that is not in PATH"))
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn read_script(path: &Path) -> Result<String, NotUnderstood> {
    let other = || NotUnderstood::new("a pip that is not the script pip installs");
    if fs::metadata(path).map_err(|_| other())?.len() > MAX_SCRIPT {
        return Err(other());
    }
    interpreter_of(&fs::read_to_string(path).map_err(|_| other())?).ok_or_else(other)
}

/// The interpreter of a generated pip script, or `None` for any other text.
fn interpreter_of(text: &str) -> Option<String> {
    let (first, body) = text.split_once('\n')?;
    // A flag after the interpreter would change what it imports.
    let interpreter = first.strip_prefix("#!")?.trim_matches([' ', '\t', '\r']);
    let name = interpreter.rsplit_once('/')?.1;
    if !interpreter.starts_with('/') || interpreter.contains([' ', '\t']) || !name.starts_with("python") {
        return None;
    }
    let mut calls = false;
    for line in body.lines() {
        let line = line.trim().replace('"', "'");
        match line.as_str() {
            "" => {}
            comment if comment.starts_with('#') => {}
            "import re"
            | "import sys"
            | "from pip._internal.cli.main import main"
            // pip 26.3: the same, with imports blocked once files were installed.
            | "from pip._internal.cli.main import cli"
            | "if __name__ == '__main__':"
            | "if sys.argv[0].endswith('.exe'):"
            | "elif sys.argv[0].endswith('.exe'):"
            | "if sys.argv[0].endswith('-script.pyw'):"
            | "sys.argv[0] = sys.argv[0][:-4]"
            | "sys.argv[0] = sys.argv[0][:-11]"
            | "sys.argv[0] = sys.argv[0].removesuffix('.exe')"
            | r"sys.argv[0] = re.sub(r'(-script\.pyw|\.exe)?$', '', sys.argv[0])"
            | r"sys.argv[0] = re.sub(r'(-script\.pyw?|\.exe)?$', '', sys.argv[0])" => {}
            "sys.exit(main())" if body.contains("import main") => calls = true,
            "sys.exit(cli())" if body.contains("import cli") => calls = true,
            _ => return None,
        }
    }
    calls.then(|| interpreter.to_owned())
}

#[cfg(test)]
mod tests {
    use super::interpreter_of;

    const BODY: &str = "# -*- coding: utf-8 -*-\nimport re\nimport sys\n\
        from pip._internal.cli.main import main\nif __name__ == \"__main__\":\n    \
        sys.argv[0] = re.sub(r\"(-script\\.pyw|\\.exe)?$\", \"\", sys.argv[0])\n    sys.exit(main())\n";

    #[test]
    fn a_generated_script_names_its_interpreter() {
        assert_eq!(
            interpreter_of(&format!("#!/usr/local/bin/python3.11\n{BODY}")).as_deref(),
            Some("/usr/local/bin/python3.11")
        );
    }

    #[test]
    fn wrappers_are_not_understood() {
        for text in [
            format!("#!/usr/bin/python3 -E\n{BODY}"),
            format!("#!/usr/bin/env python3\n{BODY}"),
            format!("#!/bin/sh\n{BODY}"),
            format!("#!python3\n{BODY}"),
            format!("#!/usr/bin/python3\nimport os\n{BODY}"),
            "#!/usr/bin/python3\nimport sys\nsys.exit(main())\n".to_owned(),
            "#!/bin/sh\nexec pip-real \"$@\"\n".to_owned(),
            String::new(),
        ] {
            assert_eq!(interpreter_of(&text), None, "{text}");
        }
    }
}
