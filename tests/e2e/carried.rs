//! A COPY from the stage that installed: package layers come along, and the image is the one that a plain COPY gives.

use crate::pip::{BASE, Both, wheels};
use crate::support::build::{Build, Side};
use crate::support::env::{Env, e2e};
use crate::support::files::Files;
use crate::support::index::Index;
use crate::support::report::Report;
use crate::support::wheel::Wheel;

const SITE: &str = "/usr/local/lib/python3.11/site-packages";

/// The builder stages of these tests: where it installs, and what it does then.
const VENV: &str = "RUN python3 -m venv /opt/venv\nENV PATH=/opt/venv/bin:$PATH\n\
    RUN pip install --no-cache-dir -i @INDEX@ heavy==1.0 bulky==1.0 alpha\n";
const SYSTEM: &str = "RUN pip install --no-cache-dir -i @INDEX@ heavy==1.0 bulky==1.0 alpha\n";

/// The fleet of wheels, and two that are big enough for a layer of their own.
fn index() -> Index {
    let big = |name: &str| {
        let module = (0..2_000).map(|i| format!("def f{i}():\n    return {i}\n")).collect::<String>();
        Wheel::simple(name, "1.0")
            .file(&format!("{name}/big.py"), module)
            .file(&format!("{name}/tests/test_it.py"), "assert True\n")
            .script(&format!("{name}-tool"), &format!("{name}.big:f0"))
            .make()
    };
    let mut all = wheels();
    all.extend([big("heavy"), big("bulky")]);
    Index::of(&all)
}

trait Carried {
    /// What came along with the copies, in their order; an error where a report says why nothing did.
    fn carried(&self) -> Vec<Result<Vec<String>, String>>;
}

impl Carried for Both {
    fn carried(&self) -> Vec<Result<Vec<String>, String>> {
        let steps = self.report.as_ref().map(Report::steps).unwrap_or_default();
        let copies = steps.iter().filter(|step| step["command"].as_str().unwrap().starts_with("COPY"));
        copies
            .map(|step| match step["treatment"].as_str().unwrap() {
                "carried" => {
                    let shared = step["shared"].as_array().unwrap();
                    Ok(shared.iter().map(|title| title.as_str().unwrap().to_owned()).collect())
                }
                _ => Err(step["reason"].as_str().unwrap().to_owned()),
            })
            .collect()
    }
}

/// Builds a service of two stages on both sides, and compares the last.
#[track_caller]
fn build(env: &Env, index: &Index, builder: &str, last: &str) -> Both {
    let text = format!("FROM {BASE} AS builder\n{builder}FROM {BASE} AS last\n{last}");
    let files = Files::dockerfile(&text.replace("@INDEX@", &index.url()));
    files.write("app.py", "import heavy.big, bulky.big, alpha\n");
    Both::of(env, &files)
}

#[test]
fn a_virtual_environment() {
    let env = e2e!();
    let index = index();
    let last = "COPY --from=builder /opt/venv /opt/venv\nENV PATH=/opt/venv/bin:$PATH\nCOPY app.py /app/\nRUN python3 /app/app.py && heavy-tool\n";
    let done = build(env, &index, VENV, last);
    if env.frontend.is_none() {
        return;
    }
    assert_eq!(done.carried(), [Ok(vec!["bulky 1.0".to_owned(), "heavy 1.0".to_owned()])]);
    assert_eq!(done.plinth.layers().len(), done.plain.layers().len() + 2);

    // The layers are those of any image that installs the same wheels there.
    let other = format!("FROM {BASE}\n{}", VENV.replace(" alpha", "").replace("@INDEX@", &index.url()));
    let other = Files::dockerfile(&other);
    let other = Build::new(env, Side::Plinth, other.path()).image();
    let base = done.plain.layers().iter().zip(other.layers()).take_while(|(a, b)| **a == *b).count();
    let shared = other.layers()[base..].iter().filter(|layer| done.plinth.layers().contains(layer)).count();
    assert_eq!(shared, 2, "{:?}\n{:?}", other.layers(), done.plinth.layers());
}

#[test]
fn site_packages_and_scripts() {
    let env = e2e!();
    let last = format!(
        "COPY --from=builder {SITE} {SITE}\nCOPY --from=builder /usr/local/bin /usr/local/bin\nCOPY app.py /app/\nRUN python3 /app/app.py && heavy-tool && alpha-tool\n"
    );
    let done = build(env, &index(), SYSTEM, &last);
    if env.frontend.is_some() {
        assert_eq!(done.carried(), [Ok(vec!["bulky 1.0".to_owned(), "heavy 1.0".to_owned()])]);
    }
}

#[test]
fn the_home_directory() {
    let env = e2e!();
    let builder = "RUN pip install --user --no-cache-dir -i @INDEX@ heavy==1.0 bulky==1.0 alpha\n";
    let last = "COPY --from=builder /root/.local /root/.local\nENV PATH=/root/.local/bin:$PATH\nCOPY app.py /app/\nRUN python3 /app/app.py && heavy-tool\n";
    let done = build(env, &index(), builder, last);
    if env.frontend.is_some() {
        assert_eq!(done.carried(), [Ok(vec!["bulky 1.0".to_owned(), "heavy 1.0".to_owned()])]);
    }
}

#[test]
fn what_was_changed_after_the_install_is_copied() {
    let env = e2e!();
    let one = |what: &str| [Ok(vec![what.to_owned()])];
    let change = |change: &str| {
        let last = format!("COPY --from=builder {SITE} {SITE}\n");
        build(env, &index(), &format!("{SYSTEM}RUN cd {SITE} && {change}\n"), &last)
    };
    for (what, left) in [
        ("echo 'X = 1' >>heavy/big.py", "bulky 1.0"),
        ("rm -r bulky/tests", "heavy 1.0"),
        ("chmod 600 heavy/big.py && ln -s big.py heavy/link.py", "bulky 1.0"),
        ("chown -R 1000:1000 bulky", "heavy 1.0"),
    ] {
        let done = change(what);
        if env.frontend.is_some() {
            assert_eq!(done.carried(), one(left), "{what}");
        }
    }
    // Nothing is left: the COPY is the plain one.
    let done = change("find . -name '*.py' -exec sh -c 'echo >>$1' _ {} ';'");
    assert_eq!(done.carried(), []);
}

#[test]
fn what_is_there_already() {
    let env = e2e!();
    let both = [Ok(vec!["bulky 1.0".to_owned(), "heavy 1.0".to_owned()])];
    // Directories and files that are merged, or replaced.
    let last = format!(
        "RUN mkdir -p {SITE}/heavy && echo mine >{SITE}/heavy/mine.py && echo old >{SITE}/heavy/big.py && chmod 700 {SITE}/heavy && chmod 2750 {SITE}\n\
         COPY --from=builder {SITE} {SITE}\n"
    );
    let done = build(env, &index(), SYSTEM, &last);
    if env.frontend.is_some() {
        assert_eq!(done.carried(), both);
    }
    // In the way.
    for (before, reason) in [
        (
            format!(
                "ln -s /elsewhere {SITE}/heavy.link && rm -rf {SITE} && mkdir /elsewhere && ln -s /elsewhere {SITE}"
            ),
            "is there and is not a real directory",
        ),
        (
            format!("mkdir {SITE}/alpha.py {SITE}/bulky && ln -s /nowhere {SITE}/alpha"),
            "is there already, and is something else",
        ),
    ] {
        let last = format!("RUN {before}\nCOPY --from=builder {SITE} {SITE}\n");
        let text = format!("FROM {BASE} AS builder\n{SYSTEM}FROM {BASE} AS last\n{last}");
        let files = Files::dockerfile(&text.replace("@INDEX@", &index().url()));
        let [plain, plinth] = Side::BOTH.map(|side| Build::new(env, side, files.path()).layout().run());
        // Some of these fail, on both sides alike.
        assert_eq!(plain.code, plinth.code, "{before}");
        if let (true, Some(report)) =
            (env.frontend.is_some() && plinth.code == Some(0), Report::of_build(&plinth))
        {
            assert!(
                report.reasons().iter().any(|found| found.contains(reason)),
                "{before}: {:?}",
                report.reasons()
            );
        }
    }
}

/// The directory that is copied gives only its time; what is in it, everything.
#[test]
fn the_directory_itself() {
    let env = e2e!();
    let odd = "RUN chmod 2700 /opt/venv && chgrp 50 /opt/venv && chmod 700 /opt/venv/lib && chown 7:8 /opt/venv/bin && ln /opt/venv/pyvenv.cfg /opt/venv/hard.cfg\n";
    let both = [Ok(vec!["bulky 1.0".to_owned(), "heavy 1.0".to_owned()])];
    for before in ["", "RUN mkdir -m 711 -p /opt/venv/lib && ln -s /nowhere /opt/venv/pyvenv.cfg\n"] {
        let last = format!("{before}COPY --from=builder /opt/venv /opt/venv\n");
        let done = build(env, &index(), &format!("{VENV}{odd}"), &last);
        if env.frontend.is_some() {
            assert_eq!(done.carried(), both);
        }
    }
}

#[test]
fn another_stage_carries_on() {
    let env = e2e!();
    let builder = format!(
        "{VENV}FROM {BASE} AS middle\nCOPY --from=builder /opt/venv /opt/venv\nRUN echo 1 >/opt/venv/more\n"
    );
    let last = "COPY --from=middle /opt/venv /opt/venv\nENV PATH=/opt/venv/bin:$PATH\nRUN pip install --no-cache-dir -i @INDEX@ gamma && heavy-tool\n";
    let done = build(env, &index(), &builder, last);
    if env.frontend.is_some() {
        let both = Ok(vec!["bulky 1.0".to_owned(), "heavy 1.0".to_owned()]);
        assert_eq!(done.carried(), [both.clone(), both]);
    }
}

#[test]
fn copies_that_change_something_stay_copies() {
    let env = e2e!();
    for last in [
        "COPY --from=builder --chown=1000:1000 /opt/venv /opt/venv\n",
        "COPY --from=builder /opt/venv /opt/other\n",
        "COPY --from=builder --chmod=755 /opt/venv /opt/venv\n",
        "COPY --from=builder /opt/venv/lib /opt/venv/\n",
        "COPY --from=builder /opt/ven* /opt/venv\n",
    ] {
        assert_eq!(build(env, &index(), VENV, last).carried(), [], "{last}");
    }
}
