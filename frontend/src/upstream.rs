//! BuildKit's own Dockerfile frontend.

use std::collections::BTreeMap;

use bytes::Bytes;
use plinth_proto::gateway;

use crate::bridge::Bridge;
use crate::error::BuildError;
use crate::request::Request;

/// The built-in frontend.
const DOCKERFILE: &str = "dockerfile.v0";

/// Lets BuildKit's own frontend build (or answer the subrequest), with the options and inputs of this build.
///
/// # Errors
/// The frontend's own, with the excerpt of the Dockerfile that it points to.
pub async fn solve(
    bridge: &Bridge,
    request: &Request,
    inputs: &BTreeMap<String, Bytes>,
) -> Result<gateway::Result, BuildError> {
    let mut opts = request.opts.clone();
    // Without `cmdline` it would see `# syntax=` and start this frontend again, without end. Called directly as a
    // gateway source there is none.
    opts.entry("cmdline".to_owned()).or_insert_with(|| "plinth".to_owned());
    if request.subrequest() == Some(crate::build::EXPLAIN) {
        opts.remove("requestid");
    }
    bridge.solve_frontend(DOCKERFILE, opts, inputs.clone()).await
}
