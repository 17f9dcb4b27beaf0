//! Who asks to stop doesn't wait for a server, and who waits is told what for.

use std::io::Read as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use plinth_analyze::source::{Blobs as _, Counts, Options, Progress, Spec, find};

use crate::images::Store;
use crate::options;
use crate::server::{Reply, Server};

/// Looks for an image and asks to stop after a moment; how long it takes from there.
fn stopped(options: &Options, specs: &[String]) -> Duration {
    let specs: Vec<_> = specs.iter().map(|spec| Spec::parse(spec).unwrap()).collect();
    let stop = Arc::clone(&options.stop);
    let asked = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        stop.store(true, Ordering::Relaxed);
        Instant::now()
    });
    let (found, _) = find(&specs, options, &());
    let since = asked.join().unwrap().elapsed();
    assert_eq!((found.images.len(), found.problems), (0, vec![]), "what was given up is no problem");
    since
}

#[test]
fn while_there_is_no_answer() {
    let server = Server::start(|_| {
        std::thread::sleep(Duration::from_secs(20));
        Reply::ok("")
    });
    let specs = ["app:1", "app:2", "app", "**"].map(|rest| format!("{}/{rest}", server.host));
    for spec in &specs {
        let took = stopped(&options(), std::slice::from_ref(spec));
        assert!(took < Duration::from_secs(1), "{spec}: {took:?}");
    }
    assert!(stopped(&options(), &specs) < Duration::from_secs(1));
}

#[test]
fn while_it_is_to_be_asked_later() {
    let server = Server::start(|_| Reply::new(429, "").header("Retry-After", 30));
    let mut options = options();
    options.patience.longest_pause = Duration::from_secs(30);
    assert!(stopped(&options, &[format!("{}/app:1", server.host)]) < Duration::from_secs(1));
}

#[test]
fn in_the_middle_of_a_layer() {
    let store = Store::new();
    let server = Server::start(move |request| {
        let reply = store.answer(request);
        if reply.body.len() > 1_000_000 { Reply { hang: Some(1000), ..reply } } else { reply }
    });
    let options = options();
    let spec = Spec::parse(&format!("{}/team/app:1", server.host)).unwrap();
    let (found, sources) = find(&[spec], &options, &());
    let mut reader = sources.open(&found.images[0].layers[0].blob).unwrap();
    let stop = Arc::clone(&options.stop);
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        stop.store(true, Ordering::Relaxed);
    });
    let began = Instant::now();
    let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "it was given up");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Progress for Heard {
    fn found(&self, _: Counts) {}

    fn waiting(&self, what: &str) {
        self.0.lock().unwrap().push(what.to_owned());
    }
}

fn heard(options: &Options, spec: &str) -> Vec<String> {
    let heard = Heard::default();
    let _ = find(&[Spec::parse(spec).unwrap()], options, &heard);
    heard.0.into_inner().unwrap()
}

#[test]
fn every_new_try_is_told() {
    let store = Store::new();
    let server = Server::start(
        move |request| if request.nth < 2 { Reply::new(503, "") } else { store.answer(request) },
    );
    let expected = ["2", "3"].map(|n| format!("waiting for {} (try {n} of 3)", server.host));
    assert_eq!(heard(&options(), &format!("{}/team/app:1", server.host))[..2], expected);
}

#[test]
fn where_nobody_listens_it_is_tried_once_more() {
    let mut options = options();
    options.patience.tries = 5;
    assert_eq!(heard(&options, "127.0.0.1:1/team/app:1"), ["waiting for 127.0.0.1:1 (try 2 of 2)"]);
}
