//! The rounds of a comparison, and the changes that are made between them.
//!
//! Changes are made in copies of the services, one set of copies for each side, never in the user's directories.

use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;
use tempfile::TempDir;

use super::services::Service;
use crate::failure::{During as _, Failure};

/// One round: every service is built once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// From an empty cache.
    Cold,
    /// Again, with nothing changed.
    Unchanged,
    /// After a change of one application file.
    AppChange,
    /// After one more requirement.
    RequirementChange,
}

impl Phase {
    /// Its name in tables, tags and JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Unchanged => "unchanged",
            Self::AppChange => "app-change",
            Self::RequirementChange => "requirement-change",
        }
    }
}

/// What to change before building again, as the user asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rebuild {
    /// Nothing
    Nothing,
    /// One file of the application
    App,
    /// One requirement more
    Requirement,
}

/// The rounds, in order: cold first, then each kind of rebuild that was asked for, once.
pub(crate) fn phases(rebuilds: &[Rebuild]) -> Vec<Phase> {
    let mut phases = vec![Phase::Cold];
    for rebuild in rebuilds {
        let phase = match rebuild {
            Rebuild::Nothing => Phase::Unchanged,
            Rebuild::App => Phase::AppChange,
            Rebuild::Requirement => Phase::RequirementChange,
        };
        if !phases.contains(&phase) {
            phases.push(phase);
        }
    }
    phases
}

/// The services as one side builds them.
pub(crate) struct Workspace {
    services: Vec<Service>,
    _copies: Option<TempDir>,
}

impl Workspace {
    /// The services in place if no phase changes them, else copies (with times and modes, which end up in layers).
    pub(crate) fn new(services: &[Service], phases: &[Phase]) -> Result<Self, Failure> {
        if !phases.iter().any(|p| matches!(p, Phase::AppChange | Phase::RequirementChange)) {
            return Ok(Self { services: services.to_vec(), _copies: None });
        }
        let copies = tempfile::tempdir().during("make a directory for copies of the services")?;
        let mut own = Vec::new();
        for service in services {
            let dir = copies.path().join(&service.name);
            copy(&service.dir, &dir).during(format!("copy `{}`", service.dir.display()))?;
            own.push(Service { dir, ..service.clone() });
        }
        Ok(Self { services: own, _copies: Some(copies) })
    }

    /// The services, in their order.
    pub(crate) fn services(&self) -> &[Service] {
        &self.services
    }

    /// Makes the change of a phase to one service. False: there is nothing in it to change.
    pub(crate) fn change(&self, index: usize, phase: Phase, requirement: &str) -> Result<bool, Failure> {
        let service = &self.services[index];
        let doing = format!("change the copy of `{}`", service.name);
        match phase {
            Phase::Cold | Phase::Unchanged => Ok(true),
            Phase::AppChange => match application_file(service).during(&doing)? {
                Some(file) => append(&file, "# changed by plinth compare\n").during(&doing).map(|()| true),
                None => Ok(false),
            },
            Phase::RequirementChange => add_requirement(service, requirement).during(&doing),
        }
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let meta = from.symlink_metadata()?;
    if meta.is_symlink() {
        return std::os::unix::fs::symlink(fs::read_link(from)?, to);
    }
    if meta.is_dir() {
        fs::create_dir(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        fs::set_permissions(to, meta.permissions())?;
    } else if meta.is_file() {
        fs::copy(from, to)?;
    } else {
        // Sockets and devices are no part of a build context.
        return Ok(());
    }
    File::open(to)?.set_times(FileTimes::new().set_modified(meta.modified()?))
}

fn append(file: &Path, text: &str) -> std::io::Result<()> {
    let mut content = fs::read(file)?;
    if content.last().is_some_and(|&byte| byte != b'\n') {
        content.push(b'\n');
    }
    content.extend_from_slice(text.as_bytes());
    fs::write(file, content)
}

/// The first Python file that the Dockerfile copies; the first of the directory if its COPY lines name none.
fn application_file(service: &Service) -> std::io::Result<Option<PathBuf>> {
    let text = fs::read_to_string(service.dir.join(&service.dockerfile))?;
    for source in copied(&text) {
        let path = service.dir.join(source.trim_start_matches("./").trim_start_matches('/'));
        if path.is_file() && path.extension().is_some_and(|ext| ext == "py") {
            return Ok(Some(path));
        }
        if path.is_dir()
            && let Some(file) = first_python_file(&path)?
        {
            return Ok(Some(file));
        }
    }
    first_python_file(&service.dir)
}

fn first_python_file(dir: &Path) -> std::io::Result<Option<PathBuf>> {
    let mut entries = fs::read_dir(dir)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    // Files of the directory itself first: those below are more often tests and tools.
    for entry in &entries {
        let path = entry.path();
        if entry.file_type()?.is_file() && path.extension().is_some_and(|ext| ext == "py") {
            return Ok(Some(path));
        }
    }
    for entry in &entries {
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if entry.file_type()?.is_dir()
            && !hidden
            && let Some(file) = first_python_file(&entry.path())?
        {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// The sources of the COPY and ADD lines that read the build context, in order. Good enough to choose a file to
/// change; what is really copied is BuildKit's business.
fn copied(dockerfile: &str) -> Vec<String> {
    let mut sources = Vec::new();
    for line in dockerfile.replace("\\\n", " ").lines() {
        let Some((instruction, rest)) = line.trim_start().split_once(char::is_whitespace) else { continue };
        if !instruction.eq_ignore_ascii_case("COPY") && !instruction.eq_ignore_ascii_case("ADD") {
            continue;
        }
        let (flags, words): (Vec<&str>, Vec<&str>) =
            rest.split_whitespace().partition(|word| word.starts_with("--"));
        if flags.iter().any(|flag| flag.starts_with("--from=")) {
            continue;
        }
        let plain = words.join(" ");
        let mut words: Vec<String> =
            serde_json::from_str(&plain).unwrap_or_else(|_| words.iter().map(|w| (*w).to_owned()).collect());
        words.pop();
        sources.extend(words);
    }
    sources
}

/// Adds a requirement: to the first requirements file that the Dockerfile names, else to its first `pip install`.
fn add_requirement(service: &Service, requirement: &str) -> std::io::Result<bool> {
    let dockerfile = service.dir.join(&service.dockerfile);
    let text = fs::read_to_string(&dockerfile)?;
    for word in text.split(|c: char| c.is_whitespace() || "\"',;[]=".contains(c)) {
        let name = word.rsplit('/').next().unwrap_or(word);
        if !name.starts_with("requirements") || !name.ends_with(".txt") {
            continue;
        }
        // The path as written is one inside the image more often than one of the context.
        for path in [service.dir.join(word.trim_start_matches('/')), service.dir.join(name)] {
            if path.is_file() {
                return append(&path, &format!("{requirement}\n")).map(|()| true);
            }
        }
    }
    match with_requirement(&text, requirement) {
        Some(changed) => fs::write(dockerfile, changed).map(|()| true),
        None => Ok(false),
    }
}

/// The Dockerfile with one more requirement right behind the word `install` of its first `pip install`.
fn with_requirement(dockerfile: &str, requirement: &str) -> Option<String> {
    let mut from = 0;
    while let Some(at) = dockerfile[from..].find("install").map(|at| at + from) {
        let end = at + "install".len();
        let before = dockerfile[..at].trim_end_matches(['"', ' ', ',']);
        let comment = before.rsplit('\n').next().is_some_and(|line| line.trim_start().starts_with('#'));
        let pip = before.ends_with("pip") || before.ends_with("pip3");
        if pip && !comment {
            let (insert, at) = if dockerfile[end..].starts_with('"') {
                (format!(", \"{requirement}\""), end + 1)
            } else {
                (format!(" {requirement}"), end)
            };
            return Some(format!("{}{insert}{}", &dockerfile[..at], &dockerfile[at..]));
        }
        from = end;
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn service(files: &[(&str, &str)]) -> (TempDir, Service) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let service = Service { name: "s".into(), dir: dir.path().into(), dockerfile: "Dockerfile".into() };
        (dir, service)
    }

    #[test]
    fn rounds_are_cold_first_and_each_once() {
        let asked = [Rebuild::App, Rebuild::Nothing, Rebuild::App];
        assert_eq!(phases(&asked), [Phase::Cold, Phase::AppChange, Phase::Unchanged]);
    }

    #[test]
    fn the_copy_is_changed_and_the_original_is_not() {
        let (dir, original) = service(&[
            ("Dockerfile", "FROM x\nCOPY --from=b /a.py /\nCOPY --chown=1 app \\\n  /srv/\n"),
            ("app/z.py", "z = 1"),
            ("app/lib/a.py", "a = 1\n"),
            ("a.py", "no\n"),
        ]);
        let workspace =
            Workspace::new(std::slice::from_ref(&original), &[Phase::Cold, Phase::AppChange]).unwrap();
        let own = workspace.services()[0].dir.clone();
        let time = |dir: &Path| fs::metadata(dir.join("app/z.py")).unwrap().modified().unwrap();
        assert_eq!(time(&own), time(dir.path()));
        assert!(workspace.change(0, Phase::AppChange, "").unwrap());
        assert_eq!(fs::read_to_string(own.join("app/z.py")).unwrap(), "z = 1\n# changed by plinth compare\n");
        assert_eq!(fs::read_to_string(dir.path().join("app/z.py")).unwrap(), "z = 1");
        assert_eq!(fs::read_to_string(own.join("a.py")).unwrap(), "no\n");
    }

    #[test]
    fn without_a_change_nothing_is_copied() {
        let (dir, original) = service(&[("Dockerfile", "FROM x\n")]);
        let workspace = Workspace::new(&[original], &[Phase::Cold, Phase::Unchanged]).unwrap();
        assert_eq!(workspace.services()[0].dir, dir.path());
    }

    #[test]
    fn requirements_go_to_the_file_that_is_named_or_inline() {
        let (dir, file) = service(&[
            (
                "Dockerfile",
                "FROM x\nCOPY deps/requirements-prod.txt /tmp/\nRUN pip install -r /tmp/requirements-prod.txt\n",
            ),
            ("deps/requirements-prod.txt", "a"),
            ("requirements.txt", "b\n"),
        ]);
        assert!(add_requirement(&file, "c").unwrap());
        assert_eq!(fs::read_to_string(dir.path().join("deps/requirements-prod.txt")).unwrap(), "a\nc\n");
        assert_eq!(fs::read_to_string(dir.path().join("requirements.txt")).unwrap(), "b\n");

        let inline = "# pip install none\nRUN apt-get install -y x && pip install --no-cache-dir a\n";
        let expected = "# pip install none\nRUN apt-get install -y x && pip install c --no-cache-dir a\n";
        assert_eq!(with_requirement(inline, "c").as_deref(), Some(expected));
        let exec = "RUN [\"pip\", \"install\", \"a\"]\n";
        assert_eq!(
            with_requirement(exec, "c").as_deref(),
            Some("RUN [\"pip\", \"install\", \"c\", \"a\"]\n")
        );
        assert_eq!(with_requirement("RUN apt-get install -y pip\n", "c"), None);
    }
}
