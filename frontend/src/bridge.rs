//! BuildKit's side of the build: the calls of the gateway's `LLBBridge` service that plinth makes.

use std::collections::BTreeMap;

use plinth_proto::gateway::llb_bridge_client::LlbBridgeClient;
use plinth_proto::{apicaps, gateway, pb, rpc};
use tonic::transport::Channel;

use crate::error::BuildError;
use crate::image::ImageConfig;
use crate::request::CacheImport;
use crate::transport::MESSAGE_LIMIT;

/// One page of a file read; well below the limit of a message.
const PAGE: u64 = 8 << 20;

/// A connection to BuildKit. Clones share it, and may call at the same time.
#[derive(Clone)]
pub struct Bridge {
    client: LlbBridgeClient<Channel>,
    cache_imports: Vec<gateway::CacheOptionsEntry>,
    caps: std::sync::Arc<Caps>,
}

/// What the daemon can do: API and LLB capabilities that exist and are enabled.
#[derive(Debug, Default)]
struct Caps {
    api: BTreeMap<String, Option<String>>,
    llb: BTreeMap<String, Option<String>>,
}

/// A solved, or still lazy, result: an ID of the daemon's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ref(pub String);

/// An image, resolved.
#[derive(Clone, Debug)]
pub struct ResolvedImage {
    /// Digest of the manifest, or of the index, that the reference points to.
    pub digest: String,
    /// Config of the platform asked for.
    pub config: ImageConfig,
}

impl Bridge {
    /// Starts talking: asks for the daemon's capabilities.
    ///
    /// # Errors
    /// If the daemon doesn't answer.
    pub async fn new(channel: Channel, cache_imports: Vec<CacheImport>) -> Result<Self, BuildError> {
        let mut client = LlbBridgeClient::new(channel)
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT);
        let pong = client.ping(gateway::PingRequest {}).await?.into_inner();
        let caps = Caps { api: index(pong.frontend_api_caps), llb: index(pong.llb_caps) };
        let cache_imports = cache_imports
            .into_iter()
            .map(|import| gateway::CacheOptionsEntry { r#type: import.kind, attrs: import.attrs })
            .collect();
        Ok(Self { client, cache_imports, caps: std::sync::Arc::new(caps) })
    }

    /// Checks an API capability.
    ///
    /// # Errors
    /// If it is missing or switched off, with the daemon's reason.
    pub fn require_api(&self, id: &str) -> Result<(), BuildError> {
        check(&self.caps.api, id).map_err(|why| {
            BuildError::internal(format!(
                "plinth needs a newer BuildKit: the capability {id} is missing{why}"
            ))
        })
    }

    /// Checks an LLB capability; the error is the daemon's reason, for the report.
    ///
    /// # Errors
    /// If it is missing or switched off.
    pub fn llb_cap(&self, id: &str) -> Result<(), String> {
        check(&self.caps.llb, id).map_err(|why| format!("the builder has no {id}{why}"))
    }

    /// Solves with another frontend, which gets the options and the inputs as they are.
    ///
    /// # Errors
    /// What the frontend returns, details included.
    pub async fn solve_frontend(
        &self,
        frontend: &str,
        opts: BTreeMap<String, String>,
        inputs: BTreeMap<String, bytes::Bytes>,
    ) -> Result<gateway::Result, BuildError> {
        let request = gateway::SolveRequest {
            frontend: frontend.to_owned(),
            frontend_opt: opts,
            frontend_inputs: inputs,
            cache_imports: self.cache_imports.clone(),
            ..base_request()
        };
        self.solve(request).await
    }

    /// Solves a definition (an encoded `pb.Definition`). `evaluate` waits until everything in it has run; otherwise
    /// nothing runs until the result is used.
    ///
    /// # Errors
    /// If it doesn't load or, evaluated, fails.
    pub async fn solve_definition(
        &self,
        definition: bytes::Bytes,
        evaluate: bool,
    ) -> Result<Ref, BuildError> {
        let request = gateway::SolveRequest {
            definition: Some(definition),
            evaluate,
            cache_imports: self.cache_imports.clone(),
            ..base_request()
        };
        match self.solve(request).await?.result {
            Some(gateway::result::Result::Ref(r)) => Ok(Ref(r.id)),
            _ => Err(BuildError::internal("BuildKit gave no single result for a definition")),
        }
    }

    async fn solve(&self, request: gateway::SolveRequest) -> Result<gateway::Result, BuildError> {
        let response = self.client.clone().solve(request).await?.into_inner();
        response.result.ok_or_else(|| BuildError::internal("BuildKit gave no result"))
    }

    /// Reads a whole file of a result, up to `limit` bytes.
    ///
    /// # Errors
    /// If it isn't there, or is larger.
    pub async fn read_file(&self, r: &Ref, path: &str, limit: u64) -> Result<Vec<u8>, BuildError> {
        let mut data = Vec::new();
        loop {
            let range = gateway::FileRange { offset: data.len() as i64, length: PAGE as i64 };
            let request = gateway::ReadFileRequest {
                r#ref: r.0.clone(),
                file_path: path.to_owned(),
                range: Some(range),
                ..Default::default()
            };
            let page = self.client.clone().read_file(request).await?.into_inner().data;
            data.extend_from_slice(&page);
            if data.len() as u64 > limit {
                return Err(BuildError::invalid(format!("{path} is larger than {limit} bytes")));
            }
            if (page.len() as u64) < PAGE {
                return Ok(data);
            }
        }
    }

    /// Reads a file that may not be there.
    ///
    /// # Errors
    /// If the result itself can't be had.
    pub async fn read_optional(
        &self,
        r: &Ref,
        path: &str,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, BuildError> {
        if self.has(r, path).await? { self.read_file(r, path, limit).await.map(Some) } else { Ok(None) }
    }

    /// Whether there is something at a path.
    ///
    /// # Errors
    /// If the result itself, or the directory of the path, can't be had.
    pub async fn has(&self, r: &Ref, path: &str) -> Result<bool, BuildError> {
        // Listing a directory doesn't go into those below it.
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok(self.list(r, directory, name).await?.iter().any(|entry| entry == name))
    }

    /// The names in a directory that match a pattern.
    ///
    /// # Errors
    /// If the result, or the directory, can't be had.
    pub async fn list(&self, r: &Ref, directory: &str, pattern: &str) -> Result<Vec<String>, BuildError> {
        let request = gateway::ReadDirRequest {
            r#ref: r.0.clone(),
            dir_path: format!("/{directory}"),
            include_pattern: pattern.to_owned(),
            ..Default::default()
        };
        let entries = self.client.clone().read_dir(request).await?.into_inner().entries;
        Ok(entries.into_iter().map(|entry| entry.path.trim_start_matches('/').to_owned()).collect())
    }

    /// Resolves an image to its digest and config, with the daemon's registries and the user's credentials.
    ///
    /// # Errors
    /// If there is no such image for the platform.
    pub async fn resolve_image(
        &self,
        reference: &str,
        platform: Option<pb::Platform>,
        mode: &str,
    ) -> Result<ResolvedImage, BuildError> {
        let request = gateway::ResolveImageConfigRequest {
            r#ref: reference.to_owned(),
            platform,
            resolve_mode: mode.to_owned(),
            log_name: format!("[plinth] load metadata for {reference}"),
            ..Default::default()
        };
        let response = self.client.clone().resolve_image_config(request).await?.into_inner();
        let config = ImageConfig::parse(&response.config)
            .map_err(|e| BuildError::invalid(format!("the config of {reference} is no image config: {e}")))?;
        Ok(ResolvedImage { digest: response.digest, config })
    }

    /// The frontend inputs of this build: name to encoded definition.
    ///
    /// # Errors
    /// If the daemon doesn't answer.
    pub async fn inputs(&self) -> Result<BTreeMap<String, bytes::Bytes>, BuildError> {
        Ok(self.client.clone().inputs(gateway::InputsRequest {}).await?.into_inner().definitions)
    }

    /// Shows a warning to the user, with an excerpt. Failing to warn is no reason to fail.
    pub async fn warn(&self, warning: gateway::WarnRequest) {
        let _ = self.client.clone().warn(warning).await;
    }

    /// Ends the build.
    ///
    /// # Errors
    /// If the daemon doesn't take the result.
    pub async fn finish(&self, outcome: Result<gateway::Result, rpc::Status>) -> Result<(), BuildError> {
        let request = match outcome {
            Ok(result) => gateway::ReturnRequest { result: Some(result), error: None },
            Err(status) => gateway::ReturnRequest { result: None, error: Some(status) },
        };
        self.client.clone().r#return(request).await?;
        Ok(())
    }
}

fn base_request() -> gateway::SolveRequest {
    gateway::SolveRequest { allow_result_return: true, allow_result_array_ref: true, ..Default::default() }
}

/// Enabled capabilities map to `None`, disabled ones to the reason.
fn index(caps: Vec<apicaps::ApiCap>) -> BTreeMap<String, Option<String>> {
    caps.into_iter().map(|cap| (cap.id, (!cap.enabled).then_some(cap.disabled_reason_msg))).collect()
}

fn check(caps: &BTreeMap<String, Option<String>>, id: &str) -> Result<(), String> {
    match caps.get(id) {
        Some(None) => Ok(()),
        Some(Some(reason)) if !reason.is_empty() => Err(format!(" ({reason})")),
        _ => Err(String::new()),
    }
}
