//! Generated services: plain and through plinth they fail alike, or give the same tree and config.
//!
//! What becomes of a step is plinth's to say; here only the result counts, and that enough of the steps are more than run
//! as written.
//!
//! | variable | |
//! |---|---|
//! | `PLINTH_GENERATED_COUNT` | services to build; 24 if not set |
//! | `PLINTH_GENERATED_SEED` | another number gives other services |
//! | `PLINTH_GENERATED_ONLY` | the number of the one service to build, as a failure names it |

mod services;
mod target;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use self::services::{ALWAYS, FILES, Service, service};
use crate::pip::{same_config, wheels};
use crate::support::build::{Build, Built, Side};
use crate::support::bytecode;
use crate::support::compare::{Exception, Sides, compare_trees};
use crate::support::env::{Env, e2e};
use crate::support::files::Files;
use crate::support::index::Index;
use crate::support::report::Report;
use crate::support::wheel::{Made, Wheel};

/// Builds at a time: most of a build is waiting.
const AT_ONCE: usize = 3;

/// Smaller services that are tried where one comes out different.
const SMALLER: usize = 12;

/// The fleet of wheels, and two that are big enough for a layer of their own.
fn index() -> Index {
    let big = |name: &str, version: &str| {
        let module = (0..500).map(|i| format!("def f{i}():\n    return {i}\n")).collect::<String>();
        // Big enough for a step that runs to be split.
        let data = format!("{name} {version}\n").repeat(30_000);
        Wheel::simple(name, version)
            .file(&format!("{name}/big.py"), module)
            .file(&format!("{name}/data.txt"), data)
            .file(&format!("{name}/v{}.py", &version[..1]), "X = 1\n")
            .file(&format!("{name}/tests/test_it.py"), "assert True\n")
            .script(&format!("{name}-tool"), &format!("{name}.big:f0"))
            .make()
    };
    let more: Vec<Made> = vec![
        big("heavy", "1.0"),
        big("heavy", "2.0"),
        big("bulky", "1.0"),
        Wheel::simple("uvicorn", "1.0").metadata("Provides-Extra: x").make(),
    ];
    Index::of(&[wheels(), more].concat())
}

/// How a service came out: what became of its steps, if it builds at all.
struct Outcome {
    failed: bool,
    treatments: Vec<String>,
}

/// Builds a service on both sides and compares them. The error says what is different.
fn outcome(env: &Env, index: &Index, service: &Service) -> Result<Outcome, String> {
    let files = Files::dockerfile(&service.dockerfile(&index.url()));
    let some = service.files.iter().map(|at| &FILES[*at]);
    for (path, text) in ALWAYS.iter().chain(some) {
        files.write(path, text);
    }
    let [plain, plinth] = Side::BOTH.map(|side| Build::new(env, side, files.path()).layout().run());
    let treatments: Vec<String> =
        Report::of_build(&plinth).map(|report| report.treatments()).unwrap_or_default();
    match (plain.code, plinth.code) {
        (Some(0), Some(0)) => {}
        (Some(1), Some(1)) => {
            let (plain, plinth) = (failure(&plain), failure(&plinth));
            return if plain == plinth {
                eprintln!("fails alike: {}", plain.join("; "));
                Ok(Outcome { failed: true, treatments })
            } else {
                Err(format!("fails in another way\nplain: {plain:?}\nplinth: {plinth:?}"))
            };
        }
        (a, b) => {
            let log = if b == Some(0) { plain.stderr } else { plinth.stderr };
            return Err(format!(
                "plain ends with {a:?}, plinth with {b:?}; the one that fails:\n{}",
                tail(&log)
            ));
        }
    }
    let report = Report::of_build(&plinth).map(|report| report.json()).unwrap_or_default();
    let (plain, plinth) = (plain.layout().image(), plinth.layout().image());
    let base = Files::dockerfile(&format!("FROM {}\n", service.base));
    let base = Build::new(env, Side::Plain, base.path()).image().tree();
    let home = plain.config["config"]["Env"].as_array().into_iter().flatten();
    let home =
        home.filter_map(|entry| entry.as_str()?.strip_prefix("HOME=/")).next().unwrap_or("root").to_owned();
    let (a, b) = (plain.tree(), plinth.tree());
    let found = compare_trees(&Sides { base: &base, plain: &a, plinth: &b, home: &home }, &Exception::ALL);
    let found = bytecode::compare(env, service.base, found);
    if !found.differences.is_empty() {
        let shown: Vec<String> = found.differences.iter().take(20).map(ToString::to_string).collect();
        return Err(format!("{} differences:\n{}\n{report}", found.differences.len(), shown.join("\n")));
    }
    same_config(&plain, &plinth);
    plinth.check();
    Ok(Outcome { failed: false, treatments })
}

/// Which line of the Dockerfile a build fails at, and how.
fn failure(built: &Built) -> Vec<String> {
    let said = built.error();
    said.lines()
        .filter(|line| line.starts_with("Dockerfile:") || line.starts_with("error: "))
        .map(str::to_owned)
        .collect()
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// The same, with what a panic says as an error.
fn caught(env: &Env, index: &Index, service: &Service) -> Result<Outcome, String> {
    catch_unwind(AssertUnwindSafe(|| outcome(env, index, service))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
    })
}

/// A service that is different, made as small as a few builds allow.
fn smallest(env: &Env, index: &Index, mut service: Service, mut why: String) -> (Service, String) {
    let mut left = SMALLER;
    'again: loop {
        for smaller in service.smaller() {
            if left == 0 {
                return (service, why);
            }
            left -= 1;
            if let Err(still) = caught(env, index, &smaller) {
                (service, why) = (smaller, still);
                continue 'again;
            }
        }
        return (service, why);
    }
}

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

#[test]
fn services_are_equal() {
    let env = e2e!();
    let seed = number("PLINTH_GENERATED_SEED").unwrap_or(1);
    let count = number("PLINTH_GENERATED_COUNT").unwrap_or(24) as usize;
    let bytes: Vec<u8> = seed.to_le_bytes().into_iter().cycle().take(32).collect();
    let mut runner =
        TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let services: Vec<Service> =
        (0..count).map(|_| service().new_tree(&mut runner).unwrap().current()).collect();
    let only = number("PLINTH_GENERATED_ONLY").map(|only| only as usize);

    let index = index();
    let (next, done, different) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(service) = services.get(at) else { break };
                    if only.is_some_and(|only| only != at) {
                        continue;
                    }
                    match caught(env, &index, service) {
                        Ok(outcome) => {
                            eprintln!("service {at} is equal: {:?}", outcome.treatments);
                            done.lock().unwrap().push(outcome);
                        }
                        Err(why) => {
                            eprintln!("service {at} of {seed} is different: {why}");
                            let found = smallest(env, &index, service.clone(), why);
                            different.lock().unwrap().insert(at, found);
                        }
                    }
                }
            });
        }
    });

    let mut message = String::new();
    for (at, (service, why)) in different.into_inner().unwrap() {
        let text = service.dockerfile("INDEX");
        let files: Vec<&str> = service.files.iter().map(|at| FILES[*at].0).collect();
        write!(message, "\nservice {at} of PLINTH_GENERATED_SEED={seed}, with {files:?}:\n{text}\n{why}\n")
            .unwrap();
    }
    assert!(message.is_empty(), "{message}");
    let done = done.into_inner().unwrap();
    let of = |what: &str| done.iter().flat_map(|done| &done.treatments).filter(|t| *t == what).count();
    let steps: usize = done.iter().map(|done| done.treatments.len()).sum();
    let failed = done.iter().filter(|done| done.failed).count();
    let said = format!(
        "{} services, {failed} of which fail alike; {steps} install steps: {} assembled, {} split, {} satisfied, {} as written",
        done.len(),
        of("assembled"),
        of("split"),
        of("satisfied"),
        of("as_written")
    );
    eprintln!("{said}");
    if env.frontend.is_some() && only.is_none() {
        assert!(failed * 3 <= done.len(), "too many fail: {said}");
        assert!((steps - of("as_written")) * 100 >= steps * 40, "too few steps are understood: {said}");
    }
}
