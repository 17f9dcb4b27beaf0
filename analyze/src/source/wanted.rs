//! Which repositories and which of their tags are meant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::error::Error;
use super::registry::Registry;
use super::spec::{RegistryPlace, Spec};
use crate::digest::Digest;
use crate::problem::Problem;

/// A source, as it was named, and the place that it means.
type Named<'a> = (&'a Spec, &'a RegistryPlace);

/// The repositories that a spec names.
pub(crate) fn names_of(
    (spec, place): Named<'_>,
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
pub(crate) struct Wanted<'a> {
    pub(crate) registry: Arc<Registry>,
    /// Each with its place among the sources.
    pub(crate) by: Vec<(usize, Named<'a>)>,
}

/// What is read of a repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reference {
    pub(crate) tag: Option<String>,
    pub(crate) digest: Option<Digest>,
}

/// What was asked for of one repository.
#[derive(Default)]
pub(crate) struct Listed {
    pub(crate) references: BTreeSet<Reference>,
    pub(crate) problems: Vec<Problem>,
    /// The globs over repositories that have nothing of this one.
    empty: Vec<usize>,
}

impl Wanted<'_> {
    /// What of this repository was asked for.
    pub(crate) fn references(&self, name: &str) -> Listed {
        let Listed { mut references, mut problems, mut empty } = Listed::default();
        let mut listed = None;
        for (at, (spec, place)) in &self.by {
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
            let glob = place.repository.exact().is_none();
            let what = if glob { format!("{}/{name}", place.host) } else { spec.to_string() };
            match listed.get_or_insert_with(|| self.registry.tags(name)) {
                // Catalogs go on listing repositories that have nothing left.
                Err(error) if error.is_missing() && glob => empty.push(*at),
                Err(error) => problems.push(Problem::new(what, error)),
                Ok(tags) => {
                    let all = tags.len();
                    let chosen =
                        tags.iter().filter(|tag| place.tag.as_ref().is_none_or(|glob| glob.matches(tag)));
                    let mut none = true;
                    for tag in chosen {
                        none = false;
                        references.insert(Reference { tag: Some(tag.clone()), digest: None });
                    }
                    match (none, glob) {
                        (false, _) => {}
                        // Of a glob over repositories some may be empty.
                        (true, true) => empty.push(*at),
                        (true, false) => {
                            let reason = match all {
                                0 => "it has no tags".to_owned(),
                                all => format!("none of its {all} tags is named so"),
                            };
                            problems.push(Problem::new(what, reason));
                        }
                    }
                }
            }
        }
        Listed { references, problems, empty }
    }
}

/// The globs over repositories that have nothing of any of them.
pub(crate) fn without_tags<'a>(all: impl Iterator<Item = (&'a Wanted<'a>, &'a Listed)>) -> Vec<Problem> {
    let mut globs = BTreeMap::<usize, (Named<'a>, usize, usize)>::new();
    for (wanted, listed) in all {
        for (at, named) in wanted.by.iter().filter(|(_, (_, place))| place.repository.exact().is_none()) {
            let (_, repositories, empty) = globs.entry(*at).or_insert((*named, 0, 0));
            *repositories += 1;
            *empty += usize::from(listed.empty.contains(at));
        }
    }
    let globs = globs.into_values().filter(|(_, repositories, empty)| repositories == empty);
    globs
        .map(|((spec, place), repositories, _)| {
            let (are, tag) = match (repositories, &place.tag) {
                (1, None) => ("repository is", "it has no tag".to_owned()),
                (1, Some(tag)) => ("repository is", format!("it has no tag {tag}")),
                (_, None) => ("repositories are", "none has a tag".to_owned()),
                (_, Some(tag)) => ("repositories are", format!("none has a tag {tag}")),
            };
            Problem::new(spec, format!("{repositories} {are} named so, {tag}"))
        })
        .collect()
}
