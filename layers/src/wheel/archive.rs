//! The zip container: opened only if it can be read in one way.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zip::{CompressionMethod, ExtraField, ZipArchive};

use super::{WheelError, name};

/// Most entries that a wheel may have. The largest ones in use have some 20,000; more than 65,534 need
/// another directory format, which readers treat differently.
pub const MAX_ENTRIES: usize = 60_000;
/// Most bytes that a wheel may unpack to, and so the most that one file may have: what fits a plain tar header.
pub const MAX_UNPACKED: u64 = (8 << 30) - 1;
/// Most times its own size that a wheel may unpack to. Real ones stay below 20.
pub const MAX_RATIO: u64 = 200;
/// Below this many bytes the ratio is not looked at: a few kilobytes may well be all zeros.
pub const RATIO_FLOOR: u64 = 64 << 20;
/// Most bytes of a file that is parsed (METADATA, RECORD, …).
pub const MAX_METADATA: u64 = 32 << 20;

const END_OF_DIRECTORY: usize = 22;
/// The general purpose flag that declares an entry's name to be UTF-8.
const UTF8_NAME: u16 = 1 << 11;

/// One regular file of a wheel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Path in the wheel.
    pub name: String,
    /// Any execute bit set, on an entry that its maker marked as a regular file: what installers look at.
    pub executable: bool,
    /// Installers disagree on whether it is executable.
    pub unclear: bool,
    index: usize,
}

/// An open wheel whose container was checked.
#[derive(Debug)]
pub struct Archive {
    zip: ZipArchive<BufReader<File>>,
    path: PathBuf,
    members: Vec<Member>,
    directories: Vec<String>,
    /// Bytes that may still be unpacked.
    budget: u64,
    limit: u64,
    /// What is unpacked at once.
    buffer: Box<[u8]>,
}

impl Archive {
    /// Opens the wheel at `path`, which must have the hexadecimal `sha256`.
    ///
    /// # Errors
    /// See [`WheelError`]: another digest, a container that could be read in two ways, unsafe entries.
    pub fn open(path: &Path, sha256: &str) -> Result<Self, WheelError> {
        let read = |source| WheelError::Read { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(read)?;
        let (found, size) = digest(&mut file).map_err(read)?;
        if !found.eq_ignore_ascii_case(sha256) {
            return Err(WheelError::Digest { expected: sha256.to_owned(), found });
        }
        check_end(&mut file, size)?;
        file.seek(SeekFrom::Start(0)).map_err(read)?;
        let bad = |e: zip::result::ZipError| WheelError::Archive(e.to_string());
        let mut zip = ZipArchive::new(BufReader::new(file)).map_err(bad)?;
        if zip.offset() != 0 {
            return Err(WheelError::Archive("data before the first entry".into()));
        }
        if zip.has_duplicate_names() {
            return Err(WheelError::Archive("two entries have the same name".into()));
        }
        if zip.len() > MAX_ENTRIES {
            return Err(WheelError::Archive(format!("more than {MAX_ENTRIES} entries")));
        }
        zip.validate_header_consistency().map_err(bad)?;
        for index in 0..zip.len() {
            let entry = zip.by_index_raw(index).map_err(bad)?;
            // Readers that know this field see its name, others the one in the header.
            if entry.extra_data_fields().any(|f| matches!(f, ExtraField::UnicodePath(_))) {
                let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
                return Err(WheelError::Entry { name, why: "it has a second name" });
            }
        }
        let (members, directories) = members(&zip)?;
        let buffer = vec![0; 128 << 10].into_boxed_slice();
        let limit = MAX_UNPACKED.min(RATIO_FLOOR.max(size.saturating_mul(MAX_RATIO)));
        Ok(Self { zip, path: path.to_owned(), members, directories, budget: limit, limit, buffer })
    }

    /// The files, in the order of the archive's directory, which is the order of installation.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The file with this exact path.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|m| m.name == name)
    }

    /// A directory entry that no file is in, if there is one.
    #[must_use]
    pub fn empty_directory(&self) -> Option<&str> {
        let used = |directory: &str| {
            let inside =
                |m: &Member| m.name.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'));
            self.members.iter().any(inside)
        };
        self.directories.iter().map(String::as_str).find(|directory| !used(directory))
    }

    /// First path components of everything in the archive, files and directories.
    #[must_use]
    pub fn tops(&self) -> BTreeSet<&str> {
        let names =
            self.members.iter().map(|m| m.name.as_str()).chain(self.directories.iter().map(String::as_str));
        names.map(|n| n.split('/').next().unwrap_or(n)).collect()
    }

    /// Unpacks one file into `to`, checking its CRC and counting real bytes instead of believing headers.
    /// Returns the number of bytes.
    ///
    /// # Errors
    /// Damaged data, or more of it than the limits allow.
    pub fn copy(&mut self, member: &Member, to: &mut dyn Write) -> Result<u64, WheelError> {
        let read = |source| WheelError::Read { path: self.path.clone(), source };
        let mut entry = self
            .zip
            .by_index(member.index)
            .map_err(|e| WheelError::format(member.name.clone(), e.to_string()))?;
        let mut total = 0_u64;
        loop {
            let n = entry
                .read(&mut self.buffer)
                .map_err(|e| WheelError::format(member.name.clone(), format!("damaged data: {e}")))?;
            if n == 0 {
                break;
            }
            self.budget = self.budget.checked_sub(n as u64).ok_or_else(|| too_large(self.limit))?;
            total += n as u64;
            to.write_all(&self.buffer[..n]).map_err(read)?;
        }
        if total != entry.size() {
            return Err(WheelError::format(member.name.clone(), "has another size than its header says"));
        }
        Ok(total)
    }

    /// Reads one file that will be parsed, as UTF-8 without a byte order mark.
    ///
    /// # Errors
    /// As [`Archive::copy`]; no such file; larger than [`MAX_METADATA`]; not UTF-8.
    pub fn text(&mut self, name: &str) -> Result<String, WheelError> {
        let member = self
            .find(name)
            .cloned()
            .ok_or_else(|| WheelError::format(name, "missing, though every wheel must have it"))?;
        let mut sink = Bounded { bytes: Vec::new() };
        let before = self.budget;
        let copied = self.copy(&member, &mut sink);
        // A metadata file is read again when it is unpacked; count it once.
        self.budget = before;
        copied?;
        let text = String::from_utf8(sink.bytes).map_err(|_| WheelError::format(name, "is not UTF-8"))?;
        if text.starts_with('\u{feff}') {
            return Err(WheelError::format(name, "starts with a byte order mark"));
        }
        Ok(text)
    }
}

struct Bounded {
    bytes: Vec<u8>,
}

impl Write for Bounded {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() as u64 + data.len() as u64 > MAX_METADATA {
            return Err(std::io::Error::other(format!("a metadata file of more than {MAX_METADATA} bytes")));
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn too_large(limit: u64) -> WheelError {
    WheelError::TooLarge(format!("{} MiB", limit >> 20))
}

fn digest(file: &mut File) -> std::io::Result<(String, u64)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 20];
    let mut size = 0;
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok((hex::encode(hash.finalize()), size));
        }
        hash.update(&buffer[..n]);
        size += n as u64;
    }
}

/// The end record must be the last bytes of the file: with a comment, or anything after it, two readers can
/// find two different directories.
fn check_end(file: &mut File, size: u64) -> Result<(), WheelError> {
    let bad = |why: &str| WheelError::Archive(why.to_owned());
    if size < END_OF_DIRECTORY as u64 {
        return Err(bad("too short"));
    }
    let mut end = [0_u8; END_OF_DIRECTORY];
    file.seek(SeekFrom::End(-(END_OF_DIRECTORY as i64)))
        .and_then(|_| file.read_exact(&mut end))
        .map_err(|e| bad(&e.to_string()))?;
    if end[..4] != *b"PK\x05\x06" || end[20..] != [0, 0] {
        return Err(bad("it does not end with its directory (an archive comment, or data after the end)"));
    }
    if end[10..12] == [0xff, 0xff] {
        return Err(bad("too many entries"));
    }
    if end[4..8] != [0; 4] || end[8..10] != end[10..12] {
        return Err(bad("it is one part of several"));
    }
    Ok(())
}

fn members(zip: &ZipArchive<BufReader<File>>) -> Result<(Vec<Member>, Vec<String>), WheelError> {
    let mut files = Vec::new();
    let mut directories = Vec::new();
    for index in 0..zip.len() {
        let entry = zip.by_index_data(index).map_err(|e| WheelError::Archive(e.to_string()))?;
        let shown = || String::from_utf8_lossy(entry.name_raw()).into_owned();
        let unsafe_entry = |why| WheelError::Entry { name: shown(), why };
        let full =
            std::str::from_utf8(entry.name_raw()).map_err(|_| unsafe_entry("the name is not UTF-8"))?;
        // Without the UTF-8 flag the name is in code page 437 to some readers and in UTF-8 to others.
        if !full.is_ascii() && entry.flags().as_u16() & UTF8_NAME == 0 {
            return Err(unsafe_entry("the name is not ASCII and not marked as UTF-8"));
        }
        let directory = full.strip_suffix('/');
        name::check(directory.unwrap_or(full))?;
        if entry.encrypted() {
            return Err(unsafe_entry("encrypted"));
        }
        if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(unsafe_entry("compressed with a method that wheels do not use"));
        }
        // Upper half of the attributes: the Unix mode, zero if the maker gave none.
        let mode = entry.external_attributes() >> 16;
        let kind = mode & 0o170_000;
        if let Some(directory) = directory {
            if !matches!(kind, 0 | 0o040_000) {
                return Err(unsafe_entry("named like a directory but marked as something else"));
            }
            if entry.size() != 0 {
                return Err(unsafe_entry("a directory with content"));
            }
            directories.push(directory.to_owned());
            continue;
        }
        if !matches!(kind, 0 | 0o100_000) {
            return Err(unsafe_entry("a symlink, directory or special file, not a regular file"));
        }
        if mode & 0o6000 != 0 {
            return Err(unsafe_entry("setuid or setgid"));
        }
        let executable = kind == 0o100_000 && mode & 0o111 != 0;
        // Some take any execute bit for a sign, some only that of a file marked as regular, made on Unix.
        let unclear = mode & 0o111 != 0 && (!executable || entry.unix_mode() != Some(mode));
        files.push(Member { name: full.to_owned(), executable, unclear, index });
    }
    name::check_clashes(files.iter().map(|m| m.name.as_str()), directories.iter().map(String::as_str))?;
    Ok((files, directories))
}
