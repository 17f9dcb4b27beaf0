//! What uv writes besides the files of the wheel: RECORD, INSTALLER, REQUESTED, scripts.

use crate::wheel::entry_points::{EntryPoint, Scripts};
use crate::wheel::record::{Row, write_lines};

/// Content of INSTALLER: no line end.
pub(crate) const INSTALLER: &[u8] = b"uv";

/// All scripts that uv generates, in the order of the wheel. `None` if one has a name that uv treats in its own way
/// (pip's versioned names).
pub(crate) fn generated(scripts: &Scripts) -> Option<Vec<(String, EntryPoint)>> {
    let all = scripts.console.iter().chain(&scripts.gui);
    let special = |name: &str| {
        name.strip_prefix("pip").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
            || name.contains('/')
    };
    all.map(|entry| (!special(&entry.name)).then(|| (entry.name.clone(), entry.clone()))).collect()
}

/// The text of a generated script.
pub(crate) fn script(executable: &str, entry: &EntryPoint) -> String {
    let EntryPoint { module, attribute, .. } = entry;
    let import = attribute.split('.').next().unwrap_or(attribute);
    format!(
        "#!{executable}\n# -*- coding: utf-8 -*-\nimport sys\nfrom {module} import {import}\n\
         if __name__ == \"__main__\":\n    if sys.argv[0].endswith(\"-script.pyw\"):\n        \
         sys.argv[0] = sys.argv[0][:-11]\n    elif sys.argv[0].endswith(\".exe\"):\n        \
         sys.argv[0] = sys.argv[0][:-4]\n    sys.exit({attribute}())\n"
    )
}

/// Whether an interpreter's path goes into a first line as it is. uv writes longer ones, and ones with blanks, as a
/// shell script; that form is left alone.
pub(crate) fn fits(executable: &str) -> bool {
    executable.starts_with('/') && executable.len() <= 100 && executable.bytes().all(|b| b.is_ascii_graphic())
}

/// RECORD: sorted by path, fields quoted where CSV needs it, lines ended by LF.
pub(crate) fn record(mut rows: Vec<Row>) -> String {
    rows.sort();
    write_lines(&rows, "\n")
}
