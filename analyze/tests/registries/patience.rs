//! Servers that want to be asked later.

use std::time::{Duration, Instant};

use crate::images::Store;
use crate::server::{Reply, Server};
use crate::{impatient, look, options, problem};

#[test]
fn retry_after_is_waited_for() {
    let store = Store::new();
    let server = Server::start(move |request| {
        if request.path.contains("/manifests/") && request.nth == 0 {
            return Reply::new(429, "").header("Retry-After", 1);
        }
        store.answer(request)
    });
    let mut options = options();
    options.patience.longest_pause = Duration::from_secs(5);
    let started = Instant::now();
    let (found, _) = look(&options, &[&format!("{}/team/app:1", server.host)]);
    assert_eq!((found.images.len(), found.problems.len()), (1, 0));
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[test]
fn but_not_for_ever() {
    let server = Server::start(|_| {
        let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow\ndown"}]}"#;
        Reply::new(429, body).header("Retry-After", 3600)
    });
    let started = Instant::now();
    let (found, _) = look(&options(), &[&format!("{}/team/app:1", server.host)]);
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(server.log().len(), 3);
    let problem = problem(&found);
    assert!(problem.contains("limits how much it is asked"), "{problem}");
    assert!(problem.contains("TOOMANYREQUESTS slow down"), "{problem}");
    assert!(problem.contains(&format!("`docker login {}`", server.host)), "{problem}");
}

#[test]
fn a_server_that_is_away_for_a_moment() {
    let store = Store::new();
    let server = Server::start(
        move |request| if request.nth == 0 { Reply::new(503, "") } else { store.answer(request) },
    );
    let (found, _) = look(&options(), &[&format!("{}/team/app:1", server.host)]);
    assert_eq!((found.images.len(), found.problems.len()), (1, 0));
}

#[test]
fn a_server_that_says_nothing() {
    let server = Server::start(|_| {
        std::thread::sleep(Duration::from_secs(2));
        Reply::ok("")
    });
    let (found, _) = look(&impatient(), &[&format!("{}/team/app:1", server.host)]);
    let problem = problem(&found);
    assert!(problem.ends_with("no answer in time (team/app:1)"), "{problem}");
}

#[test]
fn nobody_is_there() {
    let (found, _) = look(&options(), &["127.0.0.1:1/team/app:1"]);
    let problem = problem(&found);
    assert!(problem.starts_with("127.0.0.1:1/team/app:1: 127.0.0.1:1: "), "{problem}");
    assert!(problem.to_lowercase().contains("connection refused"), "{problem}");
}

#[test]
fn one_that_isnt_there_is_waited_for_once() {
    let mut options = options();
    options.patience.pause = Duration::from_millis(50);
    options.parallel = 1;
    let specs: Vec<_> = (0..100).map(|n| format!("127.0.0.1:1/team/app:{n}")).collect();
    let started = Instant::now();
    let (found, _) = look(&options, &specs.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(found.problems.len(), 100);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}
