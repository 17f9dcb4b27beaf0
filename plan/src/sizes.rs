//! The sizes of wheels of which the index doesn't tell them (PEP 503 has no place for them): the server that has the wheel is
//! asked, without fetching it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::choose::Plan;

/// Requests at a time.
const AT_ONCE: usize = 8;
/// A server that takes longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks for the sizes that a plan lacks, and notes them. Those that can't be had stay unknown.
pub fn ask_sizes(plan: &mut Plan) {
    let pins = || plan.planned.iter().flat_map(|planned| planned.pins.values());
    let mut wanted: Vec<String> =
        pins().filter(|pin| pin.size.is_none()).map(|pin| pin.url.clone()).collect();
    wanted.sort();
    wanted.dedup();
    if wanted.is_empty() {
        return;
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    let found = runtime.block_on(all(wanted));
    let shared = plan.shared.values_mut().flat_map(BTreeMap::values_mut);
    for pin in plan.planned.iter_mut().flat_map(|planned| planned.pins.values_mut()).chain(shared) {
        pin.size = pin.size.or_else(|| found.get(&pin.url).copied());
    }
}

async fn all(urls: Vec<String>) -> BTreeMap<String, u64> {
    let Ok(client) = reqwest::Client::builder().timeout(PATIENCE).build() else { return BTreeMap::new() };
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut asked = JoinSet::new();
    for url in urls {
        let (client, places) = (client.clone(), places.clone());
        asked.spawn(async move {
            let _place = places.acquire().await.ok()?;
            let size = size(&client, &url).await?;
            Some((url, size))
        });
    }
    let mut found = BTreeMap::new();
    while let Some(answer) = asked.join_next().await {
        found.extend(answer.ok().flatten());
    }
    found
}

async fn size(client: &reqwest::Client, url: &str) -> Option<u64> {
    let answer = client.head(url).send().await.ok()?.error_for_status().ok()?;
    // What reqwest itself says of the body of an answer to HEAD is nothing.
    answer.headers().get("content-length")?.to_str().ok()?.parse().ok()
}
