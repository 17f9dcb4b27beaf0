//! One build of one service on one side: from Solve to the end of the push.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::phases::Phase;
use super::services::Service;
use crate::buildctl::{Buildctl, pair};
use crate::failure::Failure;
use crate::trace::{Interval, Trace};

/// How many lines of a failed build's log are shown.
const LOG_LINES: usize = 12;

/// Which of the two ways of building.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    /// BuildKit's own Dockerfile frontend.
    Plain,
    /// Through plinth.
    Plinth,
}

impl Side {
    /// Its name in messages and image names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Plinth => "plinth",
        }
    }
}

/// Names of images, and the digests that were seen there.
pub(crate) type Pushed = BTreeSet<(String, Option<String>)>;

/// What all builds of a comparison have in common.
#[derive(Clone)]
pub(crate) struct Setup {
    /// The prefix of all image names of this run: registry, path and run.
    pub(crate) prefix: String,
    /// The frontend image.
    pub(crate) frontend: String,
    /// buildctl's arguments for the policy.
    pub(crate) policy: Vec<OsString>,
    /// `KEY=VALUE`.
    pub(crate) build_args: Vec<String>,
    /// The target stage by service.
    pub(crate) targets: BTreeMap<String, String>,
    /// Compression of new layers; none: the builder's default.
    pub(crate) compression: Option<String>,
    /// The platform to build for; none: the builder's.
    pub(crate) platform: Option<String>,
    /// Whether the registry is to be spoken to without TLS.
    pub(crate) plain_http: bool,
    /// Hidden, to try the command itself: both sides are built plain.
    pub(crate) plain_twice: bool,
    /// The names under which something may have been pushed, and the digests that were seen there.
    pub(crate) pushed: Arc<Mutex<Pushed>>,
}

/// How a build went.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    /// When it began, in seconds since the epoch.
    pub(crate) started: f64,
    /// Seconds from Solve to the end of the push.
    pub(crate) seconds: f64,
    /// When which kind of work was going on.
    pub(crate) intervals: Vec<Interval>,
    /// The end of the log, if it failed.
    pub(crate) failure: Option<Vec<String>>,
}

impl Setup {
    /// The name under which a service of a side and phase is pushed.
    pub(crate) fn image(&self, side: Side, service: &str, phase: Phase) -> String {
        format!("{}/{}/{service}:{}", self.prefix, side.name(), phase.name())
    }

    /// Keeps in mind what has to be deleted in the end.
    pub(crate) fn remember(&self, name: String, digest: Option<String>) {
        self.pushed.lock().unwrap_or_else(PoisonError::into_inner).insert((name, digest));
    }

    /// The arguments of `buildctl build`.
    pub(crate) fn arguments(&self, side: Side, service: &Service, phase: Phase) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec!["--frontend".into(), "dockerfile.v0".into()];
        args.extend(pair("--local", "context", &service.dir));
        args.extend(pair("--local", "dockerfile", &service.dir));
        let mut opt = |text: String| args.extend(["--opt".into(), text.into()]);
        opt(format!("filename={}", service.dockerfile));
        if let Some(target) = self.targets.get(&service.name) {
            opt(format!("target={target}"));
        }
        if let Some(platform) = &self.platform {
            opt(format!("platform={platform}"));
        }
        for value in &self.build_args {
            opt(format!("build-arg:{value}"));
        }
        if side == Side::Plinth && !self.plain_twice {
            opt(format!("build-arg:BUILDKIT_SYNTAX={}", self.frontend));
            args.extend(self.policy.iter().cloned());
        }
        let mut output = format!("type=image,name={},push=true", self.image(side, &service.name, phase));
        if let Some(compression) = &self.compression {
            output.push_str(&format!(",compression={compression}"));
        }
        if self.plain_http {
            output.push_str(",registry.insecure=true");
        }
        args.extend(["--output".into(), output.into()]);
        args
    }

    /// Builds and pushes. A build that fails is a result, not an error.
    pub(crate) async fn build(
        &self,
        buildctl: &Buildctl,
        side: Side,
        service: &Service,
        phase: Phase,
        watch: impl FnMut(&Trace),
    ) -> Result<Built, Failure> {
        // Before the build: a push may be through when the build is broken off.
        self.remember(self.image(side, &service.name, phase), None);
        let run = buildctl.build(&self.arguments(side, service, phase), watch).await?;
        Ok(Built {
            started: run.started,
            seconds: run.took.as_secs_f64(),
            intervals: run.trace.intervals(),
            failure: (!run.ok).then(|| run.trace.failure(LOG_LINES)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sides_differ_in_the_frontend_and_the_name_only() {
        let setup = Setup {
            prefix: "r:5/compare/x".into(),
            frontend: "r:5/plinth:dev".into(),
            policy: vec!["--local".into(), "plinth=/p".into()],
            build_args: vec!["A=1".into()],
            targets: BTreeMap::from([("api".into(), "prod".into())]),
            compression: Some("zstd".into()),
            platform: None,
            plain_http: false,
            plain_twice: false,
            pushed: Arc::default(),
        };
        let service = Service { name: "api".into(), dir: "/s/api".into(), dockerfile: "Dockerfile".into() };
        let args = |side| -> Vec<String> {
            let args = setup.arguments(side, &service, Phase::Cold).into_iter();
            args.map(|arg| arg.to_string_lossy().into_owned()).collect()
        };
        let plain = "--frontend dockerfile.v0 --local context=/s/api --local dockerfile=/s/api \
            --opt filename=Dockerfile --opt target=prod --opt build-arg:A=1 \
            --output type=image,name=r:5/compare/x/plain/api:cold,push=true,compression=zstd";
        assert_eq!(args(Side::Plain).join(" "), plain);
        let plinth = plain.replace("x/plain/api", "x/plinth/api").replace(
            " --output",
            " --opt build-arg:BUILDKIT_SYNTAX=r:5/plinth:dev --local plinth=/p --output",
        );
        assert_eq!(args(Side::Plinth).join(" "), plinth);
    }
}
