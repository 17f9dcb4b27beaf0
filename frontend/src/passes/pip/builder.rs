//! What a builder must have for steps to be assembled in it.
//!
//! dockerd without its containerd image store announces `mergeop` and `diffop`, switched off. Which builder to use
//! instead is part of the reason, since nothing in the Dockerfile can change it.

use crate::bridge::Bridge;

/// LLB capabilities that the operations in the place of a step use.
const NEEDED: [&str; 3] = ["mergeop", "diffop", "source.http.checksum"];

const WHO_HAS_IT: &str = "Docker has it with its containerd image store, and so has any current builder of the docker-container or remote driver";

/// Why no step can be assembled in this builder, in the builder's own words, and what to do about it.
#[must_use]
pub fn lacks(bridge: &Bridge) -> Option<String> {
    let why = NEEDED.iter().find_map(|cap| bridge.llb_cap(cap).err())?;
    Some(format!("{why}; {WHO_HAS_IT}"))
}
