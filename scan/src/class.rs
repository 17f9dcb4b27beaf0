//! Whether a service moves onto a master, by the images that its target builds on.

use plinth_frontend::policy::{BaseDecision, Policy, Reference};
use serde::Serialize;

use crate::dockerfile::Base;

/// What a policy makes of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// It moves, or would with a master for its base.
    Migrate,
    /// It stays as it is.
    Keep,
    /// Nothing tells.
    Unknown,
}

/// The class of a service, and why: one clause without its full stop. `bases` are those of the stages that the target
/// needs, the target's own first; `built_here` tells whether an image is one that the fleet builds itself.
pub(crate) fn of(bases: &[&Base], policy: &Policy, built_here: &dyn Fn(&str) -> bool) -> (Class, String) {
    let Some(last) = bases.first() else { return (Class::Unknown, "it has no stage".to_owned()) };
    let name = match last {
        Base::Image(name) => name,
        Base::Unresolved(text) => {
            return (Class::Unknown, format!("the base `{text}` depends on a variable without a value"));
        }
        // A program alone in an image, or stages only: what it was built on doesn't stay.
        Base::Scratch => return (Class::Keep, "it ends on scratch: there is no base to replace".to_owned()),
        Base::Stage(_) => return (Class::Unknown, "its base is another stage".to_owned()),
    };
    match policy.decide(&familiar(name)) {
        BaseDecision::Keep { reason, .. } => return (Class::Keep, reason),
        BaseDecision::Replace { base, rule } => {
            return (Class::Migrate, format!("`{rule}` of the policy: {} stands in for {name}", base.name));
        }
        BaseDecision::Unmatched => {}
    }
    let repository = repository(name);
    let last_part = repository.rsplit('/').next().unwrap_or_default();
    if !policy.bases.is_empty() {
        return (Class::Unknown, format!("no rule of the policy names {name}"));
    }
    if matches!(last_part, "python" | "node") {
        return (Class::Migrate, format!("it stands on {last_part}"));
    }
    if built_here(name) {
        return (Class::Migrate, format!("it stands on {name}, which a Dockerfile here builds"));
    }
    let images = || {
        bases.iter().filter_map(|base| match base {
            Base::Image(name) => Some(name.as_str()),
            _ => None,
        })
    };
    // Debian or Alpine with a database's program copied into it is that database.
    let kept = images().find_map(|name| match policy.decide(&familiar(name)) {
        BaseDecision::Keep { reason, .. } => Some(reason),
        _ => None,
    });
    if let Some(reason) = kept {
        return (Class::Keep, format!("it takes from an image that is kept: {reason}"));
    }
    match images().find_map(|name| language(&self::repository(name))) {
        Some(language) => (Class::Keep, format!("it is built with {language}")),
        None => (
            Class::Unknown,
            format!("{name} says nothing of what runs on it; a [[base]] or [keep] of a policy would"),
        ),
    }
}

/// The toolchains of languages whose programs don't move to a Python or Node master.
fn language(repository: &str) -> Option<&'static str> {
    match repository.rsplit('/').next().unwrap_or_default() {
        "golang" => Some("Go"),
        "rust" => Some("Rust"),
        "openjdk" | "eclipse-temurin" | "maven" | "gradle" | "amazoncorretto" => Some("Java"),
        "ruby" => Some("Ruby"),
        "php" | "composer" => Some("PHP"),
        "dotnet" | "sdk" | "aspnet" => Some(".NET"),
        "gcc" => Some("C or C++"),
        "elixir" | "erlang" => Some("Erlang"),
        "haskell" => Some("Haskell"),
        "swift" => Some("Swift"),
        _ => None,
    }
}

/// The name that people write, if it is a name at all.
pub(crate) fn familiar(name: &str) -> String {
    plinth_frontend::policy::familiar(name)
}

/// The name without tag and digest.
pub(crate) fn repository(name: &str) -> String {
    let familiar = familiar(name);
    let name = familiar.split('@').next().unwrap_or_default();
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository.to_owned(),
        _ => name.to_owned(),
    }
}

/// `X.Y` in the tag of an official Python image.
pub(crate) fn python_version(name: &str) -> Option<(u64, u64)> {
    Reference::parse(name).ok()?;
    let familiar = familiar(name);
    let (repository, tag) = familiar.split('@').next()?.rsplit_once(':')?;
    if repository.rsplit('/').next() != Some("python") {
        return None;
    }
    let mut parts = tag.split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn class(name: &str, policy: &str) -> (Class, String) {
        let policy =
            if policy.is_empty() { Policy::default() } else { Policy::parse(policy, "plinth.toml").unwrap() };
        of(&[&Base::Image(name.to_owned())], &policy, &|image| image.starts_with("corp/"))
    }

    #[test]
    fn without_a_policy() {
        for (name, wanted) in [
            ("python:3.11-slim", Class::Migrate),
            ("docker.io/library/python", Class::Migrate),
            ("node:18-alpine", Class::Migrate),
            ("corp/agent-base:latest", Class::Migrate),
            ("postgres:16", Class::Keep),
            ("nvidia/cuda:11.8-devel-ubuntu22.04", Class::Keep),
            ("golang:1.21-alpine", Class::Keep),
            ("ubuntu:22.04", Class::Unknown),
        ] {
            assert_eq!(class(name, "").0, wanted, "{name}: {}", class(name, "").1);
        }
        assert_eq!(of(&[&Base::Scratch], &Policy::default(), &|_| false).0, Class::Keep);
        let image = |name: &str| Base::Image(name.to_owned());
        let (alpine, prometheus, python) =
            (image("alpine:3.19"), image("prom/prometheus:latest"), image("python:3.11"));
        assert_eq!(of(&[&alpine, &prometheus], &Policy::default(), &|_| false).0, Class::Keep);
        assert_eq!(of(&[&python, &prometheus], &Policy::default(), &|_| false).0, Class::Migrate);
    }

    #[test]
    fn with_a_policy() {
        let policy = "version = 1\n[[base]]\nname = \"py\"\nimage = \"r/py:1\"\nreplaces = [\"python:3.11*\"]\n[keep]\nimages = [\"corp/*\"]\n";
        assert_eq!(class("python:3.11-slim", policy).0, Class::Migrate);
        assert_eq!(class("python:3.12-slim", policy).0, Class::Unknown);
        assert_eq!(class("corp/agent-base:1", policy).0, Class::Keep);
    }

    #[test]
    fn versions_in_tags() {
        assert_eq!(python_version("python:3.11-slim"), Some((3, 11)));
        assert_eq!(python_version("python:3.12.8-slim-bookworm"), Some((3, 12)));
        assert_eq!(python_version("r.example.com/mirror/python:3.9"), Some((3, 9)));
        assert_eq!(python_version("python:slim"), None);
        assert_eq!(python_version("node:18"), None);
    }
}
