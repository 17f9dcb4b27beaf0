//! Steps for a platform that the builder can't run by itself.
//!
//! What an install would do is asked of the step's own interpreter, which plinth's program starts. BuildKit can emulate
//! a step without the kernel's help, but what a step of another platform starts is beyond that: so such a step isn't
//! even looked at, and nothing of its stage runs before its turn.

use plinth_proto::pb;

use crate::context::platform_id;
use crate::request::Request;

/// Why a step for `platform` must run as written, if the builder can't run that platform.
#[must_use]
pub(crate) fn cannot_run(request: &Request, platform: Option<&pb::Platform>) -> Option<String> {
    let platform = platform?;
    (!request.runs(&platform.os, &platform.architecture)).then(|| {
        format!(
            "it is for {}, whose programs this builder's kernel doesn't run: what it would install can't be asked",
            platform_id(platform)
        )
    })
}
