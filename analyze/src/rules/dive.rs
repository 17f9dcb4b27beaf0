//! `.dive-ci`, the rules of dive, as they are.

use serde::Deserialize;
use serde_norway::Value;

use super::{Named, OfImage, Rule};

/// The rules that a `.dive-ci` sets. What it doesn't name has dive's own limit; `disabled` switches a rule off.
#[derive(Clone, Debug, PartialEq)]
pub struct DiveRules(pub Vec<Named>);

/// A file that dive wouldn't take either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiveError {
    /// No YAML, or not a mapping.
    #[error("it is no .dive-ci: {0}")]
    Malformed(String),
    /// A limit that isn't one.
    #[error("`{value}` is no limit for `{rule}`: {wanted}, or \"disabled\"")]
    Limit {
        /// The rule's name.
        rule: &'static str,
        /// What stands there.
        value: String,
        /// What should.
        wanted: &'static str,
    },
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    rules: Option<std::collections::BTreeMap<String, Value>>,
}

const EFFICIENCY: &str = "lowestEfficiency";
const BYTES: &str = "highestWastedBytes";
const PART: &str = "highestUserWastedPercent";

impl DiveRules {
    /// Reads a `.dive-ci`. `bytes` reads a number of bytes with its unit.
    ///
    /// # Errors
    /// It is none, or it has a limit that isn't one.
    pub fn parse(text: &str, bytes: impl Fn(&str) -> Option<u64>) -> Result<Self, DiveError> {
        let malformed = |error: serde_norway::Error| DiveError::Malformed(error.to_string());
        let file: Option<File> = serde_norway::from_str(text).map_err(malformed)?;
        let rules = file.and_then(|file| file.rules).unwrap_or_default();
        // dive reads names without regard to upper and lower case.
        let value = |name: &str, default: &str| {
            let found = rules.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            match found.map(|(_, value)| value) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                Some(Value::Bool(yes)) => yes.to_string(),
                Some(_) => String::new(),
                None => default.to_owned(),
            }
        };
        let share = |rule, default| {
            let text = value(rule, default);
            if text == "disabled" {
                return Ok(None);
            }
            match text.parse::<f64>() {
                Ok(share) if (0.0..=1.0).contains(&share) => Ok(Some(share)),
                _ => Err(DiveError::Limit { rule, value: text, wanted: "write a share between 0 and 1" }),
            }
        };
        let mut named = Vec::new();
        if let Some(limit) = share(EFFICIENCY, "0.9")? {
            named.push(Named { name: EFFICIENCY, rule: Rule::Image(OfImage::Efficiency(limit)) });
        }
        let text = value(BYTES, "disabled");
        if text != "disabled" {
            let wanted = "write a number of bytes like 20MB";
            let limit = bytes(&text).ok_or(DiveError::Limit { rule: BYTES, value: text, wanted })?;
            named.push(Named { name: BYTES, rule: Rule::Image(OfImage::DiveWastedBytes(limit)) });
        }
        if let Some(limit) = share(PART, "0.1")? {
            named.push(Named { name: PART, rule: Rule::Image(OfImage::DiveWastedPart(limit)) });
        }
        Ok(Self(named))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str) -> Result<Vec<OfImage>, String> {
        let bytes =
            |text: &str| text.strip_suffix("MB").and_then(|n| n.parse().ok()).map(|n: u64| n * 1_000_000);
        let rules = DiveRules::parse(text, bytes).map_err(|error| error.to_string())?;
        let of_image = |named: Named| match named.rule {
            Rule::Image(rule) => rule,
            Rule::All(rule) => panic!("{rule:?} is none of dive's"),
        };
        Ok(rules.0.into_iter().map(of_image).collect())
    }

    #[test]
    fn as_dive_reads_it() {
        let defaults = vec![OfImage::Efficiency(0.9), OfImage::DiveWastedPart(0.1)];
        assert_eq!(read(""), Ok(defaults.clone()));
        assert_eq!(read("rules:\n"), Ok(defaults));
        let all = "rules:\n  lowestEfficiency: 0.95\n  highestWastedBytes: 20MB\n  highestUserWastedPercent: 0.20\n";
        let rules = vec![
            OfImage::Efficiency(0.95),
            OfImage::DiveWastedBytes(20_000_000),
            OfImage::DiveWastedPart(0.2),
        ];
        assert_eq!(read(all), Ok(rules.clone()));
        assert_eq!(read(&all.replace("lowestEfficiency", "LOWESTefficiency")), Ok(rules));
        let off = "rules:\n  lowestEfficiency: disabled\n  highestUserWastedPercent: \"disabled\"\n";
        assert_eq!(read(off), Ok(vec![]));
    }

    #[test]
    fn what_dive_refuses() {
        let of = |rule: &str| read(&format!("rules:\n  {rule}\n")).unwrap_err();
        let share = "write a share between 0 and 1, or \"disabled\"";
        assert_eq!(of("lowestEfficiency: 95"), format!("`95` is no limit for `lowestEfficiency`: {share}"));
        assert_eq!(of("lowestEfficiency: [1]"), format!("`` is no limit for `lowestEfficiency`: {share}"));
        let bytes = "write a number of bytes like 20MB, or \"disabled\"";
        assert_eq!(
            of("highestWastedBytes: many"),
            format!("`many` is no limit for `highestWastedBytes`: {bytes}")
        );
        assert!(read("- a\n").unwrap_err().starts_with("it is no .dive-ci: "));
    }
}
