//! The gateway's transport: HTTP/2 over standard input and output.
//!
//! BuildKit starts the frontend with two pipes as standard input and output and speaks gRPC over them, as the
//! *server*; there is one connection and it can't be opened twice. Nothing may ever be printed to standard output.

use std::io::{self, Error, ErrorKind};
use std::os::fd::AsFd;
use std::sync::Mutex;

use hyper_util::rt::TokioIo;
use tokio::net::unix::pipe;
use tonic::transport::{Channel, Endpoint};

/// BuildKit's own limit for one message, both ways, in bytes.
pub const MESSAGE_LIMIT: usize = 16 << 20;

/// Error details hold the Dockerfile, the LLB and stack traces, in one base64 trailer: far more than the 16 KiB
/// that hyper accepts by default. Without this limit a failing build loses its excerpt.
const HEADER_LIMIT: u32 = 16 << 20;

/// Connects to BuildKit over standard input and output.
///
/// The pipes are read through non-blocking descriptors and not through `tokio::io::stdin()`, whose reader thread
/// would keep the process, and with it the build, alive for ever.
///
/// # Errors
/// If standard input or output is no pipe (the program was not started by BuildKit), or the connection fails.
pub async fn connect() -> io::Result<Channel> {
    let input = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
    let output = pipe::Sender::from_owned_fd(io::stdout().as_fd().try_clone_to_owned()?)?;
    let once = Mutex::new(Some(tokio::io::join(input, output)));
    Endpoint::from_static("http://localhost")
        .http2_max_header_list_size(HEADER_LIMIT)
        .connect_with_connector(tower::service_fn(move |_| {
            let stdio = once.lock().ok().and_then(|mut slot| slot.take());
            async move {
                // A second connection would read the middle of the first one's stream.
                stdio
                    .map(TokioIo::new)
                    .ok_or_else(|| Error::new(ErrorKind::NotConnected, "the connection to BuildKit ended"))
            }
        }))
        .await
        .map_err(Error::other)
}
