//! Names and passwords, from Docker's client configuration: `auths`, `credHelpers` and `credsStore` of config.json.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use base64::Engine as _;
use serde::Deserialize;

use super::helper;
use crate::source::error::Error;
use crate::source::spec::DOCKER_HUB;

/// Where names and passwords come from. By default: DOCKER_AUTH_CONFIG, which is the document itself; or else
/// `config.json` in the directory DOCKER_CONFIG; or else `~/.docker/config.json`.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The document, if it isn't to be looked for.
    document: Option<String>,
    /// Where credential helpers are, if not in PATH.
    helpers: Option<PathBuf>,
}

/// It has passwords in it.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("helpers", &self.helpers).finish_non_exhaustive()
    }
}

/// Who one is to a registry.
pub(super) enum Login {
    Nobody,
    Password {
        user: String,
        password: String,
    },
    /// A token that other tokens are had for.
    Identity(String),
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// What Docker's own registry is called in its configuration.
const HUB_KEY: &str = "https://index.docker.io/v1/";

impl Credentials {
    /// Those of this document (as config.json) instead of what the environment says.
    #[must_use]
    pub fn of_document(document: impl Into<String>) -> Self {
        Self { document: Some(document.into()), helpers: None }
    }

    /// Credential helpers are looked for in this directory instead of PATH.
    #[must_use]
    pub fn with_helpers_in(self, dir: impl Into<PathBuf>) -> Self {
        Self { helpers: Some(dir.into()), ..self }
    }

    /// Name and password for a registry (`HOST[:PORT]`, or `docker.io`), for other clients than this crate's. None if
    /// nobody says them, or if what is there is an identity token.
    ///
    /// # Errors
    /// The configuration can't be read, or a credential helper fails. One clause without its full stop.
    pub async fn password(&self, host: &str) -> Result<Option<(String, String)>, String> {
        match self.login(host).await.map_err(|error| error.to_string())? {
            Login::Password { user, password } => Ok(Some((user, password))),
            Login::Nobody | Login::Identity(_) => Ok(None),
        }
    }

    pub(super) async fn login(&self, host: &str) -> Result<Login, Error> {
        let Some((origin, text)) = self.text()? else { return Ok(Login::Nobody) };
        // Where in the document, but not what is there.
        let document: Document = serde_json::from_str(&text).map_err(|cause| {
            let (line, column) = (cause.line(), cause.column());
            Error::new(format!(
                "{origin} can't be read: it isn't as Docker writes it at line {line}, column {column}"
            ))
        })?;
        let helper = find(&document.cred_helpers, host).cloned().or_else(|| document.creds_store.clone());
        if let Some(name) = helper.filter(|name| !name.is_empty()) {
            let server = if host == DOCKER_HUB { HUB_KEY } else { host };
            let login = helper::get(&name, server, self.helpers.as_deref()).await?;
            // Docker looks into the file as well: a login may be older than the helper.
            if !matches!(login, Login::Nobody) {
                return Ok(login);
            }
        }
        match find(&document.auths, host) {
            Some(entry) => entry.login(host, &origin),
            None => Ok(Login::Nobody),
        }
    }

    /// The document, and what it is called.
    fn text(&self) -> Result<Option<(String, String)>, Error> {
        if let Some(text) = &self.document {
            return Ok(Some(("the configuration of Docker".into(), text.clone())));
        }
        if let Some(text) = std::env::var("DOCKER_AUTH_CONFIG").ok().filter(|text| !text.is_empty()) {
            return Ok(Some(("DOCKER_AUTH_CONFIG".into(), text)));
        }
        let dir = std::env::var_os("DOCKER_CONFIG").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let Some(dir) = dir.or_else(|| std::env::home_dir().map(|home| home.join(".docker"))) else {
            return Ok(None);
        };
        let file = dir.join("config.json");
        match std::fs::read_to_string(&file) {
            Ok(text) => Ok(Some((format!("`{}`", file.display()), text))),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(Error::new(format!("cannot read `{}`: {cause}", file.display()))),
        }
    }
}

/// The entry of a registry: by its name, or by an address with scheme and path as older clients wrote them.
fn find<'a, T>(entries: &'a BTreeMap<String, T>, host: &str) -> Option<&'a T> {
    let hub = [DOCKER_HUB, "index.docker.io", "registry-1.docker.io"];
    let of = |key: &str| {
        let name = key.trim_start_matches("https://").trim_start_matches("http://");
        let name = name.split('/').next().unwrap_or(name);
        name == host || host == DOCKER_HUB && hub.contains(&name)
    };
    entries.get(host).or_else(|| entries.iter().find(|(key, _)| of(key)).map(|(_, value)| value))
}

impl Entry {
    fn login(&self, host: &str, origin: &str) -> Result<Login, Error> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(identity) = given(&self.identitytoken) {
            return Ok(Login::Identity(identity));
        }
        if let (Some(user), Some(password)) = (given(&self.username), given(&self.password)) {
            return Ok(Login::Password { user, password });
        }
        let Some(auth) = given(&self.auth) else { return Ok(Login::Nobody) };
        let bad = || Error::new(format!("{origin}: the entry for {host} is not base64 of user:password"));
        let bytes = base64::engine::general_purpose::STANDARD.decode(auth.trim()).map_err(|_| bad())?;
        let text = String::from_utf8(bytes).map_err(|_| bad())?;
        let (user, password) = text.split_once(':').ok_or_else(bad)?;
        Ok(Login::Password { user: user.to_owned(), password: password.trim_end_matches('\0').to_owned() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn login(document: &str, host: &str) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        match runtime.block_on(Credentials::of_document(document).login(host)) {
            Ok(Login::Nobody) => "nobody".into(),
            Ok(Login::Password { user, password }) => format!("{user}/{password}"),
            Ok(Login::Identity(token)) => format!("identity {token}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn of_the_right_registry() {
        let text = r#"{"auths":{"r.example:5000":{"auth":"dTpwOnE="},"https://index.docker.io/v1/":{"username":"h","password":"x"},
            "az.example":{"auth":"dTpw","identitytoken":"t"}, "empty.example":{}}}"#;
        assert_eq!(login(text, "r.example:5000"), "u/p:q");
        assert_eq!(login(text, "docker.io"), "h/x");
        assert_eq!(login(text, "az.example"), "identity t");
        assert_eq!(login(text, "empty.example"), "nobody");
        assert_eq!(login(text, "r.example"), "nobody");
    }

    #[test]
    fn errors_keep_secrets() {
        let error = login(r#"{"auths":{"r":{"auth":"hunter2?"}}}"#, "r");
        assert_eq!(error, "the configuration of Docker: the entry for r is not base64 of user:password");
        let error = login(r#"{"auths":{"r":"hunter2"}}"#, "r");
        assert!(error.contains("line 1, column") && !error.contains("hunter2"), "{error}");
        let shown = format!("{:?}", Credentials::of_document("hunter2"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
