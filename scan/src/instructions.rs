//! Following the instructions of a Dockerfile, stage by stage: what they say of files, variables and installs.

use std::path::Path;
use std::sync::Arc;

use parse_dockerfile::{AddInstruction, CopyInstruction, Dockerfile, Flag, Instruction, Source as Copied};

use crate::context::{Context, Entry, is_pattern};
use crate::dockerfile::{Base, Lines, Run, Scope, Stages, expand, pairs, script};
use crate::finding::{Finding, Kind};
use crate::image::Image;
use crate::service::{Job, Service};
use crate::shell::{apt_packages, commands};
use crate::steps::{self, Place};

/// A Dockerfile while it is read.
pub(crate) struct Reader<'a> {
    pub(crate) tree: &'a Path,
    pub(crate) job: &'a Job,
    pub(crate) file: &'a str,
    pub(crate) context: Context,
    pub(crate) lines: Lines,
    pub(crate) stages: &'a Stages,
    pub(crate) needed: &'a [bool],
    pub(crate) escape: char,
    /// The stages so far, as they ended.
    pub(crate) images: Vec<Arc<Image>>,
    pub(crate) findings: &'a mut Vec<Finding>,
    pub(crate) service: Service,
}

impl Reader<'_> {
    /// Reads all stages, in order.
    pub(crate) fn stages(&mut self, dockerfile: &Dockerfile<'_>) {
        for (index, stage) in dockerfile.stages().enumerate() {
            let mut image = match self.stages.all[index].base {
                Base::Stage(below) => Image::clone(&self.images[below]),
                _ => Image::default(),
            };
            if has_own_files(&self.stages.all[index].base) {
                image.set_opaque();
            }
            // ARGs are a stage's own; those of a stage below are known to it no more.
            let mut args = Scope::default();
            for instruction in stage.instructions {
                self.instruction(instruction, index, &mut image, &mut args);
            }
            self.images.push(Arc::new(image));
        }
    }

    fn instruction(
        &mut self,
        instruction: &Instruction<'_>,
        stage: usize,
        image: &mut Image,
        args: &mut Scope,
    ) {
        let scope = || {
            let mut scope = args.clone();
            for (name, value) in image.env.iter() {
                scope.set(name, value);
            }
            for name in image.env.unknown() {
                scope.set_unknown(name);
            }
            scope
        };
        match instruction {
            Instruction::Arg(arg) => {
                for (name, default) in pairs(&arg.arguments.value, &scope()) {
                    let global = self.stages.global.get(&name).map(str::to_owned);
                    match self.job.args.get(&name).cloned().or(default).or(global) {
                        Some(value) => args.set(&name, &value),
                        // Whoever builds it may say.
                        None => args.set_unknown(&name),
                    }
                }
            }
            Instruction::Env(env) => {
                for (name, value) in pairs(&env.arguments.value, &scope()) {
                    match value {
                        Some(value) => image.env.set(name, value),
                        None => image.env.set_unknown(&name),
                    }
                }
            }
            Instruction::Workdir(workdir) => match expand(&workdir.arguments.value, &scope()) {
                Some(path) => image.change_directory(&path),
                None => image.set_opaque(),
            },
            Instruction::User(user) => {
                image.user = expand(&user.arguments.value, &scope()).unwrap_or_else(|| "unknown".to_owned());
            }
            Instruction::Shell(shell) => {
                image.shell = shell.arguments.iter().map(|word| word.value.to_string()).collect();
            }
            Instruction::Copy(copy) => self.copy(copy, stage, image, &scope()),
            Instruction::Add(add) => self.add(add, stage, image, &scope()),
            Instruction::Run(run) => {
                let mut seen = image.clone();
                for (name, value) in args.iter().filter(|(name, _)| image.env.get(name).is_none()) {
                    seen.env.set(name, value);
                }
                for name in args.unknown().filter(|name| image.env.get(name).is_none()) {
                    seen.env.set_unknown(name);
                }
                let place = Place {
                    file: self.file,
                    line: self.lines.at(run.run.span.start),
                    stage,
                    needed: self.needed[stage],
                    escape: self.escape,
                };
                let step = steps::look(run, &seen, &self.context, self.tree, &place, self.findings);
                self.service.steps.extend(step);
                let (text, words) = match script(run, self.escape) {
                    Run::Shell(text) => {
                        let words = commands(&text, &seen.env);
                        (text, words)
                    }
                    Run::Exec(words) => (words.join(" "), vec![words]),
                };
                if self.needed[stage] {
                    self.service.apt.extend(apt_packages(&words));
                }
                image.ran(&text, &words);
            }
            _ => {}
        }
    }

    fn copy(&mut self, copy: &CopyInstruction<'_>, stage: usize, image: &mut Image, scope: &Scope) {
        let Some(destination) = expand(&copy.dest.value, scope) else { return image.set_opaque() };
        let line = self.lines.at(copy.copy.span.start);
        let from = flag(&copy.options, "from");
        let Some(sources) = sources(&copy.src, scope) else { return image.copy_unknown(&destination) };
        match from {
            // It keeps directories of the source's path, of which nothing else here knows.
            None if copy.options.iter().any(|flag| flag.name.value == "parents") => {
                image.copy_unknown(&destination);
            }
            None => {
                self.check(&sources, line, stage);
                image.copy(&self.context, &sources, &destination);
            }
            Some(name) => match self.stages.by_name(&name).and_then(|index| self.images.get(index)) {
                Some(other) => image.copy_from(&self.context, &Arc::clone(other), &sources, &destination),
                None => image.copy_unknown(&destination),
            },
        }
    }

    fn add(&mut self, add: &AddInstruction<'_>, stage: usize, image: &mut Image, scope: &Scope) {
        let Some(destination) = expand(&add.dest.value, scope) else { return image.set_opaque() };
        let line = self.lines.at(add.add.span.start);
        let elsewhere = |source: &str| source.contains("://") || source.starts_with("git@");
        // A pattern may match one.
        let archive = |source: &str| {
            const ENDINGS: &[&str] = &[
                ".tar", ".gz", ".tgz", ".xz", ".txz", ".bz2", ".tbz", ".tbz2", ".zst", ".tzst", ".lz", ".Z",
            ];
            is_pattern(source) || ENDINGS.iter().any(|ending| source.ends_with(ending))
        };
        let Some(mut sources) = sources(&add.src, scope) else { return image.copy_unknown(&destination) };
        sources.retain(|source| {
            let unknown = elsewhere(source) || archive(source);
            if unknown {
                image.copy_unknown(&destination);
            }
            !elsewhere(source)
        });
        self.check(&sources, line, stage);
        sources.retain(|source| !archive(source));
        image.copy(&self.context, &sources, &destination);
    }

    /// Whether what a COPY names is in the context.
    fn check(&mut self, sources: &[String], line: usize, stage: usize) {
        if !self.needed[stage] {
            return;
        }
        for source in sources.iter().filter(|source| !is_pattern(source)) {
            let shown = &self.service.context;
            let message = match self.context.entry(source) {
                Entry::File(_) | Entry::Directory => continue,
                Entry::Missing => format!("`{source}` isn't in the build context `{shown}`"),
                Entry::Ignored(pattern) => {
                    format!("`{source}` is left out of the build context by `{pattern}` of .dockerignore")
                }
                Entry::Outside => {
                    let message = format!(
                        "`{source}` is a link that leads out of the build context `{shown}`: the image gets a link to nothing"
                    );
                    self.findings.push(Finding::new(Kind::LinkOutside, self.file, Some(line), message));
                    continue;
                }
            };
            self.findings.push(Finding::new(Kind::CopyMissing, self.file, Some(line), message));
        }
    }
}

/// The paths that a COPY or ADD names. None if one of them isn't known, or is a here-document.
fn sources(all: &[Copied<'_>], scope: &Scope) -> Option<Vec<String>> {
    let path = |source: &Copied<'_>| match source {
        Copied::Path(path) => expand(&path.value, scope),
        _ => None,
    };
    all.iter().map(path).collect()
}

/// Whether an image may have files, and a working directory, that a service counts on. Those of official images of
/// languages and distributions have none.
fn has_own_files(base: &Base) -> bool {
    const BARE: &[&str] = &[
        "almalinux",
        "alpine",
        "amazonlinux",
        "busybox",
        "buildpack-deps",
        "centos",
        "debian",
        "fedora",
        "golang",
        "node",
        "python",
        "rockylinux",
        "rust",
        "ubuntu",
    ];
    match base {
        Base::Image(name) => !BARE.contains(&crate::class::repository(name).as_str()),
        Base::Unresolved(_) => true,
        Base::Scratch | Base::Stage(_) => false,
    }
}

fn flag(flags: &[Flag<'_>], name: &str) -> Option<String> {
    let flag = flags.iter().find(|flag| flag.name.value == name)?;
    Some(flag.value.as_ref().map(|value| value.value.to_string()).unwrap_or_default())
}
