//! `plinth move DIR… --to X.Y`: which services can move to another Python, before anybody builds them.

use plinth_plan::{Move, Verdict, moves};

use crate::cli::{Outcome, json, print};
use crate::failure::Failure;
use crate::planning::{Asked, failure};
use crate::table::{plain, row, table, text};
use crate::ui::{Progress, note};

/// The arguments of `plinth move`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    asked: Asked,
    /// The Python to move to
    #[arg(long, value_name = "X.Y")]
    to: String,
    /// Print the verdicts as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command. Exit code 1 if some service can't move as it is.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let version = args.to.split_once('.').filter(|(major, _)| *major == "3");
    if version.is_none_or(|(_, minor)| minor.parse::<u32>().is_err()) {
        return Err(Failure::new(format!("`{}` is no version of Python", args.to)).hint("it looks like 3.13"));
    }
    let (sets, uv) = (args.asked.sets(&args.asked.fleet()?)?, args.asked.uv());
    let progress = Progress::new();
    let found = moves(&sets, &uv, &args.to, &mut |phase, what| progress.phase(phase, what));
    progress.finish();
    let found = found.map_err(failure)?;
    if found.is_empty() {
        note(&format!("no service has a Python older than {}", args.to));
    }
    match args.json {
        true => print(&json(&found.iter().map(entry).collect::<Vec<_>>())?)?,
        false if found.is_empty() => {}
        false => print(&told(&found, &args.to))?,
    }
    let all = found.iter().all(|one| one.verdict == Verdict::Moves);
    Ok(if all { Outcome::Done } else { Outcome::Finding })
}

fn verdict(one: &Move) -> &'static str {
    match one.verdict {
        Verdict::Moves => "moves",
        Verdict::AfterChanges => "after changes",
        Verdict::Stays { .. } => "stays",
    }
}

/// What has to change, one after the other.
fn changes(one: &Move, to: &str) -> Vec<String> {
    let change = |change: &plinth_plan::Change| match &change.first {
        Some(version) => {
            format!("{}: the first version for {to} is {version}", change.requirement)
        }
        None => format!("{}: there is no version for {to}", change.requirement),
    };
    one.changes.iter().map(change).collect()
}

/// A resolver can explain at length; JSON has all of it.
fn shortened(reason: &str) -> String {
    const ENOUGH: usize = 220;
    match reason.char_indices().nth(ENOUGH) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}

fn told(found: &[Move], to: &str) -> String {
    let count = |wanted: &str| -> usize {
        found.iter().filter(|one| verdict(one) == wanted).map(|one| one.set.services.len()).sum()
    };
    let mut out = format!(
        "to Python {to}: {} move as they are, {} after changes, {} stay\n",
        count("moves"),
        count("after changes"),
        count("stays")
    );
    let mut rows = table(&["services", "from", "verdict", "why"]);
    for one in found.iter().filter(|one| one.verdict != Verdict::Moves) {
        let mut why = changes(one, to);
        if one.changes.iter().any(|change| change.first.is_none()) {
            // The reason says so.
            why.retain(|text| !text.contains(": there is no version"));
        }
        if let Verdict::Stays { reason } = &one.verdict {
            why.insert(0, shortened(reason));
        }
        let texts =
            [one.set.services.join(", "), one.set.python.clone(), verdict(one).into(), why.join("; ")];
        rows.add_row(row(texts.map(|text| plain(&text))));
    }
    if count("moves") < found.iter().map(|one| one.set.services.len()).sum() {
        out.push_str(&format!("\n{}\n", text(rows)));
    }
    let mut unread: Vec<&String> = found.iter().flat_map(|one| &one.unread).collect();
    unread.sort();
    unread.dedup();
    if !unread.is_empty() {
        let names: Vec<&str> = unread.into_iter().map(String::as_str).collect();
        out.push_str(&format!("\nnot read, so that their imports aren't known: {}\n", names.join(", ")));
    }
    out
}

fn entry(one: &Move) -> serde_json::Value {
    let changes: Vec<_> = one
        .changes
        .iter()
        .map(|change| serde_json::json!({ "requirement": change.requirement, "first": change.first }))
        .collect();
    let reason = match &one.verdict {
        Verdict::Stays { reason } => Some(reason),
        _ => None,
    };
    serde_json::json!({
        "services": one.set.services, "requirements": one.set.requirements, "from": one.set.python, "verdict": verdict(one).replace(' ', "_"),
        "reason": reason, "changes": changes, "unread": one.unread,
    })
}
