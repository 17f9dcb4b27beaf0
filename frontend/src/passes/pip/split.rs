//! A RUN that does something else beside installing: `apt-get … && pip install … && playwright install`. What comes
//! before the installs, and what comes after them, run by themselves, as they are written.
//!
//! That is the same as long as nothing but files goes from one part to the next: no state of a shell (so no command of
//! the shell's own in any part), no process that goes on (so only programs before the installs that leave none), no
//! memory of where a program was found. And it must not cost: what a later part removes or changes would stay in the layer
//! of an earlier one.

use plinth_layers::script::Node;

use crate::shell::{BUILTINS, NotSimple, chained};

/// The parts of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Split {
    /// What comes before the installs, as it is written.
    pub(super) before: Option<String>,
    /// The installs.
    pub(super) installs: Node,
    /// What comes after them, as it is written.
    pub(super) after: Option<String>,
    /// All that comes behind `before`, as it is written.
    pub(super) behind: String,
}

impl Split {
    /// A script in one piece.
    pub(super) fn none(installs: Node) -> Self {
        Self { before: None, installs, after: None, behind: String::new() }
    }
}

/// Programs that leave nothing but files.
const BEFORE: &[&str] = &[
    "addgroup",
    "adduser",
    "apk",
    "apt",
    "apt-get",
    "chmod",
    "chown",
    "cp",
    "curl",
    "dnf",
    "git",
    "groupadd",
    "install",
    "ldconfig",
    "ln",
    "locale-gen",
    "microdnf",
    "mkdir",
    "mv",
    "rm",
    "tar",
    "touch",
    "unzip",
    "update-ca-certificates",
    "useradd",
    "usermod",
    "virtualenv",
    "wget",
    "yum",
];

/// Programs that remove or change files: behind the installs, these would be in layers already.
const NOT_AFTER: &[&str] = &[
    "apk", "apt", "apt-get", "chgrp", "chmod", "chown", "conda", "dnf", "dpkg", "find", "microdnf", "mv",
    "rm", "sed", "shred", "strip", "truncate", "xargs", "yum",
];

/// Words that make a program one of those.
const NOT_AFTER_WORDS: &[&str] = &["uninstall", "remove", "purge", "compileall", "--upgrade", "-U"];

/// One command.
struct Part {
    text: String,
    node: Node,
}

impl Part {
    /// The program's name, where it is a plain one.
    fn program(&self) -> Option<&str> {
        let word = self.text.split_whitespace().next()?;
        let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-/".contains(&b));
        (plain && !BUILTINS.contains(&word)).then_some(word)
    }

    /// A program that isn't understood.
    fn is_other(&self) -> bool {
        matches!(self.node, Node::Other { .. })
    }

    /// Changes no file, and nothing of the shell's.
    fn is_quiet(&self) -> bool {
        matches!(self.node, Node::Status { success: true } | Node::Test { .. })
    }

    fn may_come_before(&self) -> bool {
        let venv = || {
            let mut words = self.text.split_whitespace();
            let python = words.next().is_some_and(|word| matches!(word, "python" | "python3"));
            python && words.next() == Some("-m") && words.next() == Some("venv")
        };
        self.is_quiet()
            || matches!(self.node, Node::Remove { .. })
            || self.is_other() && self.program().is_some_and(|program| BEFORE.contains(&program) || venv())
    }

    fn may_come_after(&self) -> bool {
        let harmless = |program: &str| {
            let name = program.rsplit('/').next().unwrap_or(program);
            !NOT_AFTER.contains(&name)
                && !self.text.split_whitespace().any(|word| NOT_AFTER_WORDS.contains(&word))
        };
        self.is_quiet() || self.is_other() && self.program().is_some_and(harmless)
    }
}

/// Splits a script; `read` reads one command of it, with installs that aren't understood as [`Node::Other`].
pub(super) fn split(script: &str, read: &dyn Fn(&str) -> Result<Node, NotSimple>) -> Option<Split> {
    let mut parts = Vec::new();
    for text in chained(script)? {
        let node = read(&text).ok()?;
        parts.push(Part { text, node });
    }
    let is_install = |part: &Part| matches!(part.node, Node::Install(_));
    let first = parts.iter().position(is_install)?;
    let last = parts.iter().rposition(is_install)?;
    // Up to the last program before the installs, and from the first one after them.
    let start = parts[..first].iter().rposition(Part::is_other).map_or(0, |at| at + 1);
    let end = parts[last..].iter().position(Part::is_other).map_or(parts.len(), |at| last + at);
    let (before, rest) = parts.split_at(start);
    let (installs, after) = rest.split_at(end - start);
    let understood =
        |part: &Part| is_install(part) || part.is_quiet() || matches!(part.node, Node::Remove { .. });
    let fine = before.iter().all(Part::may_come_before)
        && installs.iter().all(understood)
        && after.iter().all(Part::may_come_after)
        && !(before.is_empty() && after.is_empty())
        && !meets_again(&[before, installs, after]);
    if !fine {
        return None;
    }
    let text = |parts: &[Part]| {
        let texts: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
        texts.join(" && ")
    };
    let some = |parts: &[Part]| Some(text(parts)).filter(|text| !text.is_empty());
    let (before, after, behind) = (some(before), some(after), text(rest));
    let installs = installs
        .iter()
        .map(|part| part.node.clone())
        .reduce(|first, then| Node::And { first: Box::new(first), then: Box::new(then) })?;
    Some(Split { before, installs, after, behind })
}

/// Whether two of the groups run a program by the same bare name: a shell remembers where it found the first.
fn meets_again(groups: &[&[Part]]) -> bool {
    let names = |parts: &[Part]| -> Vec<String> {
        let bare = parts.iter().filter_map(|part| part.text.split_whitespace().next());
        bare.filter(|word| !word.contains('/') && !BUILTINS.contains(word)).map(str::to_owned).collect()
    };
    let mut seen: Vec<String> = Vec::new();
    for group in groups {
        let names = names(group);
        if names.iter().any(|name| seen.contains(name)) {
            return true;
        }
        seen.extend(names);
    }
    false
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::shell;

    fn parts(script: &str) -> Option<(Option<String>, usize, Option<String>)> {
        let read = |text: &str| {
            let node = shell::script(text, &|_| None, &|program| matches!(program, "pip" | "python3"))?;
            Ok(match node {
                Node::Install(install) if install.argv[1..].first().is_none_or(|word| word != "install") => {
                    Node::Other { reason: "another command".to_owned() }
                }
                node => node,
            })
        };
        let split = split(script, &read)?;
        Some((split.before, split.installs.installs().len(), split.after))
    }

    #[test]
    fn before_and_after() {
        let some = |text: &str| Some(text.to_owned());
        for (script, before, installs, after) in [
            (
                "apt-get update && apt-get install -y gcc && rm -rf /var/lib/apt/lists/* && pip install a",
                some("apt-get update && apt-get install -y gcc && rm -rf /var/lib/apt/lists/*"),
                1,
                None,
            ),
            ("python3 -m venv /v && /v/bin/true && pip install a", None, 0, None),
            ("python3 -m venv /v && pip install a && pip install b", some("python3 -m venv /v"), 2, None),
            (
                "pip install a && playwright install && echo done",
                None,
                1,
                some("playwright install && echo done"),
            ),
            (
                "mkdir -p /x && pip install a && rm -rf /tmp/y && python3 -c 'import a; a.f()'",
                some("mkdir -p /x"),
                1,
                some("python3 -c 'import a; a.f()'"),
            ),
            ("echo a && mkdir \\\n  /x && pip install a", some("echo a && mkdir \\\n  /x"), 1, None),
        ] {
            let wanted = (installs > 0).then_some((before, installs, after));
            assert_eq!(parts(script), wanted, "{script}");
        }
    }

    #[test]
    fn what_stays_in_one_piece() {
        for script in [
            "pip install a",
            "pip install a && rm -rf /tmp/y",
            "pip install a || make",
            "make && pip install a",
            "cd /x && mkdir y && pip install a",
            "mkdir y && cd /x && pip install a",
            "export A=1 && mkdir y && pip install a",
            "umask 077 && mkdir y && pip install a",
            "pip install a && find / -name '*.pyc' -delete",
            "pip install a && apt-get purge -y gcc",
            "pip install a && chown -R app /usr/local",
            "pip install a && pip uninstall -y b",
            "pip download a && pip install b",
            "pip install a && make && pip install b",
            "pip install a && make && rm -rf /x",
            "service x start && pip install a",
            "python3 serve.py && pip install a",
            "mkdir y && pip install a; make",
            "mkdir y && pip install a\nmake",
            "(mkdir y) && pip install a",
            "mkdir y && { pip install a; }",
            "mkdir y && ! pip install a",
            "mkdir y && pip install a && $TOOL x",
            "exec mkdir y && pip install a",
            "pip install a && 'quoted program' x",
        ] {
            assert_eq!(parts(script), None, "{script}");
        }
    }
}
