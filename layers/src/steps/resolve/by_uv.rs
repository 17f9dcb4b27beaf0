//! What uv would install, with the versions of the lock if that covers it.
//!
//! Where the lock has everything that uv could find on the step's index, uv is given stand-ins of its wheels, and no index:
//! see [`super::stubs`].

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::before::asked_of_uv;
use super::stubs::{DEFAULT_INDEX, Stubs};
use super::{Context, NoPlan, failed, scratch};
use crate::lock::Lock;
use crate::pip::PipCommand;
use crate::resolution::{Locked, Plan};
use crate::uv::{self, Given};

/// Resolves a uv command.
pub(super) fn plan(context: &Context, command: &PipCommand) -> Result<Plan, NoPlan> {
    let asked = asked_of_uv(context, command);
    if let (Some(lock), Ok(asked)) = (&context.lock, &asked)
        && let Some(plan) = without_index(context, command, lock, asked)?
    {
        return Ok(plan);
    }
    // Which interpreter it is for, uv itself has to say.
    let plan = ask(context, command, scratch()?.path(), Given::default())?;
    let Some(lock) = &context.lock else { return Ok(plan) };
    let pins = asked.and_then(|asked| lock.cover(python(&plan), &asked));
    let outside = |reason: &str, plan: Plan| Plan { locked: Some(Locked::outside(reason)), ..plan };
    let pins = match pins {
        Ok(pins) => pins,
        Err(reason) => return Ok(outside(&reason, plan)),
    };
    let scratch = scratch()?;
    let file = constraints(scratch.path(), &pins)?;
    match ask(context, command, scratch.path(), Given { constraints: Some(&file), wheels: None }) {
        Ok(plan) => Ok(Plan { locked: Some(Locked::Covered), ..plan }),
        Err(NoPlan::Failed(_)) => Ok(outside("uv finds no answer with the versions of the lock", plan)),
        Err(refused) => Err(refused),
    }
}

fn ask(context: &Context, command: &PipCommand, scratch: &Path, given: Given<'_>) -> Result<Plan, NoPlan> {
    Ok(uv::plan(command, &context.env, &context.cwd, scratch, given)?)
}

/// The versions of the lock in a file.
fn constraints(scratch: &Path, pins: &[String]) -> Result<PathBuf, NoPlan> {
    let file = scratch.join("locked.txt");
    fs::write(&file, pins.join("\n") + "\n").map_err(failed("write the versions of the lock"))?;
    Ok(file)
}

/// `X.Y` of the interpreter that a plan is for.
fn python(plan: &Plan) -> &str {
    plan.interpreter.version.rsplit_once('.').map_or("", |(python, _)| python)
}

/// The answer that needs no index, if the lock has all for one. Whatever goes wrong on the way, the index may do better.
fn without_index(
    context: &Context,
    command: &PipCommand,
    lock: &Lock,
    asked: &BTreeSet<String>,
) -> Result<Option<Plan>, NoPlan> {
    let Some(index) = index(command, &context.env) else { return Ok(None) };
    // One after the other: the interpreter is known only when uv has found one.
    let pythons: BTreeSet<&str> = lock.set.iter().map(|set| set.python.as_str()).collect();
    for wanted in pythons {
        let Ok(pins) = lock.cover(wanted, asked) else { continue };
        let scratch = scratch()?;
        let Ok(Some(stubs)) = Stubs::write(lock, wanted, &pins, scratch.path()) else { continue };
        if stubs.index() != index {
            continue;
        }
        // What is installed already has to be one of these versions, too.
        let file = constraints(scratch.path(), &pins)?;
        let given = Given { constraints: Some(&file), wheels: Some(stubs.wheels()) };
        match ask(context, command, scratch.path(), given) {
            Ok(plan) if python(&plan) == wanted => {
                return Ok(Some(Plan { locked: Some(Locked::Covered), ..plan }));
            }
            Ok(_) | Err(NoPlan::Failed(_) | NoPlan::NotUnderstood(_)) => {}
        }
    }
    Ok(None)
}

/// The one index that a command goes by, without a slash at its end; none if it names indexes itself, or there are
/// several.
fn index<'a>(command: &PipCommand, env: &'a [(String, String)]) -> Option<&'a str> {
    const OPTIONS: [&str; 4] = ["--index-url", "--extra-index-url", "--index", "--default-index"];
    if OPTIONS.iter().any(|name| command.has(name)) {
        return None;
    }
    let get = |name: &str| {
        let found = env.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    };
    if get("UV_INDEX").or(get("UV_EXTRA_INDEX_URL")).is_some() {
        return None;
    }
    let index = match (get("UV_DEFAULT_INDEX"), get("UV_INDEX_URL")) {
        // Which of the two goes first is uv's affair.
        (Some(one), Some(other)) if one != other => return None,
        (one, other) => one.or(other).unwrap_or(DEFAULT_INDEX),
    };
    Some(index.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn indexes() {
        let of = |words: &str, env: &[(&str, &str)]| {
            let argv: Vec<String> = words.split(' ').map(str::to_owned).collect();
            let env: Vec<_> =
                env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            index(&PipCommand::parse(&argv).unwrap(), &env).map(str::to_owned)
        };
        let plain = "uv pip install a";
        assert_eq!(of(plain, &[]).as_deref(), Some("https://pypi.org/simple"));
        for name in ["UV_DEFAULT_INDEX", "UV_INDEX_URL"] {
            assert_eq!(of(plain, &[(name, "http://h/simple/")]).as_deref(), Some("http://h/simple"));
            assert_eq!(of(plain, &[(name, "")]).as_deref(), Some("https://pypi.org/simple"));
        }
        assert_eq!(of(plain, &[("UV_DEFAULT_INDEX", "http://h"), ("UV_INDEX_URL", "http://i")]), None);
        assert_eq!(of(plain, &[("UV_INDEX", "http://h")]), None);
        assert_eq!(of(plain, &[("UV_EXTRA_INDEX_URL", "http://h")]), None);
        for option in ["-i", "--extra-index-url", "--index", "--default-index"] {
            assert_eq!(of(&format!("uv pip install {option} http://h a"), &[]), None, "{option}");
        }
    }
}
