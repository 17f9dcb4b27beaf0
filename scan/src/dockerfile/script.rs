//! What the shell of a RUN gets: lines that go on are joined, comments between them are left out, and a here-document
//! in the place of a command is the script.

use parse_dockerfile::{Command, RunInstruction};

/// The arguments of a RUN, in exec form, or its script.
pub(crate) enum Run {
    Exec(Vec<String>),
    Shell(String),
}

/// What a RUN runs. `escape` is the Dockerfile's escape character.
pub(crate) fn script(run: &RunInstruction<'_>, escape: char) -> Run {
    match &run.arguments {
        Command::Exec(words) => Run::Exec(words.value.iter().map(|word| word.value.to_string()).collect()),
        Command::Shell(text) => {
            let command = joined(text.value, escape);
            match run.here_docs.as_slice() {
                [] => Run::Shell(command),
                [only]
                    if command.trim().starts_with("<<") && !command.trim().contains(char::is_whitespace) =>
                {
                    Run::Shell(only.value.to_string())
                }
                // The command reads it: nothing that is followed here.
                documents => {
                    let texts = documents.iter().map(|document| document.value.as_ref());
                    Run::Shell(std::iter::once(command.as_str()).chain(texts).collect::<Vec<_>>().join("\n"))
                }
            }
        }
        _ => Run::Shell(String::new()),
    }
}

/// Lines that end with the escape character joined with the next; comments and empty lines in between are left out.
fn joined(text: &str, escape: char) -> String {
    let mut out = String::new();
    let mut goes_on = false;
    for line in text.lines() {
        let blank = line.trim();
        if goes_on && (blank.is_empty() || blank.starts_with('#')) {
            continue;
        }
        match line.trim_end().strip_suffix(escape) {
            Some(rest) => {
                out.push_str(rest);
                goes_on = true;
            }
            None => {
                out.push_str(line);
                goes_on = false;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn lines_that_go_on() {
        assert_eq!(joined("a \\\n  # no\n\n  b", '\\'), "a   b");
        assert_eq!(joined("a `\n b", '`'), "a  b");
        assert_eq!(joined("a b", '\\'), "a b");
    }
}
