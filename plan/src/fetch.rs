//! Asking a server about wheels, and fetching them.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Wheels that are asked about at a time.
const AT_ONCE: usize = 8;
/// A server that takes longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest METADATA that is read, in bytes.
const LONGEST: usize = 8 << 20;

/// What a server says of a wheel.
#[derive(Debug, Default)]
pub(crate) struct Described {
    /// Its bytes.
    pub(crate) size: Option<u64>,
    /// Its METADATA.
    pub(crate) metadata: Option<String>,
}

/// Asks about wheels, each by its address, and whether its size is wanted. The answers are in their order; what can't be
/// had is left out of them.
pub(crate) fn describe(wanted: Vec<(String, bool)>) -> Vec<Described> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let client = reqwest::Client::builder().timeout(PATIENCE).build();
    match (runtime, client) {
        (Ok(runtime), Ok(client)) => runtime.block_on(all(client, wanted)),
        _ => wanted.iter().map(|_| Described::default()).collect(),
    }
}

async fn all(client: reqwest::Client, wanted: Vec<(String, bool)>) -> Vec<Described> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut found: Vec<Described> = wanted.iter().map(|_| Described::default()).collect();
    let mut asked = JoinSet::new();
    for (number, (url, sized)) in wanted.into_iter().enumerate() {
        let (client, places) = (client.clone(), places.clone());
        asked.spawn(async move {
            let _place = places.acquire().await.ok();
            let size = if sized { size(&client, &url).await } else { None };
            (number, Described { size, metadata: metadata(&client, &url).await })
        });
    }
    while let Some(answer) = asked.join_next().await {
        if let Ok((number, answer)) = answer {
            found[number] = answer;
        }
    }
    found
}

async fn size(client: &reqwest::Client, url: &str) -> Option<u64> {
    let answer = client.head(url).send().await.ok()?.error_for_status().ok()?;
    // What reqwest itself says of the body of an answer to HEAD is nothing.
    answer.headers().get("content-length")?.to_str().ok()?.parse().ok()
}

async fn metadata(client: &reqwest::Client, url: &str) -> Option<String> {
    String::from_utf8(body(client, &format!("{url}.metadata"), LONGEST).await.ok()?).ok()
}

/// What is at an address, if it has no more than so many bytes.
async fn body(client: &reqwest::Client, url: &str, most: usize) -> Result<Vec<u8>, String> {
    // Its messages have the address in them, which may be long, and is known.
    let failed = |error: reqwest::Error| error.without_url().to_string();
    let mut answer =
        client.get(url).send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > most {
            return Err(format!("it has more than {most} bytes"));
        }
    }
    Ok(bytes)
}

/// Fetches wheels, each by its SHA-256 and address, of no more than so many bytes each.
pub(crate) fn fetch(
    wanted: Vec<(String, String)>,
    most: usize,
) -> impl Iterator<Item = (String, Result<Vec<u8>, String>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let client = reqwest::Client::builder().timeout(PATIENCE).build();
    // One after the other: none of them is kept.
    wanted.into_iter().map(move |(sha256, url)| {
        let wheel = match (&runtime, &client) {
            (Ok(runtime), Ok(client)) => runtime.block_on(body(client, &url, most)),
            _ => Err("no connections can be made".to_owned()),
        };
        let same = |wheel: &Vec<u8>| hex::encode(Sha256::digest(wheel)) == sha256;
        let wheel =
            wheel.and_then(|wheel| same(&wheel).then_some(wheel).ok_or("it has another checksum".to_owned()));
        (sha256, wheel)
    })
}
