//! Registries that break, lie and refuse: what is made of it, and what is said about it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod auth;
mod blobs;
mod images;
mod manifests;
mod mirrors;
mod pages;
mod patience;
mod server;
mod stop;

use std::io::Read as _;
use std::time::Duration;

use plinth_analyze::image::Found;
use plinth_analyze::source::{Blobs as _, Credentials, Options, Patience, Sources, Spec, find};

/// Nobody's credentials, and short pauses.
fn options() -> Options {
    Options {
        credentials: Credentials::of_document("{}"),
        patience: Patience {
            connect: Duration::from_secs(5),
            stall: Duration::from_secs(20),
            tries: 3,
            pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(50),
        },
        ..Options::default()
    }
}

/// For servers that say nothing more.
fn impatient() -> Options {
    let mut options = options();
    options.patience.stall = Duration::from_millis(300);
    options
}

fn look(options: &Options, specs: &[&str]) -> (Found, Sources) {
    let specs: Vec<_> = specs.iter().map(|spec| Spec::parse(spec).unwrap()).collect();
    find(&specs, options, &())
}

/// The one problem that there is.
fn problem(found: &Found) -> String {
    assert_eq!(found.problems.len(), 1, "{:?}", found.problems);
    format!("{}: {}", found.problems[0].what, found.problems[0].reason)
}

/// The bytes of the first layer, or why there are none.
fn first_layer(found: &Found, sources: &Sources) -> Result<Vec<u8>, String> {
    assert_eq!(found.problems, [], "before any layer is read");
    let mut bytes = Vec::new();
    let mut reader = sources.open(&found.images[0].layers[0].blob).map_err(|cause| cause.to_string())?;
    reader.read_to_end(&mut bytes).map_err(|cause| cause.to_string())?;
    Ok(bytes)
}
