//! Layers to read, and reading them.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::io::{self, Read, Write};

use plinth_analyze::digest::Digest;
use plinth_analyze::image::Blob;
use plinth_analyze::layer::{self, Content, Entry, Limits, ReadError};
use sha2::{Digest as _, Sha256};

/// Its SHA-256.
pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// The descriptor that is right for these bytes.
pub(crate) fn blob(bytes: &[u8]) -> Blob {
    Blob { digest: digest(bytes), size: bytes.len() as u64, media_type: String::new() }
}

/// Gzip, of one member.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Zstd, of one frame.
pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 3).unwrap()
}

/// Reads stored bytes as a layer whose descriptor is right.
pub(crate) fn read(bytes: Vec<u8>) -> Result<(Content, Vec<Entry>), ReadError> {
    let blob = blob(&bytes);
    read_as(bytes, &blob, None, &Limits::default())
}

/// Reads stored bytes as a layer that is described as it may be.
pub(crate) fn read_as(
    bytes: Vec<u8>,
    blob: &Blob,
    diff_id: Option<Digest>,
    limits: &Limits,
) -> Result<(Content, Vec<Entry>), ReadError> {
    read_stream(Box::new(io::Cursor::new(bytes)), blob, diff_id, limits)
}

/// The same of a stream.
pub(crate) fn read_stream(
    stream: Box<dyn Read + Send>,
    blob: &Blob,
    diff_id: Option<Digest>,
    limits: &Limits,
) -> Result<(Content, Vec<Entry>), ReadError> {
    let mut entries = Vec::new();
    let done = std::cell::Cell::new(0);
    let content = layer::read(
        stream,
        blob,
        diff_id,
        limits,
        &mut |entry| {
            entries.push(entry);
            Ok(())
        },
        &|bytes| done.set(done.get() + bytes),
    )?;
    assert_eq!(done.get(), content.stored, "progress adds up");
    if !entries.is_empty() {
        assert_eq!(entries.iter().map(|entry| entry.stored).sum::<u64>(), content.stored, "shares add up");
    }
    assert_eq!(entries.len() as u64, content.entries);
    Ok((content, entries))
}

/// Bytes that no compressor makes smaller, the same for the same seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// An archive of regular files.
pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = Raw::default();
    for (path, content) in files {
        builder.file(path, content);
    }
    builder.end()
}

/// An archive header by header, wrong ones too.
#[derive(Default)]
pub(crate) struct Raw {
    /// As far as it is.
    pub(crate) bytes: Vec<u8>,
}

impl Raw {
    /// A header with its checksum, and data behind it, padded. Its size is that of the data.
    pub(crate) fn member(&mut self, kind: u8, name: &[u8], link: &[u8], data: &[u8]) -> &mut Self {
        self.with(kind, name, link, data, |_| {})
    }

    /// A regular file.
    pub(crate) fn file(&mut self, path: &str, content: &[u8]) -> &mut Self {
        self.member(b'0', path.as_bytes(), b"", content)
    }

    /// The same, and the header changed before its checksum is made.
    pub(crate) fn with(
        &mut self,
        kind: u8,
        name: &[u8],
        link: &[u8],
        data: &[u8],
        change: impl FnOnce(&mut [u8; 512]),
    ) -> &mut Self {
        let mut header = [0; 512];
        header[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
        header[100..108].copy_from_slice(b"0000644\0");
        header[108..116].copy_from_slice(b"0000000\0");
        header[116..124].copy_from_slice(b"0000000\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", data.len()).as_bytes());
        header[136..148].copy_from_slice(b"00000000000\0");
        header[156] = kind;
        header[157..157 + link.len().min(100)].copy_from_slice(&link[..link.len().min(100)]);
        header[257..265].copy_from_slice(b"ustar\x0000");
        change(&mut header);
        checksum(&mut header);
        self.bytes.extend_from_slice(&header);
        self.data(data)
    }

    /// Data and its padding.
    pub(crate) fn data(&mut self, data: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    /// A PAX header for the next member.
    pub(crate) fn pax(&mut self, records: &[(&str, &[u8])]) -> &mut Self {
        let data = pax(records);
        self.member(b'x', b"pax", b"", &data)
    }

    /// The whole archive.
    pub(crate) fn end(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.extend_from_slice(&[0; 1024]);
        bytes
    }
}

/// Makes the header GNU's.
pub(crate) fn gnu(header: &mut [u8; 512]) {
    header[257..265].copy_from_slice(b"ustar  \0");
}

/// Sets the checksum.
pub(crate) fn checksum(header: &mut [u8; 512]) {
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// PAX records.
pub(crate) fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut data = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let mut len = rest + 1;
        while len != rest + len.to_string().len() {
            len = rest + len.to_string().len();
        }
        data.extend_from_slice(format!("{len} {key}=").as_bytes());
        data.extend_from_slice(value);
        data.push(b'\n');
    }
    data
}
