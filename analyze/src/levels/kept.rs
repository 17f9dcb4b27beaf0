//! The store, as the place where what is known of layers is kept.

use super::{Contents, Entries, Failed};
use crate::digest::Digest;
use crate::layer::Content;
use crate::store::Store;

impl Contents for Store {
    fn content(&self, blob: &Digest) -> Result<Option<Content>, Failed> {
        Ok(Self::content(self, blob)?)
    }

    fn entries(&self, blob: &Digest) -> Result<Option<Entries<'_>>, Failed> {
        let entries = Self::entries(self, blob)?;
        Ok(entries.map(|entries| Box::new(entries.map(|entry| Ok(entry?))) as Entries<'_>))
    }
}
