//! Real services: every service of a generated fleet gives the same tree and config through plinth.
//!
//! `PLINTH_FLEET` names the directory of services that `plinth-fleet generate` wrote; `hack/test` generates the demo set,
//! and `hack/trees` all the dev services.

use std::fs;
use std::path::{Path, PathBuf};

use crate::pip::{before, compare, same_config};
use crate::support::build::{Build, Side};
use crate::support::env::{Env, e2e};
use crate::support::files::Files;
use crate::support::report::Report;

/// All files below `from` into `files`, at the same paths.
pub(crate) fn copy(from: &Path, at: &str, files: &Files) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let name = format!("{at}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &format!("{name}/"), files);
        } else {
            files.write(&name, fs::read(entry.path()).unwrap());
        }
    }
}

/// Builds a service on both sides, compares, and says what became of its steps.
fn service(env: &Env, directory: &Path) -> Vec<String> {
    let files = Files::dockerfile(&fs::read_to_string(directory.join("Dockerfile")).unwrap());
    copy(directory, "", &files);
    let [plain, plinth] = Side::BOTH.map(|side| Build::new(env, side, files.path()).layout().run().ok());
    let treatments = Report::of_build(&plinth).map(|report| report.treatments()).unwrap_or_default();
    let (plain, plinth) = (plain.layout().image(), plinth.layout().image());
    let comparison = compare(env, &plain, &plinth, &before(env, &files));
    comparison.assert_equal();
    same_config(&plain, &plinth);
    treatments
}

#[test]
#[ignore = "needs a generated fleet in PLINTH_FLEET"]
fn every_service_is_equal() {
    let env = e2e!();
    let fleet =
        PathBuf::from(std::env::var_os("PLINTH_FLEET").expect("PLINTH_FLEET names a directory of services"));
    let mut services: Vec<PathBuf> =
        fs::read_dir(&fleet).unwrap().map(|entry| entry.unwrap().path()).collect();
    services.retain(|directory| directory.join("Dockerfile").is_file());
    services.sort();
    assert!(!services.is_empty(), "no service in {}", fleet.display());
    let mut assembled = 0;
    for directory in &services {
        let treatments = service(env, directory);
        assembled += treatments.iter().filter(|treatment| *treatment == "assembled").count();
        eprintln!("equal: {} {treatments:?}", directory.file_name().unwrap().to_string_lossy());
    }
    eprintln!("{} services equal, {assembled} steps assembled", services.len());
    if env.frontend.is_some() {
        assert!(assembled > 0, "nothing was assembled");
    }
}
