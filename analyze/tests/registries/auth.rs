//! Logins: tokens, passwords, helpers; and what is said without one.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use plinth_analyze::source::{Credentials, Options};

use crate::images::{Store, layer};
use crate::server::{Reply, Request, Server};
use crate::{first_layer, look, options, problem};

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

/// A server of tokens, and a registry that wants them; a token is good for `uses` requests.
fn with_tokens(
    uses: usize,
    expires_in: u64,
    may: impl Fn(&Request) -> bool + Send + Sync + 'static,
) -> (Server, Server) {
    let tokens = Arc::new(Mutex::new(Vec::<usize>::new()));
    let given = Arc::clone(&tokens);
    let issuer = Server::start(move |request| {
        if !may(request) {
            return Reply::new(401, r#"{"details":"incorrect username or password"}"#);
        }
        let mut given = given.lock().unwrap();
        given.push(0);
        let token = format!("t{}", given.len() - 1);
        Reply::ok(serde_json::json!({"token": token, "expires_in": expires_in}).to_string())
    });
    let realm = issuer.host.clone();
    let store = Store::new();
    let registry = Server::start(move |request| {
        let mut tokens = tokens.lock().unwrap();
        let token = request.header("authorization").and_then(|text| text.strip_prefix("Bearer t"));
        let used = token.and_then(|n| n.parse::<usize>().ok()).and_then(|n| tokens.get_mut(n));
        match used {
            Some(used) if *used < uses => {
                *used += 1;
                store.answer(request)
            }
            _ => Reply::new(401, "").header(
                "WWW-Authenticate",
                format!(r#"Bearer realm="http://{realm}/token",service="reg",scope="repository:team/app:pull",error="invalid_token""#),
            ),
        }
    });
    (issuer, registry)
}

fn with_document(document: &str) -> Options {
    Options { credentials: Credentials::of_document(document), ..options() }
}

#[test]
fn a_token_for_everybody() {
    let (issuer, registry) = with_tokens(usize::MAX, 300, |_| true);
    let (found, sources) = look(&options(), &[&format!("{}/team/app:1", registry.host)]);
    assert!(first_layer(&found, &sources) == Ok(layer()));
    let log = issuer.log();
    assert_eq!(log.len(), 1, "one for everything");
    assert_eq!(log[0].path, "/token?scope=repository%3Ateam%2Fapp%3Apull&service=reg");
    assert_eq!(log[0].header("authorization"), None);
}

#[test]
fn tokens_that_expire() {
    // By their own word.
    let (issuer, registry) = with_tokens(usize::MAX, 0, |_| true);
    let (found, sources) = look(&options(), &[&format!("{}/team/app:1", registry.host)]);
    assert!(first_layer(&found, &sources) == Ok(layer()));
    assert_eq!(issuer.log().len(), 3, "manifest, config and layer");
    // Before their time.
    let (issuer, registry) = with_tokens(1, 300, |_| true);
    let (found, sources) = look(&options(), &[&format!("{}/team/app:1", registry.host)]);
    assert!(first_layer(&found, &sources) == Ok(layer()));
    assert_eq!(issuer.log().len(), 3);
}

#[test]
fn a_token_for_a_password() {
    let right = basic("u", "p:q");
    let (issuer, registry) =
        with_tokens(usize::MAX, 300, move |request| request.header("authorization") == Some(&right));
    let document = format!(r#"{{"auths":{{"{}":{{"auth":"dTpwOnE="}}}}}}"#, registry.host);
    let (found, _) = look(&with_document(&document), &[&format!("{}/team/app:1", registry.host)]);
    assert_eq!((found.images.len(), found.problems.len()), (1, 0));
    assert!(
        registry
            .log()
            .iter()
            .all(|request| !request.header("authorization").unwrap_or("").starts_with("Basic"))
    );
    assert_eq!(issuer.log().len(), 1);
    // The wrong one.
    let document = document.replace("dTpwOnE=", "dTpodW50ZXIy");
    let (found, _) = look(&with_document(&document), &[&format!("{}/team/app:1", registry.host)]);
    let problem = problem(&found);
    assert!(problem.contains("doesn't let this login read team/app;"), "{problem}");
    assert!(problem.contains(&format!("`docker login {}`", registry.host)), "{problem}");
    assert!(!problem.contains("hunter2") && !problem.contains("dTpo"), "{problem}");
}

#[test]
fn a_token_for_an_identity() {
    let (issuer, registry) = with_tokens(usize::MAX, 300, |request| request.method == "POST");
    let document = format!(r#"{{"auths":{{"{}":{{"identitytoken":"a/b"}}}}}}"#, registry.host);
    let (found, _) = look(&with_document(&document), &[&format!("{}/team/app:1", registry.host)]);
    assert_eq!((found.images.len(), found.problems.len()), (1, 0));
    let body = &issuer.log()[0].body;
    assert!(body.contains("grant_type=refresh_token") && body.contains("refresh_token=a%2Fb"), "{body}");
}

#[test]
fn without_credentials() {
    let bare = Server::start(|_| Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\""));
    let (_, tokens) = with_tokens(usize::MAX, 300, |_| false);
    for host in [bare.host, tokens.host] {
        let (found, _) = look(&options(), &[&format!("{host}/team/app:1")]);
        let problem = problem(&found);
        assert!(problem.contains(&format!("{host} asks for credentials for ")), "{problem}");
        assert!(
            problem.ends_with(&format!("if the name is right, log in with `docker login {host}`")),
            "{problem}"
        );
    }
}

#[test]
fn a_wrong_password() {
    let server = Server::start(|_| Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\""));
    let document = format!(r#"{{"auths":{{"{}":{{"username":"u","password":"hunter2"}}}}}}"#, server.host);
    let (found, _) = look(&with_document(&document), &[&format!("{}/team/app:1", server.host)]);
    let problem = problem(&found);
    assert!(problem.contains("doesn't let this login read team/app:1"), "{problem}");
    assert!(!problem.contains("hunter2"), "{problem}");
    assert_eq!(server.log().len(), 2, "without, and with it");
}

#[test]
fn a_place_for_tokens_that_isnt_safe() {
    let server = Server::start(|_| {
        Reply::new(401, "").header("WWW-Authenticate", r#"Bearer realm="http://auth.example.com/token""#)
    });
    let (found, _) = look(&options(), &[&format!("{}/team/app:1", server.host)]);
    let problem = problem(&found);
    assert!(problem.ends_with("would read the password along the way: it is not https"), "{problem}");
}

/// A credential helper that runs `script`, and a registry that wants `u` and `p`.
fn with_helper(script: &str, everywhere: bool) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let right = basic("u", "p");
    let store = Store::new();
    let server = Server::start(move |request| match request.header("authorization") {
        Some(given) if given == right => store.answer(request),
        _ => Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\""),
    });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("docker-credential-test");
    std::fs::write(&file, format!("#!/bin/sh\nserver=$(cat)\n{script}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    let document = match everywhere {
        true => r#"{"credsStore":"test"}"#.to_owned(),
        false => format!(r#"{{"credHelpers":{{"{}":"test"}},"credsStore":"none"}}"#, server.host),
    };
    let credentials = Credentials::of_document(document).with_helpers_in(dir.path());
    let options = Options { credentials, ..options() };
    let (found, _) = look(&options, &[&format!("{}/team/app:1", server.host)]);
    if found.images.len() == 1 {
        return "read".into();
    }
    problem(&found).replace(&server.host, "HOST")
}

#[test]
fn credential_helpers() {
    let good = r#"echo "{\"ServerURL\":\"$server\",\"Username\":\"u\",\"Secret\":\"p\"}""#;
    assert_eq!(with_helper(good, false), "read");
    assert_eq!(with_helper(good, true), "read");
    let problem = with_helper("echo 'the keychain is locked'; exit 3", false);
    let expected = "`docker-credential-test get` for HOST fails with exit status: 3: the keychain is locked; check that it works";
    assert!(problem.contains(expected), "{problem}");
    let problem = with_helper("echo 'credentials not found in native keychain'; exit 1", false);
    assert!(problem.contains("asks for credentials"), "{problem}");
    let problem = with_helper("echo hunter2", false);
    assert!(problem.contains("answers with something else than credentials"), "{problem}");
    assert!(!problem.contains("hunter2"), "{problem}");
}
