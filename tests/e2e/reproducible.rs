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

fn service(index: &Index) -> Files {
    Files::dockerfile(&format!(
        "FROM {BASE}\nWORKDIR /app\nCOPY requirements.txt .\nRUN pip install --no-cache-dir -i {} -r requirements.txt\nCOPY app.py .\nCMD [\"python3\", \"app.py\"]\n",
        index.url()
    ))
    .with("requirements.txt", "alpha\ndatafull\nns-one\nns-two\n")
    .with("app.py", "import alpha\n")
}

/// Diff IDs of the layers that neither the base nor the steps around brought: history knows the install step's.
fn installed(env: &Env, image: &Image) -> Vec<String> {
    let base =
        Build::new(env, Side::Plain, Files::dockerfile(&format!("FROM {BASE}\n")).path()).image().diff_ids();
    let history = image.layer_history();
    let ids = image.diff_ids();
    // WORKDIR and the COPYs carry build times in their layers, the steps between them don't.
    ids.into_iter()
        .zip(history)
        .filter(|(id, by)| !base.contains(id) && !by.starts_with("WORKDIR") && !by.starts_with("COPY"))
        .map(|(id, _)| id)
        .collect()
}

#[test]
fn two_builders_make_the_same_layers() {
    let env = e2e!();
    let wheels = wheels();
    let index = Index::of(&wheels);
    let files = service(&index);
    let here = Build::new(env, Side::Plinth, files.path()).image();
    let ids = installed(env, &here);
    assert!(ids.len() >= 2, "payloads and a record: {:#?}", here.layer_history());
    // The other one has no state, works on one step at a time and copies files instead of stacking them.
    let other = Builder::start(env, &["--oci-max-parallelism", "1", "--oci-worker-snapshotter", "native"]);
    // Enough that no time in a layer could be the same by chance.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let there = Build::new(env, Side::Plinth, files.path()).on(&other.host).image();
    assert_eq!(installed(env, &there), ids);
    let compressed = |image: &Image| {
        image
            .layers()
            .into_iter()
            .zip(image.diff_ids())
            .filter(|(_, id)| ids.contains(id))
            .collect::<Vec<_>>()
    };
    assert_eq!(compressed(&there), compressed(&here));
}

/// Nothing changed, and nothing but the registry's cache is there.
#[test]
fn an_empty_builder_with_the_cache_of_a_registry() {
    let env = e2e!();
    let index = Index::of(&wheels());
    let files = service(&index);
    let cache = format!("type=registry,ref={}/e2e/cache-reproducible:1", env.registry);
    let first = Builder::start(env, &[]);
    let built = Build::new(env, Side::Plinth, files.path())
        .on(&first.host)
        .flag("--export-cache", format!("{cache},mode=max"))
        .layout()
        .run()
        .ok();
    assert_eq!(Report::of_build(&built).map(|r| r.treatments()), Some(vec!["assembled".to_owned()]));
    let digest = built.layout().top().digest;
    drop(first);

    index.server.requests();
    let second = Builder::start(env, &[]);
    let build = Build::new(env, Side::Plinth, files.path()).on(&second.host).flag("--import-cache", &cache);
    // Pushed, not exported: a push needs no layer that the registry has.
    let again = build.push(&format!("{}/e2e/reproducible:1", env.registry)).run().ok();
    assert_eq!(again.digest(), digest);
    assert_eq!(index.server.requests(), Vec::<String>::new(), "neither index nor wheels are asked for");
    let ran: Vec<_> = again.progress.ran().into_iter().map(str::to_lowercase).collect();
    for word in ["pip install", "resolv", "payload", "record"] {
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
        .filter(|v| v.name.contains("FROM") && v.name.contains(BASE))
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
    assert_eq!(installed(env, &second), installed(env, &first));
}
