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
pub struct BuildError(Box<rpc::Status>);

impl BuildError {
    /// An error that the user can mend.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::with_code(INVALID_ARGUMENT, message)
    }

    /// Something that isn't the user's fault.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::with_code(UNKNOWN, message)
    }

    fn with_code(code: i32, message: impl Into<String>) -> Self {
        Self(Box::new(rpc::Status { code, message: message.into(), details: Vec::new() }))
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
        self.0.details.push(prost_types::Any {
            type_url: "github.com/moby/buildkit/errdefs.Source+json".to_owned(),
            value: source.to_string().into_bytes(),
        });
        self
    }

    /// The message, without details.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The user stopped the build: nothing else may be tried.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.0.code == CANCELED
    }

    /// The status to return. Its code is never 0, which BuildKit would read as success without a result.
    #[must_use]
    pub fn into_status(mut self) -> rpc::Status {
        if self.0.code == 0 {
            self.0.code = UNKNOWN;
        }
        *self.0
    }
}

impl std::fmt::Display for BuildError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for BuildError {}

impl From<tonic::Status> for BuildError {
    /// Takes over BuildKit's status with its details; falls back to code and message if they didn't survive.
    fn from(status: tonic::Status) -> Self {
        use prost::Message;
        match rpc::Status::decode(status.details()) {
            Ok(full) if full.code != 0 => Self(Box::new(full)),
            _ => Self::with_code(status.code() as i32, status.message()),
        }
    }
}
