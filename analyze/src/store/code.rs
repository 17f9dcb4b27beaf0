//! How an entry is written down.
//!
//! Numbers are in groups of seven bits, the lowest first, the eighth bit saying that another follows. A path is what it has
//! in common with the one before and what is different; a time is the difference to the one before.

use std::io::{self, Read};

use crate::digest::Digest;
use crate::layer::{Data, Entry, Kind};

/// Bytes of a path or a target: no more than one header of an archive can have.
const LONGEST: u64 = 1 << 20;

/// What the next entry refers to.
#[derive(Default)]
pub(super) struct Before {
    path: Vec<u8>,
    mtime: i64,
}

/// Appends an entry.
pub(super) fn put(entry: &Entry, before: &mut Before, to: &mut Vec<u8>) {
    let kind = entry.kind.number();
    let data = match &entry.data {
        Data::None => 0,
        Data::Content(_) => 1,
        Data::Target(_) => 2,
    };
    to.push(kind | data << 3);
    let common = entry.path.iter().zip(&before.path).take_while(|(new, old)| new == old).count();
    number(common as u64, to);
    bytes(&entry.path[common..], to);
    number(entry.mode.into(), to);
    number(entry.uid, to);
    number(entry.gid, to);
    let difference = entry.mtime.wrapping_sub(before.mtime);
    number(((difference << 1) ^ (difference >> 63)).cast_unsigned(), to);
    number(entry.size, to);
    number(entry.stored, to);
    match &entry.data {
        Data::None => {}
        Data::Content(digest) => to.extend_from_slice(&digest.0),
        Data::Target(target) => bytes(target, to),
    }
    before.path.truncate(common);
    before.path.extend_from_slice(&entry.path[common..]);
    before.mtime = entry.mtime;
}

/// Reads an entry; nothing at the end.
pub(super) fn get(from: &mut dyn Read, before: &mut Before) -> io::Result<Option<Entry>> {
    let mut tag = [0];
    if from.read(&mut tag)? == 0 {
        return Ok(None);
    }
    let kind = match tag[0] & 7 {
        0 => Kind::File,
        1 => Kind::Directory,
        2 => Kind::Symlink,
        3 => Kind::Hardlink,
        4 => Kind::Special,
        5 => Kind::Whiteout,
        6 => Kind::Opaque,
        _ => return Err(bad()),
    };
    let common = usize::try_from(get_number(from)?).map_err(|_| bad())?;
    if common > before.path.len() {
        return Err(bad());
    }
    before.path.truncate(common);
    get_bytes(from, &mut before.path)?;
    let mode = u32::try_from(get_number(from)?).map_err(|_| bad())?;
    let (uid, gid) = (get_number(from)?, get_number(from)?);
    let difference = get_number(from)?;
    let difference = (difference >> 1).cast_signed() ^ -(difference & 1).cast_signed();
    before.mtime = before.mtime.wrapping_add(difference);
    let (size, stored) = (get_number(from)?, get_number(from)?);
    let data = match tag[0] >> 3 {
        0 => Data::None,
        1 => {
            let mut digest = [0; 32];
            from.read_exact(&mut digest)?;
            Data::Content(Digest(digest))
        }
        2 => {
            let mut target = Vec::new();
            get_bytes(from, &mut target)?;
            Data::Target(target)
        }
        _ => return Err(bad()),
    };
    let path = before.path.clone();
    Ok(Some(Entry { path, kind, mode, uid, gid, mtime: before.mtime, size, stored, data }))
}

fn number(mut value: u64, to: &mut Vec<u8>) {
    while value > 0x7f {
        // The lowest seven bits.
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

fn get_number(from: &mut dyn Read) -> io::Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let mut byte = [0];
        from.read_exact(&mut byte)?;
        let bits = u64::from(byte[0] & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(bad());
        }
        value |= bits << shift;
        if byte[0] & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(bad())
}

fn bytes(bytes: &[u8], to: &mut Vec<u8>) {
    number(bytes.len() as u64, to);
    to.extend_from_slice(bytes);
}

fn get_bytes(from: &mut dyn Read, to: &mut Vec<u8>) -> io::Result<()> {
    let len = get_number(from)?;
    if len > LONGEST {
        return Err(bad());
    }
    let read = from.take(len).read_to_end(to)?;
    if read as u64 == len { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn bad() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let file = |path: &str, mtime, data| Entry {
            path: path.as_bytes().to_vec(),
            kind: Kind::File,
            mode: 0o4755,
            uid: u64::MAX,
            gid: 1 << 63,
            mtime,
            size: 300,
            stored: 0,
            data,
        };
        let entries = [
            file("usr/bin/a", i64::MAX, Data::Content(Digest([7; 32]))),
            file("usr/bin/ab", i64::MIN, Data::Target(b"x\xff".to_vec())),
            file("usr", -1, Data::None),
            file("", 0, Data::Content(Digest([0; 32]))),
        ];
        let (mut coded, mut before) = (Vec::new(), Before::default());
        entries.iter().for_each(|entry| put(entry, &mut before, &mut coded));
        let (mut from, mut before) = (&coded[..], Before::default());
        for entry in &entries {
            assert_eq!(get(&mut from, &mut before).expect("it was written").as_ref(), Some(entry));
        }
        assert!(get(&mut from, &mut before).expect("the end").is_none());
        for len in 1..coded.len() {
            let (mut from, mut before) = (&coded[..len], Before::default());
            while let Ok(Some(_)) = get(&mut from, &mut before) {}
        }
    }
}
