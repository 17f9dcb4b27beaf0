//! What every pass needs: the connection, the request, the tool, and what was found out so far.

use std::collections::HashMap;
use std::sync::OnceLock;

use plinth_layers::facts::Facts;
use plinth_layers::steps::mounts;
use plinth_proto::graph::{Edge, Graph, GraphError, NewOp, OpId, Rewrite};
use plinth_proto::pb;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use crate::bridge::{Bridge, Ref, ResolvedImage};
use crate::error::BuildError;
use crate::exec::{Origin, Tool, ToolExec};
use crate::locks::{FleetLock, Locks};
use crate::request::Request;

/// Where BuildKit puts the definition of the frontend's own image.
const OWN_IMAGE: &str = "/run/config/buildkit/metadata/frontend.bin";

/// No document that a step writes is larger: facts, resolutions, summaries.
const DOCUMENT_LIMIT: u64 = 64 << 20;

/// Room that a request needs besides its definition.
const REQUEST_OVERHEAD: usize = 64 << 10;

/// The environment of one build.
pub struct Context {
    /// BuildKit.
    pub bridge: Bridge,
    /// What it asks for.
    pub request: Request,
    /// The frontend image's own definition; absent where BuildKit doesn't give it.
    own_image: Option<Vec<u8>>,
    /// Images resolved so far, by reference, platform and mode.
    images: Mutex<HashMap<(String, String, String), ResolvedImage>>,
    /// Facts read so far, by the digest of the image's source op.
    facts: Mutex<HashMap<plinth_proto::Digest, Facts>>,
    /// The fleet's locks.
    locks: OnceLock<Locks>,
}

impl Context {
    /// The context of a build.
    #[must_use]
    pub fn new(bridge: Bridge, request: Request) -> Self {
        Self {
            bridge,
            request,
            own_image: std::fs::read(OWN_IMAGE).ok(),
            images: Mutex::default(),
            facts: Mutex::default(),
            locks: OnceLock::new(),
        }
    }

    /// The fleet's lock for a platform, if the policy comes with one.
    #[must_use]
    pub fn lock(&self, platform: Option<&pb::Platform>) -> Option<&FleetLock> {
        self.locks.get()?.of(platform.map(|platform| platform.architecture.as_str()).unwrap_or_default())
    }

    /// Takes the fleet's locks into account from here on.
    pub fn set_locks(&self, locks: Locks) {
        // A build has one policy, and so one set of them.
        let _ = self.locks.set(locks);
    }

    /// The frontend image as a tool of this graph.
    ///
    /// # Errors
    /// If this BuildKit doesn't say which image it runs.
    pub fn tool(&self, rewrite: &mut Rewrite) -> Result<Tool, String> {
        let own = self.own_image.clone().ok_or("this BuildKit doesn't tell a frontend its own image")?;
        let edge = rewrite.import(own).map_err(|e| format!("the frontend's own image can't be used: {e}"))?;
        let platform = rewrite.graph()[edge.op].op().platform.clone();
        let platform = platform.ok_or("the frontend's own image has no platform")?;
        Ok(Tool { edge, platform })
    }

    /// Resolves an image once per build.
    ///
    /// # Errors
    /// If there is no such image for the platform.
    pub async fn image(
        &self,
        reference: &str,
        platform: Option<&pb::Platform>,
    ) -> Result<ResolvedImage, BuildError> {
        let mode = self.request.opt("image-resolve-mode").unwrap_or_default().to_owned();
        let key = (reference.to_owned(), platform.map(platform_id).unwrap_or_default(), mode.clone());
        if let Some(known) = self.images.lock().await.get(&key) {
            return Ok(known.clone());
        }
        let resolved = self.bridge.resolve_image(reference, platform.cloned(), &mode).await?;
        self.images.lock().await.insert(key, resolved.clone());
        Ok(resolved)
    }

    /// Solves one edge of a rewrite in progress.
    ///
    /// # Errors
    /// If the definition is too large for a message, doesn't load, or (evaluated) fails.
    pub async fn solve(&self, rewrite: &mut Rewrite, edge: Edge, evaluate: bool) -> Result<Ref, BuildError> {
        let definition = rewrite.definition(edge)?.checked(REQUEST_OVERHEAD)?;
        self.bridge.solve_definition(definition.bytes().clone(), evaluate).await
    }

    /// Reads a JSON document that a step wrote into one of its outputs.
    ///
    /// # Errors
    /// If the step fails, or the file is no such document.
    pub async fn read_json<T: DeserializeOwned>(&self, r: &Ref, file: &str) -> Result<T, BuildError> {
        let data = self.bridge.read_file(r, file, DOCUMENT_LIMIT).await?;
        serde_json::from_slice(&data).map_err(|e| BuildError::internal(format!("{file} can't be read: {e}")))
    }

    /// What is in an image, by its source op; and the edge that the answer came from.
    ///
    /// # Errors
    /// If the image can't be read.
    pub async fn facts(
        &self,
        rewrite: &mut Rewrite,
        tool: &Tool,
        image: OpId,
    ) -> Result<(Facts, Edge), BuildError> {
        let digest = *rewrite.graph()[image].digest();
        let edge = self.probe(rewrite, tool, image)?;
        if let Some(known) = self.facts.lock().await.get(&digest) {
            return Ok((known.clone(), edge));
        }
        let solved = self.solve(rewrite, edge, false).await?;
        let facts: Facts = self.read_json(&solved, Facts::FILE).await?;
        self.facts.lock().await.insert(digest, facts.clone());
        Ok((facts, edge))
    }

    fn probe(&self, rewrite: &mut Rewrite, tool: &Tool, image: OpId) -> Result<Edge, BuildError> {
        let name = image_name(rewrite.graph(), image).unwrap_or_default();
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned();
        let mut exec = ToolExec::new(tool, image.output(0), ["probe".to_owned(), path]);
        let out = exec.output(mounts::OUT);
        let op = exec.add(rewrite, format!("[plinth] look into {name}"), &Origin::default())?;
        Ok(op.output(out))
    }
}

/// The reference of an image source, without the scheme.
#[must_use]
pub fn image_name(graph: &Graph, op: OpId) -> Option<String> {
    match &graph[op].op().op {
        Some(pb::op::Op::Source(source)) => {
            source.identifier.strip_prefix("docker-image://").map(str::to_owned)
        }
        _ => None,
    }
}

/// Adds an image, for the platform of another one, and resolved as that is.
///
/// # Errors
/// If it can't be encoded.
pub fn add_image(
    rewrite: &mut Rewrite,
    like: OpId,
    reference: &str,
    name: String,
) -> Result<OpId, GraphError> {
    let platform = rewrite.graph()[like].op().platform.clone();
    add(rewrite, like, reference, name, platform)
}

/// As [`add_image`], for another platform.
///
/// # Errors
/// If it can't be encoded.
pub fn add_image_for(
    rewrite: &mut Rewrite,
    like: OpId,
    reference: &str,
    name: String,
    platform: &pb::Platform,
) -> Result<OpId, GraphError> {
    add(rewrite, like, reference, name, Some(platform.clone()))
}

fn add(
    rewrite: &mut Rewrite,
    like: OpId,
    reference: &str,
    name: String,
    platform: Option<pb::Platform>,
) -> Result<OpId, GraphError> {
    let op = rewrite.graph()[like].op().clone();
    let attrs = match op.op {
        Some(pb::op::Op::Source(source)) => source.attrs,
        _ => Default::default(),
    };
    let attrs = attrs.into_iter().filter(|(key, _)| key == "image.resolvemode").collect();
    let source = pb::SourceOp { identifier: format!("docker-image://{reference}"), attrs };
    let op = pb::Op { op: Some(pb::op::Op::Source(source)), inputs: Vec::new(), platform, ..op };
    let metadata = Origin { op: Some(like), ..Origin::default() }.metadata(name);
    rewrite.add(NewOp { op, inputs: Vec::new(), metadata, like: Some(like) })
}

/// `os/arch[/variant]`.
#[must_use]
pub fn platform_id(platform: &pb::Platform) -> String {
    let mut id = format!("{}/{}", platform.os, platform.architecture);
    if !platform.variant.is_empty() {
        id.push('/');
        id.push_str(&platform.variant);
    }
    id
}

impl From<GraphError> for BuildError {
    fn from(error: GraphError) -> Self {
        Self::rewrite(format!("its operations can't be rewritten: {error}"))
    }
}
