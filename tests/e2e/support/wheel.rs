//! Tiny wheels, made in place: good ones, and ones that lie.

use std::io::{Cursor, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;

/// A wheel in the making.
#[derive(Clone)]
pub(crate) struct Wheel {
    name: String,
    version: String,
    metadata: String,
    entries: Vec<(String, Vec<u8>, u32)>,
    record: Vec<(String, String)>,
    lies: bool,
    tag: &'static str,
}

/// A finished one.
#[derive(Clone)]
pub(crate) struct Made {
    /// Normalised name of the project.
    pub(crate) project: String,
    /// `name-version-tag.whl`
    pub(crate) file: String,
    /// Its METADATA, which an index can have beside it (PEP 658).
    pub(crate) metadata: Vec<u8>,
    /// The archive.
    pub(crate) bytes: Vec<u8>,
}

impl Made {
    /// Hex SHA-256 of the archive.
    pub(crate) fn sha256(&self) -> String {
        hex::encode(Sha256::digest(&self.bytes))
    }
}

impl Wheel {
    /// A pure wheel for any Python 3, with nothing in it yet.
    pub(crate) fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            metadata: String::new(),
            entries: Vec::new(),
            record: Vec::new(),
            lies: false,
            tag: "py3-none-any",
        }
    }

    /// What it is for, in place of every Python 3: a tag (PEP 425).
    pub(crate) fn only_for(mut self, tag: &'static str) -> Self {
        self.tag = tag;
        self
    }

    /// One with a package of its own name, which knows its version.
    pub(crate) fn simple(name: &str, version: &str) -> Self {
        let package = name.replace('-', "_");
        Self::new(name, version).file(
            &format!("{package}/__init__.py"),
            format!(
                "VERSION = {version:?}\n\n\ndef where():\n    \"\"\"Says where.\"\"\"\n    return __file__\n"
            ),
        )
    }

    /// A file.
    pub(crate) fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.file_with_mode(path, content, 0o644)
    }

    /// A file with a Unix mode in the archive.
    pub(crate) fn file_with_mode(mut self, path: &str, content: impl AsRef<[u8]>, mode: u32) -> Self {
        self.entries.push((path.to_owned(), content.as_ref().to_vec(), 0o100_000 | mode));
        self
    }

    /// A symbolic link, which no wheel may have.
    pub(crate) fn symlink(mut self, path: &str, target: &str) -> Self {
        self.entries.push((path.to_owned(), target.as_bytes().to_vec(), 0o120_777));
        self
    }

    /// A file of the `.data` directory: `scripts/x`, `data/etc/y`, `headers/z.h`, `purelib/…`, `platlib/…`.
    pub(crate) fn data(self, path: &str, content: &str) -> Self {
        let path = format!("{}-{}.data/{path}", self.stem(), self.version);
        self.file(&path, content)
    }

    /// A script of the `.data` directory that is executable in the archive: pip makes no other one executable.
    pub(crate) fn data_script(self, name: &str, content: &str) -> Self {
        let path = format!("{}-{}.data/scripts/{name}", self.stem(), self.version);
        self.file_with_mode(&path, content, 0o755)
    }

    /// A file of the `.dist-info` directory.
    pub(crate) fn info(self, path: &str, content: &str) -> Self {
        let path = format!("{}-{}.dist-info/{path}", self.stem(), self.version);
        self.file(&path, content)
    }

    /// A console script.
    pub(crate) fn script(self, name: &str, target: &str) -> Self {
        self.info("entry_points.txt", &format!("[console_scripts]\n{name} = {target}\n"))
    }

    /// A further line of METADATA, such as `Requires-Dist: x`.
    pub(crate) fn metadata(mut self, line: &str) -> Self {
        self.metadata.push_str(line);
        self.metadata.push('\n');
        self
    }

    /// A line of RECORD for something that isn't in the archive, or is different there.
    pub(crate) fn record_says(mut self, path: &str, hash_and_size: &str) -> Self {
        self.record.push((path.to_owned(), hash_and_size.to_owned()));
        self
    }

    /// Every hash in RECORD is of something else.
    pub(crate) fn lying(mut self) -> Self {
        self.lies = true;
        self
    }

    fn stem(&self) -> String {
        self.name.replace(['-', '.'], "_")
    }

    /// The archive.
    pub(crate) fn make(self) -> Made {
        let stem = self.stem();
        let info = format!("{stem}-{}.dist-info", self.version);
        let metadata = format!(
            "Metadata-Version: 2.1\nName: {}\nVersion: {}\n{}",
            self.name, self.version, self.metadata
        );
        let mut entries = self.entries.clone();
        entries.push((format!("{info}/METADATA"), metadata.clone().into_bytes(), 0o100_644));
        let tag = self.tag;
        let wheel =
            format!("Wheel-Version: 1.0\nGenerator: plinth-tests\nRoot-Is-Purelib: true\nTag: {tag}\n");
        entries.push((format!("{info}/WHEEL"), wheel.into_bytes(), 0o100_644));
        let mut record = String::new();
        for (path, content, _) in &entries {
            let real = if self.lies { Sha256::digest(b"something else") } else { Sha256::digest(content) };
            let hash = URL_SAFE_NO_PAD.encode(real);
            let line = match self.record.iter().find(|(said, _)| said == path) {
                Some((_, said)) => format!("{path},{said}\n"),
                None => format!("{path},sha256={hash},{}\n", content.len()),
            };
            record.push_str(&line);
        }
        for (path, said) in self.record.iter().filter(|(path, _)| !entries.iter().any(|(p, ..)| p == path)) {
            record.push_str(&format!("{path},{said}\n"));
        }
        record.push_str(&format!("{info}/RECORD,,\n"));
        entries.push((format!("{info}/RECORD"), record.into_bytes(), 0o100_644));
        Made {
            project: self.name.to_lowercase().replace(['_', '.'], "-"),
            file: format!("{stem}-{}-{tag}.whl", self.version),
            metadata: metadata.into_bytes(),
            bytes: archive(&entries),
        }
    }
}

/// Writes the zip. Names are as given, whatever they are: the writer refuses duplicates, so the second of two
/// equal names is written under another of the same length and renamed in the bytes.
fn archive(entries: &[(String, Vec<u8>, u32)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mut renames = Vec::new();
    for (at, (path, content, mode)) in entries.iter().enumerate() {
        let mut name = path.clone();
        if entries[..at].iter().any(|(earlier, ..)| earlier == path) {
            name = "\u{1}".repeat(path.len());
            renames.push((name.clone(), path.clone()));
        }
        let options = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated)
            .last_modified_time(zip::DateTime::default())
            .unix_permissions(mode & 0o7777);
        if mode & 0o170_000 == 0o120_000 {
            writer.add_symlink(name, String::from_utf8(content.clone()).unwrap(), options).unwrap();
        } else {
            writer.start_file(name, options).unwrap();
            writer.write_all(content).unwrap();
        }
    }
    let mut bytes = writer.finish().unwrap().into_inner();
    for (from, to) in renames {
        let (from, to) = (from.as_bytes(), to.as_bytes());
        let mut at = 0;
        while let Some(found) = bytes[at..].windows(from.len()).position(|window| window == from) {
            bytes[at + found..at + found + to.len()].copy_from_slice(to);
            at += found + to.len();
        }
    }
    bytes
}
