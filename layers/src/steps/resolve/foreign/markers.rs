//! The markers that every reader understands alike.
//!
//! pip reads them with `packaging`, of whichever release it brings; here it is another program. Where they have been seen
//! to differ, or may, the marker is refused: approximate and textual comparisons, versions that are more than numbers,
//! texts that look like versions, and extras whose spelling matters to some releases.

use crate::wheel::name;

/// Keys that are compared as versions.
const VERSIONS: &[&str] = &["python_version", "python_full_version", "implementation_version"];

/// Keys that are compared as texts. Those that say what the kernel is aren't among them: that isn't known.
const TEXTS: &[&str] = &[
    "implementation_name",
    "os_name",
    "platform_machine",
    "platform_python_implementation",
    "platform_system",
    "sys_platform",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'t> {
    /// A key, or a word such as `and`.
    Word(&'t str),
    /// What stands in quotes.
    Text(&'t str),
    Operator(&'t str),
    Parenthesis,
}

/// Whether every comparison of a marker is a plain one. How they are put together is the reader's to judge.
pub(super) fn is_plain(marker: &str) -> bool {
    let Some(tokens) = tokens(marker) else { return false };
    let mut left = tokens.as_slice();
    while !left.is_empty() {
        left = match left {
            [Token::Parenthesis | Token::Word("and" | "or"), rest @ ..] => rest,
            [Token::Word(key), Token::Word("not"), Token::Word("in"), Token::Text(value), rest @ ..]
                if compares(key, "in", value, false) =>
            {
                rest
            }
            [Token::Text(value), Token::Word("not"), Token::Word("in"), Token::Word(key), rest @ ..]
                if compares(key, "in", value, true) =>
            {
                rest
            }
            [
                Token::Word(key),
                Token::Operator(operator) | Token::Word(operator),
                Token::Text(value),
                rest @ ..,
            ] if compares(key, operator, value, false) => rest,
            [
                Token::Text(value),
                Token::Operator(operator) | Token::Word(operator),
                Token::Word(key),
                rest @ ..,
            ] if compares(key, operator, value, true) => rest,
            _ => return false,
        };
    }
    true
}

/// Whether a comparison is a plain one. `reversed`: the value stands on the left.
fn compares(key: &str, operator: &str, value: &str, reversed: bool) -> bool {
    // Some releases compare these as versions, whatever the key.
    let numeric = value.trim_start().trim_start_matches(['v', 'V']).starts_with(|c: char| c.is_ascii_digit());
    if VERSIONS.contains(&key) {
        let starred = value.strip_suffix(".*").filter(|_| ["==", "!="].contains(&operator) && !reversed);
        let numbers: Vec<&str> = starred.unwrap_or(value).split('.').collect();
        let plain =
            |number: &&str| (1..=9).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
        return ["==", "!=", "<", "<=", ">", ">="].contains(&operator)
            && numbers.iter().all(plain)
            && (starred.is_none() || numbers.len() < 3);
    }
    match key {
        "extra" => operator == "==" && !reversed && !numeric && is_normal_extra(value),
        _ => TEXTS.contains(&key) && ["==", "!=", "in"].contains(&operator) && !numeric,
    }
}

/// Whether an extra is spelled so that every release of pip takes it for the same.
pub(super) fn is_normal_extra(extra: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !extra.is_empty()
        && extra.bytes().all(plain)
        && !extra.starts_with('-')
        && !extra.ends_with('-')
        && name::canonical(extra) == extra
}

/// The parts of a marker; none if it has others.
fn tokens(marker: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut left = marker.trim_start_matches([' ', '\t']);
    while let Some(first) = left.chars().next() {
        let length = |belongs: fn(char) -> bool| left.find(|c: char| !belongs(c)).unwrap_or(left.len());
        let (token, taken) = match first {
            '(' | ')' => (Token::Parenthesis, 1),
            '"' | '\'' => {
                let text = left[1..].split_once(first)?.0;
                (Token::Text(text), text.len() + 2)
            }
            'a'..='z' => {
                let end = length(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
                (Token::Word(&left[..end]), end)
            }
            '<' | '>' | '=' | '!' | '~' => {
                let end = length(|c| matches!(c, '<' | '>' | '=' | '!' | '~'));
                (Token::Operator(&left[..end]), end)
            }
            _ => return None,
        };
        tokens.push(token);
        left = left[taken..].trim_start_matches([' ', '\t']);
    }
    Some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_markers() {
        for plain in [
            "",
            "python_version < '3.12'",
            "python_version>=\"3.8\"and(os_name=='posix' or sys_platform != \"win32\")",
            "python_full_version < '3.11.2' and extra == 'fast-x'",
            "python_version == '3.*' or python_version != '3.11.*'",
            "'3.8' <= python_version",
            "platform_machine in 'x86_64 aarch64'",
            "platform_machine not  in 'x86_64'",
            "'linux' in sys_platform and 'x' not in platform_system",
        ] {
            assert!(is_plain(plain), "{plain}");
        }
        for doubtful in [
            "python_full_version ~= '3.11.0'",
            "python_version ~= '3.8'",
            "'3.8' ~= python_version",
            "'3.*' == python_version",
            "python_version === '3.11'",
            "python_version >= '3.8.dev0'",
            "python_version >= '3.11a1'",
            "python_full_version > '3.11.2.post1'",
            "python_full_version >= '3.11.2rc1'",
            "python_version == '3.11+x'",
            "python_version >= '1!3'",
            "python_version == '3.11.2.*'",
            "python_version >= '3.*'",
            "python_version >= 'v3.8'",
            "python_version >= '3.8 '",
            "python_version >= '3..8'",
            "python_version in '3.8 3.9'",
            "platform_machine >= 'aarch64'",
            "sys_platform < 'win'",
            "sys_platform === 'linux'",
            "sys_platform ~= 'linux'",
            "platform_machine == '1.0'",
            "platform_release == 'x'",
            "platform_version == 'x'",
            "os.name == 'posix'",
            "python_implementation == 'CPython'",
            "extra == 'Fast_x'",
            "extra == 'fast_x'",
            "extra == 'x.y'",
            "extra == '2'",
            "extra != 'x'",
            "extra in 'x'",
            "'x' == extra",
            "extra == 'x' #",
            "extra == 'x",
            "'a' == 'b'",
            "os_name == sys_platform",
        ] {
            assert!(!is_plain(doubtful), "{doubtful}");
        }
    }
}
