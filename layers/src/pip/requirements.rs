//! Requirements files, read as pip reads them, to find out what is in them.
//!
//! The set of distributions comes from pip itself; this reading only looks for what can't be assembled
//! (editable installs, local paths, version control, per-requirement build options) before pip is asked
//! and starts to build it, and for options that change how an index is reached.
//!
//! The order of pip's reading is kept: split into lines, join continuations, drop comments, expand
//! `${NAME}`, split requirement from options at the first word that begins with a dash.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::{NotUnderstood, check_requirement, has_credentials};

/// Bytes of one file.
const MAX_SIZE: usize = 1 << 20;
/// Lines of all files together.
const MAX_LINES: usize = 100_000;
/// Files that include one another.
const MAX_DEPTH: usize = 16;

/// Where requirements files and environment variables come from.
pub trait Files {
    /// The bytes of the file; relative paths are relative to the working directory of the step.
    ///
    /// # Errors
    /// The file can't be read.
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>>;
    /// Value of an environment variable of the step.
    fn variable(&self, name: &str) -> Option<String>;
}

/// [`Files`] of the file system, seen from a working directory.
#[derive(Clone, Debug)]
pub struct LocalFiles<'a> {
    /// Working directory.
    pub cwd: &'a Path,
    /// Environment.
    pub env: &'a [(String, String)],
}

impl Files for LocalFiles<'_> {
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        use io::Read as _;
        let path = self.cwd.join(path);
        if !std::fs::metadata(&path)?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(MAX_SIZE as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.env.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }
}

/// What was found in requirements and constraints files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundOptions {
    /// Requirements, in the order of pip's reading.
    pub requirements: Vec<String>,
    /// Constraints, likewise.
    pub constraints: Vec<String>,
    /// First spellings of the options on lines of their own, such as `--extra-index-url`.
    pub options: BTreeSet<&'static str>,
    /// Some requirement has a `--hash`.
    pub hashes: bool,
    /// Some file is at an address. What is in it is for pip to read, and shows in what it resolves.
    pub by_url: bool,
}

/// Reads files and everything they include. `true` marks a constraints file.
///
/// # Errors
/// [`NotUnderstood`] if a file can't be read, includes itself, is over a limit, or holds something that
/// can't be assembled from wheels.
pub fn read_requirements(
    files: &mut dyn Files,
    roots: &[(String, bool)],
) -> Result<FoundOptions, NotUnderstood> {
    let mut reader = Reader { files, found: FoundOptions::default(), stack: Vec::new(), lines: 0 };
    for (path, constraint) in roots {
        reader.file(Path::new(path), *constraint)?;
    }
    Ok(reader.found)
}

struct Reader<'a> {
    files: &'a mut dyn Files,
    found: FoundOptions,
    stack: Vec<PathBuf>,
    lines: usize,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, constraint: bool) -> Result<(), NotUnderstood> {
        if path.to_str().is_some_and(is_web) {
            self.found.by_url = true;
            return Ok(());
        }
        if self.stack.iter().any(|outer| outer == path) {
            return Err(NotUnderstood::new("a requirements file that includes itself"));
        }
        if self.stack.len() == MAX_DEPTH {
            return Err(NotUnderstood::new("requirements files nested too deeply"));
        }
        let bytes = self.files.read(path);
        let bytes = bytes.map_err(|_| NotUnderstood::new("a requirements file that can't be read"))?;
        if bytes.len() > MAX_SIZE {
            return Err(NotUnderstood::new("a requirements file over 1 MiB"));
        }
        let text = decode(&bytes)?;
        self.stack.push(path.to_owned());
        for (_, line) in requirement_lines(&text) {
            self.lines += 1;
            if self.lines > MAX_LINES {
                return Err(NotUnderstood::new("too many lines of requirements"));
            }
            let line = self.expand(&line);
            self.line(path, &line, constraint)?;
        }
        self.stack.pop();
        Ok(())
    }

    /// Replaces `${NAME}` by the variable if it is set and not empty.
    fn expand(&self, line: &str) -> String {
        let mut out = line.to_owned();
        let mut names = BTreeSet::new();
        for (at, _) in line.match_indices("${") {
            let rest = &line[at + 2..];
            if let Some(end) = rest.find('}') {
                let name = &rest[..end];
                let plain = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
                if !name.is_empty() && name.bytes().all(plain) {
                    names.insert(name);
                }
            }
        }
        for name in names {
            if let Some(value) = self.files.variable(name).filter(|value| !value.is_empty()) {
                out = out.replace(&format!("${{{name}}}"), &value);
            }
        }
        out
    }

    fn line(&mut self, path: &Path, line: &str, constraint: bool) -> Result<(), NotUnderstood> {
        let words: Vec<&str> = line.split(' ').collect();
        let at = words.iter().position(|word| word.starts_with('-')).unwrap_or(words.len());
        let requirement = words[..at].join(" ");
        let options = split_shell(&words[at..].join(" "))?;
        if requirement.is_empty() {
            return self.options(path, &options);
        }
        let mut options = options.into_iter();
        while let Some(option) = options.next() {
            let value = match option.split_once('=') {
                Some(("--hash", value)) => Some(value.to_owned()),
                None if option == "--hash" => options.next(),
                _ => return Err(NotUnderstood::new("an option of a single requirement")),
            };
            if value.is_none_or(|value| value.is_empty()) {
                return Err(NotUnderstood::new("--hash without its value"));
            }
            self.found.hashes = true;
        }
        check_requirement(&requirement)?;
        let list = if constraint { &mut self.found.constraints } else { &mut self.found.requirements };
        list.push(requirement);
        Ok(())
    }

    fn options(&mut self, path: &Path, words: &[String]) -> Result<(), NotUnderstood> {
        let mut nested = None;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (name, joined) = if word.starts_with("--") {
                match word.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (word.as_str(), None),
                }
            } else if word.len() > 2 && word.is_char_boundary(2) {
                (&word[..2], Some(word[2..].to_owned()))
            } else {
                (word.as_str(), None)
            };
            let Some(&(name, takes_value)) = LINE_OPTIONS
                .iter()
                .find(|(names, _)| names.contains(&name))
                .map(|(names, v)| (names[0], *v))
                .as_ref()
            else {
                return Err(NotUnderstood::new("an option in a requirements file"));
            };
            if matches!(name, "--editable" | "--no-binary" | "--use-feature") {
                return Err(NotUnderstood::new(format!("{name} in a requirements file")));
            }
            let value = match (takes_value, joined) {
                (true, Some(value)) => Some(value),
                (true, None) => match words.next() {
                    Some(value) => Some(value.clone()),
                    None => return Err(NotUnderstood::new(format!("{name} without its value"))),
                },
                (false, None) => None,
                (false, Some(_)) => return Err(NotUnderstood::new(format!("{name} with a value"))),
            };
            if value.as_deref().is_some_and(has_credentials) {
                return Err(NotUnderstood::new("credentials in a requirements file"));
            }
            match name {
                "--requirement" | "--constraint" => {
                    // pip takes the first of several, which nobody means.
                    if nested.replace((value.unwrap_or_default(), name == "--constraint")).is_some() {
                        return Err(NotUnderstood::new("two includes on one line"));
                    }
                }
                _ => {
                    self.found.options.insert(name);
                }
            }
        }
        let Some((include, constraint)) = nested else { return Ok(()) };
        if is_web(&include) {
            return self.file(Path::new(&include), constraint);
        }
        if include.contains("://") || include.to_ascii_lowercase().starts_with("file:") {
            return Err(NotUnderstood::new("a requirements file by URL"));
        }
        let directory = path.parent().unwrap_or_else(|| Path::new(""));
        self.file(&directory.join(include), constraint)
    }
}

/// An address of a file, as it is written: no `HTTPS://`, and nothing that could be a path.
pub(super) fn is_web(value: &str) -> bool {
    let rest = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

/// Options that may stand on a line of their own, and whether they take a value.
const LINE_OPTIONS: &[(&[&str], bool)] = &[
    (&["--requirement", "-r"], true),
    (&["--constraint", "-c"], true),
    (&["--editable", "-e"], true),
    (&["--index-url", "-i", "--pypi-url"], true),
    (&["--extra-index-url"], true),
    (&["--find-links", "-f"], true),
    (&["--no-index"], false),
    (&["--no-binary"], true),
    (&["--only-binary"], true),
    (&["--prefer-binary"], false),
    (&["--require-hashes"], false),
    (&["--pre"], false),
    (&["--trusted-host"], true),
    (&["--use-feature"], true),
];

/// Text of a file: UTF-8, or UTF-16 by its byte-order mark. pip falls back to the locale, which is not
/// known to everybody who reads this, so other encodings are refused.
fn decode(bytes: &[u8]) -> Result<String, NotUnderstood> {
    let refused = || NotUnderstood::new("a requirements file that is not UTF-8");
    let wide = |bytes: &[u8], to: fn([u8; 2]) -> u16| {
        if !bytes.len().is_multiple_of(2) {
            return Err(refused());
        }
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| to([pair[0], pair[1]])).collect();
        String::from_utf16(&units).map_err(|_| refused())
    };
    if let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        return String::from_utf8(rest.to_vec()).map_err(|_| refused());
    }
    if bytes.starts_with(b"\xff\xfe\0\0") || bytes.starts_with(b"\0\0\xfe\xff") {
        return Err(refused());
    }
    if let Some(rest) = bytes.strip_prefix(b"\xff\xfe") {
        return wide(rest, u16::from_le_bytes);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        return wide(rest, u16::from_be_bytes);
    }
    let text = String::from_utf8(bytes.to_vec()).map_err(|_| refused())?;
    // PEP 263: a coding comment in the first two lines decides.
    for line in text.split('\n').take(2).filter(|line| line.starts_with('#')) {
        if let Some((_, coding)) = line.split_once("coding") {
            let name = coding.trim_start_matches([':', '=']).trim().to_ascii_lowercase();
            let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '-').collect();
            if coding.starts_with([':', '=']) && !["utf-8", "utf8", "ascii", "us-ascii"].contains(&&*name) {
                return Err(refused());
            }
        }
    }
    Ok(text)
}

/// Lines as pip sees them: continuations joined, comments and blank lines dropped, trimmed. Each with the number of the
/// line in which it begins, counted from 1.
pub fn requirement_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in (1..).zip(split_lines(text)) {
        let comment = line.trim_start().starts_with('#');
        if line.ends_with('\\') && !comment {
            open.get_or_insert((number, String::new())).1.push_str(line.trim_matches('\\'));
            continue;
        }
        let (number, mut joined) = open.take().unwrap_or((number, String::new()));
        if comment {
            // So that the comment is seen as one when it follows a continuation.
            joined.push(' ');
        }
        joined.push_str(line);
        lines.push((number, joined));
    }
    lines.extend(open);
    let trimmed = lines.iter().map(|(number, line)| (*number, without_comment(line).trim().to_owned()));
    trimmed.filter(|(_, line)| !line.is_empty()).collect()
}

/// Splits where Python's `str.splitlines` does.
fn split_lines(text: &str) -> Vec<&str> {
    let breaks = ['\n', '\r', '\x0b', '\x0c', '\x1c', '\x1d', '\x1e', '\u{85}', '\u{2028}', '\u{2029}'];
    // `\r\n` gives an empty line more than Python sees; empty lines matter only after a continuation, so
    // the pair is split as one.
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(breaks) {
        lines.push(&rest[..at]);
        let tail = &rest[at..];
        let width = if tail.starts_with("\r\n") { 2 } else { tail.chars().next().map_or(1, char::len_utf8) };
        rest = &tail[width..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

/// Drops a `#` at the start or after white space, and all that follows.
fn without_comment(line: &str) -> &str {
    line.match_indices('#')
        .find(|(at, _)| *at == 0 || line[..*at].ends_with(char::is_whitespace))
        .map_or(line, |(at, _)| &line[..at])
}

/// Words as a POSIX shell splits them, quotes and backslashes included, nothing expanded.
fn split_shell(text: &str) -> Result<Vec<String>, NotUnderstood> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = text.chars();
    let broken = || NotUnderstood::new("unbalanced quotes in a requirements file");
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next().ok_or_else(broken)? {
                        '\'' => break,
                        letter => word.push(letter),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next().ok_or_else(broken)? {
                        '"' => break,
                        '\\' => match letters.next().ok_or_else(broken)? {
                            escaped @ ('"' | '\\') => word.push(escaped),
                            other => word.extend(['\\', other]),
                        },
                        letter => word.push(letter),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(letters.next().ok_or_else(broken)?),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    Ok(words)
}
