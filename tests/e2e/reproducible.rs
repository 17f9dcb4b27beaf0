//! The same wheel is the same layer: on other builders, at another time, with another parallelism; and a registry
//! cache alone is enough to build nothing again.

use crate::pip::{BASE, wheels};
use crate::support::build::{Build, Side};
use crate::support::builder::Builder;
use crate::support::env::{Env, e2e};
use crate::support::files::Files;
use crate::support::image::Image;
use crate::support::index::Index;
use crate::support::report::Report;
use crate::support::tree::{Kind, Node};
use crate::support::wheel::Wheel;

fn service(index: &Index) -> Files {
    Files::dockerfile(&format!(
        "FROM {BASE}\nWORKDIR /app\nCOPY requirements.txt .\nRUN pip install --no-cache-dir -i {} -r requirements.txt\nCOPY app.py .\nCMD [\"python3\", \"app.py\"]\n",
        index.url()
    ))
    .with("requirements.txt", "alpha\ndatafull\nns-one\nns-two\n")
    .with("app.py", "import alpha\n")
}

/// Numbers, from below, of the payload layers and of the record layer.
fn installed(image: &Image) -> (Vec<usize>, usize) {
    let history = image.layer_history();
    let of = |test: &dyn Fn(&str) -> bool| {
        history.iter().enumerate().filter(|(_, by)| test(by)).map(|(at, _)| at).collect()
    };
    let record = "plinth: install records";
    let payloads: Vec<_> = of(&|by| by.starts_with("plinth: ") && by != record);
    let records: Vec<_> = of(&|by| by == record);
    assert!(!payloads.is_empty() && records.len() == 1, "payloads and one record: {history:#?}");
    (payloads, records[0])
}

/// The payloads are the same layers; the record is the same but for times of directories that were there before,
/// which are the base's or those of a step that this build ran.
#[track_caller]
fn same_layers(one: &Image, two: &Image) {
    let (payloads, record) = installed(one);
    assert_eq!(installed(two), (payloads.clone(), record));
    for at in payloads {
        assert_eq!(two.diff_ids()[at], one.diff_ids()[at], "{}", one.layer_history()[at]);
        assert_eq!(two.layers()[at], one.layers()[at], "compressed: {}", one.layer_history()[at]);
    }
    let (one, two) = (one.layer_tree(record), two.layer_tree(record));
    let differ: Vec<_> = one
        .nodes
        .iter()
        .filter(|(path, node)| two.nodes.get(*path) != Some(*node))
        .filter(|(path, node)| {
            let other = two.nodes.get(*path).map(|other| Node { mtime: node.mtime, ..other.clone() });
            node.kind != Kind::Directory || other.as_ref() != Some(*node)
        })
        .map(|(path, node)| (path, node, two.nodes.get(path)))
        .collect();
    assert!(differ.is_empty() && one.nodes.len() == two.nodes.len(), "the records differ: {differ:#?}");
    let times: Vec<_> = one
        .nodes
        .iter()
        .filter_map(|(path, node)| {
            let other = two.nodes[path].mtime;
            (other != node.mtime).then(|| format!("{path} {} {other}", node.mtime))
        })
        .collect();
    if !times.is_empty() {
        eprintln!("times of directories in the record layers: {times:#?}");
    }
}

#[test]
fn two_builders_make_the_same_layers() {
    let env = e2e!();
    let wheels = wheels();
    let index = Index::of(&wheels);
    let files = service(&index);
    let here = Build::new(env, Side::Plinth, files.path()).image();
    // The other one has no state, works on one step at a time and copies files instead of stacking them.
    let other = Builder::start(env, &["--oci-max-parallelism", "1", "--oci-worker-snapshotter", "native"]);
    // Enough that no time in a layer could be the same by chance.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let there = Build::new(env, Side::Plinth, files.path()).on(&other.host).image();
    same_layers(&here, &there);
}

/// Nothing changed, and nothing but the registry's cache is there.
#[test]
fn an_empty_builder_with_the_cache_of_a_registry() {
    let env = e2e!();
    let index = Index::of(&wheels());
    from_the_cache_alone(env, &index, &service(&index), "one-stage", &["assembled"]);
}

/// The same of a service whose last stage takes along what another one installed.
#[test]
fn an_empty_builder_with_the_cache_of_a_service_in_two_stages() {
    let env = e2e!();
    let big = (0..2_000).map(|i| format!("def f{i}():\n    return {i}\n")).collect::<String>();
    let index = Index::of(&[Wheel::simple("heavy", "1.0").file("heavy/big.py", big).make()]);
    let files = Files::dockerfile(&format!(
        "FROM {BASE} AS builder\nRUN pip install --no-cache-dir --user -i {} heavy\nFROM {BASE}\n\
         COPY --from=builder /root/.local /root/.local\nCMD [\"python3\"]\n",
        index.url()
    ));
    from_the_cache_alone(env, &index, &files, "two-stages", &["assembled", "carried"]);
}

/// The same of a service with an apt step that was taken out: what said so is among what its wheels rest on.
#[test]
fn an_empty_builder_with_the_cache_of_a_service_on_a_master() {
    let env = e2e!();
    let index = Index::of(&wheels());
    let files = Files::dockerfile(&format!(
        "FROM {}\nRUN apt-get update && apt-get install -y tool && rm -rf /var/lib/apt/lists/*\n\
         RUN pip install --no-cache-dir -i {} alpha\nCMD [\"python3\"]\n",
        crate::apt::master(env),
        index.url()
    ));
    from_the_cache_alone(env, &index, &files, "on-a-master", &["satisfied", "assembled"]);
}

#[track_caller]
fn from_the_cache_alone(env: &Env, index: &Index, files: &Files, name: &str, treatments: &[&str]) {
    let cache = format!("type=registry,ref={}/e2e/cache-{name}:1", env.registry);
    let first = Builder::start(env, &[]);
    let built = Build::new(env, Side::Plinth, files.path())
        .on(&first.host)
        .flag("--export-cache", format!("{cache},mode=max"))
        .layout()
        .run()
        .ok();
    let report = Report::of_build(&built).expect("a report");
    let found: Vec<_> = report.steps().iter().map(|step| step["treatment"].clone()).collect();
    assert_eq!(found, treatments);
    let digest = built.layout().top().digest;
    drop(first);

    index.server.requests();
    let second = Builder::start(env, &[]);
    let build = Build::new(env, Side::Plinth, files.path()).on(&second.host).flag("--import-cache", &cache);
    // Pushed, not exported: a push needs no layer that the registry has.
    let again = build.push(&format!("{}/e2e/{name}:1", env.registry)).run().ok();
    assert_eq!(again.digest(), digest);
    assert_eq!(index.server.requests(), Vec::<String>::new(), "neither index nor wheels are asked for");
    let ran: Vec<_> = again.progress.ran().into_iter().map(str::to_lowercase).collect();
    for word in ["pip install", "resolv", "payload", "record", "packages in", "the rest of", "ask apt"] {
        let found: Vec<_> = ran
            .iter()
            .filter(|name| {
                name.contains(word) && !name.contains("metadata") && !name.contains("image config")
            })
            .collect();
        assert!(found.is_empty(), "ran although cached: {found:?} of {ran:?}");
    }
    let pulled: Vec<_> = again
        .progress
        .vertices()
        .filter(|v| v.name.contains("FROM") && (v.name.contains(BASE) || v.name.contains("apt-master")))
        .flat_map(|v| v.statuses.iter())
        .filter(|status| status.starts_with("extracting") || status.starts_with("sha256:"))
        .collect();
    assert!(pulled.is_empty(), "the base was pulled: {pulled:?}");
}

/// Twice on one builder without its cache: what is made again is the same.
#[test]
fn made_again_without_the_cache() {
    let env = e2e!();
    let index = Index::of(&wheels());
    let files = service(&index);
    let first = Build::new(env, Side::Plinth, files.path()).image();
    let second = Build::new(env, Side::Plinth, files.path()).opt("no-cache", "").image();
    same_layers(&first, &second);
}
