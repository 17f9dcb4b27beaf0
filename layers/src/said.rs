//! What an installer says, fit to be shown again.

/// One line of at most 300 characters, without URLs, control characters and paths of this run.
pub(crate) fn in_one_line(text: &str) -> String {
    let words = text.split_whitespace().filter(|word| !word.contains("://") && !word.contains("/tmp"));
    let line = words.collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::in_one_line;

    #[test]
    fn an_error_line_loses_urls_and_control_characters() {
        let line = "Could not find \u{1b}[31mx (from https://u:p@h/simple)  in /tmp/abc\n";
        assert_eq!(in_one_line(line), "Could not find [31mx (from in");
    }
}
