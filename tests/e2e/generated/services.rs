//! Dockerfiles of services that nobody wrote: where they install to, how, what they do to it, what they copy of it.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::Union;

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

/// Where packages go.
#[derive(Clone, Debug)]
struct Target {
    /// Instructions that make it: the first ones, so that they are in the cache for other services.
    made: &'static str,
    /// Instructions that make it the one in use.
    used: &'static str,
    /// Options of each install.
    options: &'static str,
    /// A program of its own.
    program: Option<&'static str>,
    /// Where packages are.
    site: &'static str,
    /// What another stage would copy.
    copied: &'static [&'static str],
}

const SYSTEM: &str = "/usr/local/lib/@PY@/site-packages";
const VENV: &str = "/opt/venv/lib/@PY@/site-packages";

const TARGETS: &[(u32, Target)] = &[
    (
        8,
        Target {
            made: "",
            used: "",
            options: "",
            program: None,
            site: SYSTEM,
            copied: &[SYSTEM, "/usr/local/bin", "/usr/local"],
        },
    ),
    (
        3,
        Target {
            made: "",
            used: "",
            options: " --user",
            program: None,
            site: "/root/.local/lib/@PY@/site-packages",
            copied: &["/root/.local", "/root"],
        },
    ),
    (
        2,
        Target {
            made: "",
            used: "",
            options: " --prefix=/install",
            program: None,
            site: "/install/lib/@PY@/site-packages",
            copied: &["/install"],
        },
    ),
    (
        5,
        Target {
            made: "RUN python3 -m venv /opt/venv",
            used: "ENV PATH=/opt/venv/bin:$PATH",
            options: "",
            program: None,
            site: VENV,
            copied: &["/opt/venv", "/opt"],
        },
    ),
    (
        2,
        Target {
            made: "ENV VIRTUAL_ENV=/opt/venv\nRUN python3 -m venv $VIRTUAL_ENV",
            used: "ENV PATH=\"$VIRTUAL_ENV/bin:$PATH\"",
            options: "",
            program: None,
            site: VENV,
            copied: &["/opt/venv"],
        },
    ),
    (
        3,
        Target {
            made: "RUN python3 -m venv /opt/venv",
            used: "",
            options: "",
            program: Some("/opt/venv/bin/pip"),
            site: VENV,
            copied: &["/opt/venv"],
        },
    ),
    (
        1,
        Target {
            made: "RUN python3 -m venv --system-site-packages /opt/venv",
            used: "RUN /opt/venv/bin/pip install beta==1.0",
            options: "",
            program: Some("/opt/venv/bin/python -m pip"),
            site: VENV,
            copied: &["/opt/venv"],
        },
    ),
    (
        1,
        Target {
            made: "RUN ln -s /srv/env /opt/venv && python3 -m venv /srv/env",
            used: "ENV PATH=/opt/venv/bin:$PATH",
            options: "",
            program: None,
            site: VENV,
            copied: &["/srv/env", "/opt/venv"],
        },
    ),
    (
        1,
        Target {
            made: "",
            used: "",
            options: " --target /opt/lib --no-compile",
            program: None,
            site: "/opt/lib",
            copied: &["/opt/lib"],
        },
    ),
    (
        1,
        Target {
            made: "RUN useradd -m app",
            used: "USER app\nENV HOME=/home/app",
            options: " --user",
            program: None,
            site: "/home/app/.local/lib/@PY@/site-packages",
            copied: &["/home/app/.local"],
        },
    ),
];

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
            10,
            one(
                "alpha % beta==1.0 % 'beta>=1' % alpha==1.0 % \"alpha[fast]\" % heavy % heavy==1.0 % heavy==2.0 % bulky",
            ),
        ),
        (
            6,
            one(
                "gamma delta % ns-one ns-two % datafull % Mixed.Case_Name % 'alpha>=1,<2' bulky % datafull heavy==1.0",
            ),
        ),
        (
            5,
            one(
                "-r requirements.txt % -r more.txt % -r nested.txt % -c limits.txt alpha % -r requirements.txt bulky",
            ),
        ),
        (
            3,
            one(
                "-U alpha % --upgrade heavy % -U -r requirements.txt % --upgrade --upgrade-strategy eager alpha",
            ),
        ),
        (2, one("beta>=1 % heavy>=1 alpha>=1 % alpha[fast] % ns-one>=0.1 ns-two>=0.1")),
        (
            2,
            one(
                "--no-deps alpha % --pre beta % -q bulky % --no-cache-dir gamma % --no-compile delta % --ignore-installed beta",
            ),
        ),
    ])
}

/// The script of one RUN that installs.
fn script() -> Text {
    let install = || wanted().prop_map(|wanted| format!("@P@ install@TO@ {wanted}")).boxed();
    let file = || one("requirements.txt % extra.txt % extra.txt % nested.txt % none.txt % empty.txt");
    let two = || (install(), install());
    any_of(vec![
        (14, install()),
        (3, (file(), install()).prop_map(|(f, a)| format!("if [ -f {f} ]; then @P@ install@TO@ -r {f}; else {a}; fi")).boxed()),
        (2, file().prop_map(|f| format!("if [ -s {f} ]; then \\\n      @P@ install@TO@ -r {f}; \\\n    fi")).boxed()),
        (3, (file(), install()).prop_map(|(f, a)| format!("@P@ install@TO@ -r {f} 2>/dev/null || {a}")).boxed()),
        (3, two().prop_map(|(a, b)| format!("{a} && \\\n    {b}")).boxed()),
        (2, two().prop_map(|(a, b)| format!("set -e; {a}; {b}")).boxed()),
        (1, two().prop_map(|(a, b)| format!("{a} >/dev/null 2>&1 || {b} || true")).boxed()),
        (1, install().prop_map(|a| format!("[ ! -e none.txt ] && {a}")).boxed()),
        (2, (one("sub % /tmp"), install()).prop_map(|(d, a)| format!("(cd {d} && {a}) && echo done")).boxed()),
        (2, (one("mkdir -p /data/x % echo begins % mkdir /made"), install()).prop_map(|(b, a)| format!("{b} && {a}")).boxed()),
        (2, install().prop_map(|a| format!("{a} && rm -rf /root/.cache /tmp/nothing")).boxed()),
        (2, (install(), one("python3 -c 'import sys' % echo done % test -d /opt || true")).prop_map(|(a, b)| format!("{a} && {b}")).boxed()),
        (2, (install(), one("find @SITE@ -name '*.pyc' -delete % touch /tmp/later % rm -rf @SITE@/beta* % chmod -R go-rx @SITE@ % mkdir -p /tmp/y % echo 'X = 2' >>@SITE@/heavy/v1.py")).prop_map(|(a, b)| format!("{a} && {b}")).boxed()),
        (4, (install(), one("export X=1 && % umask 027 && % PIP_NO_DEPS=1 % touch here && % cd sub && % : | ")).prop_map(|(a, b)| format!("{b} {a}")).boxed()),
        (3, one("@P@ uninstall -y beta || true % @P@ list % @P@ uninstall -y heavy && @P@ install@TO@ heavy || true % ! @P@ install@TO@ -r none.txt % for p in gamma heavy; do @P@ install@TO@ $p; done % @P@ install@TO@ --force-reinstall heavy")),
        (1, one("@P@ install@TO@ -r none.txt % @P@ install@TO@ nobody-has-this % @P@ install@TO@ beta && false % @P@ install@TO@ -r broken.txt")),
    ])
}

/// An instruction that installs.
fn install() -> Text {
    let heredoc = (script(), script()).prop_map(|(a, b)| format!("RUN <<EOF\nset -e\n{a}\n# and\n{b}\nEOF"));
    let mount = one(
        "--mount=type=cache,target=/root/.cache/pip % --mount=type=bind,target=/ctx % --mount=type=tmpfs,target=/tmp/x",
    );
    let exec = one(
        "\"alpha\" % \"beta>=1\" % \"-r\", \"requirements.txt\" % \"uvicorn[x]\", \"heavy\" % \"heavy\", \"bulky\" % \"--upgrade\", \"alpha\"",
    );
    any_of(vec![
        (20, script().prop_map(|script| format!("RUN {script}")).boxed()),
        (2, heredoc.boxed()),
        (1, (mount, script()).prop_map(|(mount, script)| format!("RUN {mount} {script}")).boxed()),
        (1, exec.prop_map(|words| format!("RUN [@PX@, \"install\", {words}]")).boxed()),
    ])
}

/// An instruction that changes what was installed, as far as it is there. None leaves the size of a module as it is: byte
/// code of the same second would hide that.
fn change() -> Text {
    let run = one(
        "echo 'X = 1' >>@SITE@/alpha/__init__.py || true % rm -rf @SITE@/beta % rm -rf @SITE@/heavy/tests % rm -rf @SITE@/*.dist-info \
         % find @SITE@ -name __pycache__ -prune -exec rm -rf {} + % chmod -R o-rx @SITE@ % touch @SITE@/mine.txt || true \
         % chown -R 1000:1000 @SITE@ || true % mv @SITE@/bulky @SITE@/moved || true % ln -s alpha @SITE@/link || true \
         % chmod 600 @SITE@/heavy/big.py || true % @P@ uninstall -y alpha || true % python3 -c 'import json' \
         % cp -a @SITE@ /copy % find / -xdev -name 'only_*' -delete % rm -rf @SITE@/heavy && mkdir -p @SITE@/heavy",
    );
    any_of(vec![
        (8, run.prop_map(|run| format!("RUN {run}")).boxed()),
        (
            1,
            one(
                "COPY patched.py @SITE@/alpha/__init__.py % COPY patched.py /usr/local/bin/alpha-tool % COPY . /app/src",
            ),
        ),
    ])
}

/// An instruction that decides nothing about installs, or shouldn't.
fn other() -> Text {
    one(
        "ENV X=1 % ARG VERSION=1.0 % WORKDIR /work/here % LABEL a=b % EXPOSE 80 % RUN echo x >/x % USER root \
         % SHELL [\"/bin/bash\", \"-eo\", \"pipefail\", \"-c\"] % SHELL [\"/bin/bash\", \"-c\"] % ENV PYTHONDONTWRITEBYTECODE=1 \
         % ENV PYTHONUNBUFFERED=1 PIP_ROOT_USER_ACTION=ignore % RUN umask 022 % VOLUME /data % STOPSIGNAL 9",
    )
}

pub(crate) fn service() -> BoxedStrategy<Service> {
    let base = prop_oneof![7 => Just("python:3.11-slim"), 1 => Just("python:3.13-slim")];
    let target =
        Union::new_weighted(TARGETS.iter().map(|(weight, target)| (*weight, Just(target.clone()))).collect());
    let program = any_of(vec![(6, one("pip")), (3, one("pip3 % python3 -m pip % python -m pip"))]);
    let step = || any_of(vec![(6, install()), (2, change()), (1, other())]);
    let parts =
        (vec(other(), 0..3), (install(), vec(step(), 0..4)), prop::option::weighted(0.2, vec(step(), 1..3)));
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
