//! Lists that come in pages: tags and catalogs (OCI distribution specification, "Listing tags").

use std::collections::{BTreeSet, HashSet};

use reqwest::header::{HeaderMap, LINK};
use reqwest::{Method, Url};
use serde_json::Value;

use super::endpoint::{Ask, Endpoint};
use crate::source::error::Error;
use crate::source::manifest::LARGEST;

/// Names on a page.
const PAGE: usize = 1000;
/// Names of a list: far more than any registry has.
const MOST: usize = 1_000_000;
/// Pages one after the other that may have nothing new. Registries that hide what may not be read have empty ones.
const MOST_EMPTY: usize = 20;

/// How much of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pages {
    All,
    /// What one request gives.
    First,
}

impl Endpoint {
    /// The list at `path`, sorted, each name once; `key` is what the list is called in the answers.
    pub(super) async fn list(
        &self,
        path: &str,
        scope: &str,
        key: &str,
        pages: Pages,
    ) -> Result<Vec<String>, Error> {
        let what = match path.strip_suffix("/tags/list") {
            Some(repository) => format!("list of tags of {repository}"),
            None => "catalog".to_owned(),
        };
        let mut url = self.url(path)?;
        url.query_pairs_mut().append_pair("n", &PAGE.to_string());
        let mut names = BTreeSet::new();
        let mut seen = HashSet::new();
        let mut empty = 0;
        loop {
            seen.insert(url.clone());
            let scope = scope.to_owned();
            let what = what.clone();
            let ask = Ask { method: Method::GET, url: url.clone(), accept: None, from: 0, scope, what };
            let (headers, bytes) = self.fetch(&ask, LARGEST).await?;
            let lies = |how: &str| Error::new(format!("{}: the {} {how}", self.host, ask.what));
            let page: Value = serde_json::from_slice(&bytes).map_err(|_| lies("is no JSON"))?;
            let before = names.len();
            match page.get(key) {
                // Of a repository whose tags are all deleted.
                Some(Value::Null) => {}
                Some(Value::Array(items)) => {
                    names.extend(items.iter().filter_map(Value::as_str).map(str::to_owned))
                }
                _ => return Err(lies(&format!("has no `{key}`"))),
            }
            if pages == Pages::First {
                break;
            }
            empty = if names.len() == before { empty + 1 } else { 0 };
            if names.len() > MOST {
                return Err(lies(&format!("has more than {MOST} names")));
            }
            let Some(next) = next(&headers, &url).map_err(|how| lies(&how))? else { break };
            if seen.contains(&next) {
                return Err(lies("goes in circles: a page leads to one before it"));
            }
            if empty > MOST_EMPTY {
                return Err(lies("has no end: one page after the other has nothing new"));
            }
            url = next;
        }
        Ok(names.into_iter().collect())
    }
}

/// The address of the next page (RFC 8288): `</v2/…?last=x>; rel="next"`.
fn next(headers: &HeaderMap, here: &Url) -> Result<Option<Url>, String> {
    for value in headers.get_all(LINK) {
        let text = value.to_str().map_err(|_| "has a link that is no text")?;
        for link in text.split(", ") {
            let Some((address, parameters)) =
                link.trim().strip_prefix('<').and_then(|link| link.split_once('>'))
            else {
                continue;
            };
            let rel = parameters.split(';').map(|one| one.trim().to_ascii_lowercase());
            if !rel.into_iter().any(|one| one == "rel=\"next\"" || one == "rel=next") {
                continue;
            }
            let url = here.join(address).map_err(|_| "has a link to the next page that is no address")?;
            // The login goes along to the next page.
            if url.origin() != here.origin() {
                return Err("has its next page on another server".into());
            }
            return Ok(Some(url));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn links() {
        let here = Url::parse("https://r.example.com/v2/a/tags/list?n=2").unwrap();
        let to = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LINK, text.parse().unwrap());
            next(&headers, &here).map(|url| url.map(|url| url.to_string()))
        };
        let expected = Ok(Some("https://r.example.com/v2/a/tags/list?last=b&n=2".to_owned()));
        assert_eq!(to("</v2/a/tags/list?last=b&n=2>; rel=\"next\""), expected);
        assert_eq!(to("<https://r.example.com/v2/a/tags/list?last=b&n=2>;rel=next"), expected);
        assert_eq!(to("</x>; rel=\"prev\", </v2/a/tags/list?last=b&n=2>; rel=\"next\""), expected);
        assert_eq!(to("</x>; rel=\"prev\""), Ok(None));
        assert_eq!(to("nonsense"), Ok(None));
        assert!(to("<https://evil.example.com/v2/>; rel=\"next\"").is_err());
        assert!(to("<http://r.example.com/v2/>; rel=\"next\"").is_err());
        assert_eq!(next(&HeaderMap::new(), &here), Ok(None));
    }
}
