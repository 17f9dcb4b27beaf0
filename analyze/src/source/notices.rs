//! From whoever waits to whoever wants to know: registries outlive the search that made them, and its progress doesn't.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::memo::locked;

/// Takes lines until it is closed; after that, nobody hears them.
pub(crate) struct Notices(Mutex<Option<Sender<String>>>);

/// Closes the notices when it goes, whatever happens before: who listens would wait for ever.
pub(crate) struct Closing<'a>(&'a Notices);

impl Notices {
    /// And where the lines come out, until it is closed.
    pub(crate) fn new() -> (Self, Receiver<String>) {
        let (sender, receiver) = channel();
        (Self(Mutex::new(Some(sender))), receiver)
    }

    pub(crate) fn tell(&self, line: String) {
        if let Some(sender) = &*locked(&self.0) {
            // Whoever listened may be gone.
            let _ = sender.send(line);
        }
    }

    pub(crate) fn closing(&self) -> Closing<'_> {
        Closing(self)
    }
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        locked(&self.0.0).take();
    }
}
