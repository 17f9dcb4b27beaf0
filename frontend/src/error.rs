//! How a build fails: always a `google.rpc.Status`, since that is what a user's client shows.

use plinth_proto::rpc;

/// Codes of `google.rpc.Code` that plinth uses itself.
const INVALID_ARGUMENT: i32 = 3;
const UNKNOWN: i32 = 2;
const CANCELED: i32 = 1;

/// A failed build.
///
/// Errors of BuildKit's own are kept whole, details included: they carry the excerpt of the Dockerfile, the failed
/// vertex, stack traces. plinth's own carry a message and, where there is one, the lines of the file that is wrong.
#[derive(Clone, Debug)]
pub struct BuildError {
    status: Box<rpc::Status>,
    /// Only plinth's own changes are impossible; the build as written isn't.
    rewrite: bool,
}

impl BuildError {
    /// An error that the user can mend.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::with_code(INVALID_ARGUMENT, message)
    }

    /// Something that isn't the user's fault.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::with_code(UNKNOWN, message)
    }

    /// plinth's changes can't be made; the build as written can.
    pub fn rewrite(message: impl Into<String>) -> Self {
        Self { rewrite: true, ..Self::internal(message) }
    }

    /// Whether the build can be done as written.
    #[must_use]
    pub fn is_rewrite(&self) -> bool {
        self.rewrite
    }

    fn with_code(code: i32, message: impl Into<String>) -> Self {
        let status = rpc::Status { code, message: message.into(), details: Vec::new() };
        Self { status: Box::new(status), rewrite: false }
    }

    /// Adds the text and the lines that the error is about; clients print an excerpt. Lines count from 1.
    #[must_use]
    pub fn at(mut self, filename: &str, text: &[u8], lines: std::ops::RangeInclusive<usize>) -> Self {
        use base64::Engine;
        let source = serde_json::json!({
            "info": {
                "filename": filename,
                "data": base64::engine::general_purpose::STANDARD.encode(text),
            },
            "ranges": [{"start": {"line": lines.start()}, "end": {"line": lines.end()}}],
        });
        self.status.details.push(prost_types::Any {
            type_url: "github.com/moby/buildkit/errdefs.Source+json".to_owned(),
            value: source.to_string().into_bytes(),
        });
        self
    }

    /// The message, without details.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.status.message
    }

    /// The first line of the message: the rest is in the build log.
    #[must_use]
    pub fn first_line(&self) -> &str {
        self.message().lines().next().unwrap_or_default()
    }

    /// The user stopped the build: nothing else may be tried.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.status.code == CANCELED
    }

    /// The status to return. Its code is never 0, which BuildKit would read as success without a result.
    #[must_use]
    pub fn into_status(mut self) -> rpc::Status {
        if self.status.code == 0 {
            self.status.code = UNKNOWN;
        }
        *self.status
    }
}

impl std::fmt::Display for BuildError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.status.message)
    }
}

impl std::error::Error for BuildError {}

impl From<tonic::Status> for BuildError {
    /// Takes over BuildKit's status with its details; falls back to code and message if they didn't survive.
    fn from(status: tonic::Status) -> Self {
        use prost::Message;
        match rpc::Status::decode(status.details()) {
            Ok(full) if full.code != 0 => Self { status: Box::new(full), rewrite: false },
            _ => Self::with_code(status.code() as i32, status.message()),
        }
    }
}
