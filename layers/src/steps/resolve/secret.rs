//! What is different in a step that is given secrets.
//!
//! An index's address may be the secret, or have it in it, and with it the address of each wheel. So none is kept: of a
//! wheel, its name, version and checksum are enough for the installer to find it again, with the same secrets.

use std::path::Path;

use crate::pip::{FoundOptions, NotUnderstood, PipCommand};
use crate::resolution::Distribution;

/// Variables that may hold an address with credentials, if they are secrets.
const ADDRESSES: &[&str] = &["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"];

/// The environment as far as it may be judged by its values.
pub(super) fn without_addresses(
    env: &[(String, String)],
    secrets: Option<&[String]>,
) -> Vec<(String, String)> {
    let hidden = |name: &String| {
        ADDRESSES.contains(&name.as_str()) && secrets.is_some_and(|secrets| secrets.contains(name))
    };
    env.iter()
        .map(|(name, value)| (name.clone(), if hidden(name) { String::new() } else { value.clone() }))
        .collect()
}

/// Options of the command that say where the wheels are, for whoever fetches them by name.
pub(super) fn places(
    command: &PipCommand,
    found: &FoundOptions,
    cwd: &Path,
) -> Result<Vec<String>, NotUnderstood> {
    const IN_FILES: &[&str] =
        &["--index-url", "--extra-index-url", "--find-links", "--no-index", "--trusted-host"];
    if found.by_url || found.options.iter().any(|option| IN_FILES.contains(option)) {
        return Err(NotUnderstood::new("an index in a requirements file, in a step with a secret"));
    }
    let mut places = Vec::new();
    for (option, value) in &command.options {
        match (*option, value) {
            ("--no-index", _) => places.push((*option).to_owned()),
            ("--find-links" | "--cert", Some(value)) if !value.contains(':') && !value.starts_with('~') => {
                places.push(format!("{option}={}", cwd.join(value).display()));
            }
            (
                "--index-url" | "--extra-index-url" | "--find-links" | "--trusted-host" | "--cert"
                | "--proxy",
                Some(value),
            ) => places.push(format!("{option}={value}")),
            _ => {}
        }
    }
    Ok(places)
}

/// A wheel without its address.
pub(super) fn without_address(wheel: Distribution) -> Result<Distribution, NotUnderstood> {
    if wheel.path().is_some() {
        return Ok(wheel);
    }
    if wheel.direct_url.is_some() {
        return Err(NotUnderstood::new(format!(
            "a requirement by URL, in a step with a secret: {}",
            wheel.name
        )));
    }
    Ok(Distribution { url: String::new(), ..wheel })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn where_wheels_are() {
        let of = |text: &str| {
            let argv: Vec<String> = text.split(' ').map(str::to_owned).collect();
            places(&PipCommand::parse(&argv).unwrap(), &FoundOptions::default(), Path::new("/app"))
        };
        assert_eq!(
            of("pip install -q --pre -i https://h/simple -f wheels -f https://h/more x").unwrap(),
            ["--index-url=https://h/simple", "--find-links=/app/wheels", "--find-links=https://h/more"]
        );
        assert_eq!(of("pip install x").unwrap(), Vec::<String>::new());
        let found = FoundOptions { options: ["--index-url"].into(), ..FoundOptions::default() };
        let argv = ["pip", "install", "x"].map(str::to_owned);
        assert!(places(&PipCommand::parse(&argv).unwrap(), &found, Path::new("/")).is_err());
    }

    #[test]
    fn only_secret_addresses_are_taken_as_they_are() {
        let env = [("PIP_INDEX_URL", "https://u:p@h"), ("PIP_USER", "1")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let secrets = ["PIP_INDEX_URL".to_owned(), "PIP_USER".to_owned()];
        assert_eq!(without_addresses(&env, None), env);
        assert_eq!(without_addresses(&env, Some(&[])), env);
        let left = without_addresses(&env, Some(&secrets));
        assert_eq!((left[0].1.as_str(), left[1].1.as_str()), ("", "1"));
    }
}
