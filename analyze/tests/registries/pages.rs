//! Lists in pages, honest and not.

use crate::images::Store;
use crate::server::{Reply, Server};
use crate::{look, options, problem};

fn tags(tags: &[&str]) -> Reply {
    Reply::ok(serde_json::json!({"name": "team/app", "tags": tags}).to_string())
}

fn next(reply: Reply, to: &str) -> Reply {
    reply.header("Link", format!("<{to}>; rel=\"next\""))
}

#[test]
fn page_after_page() {
    let mut store = Store::new();
    let manifest = store.manifests["1"].1.clone();
    for tag in ["2", "3", "b"] {
        store.tag(tag, crate::images::MANIFEST, manifest.clone());
    }
    let server = Server::start(move |request| match request.path.as_str() {
        "/v2/_catalog?n=1000" => {
            next(Reply::ok(r#"{"repositories":["team/app","../etc","Other"]}"#), "/v2/_catalog?n=1000&last=x")
        }
        "/v2/_catalog?n=1000&last=x" => Reply::ok(r#"{"repositories":["else/app"]}"#),
        "/v2/team/app/tags/list?n=1000" => next(tags(&["1", "2"]), "/v2/team/app/tags/list?n=1000&last=2"),
        "/v2/team/app/tags/list?n=1000&last=2" => tags(&["3", "b", "../x"]),
        _ => store.answer(request),
    });
    let (found, _) = look(&options(), &[&format!("{}/team/*:[0-9]", server.host)]);
    let names: Vec<_> = found.images.iter().map(|image| image.name.replace(&server.host, "HOST")).collect();
    assert_eq!(names, ["HOST/team/app:1", "HOST/team/app:2", "HOST/team/app:3"]);
    let problem = problem(&found);
    assert!(problem.contains("2 entries of the catalog are no names of repositories"), "{problem}");
    assert_eq!(server.asked("GET", "/manifests/"), 1, "it is the same under every tag");
    assert_eq!(server.asked("HEAD", "/manifests/"), 3);
    assert_eq!(server.asked("GET", "/blobs/"), 1, "the config");
}

fn problem_of(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> String {
    let server = Server::start(move |request| answer(&request.path));
    let (found, _) = look(&options(), &[&format!("{}/team/app", server.host)]);
    problem(&found)
}

#[test]
fn pages_that_go_in_circles() {
    let problem = problem_of(|_| next(tags(&["1"]), "/v2/team/app/tags/list?n=1000"));
    assert!(
        problem.ends_with("the list of tags of team/app goes in circles: a page leads to one before it"),
        "{problem}"
    );
}

#[test]
fn pages_without_end() {
    let problem =
        problem_of(|path| next(tags(&["1"]), &format!("/v2/team/app/tags/list?last={}", path.len())));
    assert!(problem.contains("goes in circles") || problem.contains("has no end"), "{problem}");
    let count = std::sync::atomic::AtomicUsize::new(0);
    let problem = problem_of(move |_| {
        let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        next(tags(&["1"]), &format!("/v2/team/app/tags/list?last={n}"))
    });
    assert!(problem.ends_with("has no end: one page after the other has nothing new"), "{problem}");
}

#[test]
fn pages_elsewhere() {
    let problem = problem_of(|_| next(tags(&["1"]), "http://127.0.0.2:9/v2/team/app/tags/list"));
    assert!(problem.ends_with("has its next page on another server"), "{problem}");
}

#[test]
fn lists_that_are_none() {
    assert!(problem_of(|_| Reply::ok("<html>")).ends_with("the list of tags of team/app is no JSON"));
    assert!(problem_of(|_| Reply::ok(r#"{"tags":7}"#)).ends_with("has no `tags`"));
    assert!(problem_of(|_| Reply::ok(r#"{"tags":null}"#)).ends_with("it has no tags"));
}

#[test]
fn no_catalog() {
    let server = Server::start(|_| Reply::new(404, ""));
    let (found, _) = look(&options(), &[&format!("{}/**", server.host)]);
    let problem = problem(&found);
    assert!(
        problem.contains("has no catalog; not every registry lists its repositories; name them: "),
        "{problem}"
    );
}

#[test]
fn repositories_that_have_nothing_left() {
    let store = Store::new();
    let server = Server::start(move |request| match request.path.as_str() {
        "/v2/_catalog?n=1000" => Reply::ok(r#"{"repositories":["gone","team/app"]}"#),
        "/v2/gone/tags/list?n=1000" => Reply::new(404, ""),
        _ => store.answer(request),
    });
    let (found, _) = look(&options(), &[&format!("{}/**", server.host)]);
    assert_eq!((found.images.len(), found.problems.len()), (1, 0));
    let (found, _) = look(&options(), &[&format!("{}/gone*", server.host)]);
    assert!(
        problem(&found).ends_with("/gone*: 1 repository is named so, it has no tag"),
        "{:?}",
        found.problems
    );
    let (found, _) = look(&options(), &[&format!("{}/**:v*", server.host)]);
    assert!(
        problem(&found).ends_with("2 repositories are named so, none has a tag v*"),
        "{:?}",
        found.problems
    );
    let (found, _) = look(&options(), &[&format!("{}/gone", server.host)]);
    assert!(problem(&found).ends_with("has no repository gone"));
}
