//! The operating system by its `os-release`, and Node by its header files.

use std::collections::BTreeSet;
use std::path::Path;

use super::RootFs;

/// `ID` and `VERSION_ID`; empty texts for what is not there (`os-release(5)`).
pub fn os_release(root: &RootFs<'_>) -> (String, String) {
    let paths = ["/etc/os-release", "/usr/lib/os-release"];
    let bytes = paths.iter().find_map(|path| root.read(Path::new(path), 1 << 16)).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let field = |name: &str| {
        let mut values = text.lines().filter_map(|line| line.trim().split_once('='));
        let value = values.rfind(|(key, _)| *key == name).map_or("", |(_, value)| value);
        value.trim_matches(['"', '\'']).to_owned()
    };
    (field("ID"), field("VERSION_ID"))
}

/// `X.Y.Z` of the Node that PATH finds, from `include/node/node_version.h` beside it.
pub fn node_version(root: &RootFs<'_>, path_env: &str) -> Option<String> {
    let directory = path_env
        .split(':')
        .filter(|directory| directory.starts_with('/'))
        .find(|directory| root.is_program(&Path::new(directory).join("node")))?;
    let physical = root.physical(&Path::new(directory).join("node"))?;
    let prefix = physical.parent()?.parent()?;
    let text = root.read(&prefix.join("include/node/node_version.h"), 1 << 16)?;
    let text = String::from_utf8_lossy(&text);
    let number = |name: &str| -> Option<u32> {
        let lines = text.lines().filter_map(|line| line.trim().strip_prefix("#define"));
        let mut words = lines.map(str::split_whitespace).filter_map(|mut w| Some((w.next()?, w.next()?)));
        words.find(|(key, _)| *key == name)?.1.parse().ok()
    };
    Some(format!(
        "{}.{}.{}",
        number("NODE_MAJOR_VERSION")?,
        number("NODE_MINOR_VERSION")?,
        number("NODE_PATCH_VERSION")?
    ))
}

/// Names of a file like `passwd(5)` or `group(5)`.
pub fn accounts(root: &RootFs<'_>, file: &str) -> BTreeSet<String> {
    let bytes = root.read(Path::new(file), 1 << 20).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_owned()).collect()
}

/// Names of the programs in the directories of PATH.
pub fn programs(root: &RootFs<'_>, path_env: &str) -> BTreeSet<String> {
    let directories = path_env.split(':').filter(|directory| directory.starts_with('/')).map(Path::new);
    let names = directories.flat_map(|directory| {
        let names = root.names(directory).into_iter();
        names.filter(|name| root.is_program(&directory.join(name))).filter_map(|name| name.into_string().ok())
    });
    names.collect()
}
