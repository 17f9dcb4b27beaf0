//! The requirement files of a service, and how its Dockerfile copies them.

use crate::facts::{FileRef, Fleet, Service};
use std::collections::BTreeMap;

/// What a service's requirement files hold, by their name in its context.
///
/// `as_found`: a file that the fleet moved elsewhere without telling the Dockerfile is missing, as it is there.
#[must_use]
pub fn contents(fleet: &Fleet, service: &Service, as_found: bool) -> BTreeMap<String, String> {
    references(service)
        .filter(|reference| present(service, reference, as_found))
        .filter_map(|reference| {
            let lines = fleet.specifiers(reference)?;
            Some((reference.context_name().to_owned(), lines.join("\n") + "\n"))
        })
        .collect()
}

/// Whether the file is in the service's context.
#[must_use]
pub fn present(service: &Service, reference: &FileRef, as_found: bool) -> bool {
    reference.file.is_some() || (reference.moved_to.is_some() && service.dev && !as_found)
}

/// The COPY that brings the file to where the step reads it, or nothing where no COPY of its own does.
#[must_use]
pub fn copy(service: &Service, reference: &FileRef, as_found: bool) -> Option<String> {
    let name = reference.context_name();
    let target = if reference.reference == name { "./" } else { &reference.reference };
    let pattern = format!("{name}*");
    if service.globs_unmatched.contains(&pattern) {
        return Some(format!("COPY {pattern} {}", directory(target)));
    }
    if present(service, reference, as_found) {
        return Some(format!("COPY {name} {target}"));
    }
    if !service.missing.iter().any(|missing| missing == name) {
        return None;
    }
    // A pattern may match nothing, a name may not: that is how a dev service builds without the file.
    let repaired = service.dev && !as_found;
    Some(if repaired {
        format!("COPY {pattern} {}", directory(target))
    } else {
        format!("COPY {name} {target}")
    })
}

fn directory(target: &str) -> &str {
    target.rfind('/').map_or("./", |end| &target[..=end])
}

/// Every requirement file that a pip step names.
pub fn references(service: &Service) -> impl Iterator<Item = &FileRef> {
    service.pip.iter().flat_map(|step| &step.installs).flat_map(|install| &install.files)
}
