//! The store, as the place where what is known of layers is kept.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::{Contents, Entries, Failed};
use crate::digest::Digest;
use crate::layer::Content;
use crate::problem::Problem;
use crate::store::{Store, StoreError};

/// A store. A layer whose file can't be read is one that isn't known, and a problem.
pub struct Kept<'a> {
    store: &'a Store,
    problems: Mutex<BTreeSet<Problem>>,
}

impl<'a> Kept<'a> {
    /// What this store has.
    #[must_use]
    pub fn of(store: &'a Store) -> Self {
        Self { store, problems: Mutex::default() }
    }

    /// What couldn't be read so far.
    pub fn problems(&self) -> Vec<Problem> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn known<T>(&self, blob: &Digest, found: Result<Option<T>, StoreError>) -> Option<T> {
        found.unwrap_or_else(|error| {
            let problem = Problem::new(blob, error);
            self.problems.lock().unwrap_or_else(PoisonError::into_inner).insert(problem);
            None
        })
    }
}

impl Contents for Kept<'_> {
    fn content(&self, blob: &Digest) -> Result<Option<Content>, Failed> {
        Ok(self.known(blob, self.store.content(blob)))
    }

    fn entries(&self, blob: &Digest) -> Result<Option<Entries<'_>>, Failed> {
        let entries = self.known(blob, self.store.entries(blob));
        Ok(entries.map(|entries| Box::new(entries.map(|entry| Ok(entry?))) as Entries<'_>))
    }
}
