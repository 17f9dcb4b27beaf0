//! `entry_points.txt`: the functions for which an installer writes scripts.
//!
//! Installers read this file with different parsers (an INI parser, a line splitter, two regular expressions).
//! What is accepted here means the same to all of them.

use serde::{Deserialize, Serialize};

use super::WheelError;

/// One function to call from a generated script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryPoint {
    /// Name of the script.
    pub name: String,
    /// Module to import.
    pub module: String,
    /// Dotted path of the function in the module.
    pub attribute: String,
}

/// The scripts of a wheel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scripts {
    /// Group `console_scripts`, in file order.
    pub console: Vec<EntryPoint>,
    /// Group `gui_scripts`, in file order.
    pub gui: Vec<EntryPoint>,
}

impl Scripts {
    /// Whether a script of this name is generated, before the installer's special cases.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.console.iter().chain(&self.gui).any(|e| e.name == name)
    }
}

/// Parses the file; `file` is its name for messages.
///
/// # Errors
/// Lines that parsers treat differently, script entries that installers reject, a script name that occurs twice.
pub fn parse(file: &str, text: &str) -> Result<Scripts, WheelError> {
    let mut out = Scripts::default();
    let mut section: Option<&str> = None;
    for (number, line) in text.split('\n').enumerate() {
        let bad = |why: &str| WheelError::format(file, format!("line {}: {why}", number + 1));
        let raw = line.strip_suffix('\r').unwrap_or(line);
        let line = raw.trim_matches([' ', '\t']);
        if line.chars().any(|c| c != '\t' && super::name::is_line_or_control(c)) {
            return Err(bad("holds a control character"));
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with(';') {
            return Err(bad("a ';' comment, which some readers take for an entry"));
        }
        if let Some(inner) = line.strip_prefix('[') {
            let name = inner.strip_suffix(']').ok_or_else(|| bad("an unfinished section name"))?;
            section = Some(name);
            continue;
        }
        let section = section.ok_or_else(|| bad("an entry before the first section"))?;
        let (name, value) = line.split_once('=').ok_or_else(|| bad("an entry without '='"))?;
        let group = match section.trim() {
            "console_scripts" => &mut out.console,
            "gui_scripts" => &mut out.gui,
            _ => continue,
        };
        if section != section.trim() {
            return Err(bad("a section name with spaces"));
        }
        // A continuation line to an INI parser.
        if raw.starts_with([' ', '\t']) && !group.is_empty() {
            return Err(bad("an indented entry"));
        }
        group.push(
            entry(name.trim(), value.trim()).ok_or_else(|| bad("not of the form name = module:function"))?,
        );
    }
    let mut names: Vec<&str> = out.console.iter().chain(&out.gui).map(|e| e.name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|w| w[0] == w[1]) {
        return Err(WheelError::format(file, format!("the script {:?} is defined twice", pair[0])));
    }
    Ok(out)
}

fn entry(name: &str, value: &str) -> Option<EntryPoint> {
    let name_ok = !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'+' | b'-'))
        && !matches!(name, "." | "..")
        && !name.starts_with(".wh.");
    let (target, extras) = match value.split_once('[') {
        Some((target, extras)) => (target.trim_end(), Some(extras.strip_suffix(']')?)),
        None => (value, None),
    };
    if let Some(extras) = extras {
        let word = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let mut parts = extras.trim().split(',');
        // The script generator's pattern allows a dash in the first extra only.
        let first = parts.next()?;
        if !word(&first.replace('-', "_")) || !parts.all(|p| word(p.trim_start())) {
            return None;
        }
    }
    let (module, attribute) = target.split_once(':')?;
    let dotted = |s: &str| {
        s.split('.').all(|p| {
            let mut bytes = p.bytes();
            bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
                && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
        })
    };
    (name_ok && dotted(module) && dotted(attribute)).then(|| EntryPoint {
        name: name.to_owned(),
        module: module.to_owned(),
        attribute: attribute.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn usual_files() {
        let text = "# c\n[console_scripts]\nfoo = a.b:main\nfoo-2=a:C.run [x-y,z]\n\n[other]\nq = r s\n[gui_scripts]\r\ng = h:i\r\n";
        let scripts = parse("E", text).unwrap();
        let shown: Vec<_> =
            scripts.console.iter().map(|e| format!("{}|{}|{}", e.name, e.module, e.attribute)).collect();
        assert_eq!(shown, ["foo|a.b|main", "foo-2|a|C.run"]);
        assert!(scripts.contains("g") && !scripts.contains("q"));
    }

    #[test]
    fn what_readers_disagree_about() {
        for bad in [
            "foo = a:b\n",
            "[console_scripts]\nfoo = a\n",
            "[console_scripts]\nfoo bar = a:b\n",
            "[console_scripts]\n../foo = a:b\n",
            "[console_scripts]\nfoo = a : b\n",
            "[console_scripts]\nfoo = a:b c\n",
            "[console_scripts]\nfoo = a:b [x, y-z]\n",
            "[console_scripts]\nfoo = a:b\n  c = d:e\n",
            "[console_scripts]\n; foo = a:b\n",
            "[console_scripts]\nfoo = a:b\nfoo = c:d\n",
            "[console_scripts]\nfoo = a:b\n[gui_scripts]\nfoo = c:d\n",
            "[console_scripts]\nfoo\n",
            "[console_scripts\nfoo = a:b\n",
        ] {
            assert!(parse("E", bad).is_err(), "{bad:?}");
        }
    }
}
