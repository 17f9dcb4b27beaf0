//! The C library of a root file system, by the dynamic loaders it holds.

use std::path::Path;

use super::{Libc, RootFs};

/// The family by the dynamic loader. An image with both (glibc beside musl as a compatibility layer) is
/// what the loader of its own shell says, and [`Libc::None`] if that can't be told.
pub fn libc_of(root: &RootFs<'_>) -> Libc {
    let mut glibc = false;
    let mut musl = false;
    for directory in ["/lib", "/lib64", "/lib32", "/libx32", "/usr/lib", "/usr/lib64"] {
        for name in root.names(Path::new(directory)) {
            let Some(family) = name.to_str().and_then(loader_family) else { continue };
            if root.metadata(&Path::new(directory).join(&name)).is_some_and(|meta| meta.is_file()) {
                match family {
                    Libc::Musl => musl = true,
                    _ => glibc = true,
                }
            }
        }
    }
    match (glibc, musl) {
        (true, false) => Libc::Glibc,
        (false, true) => Libc::Musl,
        (false, false) => Libc::None,
        (true, true) => ["/bin/sh", "/bin/ls", "/usr/bin/env"]
            .iter()
            .find_map(|path| interpreter_of(&root.read(Path::new(path), 1 << 20)?))
            .and_then(|loader| loader_family(loader.rsplit('/').next()?))
            .unwrap_or(Libc::None),
    }
}

/// `ld-linux-x86-64.so.2`, `ld64.so.2`, `ld-2.31.so`; `ld-musl-x86_64.so.1`.
fn loader_family(name: &str) -> Option<Libc> {
    if name.starts_with("ld-musl-") {
        return Some(Libc::Musl);
    }
    let glibc = name.starts_with("ld-linux") || name == "ld.so.1" || name.starts_with("ld64.so.");
    glibc.then_some(Libc::Glibc)
}

/// The program interpreter that an ELF file asks for (`PT_INTERP`).
fn interpreter_of(file: &[u8]) -> Option<String> {
    if file.get(..4)? != b"\x7fELF" {
        return None;
    }
    let wide = *file.get(4)? == 2;
    let little = *file.get(5)? == 1;
    let number = |at: usize, size: usize| -> Option<usize> {
        let bytes = file.get(at..at.checked_add(size)?)?;
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        let value = if little { bytes.iter().rev().fold(0, fold) } else { bytes.iter().fold(0, fold) };
        usize::try_from(value).ok()
    };
    let (offset, size, count) = if wide {
        (number(32, 8)?, number(54, 2)?, number(56, 2)?)
    } else {
        (number(28, 4)?, number(42, 2)?, number(44, 2)?)
    };
    for index in 0..count {
        let header = offset.checked_add(index.checked_mul(size)?)?;
        if number(header, 4)? != 3 {
            continue;
        }
        let (at, length) = if wide {
            (number(header.checked_add(8)?, 8)?, number(header.checked_add(32)?, 8)?)
        } else {
            (number(header.checked_add(4)?, 4)?, number(header.checked_add(16)?, 4)?)
        };
        let bytes = file.get(at..at.checked_add(length)?)?;
        return Some(String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::interpreter_of;

    #[test]
    fn a_truncated_or_hostile_file_has_no_interpreter() {
        assert_eq!(interpreter_of(b"\x7fELF"), None);
        assert_eq!(interpreter_of(b"#!/bin/sh\n"), None);
        let mut file = vec![0xff; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        assert_eq!(interpreter_of(&file), None);
    }
}
