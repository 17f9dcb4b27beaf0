//! Places where a build names the version of the interpreter that it leaves.
//!
//! `COPY --from=builder /usr/local/lib/python3.11/site-packages …` finds nothing, or the wrong thing, on another
//! Python. A build that says such a thing can't move.

use plinth_proto::graph::{Edge, Graph};
use plinth_proto::pb::{self, file_action::Action};

use crate::passes::chain::line;

/// A place, for the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Line in the Dockerfile, if the operation has one.
    pub(super) line: Option<usize>,
    /// The path or word found.
    pub(super) text: String,
}

/// The first place in the build, or in the strings of its config, that names Python `minor` (`X.Y`).
pub(super) fn names_version(graph: &Graph, root: Edge, config: &[String], minor: &str) -> Option<Place> {
    for op in graph.order(root) {
        let found = strings(graph[op].op()).into_iter().find_map(|text| find(&text, minor));
        if let Some(text) = found {
            return Some(Place { line: line(graph, op), text });
        }
    }
    config.iter().find_map(|text| find(text, minor)).map(|text| Place { line: None, text })
}

/// Everything in an operation that can hold a path.
fn strings(op: &pb::Op) -> Vec<String> {
    let mut out = Vec::new();
    match &op.op {
        Some(pb::op::Op::Exec(exec)) => {
            let meta = exec.meta.clone().unwrap_or_default();
            out.extend(meta.args);
            out.extend(meta.env);
            out.push(meta.cwd);
            for mount in &exec.mounts {
                out.extend([mount.dest.clone(), mount.selector.clone()]);
            }
        }
        Some(pb::op::Op::File(file)) => {
            for action in &file.actions {
                match &action.action {
                    Some(Action::Copy(copy)) => {
                        out.extend([copy.src.clone(), copy.dest.clone()]);
                        out.extend(copy.include_patterns.iter().chain(&copy.exclude_patterns).cloned());
                    }
                    Some(Action::Mkfile(file)) => out.push(file.path.clone()),
                    Some(Action::Mkdir(directory)) => out.push(directory.path.clone()),
                    Some(Action::Rm(rm)) => out.push(rm.path.clone()),
                    Some(Action::Symlink(link)) => out.extend([link.oldpath.clone(), link.newpath.clone()]),
                    None => {}
                }
            }
        }
        _ => {}
    }
    out
}

/// The word around the first mention of an interpreter's version: `python3.11`, `pip3.11`, `cpython-311`, `cp311`.
fn find(text: &str, minor: &str) -> Option<String> {
    let tight = minor.replace('.', "");
    let names =
        [format!("python{minor}"), format!("pip{minor}"), format!("cpython-{tight}"), format!("cp{tight}")];
    let (at, _) = names
        .iter()
        .flat_map(|name| text.match_indices(name.as_str()))
        .filter(|(at, name)| !text[at + name.len()..].starts_with(|c: char| c.is_ascii_digit()))
        .min()?;
    let word = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ':' | '=' | ';' | ',' | '(' | ')');
    let start = text[..at].rfind(word).map_or(0, |i| i + 1);
    let end = text[at..].find(word).map_or(text.len(), |i| at + i);
    Some(text[start..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn finds_the_path_that_names_the_version() {
        let text = "cp -r /usr/local/lib/python3.11/site-packages /x";
        assert_eq!(find(text, "3.11").as_deref(), Some("/usr/local/lib/python3.11/site-packages"));
        assert_eq!(find("A=/opt/lib/python3.11/x:/y", "3.11").as_deref(), Some("/opt/lib/python3.11/x"));
        assert_eq!(find("pip3.11 install x", "3.11").as_deref(), Some("pip3.11"));
        assert_eq!(find("a-cp311-cp311.whl", "3.11").as_deref(), Some("a-cp311-cp311.whl"));
    }

    #[test]
    fn other_versions_are_no_match() {
        for text in
            ["/usr/lib/python3/dist-packages", "python3.12", "python3.110", "3.11", "PYTHON_VERSION=3.11.2"]
        {
            assert_eq!(find(text, "3.11"), None, "{text}");
        }
        assert_eq!(find("python3.11", "3.1"), None);
    }
}
