//! What a header says, together with the extended ones before it.

use super::error::Fault;
use super::pax::Pax;
use super::sparse::{self, Piece};
use super::{BLOCK, number};

/// A member of an archive.
#[derive(Debug)]
pub struct Member {
    /// As it is written.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Type,
    /// Of a link: where it points, as it is written. Empty for everything else.
    pub link: Vec<u8>,
    /// Permission bits, with setuid, setgid and sticky.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Bytes of content, holes counted in; 0 for everything but files.
    pub size: u64,
    /// Extended attributes, by name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Major and minor number of a device.
    pub device: (u64, u64),
    /// Of a sparse file: what of it is stored.
    pub sparse: Option<Vec<Piece>>,
}

impl Member {
    /// Bytes of its content that aren't stored.
    pub fn holes(&self) -> u64 {
        self.sparse.as_ref().map_or(0, |map| self.size - map.iter().map(|piece| piece.length).sum::<u64>())
    }
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A regular file.
    File,
    /// A hard link.
    Hardlink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
}

/// What header fields there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flavour {
    /// V7.
    Old,
    /// POSIX.
    Ustar,
    /// GNU.
    Gnu,
}

/// What stands before a member.
#[derive(Debug, Default)]
pub(super) struct Extended {
    pax: Option<Pax>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl Extended {
    pub(super) fn is_empty(&self) -> bool {
        self.pax.is_none() && self.name.is_none() && self.link.is_none()
    }

    pub(super) fn pax(&mut self, pax: Pax) -> Result<(), Fault> {
        match self.pax.replace(pax) {
            None => Ok(()),
            Some(_) => Err(Fault::new("two PAX headers before one member")),
        }
    }

    pub(super) fn long_name(&mut self, data: Vec<u8>) -> Result<(), Fault> {
        match self.name.replace(text(&data).to_vec()) {
            None => Ok(()),
            Some(_) => Err(Fault::new("two long names before one member")),
        }
    }

    pub(super) fn long_link(&mut self, data: Vec<u8>) -> Result<(), Fault> {
        match self.link.replace(text(&data).to_vec()) {
            None => Ok(()),
            Some(_) => Err(Fault::new("two long link names before one member")),
        }
    }
}

/// A member before the map of a sparse one has been read.
pub(super) struct Described {
    pub(super) member: Member,
    /// Bytes of its data in the archive.
    pub(super) archived: u64,
    pub(super) sparse: sparse::Form,
}

/// Whether the header's checksum is right: the sum of its bytes, with its own field as spaces. Old tars added signed ones.
pub(super) fn checksum(header: &[u8; BLOCK]) -> Result<(), Fault> {
    let own = 148..156;
    let said = number::signed(&header[own.clone()], "checksum")
        .map_err(|_| Fault::new("no tar header where one should be"))?;
    let (mut sum, mut signed) = (0, 0);
    for (index, byte) in header.iter().enumerate() {
        let byte = if own.contains(&index) { b' ' } else { *byte };
        sum += i64::from(byte);
        signed += i64::from(byte.cast_signed());
    }
    match said == sum || said == signed {
        true => Ok(()),
        false => Err(Fault::new("no tar header where one should be: its checksum is wrong")),
    }
}

/// By the magic number.
pub(super) fn flavour(header: &::tar::Header) -> Flavour {
    if header.as_ustar().is_some() {
        Flavour::Ustar
    } else if header.as_gnu().is_some() {
        Flavour::Gnu
    } else {
        Flavour::Old
    }
}

/// A header that is no extended one, with those before it.
pub(super) fn member(
    header: &::tar::Header,
    flavour: Flavour,
    extended: Extended,
) -> Result<Described, Fault> {
    let old = header.as_old();
    let pax = extended.pax.unwrap_or_default();
    let mut path = name(header);
    if let Some(long) = either(extended.name, pax.path, "name")? {
        path = long;
    }
    let link = either(extended.link, pax.link, "link name")?.unwrap_or_else(|| text(&old.linkname).to_vec());

    let said = number::unsigned(&old.size, "size")?;
    let size = match pax.size {
        // The header has eleven octal digits. Only what doesn't fit there may be said otherwise.
        Some(size) if size != said && size < 1 << 33 => {
            return Err(Fault::new(format!(
                "PAX says that \"{}\" has {size} bytes, its header {said}",
                short(&path)
            )));
        }
        Some(size) => size,
        None => said,
    };

    let slash = path.ends_with(b"/");
    let kind = match old.linkflag[0] {
        // The old format has no type for directories.
        0 if slash => Type::Directory,
        b'0' | b'7' | b'S' if slash => {
            return Err(Fault::new(format!(
                "\"{}\" is a file by its type and a directory by its name",
                short(&path)
            )));
        }
        0 | b'0' | b'7' => Type::File,
        b'S' if flavour == Flavour::Gnu => Type::File,
        b'1' => Type::Hardlink,
        b'2' => Type::Symlink,
        b'3' => Type::Character,
        b'4' => Type::Block,
        b'5' => Type::Directory,
        b'6' => Type::Fifo,
        other => {
            return Err(Fault::new(format!(
                "\"{}\" is of type '{}', which no layer has",
                short(&path),
                other.escape_ascii()
            )));
        }
    };
    // Go's writer leaves the size of a hard link's file in its header, without the bytes, and nobody looks for them.
    let size = if kind == Type::Hardlink { 0 } else { size };
    // Here, some readers look for that many bytes behind it, and others don't.
    if kind != Type::File && size != 0 {
        return Err(Fault::new(format!("\"{}\" is no file and has {size} bytes", short(&path))));
    }

    let mut sparse = sparse::Form::No;
    let mut logical = size;
    if old.linkflag[0] == b'S' {
        let gnu = header.as_gnu().ok_or_else(|| Fault::new("a sparse file that isn't of the GNU format"))?;
        if !pax.sparse.is_none() {
            return Err(Fault::new("a sparse file of two formats"));
        }
        logical = number::unsigned(&gnu.realsize, "real size")?;
        sparse = sparse::Form::Header(sparse::HeaderMap::new(gnu)?);
    } else if !pax.sparse.is_none() {
        if kind != Type::File {
            return Err(Fault::new(format!("\"{}\" is sparse and no file", short(&path))));
        }
        logical = pax.sparse.size.ok_or_else(|| Fault::new("a sparse file without its size"))?;
        if let Some(name) = &pax.sparse.name {
            path.clone_from(name);
        }
        sparse = sparse::of_pax(pax.sparse)?;
    }

    let device = match (kind, header.as_ustar(), header.as_gnu()) {
        (Type::Character | Type::Block, Some(fields), _) => (&fields.dev_major, &fields.dev_minor),
        (Type::Character | Type::Block, _, Some(fields)) => (&fields.dev_major, &fields.dev_minor),
        _ => (&[0; 8], &[0; 8]),
    };
    let device = (number::unsigned(device.0, "device")?, number::unsigned(device.1, "device")?);
    let mode = number::unsigned(&old.mode, "mode")? & 0o7777;
    let member = Member {
        kind,
        link: if matches!(kind, Type::Hardlink | Type::Symlink) { link } else { Vec::new() },
        // Masked above.
        mode: mode as u32,
        uid: pax.uid.map_or_else(|| number::unsigned(&old.uid, "owner"), Ok)?,
        gid: pax.gid.map_or_else(|| number::unsigned(&old.gid, "group"), Ok)?,
        mtime: pax.mtime.map_or_else(|| number::signed(&old.mtime, "time"), Ok)?,
        size: logical,
        xattrs: pax.xattrs,
        device,
        sparse: None,
        path,
    };
    Ok(Described { member, archived: size, sparse })
}

/// The name of a header, before which POSIX has a prefix.
fn name(header: &::tar::Header) -> Vec<u8> {
    let name = text(&header.as_old().name);
    let Some(ustar) = header.as_ustar() else {
        return name.to_vec();
    };
    // star keeps times where the prefix goes on otherwise.
    let star = &header.as_bytes()[508..] == b"tar\0";
    let prefix = text(if star { &ustar.prefix[..131] } else { &ustar.prefix });
    match prefix {
        [] => name.to_vec(),
        prefix => [prefix, b"/", name].concat(),
    }
}

/// The same thing said by GNU and by PAX.
fn either(gnu: Option<Vec<u8>>, pax: Option<Vec<u8>>, what: &str) -> Result<Option<Vec<u8>>, Fault> {
    match (gnu, pax) {
        (Some(gnu), Some(pax)) if gnu != pax => {
            Err(Fault::new(format!("two {what}s of one member, \"{}\" and \"{}\"", short(&gnu), short(&pax))))
        }
        (gnu, pax) => Ok(pax.or(gnu)),
    }
}

/// Up to the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A name for a message.
fn short(name: &[u8]) -> String {
    match name.len() {
        0..=200 => name.escape_ascii().to_string(),
        _ => format!("{}…", name[..200].escape_ascii()),
    }
}
