//! `plinth.toml`, read and checked.
//!
//! Reading is strict: an unknown field is an error, since a misspelt `replaces` that is silently ignored would look
//! like a policy that works. Every message carries the place in the file and what to do.

use serde::Deserialize;
use toml::{Spanned, Value};

use super::analyze::{RawLimits, limits};
use super::error::{Position, Problem};
use super::{Base, Gates, ImagePattern, Policy, Reference};

/// A policy file that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{position}: {problem}")]
pub struct PolicyError {
    /// The file, as the caller named it.
    pub file: String,
    /// Where in it.
    pub position: Position,
    /// What is wrong, and what to do.
    pub problem: Problem,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPolicy {
    version: Option<Spanned<i64>>,
    #[serde(default)]
    base: Vec<RawBase>,
    #[serde(default)]
    keep: RawKeep,
    #[serde(default)]
    gates: RawGates,
    #[serde(default)]
    analyze: RawLimits,
    python: Option<RawReserved>,
    run: Option<RawReserved>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBase {
    name: Spanned<String>,
    image: Spanned<String>,
    replaces: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    move_from: Vec<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKeep {
    #[serde(default)]
    images: Vec<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGates {
    size_saved: Option<Spanned<f64>>,
    build_time_saved: Option<Spanned<f64>>,
}

/// The tables that are reserved: whatever they hold is refused, so both fields are read in both.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawReserved {
    constraints: Option<Spanned<Value>>,
    user: Option<Spanned<Value>>,
}

/// A problem and the byte offset it stands at.
pub(super) type Found = (usize, Problem);

impl Policy {
    /// Reads and checks a policy. `file` is only used in messages.
    ///
    /// # Errors
    /// The first problem, in the order of the checks, with its place and what to do.
    pub fn parse(text: &str, file: &str) -> Result<Self, PolicyError> {
        // Windows editors put a byte order mark first; offsets then count from after it, as columns do.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        read(text).map_err(|(offset, problem)| PolicyError {
            file: file.to_owned(),
            position: Position::of(text, offset),
            problem,
        })
    }
}

fn read(text: &str) -> Result<Policy, Found> {
    let raw: RawPolicy = toml::from_str(text).map_err(|error| syntax(&error))?;
    match raw.version.map(|v| (v.span().start, v.into_inner())) {
        None => return Err((0, Problem::NoVersion)),
        Some((_, 1)) => {}
        Some((at, other)) => return Err((at, Problem::Version(other))),
    }
    refuse_reserved(raw.python.as_ref(), raw.run.as_ref())?;
    let mut bases = Vec::<Base>::new();
    for raw in raw.base {
        let base = base(text, raw, &bases)?;
        bases.push(base);
    }
    Ok(Policy {
        bases,
        keep: patterns(raw.keep.images)?,
        gates: gates(&raw.gates)?,
        analyze: limits(&raw.analyze)?,
    })
}

fn base(text: &str, raw: RawBase, earlier: &[Base]) -> Result<Base, Found> {
    let at = raw.name.span().start;
    let name = raw.name.into_inner();
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')) {
        return Err((at, Problem::Name(name)));
    }
    if let Some(other) = earlier.iter().find(|b| b.name == name) {
        return Err((at, Problem::DuplicateName { name, line: other.line }));
    }
    let image = Reference::parse(raw.image.get_ref()).map_err(|e| (raw.image.span().start, e.into()))?;
    if raw.replaces.get_ref().is_empty() {
        return Err((raw.replaces.span().start, Problem::ReplacesNothing(name)));
    }
    let line = Position::of(text, at).line;
    let replaces = raw.replaces.into_inner();
    let places: Vec<usize> = replaces.iter().map(|p| p.span().start).collect();
    let replaces = patterns(replaces)?;
    for (i, (pattern, place)) in replaces.iter().zip(places).enumerate() {
        let form = pattern.normal_form();
        let same = |p: &ImagePattern| p.normal_form() == form;
        let first = match earlier.iter().find(|b| b.replaces.iter().any(same)) {
            Some(other) => Some((other.name.clone(), other.line)),
            None => replaces[..i].iter().any(same).then(|| (name.clone(), line)),
        };
        if let Some((base, line)) = first {
            return Err((place, Problem::DuplicatePattern { pattern: pattern.to_string(), base, line }));
        }
    }
    let move_from = raw.move_from.into_iter().map(version).collect::<Result<Vec<_>, _>>()?;
    let moved = move_from.iter().flat_map(|v| replaces.iter().filter_map(|p| p.for_version(v))).collect();
    Ok(Base { name, image, replaces, move_from, moved, line })
}

fn patterns(texts: Vec<Spanned<String>>) -> Result<Vec<ImagePattern>, Found> {
    texts.iter().map(|t| ImagePattern::parse(t.get_ref()).map_err(|e| (t.span().start, e.into()))).collect()
}

fn version(text: Spanned<String>) -> Result<String, Found> {
    let number = |n: &str| {
        !n.is_empty()
            && n.chars().all(|c| c.is_ascii_digit())
            && (n == "0" || !n.starts_with('0'))
            && n.len() < 4
    };
    let at = text.span().start;
    let text = text.into_inner();
    match text.split_once('.') {
        Some((major, minor)) if number(major) && number(minor) => Ok(text),
        _ => Err((at, Problem::MoveFrom(text))),
    }
}

fn gates(raw: &RawGates) -> Result<Gates, Found> {
    let share = |value: &Option<Spanned<f64>>, default: f64| match value {
        None => Ok(default),
        Some(v) if (0.0..=1.0).contains(v.get_ref()) => Ok(*v.get_ref()),
        Some(v) => Err((v.span().start, Problem::Gate(v.get_ref().to_string()))),
    };
    let default = Gates::default();
    Ok(Gates {
        size_saved: share(&raw.size_saved, default.size_saved)?,
        build_time_saved: share(&raw.build_time_saved, default.build_time_saved)?,
    })
}

fn refuse_reserved(python: Option<&RawReserved>, run: Option<&RawReserved>) -> Result<(), Found> {
    let refuse = |value: &Option<Spanned<Value>>, what: &'static str| match value {
        Some(v) => Err((v.span().start, Problem::Reserved(what))),
        None => Ok(()),
    };
    if let Some(table) = python {
        refuse(&table.constraints, "[python] constraints")?;
        refuse(&table.user, "[python] user")?;
    }
    if let Some(table) = run {
        refuse(&table.user, "[run] user")?;
        refuse(&table.constraints, "[run] constraints")?;
    }
    Ok(())
}

/// The parser's own message, in one line, with a hint to correct the file.
fn syntax(error: &toml::de::Error) -> Found {
    let at = error.span().map_or(0, |span| span.start);
    let message: Vec<&str> = error.message().split_whitespace().collect();
    (
        at,
        Problem::Syntax(format!(
            "{}; correct the file (docs/policy.md describes every field)",
            message.join(" ")
        )),
    )
}
