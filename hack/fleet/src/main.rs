//! `plinth-fleet`: generates service directories from the facts of a fleet.

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand, ValueEnum};
use plinth_fleet::coverage;
use plinth_fleet::dockerfile::Images;
use plinth_fleet::facts::{Fleet, Service};
use plinth_fleet::generate;
use plinth_fleet::select::{Set, select};
use plinth_fleet::stage::Changes;
use plinth_fleet::vary::varied;
use std::io::Write as _;
use std::path::PathBuf;

#[derive(Parser)]
#[command(about = "Service directories with the facts of a real fleet")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a directory per service: Dockerfile, requirement files, stub application
    Generate {
        /// Where the directories go
        #[arg(long)]
        out: PathBuf,
        #[arg(long, value_enum, default_value = "dev")]
        set: SetName,
        /// Only these services, by name or directory name
        #[arg(long, num_args = 1..)]
        only: Vec<String>,
        /// So many services: the set again and again, below copy-1, copy-2, …
        #[arg(long, value_name = "N")]
        count: Option<usize>,
        /// Every second service of the copies asks for a part of what the real one asks for
        #[arg(long)]
        vary: bool,
        /// Put this registry (and path) in front of every base image
        #[arg(long)]
        registry: Option<String>,
        /// Use another base image instead (repeatable)
        #[arg(long, value_name = "FROM=TO", value_parser = pair)]
        base: Vec<(String, String)>,
        /// Keep missing files missing and invalid lines invalid in dev services too: they then fail to build
        #[arg(long)]
        as_found: bool,
        /// Leave out distribution packages and what needs them
        #[arg(long)]
        without_apt: bool,
    },
    /// Print what became of the install steps, by form, as Markdown
    Table {
        /// The results of hack/fleet-run
        results: PathBuf,
    },
    /// Print name, directory, class, pip step forms and requirement count, tab-separated
    List {
        #[arg(long, value_enum, default_value = "all")]
        set: SetName,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum SetName {
    Demo,
    Dev,
    All,
}

impl From<SetName> for Set {
    fn from(name: SetName) -> Self {
        match name {
            SetName::Demo => Self::Demo,
            SetName::Dev => Self::Dev,
            SetName::All => Self::All,
        }
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (from, to) = text.split_once('=').ok_or("give it as FROM=TO")?;
    Ok((from.to_owned(), to.to_owned()))
}

fn main() -> Result<()> {
    let fleet = Fleet::load().context("the facts are damaged")?;
    let mut stdout = std::io::stdout().lock();
    match Args::parse().command {
        Command::Generate { out, set, only, count, vary, registry, base, as_found, without_apt } => {
            let images = Images { registry, instead: base };
            let changes = Changes { as_found, without_apt };
            let services = select(&fleet, set.into(), &only)?;
            for number in 0..count.unwrap_or(services.len()) {
                let Some(service) = services.get(number % services.len().max(1)) else { break };
                let copy = number / services.len();
                let out = match copy {
                    0 => out.clone(),
                    copy => out.join(format!("copy-{copy}")),
                };
                let part = (vary && copy > 0 && (copy + number) % 2 == 1)
                    .then(|| varied(&fleet, service, number as u64));
                let dir = match &part {
                    Some((fleet, service)) => generate::write(&out, fleet, service, &images, &changes)?,
                    None => generate::write(&out, &fleet, service, &images, &changes)?,
                };
                writeln!(stdout, "{}", dir.display())?;
            }
        }
        Command::Table { results } => {
            let text = std::fs::read_to_string(&results)
                .with_context(|| format!("can't read {}", results.display()))?;
            stdout.write_all(coverage::tables(&fleet, &coverage::read(&text)?)?.as_bytes())?;
        }
        Command::List { set } => {
            for service in select(&fleet, set.into(), &[])? {
                writeln!(stdout, "{}", row(service))?;
            }
        }
    }
    Ok(())
}

fn row(service: &Service) -> String {
    let forms: Vec<&str> = service.pip.iter().map(|step| step.form.as_str()).collect();
    let forms = if forms.is_empty() { "-".to_owned() } else { forms.join(",") };
    format!(
        "{}\t{}\t{} ({})\t{forms}\t{}",
        service.name,
        service.slug(),
        service.class,
        service.reason,
        service.requirement_count()
    )
}
