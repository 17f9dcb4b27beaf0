//! The two ways in which an exec can be written: a shell with a script, or a program with arguments.

/// What an exec's arguments are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form<'a> {
    /// A POSIX shell with default options, up to these, runs a script.
    Shell {
        /// The script.
        script: &'a str,
        /// The shell's path.
        shell: &'a str,
        /// With `-e`: a command that fails ends it.
        stops_on_failure: bool,
    },
    /// Anything else: the arguments themselves are the command.
    Exec,
}

/// Where images keep their shells. A bare name is looked up in PATH, so it can be anything.
const SHELL_DIRS: &[&str] = &["/bin/", "/usr/bin/"];
const SHELLS: &[&str] = &["sh", "bash", "dash", "ash"];

/// Options that change nothing for one simple command: how a failure in a list or pipe ends the script, and tracing.
/// Of these, only `-e` matters to scripts without pipes.
/// Not among them: `-u`, which makes an unset variable an error; `-l` and `-i`, which read startup files; `-f`.
const HARMLESS_FLAGS: &str = "ex";
const HARMLESS_NAMES: &[&str] = &["errexit", "xtrace", "pipefail"];

/// Tells the shell form from the exec form: `["/bin/sh", "-c", script]`, with the shells and the harmless options (`-e`,
/// `-x`, `-o pipefail`, …) that a Dockerfile's SHELL commonly names, also clustered (`-exo pipefail -c`, `-ec`).
/// Arguments after the script make it an exec form, and so does every option that isn't known to be harmless.
pub fn shell_of<S: AsRef<str>>(args: &[S]) -> Form<'_> {
    let mut args = args.iter().map(AsRef::as_ref);
    let is_shell = |program: &str| {
        SHELL_DIRS.iter().any(|dir| program.strip_prefix(dir).is_some_and(|name| SHELLS.contains(&name)))
    };
    let Some(shell) = args.next().filter(|program| is_shell(program)) else { return Form::Exec };
    // dash, which is `sh` in Debian, ends with an error.
    let knows_pipefail = shell.ends_with("/bash") || shell.ends_with("/ash");
    let (mut script_next, mut stops_on_failure) = (false, false);
    while let Some(arg) = args.next() {
        match arg.strip_prefix('-') {
            Some(flags) if !flags.is_empty() && !flags.starts_with('-') => {
                for flag in flags.chars() {
                    match flag {
                        'c' => script_next = true,
                        'o' => match args.next() {
                            Some("pipefail") if !knows_pipefail => return Form::Exec,
                            Some(name) if HARMLESS_NAMES.contains(&name) => {
                                stops_on_failure |= name == "errexit";
                            }
                            _ => return Form::Exec,
                        },
                        f if HARMLESS_FLAGS.contains(f) => stops_on_failure |= f == 'e',
                        _ => return Form::Exec,
                    }
                }
            }
            // After `-c`, the first argument that is no option is the script. It has to be the last, too.
            _ if script_next && !arg.starts_with(['-', '+']) && args.next().is_none() => {
                return Form::Shell { script: arg, shell, stops_on_failure };
            }
            _ => return Form::Exec,
        }
    }
    Form::Exec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let shell = |script, stops_on_failure| (Some(script), stops_on_failure);
        for (args, wanted) in [
            (vec!["/bin/sh", "-c", "pip install x"], shell("pip install x", false)),
            (vec!["/bin/bash", "-c", "x"], shell("x", false)),
            (vec!["/usr/bin/bash", "-o", "pipefail", "-c", "x"], shell("x", false)),
            (vec!["/bin/bash", "-exo", "pipefail", "-c", "x"], shell("x", true)),
            (vec!["/bin/bash", "-c", "-e", "x"], shell("x", true)),
            (vec!["/bin/sh", "-ec", "x"], shell("x", true)),
            (vec!["/bin/ash", "-eo", "pipefail", "-c", "x"], shell("x", true)),
            (vec!["/bin/sh", "-c", ""], shell("", false)),
            (vec!["/bin/sh", "-o", "pipefail", "-c", "x"], (None, false)),
            (vec!["/bin/bash", "-uc", "x"], (None, false)),
            (vec!["/bin/bash", "-lc", "x"], (None, false)),
            (vec!["/bin/bash", "-o", "nounset", "-c", "x"], (None, false)),
            (vec!["/bin/bash", "--posix", "-c", "x"], (None, false)),
            (vec!["/bin/bash", "+e", "-c", "x"], (None, false)),
            (vec!["/bin/sh", "-c", "x", "name"], (None, false)),
            (vec!["/bin/sh", "-c"], (None, false)),
            (vec!["/bin/sh", "-c", "-"], (None, false)),
            (vec!["/bin/sh", "-c", "--", "x"], (None, false)),
            (vec!["/bin/sh", "script"], (None, false)),
            (vec!["/bin/zsh", "-c", "x"], (None, false)),
            (vec!["sh", "-c", "x"], (None, false)),
            (vec!["pip", "install", "x"], (None, false)),
            (vec![], (None, false)),
        ] {
            let got = match shell_of(&args) {
                Form::Shell { script, shell, stops_on_failure } => {
                    assert_eq!(shell, args[0]);
                    (Some(script), stops_on_failure)
                }
                Form::Exec => (None, false),
            };
            assert_eq!(got, wanted, "{args:?}");
        }
    }
}
