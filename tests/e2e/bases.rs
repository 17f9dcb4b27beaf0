//! (to be written)

use crate::support::env::Env;

/// A policy that puts the stand-in master in the place of these images.
pub(crate) fn policy(env: &Env, replaces: &str) -> String {
    format!(
        "version = 1\n\n[[base]]\nname = \"python-3.11\"\nimage = \"{}/bases/python-master:3.11\"\nreplaces = [\"{replaces}\"]\n",
        env.registry
    )
}
