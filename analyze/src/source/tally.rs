//! How far reading has come, and who is told.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::options::{Counts, Progress};

pub(crate) struct Tally<'a> {
    progress: &'a dyn Progress,
    repositories: AtomicUsize,
    names: AtomicUsize,
    names_read: AtomicUsize,
    manifests: AtomicUsize,
}

impl<'a> Tally<'a> {
    pub(crate) fn new(progress: &'a dyn Progress) -> Self {
        let zero = || AtomicUsize::new(0);
        Self { progress, repositories: zero(), names: zero(), names_read: zero(), manifests: zero() }
    }

    pub(crate) fn repositories(&self, more: usize) {
        self.add(&self.repositories, more);
    }

    pub(crate) fn names(&self, more: usize) {
        self.add(&self.names, more);
    }

    pub(crate) fn name_read(&self) {
        self.add(&self.names_read, 1);
    }

    pub(crate) fn manifest(&self) {
        self.add(&self.manifests, 1);
    }

    fn add(&self, to: &AtomicUsize, more: usize) {
        if more == 0 {
            return;
        }
        to.fetch_add(more, Ordering::Relaxed);
        let get = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        self.progress.found(Counts {
            repositories: get(&self.repositories),
            names: get(&self.names),
            names_read: get(&self.names_read),
            manifests: get(&self.manifests),
        });
    }
}
