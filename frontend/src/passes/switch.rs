//! Switching passes off for one build, to see what each is worth, or which of them one doesn't trust.

use std::collections::BTreeSet;

/// What can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pass {
    /// Master images in the place of base images.
    Base,
    /// Taking out installs of distribution packages that are there already.
    Apt,
    /// Installs of Python packages as layers, without running them.
    Install,
    /// Cutting into layers what other installs leave.
    Split,
    /// Copies that take layers along.
    Copies,
    /// Versions and layers of the fleet's lock.
    Lock,
}

impl Pass {
    /// With their names.
    const ALL: [(&'static str, Self); 6] = [
        ("base", Self::Base),
        ("apt", Self::Apt),
        ("install", Self::Install),
        ("split", Self::Split),
        ("copies", Self::Copies),
        ("lock", Self::Lock),
    ];

    /// Reads a list of names, separated by commas.
    ///
    /// # Errors
    /// What to tell the user about a name that is none.
    pub fn list(text: &str) -> Result<BTreeSet<Self>, String> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let pass = |name: &str| Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, pass)| *pass);
        names
            .map(|name| {
                pass(name).ok_or_else(|| {
                    let known: Vec<&str> = Self::ALL.iter().map(|(name, _)| *name).collect();
                    format!("PLINTH_WITHOUT names {name:?}; what can be left out is: {}", known.join(", "))
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_known_or_said() {
        assert_eq!(Pass::list("").unwrap(), BTreeSet::new());
        assert_eq!(Pass::list("split, base,").unwrap(), BTreeSet::from([Pass::Base, Pass::Split]));
        assert_eq!(
            Pass::list("splits").unwrap_err(),
            "PLINTH_WITHOUT names \"splits\"; what can be left out is: base, apt, install, split, copies, lock"
        );
    }
}
