//! Lists of commands of which each runs if the one before it succeeded.

use super::super::names::KEYWORDS;
use super::{options, tokens};

/// The commands of `a && b && c`, each as it is written, two at least. Nothing if the script is anything else: if it has
/// another operator than redirections, a keyword, or several lines that aren't one.
///
/// For scripts that [`super::script`] reads.
///
/// # Examples
/// ```
/// # use plinth_frontend::shell::chained;
/// assert_eq!(chained("apt-get update && \\\n  pip install 'a>=1'").unwrap(), ["apt-get update", "pip install 'a>=1'"]);
/// assert_eq!(chained("a && b; c"), None);
/// ```
#[must_use]
pub fn chained(script: &str) -> Option<Vec<String>> {
    let (_, found) = tokens::read(script, &options()).ok()?;
    let mut parts = Vec::new();
    for part in found.split(|token| token.operator && token.text == "&&") {
        let (first, last) = (part.first()?, part.last()?);
        if KEYWORDS.contains(&first.text)
            || part.iter().any(|token| token.operator && !token.text.contains(['<', '>']))
        {
            return None;
        }
        let text = script.get(first.at..last.at + last.text.len())?;
        let mut lines = text.split('\n');
        lines.next_back();
        // A line end that isn't escaped is another `;`, or inside quotes.
        if lines.any(|line| !line.ends_with('\\')) {
            return None;
        }
        parts.push(text.to_owned());
    }
    (parts.len() > 1).then_some(parts)
}
