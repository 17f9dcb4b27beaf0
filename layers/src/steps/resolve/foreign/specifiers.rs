//! The specifiers that every reader understands alike.
//!
//! As with markers, pip's reader is another one than ours, and they differ in what is rare: prefixes longer than the
//! version, epochs, and specifiers that name a pre-release or a post-release.

use pep440_rs::{Operator, Version, VersionSpecifiers};

/// Whether a version is among those asked for.
///
/// # Errors
/// If that isn't certain. One clause.
pub(super) fn allows(specifiers: &VersionSpecifiers, version: &Version) -> Result<bool, String> {
    let doubt = specifiers.iter().find(|one| {
        let bound = one.version();
        let prefix =
            matches!(one.operator(), Operator::EqualStar | Operator::NotEqualStar | Operator::TildeEqual);
        matches!(one.operator(), Operator::ExactEqual)
            || version.epoch() != 0
            || bound.epoch() != 0
            || bound.any_prerelease()
            || bound.is_post()
            || bound.is_local()
            || prefix && bound.release().len() > version.release().len()
    });
    match doubt {
        Some(one) => Err(format!("what `{one}` says of {version} depends on the release of pip")),
        None => Ok(specifiers.contains(version)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::str::FromStr as _;

    use super::*;

    #[test]
    fn plain_specifiers() {
        let of = |specifiers: &str, version: &str| {
            allows(&VersionSpecifiers::from_str(specifiers).unwrap(), &Version::from_str(version).unwrap())
        };
        for (specifiers, version, allowed) in [
            ("", "1", true),
            ("==2", "2.0.0", true),
            ("==1.0.*", "1.0", true),
            ("!=1.0.*", "1.0.5", false),
            ("~=1.1", "1.5", true),
            (">=1,<2", "1.9.post1", true),
            (">2", "2.0.0.post3", false),
            ("<=1.0", "1.0.post1", false),
        ] {
            assert_eq!(of(specifiers, version), Ok(allowed), "{specifiers} {version}");
        }
        for (specifiers, version) in [
            ("==1.1.*", "1"),
            ("==1.0.5.*", "1.0"),
            ("!=1.1.*", "1"),
            ("~=1.1.2", "1.1"),
            ("===1", "1"),
            ("<1!2", "3"),
            (">=1", "1!3"),
            (">=1.0rc1", "1.0"),
            ("<2.dev0", "1.0"),
            (">1.0.post1", "2"),
            ("==1.0+x", "1.0"),
        ] {
            assert!(of(specifiers, version).is_err(), "{specifiers} {version}");
        }
    }
}
