//! Where a generated Dockerfile installs something, and the part of it in front of an instruction that fails.

/// A RUN that installs Python packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Install {
    /// Its first line, counted from 1.
    pub(crate) line: u64,
    /// Its text, with line continuations as they are.
    pub(crate) text: String,
}

/// The instructions of a Dockerfile: first line, text. No heredocs: the generator writes none.
fn instructions(dockerfile: &str) -> Vec<(u64, String)> {
    let mut found: Vec<(u64, String)> = Vec::new();
    let mut goes_on = false;
    for (number, line) in (1..).zip(dockerfile.lines()) {
        match found.last_mut() {
            Some((_, text)) if goes_on => {
                text.push('\n');
                text.push_str(line);
            }
            _ if line.is_empty() || line.starts_with('#') => continue,
            _ => found.push((number, line.to_owned())),
        }
        goes_on = line.ends_with('\\');
    }
    found
}

/// The RUNs that install Python packages, in order.
pub(crate) fn installs(dockerfile: &str) -> Vec<Install> {
    let tools = ["pip install", "pip3 install", "poetry install"];
    instructions(dockerfile)
        .into_iter()
        .filter(|(_, text)| text.starts_with("RUN ") && tools.iter().any(|tool| text.contains(tool)))
        .map(|(line, text)| Install { line, text })
        .collect()
}

/// The instruction that begins at `line`.
pub(crate) fn instruction_at(dockerfile: &str, line: u64) -> Option<String> {
    instructions(dockerfile).into_iter().find(|(at, _)| *at == line).map(|(_, text)| text)
}

/// Everything in front of `line`, if an install is among it.
pub(crate) fn part_before(dockerfile: &str, line: u64) -> Option<String> {
    let lines: Vec<&str> = (1..line).zip(dockerfile.lines()).map(|(_, text)| text).collect();
    let part = lines.join("\n") + "\n";
    (!installs(&part).is_empty()).then_some(part)
}

/// Everything up to the instruction that begins at `line`, and this one.
pub(crate) fn part_with(dockerfile: &str, line: u64) -> Option<String> {
    let length = u64::try_from(instruction_at(dockerfile, line)?.lines().count()).unwrap();
    let lines: Vec<&str> = (1..line + length).zip(dockerfile.lines()).map(|(_, text)| text).collect();
    Some(lines.join("\n") + "\n")
}

#[test]
fn installs_and_parts() {
    let text = "# a\nFROM x\nRUN apt-get install -y \\\n    gcc\nRUN pip install \\\n    a\nCOPY b .\nRUN if [ -f r ]; then pip install -r r; fi\n";
    let found: Vec<u64> = installs(text).iter().map(|install| install.line).collect();
    assert_eq!(found, [5, 8]);
    assert_eq!(instruction_at(text, 7).as_deref(), Some("COPY b ."));
    assert_eq!(instruction_at(text, 6), None);
    assert_eq!(part_before(text, 5), None);
    assert!(part_with(text, 5).unwrap().ends_with("    a\n"));
    assert_eq!(part_with(text, 6), None);
    assert!(part_before(text, 7).unwrap().ends_with("    a\n"));
}
