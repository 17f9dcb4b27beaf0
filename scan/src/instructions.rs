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
            scope
        };
        match instruction {
            Instruction::Arg(arg) => {
                for (name, default) in pairs(&arg.arguments.value, &scope()) {
                    let global = self.stages.global.get(&name).map(str::to_owned);
                    if let Some(value) = self.job.args.get(&name).cloned().or(default).or(global) {
                        args.set(&name, &value);
                    }
                }
            }
            Instruction::Env(env) => {
                for (name, value) in pairs(&env.arguments.value, &scope()) {
                    if let Some(value) = value {
                        image.env.set(name, value);
                    }
                }
            }
            Instruction::Workdir(workdir) => {
                if let Some(path) = expand(&workdir.arguments.value, &scope()) {
                    image.change_directory(&path);
                }
            }
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
                let place = Place {
                    file: self.file,
                    line: self.lines.at(run.run.span.start),
                    stage,
                    needed: self.needed[stage],
                    escape: self.escape,
                };
                let step = steps::look(run, &seen, &self.context, self.tree, &place, self.findings);
                self.service.steps.extend(step);
                if let Run::Shell(text) = script(run, self.escape) {
                    if self.needed[stage] {
                        self.service.apt.extend(apt_packages(&commands(&text, &seen.env)));
                    }
                    image.ran(&text);
                }
            }
            _ => {}
        }
    }

    fn copy(&mut self, copy: &CopyInstruction<'_>, stage: usize, image: &mut Image, scope: &Scope) {
        let Some(destination) = expand(&copy.dest.value, scope) else { return };
        let line = self.lines.at(copy.copy.span.start);
        let from = flag(&copy.options, "from");
        let mut sources = Vec::new();
        for source in &copy.src {
            match source {
                Copied::Path(path) => sources.extend(expand(&path.value, scope)),
                Copied::HereDoc(document) => image.write("", document.value.to_string(), &destination),
                _ => {}
            }
        }
        match from {
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
        let Some(destination) = expand(&add.dest.value, scope) else { return };
        let line = self.lines.at(add.add.span.start);
        let elsewhere = |source: &str| source.contains("://") || source.starts_with("git@");
        let archive = |source: &str| {
            [".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst"]
                .iter()
                .any(|ending| source.ends_with(ending))
        };
        let mut sources = Vec::new();
        for source in &add.src {
            match source {
                Copied::Path(path) => sources.extend(expand(&path.value, scope)),
                Copied::HereDoc(document) => image.write("", document.value.to_string(), &destination),
                _ => {}
            }
        }
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

fn flag(flags: &[Flag<'_>], name: &str) -> Option<String> {
    let flag = flags.iter().find(|flag| flag.name.value == name)?;
    Some(flag.value.as_ref().map(|value| value.value.to_string()).unwrap_or_default())
}
