//! Records of PAX extended headers (POSIX.1-2001 `pax`, "pax Extended Header").

use super::error::Fault;

/// What the records before a member say of it.
#[derive(Debug, Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<i64>,
    /// `SCHILY.xattr.`, by name.
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: Sparse,
}

/// `GNU.sparse.`, of all three formats.
#[derive(Debug, Default)]
pub(super) struct Sparse {
    pub(super) major: Option<u64>,
    pub(super) minor: Option<u64>,
    pub(super) name: Option<Vec<u8>>,
    /// `realsize`, and `size` of the older formats.
    pub(super) size: Option<u64>,
    /// Format 0.1.
    pub(super) map: Option<Vec<u8>>,
    /// Format 0.0: one after the other.
    pub(super) pairs: Vec<u64>,
    pub(super) number: Option<u64>,
}

impl Sparse {
    pub(super) fn is_none(&self) -> bool {
        self.major.is_none()
            && self.minor.is_none()
            && self.name.is_none()
            && self.size.is_none()
            && self.map.is_none()
            && self.pairs.is_empty()
            && self.number.is_none()
    }
}

/// Reads the records before a member.
pub(super) fn records(data: &[u8]) -> Result<Pax, Fault> {
    let mut pax = Pax::default();
    each(data, |key, value| {
        match key {
            // A name that ends at a NUL for one reader and goes on for another.
            b"path" | b"linkpath" | b"GNU.sparse.name" if value.contains(&0) => {
                return Err(Fault::new(format!("PAX {} with a NUL", key.escape_ascii())));
            }
            b"path" => once(&mut pax.path, key, value, |value| Some(value.to_vec()))?,
            b"linkpath" => once(&mut pax.link, key, value, |value| Some(value.to_vec()))?,
            b"size" => once(&mut pax.size, key, value, decimal)?,
            b"uid" => once(&mut pax.uid, key, value, decimal)?,
            b"gid" => once(&mut pax.gid, key, value, decimal)?,
            b"mtime" => once(&mut pax.mtime, key, value, seconds)?,
            b"GNU.sparse.major" => once(&mut pax.sparse.major, key, value, decimal)?,
            b"GNU.sparse.minor" => once(&mut pax.sparse.minor, key, value, decimal)?,
            b"GNU.sparse.name" => once(&mut pax.sparse.name, key, value, |value| Some(value.to_vec()))?,
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => once(&mut pax.sparse.size, key, value, decimal)?,
            b"GNU.sparse.map" => once(&mut pax.sparse.map, key, value, |value| Some(value.to_vec()))?,
            b"GNU.sparse.numblocks" => once(&mut pax.sparse.number, key, value, decimal)?,
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                if pax.sparse.pairs.len() % 2 != usize::from(key == b"GNU.sparse.numbytes") {
                    return Err(Fault::new("PAX GNU.sparse.offset and .numbytes that don't take turns"));
                }
                pax.sparse.pairs.push(decimal(value).ok_or_else(|| bad(key, value))?);
            }
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    pax.xattrs.push((name.to_vec(), value.to_vec()));
                } else if key.starts_with(b"GNU.sparse.") {
                    return Err(Fault::new(format!("PAX {}, which no format has", key.escape_ascii())));
                }
            }
        }
        Ok(())
    })?;
    pax.xattrs.sort();
    pax.xattrs.dedup();
    if let Some(pair) = pax.xattrs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(twice(&pair[0].0));
    }
    Ok(pax)
}

/// A global header may hold comments. What it says of members, GNU tar heeds and container runtimes don't.
pub(super) fn check_global(data: &[u8]) -> Result<(), Fault> {
    each(data, |key, _| {
        let changes = matches!(key, b"path" | b"linkpath" | b"size" | b"uid" | b"gid" | b"uname" | b"gname")
            || key.starts_with(b"SCHILY.xattr.")
            || key.starts_with(b"GNU.sparse.");
        match changes {
            true => Err(Fault::new(format!(
                "a global PAX header with {}, which not all readers heed",
                key.escape_ascii()
            ))),
            false => Ok(()),
        }
    })
}

/// `LENGTH KEY=VALUE\n`, where LENGTH counts all of it.
fn each(mut data: &[u8], mut found: impl FnMut(&[u8], &[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
    let bad = |data: &[u8]| {
        Fault::new(format!("a PAX record that is none: \"{}\"", data[..data.len().min(60)].escape_ascii()))
    };
    while !data.is_empty() {
        let digits = data.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let len = data
            .get(..digits)
            .and_then(decimal)
            .and_then(|len| usize::try_from(len).ok())
            .filter(|len| *len <= data.len() && *len > digits + 1)
            .ok_or_else(|| bad(data))?;
        let (record, rest) = data.split_at(len);
        let text = record[digits..].strip_prefix(b" ").and_then(|text| text.strip_suffix(b"\n"));
        let text = text.ok_or_else(|| bad(data))?;
        let equals = text.iter().position(|byte| *byte == b'=').filter(|at| *at > 0);
        let (key, value) = text.split_at(equals.ok_or_else(|| bad(data))?);
        if key.contains(&0) {
            return Err(bad(data));
        }
        found(key, &value[1..])?;
        data = rest;
    }
    Ok(())
}

/// Sets a value that is given once, or twice the same. An empty one takes nothing's place.
fn once<T: PartialEq>(
    slot: &mut Option<T>,
    key: &[u8],
    value: &[u8],
    parse: fn(&[u8]) -> Option<T>,
) -> Result<(), Fault> {
    if value.is_empty() {
        return Ok(());
    }
    let value = parse(value).ok_or_else(|| bad(key, value))?;
    match slot {
        Some(old) if *old != value => Err(twice(key)),
        _ => {
            *slot = Some(value);
            Ok(())
        }
    }
}

fn twice(key: &[u8]) -> Fault {
    Fault::new(format!("PAX {} twice, with different values", key.escape_ascii()))
}

fn bad(key: &[u8], value: &[u8]) -> Fault {
    let value = &value[..value.len().min(60)];
    Fault::new(format!("PAX {} that is no number: \"{}\"", key.escape_ascii(), value.escape_ascii()))
}

/// Digits and nothing else, up to 2^63-1.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let text = std::str::from_utf8(digits).ok()?;
    text.parse::<i64>().ok().and_then(|value| u64::try_from(value).ok())
}

/// `[-]SECONDS[.FRACTION]`, rounded down.
fn seconds(text: &[u8]) -> Option<i64> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut parts = text.splitn(2, |byte| *byte == b'.');
    let whole = i64::try_from(decimal(parts.next()?)?).ok()?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let part = fraction.iter().any(|digit| *digit != b'0');
    Some(if negative { -whole - i64::from(part) } else { whole })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(seconds(b"1700000000.25"), Some(1_700_000_000));
        assert_eq!(seconds(b"-1.5"), Some(-2));
        assert_eq!(seconds(b"-1"), Some(-1));
        assert_eq!(seconds(b"-1.0"), Some(-1));
        assert_eq!(seconds(b"1e9"), None);
        assert_eq!(seconds(b""), None);
    }

    #[test]
    fn malformed() {
        for bad in [
            &b"5 a=b\n"[..],
            b"6 a=b",
            b"7 a=b\n",
            b"0 a=b\n",
            b" 6 a=b\n",
            b"5 =b\n",
            b"99999999999999999999 a=b\n",
            b"6 a=b\n\0\0",
            b"7 \0a=b\n",
            b"10 size=x\n",
            b"12 path=a\0b\n",
        ] {
            assert!(records(bad).is_err(), "{}", bad.escape_ascii());
        }
        assert!(records(b"6 a=b\n").is_ok());
        assert!(records(b"9 path=a\n9 path=a\n").is_ok_and(|pax| pax.path == Some(b"a".to_vec())));
        assert!(records(b"9 path=a\n9 path=b\n").is_err());
    }
}
