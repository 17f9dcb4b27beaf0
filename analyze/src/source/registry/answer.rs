//! What a registry's refusals mean.

use reqwest::{Response, StatusCode};
use serde::Deserialize;

use super::endpoint::body;
use crate::source::error::{Error, quoted};
use crate::source::spec::DOCKER_HUB;

/// What was asked, for the message.
pub(super) struct Asked<'a> {
    pub(super) host: &'a str,
    pub(super) what: &'a str,
    /// Whether it was asked with somebody's credentials, or a token for them.
    pub(super) login: bool,
}

/// What a registry explains its refusal with (OCI distribution specification, "Error codes").
#[derive(Deserialize)]
struct Envelope {
    errors: Vec<Explanation>,
}

#[derive(Deserialize)]
struct Explanation {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// An answer that is none of success, as an error that says what to do.
pub(super) async fn refusal(asked: Asked<'_>, response: Response) -> Error {
    let status = response.status();
    let text = body(response, 1 << 16).await.ok().flatten().unwrap_or_default();
    let explained = serde_json::from_slice::<Envelope>(&text).ok();
    let explained = explained.and_then(|envelope| envelope.errors.into_iter().next());
    let explained = explained.map(|one| quoted(&format!("{} {}", one.code, one.message))).unwrap_or_default();
    let explained = if explained.is_empty() { String::new() } else { format!(": {explained}") };
    let Asked { host, what, .. } = asked;
    // What servers written in Go say on a port with TLS.
    if status == StatusCode::BAD_REQUEST && text.windows(26).any(|part| part == b"request to an HTTPS server")
    {
        return Error::new(format!(
            "{host} speaks TLS, and is asked without it, as registries of this machine are; name it by another address of \
             the machine, or leave --plain-http away"
        ));
    }
    match status {
        StatusCode::NOT_FOUND => Error::missing(format!("{host} has no {what}")),
        StatusCode::UNAUTHORIZED => unauthorized(&asked),
        StatusCode::FORBIDDEN => Error::new(format!("{host} denies access to {what}{explained}")),
        StatusCode::TOO_MANY_REQUESTS => Error::new(format!(
            "{host} limits how much it is asked, and does so still ({what}){explained}; try later, or log in for a higher \
             limit: {}",
            docker_login(host)
        )),
        _ => Error::new(format!("{host} answers {status} for {what}{explained}")),
    }
}

/// A login is missing or isn't accepted.
pub(super) fn unauthorized(asked: &Asked<'_>) -> Error {
    let Asked { host, what, login } = asked;
    let login_with = docker_login(host);
    if *login {
        return Error::new(format!(
            "{host} doesn't let this login read {what}; is the name right, and may you read it? Log in anew with \
             {login_with}"
        ));
    }
    Error::new(format!(
        "{host} asks for credentials for {what}; if the name is right, log in with {login_with}"
    ))
}

pub(super) fn docker_login(host: &str) -> String {
    if host == DOCKER_HUB { "`docker login`".into() } else { format!("`docker login {host}`") }
}
