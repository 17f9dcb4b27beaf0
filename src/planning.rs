//! What the commands share that ask a resolver about a fleet.

use std::path::PathBuf;

use plinth_plan::{PlanError, Set, Uv, UvError, sets};

use crate::cmd::scan;
use crate::failure::Failure;

/// Which fleet, and which resolver.
#[derive(clap::Args)]
pub(crate) struct Asked {
    /// The trees to read
    #[arg(required = true, value_name = "DIR")]
    trees: Vec<PathBuf>,
    /// The policy that says which services move
    #[arg(long, value_name = "FILE|DIR")]
    policy: Option<PathBuf>,
    /// The Python of services whose base doesn't say
    #[arg(long, value_name = "X.Y", default_value = "3.11")]
    python: String,
    /// The platform of the wheels, by uv's name
    #[arg(long, value_name = "PLATFORM", default_value = "x86_64-manylinux_2_36")]
    pub(crate) platform: String,
    /// The package index (default: the one that uv's variables name)
    #[arg(long, env = "PLINTH_INDEX_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) index_url: Option<String>,
    /// uv
    #[arg(long, env = "PLINTH_UV", value_name = "FILE", default_value = "uv")]
    uv: PathBuf,
}

impl Asked {
    /// The requests of the fleet.
    pub(crate) fn sets(&self) -> Result<Vec<Set>, Failure> {
        let fleet = scan::read(&self.trees, self.policy.as_deref())?;
        let sets = sets(&fleet, &self.python);
        match sets.is_empty() {
            true => {
                Err(Failure::new("no service here moves and installs anything").hint("plinth scan says why"))
            }
            false => Ok(sets),
        }
    }

    /// The resolver.
    pub(crate) fn uv(&self) -> Uv {
        Uv { program: self.uv.clone(), index_url: self.index_url.clone(), platform: self.platform.clone() }
    }
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
