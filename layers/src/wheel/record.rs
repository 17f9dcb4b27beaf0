//! RECORD: the list of a distribution's files, in the dialect of CSV that Python reads and writes.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::WheelError;
use super::name::is_line_or_control;

/// One row: path, hash, size, as written.
pub type Row = [String; 3];

/// Parses a RECORD file the way an installer does: into lines first, each line then as CSV.
///
/// # Errors
/// As [`parse_installed`], and for paths that occur twice.
pub fn parse(file: &str, text: &str) -> Result<Vec<Row>, WheelError> {
    let rows = parse_installed(file, text)?;
    let mut seen = BTreeSet::new();
    if let Some(twice) = rows.iter().find(|r| !seen.insert(r[0].as_str())) {
        return Err(WheelError::Record { path: twice[0].clone(), why: "is listed twice".into() });
    }
    Ok(rows)
}

/// Parses the RECORD of an installed distribution, where a path may well occur twice: with the hash that the
/// wheel gave, and without or with another one for what the installer made of it.
///
/// # Errors
/// Rows on which installers fail or disagree: empty ones, with more than three fields, with unfinished quotes
/// or invisible characters.
pub fn parse_installed(file: &str, text: &str) -> Result<Vec<Row>, WheelError> {
    let mut rows: Vec<Row> = Vec::new();
    let mut lines: Vec<&str> = text.split('\n').collect();
    if lines.last() == Some(&"") {
        lines.pop();
    }
    for (number, line) in lines.iter().enumerate() {
        let bad = |why: &str| WheelError::format(file, format!("line {}: {why}", number + 1));
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            return Err(bad("is empty"));
        }
        if line.chars().any(is_line_or_control) {
            return Err(bad("holds a control character"));
        }
        let mut fields = fields(line).ok_or_else(|| bad("quotes that CSV readers understand differently"))?;
        if fields.len() > 3 {
            return Err(bad("has more than three fields"));
        }
        fields.resize(3, String::new());
        let mut fields = fields.into_iter();
        let mut next = || fields.next().unwrap_or_default();
        rows.push([next(), next(), next()]);
    }
    Ok(rows)
}

fn fields(line: &str) -> Option<Vec<String>> {
    let mut out = Vec::new();
    let mut rest = line;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut field = String::new();
            let mut tail = quoted;
            loop {
                let (text, after) = tail.split_once('"')?;
                field.push_str(text);
                match after.strip_prefix('"') {
                    Some(more) => {
                        field.push('"');
                        tail = more;
                    }
                    None => {
                        tail = after;
                        break;
                    }
                }
            }
            out.push(field);
            if tail.is_empty() {
                return Some(out);
            }
            rest = tail.strip_prefix(',')?;
        } else if let Some((field, tail)) = rest.split_once(',') {
            out.push(field.to_owned());
            rest = tail;
        } else {
            out.push(rest.to_owned());
            return Some(out);
        }
    }
}

/// Writes rows as Python's `csv.writer` does by default: quotes where needed, lines ending in CR LF.
#[must_use]
pub fn write(rows: &[Row]) -> String {
    write_lines(rows, "\r\n")
}

/// Writes rows with quotes where needed, and this end of each line.
#[must_use]
pub fn write_lines(rows: &[Row], end: &str) -> String {
    let mut out = String::new();
    for row in rows {
        for (i, field) in row.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            if field.contains([',', '"', '\r', '\n']) {
                out.push('"');
                out.push_str(&field.replace('"', "\"\""));
                out.push('"');
            } else {
                out.push_str(field);
            }
        }
        out.push_str(end);
    }
    out
}

/// The hash field of a row for some bytes, given their SHA-256.
#[must_use]
pub fn hash_field(sha256: &[u8]) -> String {
    format!("sha256={}", URL_SAFE_NO_PAD.encode(sha256))
}

/// What RECORD promises about one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    algorithm: Algorithm,
    digest: Vec<u8>,
    size: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Sha256,
    Sha384,
    Sha512,
}

impl Promise {
    /// Reads the hash and size of a row.
    ///
    /// # Errors
    /// No hash, a hash of less than 256 bits, or fields that do not parse.
    pub fn parse(row: &Row) -> Result<Self, WheelError> {
        let bad = |why: &str| WheelError::Record { path: row[0].clone(), why: why.to_owned() };
        let (name, value) = row[1].split_once('=').ok_or_else(|| bad("has no hash"))?;
        let (algorithm, length) = match name {
            "sha256" => (Algorithm::Sha256, 32),
            "sha384" => (Algorithm::Sha384, 48),
            "sha512" => (Algorithm::Sha512, 64),
            _ => return Err(bad("has a hash that is not of the SHA-2 family, or is too short")),
        };
        let digest = URL_SAFE_NO_PAD
            .decode(value.trim_end_matches('='))
            .map_err(|_| bad("has a hash that is not base64"))?;
        if digest.len() != length {
            return Err(bad("has a hash of the wrong length"));
        }
        let size = match row[2].as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| bad("has a size that is not a number"))?),
        };
        Ok(Self { algorithm, digest, size })
    }
}

/// Computes the digests of a file that is being unpacked.
#[derive(Clone)]
pub struct Digests {
    sha256: Sha256,
    other: Option<Other>,
    size: u64,
}

#[derive(Clone)]
enum Other {
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Digests {
    /// Digests that can be compared with `promise`.
    #[must_use]
    pub fn new(promise: Option<&Promise>) -> Self {
        let other = match promise.map(|p| p.algorithm) {
            Some(Algorithm::Sha384) => Some(Other::Sha384(Sha384::new())),
            Some(Algorithm::Sha512) => Some(Other::Sha512(Sha512::new())),
            Some(Algorithm::Sha256) | None => None,
        };
        Self { sha256: Sha256::new(), other, size: 0 }
    }

    /// Adds data.
    pub fn update(&mut self, data: &[u8]) {
        self.sha256.update(data);
        match &mut self.other {
            Some(Other::Sha384(h)) => h.update(data),
            Some(Other::Sha512(h)) => h.update(data),
            None => {}
        }
        self.size += data.len() as u64;
    }

    /// Compares with the promise for `path` and gives the SHA-256.
    ///
    /// # Errors
    /// The content is not what RECORD says.
    pub fn finish(self, path: &str, promise: Option<&Promise>) -> Result<[u8; 32], WheelError> {
        let bad = |why: &str| Err(WheelError::Record { path: path.to_owned(), why: why.to_owned() });
        let sha256: [u8; 32] = self.sha256.finalize().into();
        let Some(promise) = promise else { return Ok(sha256) };
        if promise.size.is_some_and(|s| s != self.size) {
            return bad("has another size than listed");
        }
        let same = match self.other {
            Some(Other::Sha384(h)) => h.finalize().as_slice() == promise.digest,
            Some(Other::Sha512(h)) => h.finalize().as_slice() == promise.digest,
            None => sha256.as_slice() == promise.digest,
        };
        if same { Ok(sha256) } else { bad("has another hash than listed") }
    }
}

/// Pairs every file of the archive with what RECORD promises about it.
///
/// # Errors
/// A file that is not listed, a listed file that is not there. RECORD itself and its signatures carry no hash.
pub fn promises(
    dist_info: &str,
    rows: &[Row],
    files: &[&str],
) -> Result<BTreeMap<String, Promise>, WheelError> {
    let bad = |path: &str, why: &str| WheelError::Record { path: path.to_owned(), why: why.to_owned() };
    let unsigned = ["RECORD", "RECORD.jws", "RECORD.p7s"].map(|f| format!("{dist_info}/{f}"));
    let mut out = BTreeMap::new();
    for row in rows {
        if unsigned.contains(&row[0]) {
            // A hash of RECORD within RECORD could not be right; that of a signature may be there or not.
            if !row[1].is_empty() && row[0] != unsigned[0] {
                out.insert(row[0].clone(), Promise::parse(row)?);
            }
            continue;
        }
        out.insert(row[0].clone(), Promise::parse(row)?);
    }
    for file in files {
        if !out.contains_key(*file) && !unsigned.iter().any(|u| u == file) {
            return Err(bad(file, "is in the archive and not listed"));
        }
    }
    let present: BTreeSet<&str> = files.iter().copied().collect();
    if let Some(missing) = rows.iter().find(|r| !present.contains(r[0].as_str())) {
        return Err(bad(&missing[0], "is listed and not in the archive"));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn row(a: &str, b: &str, c: &str) -> Row {
        [a.into(), b.into(), c.into()]
    }

    #[test]
    fn csv_round_trip() {
        let rows = vec![row("a,b \"c\".py", "sha256=x", "1"), row("ü.py", "", "")];
        let text = write(&rows);
        assert_eq!(text, "\"a,b \"\"c\"\".py\",sha256=x,1\r\nü.py,,\r\n");
        assert_eq!(parse("R", &text).unwrap(), rows);
        assert_eq!(parse("R", "a").unwrap(), [row("a", "", "")]);
    }

    #[test]
    fn ambiguous_rows_are_errors() {
        for bad in ["a,,\n\nb,,\n", "a,b,c,d\n", "\"a,,\n", "\"a\"b,,\n", "a\u{b},,\n", "a,,\na,,\n", "\r\n"]
        {
            assert!(parse("R", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn every_file_is_promised_and_every_promise_kept() {
        let hash = hash_field(&Sha256::digest(b"hello"));
        let rows = [row("m.py", &hash, "5"), row("d/RECORD", "", "")];
        let promises_of = |files: &[&str]| promises("d", &rows, files);
        let ok = promises_of(&["m.py", "d/RECORD"]).unwrap();
        let check = |data: &[u8]| {
            let mut d = Digests::new(ok.get("m.py"));
            d.update(data);
            d.finish("m.py", ok.get("m.py"))
        };
        assert!(check(b"hello").is_ok());
        assert!(check(b"hellO").unwrap_err().to_string().contains("another hash"));
        assert!(check(b"hello!").unwrap_err().to_string().contains("another size"));
        assert!(promises_of(&["m.py", "d/RECORD", "n"]).unwrap_err().to_string().contains("not listed"));
        assert!(promises_of(&["d/RECORD"]).unwrap_err().to_string().contains("not in the archive"));
        assert!(promises("d", &[row("m", "md5=xxxx", "")], &["m"]).is_err());
        assert!(promises("d", &[row("m", "", "")], &["m"]).is_err());
    }

    #[test]
    fn longer_hashes_are_verified_too() {
        let digest = Sha512::digest(b"hello");
        let promise =
            Promise::parse(&row("m", &format!("sha512={}", URL_SAFE_NO_PAD.encode(digest)), "")).unwrap();
        let mut good = Digests::new(Some(&promise));
        good.update(b"hello");
        assert_eq!(good.finish("m", Some(&promise)).unwrap(), <[u8; 32]>::from(Sha256::digest(b"hello")));
        assert!(Digests::new(Some(&promise)).finish("m", Some(&promise)).is_err());
    }
}
