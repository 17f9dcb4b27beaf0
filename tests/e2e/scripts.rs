//! Steps whose script is more than one command: what they install is decided by the files of the state, as a shell
//! would decide it.

use crate::pip::{BASE, Case, Expect, Outcome, check, wheels};
use crate::support::build::{Build, Side};
use crate::support::env::{Env, e2e};
use crate::support::files::Files;
use crate::support::index::Index;

const FILES: &[(&str, &str)] =
    &[("requirements.txt", "alpha==2.0\n"), ("more.txt", "gamma\n"), ("empty.txt", "")];

fn run(env: &Env, expect: Expect, script: &str, test: &str) -> Outcome {
    let body =
        format!("WORKDIR /app\nCOPY *.txt ./\nENV PIP_INDEX_URL=@INDEX@ PIP_NO_CACHE_DIR=1\nRUN {script}");
    check(env, &Index::of(&wheels()), &Case { body: &body, files: FILES, expect, check: test })
}

/// What became of the one step that has to do with installing.
fn outcome(outcome: &Outcome) -> String {
    outcome.report.as_ref().map(|report| report.outcomes().join("; ")).unwrap_or_default()
}

#[test]
fn a_condition_that_holds() {
    let env = e2e!();
    run(
        env,
        Expect::Assembled,
        "if [ -f requirements.txt ]; then pip install -r requirements.txt; fi",
        "alpha-tool",
    );
}

#[test]
fn a_condition_that_does_not_hold() {
    let env = e2e!();
    let script = "if [ -f requirements-dev.txt ]; then pip install -r requirements-dev.txt; fi";
    let done = run(env, Expect::Either, script, "! command -v alpha-tool");
    assert_eq!(outcome(&done), "satisfied");
    // The step is gone, with its empty layer.
    assert_eq!(
        done.plinth.manifest["layers"].as_array().unwrap().len() + 1,
        done.plain.manifest["layers"].as_array().unwrap().len()
    );
}

#[test]
fn branches() {
    let env = e2e!();
    let script = "if [ -s empty.txt ]; then pip install beta; \\\n    elif [ ! -d /nowhere ] && test -e more.txt; then pip install -r more.txt; \\\n    else pip install delta; fi";
    run(env, Expect::Assembled, script, "python3 -c 'import gamma' && ! python3 -c 'import beta'");
}

#[test]
fn one_install_after_the_other() {
    let env = e2e!();
    let done = run(
        env,
        Expect::Assembled,
        "pip install alpha==1.0 && pip install --upgrade -r requirements.txt -r more.txt",
        "alpha-tool && test ! -e /usr/local/lib/python3.11/site-packages/alpha-1.0.dist-info",
    );
    let report = done.report.unwrap().json();
    assert!(report.contains("alpha 1.0") || report.contains("\"layers\""), "{report}");
}

#[test]
fn a_fallback_that_is_not_needed() {
    let env = e2e!();
    run(
        env,
        Expect::Assembled,
        "pip install -r requirements.txt 2>/dev/null || pip install beta",
        "alpha-tool && python3 -c 'import beta'",
    );
}

#[test]
fn a_fallback_that_is_needed() {
    let env = e2e!();
    run(
        env,
        Expect::Assembled,
        "pip install -r nowhere.txt 2>/dev/null || pip install gamma delta",
        "python3 -c 'import gamma, delta'",
    );
}

/// What the index doesn't have is no certain failure: it may have it tomorrow.
#[test]
fn a_fallback_that_the_index_decides() {
    let env = e2e!();
    let done = run(
        env,
        Expect::AsWritten,
        "pip install nobody-has-this || pip install gamma",
        "python3 -c 'import gamma'",
    );
    assert_eq!(outcome(&done), "the installer found no answer (its output is in the build log)");
}

#[test]
fn directories_and_subshells() {
    let env = e2e!();
    run(
        env,
        Expect::Assembled,
        "mkdir sub && mv more.txt sub\nRUN (cd sub && pip install -r more.txt) && pip install -r requirements.txt",
        "alpha-tool && python3 -c 'import gamma'",
    );
}

#[test]
fn a_heredoc_with_set_e() {
    let env = e2e!();
    run(
        env,
        Expect::Assembled,
        "<<pip_install\nset -e\n# both\npip install gamma\nif [ -f more.txt ]; then\n  pip install -r requirements.txt\nfi\npip_install",
        "alpha-tool && python3 -c 'import gamma'",
    );
}

#[test]
fn a_download_cache_that_is_removed_at_once() {
    let env = e2e!();
    run(
        env,
        Expect::Assembled,
        "true\nENV PIP_NO_CACHE_DIR=\nRUN pip install gamma && rm -rf /root/.cache",
        "python3 -c 'import gamma' && test ! -e /root/.cache",
    );
}

#[test]
fn what_else_a_script_does_keeps_it_as_written() {
    let env = e2e!();
    for (script, why) in [
        ("ls / && pip install gamma", "its script runs `ls` beside the install"),
        ("mkdir /data && cd /data && pip install gamma", "its script runs `mkdir` beside the install"),
        ("touch /dev/shm/x && pip install gamma", "its script runs `touch` beside the install"),
        ("mkdir /data && pip install gamma && rm -rf /data", "its script runs `mkdir` beside the install"),
        ("pip install gamma && chmod -R go-w /usr/local/lib", "its script runs `chmod` beside the install"),
        (
            "pip install gamma && rm -rf requirements.txt",
            "its script removes `requirements.txt`, which is there",
        ),
        ("umask 077; pip install gamma", "its script runs `umask` beside the install"),
        (
            "pip install -r requirement*.txt || pip install gamma",
            "an unquoted file name pattern (`requirement…`) that may match a file",
        ),
        (
            "[ -d /root/.cache ] || pip install gamma",
            "its script asks for /root/.cache, which this step sees in another way",
        ),
        ("pip install gamma && rm -rf nowhere/", "its script runs `rm` beside the install"),
        ("export PIP_NO_DEPS=1 && pip install alpha", "its script runs `export` beside the install"),
    ] {
        let done = run(env, Expect::AsWritten, script, "");
        assert_eq!(outcome(&done), why, "{script}");
    }
}

/// The parts of a step beside its installs run by themselves.
#[test]
fn what_comes_before_and_after() {
    let env = e2e!();
    for (script, test) in [
        ("mkdir -p /data/x /data/y && pip install gamma", "test -d /data/x"),
        ("python3 -m venv /opt/v && /opt/v/bin/pip install -r requirements.txt", "/opt/v/bin/alpha-tool"),
        ("pip install alpha && \\\n    python3 -c 'import alpha' && echo done", "alpha-tool"),
        (
            "mkdir /made && pip install gamma && pip install beta && python3 -c 'import beta, gamma'",
            "python3 -c 'import beta, gamma' && test -d /made",
        ),
    ] {
        let done = run(env, Expect::Assembled, script, test);
        let before = run(env, Expect::Either, "true", "").plain.layers().len() - 1;
        // A layer for each part.
        if env.frontend.is_some() {
            assert!(done.plinth.layers().len() >= before + 3, "{script}: {:?}", done.plinth.layers());
        }
    }
}

/// What has run by itself isn't run again when the install turns out not to be understood.
#[test]
fn what_comes_before_stays() {
    let env = e2e!();
    let done = run(env, Expect::AsWritten, "mkdir /root/.netrc && pip install gamma", "test -d /root/.netrc");
    assert_eq!(
        outcome(&done),
        "a netrc file, so the index may need credentials; what comes before the install is a layer of its own"
    );
    assert_eq!(done.plinth.layers().len(), done.plain.layers().len() + 1);
}

/// A part that fails fails as the step does.
#[test]
fn parts_that_fail() {
    let env = e2e!();
    let index = Index::of(&wheels());
    for script in [
        "mkdir /etc && pip install gamma",
        "pip install gamma && python3 -c 'import nothing_of_that_name'",
        "mkdir /x && pip install not-there-at-all",
    ] {
        let text = format!("FROM {BASE}\nENV PIP_INDEX_URL={}\nRUN {script}\n", index.url());
        let files = Files::dockerfile(&text);
        let errors = Side::BOTH.map(|side| {
            let built = Build::new(env, side, files.path()).run();
            assert_eq!(built.code, Some(1), "{}", built.stderr);
            built.stderr.lines().rfind(|line| line.starts_with("error: ")).map(str::to_owned)
        });
        assert_eq!(errors[0], errors[1], "{script}");
        assert!(errors[0].as_ref().is_some_and(|error| error.contains(script)), "{errors:?}");
    }
}
