//! Here-documents behind a command (`RUN cat <<EOF >file`), which the parser takes for instructions.
//!
//! Their lines are turned into comments before it reads the file, so that everything else keeps its line. What is in
//! them isn't looked at: a script with one isn't followed anyway.

use std::borrow::Cow;

/// The text with the bodies of such documents as comments.
pub(crate) fn without_bodies(text: &str) -> Cow<'_, str> {
    if !text.contains("<<") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    // The delimiters that are still to come, each with whether it may be indented by tabs.
    let mut open: Vec<(String, bool)> = Vec::new();
    let mut changed = false;
    let mut lines = text.split_inclusive('\n').peekable();
    let mut goes_on = false;
    while let Some(line) = lines.next() {
        if let Some((delimiter, tabs)) = open.first() {
            let content = line.trim_end_matches(['\n', '\r']);
            let content = if *tabs { content.trim_start_matches('\t') } else { content };
            let ends = content == delimiter.as_str();
            out.push_str("#\n");
            changed = true;
            if ends {
                open.remove(0);
            }
            continue;
        }
        let is_run =
            goes_on || line.trim_start().get(..3).is_some_and(|word| word.eq_ignore_ascii_case("RUN"));
        out.push_str(line);
        let ends_in_escape = line.trim_end().ends_with('\\');
        if is_run && !line.trim_start().starts_with('#') {
            let found = delimiters(line);
            // The parser knows a document that is the whole command.
            let command = line.trim_start().get(3..).unwrap_or_default().trim_start();
            let whole = !goes_on && found.len() == 1 && last_option(command).starts_with("<<");
            if !whole && has_ends(&found, lines.clone()) {
                open = found;
            }
        }
        goes_on = is_run && ends_in_escape && open.is_empty();
    }
    if changed { Cow::Owned(out) } else { Cow::Borrowed(text) }
}

/// A command behind the options of its RUN.
fn last_option(mut command: &str) -> &str {
    while let Some(rest) = command.strip_prefix("--") {
        command = rest.split_once(char::is_whitespace).map_or("", |(_, rest)| rest.trim_start());
    }
    command
}

/// Whether each of these delimiters stands on a line of its own further down; else it isn't a here-document.
fn has_ends<'a>(found: &[(String, bool)], lines: impl Iterator<Item = &'a str>) -> bool {
    let mut wanted = found.iter();
    let mut next = wanted.next();
    for line in lines {
        let Some((delimiter, tabs)) = next else { break };
        let content = line.trim_end_matches(['\n', '\r']);
        let content = if *tabs { content.trim_start_matches('\t') } else { content };
        if content == delimiter.as_str() {
            next = wanted.next();
        }
    }
    !found.is_empty() && next.is_none()
}

/// The delimiters of the here-documents that begin in a line.
fn delimiters(line: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("<<") {
        let rest = &line[at + 2..];
        // `<<<` is a string and no document, and `$((1<<2))` neither.
        if rest.starts_with('<') || line[..at].ends_with('<') {
            continue;
        }
        let tabs = rest.starts_with('-');
        let rest = rest.strip_prefix('-').unwrap_or(rest);
        let quoted = rest.starts_with(['"', '\'']);
        let name: String = rest
            .chars()
            .skip(usize::from(quoted))
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
            .collect();
        if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            found.push((name, tabs));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::without_bodies;

    #[test]
    fn bodies_become_comments() {
        for (text, wanted) in [
            ("RUN cat <<EOF >/x\nhello\nEOF\nUSER a\n", "RUN cat <<EOF >/x\n#\n#\nUSER a\n"),
            ("RUN python3 - <<'E' && true\nFROM x\nE\n", "RUN python3 - <<'E' && true\n#\n#\n"),
            ("RUN a \\\n  b <<-E\n\tx\n\tE\nCMD c\n", "RUN a \\\n  b <<-E\n#\n#\nCMD c\n"),
            ("RUN a <<A && b <<B\n1\nA\n2\nB\n", "RUN a <<A && b <<B\n#\n#\n#\n#\n"),
            // What the parser knows itself, and what is none.
            ("RUN <<EOF\nhello\nEOF\n", "RUN <<EOF\nhello\nEOF\n"),
            (
                "RUN --mount=type=cache,target=/c <<EOF\nx\nEOF\n",
                "RUN --mount=type=cache,target=/c <<EOF\nx\nEOF\n",
            ),
            ("RUN echo $((1<<TWO))\nUSER a\n", "RUN echo $((1<<TWO))\nUSER a\n"),
            ("RUN cat <<<x\n", "RUN cat <<<x\n"),
            ("COPY <<EOF /x\nFROM\nEOF\n", "COPY <<EOF /x\nFROM\nEOF\n"),
        ] {
            assert_eq!(without_bodies(text), wanted, "{text}");
        }
    }
}
