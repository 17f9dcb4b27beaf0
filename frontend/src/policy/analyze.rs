//! `[analyze]`: what the images of a fleet may waste. The frontend doesn't use it; it is read here since a policy is one
//! document, with one place that says what is in it.

use serde::Deserialize;
use toml::Spanned;

use super::error::Problem;
use super::file::Found;

/// Limits for `plinth analyze`. What the file doesn't name has none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AnalyzeLimits {
    /// Of the stored bytes: the share that storing each file's content once would save.
    pub max_repeated_part: Option<f64>,
    /// The bytes that storing each file's content once would save.
    pub max_repeated_bytes: Option<u64>,
    /// Of each image: stored bytes that its own upper layers hide.
    pub max_hidden_bytes: Option<u64>,
    /// Of each image: the share of its stored bytes that is hidden.
    pub max_hidden_part: Option<f64>,
    /// Of each image: stored bytes that package managers left behind.
    pub max_leftover_bytes: Option<u64>,
    /// Of each image: stored bytes.
    pub max_image_bytes: Option<u64>,
    /// Of each image: efficiency as dive reckons it.
    pub min_efficiency: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits {
    max_repeated_part: Option<Spanned<f64>>,
    max_repeated_bytes: Option<Spanned<Bytes>>,
    max_hidden_bytes: Option<Spanned<Bytes>>,
    max_hidden_part: Option<Spanned<f64>>,
    max_leftover_bytes: Option<Spanned<Bytes>>,
    max_image_bytes: Option<Spanned<Bytes>>,
    min_efficiency: Option<Spanned<f64>>,
}

/// A number of bytes: `20000000`, or `"20 MB"`. Other numbers are read for the sake of the message.
#[derive(Deserialize)]
#[serde(untagged)]
enum Bytes {
    Number(u64),
    Signed(i64),
    Fraction(f64),
    Text(String),
}

pub(super) fn limits(raw: &RawLimits) -> Result<AnalyzeLimits, Found> {
    let share = |value: &Option<Spanned<f64>>| match value {
        Some(v) if !(0.0..=1.0).contains(v.get_ref()) => {
            Err((v.span().start, Problem::Share(v.get_ref().to_string())))
        }
        other => Ok(other.as_ref().map(|v| *v.get_ref())),
    };
    let bytes = |value: &Option<Spanned<Bytes>>| match value {
        None => Ok(None),
        Some(v) => match v.get_ref() {
            Bytes::Number(number) => Ok(Some(*number)),
            Bytes::Signed(number) => Err((v.span().start, Problem::Bytes(number.to_string()))),
            Bytes::Fraction(number) => Err((v.span().start, Problem::Bytes(number.to_string()))),
            Bytes::Text(text) => match parse_bytes(text) {
                Some(number) => Ok(Some(number)),
                None => Err((v.span().start, Problem::Bytes(text.clone()))),
            },
        },
    };
    Ok(AnalyzeLimits {
        max_repeated_part: share(&raw.max_repeated_part)?,
        max_repeated_bytes: bytes(&raw.max_repeated_bytes)?,
        max_hidden_bytes: bytes(&raw.max_hidden_bytes)?,
        max_hidden_part: share(&raw.max_hidden_part)?,
        max_leftover_bytes: bytes(&raw.max_leftover_bytes)?,
        max_image_bytes: bytes(&raw.max_image_bytes)?,
        min_efficiency: share(&raw.min_efficiency)?,
    })
}

/// A number of bytes with its unit: `20MB` and `20 MB` are 20,000,000, `20MiB` is 20,971,520; no unit is bytes. Upper and
/// lower case are the same, and the `B` may be left out. That is what dive reads, too.
#[must_use]
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ',')).unwrap_or(text.len());
    let number: f64 = text[..end].replace(',', "").parse().ok()?;
    let unit = text[end..].trim().to_ascii_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let (letter, base) = match unit.strip_suffix('i') {
        Some(letter) if !letter.is_empty() => (letter, 1024_f64),
        _ => (unit, 1000.0),
    };
    let power = ["", "k", "m", "g", "t", "p", "e"].iter().position(|known| *known == letter)?;
    let bytes = number * base.powi(i32::try_from(power).ok()?);
    (bytes.is_finite() && bytes < 2_f64.powi(64)).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::parse_bytes;

    #[test]
    fn bytes_with_their_unit() {
        for (text, bytes) in [
            ("20", Some(20)),
            ("20MB", Some(20_000_000)),
            (" 1.5 GiB ", Some(1_610_612_736)),
            ("1,000 k", Some(1_000_000)),
            ("7b", Some(7)),
            ("MB", None),
            ("20 XB", None),
            ("-1", None),
            ("20ib", None),
            ("99 EB", None),
        ] {
            assert_eq!(parse_bytes(text), bytes, "{text}");
        }
    }
}
