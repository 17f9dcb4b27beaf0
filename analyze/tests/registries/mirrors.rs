//! Mirrors: asked first, and the registry itself where they fail.

use crate::images::{Store, layer};
use crate::server::{Reply, Request, Server};
use crate::{first_layer, look, options, problem};

#[test]
fn the_mirror_is_asked_first() {
    let store = Store::new();
    let mirror = Server::start(move |request| store.answer(request));
    let origin = Server::start(|_| Reply::new(500, ""));
    let mut options = options();
    options.mirrors.push(format!("{}={}/hub", origin.host, mirror.host).parse().unwrap());
    let (found, sources) = look(&options, &[&format!("{}/team/app:1", origin.host)]);
    assert_eq!(found.images[0].name, format!("{}/team/app:1", origin.host), "named as it was asked for");
    assert!(first_layer(&found, &sources) == Ok(layer()));
    assert_eq!(origin.log().len(), 0);
    assert!(mirror.log().iter().all(|request| request.path.starts_with("/v2/hub/team/app/")));
}

#[test]
fn the_registry_itself_where_a_mirror_fails() {
    let (good, broken) = (Store::new(), Store::new());
    let origin = Server::start(move |request| good.answer(request));
    // It has no manifests, and only the beginning of blobs.
    let mirror = Server::start(move |request| {
        if request.path.contains("/manifests/") {
            return Reply::new(404, "");
        }
        Reply { cut: Some(1000), ..broken.answer(request) }
    });
    let mut options = options();
    options.mirrors.push(format!("{}={}", origin.host, mirror.host).parse().unwrap());
    let (found, sources) = look(&options, &[&format!("{}/team/app:1", origin.host)]);
    assert!(first_layer(&found, &sources) == Ok(layer()));
    let from: Vec<_> = origin.log().iter().filter_map(Request::from).collect();
    assert_eq!(from, [3000], "where the mirror gave up");
}

#[test]
fn both_are_named_where_both_fail() {
    let servers = [Server::start(|_| Reply::new(404, "")), Server::start(|_| Reply::new(403, ""))];
    let mut options = options();
    options.mirrors.push(format!("{}={}", servers[0].host, servers[1].host).parse().unwrap());
    let (found, _) = look(&options, &[&format!("{}/team/app:1", servers[0].host)]);
    let problem = problem(&found);
    assert!(problem.contains(&format!("{} denies access to team/app:1; and ", servers[1].host)), "{problem}");
    assert!(problem.ends_with(&format!("{} has no team/app:1", servers[0].host)), "{problem}");
}
