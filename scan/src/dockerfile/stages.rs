//! Which stages a Dockerfile has, on what they stand, and which of them a target needs.

use std::collections::BTreeMap;

use parse_dockerfile::{Dockerfile, Flag, Instruction};

use super::{Lines, Scope, expand, pairs};

/// What a stage stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// `FROM scratch`.
    Scratch,
    /// An image, by the name that the Dockerfile comes to.
    Image(String),
    /// An earlier stage.
    Stage(usize),
    /// A name that depends on something that isn't known; as it is written.
    Unresolved(String),
}

/// One stage.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) name: Option<String>,
    /// The line of its FROM.
    pub(crate) line: usize,
    pub(crate) base: Base,
    /// The stages that it is built from: its base, and what it copies from or mounts, each with its line.
    uses: Vec<(usize, usize)>,
}

/// All stages, and the variables in front of the first.
#[derive(Clone, Debug)]
pub(crate) struct Stages {
    pub(crate) all: Vec<Stage>,
    /// ARGs in front of the first FROM.
    pub(crate) global: Scope,
}

/// Stages that are needed, or the line at which they turn in a circle.
pub(crate) type Needed = Result<Vec<bool>, usize>;

/// What BuildKit sets for every build; a platform of its own is for the builder to say.
const PREDEFINED: &[(&str, &str)] = &[
    ("BUILDPLATFORM", "linux/amd64"),
    ("BUILDOS", "linux"),
    ("BUILDARCH", "amd64"),
    ("BUILDVARIANT", ""),
    ("TARGETPLATFORM", "linux/amd64"),
    ("TARGETOS", "linux"),
    ("TARGETARCH", "amd64"),
    ("TARGETVARIANT", ""),
];

impl Stages {
    /// Reads the stages of a Dockerfile. `args` are those that the build is given.
    pub(crate) fn read(dockerfile: &Dockerfile<'_>, lines: &Lines, args: &BTreeMap<String, String>) -> Self {
        let mut global = Scope::default();
        for (name, value) in PREDEFINED {
            global.set(*name, *value);
        }
        for arg in dockerfile.global_args() {
            for (name, default) in pairs(&arg.arguments.value, &global) {
                match args.get(&name).cloned().or(default) {
                    Some(value) => global.set(name, value),
                    None if global.get(&name).is_none() => global.set_unknown(&name),
                    None => {}
                }
            }
        }
        let mut all: Vec<Stage> = Vec::new();
        for stage in dockerfile.stages() {
            let named = |name: &str| {
                all.iter()
                    .position(|stage| stage.name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name)))
            };
            let written = stage.from.image.value.as_ref();
            let base = match expand(written, &global).filter(|name| !name.is_empty()) {
                None => Base::Unresolved(written.to_owned()),
                Some(name) => match named(&name) {
                    Some(index) => Base::Stage(index),
                    None if name == "scratch" => Base::Scratch,
                    // `python:${VERSION}` without a value is `python:`, which is no name.
                    None if name.ends_with([':', '/', '@']) => Base::Unresolved(written.to_owned()),
                    None => Base::Image(name),
                },
            };
            let line = lines.at(stage.from.from.span.start);
            let name = stage.from.as_.as_ref().map(|(_, name)| name.value.to_string());
            all.push(Stage { name, line, base, uses: Vec::new() });
        }
        let mut stages = Self { all, global };
        for (index, stage) in dockerfile.stages().enumerate() {
            let mut uses = Vec::new();
            if let Base::Stage(base) = stages.all[index].base {
                uses.push((base, stages.all[index].line));
            }
            for instruction in stage.instructions {
                let (flags, span) = match instruction {
                    Instruction::Copy(copy) => (copy.options.as_slice(), &copy.copy.span),
                    Instruction::Run(run) => (run.options.as_slice(), &run.run.span),
                    _ => continue,
                };
                let line = lines.at(span.start);
                uses.extend(sources(flags).iter().filter_map(|name| Some((stages.by_name(name)?, line))));
            }
            stages.all[index].uses = uses;
        }
        stages
    }

    /// The stage of a name or number, wherever it stands.
    pub(crate) fn by_name(&self, name: &str) -> Option<usize> {
        let own = |stage: &Stage| stage.name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name));
        let number = || name.parse::<usize>().ok().filter(|number| *number < self.all.len());
        self.all.iter().position(own).or_else(number)
    }

    /// The image at the bottom of a stage.
    pub(crate) fn bottom(&self, mut index: usize) -> &Base {
        while let Base::Stage(below) = self.all[index].base {
            index = below;
        }
        &self.all[index].base
    }
}

/// What the `--from` of a COPY, or the `from=` of a mount, names.
fn sources(flags: &[Flag<'_>]) -> Vec<String> {
    let value =
        |flag: &Flag<'_>| flag.value.as_ref().map(|value| value.value.to_string()).unwrap_or_default();
    flags
        .iter()
        .filter_map(|flag| match flag.name.value.as_ref() {
            "from" => Some(value(flag)),
            "mount" => value(flag).split(',').find_map(|part| part.strip_prefix("from=").map(str::to_owned)),
            _ => None,
        })
        .collect()
}

/// Which stages a target needs.
///
/// # Errors
/// The line at which a stage needs, by way of others, itself.
pub(crate) fn needed(stages: &[Stage], target: usize) -> Needed {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; stages.len()];
    // Stages on the way, each with the next of its uses to look at.
    let mut way = vec![(target, 0)];
    marks[target] = Mark::Open;
    while let Some((index, next)) = way.last_mut() {
        let Some(&(used, line)) = stages[*index].uses.get(*next) else {
            marks[*index] = Mark::Done;
            way.pop();
            continue;
        };
        *next += 1;
        match marks[used] {
            Mark::Open => return Err(line),
            Mark::Done => {}
            Mark::New => {
                marks[used] = Mark::Open;
                way.push((used, 0));
            }
        }
    }
    Ok(marks.into_iter().map(|mark| mark == Mark::Done).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str, args: &[(&str, &str)]) -> Stages {
        let dockerfile = parse_dockerfile::parse(text).unwrap();
        let args = args.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Stages::read(&dockerfile, &Lines::of(text), &args)
    }

    #[test]
    fn bases_through_variables() {
        let text = "ARG V=3.11\nARG NONE\nFROM python:${V}-slim AS a\nFROM A\nFROM $NONE\nFROM scratch\nFROM python:$NONE\n";
        let bases = |args: &[(&str, &str)]| -> Vec<Base> {
            read(text, args).all.into_iter().map(|stage| stage.base).collect()
        };
        let image = |name: &str| Base::Image(name.into());
        let unresolved = |name: &str| Base::Unresolved(name.into());
        assert_eq!(
            bases(&[]),
            [
                image("python:3.11-slim"),
                Base::Stage(0),
                unresolved("$NONE"),
                Base::Scratch,
                unresolved("python:$NONE")
            ]
        );
        let given = bases(&[("V", "3.12"), ("NONE", "alpine")]);
        assert_eq!((&given[0], &given[2]), (&image("python:3.12-slim"), &image("alpine")));
        assert_eq!(read(text, &[]).bottom(1), &image("python:3.11-slim"));
    }

    #[test]
    fn what_a_target_needs() {
        let text = "FROM a AS one\nFROM b AS two\nFROM c AS three\nCOPY --from=one x y\nRUN --mount=from=0,target=/x true\nFROM three AS test\n";
        let stages = read(text, &[]);
        assert_eq!(needed(&stages.all, 3).unwrap(), [true, false, true, true]);
        assert_eq!(needed(&stages.all, 1).unwrap(), [false, true, false, false]);
        let text = "FROM a AS one\nCOPY --from=two x y\nFROM b AS two\nCOPY --from=one x y\n";
        assert_eq!(needed(&read(text, &[]).all, 1), Err(2));
    }
}
