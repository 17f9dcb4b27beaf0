//! What of a wheel is imported when its packages are, and which of it Python has no longer.
//!
//! Only what certainly runs counts: import statements of a module itself, and not those in functions, conditions or `try`.
//! The source is parsed (tree-sitter) and never run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{Cursor, Read as _};

use tree_sitter::{Node, Parser};

/// Modules of the standard library, and the first version without them.
const GONE: &[(&str, u32)] = &[
    ("formatter", 10),
    ("parser", 10),
    ("symbol", 10),
    ("binhex", 11),
    ("asynchat", 12),
    ("asyncore", 12),
    ("distutils", 12),
    ("imp", 12),
    ("smtpd", 12),
    ("aifc", 13),
    ("audioop", 13),
    ("cgi", 13),
    ("cgitb", 13),
    ("chunk", 13),
    ("crypt", 13),
    ("imghdr", 13),
    ("lib2to3", 13),
    ("mailcap", 13),
    ("msilib", 13),
    ("nis", 13),
    ("nntplib", 13),
    ("ossaudiodev", 13),
    ("pipes", 13),
    ("sndhdr", 13),
    ("spwd", 13),
    ("sunau", 13),
    ("telnetlib", 13),
    ("uu", 13),
    ("xdrlib", 13),
];
/// Bytes of Python source in one wheel that are read at most.
const MOST: u64 = 256 << 20;

/// The version of Python (`X.Y`) that a module of the standard library is missing from on, if that is no later than `to`
/// and later than `from`.
#[must_use]
pub fn gone(module: &str, from: &str, to: &str) -> Option<String> {
    let minor = |version: &str| version.strip_prefix("3.")?.parse::<u32>().ok();
    let (from, to) = (minor(from)?, minor(to)?);
    let at = GONE.iter().find(|(name, _)| *name == module)?.1;
    (from < at && at <= to).then(|| format!("3.{at}"))
}

/// What importing the packages of a wheel imports from elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Imports {
    /// The top-level modules that the wheel has itself.
    pub(crate) modules: BTreeSet<String>,
    /// Top-level modules that are imported, each with the first file that does so.
    pub(crate) imports: BTreeMap<String, String>,
}

/// Reads a wheel. Nothing is said of what isn't Python source, or isn't reached.
pub(crate) fn imports(wheel: &[u8]) -> Result<Imports, String> {
    let mut archive = zip::ZipArchive::new(Cursor::new(wheel)).map_err(|error| error.to_string())?;
    let mut sources: BTreeMap<Vec<String>, (String, Vec<u8>)> = BTreeMap::new();
    let mut found = Imports::default();
    let mut left = MOST;
    for number in 0..archive.len() {
        let file = archive.by_index(number).map_err(|error| error.to_string())?;
        let name = file.name().map_err(|error| error.to_string())?.into_owned();
        let Some(stem) = name.strip_suffix(".py") else { continue };
        let mut module: Vec<String> = stem.split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| last == "__init__") {
            module.pop();
        }
        if module.is_empty() || module[0].contains(['.', '-']) {
            continue;
        }
        let mut text = Vec::new();
        left =
            left.saturating_sub(
                file.take(left).read_to_end(&mut text).map_err(|error| error.to_string())? as u64
            );
        if left == 0 {
            return Err("it has too much source".to_owned());
        }
        found.modules.insert(module[0].clone());
        sources.insert(module, (name, text));
    }
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_python::LANGUAGE.into()).map_err(|error| error.to_string())?;
    let mut todo: VecDeque<Vec<String>> = found.modules.iter().map(|module| vec![module.clone()]).collect();
    let mut seen: BTreeSet<Vec<String>> = BTreeSet::new();
    while let Some(module) = todo.pop_front() {
        let Some((file, text)) = sources.get(&module) else { continue };
        if !seen.insert(module.clone()) {
            continue;
        }
        let package = file.ends_with("/__init__.py");
        for wanted in statements(&mut parser, text, &module, package) {
            let Some(first) = wanted.first() else { continue };
            if !found.modules.contains(first) {
                found.imports.entry(first.clone()).or_insert_with(|| file.clone());
                continue;
            }
            // A module is imported with the packages that it is in.
            todo.extend((1..=wanted.len()).map(|length| wanted[..length].to_vec()));
        }
    }
    Ok(found)
}

/// The modules that a module imports for certain. Of `from a import b`, both `a` and `a.b`, which need not be one.
fn statements(parser: &mut Parser, text: &[u8], module: &[String], package: bool) -> Vec<Vec<String>> {
    let Some(tree) = parser.parse(text, None) else { return Vec::new() };
    let dotted = |node: Node<'_>| -> Vec<String> {
        let name =
            if node.kind() == "aliased_import" { node.child_by_field_name("name") } else { Some(node) };
        let name = name.and_then(|name| name.utf8_text(text).ok()).unwrap_or_default();
        name.split('.').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
    };
    let mut found = Vec::new();
    let root = tree.root_node();
    let mut cursor = root.walk();
    for statement in root.children(&mut cursor) {
        let mut names = statement.walk();
        let names: Vec<Node<'_>> = statement.children_by_field_name("name", &mut names).collect();
        match statement.kind() {
            "import_statement" => found.extend(names.into_iter().map(dotted)),
            "import_from_statement" => {
                let Some(from) = statement.child_by_field_name("module_name") else { continue };
                let said = from.utf8_text(text).unwrap_or_default();
                let dots = said.bytes().take_while(|byte| *byte == b'.').count();
                let mut base: Vec<String> = match dots {
                    0 => Vec::new(),
                    _ => module[..module.len().saturating_sub(dots - usize::from(package))].to_vec(),
                };
                base.extend(said[dots..].split('.').filter(|part| !part.is_empty()).map(str::to_owned));
                found.extend(names.into_iter().map(|name| [base.clone(), dotted(name)].concat()));
                found.push(base);
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write as _;

    use super::*;

    fn wheel(files: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in files {
            archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(text.as_bytes()).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    #[test]
    fn modules_go_with_versions() {
        assert_eq!(gone("imp", "3.11", "3.13").as_deref(), Some("3.12"));
        assert_eq!(gone("cgi", "3.11", "3.12"), None);
        assert_eq!(gone("imp", "3.12", "3.13"), None);
        assert_eq!(gone("os", "3.8", "3.13"), None);
    }

    #[test]
    fn only_what_is_reached_for_certain() {
        let found = imports(&wheel(&[
            ("a/__init__.py", "\"\"\"\nimport imp\n\"\"\"\nfrom .b import (\n    x,\n    y as z,\n)\nfrom . import c\nimport os.path as p\n"),
            ("a/b.py", "try:\n    import cgi\nexcept ImportError:\n    cgi = None\nimport a.d.e\n"),
            ("a/c.py", "def f():\n    import telnetlib\nif True:\n    import crypt\nimport json, pipes\n"),
            ("a/d/__init__.py", "from ..f import q\n"),
            ("a/d/e.py", "from asyncore import dispatcher\n"),
            ("a/f.py", "import uu\n"),
            ("a/unreached.py", "import imp\n"),
            ("single.py", "import nis\nfrom __future__ import annotations\n"),
            ("a-1.dist-info/x.py", "import spwd\n"),
        ]))
        .unwrap();
        let imports: Vec<String> =
            found.imports.iter().map(|(module, file)| format!("{module} {file}")).collect();
        assert_eq!(
            imports,
            [
                "asyncore a/d/e.py",
                "json a/c.py",
                "nis single.py",
                "os a/__init__.py",
                "pipes a/c.py",
                "uu a/f.py"
            ]
        );
        assert_eq!(found.modules.into_iter().collect::<Vec<_>>(), ["a", "single"]);
        assert!(super::imports(b"no archive").is_err());
    }
}
