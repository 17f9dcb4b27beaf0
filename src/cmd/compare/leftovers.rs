//! What a run of pip leaves behind in a layer by chance: byte code of modules that the step did not install, and
//! pip's download cache.
//!
//! An image in which no pip ran doesn't have it. That is no saving that anybody asked for, so its bytes are measured
//! and left out of account. A layer is streamed twice: the archive's order doesn't say beforehand whether the source
//! of a `.pyc` will follow.

use std::collections::HashSet;
use std::io::{self, BufReader, Cursor, Read, Write};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use plinth_analyze::by_chance::{in_pip_cache, is_cache_directory, parent, source_of};
use tar::{Archive, Builder, EntryType};

/// The level of zstd that builders use if none is asked for.
const ZSTD_LEVEL: i32 = 3;

/// How a layer is compressed, told by its first bytes: media types are not always right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Gzip,
    Zstd,
    Uncompressed,
}

/// Which entries of a layer are left behind.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Leftovers {
    /// Byte code, and directories that hold nothing else.
    byte_code: HashSet<Vec<u8>>,
    /// Whether there is anything of a download cache.
    cache: bool,
    /// Paths of a download cache whose content something else needs.
    needed: HashSet<Vec<u8>>,
}

impl Leftovers {
    /// The first pass: names only.
    ///
    /// # Errors
    /// The layer can't be read to its end.
    pub(crate) fn find(layer: impl Read) -> io::Result<Self> {
        let mut sources = HashSet::new();
        let mut byte_code = Vec::new();
        // Directories of byte code, and those of them that something else lies in.
        let (mut directories, mut occupied) = (HashSet::new(), HashSet::new());
        let mut links = Vec::new();
        let mut cache = false;
        walk(layer, |path, kind, entry| {
            if kind == EntryType::Link
                && let Some(target) = entry.link_name_bytes()
            {
                links.push((path.to_vec(), clean(&target).to_vec()));
            }
            cache |= in_pip_cache(path);
            if path.ends_with(b".py") {
                sources.insert(path.to_vec());
            }
            if kind == EntryType::Directory && is_cache_directory(path) {
                directories.insert(path.to_vec());
            } else if let Some(source) = source_of(path) {
                byte_code.push((path.to_vec(), source));
            } else if let Some(directory) = parent(path).filter(|above| is_cache_directory(above)) {
                occupied.insert(directory.to_vec());
            }
            Ok(())
        })?;
        let mut left = HashSet::new();
        for (path, source) in byte_code {
            if !sources.contains(&source) {
                left.insert(path);
            } else if let Some(directory) = parent(&path) {
                occupied.insert(directory.to_vec());
            }
        }
        if !left.is_empty() {
            left.extend(directories.into_iter().filter(|directory| !occupied.contains(directory)));
        }
        let mut found = Self { byte_code: left, cache, needed: HashSet::new() };
        // The bytes of a hard-linked file are stored once: they are only left behind if every name of it is. A link
        // may name another one before it.
        for (path, target) in links.iter().rev() {
            if !found.has(path) && found.has(target) {
                found.byte_code.remove(target);
                found.needed.insert(target.clone());
            }
        }
        Ok(found)
    }

    /// Whether there is nothing left behind.
    pub(crate) fn is_empty(&self) -> bool {
        self.byte_code.is_empty() && !self.cache
    }

    fn has(&self, path: &[u8]) -> bool {
        self.byte_code.contains(path) || (in_pip_cache(path) && !self.needed.contains(path))
    }

    /// The second pass over the same layer: the compressed bytes of an archive of only these entries, compressed as
    /// the layer is. An estimate: how well they compress depends on what is around them.
    ///
    /// # Errors
    /// The layer can't be read to its end.
    pub(crate) fn measure(&self, mut layer: impl Read) -> io::Result<u64> {
        let (kind, start) = kind_of(&mut layer)?;
        let layer = Cursor::new(start).chain(layer);
        Ok(match kind {
            Kind::Gzip => {
                let out = GzEncoder::new(Count(0), Compression::default());
                self.copy(layer, out)?.finish()?.0
            }
            Kind::Zstd => {
                let out = zstd::stream::write::Encoder::new(Count(0), ZSTD_LEVEL)?;
                self.copy(layer, out)?.finish()?.0
            }
            Kind::Uncompressed => self.copy(layer, Count(0))?.0,
        })
    }

    fn copy<W: Write>(&self, layer: impl Read, out: W) -> io::Result<W> {
        let mut builder = Builder::new(out);
        walk(layer, |path, _, entry| {
            if !self.has(path) {
                return Ok(());
            }
            let mut extensions = Vec::new();
            for extension in entry.pax_extensions()?.into_iter().flatten() {
                let extension = extension?;
                if let Ok(key) = extension.key() {
                    extensions.push((key.to_owned(), extension.value_bytes().to_vec()));
                }
            }
            if !extensions.is_empty() {
                builder.append_pax_extensions(extensions.iter().map(|(k, v)| (k.as_str(), v.as_slice())))?;
            }
            let header = entry.header().clone();
            builder.append(&header, entry)
        })?;
        builder.into_inner()
    }
}

/// Without `./` or `/` at the beginning and `/` at the end, which writers of archives differ in.
fn clean(mut path: &[u8]) -> &[u8] {
    while let Some(rest) = path.strip_prefix(b"./").or_else(|| path.strip_prefix(b"/")) {
        path = rest;
    }
    while let Some(rest) = path.strip_suffix(b"/") {
        path = rest;
    }
    path
}

type Stream<'a> = Box<dyn Read + 'a>;

/// Calls `visit` for each entry of a layer, and reads the layer to its very end: a checksum comes last.
fn walk<'a>(
    mut layer: impl Read + 'a,
    mut visit: impl FnMut(&[u8], EntryType, &mut tar::Entry<'_, Stream<'a>>) -> io::Result<()>,
) -> io::Result<()> {
    let (kind, start) = kind_of(&mut layer)?;
    let layer = BufReader::with_capacity(1 << 17, Cursor::new(start).chain(layer));
    let stream: Stream<'a> = match kind {
        Kind::Gzip => Box::new(Named("gzip", MultiGzDecoder::new(layer))),
        Kind::Zstd => Box::new(Named("zstd", zstd::stream::read::Decoder::with_buffer(layer)?)),
        Kind::Uncompressed => Box::new(layer),
    };
    let mut archive = Archive::new(stream);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = clean(&entry.path_bytes()).to_vec();
        let kind = entry.header().entry_type();
        visit(&path, kind, &mut entry)?;
    }
    io::copy(&mut archive.into_inner(), &mut io::sink()).map(|_| ())
}

/// The kind of a layer, and the bytes that were read to know it.
fn kind_of(layer: &mut impl Read) -> io::Result<(Kind, Vec<u8>)> {
    let mut start = Vec::new();
    layer.take(4).read_to_end(&mut start)?;
    let kind = match start.as_slice() {
        [0x1f, 0x8b, ..] => Kind::Gzip,
        // A frame, or one that decoders skip.
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Kind::Zstd,
        _ => Kind::Uncompressed,
    };
    Ok((kind, start))
}

/// A decoder whose errors say which one it is.
struct Named<R>(&'static str, R);

impl<R: Read> Read for Named<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.read(buffer).map_err(|cause| {
            let text = match cause.kind() {
                io::ErrorKind::UnexpectedEof => format!("its {} stream breaks off", self.0),
                _ => format!("its {} stream is damaged: {cause}", self.0),
            };
            io::Error::new(cause.kind(), text)
        })
    }
}

/// Counts what is written, and keeps nothing.
struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tar::Header;

    const LIB: &str = "usr/local/lib/python3.11";

    /// An archive of files, directories (a name with `/` at its end) and hard links (`name -> target`).
    fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for &(path, content) in entries {
            let mut header = Header::new_ustar();
            header.set_mode(0o644);
            header.set_size(content.len() as u64);
            if let Some((path, target)) = path.split_once(" -> ") {
                header.set_entry_type(EntryType::Link);
                builder.append_link(&mut header, path, target).unwrap();
                continue;
            }
            header.set_entry_type(if path.ends_with('/') {
                EntryType::Directory
            } else {
                EntryType::Regular
            });
            if path.len() > 100 {
                // As builders write a long name: in a PAX record.
                builder.append_pax_extensions([("path", path.as_bytes())]).unwrap();
                header.set_path(&path[..90]).unwrap();
                header.set_cksum();
                builder.append(&header, content).unwrap();
            } else {
                builder.append_data(&mut header, path, content).unwrap();
            }
        }
        builder.into_inner().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// The paths of the byte code that is left behind.
    fn left(entries: &[(&str, &[u8])]) -> Vec<String> {
        let found = Leftovers::find(archive(entries).as_slice()).unwrap();
        let mut paths: Vec<String> =
            found.byte_code.iter().map(|path| String::from_utf8_lossy(path).into_owned()).collect();
        paths.sort();
        paths
    }

    /// Bytes that don't compress.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u32;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(len)
        .collect()
    }

    #[test]
    fn byte_code_is_left_behind_if_its_source_is_not_in_the_layer() {
        let json = format!("{LIB}/json/__pycache__/decoder.cpython-311.pyc");
        let entries: &[(&str, &[u8])] = &[
            (&format!("{LIB}/json/__pycache__/"), b""),
            (&json, b"x"),
            // The source comes before or after its byte code.
            (&format!("{LIB}/site-packages/a/__pycache__/m.cpython-311.pyc"), b"x"),
            (&format!("{LIB}/site-packages/a/m.py"), b"x"),
            ("b/m.py", b"x"),
            ("b/__pycache__/m.cpython-311.opt-1.pyc", b"x"),
            // Without its source in a directory of its own: that's how programs without source are shipped.
            ("c/sourceless.pyc", b"x"),
            // A deletion.
            ("d/__pycache__/.wh.m.cpython-311.pyc", b""),
        ];
        assert_eq!(left(entries), [format!("{LIB}/json/__pycache__"), json]);
    }

    #[test]
    fn sources_by_name() {
        let source = |path: &str| source_of(path.as_bytes()).map(|path| String::from_utf8(path).unwrap());
        assert_eq!(source("a/__pycache__/m.cpython-311.pyc").as_deref(), Some("a/m.py"));
        assert_eq!(source("a/__pycache__/m.cpython-311.opt-2.pyc").as_deref(), Some("a/m.py"));
        assert_eq!(source("a/__pycache__/m.n.cpython-311.pyc").as_deref(), Some("a/m.n.py"));
        assert_eq!(source("__pycache__/m.pypy310-pp73.pyc").as_deref(), Some("m.py"));
        for none in ["a/m.pyc", "a/__pycache__/m.pyc", "a/__pycache__/x/m.cpython-311.pyc", "__pycache__"] {
            assert_eq!(source(none), None, "{none}");
        }
    }

    #[test]
    fn a_directory_with_anything_else_in_it_stays() {
        let directory = "a/__pycache__/";
        let stray = "a/__pycache__/m.cpython-311.pyc";
        assert_eq!(left(&[(directory, b""), (stray, b"x")]), ["a/__pycache__", stray]);
        assert_eq!(left(&[(stray, b"x"), ("a/__pycache__/notes.txt", b"x"), (directory, b"")]), [stray]);
        let owned: [(&str, &[u8]); 2] = [("a/o.py", b"x"), ("a/__pycache__/o.cpython-311.pyc", b"x")];
        assert_eq!(left(&[(directory, b""), (stray, b"x"), owned[0], owned[1]]), [stray]);
        assert!(left(&[(directory, b""), owned[0], owned[1]]).is_empty());
    }

    #[test]
    fn the_download_cache_of_any_home() {
        for (path, expected) in [
            ("root/.cache/pip/http/a", true),
            ("home/app/.cache/pip/wheels/b", true),
            (".cache/pip/c", true),
            ("./root/.cache/pip/selfcheck/d", true),
            ("root/.cache/pipx/e", false),
            ("root/.cache/other", false),
            ("root/cache/pip/f", false),
            ("root/.cache/pip/.wh.g", false),
        ] {
            let layer = archive(&[(path, b"x")]);
            assert_eq!(!Leftovers::find(layer.as_slice()).unwrap().is_empty(), expected, "{path}");
        }
        for path in ["/srv/a/", "./srv/a", "srv/a", "/./srv/a//"] {
            assert_eq!(clean(path.as_bytes()), b"srv/a", "{path}");
        }
    }

    #[test]
    fn hard_linked_bytes_are_left_behind_if_all_their_names_are() {
        let first = "a/__pycache__/m.cpython-311.pyc";
        let second = "a/__pycache__/m.cpython-311.opt-1.pyc";
        let both = format!("{second} -> {first}");
        assert_eq!(left(&[(first, b"x"), (&both, b"")]), [second, first]);
        let elsewhere = format!("opt/keep -> {first}");
        assert!(left(&[(first, b"x"), (&elsewhere, b"")]).is_empty());

        let content = noise(3000);
        let cache: &[(&str, &[u8])] =
            &[("root/.cache/pip/a", &content), ("opt/keep -> root/.cache/pip/a", b"")];
        let layer = archive(cache);
        let found = Leftovers::find(layer.as_slice()).unwrap();
        assert!(found.measure(layer.as_slice()).unwrap() < 2000, "{found:?}");
    }

    #[test]
    fn long_names_count_like_short_ones() {
        let deep = format!("{LIB}/{}", "deep/".repeat(30));
        let stray = format!("{deep}__pycache__/m.cpython-311.pyc");
        let owned = format!("{deep}__pycache__/o.cpython-311.pyc");
        let source = format!("{deep}o.py");
        let entries: &[(&str, &[u8])] = &[(&stray, b"stray"), (&owned, b"owned"), (&source, b"source")];
        assert_eq!(left(entries), [stray.as_str()]);
        // What is written again has the record with the long name, and the entry: two blocks each, and the end.
        let layer = archive(entries);
        let found = Leftovers::find(layer.as_slice()).unwrap();
        assert_eq!(found.measure(layer.as_slice()).unwrap(), 4 * 512 + 1024);
    }

    #[test]
    fn only_what_is_left_behind_is_measured_compressed_as_the_layer_is() {
        let (content, zeros) = (noise(20_000), vec![0; 50_000]);
        let stray = format!("{LIB}/__pycache__/m.cpython-311.pyc");
        let plain = archive(&[("big.so", &noise(90_000)), (&stray, &content), ("root/.cache/pip/a", &zeros)]);
        let members = [gzip(&plain[..30_000]), gzip(&plain[30_000..])].concat();
        let zstd = zstd::stream::encode_all(plain.as_slice(), 3).unwrap();
        let size = |layer: &[u8]| Leftovers::find(layer).unwrap().measure(layer).unwrap();
        // Headers, padding and the end of an archive come on top.
        let unpacked = size(&plain);
        assert!((70_000..74_000).contains(&unpacked), "{unpacked}");
        for packed in [size(&gzip(&plain)), size(&members), size(&zstd)] {
            assert!((20_000..20_600).contains(&packed), "{packed}");
        }
        assert_eq!(size(&gzip(&plain)), size(&members));
        let clean = gzip(&archive(&[("a.txt", b"x")]));
        assert!(Leftovers::find(clean.as_slice()).unwrap().is_empty());
    }

    #[test]
    fn a_layer_that_breaks_off_or_is_damaged_is_an_error() {
        let plain = archive(&[("root/.cache/pip/a", &noise(5000))]);
        let error = |layer: &[u8]| Leftovers::find(layer).unwrap_err().to_string();
        let packed = gzip(&plain);
        for end in [4000, packed.len() - 9, packed.len() - 1] {
            assert!(error(&packed[..end]).contains("its gzip stream breaks off"), "{end}");
        }
        let zstd = zstd::stream::encode_all(plain.as_slice(), 3).unwrap();
        assert!(error(&zstd[..zstd.len() - 5]).contains("its zstd stream breaks off"));
        let mut damaged = packed.clone();
        let checksum = damaged.len() - 8;
        damaged[checksum] ^= 1;
        assert!(error(&damaged).contains("its gzip stream is damaged"), "{}", error(&damaged));
        assert!(Leftovers::find(&plain[..3000]).is_err());
        assert!(Leftovers::find(&b"not an archive, but long enough to be read as a header"[..]).is_err());
    }
}
