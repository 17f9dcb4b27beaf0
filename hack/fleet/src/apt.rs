//! Steps that install distribution packages.

/// Packages that only building needs; in a multi-stage build they stay in the first stage.
const BUILD_ONLY: [&str; 8] =
    ["build-essential", "gcc", "g++", "make", "cmake", "git", "pkg-config", "python3-dev"];

/// Whether a finished service can do without `package`.
#[must_use]
pub fn is_build_only(package: &str) -> bool {
    BUILD_ONLY.contains(&package) || package.ends_with("-dev")
}

/// The shell text that installs `packages`, or nothing when there are none.
///
/// The facts don't say who passes `--no-install-recommends`; leaving it out is what most of such fleets do, and the
/// harder case for whoever replaces the step.
#[must_use]
pub fn command(packages: &[&str]) -> Option<String> {
    let (first, rest) = packages.split_first()?;
    if first.starts_with("apk:") {
        let names: Vec<&str> = packages.iter().map(|p| p.trim_start_matches("apk:")).collect();
        return Some(format!("apk add --no-cache {}", names.join(" ")));
    }
    let mut list = format!("    {first} \\\n");
    for package in rest {
        list.push_str(&format!("    {package} \\\n"));
    }
    Some(format!("apt-get update && apt-get install -y \\\n{list}    && rm -rf /var/lib/apt/lists/*"))
}
