//! From a refusal to the header that is accepted: RFC 7617 (Basic), and tokens as distribution's "Token Authentication
//! Specification" has them.
//!
//! Credentials are looked up when a registry asks for them, and not before.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use http_auth::parser::ChallengeParser;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::answer::{Asked, refusal, unauthorized};
use super::credentials::{Credentials, Login};
use super::endpoint::{body, sensitive};
use super::patience::{self, Waiting};
use crate::source::error::Error;
use crate::source::memo::locked;
use crate::source::options::{Options, Patience};
use crate::source::spec::loopback;

/// How one server is logged in to.
pub(super) struct Auth {
    host: String,
    credentials: Credentials,
    client: Client,
    patience: Patience,
    waiting: Arc<Waiting>,
    /// Whether tokens may only be fetched by https.
    secure: bool,
    plain_http: bool,
    challenge: Mutex<Option<Challenge>>,
    /// Looked up once, as helpers may ask the user; so is a failure.
    login: OnceCell<Result<Login, Error>>,
    /// By what they are for.
    tokens: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Slot>>>>,
}

/// What a server wants.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

#[derive(Default)]
struct Slot {
    token: Option<Token>,
    /// What the server itself says that a token must be for.
    scope: Option<String>,
}

struct Token {
    header: String,
    until: Instant,
}

/// Not for any log.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[derive(Deserialize)]
struct Granted {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Auth {
    pub(super) fn new(waiting: &Arc<Waiting>, options: &Options, client: Client, secure: bool) -> Self {
        let (challenge, login, tokens) = Default::default();
        Self {
            host: waiting.host.clone(),
            credentials: options.credentials.clone(),
            client,
            patience: options.patience,
            waiting: Arc::clone(waiting),
            secure,
            plain_http: options.plain_http,
            challenge,
            login,
            tokens,
        }
    }

    /// The `Authorization` for a request; nothing as long as the server hasn't asked for one.
    pub(super) async fn header(&self, scope: &str) -> Result<Option<String>, Error> {
        let challenge = locked(&self.challenge).clone();
        match challenge {
            None => Ok(None),
            Some(Challenge::Basic) => Ok(self.login().await?.basic()),
            Some(Challenge::Bearer { realm, service, .. }) => {
                let slot = self.slot(scope);
                // Whoever else needs the same token waits for it here.
                let mut slot = slot.lock().await;
                if let Some(token) = slot.token.as_ref().filter(|token| Instant::now() < token.until) {
                    return Ok(Some(token.header.clone()));
                }
                let scope = slot.scope.as_deref().unwrap_or(scope);
                let token = self.token(&realm, service.as_deref(), scope).await?;
                let header = token.header.clone();
                slot.token = Some(token);
                Ok(Some(header))
            }
        }
    }

    /// A server answered 401. True if asking again may help.
    pub(super) async fn refused(&self, headers: &HeaderMap, scope: &str, used: Option<&str>) -> bool {
        let Some(challenge) = challenge(headers) else { return false };
        let basic_again = challenge == Challenge::Basic && used.is_some();
        if let Challenge::Bearer { scope: wanted, .. } = &challenge {
            let slot = self.slot(scope);
            let mut slot = slot.lock().await;
            slot.scope.clone_from(wanted);
            // Somebody else may have a new one meanwhile.
            slot.token.take_if(|token| used == Some(token.header.as_str()));
        }
        *locked(&self.challenge) = Some(challenge);
        !basic_again
    }

    /// Whether credentials have been found.
    pub(super) fn is_user(&self) -> bool {
        matches!(self.login.get(), Some(Ok(login)) if login.is_some())
    }

    fn slot(&self, scope: &str) -> Arc<tokio::sync::Mutex<Slot>> {
        Arc::clone(locked(&self.tokens).entry(scope.to_owned()).or_default())
    }

    async fn login(&self) -> Result<&Login, Error> {
        let login = self.login.get_or_init(|| self.credentials.login(&self.host)).await;
        login.as_ref().map_err(Clone::clone)
    }

    async fn token(&self, realm: &str, service: Option<&str>, scope: &str) -> Result<Token, Error> {
        let host = &self.host;
        let odd = |how: &str| Error::new(format!("{host} sends for a token to a place that {how}"));
        let mut url = Url::parse(realm).map_err(|_| odd("is no address"))?;
        let local = url.host_str().is_some_and(loopback);
        if url.scheme() != "https" && (self.secure || !local && !self.plain_http) {
            return Err(odd("would read the password along the way: it is not https"));
        }
        let login = self.login().await?;
        let mut query = vec![("scope", scope)];
        query.extend(service.map(|service| ("service", service)));
        let request = match login {
            // OAuth 2, as of "Docker Registry v2 Bearer token specification": Azure's registries want it.
            Login::Identity(identity) => {
                let form =
                    [("grant_type", "refresh_token"), ("client_id", "plinth"), ("refresh_token", identity)];
                query.extend(form);
                let form = encoded(&query);
                let post = self.client.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
                post.body(form)
            }
            login => {
                url.query_pairs_mut().extend_pairs(&query);
                let get = self.client.get(url);
                match login.basic() {
                    Some(basic) => get.header(AUTHORIZATION, sensitive(&basic)),
                    None => get,
                }
            }
        };
        let again = || request.try_clone().unwrap_or_else(|| self.client.get(realm));
        let response = patience::send(&self.patience, &self.waiting, again).await;
        let response = response.map_err(|cause| Error::new(format!("no token for {host}: {cause}")))?;
        let what = scope.trim_start_matches("repository:").trim_end_matches(":pull");
        let what = if scope.starts_with("registry:") { "catalog" } else { what };
        let asked = Asked { host, what, login: login.is_some() };
        if [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::BAD_REQUEST]
            .contains(&response.status())
        {
            return Err(unauthorized(&asked));
        }
        if !response.status().is_success() {
            return Err(refusal(asked, response).await);
        }
        let now = Instant::now();
        let bytes = body(response, 1 << 20).await.ok().flatten().unwrap_or_default();
        let granted: Option<Granted> = serde_json::from_slice(&bytes).ok();
        let life = granted.as_ref().and_then(|granted| granted.expires_in).unwrap_or(60);
        let value = granted.and_then(|granted| granted.token.or(granted.access_token));
        // Nothing else may get into a header.
        let value = value.filter(|value| !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic()));
        let value = value.ok_or_else(|| Error::new(format!("the answer for a token of {host} has none")))?;
        // A day is enough for any clock, and some say hundreds of years.
        Ok(Token { header: format!("Bearer {value}"), until: now + Duration::from_secs(life.min(86_400)) })
    }
}

/// `application/x-www-form-urlencoded`.
fn encoded(pairs: &[(&str, &str)]) -> String {
    // An address that is never used: its query is written the same way.
    let url = Url::parse_with_params("http://localhost/", pairs);
    url.ok().and_then(|url| url.query().map(str::to_owned)).unwrap_or_default()
}

/// The best way in that is offered: a token before a password.
fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let mut basic = None;
    for value in headers.get_all(WWW_AUTHENTICATE) {
        let Ok(text) = value.to_str() else { continue };
        for offered in ChallengeParser::new(text).filter_map(Result::ok) {
            let parameter = |name: &str| {
                let found = offered.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.to_unescaped())
            };
            if offered.scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Challenge::Basic);
            } else if offered.scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = parameter("realm")
            {
                return Some(Challenge::Bearer {
                    realm,
                    service: parameter("service"),
                    scope: parameter("scope"),
                });
            }
        }
    }
    basic
}

impl Login {
    fn basic(&self) -> Option<String> {
        match self {
            Self::Password { user, password } => {
                let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
                Some(format!("Basic {text}"))
            }
            Self::Nobody | Self::Identity(_) => None,
        }
    }

    fn is_some(&self) -> bool {
        !matches!(self, Self::Nobody)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn challenges() {
        let of = |texts: &[&str]| {
            let mut headers = HeaderMap::new();
            texts.iter().for_each(|text| {
                headers.append(WWW_AUTHENTICATE, text.parse().unwrap());
            });
            challenge(&headers)
        };
        let bearer = Challenge::Bearer {
            realm: "https://auth.example.com/token".into(),
            service: Some("r.example.com".into()),
            scope: Some("repository:a:pull".into()),
        };
        let text = r#"Bearer realm="https://auth.example.com/token",service="r.example.com",scope="repository:a:pull""#;
        assert_eq!(of(&["Basic realm=\"x\"", text]), Some(bearer));
        assert_eq!(of(&["basic realm=\"x\""]), Some(Challenge::Basic));
        assert_eq!(of(&["Negotiate"]), None);
        assert_eq!(encoded(&[("a", "b c&d"), ("e", "/")]), "a=b+c%26d&e=%2F");
    }
}
