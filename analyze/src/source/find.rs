//! From specs to images, caches and what else there is.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::contents::Contents;
use super::error::Error;
use super::files::Files;
use super::manifest::Descriptor;
use super::memo::Memo;
use super::notices::Notices;
use super::options::{Options, Progress};
use super::parallel::parallel;
use super::registry::{Registries, Registry, Repository};
use super::sources::Sources;
use super::spec::{Place, RegistryPlace, Spec};
use super::tally::Tally;
use super::walk::Walk;
use super::wanted::{Listed, Reference, Wanted, names_of, without_tags};
use crate::digest::Digest;
use crate::image::{Blob, Found, Image};
use crate::problem::Problem;

/// Everything that these sources have, and where its blobs are. What can't be read is one of the problems; the rest is
/// read all the same.
///
/// What is named twice is read once. Manifests are read here; of layers nothing is. Once [`Options::stop`] is set, it
/// gives back what has been read whole by then, and what was given up is no problem.
#[must_use]
pub fn find(specs: &[Spec], options: &Options, progress: &dyn Progress) -> (Found, Sources) {
    let (notices, lines) = Notices::new();
    let notices = Arc::new(notices);
    std::thread::scope(|scope| {
        scope.spawn(move || lines.into_iter().for_each(|line| progress.waiting(&line)));
        let _closing = notices.closing();
        everything(specs, options, &Tally::new(progress), &notices)
    })
}

fn everything(
    specs: &[Spec],
    options: &Options,
    tally: &Tally<'_>,
    notices: &Arc<Notices>,
) -> (Found, Sources) {
    let memo = Memo::default();
    let mut found = Found::default();
    let mut sources = Sources::default();
    let mut files = Files::default();
    let mut repositories = BTreeMap::new();
    let mut registries = None;
    for (at, spec) in specs.iter().enumerate() {
        let done = match &spec.place {
            Place::File(place) => files.read(place, &memo, options, tally).map(|part| {
                // What was given up in the middle isn't whole.
                if let Some((part, contents, place)) = part.filter(|_| !options.stopped()) {
                    sources.add(contents, &part);
                    append_new(&mut found, part, &place);
                }
            }),
            Place::Registry(place) => {
                registry(&mut registries, place, options, notices).and_then(|registry| {
                    for name in names_of((spec, place), &registry, &mut found.problems)? {
                        let wanted = repositories
                            .entry((place.host.clone(), name))
                            .or_insert_with(|| Wanted { registry: Arc::clone(&registry), by: Vec::new() });
                        wanted.by.push((at, (spec, place)));
                    }
                    Ok(())
                })
            }
        };
        // What failed now was given up.
        if options.stopped() {
            return (found, sources);
        }
        if let Err(error) = done {
            found.problems.push(Problem::new(spec, error));
        }
    }
    tally.repositories(repositories.len());
    let repositories: Vec<_> = repositories.into_iter().map(|((_, name), wanted)| (name, wanted)).collect();
    let listed = parallel(&repositories, options.parallel, |(name, wanted)| {
        let listed = if options.stopped() { Listed::default() } else { wanted.references(name) };
        if options.stopped() { Listed::default() } else { listed }
    });
    if !options.stopped() {
        let pairs = repositories.iter().map(|(_, wanted)| wanted).zip(&listed);
        found.problems.extend(without_tags(pairs));
    }
    let mut roots = Vec::new();
    for ((name, wanted), Listed { references, problems, .. }) in repositories.into_iter().zip(listed) {
        found.problems.extend(problems);
        let repository = Arc::new(Repository { registry: wanted.registry, name });
        // The more tags, the more of them stand for the same.
        let several = references.len() > 1;
        roots.extend(references.into_iter().map(|reference| (Arc::clone(&repository), reference, several)));
    }
    tally.names(roots.len());
    let parts = parallel(&roots, options.parallel, |(repository, reference, several)| {
        if options.stopped() {
            return Found::default();
        }
        let part = read(repository, reference, *several, &memo, options, tally);
        if options.stopped() {
            return Found::default();
        }
        tally.name_read();
        part
    });
    for (part, (repository, ..)) in parts.into_iter().zip(roots) {
        let place = repository.registry.host.clone();
        sources.add(repository, &part);
        append(&mut found, part, &place);
    }
    (found, sources)
}

/// The registry of a place. Nothing is set up for registries as long as none is named.
fn registry(
    known: &mut Option<Registries>,
    place: &RegistryPlace,
    options: &Options,
    notices: &Arc<Notices>,
) -> Result<Arc<Registry>, Error> {
    match known {
        Some(known) => known.get(&place.host, options),
        none => none.insert(Registries::new(options, notices)?).get(&place.host, options),
    }
}

/// Adds what was found in a place that stores each blob once, unless it was found there before: of one layout several
/// names may have been asked for, and all of it besides.
fn append_new(found: &mut Found, mut part: Found, place: &str) {
    let here = |at: &String| at == place;
    let images: Vec<_> = found.images.iter().filter(|one| here(&one.place)).collect();
    let caches: Vec<_> = found.caches.iter().filter(|one| here(&one.place)).collect();
    let others: Vec<_> = found.others.iter().filter(|one| here(&one.place)).collect();
    part.images.retain(|new| {
        let key = |one: &Image| (one.manifest.digest, one.config.digest);
        !images.iter().any(|one| (&one.name, &one.platform, key(one)) == (&new.name, &new.platform, key(new)))
    });
    part.caches.retain(|new| {
        !caches.iter().any(|one| (&one.name, one.kind, &one.own) == (&new.name, new.kind, &new.own))
    });
    part.others.retain(|new| {
        !others.iter().any(|one| (&one.name, &one.kind, &one.blobs) == (&new.name, &new.kind, &new.blobs))
    });
    part.problems.retain(|new| !found.problems.contains(new));
    append(found, part, place);
}

/// Adds what was found in a place that stores each blob once.
fn append(found: &mut Found, mut part: Found, place: &str) {
    part.images.iter_mut().for_each(|image| image.place = place.to_owned());
    part.caches.iter_mut().for_each(|cache| cache.place = place.to_owned());
    part.others.iter_mut().for_each(|other| other.place = place.to_owned());
    found.images.extend(part.images);
    found.caches.extend(part.caches);
    found.others.extend(part.others);
    found.problems.extend(part.problems);
}

/// What isn't there, with some that are.
fn with_tags(error: Error, repository: &Repository, tag: Option<&str>) -> Error {
    let Some(tag) = tag.filter(|_| error.is_missing()) else { return error };
    let tags = repository.registry.some_tags(&repository.name, tag);
    if tags.is_empty() {
        error
    } else {
        Error::missing(format!("{error}; tags there are: {}", tags.join(", ")))
    }
}

fn read(
    repository: &Arc<Repository>,
    reference: &Reference,
    several: bool,
    memo: &Memo,
    options: &Options,
    tally: &Tally<'_>,
) -> Found {
    let mut name = format!("{}/{}", repository.registry.host, repository.name);
    if let Some(tag) = &reference.tag {
        name = format!("{name}:{tag}");
    }
    if let Some(digest) = reference.digest {
        name = format!("{name}@{digest}");
    }
    // A digest says what is meant, whatever the tag. Of several tags some will be the same: asking what each one stands for
    // costs less than reading it, and doesn't count towards the limits of docker.io.
    let known = || reference.tag.as_deref().filter(|_| several).and_then(|tag| repository.resolve(tag));
    let digest = reference.digest.or_else(known);
    let by_digest = |digest| Blob { digest, size: 0, media_type: String::new() };
    let (blob, read) = match (digest, reference.tag.as_deref()) {
        (Some(digest), _) => {
            let blob = by_digest(digest);
            (Some(blob.clone()), memo.manifest(&**repository as &dyn Contents, &blob))
        }
        (None, tag) => match repository.tagged(tag.unwrap_or("latest")) {
            Ok((blob, bytes)) => {
                let read = memo.manifest_of(&blob, &bytes);
                (Some(blob), read)
            }
            Err(error) => (None, Err(with_tags(error, repository, tag))),
        },
    };
    let entry = Descriptor {
        media_type: String::new(),
        digest: blob.map_or(Digest([0; 32]), |blob| blob.digest),
        size: 0,
        platform: None,
        annotations: BTreeMap::new(),
    };
    Walk::new(&**repository, memo, options, tally, name).root(&entry, read)
}
