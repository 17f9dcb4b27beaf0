//! A RUN that does something else beside installing: `apt-get … && pip install … && playwright install`. What comes
//! before the installs, and what comes after them, run by themselves, as they are written.
//!
//! That is the same as long as nothing but files goes from one part to the next: no state of a shell, no process that goes
//! on, no memory of where a program was found, nothing of the container itself (`/dev/shm`, the working directory's own
//! identity). And it must not cost: what a later part removes or changes would stay in the layer of an earlier one. Of a
//! program that could do anything none of this can be known, so what may come before and after is a short list of forms,
//! in words without variables.

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

/// Packages that may bring another shell.
const SHELLS: &[&str] = &["bash", "busybox", "dash", "ksh", "mksh", "posh", "yash", "zsh"];

/// One command.
struct Part {
    text: String,
    node: Node,
}

impl Part {
    /// A program that isn't understood.
    fn is_other(&self) -> bool {
        matches!(self.node, Node::Other { .. })
    }

    /// Puts other programs in front of PATH, so that the shell forgets where it found any.
    fn activates(&self) -> bool {
        matches!(self.node, Node::Activate { .. })
    }

    /// Changes no file, and nothing of the shell's.
    fn is_quiet(&self) -> bool {
        matches!(self.node, Node::Status { success: true } | Node::Test { .. })
    }

    /// Its words, if each means just itself.
    fn words(&self) -> Option<Vec<&str>> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._+:=,/-".contains(&b);
        let words: Vec<&str> = self.text.split_whitespace().filter(|word| *word != "\\").collect();
        words.iter().all(|word| word.bytes().all(plain) || *word == APT_LISTS).then_some(words)
    }

    fn may_come_before(&self) -> bool {
        self.is_quiet() && !self.text.contains(['$', '>', '<'])
            || self.words().is_some_and(|words| leaves_only_files(&words))
    }

    fn may_come_after(&self) -> bool {
        self.is_quiet() && !self.text.contains(['$', '>', '<'])
            || self.is_other()
                && (self.words().is_some_and(|words| only_adds(&words)) || imports(self.text.as_str()))
    }
}

/// What the usual clean-up after `apt-get update` removes.
const APT_LISTS: &str = "/var/lib/apt/lists/*";

/// Commands that leave nothing but files, and none that an install would care for but by looking at it.
fn leaves_only_files(words: &[&str]) -> bool {
    let option = |word: &&str| word.starts_with('-');
    let absolute = |word: &&str| word.starts_with('/') && !word.split('/').any(|part| part == "..");
    let after = |at: usize| words[at..].iter().filter(|word| !option(word));
    match words {
        ["apt-get", rest @ ..] => {
            let mut operands = rest.iter().filter(|word| !option(word));
            match operands.next() {
                Some(&("update" | "clean" | "autoclean")) => operands.next().is_none(),
                Some(&"install") => operands.all(|name| {
                    let package = name.split(['=', ':', '/']).next().unwrap_or_default();
                    !package.is_empty() && !SHELLS.contains(&package)
                }),
                _ => false,
            }
        }
        ["rm", "-rf" | "-fr" | "-r", paths @ ..] => {
            !paths.is_empty()
                && paths.iter().all(|path| {
                    *path == APT_LISTS
                        || absolute(path) && ["/var/lib/apt/lists", "/var/cache/apt"].contains(path)
                })
        }
        ["mkdir", ..] => words[1..].iter().all(|word| *word == "-p" || absolute(word)),
        ["python" | "python3", "-m", "venv", ..] => after(3).count() == 1 && after(3).all(absolute),
        ["virtualenv", ..] => after(1).count() == 1 && after(1).all(absolute),
        _ => false,
    }
}

/// Commands that only add files, outside of what was installed.
fn only_adds(words: &[&str]) -> bool {
    match words {
        ["playwright", rest @ ..] | ["python" | "python3", "-m", "playwright", rest @ ..] => {
            rest.first() == Some(&"install")
        }
        ["python" | "python3", "-m", "nltk.downloader", ..]
        | ["python" | "python3", "-m", "spacy", "download", ..] => true,
        _ => false,
    }
}

/// `python -c "import a, b; a.download('c')"`: imports and downloads, nothing else.
fn imports(text: &str) -> bool {
    let code = ["python -c ", "python3 -c "].into_iter().find_map(|start| text.strip_prefix(start));
    let Some(code) = code.map(str::trim) else { return false };
    let code = ['"', '\'']
        .into_iter()
        .find_map(|quote| code.strip_prefix(quote)?.strip_suffix(quote).filter(|code| !code.contains(quote)));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.,;()'\" /-".contains(&b);
    let statement = |statement: &str| {
        let statement = statement.trim();
        let names = |names: &str| {
            names
                .split(',')
                .all(|name| name.trim().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.'))
        };
        if let Some(modules) = statement.strip_prefix("import ") {
            return names(modules);
        }
        let called = statement.split_once('(').filter(|(_, rest)| rest.ends_with(')'));
        called.is_some_and(|(function, arguments)| {
            function.ends_with(".download")
                && names(function)
                && !arguments.trim_end_matches(')').contains('(')
        })
    };
    code.is_some_and(|code| code.bytes().all(plain) && code.split(';').all(statement))
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
    let understood = |part: &Part| {
        is_install(part) || part.is_quiet() || part.activates() || matches!(part.node, Node::Remove { .. })
    };
    let fine = before.iter().all(Part::may_come_before)
        && installs.iter().all(understood)
        // What it removes may be what came before.
        && (before.is_empty() || !installs.iter().any(|part| matches!(part.node, Node::Remove { .. })))
        && after.iter().all(Part::may_come_after)
        // What comes after runs in a shell of its own.
        && (after.is_empty() || !installs.iter().any(Part::activates))
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
        if group.iter().find(|part| !part.is_quiet()).is_some_and(|part| part.activates()) {
            seen.clear();
        }
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
                Node::Install(install) if !install.argv.iter().skip(1).any(|word| word == "install") => {
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
                "apt-get update && apt-get install -y --no-install-recommends gcc && rm -rf /var/lib/apt/lists/* && pip install a",
                some(
                    "apt-get update && apt-get install -y --no-install-recommends gcc && rm -rf /var/lib/apt/lists/*",
                ),
                1,
                None,
            ),
            ("python3 -m venv /v && pip install a && pip install b", some("python3 -m venv /v"), 2, None),
            (
                "pip install a && playwright install chromium && echo done",
                None,
                1,
                some("playwright install chromium && echo done"),
            ),
            (
                "pip install a && rm -rf /tmp/y && python3 -c \"import a; a.download('x')\"",
                None,
                1,
                some("python3 -c \"import a; a.download('x')\""),
            ),
            (
                "python3 -m venv /v && . /v/bin/activate && python3 -m pip install a && pip install b",
                some("python3 -m venv /v"),
                2,
                None,
            ),
            ("mkdir /y && . v/bin/activate && pip install a", some("mkdir /y"), 1, None),
            ("echo a && mkdir -p \\\n  /x && pip install a", some("echo a && mkdir -p \\\n  /x"), 1, None),
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
            "cd /x && mkdir /y && pip install a",
            "mkdir y && pip install a",
            "mkdir -m 700 /y && pip install a",
            "mkdir /y/.. && pip install a",
            "mkdir /$Y && pip install a",
            "echo $$ && mkdir /y && pip install a",
            "mkdir /y && pip install a && rm -rf /y",
            "export A=1 && mkdir /y && pip install a",
            "umask 077 && mkdir /y && pip install a",
            "apt-get install -y bash && pip install a",
            "apt-get upgrade && pip install a",
            "apt-get purge gcc && pip install a",
            "rm -rf /var/lib/apt && pip install a",
            "rm -rf /var/lib/apt/lists/../x && pip install a",
            "ln -s /a /b && pip install a",
            "git clone x && pip install a",
            "python3 -m venv v && pip install a",
            "pip install a && find / -name '*.pyc' -delete",
            "pip install a && apt-get purge -y gcc",
            "pip install a && chown -R app /usr/local",
            "pip install a && sh x.sh",
            "pip install a && python3 -c \"import os; os.remove('x')\"",
            "pip install a && python3 -c \"open('x', 'w')\"",
            "pip install a && python3 -c \"import a; a.download(b.remove('x'))\"",
            "pip install a && python3 -m pip install -e .",
            "pip install a && pip uninstall -y b",
            "pip download a && pip install b",
            "pip install a && playwright install && pip install b",
            "pip install a && playwright install && rm -rf /x",
            "python3 serve.py && pip install a",
            "mkdir /y && pip install a; make",
            "mkdir /y && pip install a\nmake",
            "(mkdir /y) && pip install a",
            "mkdir /y && { pip install a; }",
            "mkdir /y && ! pip install a",
            "exec mkdir /y && pip install a",
            ". /v/bin/activate && pip install a && playwright install",
            "pip install a && . /v/bin/activate && playwright install",
            ". /v/bin/activate && mkdir /y && pip install a",
            "python3 -m venv /v && pip install b && . /v/bin/activate && python3 -m pip install a",
            "mkdir /y && . /v/bin/../bin/activate && pip install a",
            "mkdir /y && . activate && pip install a",
            "mkdir /y && . /v/bin/activate x && pip install a",
            "mkdir /y && . /opt/env.sh && pip install a",
            "python3 -m venv /v && python3 -m pip install a && python3 -c 'import a'",
        ] {
            assert_eq!(parts(script), None, "{script}");
        }
    }
}
