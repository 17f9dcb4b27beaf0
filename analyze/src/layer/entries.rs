//! From members of an archive to entries of a layer.

use super::tar::{Member, TarError, Type};
use super::{Data, Entry, Kind};

/// What begins the name of a whiteout (OCI image specification, "Whiteouts").
const WHITEOUT: &[u8] = b".wh.";
/// An opaque directory.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// The bookkeeping of aufs, which runtimes pass over.
const AUFS: &[u8] = b".wh..wh.";

/// What is odd about entries, counted.
#[derive(Debug, Default)]
pub(super) struct Odd {
    absolute: u64,
    aufs: u64,
}

impl Odd {
    /// One clause each.
    pub(super) fn notes(&self, notes: &mut Vec<String>) {
        for (count, what) in [
            (self.absolute, "absolute names"),
            (self.aufs, "names of aufs's own files, which runtimes pass over"),
        ] {
            if count > 0 {
                notes.push(format!("{count} {what}"));
            }
        }
    }
}

/// The entry of a member. A file's digest and the share of stored bytes are filled in later.
///
/// # Errors
/// Its name leads out of the layer, or means different things to different runtimes.
pub(super) fn entry(member: &Member, at: u64, odd: &mut Odd) -> Result<Entry, TarError> {
    let refuse = |why: &str| TarError::Broken {
        at,
        reason: format!("\"{}\" {why}", member.path[..member.path.len().min(200)].escape_ascii()),
    };
    if member.path.first() == Some(&b'/') {
        odd.absolute += 1;
    }
    let mut path = clean(&member.path).ok_or_else(|| refuse("has a `..` in its name"))?;
    if path.is_empty() && member.kind != Type::Directory {
        return Err(refuse("is the root, and no directory"));
    }
    let mut kind = match member.kind {
        Type::File => Kind::File,
        Type::Directory => Kind::Directory,
        Type::Symlink => Kind::Symlink,
        Type::Hardlink => Kind::Hardlink,
        Type::Character | Type::Block | Type::Fifo => Kind::Special,
    };
    let (parent, name) =
        path.split_at(path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1));
    if let Some(hidden) = name.strip_prefix(WHITEOUT) {
        if name == OPAQUE {
            path.truncate(parent.len().saturating_sub(1));
            kind = Kind::Opaque;
        } else if name.starts_with(AUFS) {
            odd.aufs += 1;
        } else if let b"" | b"." | b".." = hidden {
            return Err(refuse("is a whiteout that hides nothing it could name"));
        } else {
            path = [parent, hidden].concat();
            kind = Kind::Whiteout;
        }
    }
    Ok(Entry {
        kind,
        mode: member.mode,
        uid: member.uid,
        gid: member.gid,
        mtime: member.mtime,
        size: if kind == Kind::File { member.size } else { 0 },
        stored: 0,
        data: match kind {
            Kind::Symlink | Kind::Hardlink => Data::Target(member.link.clone()),
            _ => Data::None,
        },
        path,
    })
}

/// Without `.`, empty parts and slashes at either end; nothing if there is a `..`.
fn clean(name: &[u8]) -> Option<Vec<u8>> {
    let mut path = Vec::with_capacity(name.len());
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => continue,
            b".." => return None,
            _ => {}
        }
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(part);
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(path: &str, kind: Type) -> Member {
        Member {
            path: path.as_bytes().to_vec(),
            kind,
            link: b"/target".to_vec(),
            mode: 0o644,
            uid: 1,
            gid: 2,
            mtime: 3,
            size: 0,
            xattrs: Vec::new(),
            device: (0, 0),
            sparse: None,
        }
    }

    #[test]
    fn names() {
        let mut odd = Odd::default();
        for (name, kind, path, of) in [
            ("./", Type::Directory, "", Kind::Directory),
            ("./a//b/./c", Type::File, "a/b/c", Kind::File),
            ("/a/", Type::Directory, "a", Kind::Directory),
            ("a/.wh.b", Type::File, "a/b", Kind::Whiteout),
            (".wh.b", Type::Character, "b", Kind::Whiteout),
            ("a/.wh..wh..opq", Type::File, "a", Kind::Opaque),
            (".wh..wh..opq", Type::File, "", Kind::Opaque),
            (".wh..wh.plnk", Type::Directory, ".wh..wh.plnk", Kind::Directory),
            ("a..b/..c", Type::Fifo, "a..b/..c", Kind::Special),
        ] {
            let entry = entry(&member(name, kind), 0, &mut odd).expect(name);
            assert_eq!((entry.path, entry.kind), (path.as_bytes().to_vec(), of), "{name}");
        }
        let mut notes = Vec::new();
        odd.notes(&mut notes);
        assert_eq!(notes, ["1 absolute names", "1 names of aufs's own files, which runtimes pass over"]);
        for (name, kind) in [
            ("..", Type::Directory),
            ("a/../b", Type::File),
            ("./", Type::File),
            ("", Type::Symlink),
            ("a/.wh.", Type::File),
            ("a/.wh..", Type::File),
            ("a/.wh...", Type::File),
        ] {
            assert!(entry(&member(name, kind), 0, &mut odd).is_err(), "{name}");
        }
    }
}
