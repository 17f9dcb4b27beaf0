//! What the commands share that ask a resolver about a fleet.

use std::path::PathBuf;

use plinth_layers::steps::resolve::machine;
use plinth_plan::{Base, Interpreters, PlanError, Set, Uv, UvError, bases, sets};
use plinth_scan::Fleet;

use crate::cli::runtime;
use crate::cmd::scan;
use crate::failure::Failure;
use crate::policy::Policy;
use crate::registry::Source;

/// Which fleet, and which resolver.
#[derive(clap::Args)]
pub(crate) struct Asked {
    /// The trees to read
    #[arg(required = true, value_name = "DIR")]
    trees: Vec<PathBuf>,
    /// The policy that says which services move
    #[arg(long, value_name = "FILE|DIR")]
    policy: Option<PathBuf>,
    /// Speak plain HTTP with the registry of the policy's base images
    #[arg(long)]
    plain_http: bool,
    /// The Python of services whose base doesn't say
    #[arg(long, value_name = "X.Y", default_value = "3.11")]
    python: String,
    /// The platform of the wheels, by uv's name (default: x86_64-manylinux_2_36)
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    /// The package index (default: the one that uv's variables name)
    #[arg(long, env = "PLINTH_INDEX_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) index_url: Option<String>,
    /// uv
    #[arg(long, env = "PLINTH_UV", value_name = "FILE", default_value = "uv")]
    uv: PathBuf,
}

impl Asked {
    /// uv's name of the platform.
    pub(crate) fn platform(&self) -> String {
        self.platform.clone().unwrap_or_else(|| platform("amd64"))
    }

    /// The fleet.
    pub(crate) fn fleet(&self) -> Result<Fleet, Failure> {
        scan::read(&self.trees, self.policy.as_deref())
    }

    /// The recipes of base images for it. `before` gives the Dockerfile of an earlier one, by its directory.
    pub(crate) fn bases(&self, fleet: &Fleet, before: impl Fn(&str) -> Option<String>) -> Vec<Base> {
        bases(fleet, &self.python, before)
    }

    /// Its requests.
    pub(crate) fn sets(&self, fleet: &Fleet) -> Result<Vec<Set>, Failure> {
        let sets = sets(fleet, &self.python);
        match sets.is_empty() {
            true => {
                Err(Failure::new("no service here moves and installs anything").hint("plinth scan says why"))
            }
            false => Ok(sets),
        }
    }

    /// The policy's base images as they are now, by digest. Those of `before` stay while they have the same name.
    pub(crate) fn compilers(&self, before: &[String]) -> Result<Vec<String>, Failure> {
        let Some(path) = &self.policy else { return Ok(before.to_vec()) };
        let policy = Policy::read(path)?;
        let name = |pinned: &str| pinned.split('@').next().unwrap_or_default().to_owned();
        let mut compilers = Vec::new();
        for base in &policy.document().bases {
            let wanted = base.image.canonical();
            let known = before.iter().find(|pinned| name(pinned) == name(&wanted));
            compilers.push(match known {
                _ if wanted.contains('@') => wanted,
                Some(pinned) => pinned.clone(),
                None => {
                    let image = base.image.familiar();
                    let digest = runtime()?
                        .block_on(async { Source::open(&image, self.plain_http).await?.digest().await })?;
                    format!("{wanted}@{digest}")
                }
            });
        }
        compilers.dedup();
        Ok(compilers)
    }

    /// The resolver.
    pub(crate) fn uv(&self) -> Uv {
        Uv {
            program: self.uv.clone(),
            index_url: self.index_url.clone(),
            platform: self.platform(),
            by_hand: None,
            interpreters: Interpreters::default(),
        }
    }
}

/// uv's name of an architecture's platform, with the glibc of Debian 12.
pub(crate) fn platform(architecture: &str) -> String {
    format!("{}-manylinux_2_36", machine(architecture).unwrap_or(architecture))
}

/// What to do about a plan that there can't be.
pub(crate) fn failure(error: PlanError) -> Failure {
    let hint = match &error {
        PlanError::Uv(UvError::Start { .. }) => {
            Some("plinth resolves with uv: install it, or name it with --uv or PLINTH_UV")
        }
        PlanError::Uv(UvError::Index(_)) => {
            Some("nothing was written; name an index with --index-url, or try again when it answers")
        }
        PlanError::Uv(UvError::Answer(_)) | PlanError::Nothing(_) => {
            Some("nothing was written; do --index-url, --platform and --uv name the right ones?")
        }
        PlanError::Uv(_) | PlanError::Broken { .. } => None,
    };
    let failure = Failure::new(error.to_string());
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
