//! Requirement files, line by line, with what they include.
//!
//! A strict reader decides what may be assembled (`plinth_layers::pip::read_requirements`); this one reads on behind a
//! mistake, and knows where everything stands.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use plinth_layers::pip::{Named, requirement_lines};
use serde::Serialize;

use crate::finding::{Finding, Kind};

/// Files that one file includes, each time counted.
const MAX_FILES: usize = 500;
/// Files that include one another.
const MAX_DEPTH: usize = 16;

/// One requirement, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Requirement {
    /// The distribution's name, normalized (PEP 503).
    pub name: String,
    /// The version specifier (PEP 440), its parts sorted; empty: any version.
    pub specifier: String,
    /// Its normal form (PEP 508), extras and marker included; of one by address, the name.
    pub text: String,
    /// The environment marker (PEP 508), if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
    /// The file is named by an address.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub by_url: bool,
    /// The file it stands in, relative to the tree that was scanned.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
}

/// A requirement as it is written.
///
/// # Errors
/// Why pip would not take it.
pub(crate) fn parse(text: &str, file: &str, line: usize) -> Result<Requirement, String> {
    let named = Named::parse(text)?;
    let text = named.text();
    let Named { name, specifier, marker, by_url, .. } = named;
    Ok(Requirement { name, specifier, text, marker, by_url, file: file.to_owned(), line })
}

/// Where the bytes of requirement files come from.
pub(crate) trait Source {
    /// The text of the file at a path of the image, and its name for people. None: nothing is there.
    fn text(&self, path: &Path) -> Text;
}

/// A requirement file, looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// Its text, and its name relative to the tree.
    Found { text: String, name: String },
    /// It can't be read; its name and why.
    Unreadable { name: String, why: String },
    /// Whether it is there can't be told.
    Unknown,
    /// It isn't there.
    Missing,
}

/// What a requirement file and everything that it includes come to.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) requirements: Vec<Requirement>,
    pub(crate) constraints: Vec<Requirement>,
    /// Something in it isn't a wheel of an index: `-e`, a path, a repository.
    pub(crate) local: Vec<String>,
    pub(crate) findings: Vec<Finding>,
}

/// Reads a file of an image. `asked_in` is where it is named: file and line.
pub(crate) fn read(
    source: &dyn Source,
    path: &Path,
    constraint: bool,
    asked_in: (&str, usize),
) -> (Read, Text) {
    let mut reader = Reader { source, read: Read::default(), stack: Vec::new(), files: 0 };
    let text = source.text(path);
    reader.file(path, constraint, asked_in);
    (reader.read, text)
}

struct Reader<'a> {
    source: &'a dyn Source,
    read: Read,
    stack: Vec<PathBuf>,
    files: usize,
}

impl Reader<'_> {
    fn finding(&mut self, kind: Kind, place: (&str, usize), message: String) {
        self.read.findings.push(Finding::new(kind, place.0, Some(place.1), message));
    }

    fn file(&mut self, path: &Path, constraint: bool, asked_in: (&str, usize)) {
        if self.stack.iter().any(|outer| outer == path) {
            let message = format!("`{}` includes itself; pip gives up on that", path.display());
            return self.finding(Kind::RequirementsUnreadable, asked_in, message);
        }
        if self.stack.len() == MAX_DEPTH {
            let message = format!("requirement files nested more than {MAX_DEPTH} deep aren't followed");
            return self.finding(Kind::RequirementsUnreadable, asked_in, message);
        }
        self.files += 1;
        if self.files > MAX_FILES {
            if self.files == MAX_FILES + 1 {
                let message =
                    format!("more than {MAX_FILES} requirement files are included; the rest isn't read");
                self.finding(Kind::RequirementsUnreadable, asked_in, message);
            }
            return;
        }
        let (text, name) = match self.source.text(path) {
            Text::Found { text, name } => (text, name),
            Text::Unreadable { name, why } => {
                let finding = Finding::new(Kind::RequirementsUnreadable, &name, None, why);
                return self.read.findings.push(finding);
            }
            Text::Unknown => return,
            Text::Missing => {
                // What names the outermost file is a step, and whether that matters is for the step to say.
                if !self.stack.is_empty() {
                    let message = format!("includes `{}`, which isn't there", path.display());
                    self.finding(Kind::RequirementsMissing, asked_in, message);
                }
                return;
            }
        };
        self.stack.push(path.to_owned());
        for (number, line) in requirement_lines(&text) {
            self.line(path, &name, number, &line, constraint);
        }
        self.stack.pop();
    }

    fn line(&mut self, path: &Path, name: &str, number: usize, line: &str, constraint: bool) {
        // As pip does: options begin at the first word with a dash.
        let words: Vec<&str> = line.split(' ').collect();
        let at = words.iter().position(|word| word.starts_with('-')).unwrap_or(words.len());
        let (requirement, options) = (words[..at].join(" "), &words[at..]);
        let requirement = requirement.trim();
        if requirement.is_empty() {
            return self.options(path, name, number, options);
        }
        if requirement.contains("${") {
            return;
        }
        if is_local(requirement) {
            return self.read.local.push(requirement.to_owned());
        }
        match parse(requirement, name, number) {
            Ok(parsed) if constraint => self.read.constraints.push(parsed),
            Ok(parsed) => self.read.requirements.push(parsed),
            Err(why) => {
                let shown: String = requirement.chars().take(60).collect();
                self.finding(
                    Kind::RequirementMalformed,
                    (name, number),
                    format!("`{shown}` is no requirement: {why}"),
                );
            }
        }
    }

    fn options(&mut self, path: &Path, name: &str, number: usize, options: &[&str]) {
        let Some(first) = options.first() else { return };
        let (option, joined) = match first.split_once('=') {
            Some((option, value)) => (option, Some(value)),
            None if !first.starts_with("--") && first.is_char_boundary(2) && first.len() > 2 => {
                (&first[..2], Some(&first[2..]))
            }
            None => (*first, None),
        };
        let value = joined.or_else(|| options.get(1).copied()).unwrap_or_default().trim_matches(['"', '\'']);
        match option {
            "-r" | "--requirement" | "-c" | "--constraint" => {
                // An address, or a variable that pip takes from its environment.
                if value.contains("://") || value.contains("${") {
                    return;
                }
                let directory = path.parent().unwrap_or_else(|| Path::new(""));
                let constraint = matches!(option, "-c" | "--constraint");
                self.file(&normal(&directory.join(value)), constraint, (name, number));
            }
            "-e" | "--editable" => self.read.local.push(value.to_owned()),
            _ => {}
        }
    }
}

/// Without `.` and `..`, so that a file which includes itself by another spelling is seen.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

/// Whether a requirement is a path, an archive or a repository, and no name.
pub(crate) fn is_local(requirement: &str) -> bool {
    let text = requirement.split([';', ' ']).next().unwrap_or_default();
    let archive = [".whl", ".tar.gz", ".zip"].iter().any(|ending| text.ends_with(ending));
    let repository = ["git+", "hg+", "svn+", "bzr+"].iter().any(|start| requirement.contains(start));
    text.starts_with(['.', '/'])
        || repository
        || text.contains("://")
        || (archive && !requirement.contains('@'))
}

/// Names that a file or command has more than once, with the second place of each.
pub(crate) fn twice(requirements: &[Requirement]) -> Vec<(&Requirement, &Requirement)> {
    let mut found = Vec::new();
    let mut first: HashMap<(&str, &str, Option<&str>), &Requirement> = HashMap::new();
    for requirement in requirements {
        let key = (requirement.name.as_str(), requirement.file.as_str(), requirement.marker.as_deref());
        match first.get(&key) {
            // One line that is included twice is one line.
            Some(known) if known.line == requirement.line && known.text == requirement.text => {}
            Some(known) => found.push((*known, requirement)),
            None => {
                first.insert(key, requirement);
            }
        }
    }
    found
}

/// Modules of the standard library that people name as requirements, without those for which there is a well-known
/// distribution of the same name that is meant (`typing-extensions`, `dataclasses` and `enum34` are backports).
pub(crate) fn is_standard_library(name: &str) -> bool {
    const MODULES: &[&str] = &[
        "abc",
        "argparse",
        "array",
        "ast",
        "asyncio",
        "base64",
        "bisect",
        "bz2",
        "calendar",
        "collections",
        "concurrent",
        "configparser",
        "contextlib",
        "copy",
        "csv",
        "ctypes",
        "datetime",
        "decimal",
        "difflib",
        "email",
        "enum",
        "functools",
        "gc",
        "getpass",
        "glob",
        "gzip",
        "hashlib",
        "heapq",
        "hmac",
        "html",
        "http",
        "imaplib",
        "importlib",
        "inspect",
        "io",
        "ipaddress",
        "itertools",
        "json",
        "logging",
        "lzma",
        "math",
        "mimetypes",
        "multiprocessing",
        "operator",
        "os",
        "pathlib",
        "pickle",
        "platform",
        "pprint",
        "queue",
        "random",
        "re",
        "secrets",
        "select",
        "shlex",
        "shutil",
        "signal",
        "smtplib",
        "socket",
        "sqlite3",
        "ssl",
        "statistics",
        "string",
        "struct",
        "subprocess",
        "sys",
        "tarfile",
        "tempfile",
        "textwrap",
        "threading",
        "time",
        "timeit",
        "tkinter",
        "traceback",
        "typing",
        "unittest",
        "urllib",
        "uuid",
        "venv",
        "warnings",
        "weakref",
        "xml",
        "zipfile",
        "zlib",
    ];
    MODULES.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;

    struct Files(BTreeMap<&'static str, String>);

    impl Source for Files {
        fn text(&self, path: &Path) -> Text {
            match self.0.get(path.to_str().unwrap()) {
                Some(text) => Text::Found { text: text.clone(), name: path.display().to_string() },
                None => Text::Missing,
            }
        }
    }

    fn files(list: &[(&'static str, &str)]) -> Files {
        Files(list.iter().map(|(name, text)| (*name, (*text).to_owned())).collect())
    }

    #[test]
    fn lines_and_includes() {
        let source = files(&[
            (
                "app/r.txt",
                "# head\nFastAPI >=0.1, <2  # why\nuvicorn[standard] \\\n   ==0.2\n-r sub/more.txt\n-c c.txt\n-e .\n./lib\nx==1 --hash=sha256:0\na b\n--index-url https://h/s\n-r none.txt\n",
            ),
            ("app/sub/more.txt", "httpx; python_version < '3.9'\n-r ../r.txt\n"),
            ("app/c.txt", "idna<4\n"),
        ]);
        let (read, _) = read(&source, Path::new("app/r.txt"), false, ("Dockerfile", 3));
        let texts: Vec<String> = read.requirements.iter().map(|one| one.text.clone()).collect();
        assert_eq!(
            texts[..3],
            ["fastapi<2,>=0.1", "uvicorn[standard]==0.2", "httpx; python_full_version < '3.9'"]
        );
        assert_eq!(texts[3..], ["x==1"]);
        assert_eq!((read.requirements[1].line, read.requirements[2].file.as_str()), (3, "app/sub/more.txt"));
        assert_eq!(read.constraints[0].text, "idna<4");
        assert_eq!(read.local, [".", "./lib"]);
        let findings: Vec<(Kind, &str, Option<usize>)> =
            read.findings.iter().map(|f| (f.kind, f.file.as_str(), f.line)).collect();
        assert_eq!(
            findings,
            [
                (Kind::RequirementsUnreadable, "app/sub/more.txt", Some(2)),
                (Kind::RequirementMalformed, "app/r.txt", Some(10)),
                (Kind::RequirementsMissing, "app/r.txt", Some(12)),
            ]
        );
    }

    #[test]
    fn a_line_of_a_megabyte_is_no_requirement() {
        let source = files(&[("r", &format!("{}\nflask\n", "x".repeat(1 << 20)))]);
        let (read, _) = read(&source, Path::new("r"), false, ("Dockerfile", 1));
        assert_eq!(read.requirements.len(), 1);
        assert!(read.findings[0].message.contains("1048576 bytes") && read.findings[0].message.len() < 200);
    }

    #[test]
    fn odd_requirements() {
        for (text, local) in [
            ("./x", true),
            ("x.whl", true),
            ("git+https://h/x", true),
            ("https://h/x.whl", true),
            ("x @ git+https://h/x", true),
            ("x", false),
            ("x @ https://h/x.whl", false),
            ("x>=1", false),
        ] {
            assert_eq!(is_local(text), local, "{text}");
        }
        assert!(
            is_standard_library("asyncio") && is_standard_library("sqlite3") && !is_standard_library("httpx")
        );
        let of = |text: &str, line| parse(text, "r", line).unwrap();
        let list = [of("a>1", 1), of("b", 2), of("A", 3)];
        assert_eq!(twice(&list).iter().map(|(a, b)| (a.line, b.line)).collect::<Vec<_>>(), [(1, 3)]);
    }
}
