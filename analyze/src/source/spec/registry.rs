//! Names of images in registries.

use super::NoSource;
use crate::digest::Digest;
use crate::source::pattern::Pattern;

/// What names without a host are looked up in.
pub(crate) const DOCKER_HUB: &str = "docker.io";

/// Images of a registry.
#[derive(Clone, Debug)]
pub(crate) struct RegistryPlace {
    /// `HOST[:PORT]`; of Docker's own registry always `docker.io`.
    pub(crate) host: String,
    pub(crate) repository: Pattern,
    /// Every tag if there is neither this nor a digest.
    pub(crate) tag: Option<Pattern>,
    pub(crate) digest: Option<Digest>,
}

impl RegistryPlace {
    pub(crate) fn parse(text: &str) -> Result<Self, NoSource> {
        if let Some((scheme, rest)) = text.split_once("://") {
            // What stands before an `@` may be a password.
            let host = rest.split('/').next().and_then(|host| host.rsplit('@').next()).unwrap_or_default();
            let hint = match (scheme, loopback(host)) {
                (_, true) => {
                    format!("write {host}/team/app:1; registries of this machine are asked without TLS")
                }
                ("https", false) => "write registry.example.com/team/app:1".to_owned(),
                _ => "write registry.example.com/team/app:1; a registry without TLS needs --plain-http"
                    .to_owned(),
            };
            return Err(NoSource::new("a source is named without https:// or another scheme", hint));
        }
        let (name, digest) = match text.rsplit_once('@') {
            None => (text, None),
            Some((name, digest)) => (name, Some(parse_digest(digest)?)),
        };
        let last = name.rfind('/').map_or(0, |slash| slash + 1);
        let (path, tag) = match name[last..].find(':') {
            None => (name, None),
            Some(colon) => (&name[..last + colon], Some(&name[last + colon + 1..])),
        };
        let (host, repository) = split_host(path, tag)?;
        check_host(host)?;
        let host = canonical(host);
        let hub = host == DOCKER_HUB;
        // The images of docker.io that have no owner.
        let official = hub && !repository.contains('/') && !repository.contains("**");
        let full = if official { format!("library/{repository}") } else { repository.to_owned() };
        let repository = pattern(&full)?;
        if let Some(exact) = repository.exact() {
            check_repository(exact)?;
        }
        let tag = tag.map(pattern).transpose()?;
        if let Some(exact) = tag.as_ref().and_then(Pattern::exact).filter(|tag| !is_tag(tag)) {
            return Err(NoSource::new(
                format!("`{exact}` is no tag"),
                "a tag has letters, digits, `_`, `.` and `-`, 128 at most; `*` and `?` make it a glob",
            ));
        }
        if digest.is_some() && repository.exact().is_none() {
            return Err(NoSource::new(
                format!("`{full}` with a digest: a digest is of one repository"),
                "leave the digest away, or name the repository without a glob",
            ));
        }
        Ok(Self { host: host.to_owned(), repository, tag, digest })
    }
}

fn pattern(text: &str) -> Result<Pattern, NoSource> {
    Pattern::parse(text).map_err(|cause| {
        NoSource::new(
            format!("`{text}` is no glob: {cause}"),
            "`*` and `**` are the globs that suffice most often",
        )
    })
}

/// The first component is a host if it looks like one, as Docker has it: a dot, a port, or `localhost`.
fn split_host<'a>(path: &'a str, tag: Option<&str>) -> Result<(&'a str, &'a str), NoSource> {
    let host_like = |first: &str| first.contains(['.', ':']) || first == "localhost";
    match path.split_once('/') {
        Some((first, rest)) if host_like(first) => Ok((first, rest)),
        None if host_like(path) => {
            let port = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
            Err(NoSource::new(
                format!("`{path}{port}` names a registry but no repository"),
                format!("all of it is {path}{port}/**"),
            ))
        }
        _ => Ok((DOCKER_HUB, path)),
    }
}

/// One name for Docker's own registry, which has several.
pub(crate) fn canonical(host: &str) -> &str {
    if ["index.docker.io", "registry-1.docker.io"].contains(&host) { DOCKER_HUB } else { host }
}

/// # Errors
/// It can't be the host of an address.
pub(crate) fn check_host(host: &str) -> Result<(), NoSource> {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    };
    let v6 = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let name_ok = match v6 {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b)),
    };
    if name_ok && port.is_none_or(|port| port.parse::<u16>().is_ok()) {
        return Ok(());
    }
    Err(NoSource::new(
        // What stands before an `@` may be a password.
        format!("`{}` is no host", host.rsplit('@').next().unwrap_or_default()),
        "a registry is named by host and perhaps port: registry.example.com:5000; credentials come from `docker login`",
    ))
}

fn parse_digest(text: &str) -> Result<Digest, NoSource> {
    text.parse().map_err(|cause| {
        NoSource::new(
            format!("after the @: {cause}"),
            "a digest is sha256: and 64 hexadecimal digits; credentials come from `docker login`, never from the name",
        )
    })
}

fn check_repository(name: &str) -> Result<(), NoSource> {
    if is_repository(name) {
        return Ok(());
    }
    let hint = if name.bytes().any(|b| b.is_ascii_uppercase()) {
        "names of repositories are in lower case"
    } else {
        "a repository looks like team/app; `*` and `**` make it a glob; a path on disk begins with ./ or /"
    };
    Err(NoSource::new(format!("`{name}` is no repository"), hint))
}

/// Whether it is the name of a repository (OCI distribution specification, "Pulling manifests"). It becomes part of an
/// address, so that a catalog must not have other names either.
pub(crate) fn is_repository(name: &str) -> bool {
    name.len() <= 255
        && name.split('/').all(|part| {
            let edge = |byte: Option<u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            edge(part.bytes().next())
                && edge(part.bytes().next_back())
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
        })
}

/// Whether it is a tag.
pub(crate) fn is_tag(tag: &str) -> bool {
    (1..=128).contains(&tag.len())
        && !tag.starts_with(['.', '-'])
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// Whether `host` (with or without a port) is this machine.
pub(crate) fn loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    name == "localhost"
        || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parsed(text: &str) -> String {
        let place = RegistryPlace::parse(text).unwrap();
        let tag = place.tag.map(|tag| format!(" tag {tag}")).unwrap_or_default();
        let digest = place.digest.map(|digest| format!(" {digest}")).unwrap_or_default();
        format!("{} {}{tag}{digest}", place.host, place.repository)
    }

    #[test]
    fn names() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(parsed("python"), "docker.io library/python");
        assert_eq!(parsed("python:3*"), "docker.io library/python tag 3*");
        assert_eq!(parsed("team/app:1"), "docker.io team/app tag 1");
        assert_eq!(parsed("index.docker.io/python"), "docker.io library/python");
        assert_eq!(parsed("docker.io/**"), "docker.io **");
        assert_eq!(parsed("127.0.0.1:5051/a/b:1"), "127.0.0.1:5051 a/b tag 1");
        assert_eq!(parsed("localhost/a"), "localhost a");
        assert_eq!(parsed("[::1]:5000/a:*"), "[::1]:5000 a tag *");
        assert_eq!(parsed("r.example.com/**"), "r.example.com **");
        assert_eq!(parsed("r.example.com/team/*-{a,b}:v?"), "r.example.com team/*-{a,b} tag v?");
        assert_eq!(parsed(&format!("r.example.com/a:1@{digest}")), format!("r.example.com a tag 1 {digest}"));
    }

    #[test]
    fn globs_stay_within_a_component() {
        let place = RegistryPlace::parse("r.example.com/team/*").unwrap();
        assert!(place.repository.matches("team/app"));
        assert!(!place.repository.matches("team/app/cache"));
        let place = RegistryPlace::parse("r.example.com/team/**").unwrap();
        assert!(place.repository.matches("team/app/cache"));
        assert!(RegistryPlace::parse("r.example.com/**").unwrap().repository.matches("a/b/c"));
    }

    #[test]
    fn refusals_say_what_to_do() {
        let refused = |text: &str| {
            let error = RegistryPlace::parse(text).unwrap_err();
            format!("{error}; {}", error.hint())
        };
        assert_eq!(
            refused("r.example.com:5000"),
            "`r.example.com:5000` names a registry but no repository; all of it is r.example.com:5000/**"
        );
        assert_eq!(
            refused("r.example.com/Team/app"),
            "`Team/app` is no repository; names of repositories are in lower case"
        );
        for secret in ["https://user:hunter2@r.example.com/a", "user:hunter2@r.example.com/a"] {
            let error = refused(secret);
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(refused("http://r.example.com/a").ends_with("a registry without TLS needs --plain-http"));
        assert!(refused("http://u:p@127.0.0.1:5000/a").ends_with(
            "; write 127.0.0.1:5000/team/app:1; registries of this machine are asked without TLS"
        ));
        assert!(refused("r.example.com/a:.b").starts_with("`.b` is no tag"));
        assert!(refused("r.example.com/a[:1").contains("is no"));
        assert!(refused("r.example.com/a/../b").contains("is no repository"));
        assert!(refused("r.example.com:99999/a").starts_with("`r.example.com:99999` is no host"));
        assert!(refused(&format!("r.example.com/*@sha256:{}", "0a".repeat(32))).contains("one repository"));
    }

    #[test]
    fn this_machine() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:5051", "127.8.8.8", "[::1]:5000"] {
            assert!(loopback(host), "{host}");
        }
        for host in ["r.example.com", "localhost.example.com:5000", "10.0.0.1:5000", "128.0.0.1"] {
            assert!(!loopback(host), "{host}");
        }
    }
}
