//! Programs that keep credentials: `docker-credential-NAME get` (docker-credential-helpers, "Usage").

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::credentials::Login;
use crate::source::error::{Error, quoted};

/// Some ask a server, or the user.
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

/// Asks the helper `name`, in `dir` or else in PATH.
pub(super) async fn get(name: &str, server: &str, dir: Option<&Path>) -> Result<Login, Error> {
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
        return Err(Error::new(
            "the configuration of Docker names a credential helper that is no name of a program",
        ));
    }
    let program = format!("docker-credential-{name}");
    let path = dir.map_or_else(|| program.clone().into(), |dir| dir.join(&program));
    let hint = "check that it works by itself, or take it out of Docker's config.json";
    let failed = |how: &str| Error::new(format!("`{program} get` for {server} {how}; {hint}"));
    let mut child = Command::new(path)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|cause| failed(&format!("doesn't start: {cause}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that doesn't read its input says by its exit what it thinks.
        let _ = stdin.write_all(server.as_bytes()).await;
    }
    let output = tokio::time::timeout(LONGEST, child.wait_with_output()).await;
    let output = output.map_err(|_| failed("gives no answer"))?;
    let output = output.map_err(|cause| failed(&format!("breaks off: {cause}")))?;
    if !output.status.success() {
        // By its protocol it explains itself on stdout.
        let said = String::from_utf8_lossy(&output.stdout);
        if said.contains("credentials not found") {
            return Ok(Login::Nobody);
        }
        let said = quoted(&said);
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        return Err(failed(&format!("fails with {}{said}", output.status)));
    }
    // What it says now may be the password.
    let answer: Answer = serde_json::from_slice(&output.stdout)
        .map_err(|_| failed("answers with something else than credentials"))?;
    Ok(match answer.username.as_str() {
        "<token>" => Login::Identity(answer.secret),
        "" if answer.secret.is_empty() => Login::Nobody,
        user => Login::Password { user: user.to_owned(), password: answer.secret },
    })
}
