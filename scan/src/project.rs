//! Projects: what a `pyproject.toml` asks for, and what the lock beside it pins.
//!
//! `pip install .` takes the project's dependencies; poetry, uv and pipenv take their lock where there is one.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value as Json;
use toml::{Table, Value};

use crate::finding::{Finding, Kind};
use crate::requirements::{self, Requirement, Source, Text};

/// What a project comes to.
#[derive(Debug, Default)]
pub(crate) struct Project {
    pub(crate) requirements: Vec<Requirement>,
    pub(crate) findings: Vec<Finding>,
}

/// Which lock a tool goes by.
const LOCKS: &[(&str, &[&str])] = &[
    ("poetry", &["poetry.lock"]),
    ("uv", &["uv.lock"]),
    ("pdm", &["pdm.lock"]),
    ("pipenv", &["Pipfile.lock"]),
];

/// What installing the project in a directory of an image asks for. `tool` is the program that installs it.
pub(crate) fn read(source: &dyn Source, directory: &Path, tool: &str) -> Project {
    let mut project = Project::default();
    let locks = LOCKS.iter().find(|(name, _)| *name == tool).map_or(&[] as &[&str], |(_, locks)| locks);
    for lock in locks {
        if let Text::Found { text, name } = source.text(&directory.join(lock)) {
            let pins = if lock.starts_with("Pipfile") {
                pipfile_lock(&text, &name)
            } else {
                toml_lock(&text, &name)
            };
            match pins {
                Ok(pins) => project.requirements = pins,
                Err(why) => project.findings.push(unreadable(&name, &why)),
            }
            return project;
        }
    }
    if let Text::Found { text, name } = source.text(&directory.join("pyproject.toml")) {
        match text.parse::<Table>() {
            Ok(table) => {
                declared(&table, &text, &name, &mut project);
            }
            Err(error) => project.findings.push(unreadable(&name, error.message())),
        }
    }
    project
}

fn unreadable(name: &str, why: &str) -> Finding {
    Finding::new(Kind::RequirementsUnreadable, name, None, format!("it can't be read: {}", why.trim()))
}

/// The line of a text that has another text in it; the first one if none has.
fn line_of(text: &str, part: &str) -> usize {
    text.lines().position(|line| line.contains(part)).map_or(1, |at| at + 1)
}

fn declared(table: &Table, text: &str, name: &str, project: &mut Project) {
    let listed =
        table.get("project").and_then(|project| project.get("dependencies")).and_then(Value::as_array);
    for dependency in listed.into_iter().flatten().filter_map(Value::as_str) {
        if requirements::is_local(dependency) {
            continue;
        }
        let line = line_of(text, dependency);
        match requirements::parse(dependency, name, line) {
            Ok(requirement) => project.requirements.push(requirement),
            Err(why) => {
                let message = format!("`{dependency}` is no requirement: {why}");
                project.findings.push(Finding::new(Kind::RequirementMalformed, name, Some(line), message));
            }
        }
    }
    let poetry =
        table.get("tool").and_then(|tool| tool.get("poetry")).and_then(|poetry| poetry.get("dependencies"));
    for (package, wanted) in poetry.and_then(Value::as_table).into_iter().flatten() {
        let version = match wanted {
            Value::String(version) => version.as_str(),
            Value::Table(table) => table.get("version").and_then(Value::as_str).unwrap_or("*"),
            _ => "*",
        };
        if package == "python" {
            continue;
        }
        let line = line_of(text, package);
        // What poetry alone can say (`^1 || ^2`) is left open.
        let specifier = caret(version).unwrap_or_default();
        project.requirements.extend(requirements::parse(&format!("{package}{specifier}"), name, line).ok());
    }
}

/// A constraint of poetry as a specifier (PEP 440).
fn caret(text: &str) -> Option<String> {
    let parts: Option<Vec<String>> = text.split(',').map(|part| one_caret(part.trim())).collect();
    Some(parts?.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(","))
}

fn one_caret(text: &str) -> Option<String> {
    if text == "*" || text.is_empty() {
        return Some(String::new());
    }
    if text.contains('|') {
        return None;
    }
    let (kind, version) = match text.chars().next()? {
        '^' => ('^', &text[1..]),
        '~' if !text.starts_with("~=") => ('~', &text[1..]),
        letter if letter.is_ascii_digit() => ('=', text),
        _ => return Some(text.replace(' ', "")),
    };
    if kind == '=' {
        return Some(format!("=={version}"));
    }
    let numbers: Option<Vec<u64>> = version.split('.').map(|part| part.parse().ok()).collect();
    let mut next = numbers?;
    // `^` lets everything change that is behind the first part which isn't zero, `~` what is behind the second.
    let at = match kind {
        '^' => next.iter().position(|part| *part != 0).unwrap_or(next.len() - 1),
        _ => 1.min(next.len() - 1),
    };
    next.truncate(at + 1);
    next[at] = next[at].checked_add(1)?;
    let next: Vec<String> = next.iter().map(ToString::to_string).collect();
    Some(format!(">={version},<{}", next.join(".")))
}

/// `[[package]]` of `poetry.lock`, `uv.lock` and `pdm.lock`. What comes from elsewhere than an index isn't among them.
fn toml_lock(text: &str, name: &str) -> Result<Vec<Requirement>, String> {
    let table = text.parse::<Table>().map_err(|error| error.message().to_owned())?;
    let packages = table.get("package").and_then(Value::as_array).into_iter().flatten();
    let lines: HashMap<&str, usize> =
        text.lines().zip(1..).filter(|(line, _)| line.starts_with("name = ")).collect();
    let pin = |package: &Value| {
        let (package_name, version) = (package.get("name")?.as_str()?, package.get("version")?.as_str()?);
        let elsewhere = package.get("source").and_then(Value::as_table).is_some_and(|source| {
            let kind = source.get("type").and_then(Value::as_str);
            source.contains_key("virtual")
                || source.contains_key("editable")
                || source.contains_key("git")
                || matches!(kind, Some("git" | "directory" | "file" | "url"))
        });
        let line = lines.get(format!("name = \"{package_name}\"").as_str()).copied().unwrap_or(1);
        (!elsewhere).then(|| requirements::parse(&format!("{package_name}=={version}"), name, line).ok())?
    };
    Ok(packages.filter_map(pin).collect())
}

/// `default` of a `Pipfile.lock`.
fn pipfile_lock(text: &str, name: &str) -> Result<Vec<Requirement>, String> {
    let document: Json = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let packages = document.get("default").and_then(Json::as_object).into_iter().flatten();
    let pin = |(package, entry): (&String, &Json)| {
        let version = entry.get("version")?.as_str()?;
        requirements::parse(&format!("{package}{version}"), name, line_of(text, &format!("\"{package}\"")))
            .ok()
    };
    Ok(packages.filter_map(pin).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;

    struct Files(BTreeMap<&'static str, &'static str>);

    impl Source for Files {
        fn text(&self, path: &Path) -> Text {
            match self.0.get(path.to_str().unwrap()) {
                Some(text) => Text::Found { text: (*text).to_owned(), name: path.display().to_string() },
                None => Text::Missing,
            }
        }
    }

    fn texts(files: &[(&'static str, &'static str)], tool: &str) -> Vec<String> {
        let files = Files(files.iter().copied().collect());
        let project = read(&files, Path::new("/app"), tool);
        assert!(project.findings.is_empty(), "{:?}", project.findings);
        project.requirements.iter().map(|r| format!("{}:{}", r.text, r.line)).collect()
    }

    #[test]
    fn what_a_project_declares() {
        let pyproject = "[project]\nname = \"x\"\ndependencies = [\n  \"fastapi>=0.1\",\n  \"httpx\",\n]\n";
        assert_eq!(texts(&[("/app/pyproject.toml", pyproject)], "pip"), ["fastapi>=0.1:4", "httpx:5"]);
        let poetry = "[tool.poetry.dependencies]\npython = \"^3.11\"\nflask = \"^2.1\"\nrequests = { version = \"~2.28.1\", extras = [\"x\"] }\nodd = \"^1 || ^2\"\n";
        assert_eq!(
            texts(&[("/app/pyproject.toml", poetry)], "poetry"),
            ["flask<3,>=2.1:3", "odd:5", "requests<2.29,>=2.28.1:4"]
        );
    }

    #[test]
    fn a_lock_goes_before_the_project() {
        let lock = "version = 1\n[[package]]\nname = \"idna\"\nversion = \"3.1\"\nsource = { registry = \"https://h\" }\n[[package]]\nname = \"x\"\nversion = \"0\"\nsource = { virtual = \".\" }\n";
        let project = "[project]\ndependencies = [\"idna\"]\n";
        assert_eq!(texts(&[("/app/uv.lock", lock), ("/app/pyproject.toml", project)], "uv"), ["idna==3.1:3"]);
        assert_eq!(texts(&[("/app/uv.lock", lock), ("/app/pyproject.toml", project)], "pip"), ["idna:2"]);
        let pipfile = "{\n \"default\": {\n  \"idna\": {\"version\": \"==3.4\"},\n  \"local\": {\"path\": \".\"}\n }\n}";
        assert_eq!(texts(&[("/app/Pipfile.lock", pipfile)], "pipenv"), ["idna==3.4:3"]);
        let files = Files(BTreeMap::from([("/app/poetry.lock", "[[package]\n")]));
        assert_eq!(read(&files, Path::new("/app"), "poetry").findings[0].kind, Kind::RequirementsUnreadable);
    }

    #[test]
    fn constraints_of_poetry() {
        for (text, wanted) in [
            ("*", Some("")),
            ("^1.2.3", Some(">=1.2.3,<2")),
            ("^0.2.3", Some(">=0.2.3,<0.3")),
            ("^0.0.3", Some(">=0.0.3,<0.0.4")),
            ("^0", Some(">=0,<1")),
            ("~1.2.3", Some(">=1.2.3,<1.3")),
            ("~1", Some(">=1,<2")),
            ("1.2.3", Some("==1.2.3")),
            (">=1, <2", Some(">=1,<2")),
            ("~=1.4", Some("~=1.4")),
            ("^1 || ^2", None),
            ("^1.x", None),
        ] {
            assert_eq!(caret(text).as_deref(), wanted, "{text}");
        }
    }
}
