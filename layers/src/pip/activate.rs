//! What a virtual environment's `activate` does to a shell.
//!
//! The script is written by whoever makes the environment, from a template of its interpreter. Sourced, it puts the
//! environment's `bin` in front of PATH, sets `VIRTUAL_ENV` and the prompt, unsets `PYTHONHOME` and defines the function
//! `deactivate`. That is known of the templates of [`KNOWN`] alone, and only if nothing of an activation is in the
//! environment already.

use std::path::Path;

use sha2::{Digest as _, Sha256};

/// SHA-256 of the scripts that `python -m venv` writes, as [`abstracted`] gives them: of Python 3.9 to 3.14, with and
/// without quotes around what is filled in. Of each it was seen that it does what is said above, in dash and bash,
/// with `set -e` and without.
///
/// Not among them: the one that asks for the kernel's release, which makes another thing of it under WSL.
const KNOWN: &[&str] = &[
    // 3.9
    "1309718c496aa7363f27d235013089b5df09253b04f6fa41d28eb5b48503f156",
    "c9aaa296d3c63202925bfb52378932bdcca0cf7eeeddc351e17d251dfe22ebb6",
    // 3.10 and 3.11
    "abf9e913c3008ccf22226ff80313a96e1c6a065f2af1612b87196a17408ce5c4",
    "754a32c1ee521a9ae2ea3c0e3672ddc5cc1f49233d489fa6a88bc479c7b1b238",
    "62672757cec8291b35914e52bec9c6b96173866e9eeaa0ac0dc442ffd8a0c9f2",
    "049726373624c0ef4a5d1dc8aa610024d6093b508be088f0680051b51974ad91",
    // 3.12
    "5ea6d67591395249d6ec9e12db0a9a224385542f3eb68193d0ab64c4cf17a49c",
    // 3.13, and what 3.12 to 3.14 have now
    "1e963c05b2e0bb0cde0f215009751f5df070618898f7fa3d5d5767d33f8c65c8",
    "eb89277cba510eab886ce05fdbc0f999f1c903fb6bde69e2a0e6aa01fe33fc70",
];

/// Variables that make an `activate` do something else.
pub(crate) const STEERING: &[&str] =
    &["_OLD_VIRTUAL_PATH", "_OLD_VIRTUAL_PYTHONHOME", "_OLD_VIRTUAL_PS1", "OSTYPE", "BASH", "ZSH_VERSION"];

/// The environment that an `activate` belongs to, by its path: absolute, `DIRECTORY/bin/activate`, and plain.
pub(crate) fn environment_of(script: &Path) -> Option<&str> {
    let directory = script.to_str()?.strip_suffix("/bin/activate")?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let parts = directory.strip_prefix('/')?.split('/');
    let fine = |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain);
    parts.into_iter().all(fine).then_some(directory)
}

/// Whether this is what `python -m venv DIRECTORY` writes to `bin/activate`.
pub(crate) fn is_activation(text: &str, directory: &str) -> bool {
    // What stands for something below must not be there already.
    if text.contains([NAME, DIRECTORY]) {
        return false;
    }
    let digest = hex::encode(Sha256::digest(abstracted(text, directory)));
    KNOWN.contains(&digest.as_str())
}

/// Where the environment's name is filled in.
const NAME: char = '\x01';
/// Where its path is.
const DIRECTORY: char = '\0';

/// The script without its comments and indentation, with placeholders for what is filled in: the environment's path, and
/// its name in the prompt.
fn abstracted(text: &str, directory: &str) -> String {
    let name = directory.rsplit('/').next().unwrap_or_default();
    // Blanks as shells know them.
    let lines = text.split('\n').map(|line| line.trim_matches([' ', '\t']));
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let lines: Vec<String> = lines
        .map(|line| match line.split_once('=') {
            Some(("PS1" | "VIRTUAL_ENV_PROMPT", _)) => line.replacen(name, &NAME.to_string(), 1),
            _ => line.replace(directory, &DIRECTORY.to_string()),
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::process::Command;

    use super::*;

    #[test]
    fn places_of_environments() {
        let of = |path: &str| environment_of(Path::new(path)).map(str::to_owned);
        assert_eq!(of("/opt/venv/bin/activate").as_deref(), Some("/opt/venv"));
        for path in
            ["/bin/activate", "venv/bin/activate", "/v/activate", "/a b/bin/activate", "/a/../v/bin/activate"]
        {
            assert_eq!(of(path), None, "{path}");
        }
    }

    #[test]
    fn what_python_writes_is_an_activation_and_no_other() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().canonicalize().unwrap().join("some.env");
        let made = Command::new("python3").args(["-m", "venv", "--without-pip"]).arg(&directory).status();
        assert!(made.unwrap().success());
        let text = std::fs::read_to_string(directory.join("bin/activate")).unwrap();
        let directory = directory.to_str().unwrap();
        assert!(is_activation(&text, directory), "{}", abstracted(&text, directory));
        assert!(is_activation(&text.replace("\n\n", "\n# a comment\n"), directory));
        assert!(!is_activation(&text, "/another"));
        for other in [
            format!("{text}export PIP_INDEX_URL=http://h/\n"),
            text.replace("VIRTUAL_ENV_PROMPT", "PIP_TARGET"),
            text.replace("hash -r", "hash"),
            text.replace("$VIRTUAL_ENV/", "$VIRTUAL_ENV/other/"),
            text.replace("(some.env)", "$(date)"),
            text.replace("export PATH\n", "export PATH \\\n"),
            text.replace('\n', "\r\n").replace("export PATH", "export PATH # \\"),
            String::new(),
        ] {
            assert!(!is_activation(&other, directory) || other == text, "{other}");
        }
    }
}
