//! What the targets share.

use std::io::{self, Cursor};

use plinth_analyze::digest::Digest;
use plinth_analyze::image::Blob;
use plinth_analyze::layer::{self, Content, Limits, ReadError};
use sha2::{Digest as _, Sha256};

/// Puts right checksums into what looks like headers: chance never finds one, and nothing behind it would be tried.
pub fn sums(archive: &mut [u8]) {
    for header in archive.chunks_exact_mut(512) {
        if &header[257..262] == b"ustar" {
            header[148..156].copy_from_slice(b"        ");
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

/// Reads stored bytes as a layer, and checks what holds of every layer that can be read.
pub fn layer(stored: &[u8]) -> Result<Content, ReadError> {
    let blob = Blob {
        digest: Digest(Sha256::digest(stored).into()),
        size: stored.len() as u64,
        media_type: String::new(),
    };
    let limits = Limits {
        uncompressed: 16 << 20,
        holes: 1 << 20,
        window_log: 20,
        metadata_file: 1 << 20,
        metadata_layer: 1 << 20,
        ..Limits::default()
    };
    let (mut entries, mut files, mut bytes, mut shares) = (0, 0, 0, 0);
    let content = layer::read(
        Box::new(Cursor::new(stored.to_vec())),
        &blob,
        None,
        &limits,
        &mut |entry| {
            entries += 1;
            shares += entry.stored;
            if let layer::Data::Content(_) = entry.data {
                files += 1;
                bytes += entry.size;
            }
            assert!(!entry.path.starts_with(b"/") && !entry.path.ends_with(b"/"));
            assert!(entry.path.split(|byte| *byte == b'/').all(|part| part != b".."));
            Ok::<(), io::Error>(())
        },
        &|_| (),
    )?;
    assert_eq!((content.entries, content.files, content.file_bytes), (entries, files, bytes));
    assert_eq!(content.stored, stored.len() as u64);
    assert!(entries == 0 || shares == content.stored);
    assert!(content.packages.iter().all(|package| package.owns.is_sorted()));
    Ok(content)
}
