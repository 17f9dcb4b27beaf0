//! A whole fleet, whatever becomes of its services: each is built plain and through plinth, and what came of it is
//! written down. `hack/fleet-run` runs this and makes a table of it.
//!
//! A service that fails plain has to fail through plinth at the same instruction, with the same error; what it has in
//! front of that instruction is then compared by itself. Nothing stops the run: a difference is a line of the results too.
//!
//! | variable | |
//! |---|---|
//! | `PLINTH_FLEET` | the directory of services that `plinth-fleet generate` wrote |
//! | `PLINTH_FLEET_DECIDED` | a directory of services that are only decided about, if there are such |
//! | `PLINTH_FLEET_RESULTS` | a file with one JSON document per line and service, which is added to; services in it are left out |
//! | `PLINTH_FLEET_BATCH` | so many services share a builder with an empty cache, which is deleted behind them; 8 if it isn't set |

mod decided;
mod dockerfile;
mod record;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::builder::Builder;
use crate::support::env::{Env, e2e};

fn need(name: &str) -> PathBuf {
    PathBuf::from(std::env::var_os(name).unwrap_or_else(|| panic!("{name} isn't set")))
}

/// The services that the results have already.
fn done(results: &str) -> BTreeSet<String> {
    let records =
        results.lines().map(|line| serde_json::from_str::<Value>(line).expect("results are JSON lines"));
    records.map(|record| record["service"].as_str().expect("a result names its service").to_owned()).collect()
}

/// The same environment with another builder.
fn on(env: &Env, host: &str) -> Env {
    Env {
        host: host.to_owned(),
        registry: env.registry.clone(),
        frontend: env.frontend.clone(),
        buildkitd_config: env.buildkitd_config.clone(),
    }
}

/// The way to a record of a service.
type How = fn(&Env, &Path) -> Value;

/// The services in a directory, by name.
fn services(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let sorted: BTreeSet<PathBuf> = entries.filter(|entry| entry.join("Dockerfile").is_file()).collect();
    sorted.into_iter()
}

#[test]
#[ignore = "hours; needs a generated fleet in PLINTH_FLEET and a file for PLINTH_FLEET_RESULTS"]
fn whole_fleet() {
    let env = e2e!();
    let (fleet, results) = (need("PLINTH_FLEET"), need("PLINTH_FLEET_RESULTS"));
    let batch = std::env::var("PLINTH_FLEET_BATCH").map_or(8, |text| text.parse().expect("a number"));
    let done = done(&fs::read_to_string(&results).unwrap_or_default());
    let mut services: Vec<(PathBuf, How)> =
        services(&fleet).map(|one| (one, record::compared as How)).collect();
    if let Some(decided) = std::env::var_os("PLINTH_FLEET_DECIDED") {
        services.extend(self::services(Path::new(&decided)).map(|one| (one, decided::of as How)));
    }
    services.retain(|(directory, _)| !done.contains(&record::name(directory)));
    let mut out: File = OpenOptions::new().create(true).append(true).open(&results).unwrap();
    for batch in services.chunks(batch) {
        let builder = Builder::start(env, &[]);
        let env = on(env, &builder.host);
        for (directory, how) in batch {
            let record = record::of(&env, directory, *how);
            eprintln!("{}", record::line(&record));
            // What this machine kept from being built is left for the next run.
            if let Some(why) = record["broken"].as_str() {
                eprintln!("{why}");
                continue;
            }
            out.write_all(format!("{record}\n").as_bytes()).unwrap();
        }
    }
}
