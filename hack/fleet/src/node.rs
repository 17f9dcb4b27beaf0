//! Steps that run npm.

use crate::facts::NodeStep;

/// The shell text of an npm step.
#[must_use]
pub fn command(step: &NodeStep) -> String {
    let mut parts = Vec::new();
    if step.other.iter().any(|c| c == "cd") {
        parts.push("cd .".to_owned());
    }
    // The facts list commands by name; the order in which they make sense is install first, cache last.
    let mut commands: Vec<&String> = step.commands.iter().collect();
    commands.sort_by_key(|c| c.as_str() == "npm cache");
    parts.extend(commands.into_iter().map(|command| match command.as_str() {
        "npm cache" => "npm cache clean --force".to_owned(),
        "npm run" => "npm run build".to_owned(),
        install => {
            let flags: Vec<&String> = step.flags.iter().filter(|f| *f != "--force").collect();
            flags.into_iter().fold(install.to_owned(), |text, flag| format!("{text} {flag}"))
        }
    }));
    parts.join(" && ")
}
