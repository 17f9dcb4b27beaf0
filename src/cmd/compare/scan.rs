//! Streams layers from the registry through [`Leftovers`]: nothing is stored, and no layer is ever in memory.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::leftovers::Leftovers;
use crate::failure::{During as _, Failure};
use crate::registry::Source;
use crate::ui::Progress;

/// How much of a layer is on its way between the registry and the decoder.
const WINDOW: usize = 1 << 20;
/// How often a layer is asked for before that is a failure.
const ATTEMPTS: usize = 3;

/// The bytes left behind in each of these layers, given as digest and an image that has it. Layers without any are
/// not in the result.
///
/// # Errors
/// A layer can't be fetched or read.
pub(crate) async fn leftovers(
    layers: BTreeMap<String, String>,
    plain_http: bool,
    progress: &Progress,
) -> Result<BTreeMap<String, u64>, Failure> {
    let count = layers.len();
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let mut waiting = layers.into_iter();
    let mut at_work = JoinSet::new();
    let (mut found, mut done) = (BTreeMap::new(), 0);
    loop {
        while at_work.len() < at_once
            && let Some((digest, image)) = waiting.next()
        {
            at_work.spawn(async move {
                let bytes = one(&image, &digest, plain_http).await?;
                Ok::<_, Failure>((digest, bytes))
            });
        }
        progress.now(&format!("looking for what pip left behind: layer {done}/{count}"));
        let Some(read) = at_work.join_next().await else { break };
        let (digest, bytes) = read.during("wait for a layer to be read")??;
        done += 1;
        if bytes > 0 {
            found.insert(digest, bytes);
        }
    }
    Ok(found)
}

async fn one(image: &str, digest: &str, plain_http: bool) -> Result<u64, Failure> {
    let source = Source::open(image, plain_http).await?;
    let found = stream(&source, image, digest, |layer| Leftovers::find(layer)).await?;
    if found.is_empty() {
        return Ok(0);
    }
    let found = Arc::new(found);
    stream(&source, image, digest, move |layer| found.measure(layer)).await
}

/// Runs `read` over a layer on a thread that may block; tries again what may have been the connection's fault.
async fn stream<T: Send + 'static>(
    source: &Source,
    image: &str,
    digest: &str,
    read: impl Fn(&mut dyn Read) -> io::Result<T> + Send + Clone + 'static,
) -> Result<T, Failure> {
    let mut attempt = 1;
    loop {
        let (mut writer, reader) = tokio::io::duplex(WINDOW);
        let handle = Handle::current();
        let read = read.clone();
        let ended = Arc::new(AtomicBool::new(false));
        let mut blocking = Blocking { inner: reader, handle, ended: Arc::clone(&ended) };
        let reading = tokio::task::spawn_blocking(move || read(&mut blocking));
        let fetched = async {
            let fetched = source.layer(digest, &mut writer).await;
            // Closing is what tells the reader that this was all.
            let _ = writer.shutdown().await;
            drop(writer);
            fetched
        };
        let (fetched, read) = tokio::join!(fetched, reading);
        match (fetched, read.during("wait for a layer to be read")?) {
            (Ok(()), Ok(result)) => return Ok(result),
            // All of it came, or the reader gave up before the end of what came: it is the layer that is wrong.
            (Ok(()), Err(cause)) => return Err(unreadable(image, digest, &cause)),
            (Err(_), Err(cause)) if !ended.load(Ordering::Acquire) => {
                return Err(unreadable(image, digest, &cause));
            }
            (Err(failure), _) if attempt == ATTEMPTS => return Err(failure),
            (Err(_), _) => attempt += 1,
        }
    }
}

fn unreadable(image: &str, digest: &str, cause: &io::Error) -> Failure {
    Failure::new(format!("cannot read the layer {digest} of `{image}`: {cause}"))
        .hint("without it, what pip left behind can't be told apart from what is saved")
}

/// An asynchronous reader for code that blocks.
struct Blocking<R> {
    inner: R,
    handle: Handle,
    /// Set when the end was read.
    ended: Arc<AtomicBool>,
}

impl<R: AsyncRead + Unpin> Read for Blocking<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.handle.block_on(self.inner.read(buffer))?;
        if read == 0 && !buffer.is_empty() {
            self.ended.store(true, Ordering::Release);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;

    /// A layout that holds one blob and nothing else.
    fn layout(bytes: &[u8]) -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let hex = "ab".repeat(32);
        fs::create_dir_all(dir.path().join("blobs/sha256")).unwrap();
        fs::write(dir.path().join("blobs/sha256").join(&hex), bytes).unwrap();
        (dir, format!("sha256:{hex}"))
    }

    fn run(bytes: &[u8]) -> Result<BTreeMap<String, u64>, Failure> {
        let (dir, digest) = layout(bytes);
        let layers = BTreeMap::from([(digest, format!("oci:{}", dir.path().display()))]);
        let runtime = crate::cli::runtime().unwrap();
        runtime.block_on(leftovers(layers, false, &Progress::new()))
    }

    fn archive(path: &str, content: &[u8]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, path, content).unwrap();
        builder.into_inner().unwrap()
    }

    #[test]
    fn layers_larger_than_the_window_are_streamed() {
        let content = vec![7; 3 * WINDOW];
        let found = run(&archive("root/.cache/pip/http/x", &content)).unwrap();
        let bytes: Vec<u64> = found.into_values().collect();
        assert_eq!(bytes, [(3 * WINDOW + 512 + 1024) as u64]);
        assert_eq!(run(&archive("usr/share/x", &content)).unwrap(), BTreeMap::new());
    }

    #[test]
    fn a_layer_that_breaks_off_is_named() {
        let error = run(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1]).unwrap_err().to_string();
        assert!(error.starts_with("cannot read the layer sha256:abab"), "{error}");
        assert!(error.contains(": its gzip stream breaks off"), "{error}");
        let error = run(&vec![1; 2 * WINDOW]).unwrap_err().to_string();
        assert!(error.starts_with("cannot read the layer sha256:abab"), "{error}");
    }

    #[test]
    fn a_layer_that_does_not_come_is_no_empty_one() {
        let (dir, _) = layout(b"");
        let digest = format!("sha256:{}", "cd".repeat(32));
        let layers = BTreeMap::from([(digest, format!("oci:{}", dir.path().display()))]);
        let runtime = crate::cli::runtime().unwrap();
        let found = runtime.block_on(leftovers(layers, false, &Progress::new()));
        let error = found.unwrap_err().to_string();
        assert!(error.starts_with("cannot fetch the layer sha256:cdcd"), "{error}");
    }
}
