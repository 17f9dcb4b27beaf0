//! Installs in a virtual environment that their own script activates.

use crate::pip::{Case, Expect, Outcome, check, wheels};
use crate::support::env::{Env, e2e};
use crate::support::index::Index;

/// A virtual environment with the base's pip in it (the stand-in bases have no `ensurepip`).
const VENV: &str = r"RUN python3 -m venv --without-pip /opt/venv && cp -a /usr/local/lib/python3.11/site-packages/pip* /opt/venv/lib/python3.11/site-packages/ \
 && printf '#!/opt/venv/bin/python3\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n' >/opt/venv/bin/pip && chmod 755 /opt/venv/bin/pip";

fn run(env: &Env, expect: Expect, before: &str, script: &str, test: &str) -> Outcome {
    let body = format!(
        "WORKDIR /app\nCOPY *.txt ./\nENV PIP_INDEX_URL=@INDEX@ PIP_NO_CACHE_DIR=1\n{VENV}\n{before}\nRUN {script}"
    );
    let files = &[("requirements.txt", "alpha==2.0\n"), ("more.txt", "gamma\n")];
    check(env, &Index::of(&wheels()), &Case { body: &body, files, expect, check: test })
}

/// What became of the last step that has to do with installing.
fn outcome(outcome: &Outcome) -> String {
    outcome.report.as_ref().and_then(|report| report.outcomes().last().cloned()).unwrap_or_default()
}

const IN_IT: &str = "/opt/venv/bin/alpha-tool && test ! -e /usr/local/bin/alpha-tool";

#[test]
fn by_its_path() {
    let env = e2e!();
    for script in [
        ". /opt/venv/bin/activate && pip install -r requirements.txt",
        "<<pip_install\nset -ex\n. /opt/venv/bin/activate\npip install -r requirements.txt\npip_install",
        "cd /opt && . ./venv/bin/activate && cd /app && python3 -m pip install -r requirements.txt",
    ] {
        run(env, Expect::Assembled, "", script, IN_IT);
    }
}

#[test]
fn with_bash() {
    let env = e2e!();
    run(
        env,
        Expect::Assembled,
        "SHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]",
        "source /opt/venv/bin/activate; pip install -r requirements.txt",
        IN_IT,
    );
}

/// A shell forgets where it found programs, and what is outside stays outside.
#[test]
fn several_installs() {
    let env = e2e!();
    run(
        env,
        Expect::Assembled,
        "",
        "pip install beta && . /opt/venv/bin/activate && pip install alpha==1.0 && pip install -U -r requirements.txt",
        &format!("{IN_IT} && python3 -c 'import beta'"),
    );
    run(
        env,
        Expect::Assembled,
        "",
        "(. /opt/venv/bin/activate && pip install -r requirements.txt) && pip install gamma",
        &format!("{IN_IT} && python3 -c 'import gamma'"),
    );
}

#[test]
fn made_in_the_same_step() {
    let env = e2e!();
    run(
        env,
        Expect::Assembled,
        "",
        "python3 -m venv /opt/other && . /opt/other/bin/activate && python3 -m pip install -r requirements.txt",
        "/opt/other/bin/alpha-tool && test ! -e /usr/local/bin/alpha-tool",
    );
}

/// What else an `activate` may do, and environments that were moved.
#[test]
fn other_scripts() {
    let env = e2e!();
    let not_as_made = "which is not as `python -m venv` makes it there";
    for (before, script, why) in [
        (
            "RUN echo 'export PIP_NO_DEPS=1' >>/opt/venv/bin/activate",
            ". /opt/venv/bin/activate && pip install -r requirements.txt",
            not_as_made,
        ),
        (
            "RUN cp -a /opt/venv /opt/copy",
            ". /opt/copy/bin/activate && pip install -r requirements.txt",
            not_as_made,
        ),
        (
            "RUN ln -s venv /opt/link",
            ". /opt/link/bin/activate && pip install -r requirements.txt",
            not_as_made,
        ),
        (
            "ENV _OLD_VIRTUAL_PATH=/usr/bin:/bin:/usr/local/bin",
            ". /opt/venv/bin/activate && pip install -r requirements.txt",
            "_OLD_VIRTUAL_PATH is set",
        ),
        (
            "",
            ". /opt/venv/bin/activate && pip install -r requirements.txt && deactivate",
            "runs `deactivate` beside the install",
        ),
        (
            "",
            ". /opt/venv/bin/activate && pip install -r requirements.txt && python3 -c 'import alpha'",
            "runs `python3` beside the install",
        ),
    ] {
        let done = run(env, Expect::Either, before, script, "");
        let why_not = outcome(&done);
        assert!(why_not.contains(why) || why_not.contains("Python program"), "{script}: {why_not}");
    }
}

/// A program of the environment that hides one that the script uses.
#[test]
fn programs_in_front() {
    let env = e2e!();
    let before = "RUN printf '#!/bin/sh\\ntouch /made\\n' >/opt/venv/bin/rm && chmod 755 /opt/venv/bin/rm";
    let script = ". /opt/venv/bin/activate && pip install gamma && rm -rf /root/.cache";
    let done = run(env, Expect::Either, before, script, "test -e /made");
    assert_eq!(outcome(&done), "its script runs `rm`, which is not where it usually is");
}
