//! Steps behind an install that take packages away, bring others, or mark them.
//!
//! The state that they find is the same with the install taken out. But what they do depends on what apt knows of each
//! package, and of a build that makes a point of it nothing is taken out.

use std::collections::BTreeSet;

use plinth_proto::graph::{OpId, Rewrite};
use plinth_proto::pb;

/// Programs of which every command counts.
const PROGRAMS: &[&str] =
    &["apt-mark", "aptitude", "deborphan", "dselect", "unattended-upgrade", "unattended-upgrades"];
/// Commands of apt that count.
const APT: &[&str] = &[
    "auto-remove",
    "autopurge",
    "autoremove",
    "build-dep",
    "dist-upgrade",
    "dselect-upgrade",
    "full-upgrade",
    "purge",
    "remove",
    "satisfy",
    "upgrade",
];
/// Commands of dpkg that count, as far as they are written out.
const DPKG: &[&str] = &["--clear-selections", "--purge", "--remove", "--set-selections"];

/// The first step that needs `step` and does such a thing, in one of the stages that stand on it; with what it does.
pub(super) fn takes_away(rewrite: &Rewrite, step: OpId) -> Option<(OpId, String)> {
    let graph = rewrite.graph();
    let mut behind = BTreeSet::from([step]);
    for op in rewrite.steps() {
        if graph[op].inputs().iter().any(|edge| behind.contains(&edge.op)) {
            behind.insert(op);
            let Some(pb::op::Op::Exec(exec)) = &graph[op].op().op else { continue };
            let found = exec.meta.iter().flat_map(|meta| &meta.args).find_map(|text| command(text));
            if let Some(command) = found {
                return Some((op, command));
            }
        }
    }
    None
}

/// The first such command in a text.
fn command(text: &str) -> Option<String> {
    text.replace("\\\n", " ").split(['\n', ';', '&', '|']).find_map(simple)
}

/// The same of one command of a script.
fn simple(text: &str) -> Option<String> {
    let mut program = "";
    for word in words(text) {
        match name(word) {
            name if PROGRAMS.contains(&name) => return Some(name.to_owned()),
            name @ ("apt-get" | "apt" | "dpkg") => program = name,
            _ => {}
        }
        let short =
            |word: &str| word.starts_with('-') && !word.starts_with("--") && word.contains(['r', 'P']);
        let counts = match program {
            "" => false,
            "dpkg" => DPKG.contains(&word) || short(word) && !word.contains("force"),
            _ => APT.contains(&word) || matches!(word, "--auto-remove" | "--autoremove" | "--purge"),
        };
        if counts {
            return Some(format!("{program} {word}"));
        }
    }
    None
}

/// The words of a text, as far as they can be told apart without reading it as a shell does.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || ";&|()<>{}'\"`\\,[]".contains(c))
        .filter(|word| !word.is_empty())
}

/// The name of a program, wherever it is.
pub(super) fn name(word: &str) -> &str {
    ["/usr/bin/", "/bin/"].iter().find_map(|directory| word.strip_prefix(directory)).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_packages_away() {
        for (text, wanted) in [
            ("apt-get purge -y gcc", Some("apt-get purge")),
            ("pip install x && apt-get -y --purge autoremove", Some("apt-get --purge")),
            ("set -e; (apt autoremove)", Some("apt autoremove")),
            ("/usr/bin/apt-get update &&\\\n/usr/bin/apt-get upgrade -y", Some("apt-get upgrade")),
            ("sh -c \"apt-get remove curl\"", Some("apt-get remove")),
            ("apt-get install -y --auto-remove x", Some("apt-get --auto-remove")),
            ("apt-mark auto gcc", Some("apt-mark")),
            ("dpkg -r curl", Some("dpkg -r")),
            ("dpkg -P curl", Some("dpkg -P")),
            ("dpkg --purge curl", Some("dpkg --purge")),
            ("dpkg --set-selections", Some("dpkg --set-selections")),
            ("aptitude install x", Some("aptitude")),
            ("apt-get update && apt-get install -y jq", None),
            ("dpkg -i x.deb && rm -r x.deb", None),
            ("apt-get install -y jq\npip install --upgrade upgrade", None),
            ("pip install --upgrade pip", None),
            ("pip install upgrade", None),
            ("rm -rf /var/lib/apt/lists/*", None),
            ("npm remove x", None),
        ] {
            assert_eq!(command(text).as_deref(), wanted, "{text}");
        }
    }
}
