//! Where the builder, the registry and the frontend under test are.
//!
//! All of it comes from `hack/up` by way of environment variables, so that the same tests run against
//! any BuildKit somebody has.

use std::io::Write as _;
use std::sync::{Once, OnceLock};

/// The environment of a run.
pub(crate) struct Env {
    /// Address of the builder that most tests share.
    pub(crate) host: String,
    /// `host:port` of a registry that the builder may push to without TLS.
    pub(crate) registry: String,
    /// Image reference of the frontend under test; `None` puts the built-in frontend on both sides.
    pub(crate) frontend: Option<String>,
    /// Configuration for further builders, which know the registry and its mirrors as the first one does.
    pub(crate) buildkitd_config: Option<String>,
}

/// The environment, or `None` (with a message, once) if end-to-end tests weren't asked for.
///
/// # Panics
/// If they were asked for, and something they need isn't set.
pub(crate) fn env() -> Option<&'static Env> {
    static ENV: OnceLock<Env> = OnceLock::new();
    static SKIPPED: Once = Once::new();
    if std::env::var("PLINTH_E2E").as_deref() != Ok("1") {
        // Written to the descriptor itself: the test runner would swallow what goes through eprintln.
        SKIPPED.call_once(|| {
            let _ = std::io::stderr().write_all(
                b"end-to-end tests are skipped: they need PLINTH_E2E=1 and the builder of hack/up\n",
            );
        });
        return None;
    }
    Some(ENV.get_or_init(read))
}

fn read() -> Env {
    let builtin = std::env::var("PLINTH_E2E_FRONTEND").as_deref() == Ok("builtin");
    Env {
        host: need("BUILDKIT_HOST"),
        registry: need("PLINTH_REGISTRY"),
        frontend: (!builtin).then(|| need("PLINTH_FRONTEND")),
        buildkitd_config: std::env::var("PLINTH_BUILDKITD_CONFIG").ok(),
    }
}

fn need(name: &str) -> String {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => value,
        _ => panic!("PLINTH_E2E=1, but {name} isn't set: run hack/up and source .plinth/env"),
    }
}

/// The environment, or a return from the test.
macro_rules! e2e {
    () => {
        match $crate::support::env::env() {
            Some(env) => env,
            None => return,
        }
    };
}
pub(crate) use e2e;
