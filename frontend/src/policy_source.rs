//! Where the policy comes from. The first of these that has one:
//!
//! 1. the named context `plinth`,
//! 2. `plinth.toml` beside the Dockerfile,
//! 3. `plinth.toml` at the root of the build context,
//! 4. `/plinth.toml` of the frontend image (an organisation's own `FROM plinth` image).
//!
//! No policy is fine: then no base is substituted. A `plinth.lock` in the same place as the policy comes along with it,
//! and so do those for one platform alone (`plinth.linux-arm64.lock`).

use std::collections::BTreeMap;

use bytes::Bytes;
use plinth_proto::{Digest, canonical, pb};

use crate::bridge::{Bridge, Ref};
use crate::error::BuildError;
use crate::exec::CUSTOM_NAME;
use crate::locks::Locks;
use crate::policy::Policy;
use crate::request::Request;

/// Name of the file, wherever it is.
const FILE: &str = "plinth.toml";
/// Where an organisation's frontend image has it.
const BAKED: &str = "/plinth.toml";
/// A policy is written by people.
const LIMIT: u64 = 1 << 20;
/// A lock is part of each request to BuildKit, of which none may have more than 16 MiB.
const LOCK_LIMIT: u64 = 4 << 20;

/// A policy with its text, so that errors can show the line.
pub struct Found {
    /// The policy.
    pub policy: Policy,
    /// Where it was found, for messages: `plinth.toml`, `plinth.toml (named context)`, …
    pub name: String,
    /// Its text.
    pub text: String,
    /// The fleet's locks.
    pub locks: Locks,
}

/// Finds and reads the policy of a build.
///
/// # Errors
/// If there is one that can't be read or doesn't parse: building without it would build something else.
pub async fn find(
    bridge: &Bridge,
    request: &Request,
    inputs: &BTreeMap<String, Bytes>,
) -> Result<Option<Found>, BuildError> {
    if let Some(context) = request.opt("context:plinth") {
        let definition = named(context, request, inputs)?;
        let solved = bridge.solve_definition(definition, false).await?;
        let text = bridge.read_optional(&solved, FILE, LIMIT).await?.ok_or_else(|| {
            BuildError::invalid(format!(
                "the named context `plinth` ({context}) holds no {FILE}; put one at its root"
            ))
        })?;
        let locks = read_locks(bridge, &solved, FILE).await?;
        return parse(text, format!("{FILE} (named context)"), locks).map(Some);
    }
    let beside = beside_dockerfile(request);
    // A remote context is not read here: its Dockerfile, and what lies beside it, are upstream's to fetch.
    if !is_remote(request) {
        let dockerfile = request.opt("dockerfilekey").unwrap_or("dockerfile");
        let context = request.opt("contextkey").unwrap_or("context");
        let places = [(dockerfile, "dockerfile", beside), (context, "context", FILE.to_owned())];
        for (local, input, path) in places {
            let definition = match inputs.get(input) {
                Some(definition) => definition.clone(),
                None => local_definition(request, local, &path)?,
            };
            // A local directory that the client doesn't share is no place to look in.
            let Ok(solved) = bridge.solve_definition(definition, false).await else { continue };
            if bridge.has(&solved, &path).await.unwrap_or(false) {
                let text = bridge.read_file(&solved, &path, LIMIT).await?;
                let locks = read_locks(bridge, &solved, &path).await?;
                return parse(text, path, locks).map(Some);
            }
        }
    }
    match std::fs::read(BAKED) {
        Ok(text) => {
            let mut locks = Locks::default();
            for file in Locks::files() {
                if let Ok(bytes) = std::fs::read(format!("/{file}")) {
                    locks.add(file, bytes)?;
                }
            }
            parse(text, format!("{BAKED} of the frontend image"), locks).map(Some)
        }
        Err(_) => Ok(None),
    }
}

/// The locks beside a policy.
async fn read_locks(bridge: &Bridge, solved: &Ref, policy: &str) -> Result<Locks, BuildError> {
    let mut locks = Locks::default();
    for file in Locks::files() {
        if let Some(bytes) = bridge.read_optional(solved, &beside(policy, file), LOCK_LIMIT).await? {
            locks.add(file, bytes)?;
        }
    }
    Ok(locks)
}

/// The path of a file beside the policy at a path.
fn beside(policy: &str, file: &str) -> String {
    match policy.rsplit_once('/') {
        Some((directory, _)) => format!("{directory}/{file}"),
        None => file.to_owned(),
    }
}

fn parse(text: Vec<u8>, name: String, locks: Locks) -> Result<Found, BuildError> {
    let text = String::from_utf8(text).map_err(|e| {
        let line = 1 + e.as_bytes()[..e.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
        BuildError::invalid(format!("{name}:{line}: the policy is no UTF-8 text"))
    })?;
    match Policy::parse(&text, &name) {
        Ok(policy) => Ok(Found { policy, name, text, locks }),
        Err(error) => {
            let line = error.position.line.max(1);
            Err(BuildError::invalid(error.to_string()).at(&name, text.as_bytes(), line..=line))
        }
    }
}

/// The directory of the Dockerfile, as a path in its local source.
fn beside_dockerfile(request: &Request) -> String {
    let dockerfile = request.opt("filename").unwrap_or("Dockerfile").trim_start_matches("./");
    match dockerfile.rsplit_once('/') {
        Some((directory, _)) => format!("{directory}/{FILE}"),
        None => FILE.to_owned(),
    }
}

fn is_remote(request: &Request) -> bool {
    request.opt("context").is_some_and(|context| context.contains("://") || context.starts_with("git@"))
}

/// The definition of the named context.
fn named(context: &str, request: &Request, inputs: &BTreeMap<String, Bytes>) -> Result<Bytes, BuildError> {
    let (kind, rest) = context.split_once(':').unwrap_or((context, ""));
    let source = |identifier: String, attrs: BTreeMap<String, String>| {
        let name = "[plinth] load the policy".to_owned();
        definition(pb::SourceOp { identifier, attrs }, name)
    };
    match kind {
        "local" => local_definition(request, rest, FILE),
        "input" => inputs
            .get(rest)
            .cloned()
            .ok_or_else(|| BuildError::invalid(format!("the named context `plinth` has no input {rest}"))),
        "docker-image" => {
            let reference = crate::policy::Reference::parse(rest.trim_start_matches("//"))
                .map_err(|e| BuildError::invalid(format!("the named context `plinth`: {e}")))?;
            source(format!("docker-image://{}", reference.canonical()), BTreeMap::new())
        }
        "http" | "https" => {
            source(context.to_owned(), [("http.filename".to_owned(), FILE.to_owned())].into())
        }
        _ => Err(BuildError::invalid(format!(
            "the named context `plinth` is of the kind `{kind}`, from which no policy is read; use a directory, an image or a URL of the file"
        ))),
    }
}

/// A policy, and the locks beside it, in a directory that the client shares.
fn local_definition(request: &Request, name: &str, path: &str) -> Result<Bytes, BuildError> {
    let session = request.opt(&format!("local-sessionid:{name}")).unwrap_or(&request.session);
    let files = std::iter::once(path.to_owned()).chain(Locks::files().map(|file| beside(path, file)));
    let files = serde_json::to_string(&files.collect::<Vec<_>>()).unwrap_or_default();
    let attrs = [
        ("local.session".to_owned(), session.to_owned()),
        ("local.followpaths".to_owned(), files),
        // Shares no transfer state with the other loads of this directory: they ask for other files.
        ("local.sharedkeyhint".to_owned(), format!("{name}-{FILE}")),
        ("local.differ".to_owned(), "none".to_owned()),
    ];
    let source = pb::SourceOp { identifier: format!("local://{name}"), attrs: attrs.into() };
    definition(source, format!("[internal] load {FILE}"))
}

/// A definition of one source.
fn definition(source: pb::SourceOp, name: String) -> Result<Bytes, BuildError> {
    let broken = |e| BuildError::internal(format!("a source of the policy can't be encoded: {e}"));
    let op = pb::Op {
        constraints: Some(pb::WorkerConstraints::default()),
        op: Some(pb::op::Op::Source(source)),
        ..Default::default()
    };
    let op = canonical::encode(&op).map_err(broken)?;
    let digest = Digest::of(&op).to_string();
    let terminal =
        pb::Op { inputs: vec![pb::Input { digest: digest.clone(), index: 0 }], ..Default::default() };
    let terminal = canonical::encode(&terminal).map_err(broken)?;
    let metadata =
        pb::OpMetadata { description: [(CUSTOM_NAME.to_owned(), name)].into(), ..Default::default() };
    let metadata = [(digest, metadata), (Digest::of(&terminal).to_string(), pb::OpMetadata::default())];
    let definition = pb::Definition { def: vec![op, terminal], metadata: metadata.into(), source: None };
    canonical::encode(&definition).map_err(broken)
}
