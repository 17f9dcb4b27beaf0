//! Policies that lie in the tree: a build takes the first that it finds, and says nothing of another.

use std::path::Path;

use crate::finding::{Finding, Kind};
use crate::walk::read_text;

/// The name of a policy.
const FILE: &str = "plinth.toml";

/// What is odd about the policies of a service: one beside its Dockerfile, another one at the root of its context.
pub(crate) fn contradiction(tree: &Path, dockerfile: &Path, context: &Path) -> Option<Finding> {
    let beside = dockerfile.parent().unwrap_or(Path::new("")).join(FILE);
    let root = context.join(FILE);
    let read = |file: &Path| read_text(&tree.join(file)).ok();
    let (first, second) = (read(&beside)?, read(&root)?);
    let message = format!(
        "a build takes this policy, beside the Dockerfile, and not `{}`, at the root of its context, which says something else",
        root.display()
    );
    let different = beside != root && first != second;
    different.then(|| Finding::new(Kind::PolicyTwice, &beside.display().to_string(), None, message))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn two_policies_that_differ() {
        let tree = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| std::fs::write(tree.path().join(file), text).unwrap();
        std::fs::create_dir(tree.path().join("api")).unwrap();
        let found =
            |context: &str| contradiction(tree.path(), Path::new("api/Dockerfile"), Path::new(context));
        write("plinth.toml", "version = 1\n");
        assert_eq!(found(""), None);
        write("api/plinth.toml", "version = 1\n");
        assert_eq!(found(""), None);
        write("api/plinth.toml", "version = 1\n[gates]\nsize_saved = 0.5\n");
        let finding = found("").unwrap();
        assert_eq!((finding.file.as_str(), finding.kind.name()), ("api/plinth.toml", "policy-twice"));
        // It is the same file.
        assert_eq!(found("api"), None);
    }
}
