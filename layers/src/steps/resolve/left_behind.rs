//! What a RUN leaves behind whatever it does: the directories onto which its runtime mounts `/proc` and others.

use std::path::Path;

use crate::facts::RootFs;
use crate::pip::NotUnderstood;

/// Where a runtime mounts something in every container.
const MOUNTED: &[&str] = &["/dev", "/proc", "/sys"];

/// Whether the state at `before` lacks one of them, so that a RUN makes it and an assembled step doesn't. The root of this
/// process has them all: its own runtime has made them.
pub(super) fn left_behind(before: &Path) -> Option<NotUnderstood> {
    let fs = RootFs::new(before);
    let lacks = MOUNTED.iter().find(|path| !fs.is_directory_itself(Path::new(path)))?;
    Some(NotUnderstood::new(format!("its root has no {lacks}, which a RUN leaves behind")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn roots_without_mount_points() {
        let root = tempfile::tempdir().unwrap();
        let said = || left_behind(root.path()).map(|refused| refused.reason);
        for name in ["dev", "proc", "sys"] {
            let reason = format!("its root has no /{name}, which a RUN leaves behind");
            assert_eq!(said().as_deref(), Some(reason.as_str()));
            std::os::unix::fs::symlink("/tmp", root.path().join(name)).unwrap();
            assert_eq!(said().as_deref(), Some(reason.as_str()));
            std::fs::remove_file(root.path().join(name)).unwrap();
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        assert_eq!(said(), None);
        assert!(left_behind(&root.path().join("none")).is_some());
    }
}
