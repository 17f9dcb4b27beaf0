//! Steps for a platform that the builder can't run by itself.
//!
//! What an install would do is asked of the step's own interpreter, which plinth's program starts. BuildKit can emulate
//! a step without the kernel's help, but what a step of another platform starts is beyond that. So such a step is looked
//! at only where nothing of it has to be run: with a lock of the fleet for its platform, all is known by its files, and
//! plinth's own program reads those on the builder's platform.

use plinth_layers::facts::Facts;
use plinth_layers::steps::resolve::{Foreign, machine};
use plinth_proto::graph::{Edge, OpId, Rewrite};
use plinth_proto::pb;

use super::answers::Base;
use crate::context::{Context, add_image_for, image_name, platform_id};
use crate::exec::Tool;
use crate::locks::FleetLock;
use crate::passes::Stop;
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

/// How a step is assembled without its platform, if the builder can't run that. None: as any other.
pub(super) fn without_running(
    request: &Request,
    platform: Option<&pb::Platform>,
    lock: Option<&FleetLock>,
) -> Result<Option<Foreign>, Stop> {
    let Some(reason) = cannot_run(request, platform) else { return Ok(None) };
    let platform = platform.filter(|platform| platform.os == "linux" && known_variant(platform));
    let covers = |platform: &&pb::Platform| lock.is_some_and(|lock| lock.is_for(&platform.architecture));
    match platform.filter(covers) {
        Some(platform) => Ok(Some(Foreign { architecture: platform.architecture.clone(), compilers: 0 })),
        None => Err(Stop::Refused(format!("{reason}, and there is no lock for that platform"))),
    }
}

/// What an architecture is without saying it.
fn known_variant(platform: &pb::Platform) -> bool {
    machine(&platform.architecture).is_some() && matches!(platform.variant.as_str(), "" | "v8")
}

/// Puts images of the builder's own platform into the place of the lock's compilers: those that the lock names, and what
/// the base image is there.
pub(super) async fn compilers(
    cx: &Context,
    rewrite: &mut Rewrite,
    tool: &Tool,
    lock: Option<&FleetLock>,
    base: &mut Base,
) {
    base.compilers.clear();
    let Some(image) = base.image else { return };
    let named = lock.iter().flat_map(|lock| &lock.parsed.compilers).cloned();
    let references: Vec<String> = named.chain(image_name(rewrite.graph(), image.op)).collect();
    for reference in references {
        if let Some((compiler, facts, evidence)) = one(cx, rewrite, tool, image.op, &reference).await {
            base.evidence.push(evidence);
            base.compilers.push((compiler, facts));
        }
    }
}

/// An image of the builder's platform, if there is one.
async fn one(
    cx: &Context,
    rewrite: &mut Rewrite,
    tool: &Tool,
    like: OpId,
    reference: &str,
) -> Option<(Edge, Facts, Edge)> {
    let name = format!("[plinth] compiles for another platform: {reference}");
    let compiler = add_image_for(rewrite, like, reference, name, &tool.platform).ok()?;
    let (facts, evidence) = cx.facts(rewrite, tool, compiler).await.ok()?;
    Some((compiler.output(0), facts, evidence))
}
