//! The layers, packages and files as tables: Apache Parquet, for DuckDB, Spark or Trino.
//!
//! | file | a row is | columns |
//! |---|---|---|
//! | `images.parquet` | a layer of an image | image, platform, manifest, position, layer |
//! | `layers.parquet` | a layer | layer, diff_id, canonical, compression, stored, uncompressed, entries, files, file_bytes, images, created_by |
//! | `packages.parquet` | a package in a layer | layer, ecosystem, name, version, site, content, files, bytes, stored |
//! | `files.parquet` | an entry of a layer | layer, path, kind, mode, uid, gid, mtime, size, stored, content, target |
//!
//! `layer` is the digest of the blob and joins them. Bytes are bytes; `stored` is compressed bytes. What doesn't apply is
//! empty or 0. Paths that aren't UTF-8 have the bytes that aren't replaced.

mod writer;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use self::writer::Writer;
use crate::image::Found;
use crate::layer::{Compression, Data, Ecosystem, Kind};
use crate::levels::{Analysis, Contents, Failed};

/// A table that can't be written.
#[derive(Debug, thiserror::Error)]
#[error("write `{}`: {source}", path.display())]
pub struct TableError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: Failed,
}

/// A value of a row.
#[derive(Clone, Debug)]
pub(crate) enum Cell<'a> {
    Text(Cow<'a, str>),
    Number(i64),
}

impl From<u64> for Cell<'_> {
    /// Parquet's integers have a sign; no count of bytes is beyond them.
    fn from(value: u64) -> Self {
        Self::Number(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Cell<'_> {
    fn from(value: usize) -> Self {
        Self::from(value as u64)
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

/// Writes the tables into a directory. Each file appears when it is complete; one that is there is replaced.
///
/// # Errors
/// A file can't be written, or what is known of a layer can't be had.
pub fn write(
    directory: &Path,
    found: &Found,
    analysis: &Analysis,
    contents: &dyn Contents,
) -> Result<Vec<PathBuf>, TableError> {
    let table = |name: &str, schema: &str, fill: &mut dyn FnMut(&mut Writer) -> Result<(), Failed>| {
        let path = directory.join(name);
        let written = Writer::create(directory, schema).and_then(|mut writer| {
            fill(&mut writer)?;
            writer.finish(&path)
        });
        written.map(|()| path.clone()).map_err(|source| TableError { path, source })
    };
    Ok(vec![
        table("images.parquet", IMAGES, &mut |writer| images(writer, found))?,
        table("layers.parquet", LAYERS, &mut |writer| layers(writer, analysis))?,
        table("packages.parquet", PACKAGES, &mut |writer| packages(writer, analysis))?,
        table("files.parquet", FILES, &mut |writer| files(writer, analysis, contents))?,
    ])
}

const IMAGES: &str = "message image {
    REQUIRED BYTE_ARRAY image (UTF8); REQUIRED BYTE_ARRAY platform (UTF8); REQUIRED BYTE_ARRAY manifest (UTF8);
    REQUIRED INT64 position; REQUIRED BYTE_ARRAY layer (UTF8);
}";

fn images(writer: &mut Writer, found: &Found) -> Result<(), Failed> {
    for image in &found.images {
        for (position, layer) in image.layers.iter().enumerate() {
            writer.row([
                image.name.as_str().into(),
                image.platform.as_str().into(),
                image.manifest.digest.to_string().into(),
                position.into(),
                layer.blob.digest.to_string().into(),
            ])?;
        }
    }
    Ok(())
}

const LAYERS: &str = "message layer {
    REQUIRED BYTE_ARRAY layer (UTF8); REQUIRED BYTE_ARRAY diff_id (UTF8); REQUIRED BYTE_ARRAY canonical (UTF8);
    REQUIRED BYTE_ARRAY compression (UTF8); REQUIRED INT64 stored; REQUIRED INT64 uncompressed;
    REQUIRED INT64 entries; REQUIRED INT64 files; REQUIRED INT64 file_bytes; REQUIRED INT64 images;
    REQUIRED BYTE_ARRAY created_by (UTF8);
}";

fn layers(writer: &mut Writer, analysis: &Analysis) -> Result<(), Failed> {
    for row in &analysis.table {
        let shape = row.shape.as_ref();
        let number = |of: fn(&crate::levels::Shape) -> u64| shape.map_or(0, of);
        let compression = shape.map_or("", |shape| match shape.compression {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        });
        writer.row([
            row.blob.digest.to_string().into(),
            shape.map_or_else(String::new, |shape| shape.diff_id.to_string()).into(),
            shape.map_or_else(String::new, |shape| shape.canonical.to_string()).into(),
            compression.into(),
            row.blob.size.into(),
            number(|shape| shape.uncompressed).into(),
            number(|shape| shape.entries).into(),
            number(|shape| shape.files).into(),
            number(|shape| shape.file_bytes).into(),
            row.images.len().into(),
            row.created_by.as_deref().unwrap_or_default().into(),
        ])?;
    }
    Ok(())
}

const PACKAGES: &str = "message package {
    REQUIRED BYTE_ARRAY layer (UTF8); REQUIRED BYTE_ARRAY ecosystem (UTF8); REQUIRED BYTE_ARRAY name (UTF8);
    REQUIRED BYTE_ARRAY version (UTF8); REQUIRED BYTE_ARRAY site (UTF8); REQUIRED BYTE_ARRAY content (UTF8);
    REQUIRED INT64 files; REQUIRED INT64 bytes; REQUIRED INT64 stored;
}";

fn packages(writer: &mut Writer, analysis: &Analysis) -> Result<(), Failed> {
    for package in &analysis.packages.list {
        let ecosystem = match package.ecosystem {
            Ecosystem::Python => "python",
            Ecosystem::Debian => "debian",
            Ecosystem::Npm => "npm",
        };
        for version in &package.versions {
            for held in &version.layers {
                writer.row([
                    analysis.table[held.layer].blob.digest.to_string().into(),
                    ecosystem.into(),
                    package.name.as_str().into(),
                    version.version.as_str().into(),
                    held.site.as_str().into(),
                    held.content.hex().into(),
                    held.files.into(),
                    held.bytes.into(),
                    held.stored.into(),
                ])?;
            }
        }
    }
    Ok(())
}

const FILES: &str = "message file {
    REQUIRED BYTE_ARRAY layer (UTF8); REQUIRED BYTE_ARRAY path (UTF8); REQUIRED BYTE_ARRAY kind (UTF8);
    REQUIRED INT64 mode; REQUIRED INT64 uid; REQUIRED INT64 gid; REQUIRED INT64 mtime; REQUIRED INT64 size;
    REQUIRED INT64 stored; REQUIRED BYTE_ARRAY content (UTF8); REQUIRED BYTE_ARRAY target (UTF8);
}";

fn files(writer: &mut Writer, analysis: &Analysis, contents: &dyn Contents) -> Result<(), Failed> {
    for row in &analysis.table {
        let layer = row.blob.digest.to_string();
        for entry in contents.entries(&row.blob.digest)?.into_iter().flatten() {
            let entry = entry?;
            let kind = match entry.kind {
                Kind::File => "file",
                Kind::Directory => "directory",
                Kind::Symlink => "symlink",
                Kind::Hardlink => "hardlink",
                Kind::Special => "special",
                Kind::Whiteout => "whiteout",
                Kind::Opaque => "opaque",
            };
            let (content, target) = match &entry.data {
                Data::None => (String::new(), Cow::Borrowed("")),
                Data::Content(digest) => (digest.hex(), Cow::Borrowed("")),
                Data::Target(target) => (String::new(), String::from_utf8_lossy(target)),
            };
            writer.row([
                layer.as_str().into(),
                Cell::Text(String::from_utf8_lossy(&entry.path)),
                kind.into(),
                u64::from(entry.mode).into(),
                entry.uid.into(),
                entry.gid.into(),
                Cell::Number(entry.mtime),
                entry.size.into(),
                entry.stored.into(),
                content.into(),
                Cell::Text(target),
            ])?;
        }
    }
    Ok(())
}
