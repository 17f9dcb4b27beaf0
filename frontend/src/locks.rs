//! The locks of a fleet: one for all platforms, or one for each.

use std::collections::BTreeMap;

use plinth_layers::lock::{self, Lock};
use plinth_layers::steps::resolve::machine;

use crate::error::BuildError;

/// The fleet's lock, as it was found and as it was read.
#[derive(Clone, Debug)]
pub struct FleetLock {
    /// Its text.
    pub text: String,
    /// What it says.
    pub parsed: Lock,
}

impl FleetLock {
    /// Reads a lock. One that can't be used stops the build, as a policy does: without it, other versions would be built.
    fn read(file: &str, bytes: Vec<u8>) -> Result<Self, BuildError> {
        let wrong = |why: &str| BuildError::invalid(format!("{file} beside the policy: {why}"));
        let text = String::from_utf8(bytes).map_err(|_| wrong("it is no UTF-8 text"))?;
        let parsed = Lock::parse(&text).map_err(|error| wrong(&error.to_string()))?;
        let lock = Self { text, parsed };
        match lock::FOR.iter().find(|(_, known)| *known == file) {
            Some((architecture, _)) if !lock.is_for(architecture) => {
                let platform = &lock.parsed.platform;
                Err(wrong(&format!(
                    "it is for {platform}; write it with plinth plan --for linux/{architecture}"
                )))
            }
            _ => Ok(lock),
        }
    }

    /// Whether its wheels are for this architecture.
    #[must_use]
    pub fn is_for(&self, architecture: &str) -> bool {
        let machine = machine(architecture);
        machine.is_some_and(|machine| self.parsed.platform.split('-').next() == Some(machine))
    }
}

/// The locks of a fleet.
#[derive(Clone, Debug, Default)]
pub struct Locks {
    /// `plinth.lock`.
    general: Option<FleetLock>,
    /// By architecture: `plinth.linux-ARCHITECTURE.lock`.
    own: BTreeMap<&'static str, FleetLock>,
}

impl Locks {
    /// The names that locks have.
    pub fn files() -> impl Iterator<Item = &'static str> {
        std::iter::once(lock::FILE).chain(lock::FOR.iter().map(|(_, file)| *file))
    }

    /// Adds the lock of a file.
    ///
    /// # Errors
    /// If it can't be used.
    pub fn add(&mut self, file: &str, bytes: Vec<u8>) -> Result<(), BuildError> {
        let lock = FleetLock::read(file, bytes)?;
        match lock::FOR.iter().find(|(_, known)| *known == file) {
            Some((architecture, _)) => drop(self.own.insert(architecture, lock)),
            None => self.general = Some(lock),
        }
        Ok(())
    }

    /// The lock for an architecture: its own, or the one for all.
    #[must_use]
    pub fn of(&self, architecture: &str) -> Option<&FleetLock> {
        self.own.get(architecture).or(self.general.as_ref())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn text(platform: &str) -> Vec<u8> {
        Lock::new(platform).to_text().unwrap().into_bytes()
    }

    #[test]
    fn each_platform_has_its_lock() {
        let mut locks = Locks::default();
        assert!(locks.of("amd64").is_none());
        locks.add("plinth.lock", text("x86_64-manylinux_2_36")).unwrap();
        locks.add("plinth.linux-arm64.lock", text("aarch64-manylinux_2_36")).unwrap();
        for (architecture, platform) in [("amd64", "x86_64"), ("arm64", "aarch64"), ("s390x", "x86_64")] {
            let lock = locks.of(architecture).unwrap();
            assert!(lock.parsed.platform.starts_with(platform), "{architecture}");
        }
        assert!(locks.of("arm64").unwrap().is_for("arm64"));
        assert!(!locks.of("s390x").unwrap().is_for("s390x"));
        let wrong = locks.add("plinth.linux-arm64.lock", text("x86_64-manylinux_2_36")).unwrap_err();
        assert!(wrong.to_string().contains("it is for x86_64-manylinux_2_36"), "{wrong}");
    }
}
