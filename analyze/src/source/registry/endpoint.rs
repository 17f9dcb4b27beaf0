//! One server that speaks the protocol of registries.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, RANGE};
use reqwest::{Client, Method, Response, StatusCode, Url};

use super::answer::{Asked, refusal};
use super::auth::Auth;
use super::patience::{self, Tries, Waiting};
use super::transport::{Transport, chain};
use crate::source::error::Error;
use crate::source::options::{Options, Patience};
use crate::source::spec::{DOCKER_HUB, loopback};

/// One server, asked as one user.
pub(super) struct Endpoint {
    /// As users call it.
    pub(super) host: String,
    /// `https://HOST/v2/`, with the server's own name.
    base: String,
    /// What stands before the names of repositories: empty, or with a `/` at its end.
    prefix: String,
    client: Client,
    auth: Auth,
    patience: Patience,
    waiting: Arc<Waiting>,
    /// Whether it ever answered.
    answered: AtomicBool,
    /// Whether it was tried often enough without an answer.
    given_up: AtomicBool,
}

/// What is asked of a server.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) accept: Option<&'static str>,
    /// The first byte that is wanted, if it isn't the very first.
    pub(super) from: u64,
    /// What a token must be for.
    pub(super) scope: String,
    /// For messages: what this is about.
    pub(super) what: String,
}

impl Endpoint {
    pub(super) fn new(
        transport: &Transport,
        host: &str,
        path: &str,
        options: &Options,
    ) -> Result<Self, Error> {
        let local = loopback(host);
        // Docker's own registry has nothing but TLS.
        let scheme = if local || options.plain_http && host != DOCKER_HUB { "http" } else { "https" };
        let server = if host == DOCKER_HUB { "registry-1.docker.io" } else { host };
        let client = transport.client(local)?;
        let waiting = Waiting { host: host.to_owned(), notices: Arc::clone(transport.notices()) };
        let waiting = Arc::new(waiting);
        Ok(Self {
            host: host.to_owned(),
            base: format!("{scheme}://{server}/v2/"),
            prefix: if path.is_empty() { String::new() } else { format!("{path}/") },
            client: client.clone(),
            auth: Auth::new(&waiting, options, client, scheme == "https"),
            patience: options.patience,
            waiting,
            answered: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
        })
    }

    /// A server that isn't there is waited for once, not once for every image that is named.
    fn patience(&self) -> Patience {
        let gone = self.given_up.load(Ordering::Relaxed) && !self.answered.load(Ordering::Relaxed);
        Patience { tries: if gone { 1 } else { self.patience.tries }, ..self.patience }
    }

    /// A new count of tries.
    pub(super) fn tries(&self) -> Tries {
        Tries::new(&self.patience, &self.waiting)
    }

    /// A repository's name here.
    pub(super) fn path_of(&self, repository: &str) -> String {
        format!("{}{repository}", self.prefix)
    }

    /// What a token must be for to read a repository (distribution, "Token scope").
    pub(super) fn scope(&self, repository: &str) -> String {
        format!("repository:{}:pull", self.path_of(repository))
    }

    /// The address of something below `/v2/`.
    pub(super) fn url(&self, path: &str) -> Result<Url, Error> {
        let url = format!("{}{path}", self.base);
        Url::parse(&url).map_err(|cause| Error::new(format!("{} has no address: {cause}", self.host)))
    }

    /// Asks, logs in if that is what is missing, and waits where the server wants it. The answer is one of success.
    pub(super) async fn send(&self, ask: &Ask) -> Result<Response, Error> {
        let mut renewed = false;
        loop {
            let login = self.auth.header(&ask.scope).await?;
            let request = || self.request(ask, login.as_deref());
            let response = patience::send(&self.patience(), &self.waiting, request).await;
            let seen = if response.is_ok() { &self.answered } else { &self.given_up };
            seen.store(true, Ordering::Relaxed);
            let response =
                response.map_err(|cause| Error::new(format!("{}: {cause} ({})", self.host, ask.what)))?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            if status == StatusCode::UNAUTHORIZED && !renewed {
                renewed = true;
                if self.auth.refused(response.headers(), &ask.scope, login.as_deref()).await {
                    continue;
                }
            }
            let asked = Asked { host: &self.host, what: &ask.what, login: self.auth.is_user() };
            return Err(refusal(asked, response).await);
        }
    }

    fn request(&self, ask: &Ask, login: Option<&str>) -> reqwest::RequestBuilder {
        let mut request = self.client.request(ask.method.clone(), ask.url.clone());
        if let Some(accept) = ask.accept {
            request = request.header(ACCEPT, accept);
        }
        if ask.from > 0 {
            request = request.header(RANGE, format!("bytes={}-", ask.from));
        }
        match login {
            Some(login) => request.header(AUTHORIZATION, sensitive(login)),
            None => request,
        }
    }

    /// An answer with a body that is read whole, of at most `limit` bytes; asked again if it breaks off.
    pub(super) async fn fetch(&self, ask: &Ask, limit: u64) -> Result<(HeaderMap, Vec<u8>), Error> {
        let mut tries = self.tries();
        loop {
            let response = self.send(ask).await?;
            let headers = response.headers().clone();
            // A server that sends byte after byte could go on for days.
            let longest = self.patience.stall.saturating_mul(10);
            let whole = tries.wait(tokio::time::timeout(longest, body(response, limit))).await;
            match whole.unwrap_or_else(|_| Err("the answer takes too long".into())) {
                Ok(Some(bytes)) => return Ok((headers, bytes)),
                Ok(None) => {
                    let limit = limit >> 20;
                    return Err(Error::new(format!(
                        "{} answers with more than {limit} MiB ({})",
                        self.host, ask.what
                    )));
                }
                Err(cause) if !tries.again(None).await => {
                    return Err(Error::new(format!("{}: {cause} ({})", self.host, ask.what)));
                }
                Err(_) => {}
            }
        }
    }
}

/// A header's value that no library logs.
pub(super) fn sensitive(text: &str) -> HeaderValue {
    // What can't be in a header is refused where it comes from; so there is nothing to lose.
    let mut value = HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// A body of at most `limit` bytes; nothing if it has more.
pub(super) async fn body(mut response: Response, limit: u64) -> Result<Option<Vec<u8>>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| chain(&error))? {
        if (bytes.len() + chunk.len()) as u64 > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}
