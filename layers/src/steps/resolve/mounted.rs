//! Where the mounts of a step really are.

use std::path::Path;

use crate::pip::NotUnderstood;

/// Whether something is mounted over, or in, a place that the step writes to. The frontend compares what is written in the
/// Dockerfile; this sees where it really is, when a link is on the way.
pub(super) fn mounted<'a>(mountinfo: &str, places: impl Iterator<Item = &'a str>) -> Option<NotUnderstood> {
    let places: Vec<&Path> = places.map(Path::new).collect();
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
        let places = ["/usr/local/lib/python3.11/site-packages", "/usr/local/bin", "/usr/local"];
        let line = |point: &str| {
            format!("22 1 0:2 / / rw - overlay overlay rw\n36 22 0:32 /x {point} ro - ext4 /dev/x rw\n")
        };
        for point in
            ["/usr", "/usr/local", "/usr/local/lib/python3.11/site-packages", "/usr/local/share/a\\040b"]
        {
            assert!(mounted(&line(point), places.into_iter()).is_some(), "{point}");
        }
        for point in ["/proc", "/usr/lib", "/usr/locale", "/.plinth/tmp", "/root/.cache"] {
            assert_eq!(mounted(&line(point), places.into_iter()), None, "{point}");
        }
    }
}
