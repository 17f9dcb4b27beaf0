//! Connections, and the threads that wait for them.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::redirect;
use tokio::runtime::{Builder, Runtime};

use crate::source::error::Error;
use crate::source::notices::Notices;
use crate::source::options::Options;

/// The clients of HTTP, and a runtime of their own: callers are ordinary threads, not tasks of a runtime.
pub(super) struct Transport {
    runtime: Option<Runtime>,
    options: Options,
    notices: Arc<Notices>,
    /// For other machines; by the proxies of the environment.
    remote: OnceLock<reqwest::Client>,
    /// For this machine: no proxy reaches it.
    local: OnceLock<reqwest::Client>,
}

impl Transport {
    pub(super) fn new(options: &Options, notices: &Arc<Notices>) -> Result<Self, Error> {
        // Fails only if the program has one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|cause| Error::new(format!("cannot set up connections: {cause}")))?;
        let (remote, local) = Default::default();
        Ok(Self {
            runtime: Some(runtime),
            options: options.clone(),
            notices: Arc::clone(notices),
            remote,
            local,
        })
    }

    /// A client, made when it is asked for: reading the roots of trust takes longer than many a request.
    pub(super) fn client(&self, for_this_machine: bool) -> Result<reqwest::Client, Error> {
        let place = if for_this_machine { &self.local } else { &self.remote };
        if let Some(client) = place.get() {
            return Ok(client.clone());
        }
        let builder = builder(&self.options);
        let builder = if for_this_machine { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(|cause| {
            let cause = chain(&cause);
            Error::new(format!(
                "cannot set up connections: {cause}; SSL_CERT_FILE names a file of certificates to trust"
            ))
        })?;
        Ok(place.get_or_init(|| client).clone())
    }

    /// Who is told of waiting.
    pub(super) fn notices(&self) -> &Arc<Notices> {
        &self.notices
    }

    /// Waits for it, unless nobody wants it any more. Not to be called from within a runtime.
    pub(super) fn run<T>(&self, task: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.runtime().block_on(unless_stopped(&self.options.stop, task))
    }

    /// Does it in the background, unless nobody wants it any more; `failed` takes what went wrong.
    pub(super) fn spawn<F>(
        &self,
        task: impl Future<Output = Result<(), Error>> + Send + 'static,
        failed: impl FnOnce(Error) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send,
    {
        let stop = Arc::clone(&self.options.stop);
        self.runtime().spawn(async move {
            if let Err(error) = unless_stopped(&stop, task).await {
                failed(error).await;
            }
        });
    }

    #[expect(clippy::expect_used, reason = "it is taken only when this is dropped")]
    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("the runtime")
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        // Whoever drops the last one may itself be within a runtime, where waiting isn't allowed.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// How often it is seen whether waiting is still wanted.
const GLANCE: Duration = Duration::from_millis(100);

async fn unless_stopped<T>(
    stop: &AtomicBool,
    task: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let mut task = pin!(task);
    while !stop.load(Ordering::Relaxed) {
        if let Ok(done) = tokio::time::timeout(GLANCE, &mut task).await {
            return done;
        }
    }
    Err(Error::new("it was given up"))
}

fn builder(options: &Options) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("plinth/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(options.patience.connect)
        .read_timeout(options.patience.stall)
        // It would tell the storage behind a registry where the request came from.
        .referer(false)
        .redirect(redirect::Policy::custom(|attempt| {
            // reqwest leaves credentials away when host, port or scheme change.
            let secure = attempt.previous().first().is_some_and(|url| url.scheme() == "https");
            if attempt.previous().len() > 10 {
                attempt.error("it redirects more than 10 times")
            } else if secure && attempt.url().scheme() != "https" {
                attempt.error("it redirects from https to http")
            } else {
                attempt.follow()
            }
        }))
}

/// An error with its causes and without its address.
pub(super) fn chain(error: &reqwest::Error) -> String {
    use std::error::Error as _;
    // The outermost says little more than the address; the innermost says why.
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    if error.is_timeout() {
        return "no answer in time".into();
    }
    let text = match error.source() {
        Some(_) => innermost.to_string(),
        None => "the request failed".into(),
    };
    let text = crate::source::error::quoted(&text);
    if text.contains("invalid peer certificate") {
        return format!("{text}; if it is of your own authority, name its file in SSL_CERT_FILE");
    }
    // What TLS makes of an answer that isn't.
    if text.contains("InvalidContentType") {
        return "it doesn't speak TLS; if that is meant to be, use --plain-http".into();
    }
    text
}

/// Whether nobody is there: nothing listens, or there is no such name. That is seldom otherwise a few seconds later.
pub(super) fn is_nobody(error: &reqwest::Error) -> bool {
    use std::error::Error as _;
    let mut next = error.source();
    while let Some(cause) = next {
        let refused = |cause: &io::Error| cause.kind() == io::ErrorKind::ConnectionRefused;
        // Of names there is no kind of error.
        if cause.downcast_ref().is_some_and(refused)
            || cause.to_string().starts_with("failed to lookup address")
        {
            return true;
        }
        next = cause.source();
    }
    false
}

/// Whether the next time won't be better: TLS that isn't, a redirect that isn't followed, an address that is none.
pub(super) fn is_final(error: &reqwest::Error) -> bool {
    let text = chain(error);
    error.is_redirect() || error.is_builder() || text.contains("SSL_CERT_FILE") || text.contains("TLS")
}
