//! From specs to images, caches and what else there is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::contents::Contents;
use super::error::Error;
use super::files;
use super::manifest::Descriptor;
use super::memo::Memo;
use super::options::{Options, Progress};
use super::parallel::parallel;
use super::registry::{Registries, Registry, Repository};
use super::sources::Sources;
use super::spec::{Place, RegistryPlace, Spec};
use super::tally::Tally;
use super::walk::Walk;
use crate::digest::Digest;
use crate::image::{Blob, Found};
use crate::problem::Problem;

/// Everything that these sources have, and where its blobs are. What can't be read is one of the problems; the rest is
/// read all the same.
///
/// What is named twice is read once. Manifests are read here; of layers nothing is.
#[must_use]
pub fn find(specs: &[Spec], options: &Options, progress: &dyn Progress) -> (Found, Sources) {
    let tally = Tally::new(progress);
    let memo = Memo::default();
    let mut found = Found::default();
    let mut sources = Sources::default();
    let mut repositories = BTreeMap::new();
    let mut registries = None;
    for spec in specs {
        match &spec.place {
            Place::File(place) => match files::read(place, &memo, options, &tally) {
                Ok((part, contents)) => {
                    sources.add(contents, &part);
                    append(&mut found, part, &place.path.display().to_string());
                }
                Err(error) => found.problems.push(Problem::new(spec, error)),
            },
            Place::Registry(place) => {
                let registry = match registry(&mut registries, place, options) {
                    Ok(registry) => registry,
                    Err(error) => {
                        found.problems.push(Problem::new(spec, error));
                        continue;
                    }
                };
                match names_of(spec, place, &registry, &mut found.problems) {
                    Ok(names) => names.into_iter().for_each(|name| {
                        let wanted = repositories
                            .entry((place.host.clone(), name))
                            .or_insert_with(|| Wanted { registry: Arc::clone(&registry), by: Vec::new() });
                        wanted.by.push((spec, place));
                    }),
                    Err(error) => found.problems.push(Problem::new(spec, error)),
                }
            }
        }
    }
    tally.repositories(repositories.len());
    let repositories: Vec<_> = repositories.into_iter().map(|((_, name), wanted)| (name, wanted)).collect();
    let listed = parallel(&repositories, options.parallel, |(name, wanted)| wanted.references(name));
    let mut roots = Vec::new();
    for ((name, wanted), (references, problems)) in repositories.into_iter().zip(listed) {
        found.problems.extend(problems);
        let repository = Arc::new(Repository { registry: wanted.registry, name });
        // The more tags, the more of them stand for the same.
        let several = references.len() > 1;
        roots.extend(references.into_iter().map(|reference| (Arc::clone(&repository), reference, several)));
    }
    tally.names(roots.len());
    let parts = parallel(&roots, options.parallel, |(repository, reference, several)| {
        let part = read(repository, reference, *several, &memo, options, &tally);
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
) -> Result<Arc<Registry>, Error> {
    match known {
        Some(known) => known.get(&place.host, options),
        none => none.insert(Registries::new(options)?).get(&place.host, options),
    }
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

/// The repositories that a spec names.
fn names_of(
    spec: &Spec,
    place: &RegistryPlace,
    registry: &Registry,
    problems: &mut Vec<Problem>,
) -> Result<Vec<String>, Error> {
    if let Some(name) = place.repository.exact() {
        return Ok(vec![name.to_owned()]);
    }
    let (mut names, odd) = registry.catalog()?;
    let all = names.len();
    names.retain(|name| place.repository.matches(name));
    if odd > 0 {
        let reason = format!("{odd} entries of the catalog are no names of repositories");
        problems.push(Problem::new(spec, reason));
    }
    if names.is_empty() {
        return Err(Error::new(format!("none of the {all} repositories of {} is named so", registry.host)));
    }
    Ok(names)
}

/// A repository that was asked for, and by what.
struct Wanted<'a> {
    registry: Arc<Registry>,
    by: Vec<(&'a Spec, &'a RegistryPlace)>,
}

/// What is read of a repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Reference {
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Wanted<'_> {
    /// What of this repository was asked for.
    fn references(&self, name: &str) -> (BTreeSet<Reference>, Vec<Problem>) {
        let mut references = BTreeSet::new();
        let mut problems = Vec::new();
        let mut listed = None;
        for (spec, place) in &self.by {
            let exact = place.tag.as_ref().map(|tag| tag.exact());
            let tag = match exact {
                None if place.digest.is_some() => Some(None),
                Some(Some(tag)) => Some(Some(tag.to_owned())),
                _ => None,
            };
            if let Some(tag) = tag {
                references.insert(Reference { tag, digest: place.digest });
                continue;
            }
            let what = match place.repository.exact() {
                Some(_) => spec.to_string(),
                None => format!("{}/{name}", place.host),
            };
            match listed.get_or_insert_with(|| self.registry.tags(name)) {
                // Catalogs go on listing repositories that have nothing left.
                Err(error) if error.is_missing() && place.repository.exact().is_none() => {}
                Err(error) => problems.push(Problem::new(what, error)),
                Ok(tags) => {
                    let all = tags.len();
                    let chosen =
                        tags.iter().filter(|tag| place.tag.as_ref().is_none_or(|glob| glob.matches(tag)));
                    let before = references.len();
                    references.extend(chosen.map(|tag| Reference { tag: Some(tag.clone()), digest: None }));
                    // Of a glob over repositories some are empty.
                    if references.len() == before && before == 0 && place.repository.exact().is_some() {
                        let reason = match all {
                            0 => "it has no tags".to_owned(),
                            all => format!("none of its {all} tags is named so"),
                        };
                        problems.push(Problem::new(what, reason));
                    }
                }
            }
        }
        (references, problems)
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
            Err(error) => (None, Err(error)),
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
