//! Redirections: those that leave no trace, and the file that an unquoted `>=` makes.

use brush_parser::ast::{IoFileRedirectKind, IoFileRedirectTarget, IoRedirect};

use super::NotSimple;
use super::tokens::Seen;
use super::tree::Reader;

/// What a redirection that is understood comes to.
pub(super) enum Redirected {
    /// Standard error goes to nowhere.
    Silenced,
    /// Standard output goes to nowhere, or one stream goes where the other does.
    Elsewhere,
    /// Standard output goes to this file.
    Output(String),
}

impl Reader<'_> {
    /// A redirection that is understood: to nowhere, from one stream to another, or what an unquoted `>=` comes to.
    pub(super) fn redirect(&mut self, redirect: &IoRedirect) -> Result<Redirected, NotSimple> {
        let IoRedirect::File(descriptor, kind, target) = redirect else {
            return Err(not_redirected(redirect));
        };
        if let Some(descriptor) = descriptor {
            self.seen.push(Seen::Descriptor(descriptor.to_string()));
        }
        let stream = matches!(descriptor, None | Some(1 | 2));
        let silenced = |file: &str| match descriptor {
            Some(2) if file == "/dev/null" => Some(Redirected::Silenced),
            None | Some(1) if file == "/dev/null" => Some(Redirected::Elsewhere),
            _ => None,
        };
        let (operator, word, meaning) = match (kind, target) {
            (IoFileRedirectKind::Write, IoFileRedirectTarget::Filename(file)) => {
                let output = || {
                    let output = descriptor.is_none() && is_version(&file.value);
                    output.then(|| Redirected::Output(file.value.clone()))
                };
                (">", file.value.clone(), silenced(&file.value).or_else(output))
            }
            (IoFileRedirectKind::Append, IoFileRedirectTarget::Filename(file)) => {
                (">>", file.value.clone(), silenced(&file.value))
            }
            (IoFileRedirectKind::DuplicateOutput, IoFileRedirectTarget::Fd(to)) => {
                (">&", to.to_string(), (stream && matches!(to, 1 | 2)).then_some(Redirected::Elsewhere))
            }
            (IoFileRedirectKind::DuplicateOutput, IoFileRedirectTarget::Duplicate(to)) => {
                let known = stream && matches!(to.value.as_str(), "1" | "2");
                (">&", to.value.clone(), known.then_some(Redirected::Elsewhere))
            }
            _ => return Err(not_redirected(redirect)),
        };
        self.text(operator);
        self.text(&word);
        meaning.ok_or_else(|| not_redirected(redirect))
    }
}

/// The reason for one that isn't.
pub(super) fn not_redirected(redirect: &IoRedirect) -> NotSimple {
    let IoRedirect::File(_, kind, target) = redirect else { return NotSimple::HereDocument };
    let (operator, direction) = match kind {
        IoFileRedirectKind::Write => (">", "output to"),
        IoFileRedirectKind::Append => (">>", "output to"),
        IoFileRedirectKind::Clobber => (">|", "output to"),
        IoFileRedirectKind::Read => ("<", "input from"),
        IoFileRedirectKind::ReadAndWrite => ("<>", "input and output to"),
        IoFileRedirectKind::DuplicateInput => return NotSimple::Descriptor("<&".to_owned()),
        IoFileRedirectKind::DuplicateOutput => return NotSimple::Descriptor(">&".to_owned()),
    };
    NotSimple::Redirect { direction, file: target.to_string(), operator: operator.to_owned() }
}

/// Whether a file's name is what follows the `>` of a specifier that somebody forgot to quote. No other file is
/// understood: what an installer prints is not the same in two builds, and of these alone it is certain that nobody
/// wants to read them.
fn is_version(file: &str) -> bool {
    let plain =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b',' | b'=' | b'+' | b'_' | b'-' | b'!');
    file.starts_with('=') && file.bytes().all(plain)
}
