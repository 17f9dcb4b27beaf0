//! Where the mounts of a step really are.

use std::path::Path;

use crate::pip::NotUnderstood;
use crate::resolution::Scheme;

/// Whether something is mounted over, or in, a place of the install. The frontend compares what is written in the
/// Dockerfile; this sees where it really is, when a link is on the way.
pub(super) fn mounted(mountinfo: &str, scheme: &Scheme) -> Option<NotUnderstood> {
    let places =
        [&scheme.purelib, &scheme.platlib, &scheme.scripts, &scheme.headers, &scheme.data].map(Path::new);
    // Field 5 of proc_pid_mountinfo(5), where blanks are octal escapes.
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    let points = points.map(|point| point.replace("\\040", " ")).filter(|point| point != "/");
    let covers = |point: &String| {
        let point = Path::new(point);
        places.iter().any(|place| place.starts_with(point) || point.starts_with(place))
    };
    points
        .into_iter()
        .any(|point| covers(&point))
        .then(|| NotUnderstood::new("a mount over the place that it installs to"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn mounts_are_seen_where_they_really_are() {
        let place = |path: &str| format!("/usr/local{path}");
        let scheme = Scheme {
            purelib: place("/lib/python3.11/site-packages"),
            platlib: place("/lib/python3.11/site-packages"),
            headers: place("/include/python3.11"),
            scripts: place("/bin"),
            data: place(""),
        };
        let line = |point: &str| {
            format!("22 1 0:2 / / rw - overlay overlay rw\n36 22 0:32 /x {point} ro - ext4 /dev/x rw\n")
        };
        for point in
            ["/usr", "/usr/local", "/usr/local/lib/python3.11/site-packages", "/usr/local/share/a\\040b"]
        {
            assert!(mounted(&line(point), &scheme).is_some(), "{point}");
        }
        for point in ["/proc", "/usr/lib", "/usr/locale", "/.plinth/tmp", "/root/.cache"] {
            assert_eq!(mounted(&line(point), &scheme), None, "{point}");
        }
    }
}
