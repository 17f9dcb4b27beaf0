//! The tar stream that a builder writes for a tree, byte for byte: it predicts the diff ID of a payload layer.
//!
//! Builders use the pax format of Go's standard library: a plain ustar header per entry (numeric owners, no names,
//! whole seconds). A path of more than 100 bytes is split over ustar's two fields if that can be done; if not, or
//! if it is not ASCII, an extended header with a `path` record comes before. Entries come in the order of a walk that sorts each directory by name; the root
//! itself is not in it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::fs::{Context, IoError, list};
use super::hash::HashWriter;

const BLOCK: usize = 512;
/// Length of the name field.
const NAME: usize = 100;
/// Length of the field for the leading directories of a longer name.
const PREFIX: usize = 155;

/// The diff ID (`sha256:…` of the uncompressed layer) that the tree at `root` gets when a builder exports it.
///
/// # Errors
/// The operating system's; entries that are neither regular files nor directories.
pub fn diff_id(root: &Path) -> Result<String, IoError> {
    let mut hash = HashWriter::default();
    write(root, &mut hash)?;
    Ok(format!("sha256:{}", hash.finish()))
}

/// Writes the layer of the tree at `root`.
///
/// # Errors
/// As [`diff_id`], and those of the writer.
pub fn write(root: &Path, to: &mut dyn Write) -> Result<(), IoError> {
    directory(root, b"", to)?;
    to.write_all(&[0; 2 * BLOCK]).context("write the layer of", root)
}

fn directory(path: &Path, prefix: &[u8], to: &mut dyn Write) -> Result<(), IoError> {
    for (name, kind) in list(path)? {
        let child = path.join(&name);
        let mut full = prefix.to_vec();
        full.extend_from_slice(name.as_bytes());
        let meta = std::fs::symlink_metadata(&child).context("look at", &child)?;
        if kind.is_dir() {
            full.push(b'/');
            header(&full, b'5', 0, &meta, to).context("write the layer of", &child)?;
            directory(&child, &full, to)?;
        } else if kind.is_file() {
            header(&full, b'0', meta.len(), &meta, to).context("write the layer of", &child)?;
            let mut file = File::open(&child).context("open", &child)?;
            let copied = io::copy(&mut (&mut file).take(meta.len()), to).context("read", &child)?;
            if copied != meta.len() {
                return Err(io::Error::other("it shrank while it was read")).context("read", &child);
            }
            pad(copied, to).context("write the layer of", &child)?;
        } else {
            return Err(io::Error::other("neither a file nor a directory"))
                .context("write the layer of", &child);
        }
    }
    Ok(())
}

fn header(name: &[u8], kind: u8, size: u64, meta: &std::fs::Metadata, to: &mut dyn Write) -> io::Result<()> {
    if size >= 1 << 33 || meta.mtime() < 0 || meta.mtime() >= 1 << 33 {
        return Err(io::Error::other("the size or time does not fit a plain header"));
    }
    let split = split(name);
    if split.is_none() && (name.len() > NAME || !name.is_ascii()) {
        let record = pax_record(b"path", name);
        let mut block = Block::new(&pax_name(name), b'x');
        block.octal(100, 8, 0).octal(108, 8, 0).octal(116, 8, 0);
        block.octal(124, 12, record.len() as u64).octal(136, 12, 0);
        to.write_all(&block.finish())?;
        to.write_all(&record)?;
        pad(record.len() as u64, to)?;
    }
    let (prefix, short) = split.unwrap_or((b"", name));
    let mut block = Block::new(&ascii(short), kind);
    block.0[345..345 + prefix.len()].copy_from_slice(prefix);
    block
        .octal(100, 8, u64::from(meta.mode() & 0o7777))
        .octal(108, 8, u64::from(meta.uid()))
        .octal(116, 8, u64::from(meta.gid()))
        .octal(124, 12, size)
        .octal(136, 12, u64::try_from(meta.mtime()).unwrap_or(0))
        .octal(329, 8, 0)
        .octal(337, 8, 0);
    to.write_all(&block.finish())
}

/// Splits a long name at the last possible `/` into ustar's prefix and name.
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() <= NAME || !name.is_ascii() {
        return None;
    }
    let end = match name.len() {
        n if n > PREFIX + 1 => PREFIX + 1,
        n if name[n - 1] == b'/' => n - 1,
        n => n,
    };
    let at = name[..end].iter().rposition(|c| *c == b'/').filter(|at| *at > 0)?;
    let (prefix, rest) = (&name[..at], &name[at + 1..]);
    (!rest.is_empty() && rest.len() <= NAME).then_some((prefix, rest))
}

/// One header block.
struct Block([u8; BLOCK]);

impl Block {
    fn new(name: &[u8], kind: u8) -> Self {
        let mut b = [0; BLOCK];
        let kept = name.len().min(NAME);
        b[..kept].copy_from_slice(&name[..kept]);
        // A cut name that happens to end in '/' would look like a directory's.
        if name.len() > NAME && b[NAME - 1] == b'/' {
            let end = b[..NAME].iter().rposition(|c| *c != b'/').map_or(0, |i| i + 1);
            b[end] = 0;
        }
        b[156] = kind;
        Self(b)
    }

    /// A number with leading zeros, ended by NUL.
    fn octal(&mut self, at: usize, width: usize, value: u64) -> &mut Self {
        let text = format!("{value:0w$o}", w = width - 1);
        self.0[at..at + text.len()].copy_from_slice(text.as_bytes());
        self
    }

    fn finish(mut self) -> [u8; BLOCK] {
        self.0[257..265].copy_from_slice(b"ustar\x0000");
        self.0[148..156].fill(b' ');
        let sum: u64 = self.0.iter().map(|b| u64::from(*b)).sum();
        self.octal(148, 7, sum);
        self.0[154] = 0;
        self.0
    }
}

/// `LENGTH key=value\n`, where LENGTH counts itself.
fn pax_record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    if rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    let mut out = format!("{length} ").into_bytes();
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
    out
}

/// Name of the extended header of the entry `name`: beside it, in a directory that says what it is.
fn pax_name(name: &[u8]) -> Vec<u8> {
    let split = name.iter().rposition(|c| *c == b'/').map_or(0, |i| i + 1);
    let (dir, file) = name.split_at(split);
    let mut out = dir.to_vec();
    out.extend_from_slice(b"PaxHeaders.0");
    if !file.is_empty() {
        out.push(b'/');
        out.extend_from_slice(file);
    }
    let mut out = ascii(&out);
    out.truncate(NAME);
    while out.last() == Some(&b'/') {
        out.pop();
    }
    out
}

fn ascii(name: &[u8]) -> Vec<u8> {
    name.iter().copied().filter(|c| *c < 0x80 && *c != 0).collect()
}

fn pad(size: u64, to: &mut dyn Write) -> io::Result<()> {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    if over > 0 { to.write_all(&[0; BLOCK][over..]) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_count_their_own_length() {
        assert_eq!(pax_record(b"path", b"x"), b"9 path=x\n");
        assert_eq!(pax_record(b"path", &[b'y'; 91]).len(), 101);
        assert!(pax_record(b"path", &[b'y'; 91]).starts_with(b"101 path=y"));
        assert!(pax_record(b"path", &[b'y'; 90]).starts_with(b"99 path=y"));
    }

    #[test]
    fn long_names_are_split_where_both_halves_fit() {
        let name = |parts: &[usize]| parts.iter().map(|n| "d".repeat(*n)).collect::<Vec<_>>().join("/");
        let halves = |n: &str| split(n.as_bytes()).map(|(p, s)| (p.len(), s.len()));
        assert_eq!(halves(&name(&[50, 50])), Some((50, 50)));
        assert_eq!(halves(&name(&[49, 50])), None);
        assert_eq!(halves(&name(&[155, 100])), Some((155, 100)));
        assert_eq!(halves(&name(&[156, 99])), None);
        assert_eq!(halves(&name(&[20, 101])), None);
        assert_eq!(halves(&format!("{}/", name(&[60, 50]))), Some((60, 51)));
        assert_eq!(halves("é/".repeat(60).as_str()), None);
    }
}
