//! Blobs that break, lie about their size, or don't come.

use plinth_analyze::source::Options;

use crate::images::{Store, digest, layer};
use crate::server::{Reply, Request, Server};
use crate::{first_layer, impatient, look, options};

/// A registry whose layer is answered differently.
fn with_layer(answer: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static) -> Server {
    let store = Store::new();
    let path = format!("/blobs/{}", digest(&layer()));
    Server::start(move |request| {
        let usual = store.answer(request);
        if request.path.ends_with(&path) { answer(request, usual) } else { usual }
    })
}

fn read(server: &Server) -> Result<Vec<u8>, String> {
    read_with(&options(), server)
}

fn read_with(options: &Options, server: &Server) -> Result<Vec<u8>, String> {
    let (found, sources) = look(options, &[&format!("{}/team/app:1", server.host)]);
    first_layer(&found, &sources)
}

#[test]
fn a_good_one() {
    let server = with_layer(|_, usual| usual);
    assert!(read(&server) == Ok(layer()));
}

#[test]
fn taken_up_where_it_broke() {
    let server = with_layer(|request, usual| Reply { cut: (request.nth < 2).then_some(400_000), ..usual });
    assert!(read(&server) == Ok(layer()));
    let ranges: Vec<_> = server.log().iter().filter_map(Request::from).collect();
    assert_eq!(ranges, [400_000, 800_000]);
}

#[test]
fn without_ranges_what_was_had_is_skipped() {
    let server =
        with_layer(|request, _| Reply { cut: (request.nth == 0).then_some(400_000), ..Reply::ok(layer()) });
    assert!(read(&server) == Ok(layer()));
    assert_eq!(server.asked("GET", "/blobs/"), 3, "the config, and the layer twice");
}

#[test]
fn one_that_breaks_always() {
    let server = with_layer(|_, usual| Reply { cut: Some(100_000), ..usual });
    let error = read(&server).unwrap_err();
    // Three tries of one byte less than a mebibyte each.
    assert!(error.contains("after 300000 of 1200000 bytes (team/app@sha256:"), "{error}");
}

#[test]
fn one_that_stops_coming() {
    let server = with_layer(|request, usual| Reply { hang: (request.nth == 0).then_some(400_000), ..usual });
    assert!(read_with(&impatient(), &server) == Ok(layer()));
    let server = with_layer(|_, usual| Reply { hang: Some(0), ..usual });
    let error = read_with(&impatient(), &server).unwrap_err();
    assert!(error.contains("no answer in time after 0 of 1200000 bytes"), "{error}");
}

#[test]
fn another_part_than_was_asked_for() {
    let server = with_layer(|request, usual| match request.from() {
        None => Reply { cut: Some(400_000), ..usual },
        Some(_) => Reply::new(206, &layer()[1000..]).header("Content-Range", "bytes 1000-1199999/1200000"),
    });
    let error = read(&server).unwrap_err();
    assert!(error.contains("sends bytes from 1000 on where 400000 was asked for"), "{error}");
    let server = with_layer(|request, usual| match request.from() {
        None => Reply { cut: Some(400_000), ..usual },
        Some(from) => Reply::new(206, &layer()[from..]),
    });
    let error = read(&server).unwrap_err();
    assert!(error.contains("sends a part without saying which"), "{error}");
}

#[test]
fn another_size_than_the_descriptor_says() {
    for length in [1_199_999, 1_200_001] {
        let server = with_layer(move |_, usual| Reply { length: Some(length), ..usual });
        let error = read(&server).unwrap_err();
        assert!(error.contains(&format!("sends {length} bytes, its descriptor says 1200000")), "{error}");
    }
    let server = with_layer(|_, usual| {
        let mut body = usual.body;
        body.extend([0; 10]);
        Reply { chunked: true, ..Reply::ok(body) }
    });
    let error = read(&server).unwrap_err();
    assert!(error.contains("sends more than the 1200000 bytes of its descriptor"), "{error}");
    let server = with_layer(|_, usual| Reply { chunked: true, ..Reply::ok(&usual.body[..1000]) });
    let error = read(&server).unwrap_err();
    assert!(error.contains("it ends after 1000 of 1200000 bytes"), "{error}");
}

#[test]
fn a_redirect_doesnt_take_the_login_along() {
    let storage = Server::start(|request| crate::images::part(&layer(), request));
    let to = format!("http://{}/bucket/x?signature=hunter2", storage.host);
    let store = Store::new();
    let path = format!("/blobs/{}", digest(&layer()));
    let server = Server::start(move |request| {
        if request.header("authorization").is_none() {
            return Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\"");
        }
        if request.path.ends_with(&path) {
            return Reply::new(307, "").header("Location", &to);
        }
        store.answer(request)
    });
    let document = format!(r#"{{"auths":{{"{}":{{"username":"u","password":"p"}}}}}}"#, server.host);
    let mut options = options();
    options.credentials = plinth_analyze::source::Credentials::of_document(document);
    let (found, sources) = look(&options, &[&format!("{}/team/app:1", server.host)]);
    assert!(first_layer(&found, &sources) == Ok(layer()));
    assert_eq!(storage.log().len(), 1);
    for name in ["authorization", "cookie", "referer"] {
        assert_eq!(storage.log()[0].header(name), None, "{name}");
    }
}

#[test]
fn a_signed_address_isnt_told() {
    let storage = Server::start(|_| Reply::new(403, "hunter2"));
    let to = format!("http://{}/bucket/x?signature=hunter2", storage.host);
    let server = with_layer(move |_, _| Reply::new(307, "").header("Location", &to));
    let error = read(&server).unwrap_err();
    assert!(error.contains("denies access to team/app@sha256:") && !error.contains("hunter2"), "{error}");
    let server =
        with_layer(|_, _| Reply::new(307, "").header("Location", "http://127.0.0.1:1/x?signature=hunter2"));
    let error = read(&server).unwrap_err();
    assert!(error.contains("refused") && !error.contains("hunter2"), "{error}");
}

#[test]
fn another_source_goes_on() {
    let broken = with_layer(|_, usual| Reply { cut: Some(100_000), ..usual });
    let good = with_layer(|_, usual| usual);
    let specs = [format!("{}/team/app:1", broken.host), format!("{}/team/app:1", good.host)];
    let (found, sources) = look(&options(), &[&specs[0], &specs[1]]);
    assert_eq!(found.images.len(), 2);
    assert!(first_layer(&found, &sources) == Ok(layer()));
}
