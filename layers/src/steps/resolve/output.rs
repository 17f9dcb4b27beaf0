//! What an installer prints, where the shell makes a file of it.
//!
//! `pip install a>=1` without quotes asks for any version of `a`, and leaves what pip prints in the file `=1`. That text
//! holds addresses, download speeds and what a cache had, so it is another one in each build. What can be said of it
//! beforehand is its last line, and that is what the file gets.

use std::io::ErrorKind;

use super::Context;
use crate::pip::{NotUnderstood, PipCommand};
use crate::resolution::{LeftFile, Plan};

/// What pip prints last. `steered`: its configuration says how much it prints.
pub(super) fn last_line(
    plan: &Plan,
    command: &PipCommand,
    context: &Context,
    steered: bool,
) -> Result<String, NotUnderstood> {
    let encoded = context.env.iter().any(|(name, _)| name == "PYTHONIOENCODING");
    if !context.outputs.is_empty() && (steered || encoded || command.has("--verbose")) {
        return Err(NotUnderstood::new("a file of its output, and options of what it prints"));
    }
    if command.has("--quiet") {
        return Ok(String::new());
    }
    // As they were asked for, in the order of that spelling.
    let mut installed: Vec<(&str, &str)> = plan
        .install
        .iter()
        .map(|wheel| (wheel.spelling.as_deref().unwrap_or(&wheel.name), wheel.version.as_str()))
        .collect();
    installed.sort_unstable();
    let installed: Vec<String> =
        installed.iter().map(|(name, version)| format!(" {name}-{version}")).collect();
    Ok(format!("Successfully installed{}\n", installed.concat()))
}

/// The plan with the files of its output.
pub(super) fn with(mut plan: Plan, context: &Context, said: String) -> Result<Plan, NotUnderstood> {
    let Some((last, others)) = context.outputs.split_last() else { return Ok(plan) };
    if plan.install.is_empty() {
        return Err(NotUnderstood::new("nothing to install, and the shell makes a file of its output"));
    }
    let directory = context.cwd.canonicalize().ok();
    let directory = directory.as_deref().and_then(|directory| directory.to_str());
    let directory = directory.ok_or_else(|| NotUnderstood::new("a working directory of an unusual name"))?;
    let mut add = |name: &str, content: String| {
        let path = format!("{}/{name}", directory.trim_end_matches('/'));
        match std::fs::symlink_metadata(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                // The umask is the usual one.
                plan.left.push(LeftFile { path, mode: 0o644, content });
                Ok(())
            }
            _ => Err(NotUnderstood::new(format!(
                "the shell writes its output to {path}, which is there already"
            ))),
        }
    };
    let mut empty: Vec<&String> = others.iter().filter(|name| *name != last).collect();
    empty.sort_unstable();
    empty.dedup();
    empty.into_iter().try_for_each(|name| add(name, String::new()))?;
    add(last, said)?;
    Ok(plan)
}
