//! Dockerfiles of services that nobody wrote: where they install to, how, what they do to it, what they copy of it.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::Union;

use super::target::{TARGETS, Target};

type Text = BoxedStrategy<String>;

/// A service. In its texts, `@P@` is the installer with its sub-command's name to come, `@TO@` the options of its
/// target, `@SITE@` the directory of packages.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) base: &'static str,
    target: Target,
    /// Program of the installs.
    program: String,
    /// What is in the context beside the Dockerfile, by its number in [`FILES`].
    pub(crate) files: Vec<usize>,
    /// Instructions before the installs, the installs and what comes after them, and those of a stage on top.
    parts: [Vec<String>; 3],
    /// A further stage copies what was installed.
    copies: Option<String>,
    /// Instructions at the end.
    last: Vec<String>,
}

/// What is in the context of every service.
pub(crate) const ALWAYS: &[(&str, &str)] = &[
    ("requirements.txt", "# all\nalpha==2.0\nbeta>=1  # any\n"),
    ("more.txt", "gamma\nheavy>=1\n"),
    ("limits.txt", "alpha<2\nbeta==1.0\n"),
    ("nested.txt", "-r more.txt\ndelta ; python_version >= '3'\n"),
    ("patched.py", "VERSION = 'patched'\n\n\ndef where():\n    return 'nowhere at all'\n"),
];

/// What can be in the context.
pub(crate) const FILES: &[(&str, &str)] =
    &[("extra.txt", "bulky\nns-one\n"), ("empty.txt", ""), ("broken.txt", "nobody-has-this==1\n")];

/// One of the texts of a list, which ` % ` separates.
fn one(texts: &'static str) -> Text {
    select(texts.split(" % ").collect::<Vec<_>>()).prop_map(str::to_owned).boxed()
}

fn any_of(all: Vec<(u32, Text)>) -> Text {
    Union::new_weighted(all).boxed()
}

/// What an install asks for.
fn wanted() -> Text {
    any_of(vec![
        (
            6,
            one("alpha % beta==1.0 % 'beta>=1' % alpha==1.0 % \"alpha[fast]\" % gamma delta % ns-one ns-two"),
        ),
        (6, one("heavy % heavy==1.0 % heavy==2.0 % bulky % datafull heavy==1.0 % 'alpha>=1,<2' bulky")),
        (3, one("datafull % Mixed.Case_Name % uvicorn[x] % alpha[fast] heavy")),
        (
            5,
            one(
                "-r requirements.txt % -r more.txt % -r nested.txt % -c limits.txt alpha % -r more.txt bulky",
            ),
        ),
        (3, one("-U alpha % --upgrade heavy % -U -r requirements.txt % -U --upgrade-strategy eager alpha")),
        (2, one("beta>=1 % heavy>=1 alpha>=1 % ns-one>=0.1 ns-two>=0.1")),
        (2, one("--no-deps alpha % --pre beta % -q bulky % --no-compile delta % --ignore-installed beta")),
    ])
}

/// The script of one RUN that installs. `@A@` and `@B@` are installs, `@F@` a file, there or not.
fn script() -> Text {
    let conditions = one(
        "if [ -f @F@ ]; then @P@ install@TO@ -r @F@; else @A@; fi % if [ -s @F@ ]; then \\\n    @P@ install@TO@ -r @F@; \\\n  fi \
         % [ ! -e none.txt ] && @A@ % if [ -d /data ]; then @A@; elif test -f @F@; then @B@; fi",
    );
    let fallbacks = one(
        "@P@ install@TO@ -r @F@ 2>/dev/null || @A@ % @A@ >/dev/null 2>&1 || @B@ || true % @A@ || exit 1; @B@ \
         % ! @P@ install@TO@ -r none.txt && @A@",
    );
    let several = one(
        "@A@ && \\\n    @B@ % set -e; @A@; @B@ % { @A@; } && @B@ % (cd sub && @A@) && @B@ % (cd /tmp && @A@)",
    );
    let parts = one(
        "mkdir -p /data/x && @A@ % echo begins && @A@ && @B@ % @A@ && python3 -c 'import sys' % mkdir /made && @A@ && echo done \
         % @A@ && rm -rf /root/.cache /tmp/nothing % @A@ && rm -rf /tmp/x && python3 -c 'import json, re'",
    );
    // What becomes of these is not known before they run.
    let unknown = one(
        "@A@ && find @SITE@ -name '*.pyc' -delete % @A@ && touch /tmp/later % @A@ && rm -rf @SITE@/beta* \
         % @A@ && chmod -R go-rx @SITE@/heavy || true % @A@ && echo 'X = 2' >>@SITE@/heavy/v1.py % export X=1 && @A@ % umask 022; @A@ \
         % PIP_NO_DEPS=1 @A@ % cd sub && touch here && @A@ % : | @A@ % for p in gamma heavy; do @P@ install@TO@ $p; done \
         % @P@ install@TO@ --force-reinstall heavy % @P@ uninstall -y beta || true % @P@ list && @A@ \
         % @A@ && @P@ uninstall -y heavy bulky && @B@ % @P@ wheel -w /tmp/w heavy && @P@ install@TO@ --no-index -f /tmp/w heavy \
         % cp -a @SITE@/heavy /tmp/h && @A@ && cp -a @SITE@/heavy /tmp/hs",
    );
    let failing = one(
        "@P@ install@TO@ -r none.txt % @P@ install@TO@ nobody-has-this % @A@ && false % @P@ install@TO@ -r broken.txt",
    );
    let form = any_of(vec![
        (14, one("@A@")),
        (6, conditions),
        (5, fallbacks),
        (6, several),
        (6, parts),
        (8, unknown),
        (1, failing),
    ]);
    let file = one("requirements.txt % extra.txt % extra.txt % nested.txt % none.txt % empty.txt");
    (form, wanted(), wanted(), file)
        .prop_map(|(form, a, b, file)| {
            form.replace("@A@", &format!("@P@ install@TO@ {a}"))
                .replace("@B@", &format!("@P@ install@TO@ {b}"))
                .replace("@F@", &file)
        })
        .boxed()
}

/// An instruction that installs.
fn install() -> Text {
    let heredoc = (script(), script()).prop_map(|(a, b)| format!("RUN <<EOF\nset -e\n{a}\n# and\n{b}\nEOF"));
    let mount = one(
        "--mount=type=cache,target=/root/.cache/pip % --mount=type=bind,target=/ctx % --mount=type=tmpfs,target=/tmp/x",
    );
    let exec = one(
        "\"alpha\" % \"beta>=1\" % \"-r\", \"requirements.txt\" % \"uvicorn[x]\", \"heavy\" % \"--upgrade\", \"alpha\"",
    );
    any_of(vec![
        (20, script().prop_map(|script| format!("RUN {script}")).boxed()),
        (2, heredoc.boxed()),
        (1, (mount, script()).prop_map(|(mount, script)| format!("RUN {mount} {script}")).boxed()),
        (1, exec.prop_map(|words| format!("RUN [@PX@, \"install\", {words}]")).boxed()),
    ])
}

/// An instruction that changes what was installed, as far as it is there. None leaves the size of a module as it is: byte
/// code of the same second would hide that. And none copies or changes a whole directory of packages: pip's own byte
/// code in it is stray.
fn change() -> Text {
    let run = one(
        "echo 'X = 1' >>@SITE@/alpha/__init__.py || true % rm -rf @SITE@/beta % rm -rf @SITE@/heavy/tests \
         % rm -rf @SITE@/*.dist-info % find @SITE@ -name __pycache__ -prune -exec rm -rf {} + % chmod -R o-rx @SITE@/heavy || true \
         % touch @SITE@/mine.txt || true % chown -R 1000:1000 @SITE@/alpha @SITE@/heavy || true % mv @SITE@/bulky @SITE@/moved || true \
         % ln -s alpha @SITE@/link || true % chmod 600 @SITE@/heavy/big.py || true % @P@ uninstall -y alpha || true \
         % python3 -c 'import json' % cp -a @SITE@/alpha /copy || true % find / -xdev -name 'only_*' -delete \
         % rm -rf @SITE@/heavy && mkdir -p @SITE@/heavy % ln -f @SITE@/heavy/big.py @SITE@/heavy/same.py || true",
    );
    let copy = one(
        "COPY patched.py @SITE@/alpha/__init__.py % COPY patched.py /usr/local/bin/alpha-tool % COPY . /app/src",
    );
    any_of(vec![(8, run.prop_map(|run| format!("RUN {run}")).boxed()), (1, copy)])
}

/// An instruction that decides nothing about installs, or shouldn't.
fn other() -> Text {
    one(
        "ENV X=1 % ARG VERSION=1.0 % WORKDIR /app/sub % LABEL a=b % EXPOSE 80 % RUN echo x >/tmp/x % USER root \
         % SHELL [\"/bin/bash\", \"-eo\", \"pipefail\", \"-c\"] % SHELL [\"/bin/bash\", \"-c\"] % ENV PYTHONDONTWRITEBYTECODE=1 \
         % ENV PYTHONUNBUFFERED=1 PIP_ROOT_USER_ACTION=ignore % RUN umask 022 % VOLUME /data % STOPSIGNAL 9",
    )
}

/// An instruction that installs will notice: variables and configuration of pip, and what is in the way of files.
fn state() -> Text {
    let variables = one(
        "PIP_NO_DEPS=1 % PIP_UPGRADE=1 % PIP_NO_COMPILE=1 % PIP_CONSTRAINT=/app/limits.txt % PIP_PRE=1 % PIP_USER=1 \
         % PIP_PREFIX=/opt/p % PIP_TARGET=/opt/t % PYTHONPATH=/app % PYTHONNOUSERSITE=1 % PIP_QUIET=1 % PIP_FIND_LINKS=/wheels",
    );
    let config = one(
        "no-compile = true % no-deps = yes % user = true % prefix = /opt/p % pre = 1 % constraint = /app/limits.txt",
    );
    let files = one(
        "mkdir -p @SITE@/heavy && echo mine >@SITE@/heavy/data.txt % mkdir -p /data/h @SITE@ && ln -s /data/h @SITE@/heavy \
         % mkdir -p @SITE@ && chmod g+s @SITE@ % mkdir -p @SITE@/alpha/__pycache__ && touch @SITE@/alpha/mine.py \
         % chmod 700 /usr/local/lib % echo mine >/usr/local/bin/alpha-tool % ln -s /nowhere /usr/local/bin/heavy-tool \
         % mkdir -p @SITE@/beta-0.9.dist-info && echo >@SITE@/beta-0.9.dist-info/METADATA % chown 1000:1000 /usr/local/bin \
         % mkdir -p @SITE@ && echo 'import sys' >@SITE@/sitecustomize.py % echo 'import os' >typing.py % mkdir -p /root/.config",
    );
    any_of(vec![
        (3, variables.prop_map(|variable| format!("ENV {variable}")).boxed()),
        (1, config.prop_map(|config| format!("COPY <<EOF /etc/pip.conf\n[install]\n{config}\nEOF")).boxed()),
        (4, files.prop_map(|files| format!("RUN {files}")).boxed()),
    ])
}

pub(crate) fn service() -> BoxedStrategy<Service> {
    let base = prop_oneof![7 => Just("python:3.11-slim"), 1 => Just("python:3.13-slim")];
    let target =
        Union::new_weighted(TARGETS.iter().map(|(weight, target)| (*weight, Just(target.clone()))).collect());
    let program = any_of(vec![(6, one("pip")), (3, one("pip3 % python3 -m pip % python -m pip"))]);
    let step = || any_of(vec![(6, install()), (2, change()), (1, other())]);
    let parts = (
        vec(any_of(vec![(2, other()), (1, state())]), 0..3),
        (install(), vec(step(), 0..4)),
        prop::option::weighted(0.2, vec(step(), 1..3)),
    );
    let copy = any_of(vec![(6, one("")), (1, one("--link  % --chown=1000:1000  % --chmod=755 "))]);
    let copies = prop::option::weighted(0.4, copy);
    let last = vec(any_of(vec![(2, change()), (2, other()), (1, install())]), 0..3);
    let files = subsequence((0..FILES.len()).collect::<Vec<_>>(), 0..=FILES.len());
    (base, target, program, files, parts, copies, last)
        .prop_map(|(base, target, program, files, (before, (first, more), top), copies, last)| {
            let installs = [first].into_iter().chain(more).collect();
            Service {
                base,
                target,
                program,
                files,
                parts: [before, installs, top.unwrap_or_default()],
                copies,
                last,
            }
        })
        .boxed()
}

impl Service {
    /// The Dockerfile, with wheels from this index.
    pub(crate) fn dockerfile(&self, index: &str) -> String {
        let target = &self.target;
        let mut text = format!("FROM {} AS builder\n", self.base);
        let mut add = |instructions: &[String]| {
            instructions.iter().for_each(|instruction| {
                text.push_str(instruction);
                text.push('\n');
            })
        };
        let [before, installs, top] = &self.parts;
        add(&[target.made.to_owned()]);
        add(&["WORKDIR /app\nCOPY *.txt ./\nCOPY *.txt sub/".to_owned()]);
        add(&[format!("ENV PIP_INDEX_URL={index} PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1")]);
        add(before);
        add(&[target.used.to_owned()]);
        add(installs);
        if !top.is_empty() {
            add(&["FROM builder AS more".to_owned()]);
            add(top);
        }
        if let Some(options) = &self.copies {
            let from = if top.is_empty() { "builder" } else { "more" };
            let copies: Vec<String> = target
                .copied
                .iter()
                .take(2)
                .map(|place| format!("COPY {options}--from={from} {place} {place}"))
                .collect();
            add(&[
                format!("FROM {} AS last", self.base),
                format!("ENV PIP_INDEX_URL={index} PIP_NO_CACHE_DIR=1"),
                "WORKDIR /app\nCOPY *.txt ./".to_owned(),
            ]);
            add(&copies);
        }
        add(&self.last);
        let program = target.program.unwrap_or(&self.program);
        let words: Vec<String> = program.split(' ').map(|word| format!("{word:?}")).collect();
        let python = if self.base.contains("3.13") { "python3.13" } else { "python3.11" };
        text.replace("@PX@", &words.join(", "))
            .replace("@P@", program)
            .replace("@TO@", target.options)
            .replace("@SITE@", target.site)
            .replace("@PY@", python)
    }

    /// The same service with one thing less, for each thing.
    pub(crate) fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        if self.copies.is_some() {
            all.push(Self { copies: None, ..self.clone() });
        }
        for at in 0..self.last.len() {
            let mut less = self.clone();
            less.last.remove(at);
            all.push(less);
        }
        for part in (0..3).rev() {
            for at in 0..self.parts[part].len() {
                let mut less = self.clone();
                less.parts[part].remove(at);
                all.push(less);
            }
        }
        all
    }
}
