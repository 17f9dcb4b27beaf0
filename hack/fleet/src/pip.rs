//! The shell text of the steps that install Python packages: one form of the facts, one arm.

use crate::facts::{Install, PipStep};

/// The facts don't hold the version behind an unquoted `>=`; the shell makes it a file name either way, and every one
/// of them a file of its own.
fn redirected(number: usize) -> String {
    format!(">=1.{number}")
}

/// Inline requirements from this many on are written one per line.
const ONE_PER_LINE: usize = 4;

/// The shell text of a step.
#[must_use]
pub fn command(step: &PipStep) -> String {
    match step.form.as_str() {
        "n-conditional-if" => conditional(step),
        "i-fallback" => fallback(step),
        "g-local" => local(step),
        "l-other-tool" => "poetry install --no-dev".to_owned(),
        // Alone, or several joined by `&&`. What c2-compound has in front of it, apt, is the stage's business.
        _ => step.installs.iter().map(install).collect::<Vec<_>>().join(" && \\\n    "),
    }
}

/// `if [ -f F ]; then A; [else B;] fi`, and what hangs on it by `||` or `&&`.
fn conditional(step: &PipStep) -> String {
    let condition =
        step.installs.iter().flat_map(|i| &i.files).next().map_or_else(
            || "\"${DEVICE:-cpu}\" = \"cpu\"".to_owned(),
            |file| format!("-f {}", file.reference),
        );
    let mut text = format!("if [ {condition} ]; then ");
    let mut open = true;
    for (number, one) in step.installs.iter().enumerate() {
        let command = install(one);
        match one.connector.as_str() {
            "||" => text.push_str(&format!(" || {command}")),
            "&&" => {
                text.push_str(&format!("; fi && \\\n    {command}"));
                open = false;
            }
            _ if number == 0 => text.push_str(&command),
            _ => text.push_str(&format!("; else {command}")),
        }
    }
    if open {
        text.push_str("; fi");
    }
    text
}

/// `A || B`, where B is another install, `true` or a message.
fn fallback(step: &PipStep) -> String {
    let quiet = if step.has("stderr-redirect") { " 2>/dev/null" } else { "" };
    let last = if step.runs("true") {
        " || true"
    } else if step.runs("echo") {
        " || echo \"optional requirements left out\""
    } else {
        ""
    };
    let commands: Vec<String> = step.installs.iter().map(install).collect();
    match commands.as_slice() {
        [first] => format!("{first}{quiet}{last}"),
        [before @ .., optional] if step.has("subshell") => {
            format!("{} && \\\n    ({optional}{quiet}{last})", before.join(" && \\\n    "))
        }
        [first, rest @ ..] => format!("{first}{quiet} || {}{last}", rest.join(" || ")),
        [] => String::new(),
    }
}

/// An editable install, of a clone where the step makes one.
fn local(step: &PipStep) -> String {
    let here = step.installs.iter().map(install).collect::<Vec<_>>().join(" && ");
    match (step.runs("git clone"), step.runs("cd")) {
        (true, true) => format!("git clone {} source && cd source && {here}", crate::stage::CLONE_URL),
        (true, false) => format!("git clone {} . && {here}", crate::stage::CLONE_URL),
        _ => here,
    }
}

/// One install command with its flags, inline requirements and files.
fn install(one: &Install) -> String {
    let mut words = vec![one.tool.clone(), "install".to_owned()];
    for flag in &one.flags {
        match flag.as_str() {
            "--editable" => {}
            "--index-url" => words.push("--index-url https://index.example.com/simple".to_owned()),
            _ => words.push(flag.clone()),
        }
    }
    if one.flags.iter().any(|f| f == "--editable") {
        words.push("-e .".to_owned());
    }
    words.extend(one.files.iter().map(|file| format!("-r {}", file.reference)));
    let mut text = words.join(" ");
    let separator = if one.specs.len() >= ONE_PER_LINE { " \\\n    " } else { " " };
    let mut traps = 0;
    for spec in &one.specs {
        text.push_str(separator);
        if traps < one.redirected && !spec.contains('=') {
            text.push_str(&format!("{spec}{}", redirected(traps)));
            traps += 1;
        } else {
            text.push_str(&quoted(spec));
        }
    }
    text
}

/// The specifier as one shell word.
fn quoted(spec: &str) -> String {
    if spec.contains(|c: char| "<>!~[]*;&|$ ()".contains(c)) {
        format!("\"{spec}\"")
    } else {
        spec.to_owned()
    }
}
