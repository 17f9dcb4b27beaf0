//! When something is tried again, and after how long; and who is told meanwhile.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};

use super::transport::{chain, is_final, is_nobody};
use crate::source::notices::Notices;
use crate::source::options::Patience;

/// Sends a request until it is answered with something else than "later". What is answered in the end may be just that.
///
/// # Errors
/// There was no answer at all: why, in a few words.
pub(super) async fn send(
    patience: &Patience,
    waiting: &Arc<Waiting>,
    request: impl Fn() -> RequestBuilder,
) -> Result<Response, String> {
    let mut tries = Tries::new(patience, waiting);
    loop {
        let answer = tries.wait(request().send()).await;
        let asked_for = match &answer {
            Ok(response) if later(response.status()) => retry_after(response.headers(), SystemTime::now()),
            Ok(_) => return answer.map_err(|error| chain(&error)),
            Err(error) if is_final(error) => return Err(chain(error)),
            Err(error) => {
                if is_nobody(error) {
                    tries.at_most(2);
                }
                None
            }
        };
        if !tries.again(asked_for).await {
            return answer.map_err(|error| chain(&error));
        }
    }
}

/// Answers that may be another one a moment later.
fn later(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// How long a server asks to wait (RFC 9110, "Retry-After"): seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default()),
    }
}

/// Without an answer, it is said so often that one is waited for.
const SAY: Duration = Duration::from_secs(10);

/// Who is waited for, and who is told.
pub(super) struct Waiting {
    pub(super) host: String,
    pub(super) notices: Arc<Notices>,
}

/// Counts tries, and waits between them.
pub(super) struct Tries {
    patience: Patience,
    waiting: Arc<Waiting>,
    done: u32,
}

impl Tries {
    pub(super) fn new(patience: &Patience, waiting: &Arc<Waiting>) -> Self {
        Self { patience: *patience, waiting: Arc::clone(waiting), done: 1 }
    }

    /// No more than so many tries in all.
    pub(super) fn at_most(&mut self, tries: u32) {
        self.patience.tries = self.patience.tries.min(tries);
    }

    /// Waits for something, and says so now and then.
    pub(super) async fn wait<T>(&self, task: impl Future<Output = T>) -> T {
        let mut task = pin!(task);
        loop {
            match tokio::time::timeout(SAY, &mut task).await {
                Ok(done) => return done,
                Err(_) => self.say(),
            }
        }
    }

    fn say(&self) {
        let (host, tries) = (&self.waiting.host, self.patience.tries);
        let count = if tries > 1 { format!(" (try {} of {tries})", self.done) } else { String::new() };
        self.waiting.notices.tell(format!("waiting for {host}{count}"));
    }

    /// Waits until it is time for the next try; false if there have been enough.
    pub(super) async fn again(&mut self, asked_for: Option<Duration>) -> bool {
        if self.done >= self.patience.tries {
            return false;
        }
        let own = self.patience.pause.saturating_mul(1 << (self.done - 1).min(16));
        let pause =
            asked_for.map_or(own, |asked| asked.max(self.patience.pause)).min(self.patience.longest_pause);
        self.done += 1;
        self.say();
        self.wait(tokio::time::sleep(pause)).await;
        true
    }

    /// It goes on: what failed before counts no more.
    pub(super) fn afresh(&mut self) {
        self.done = 1;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn seconds_or_a_date() {
        let now = httpdate::parse_http_date("Wed, 21 Oct 2015 07:28:00 GMT").unwrap();
        let asked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, now).map(|pause| pause.as_secs())
        };
        assert_eq!(asked("7"), Some(7));
        assert_eq!(asked("Wed, 21 Oct 2015 07:28:30 GMT"), Some(30));
        assert_eq!(asked("Wed, 21 Oct 2015 07:00:00 GMT"), Some(0));
        assert_eq!(asked("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
