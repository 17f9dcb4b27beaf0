//! Trees that are easy to destroy: odd modes, owners and links on the way of an install, and patches over it.

use crate::pip::{Case, Expect, Outcome, check, wheels};
use crate::support::env::{Env, e2e};
use crate::support::index::Index;
use crate::support::tree::Kind;

fn either(env: &Env, body: &str, test: &str) -> Outcome {
    check(env, &Index::of(&wheels()), &Case { body, files: &[], expect: Expect::Either, check: test })
}

fn assembled(env: &Env, body: &str, test: &str) -> Outcome {
    check(env, &Index::of(&wheels()), &Case { body, files: &[], expect: Expect::Assembled, check: test })
}

/// A virtual environment with the base's pip in it (the stand-in bases have no `ensurepip`).
const VENV: &str = r"RUN python3 -m venv --without-pip /venv && cp -a /usr/local/lib/python3.11/site-packages/pip* /venv/lib/python3.11/site-packages/ \
 && printf '#!/venv/bin/python3\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n' >/venv/bin/pip && chmod 755 /venv/bin/pip";

const INSTALL: &str = "RUN pip install --no-cache-dir -i @INDEX@ alpha datafull";

#[test]
fn a_home_that_only_its_owner_may_enter() {
    let env = e2e!();
    let outcome = assembled(env, &format!("RUN chmod 0700 /root\n{INSTALL}"), "alpha-tool");
    assert_eq!(outcome.plinth.tree().get("/root").unwrap().mode, 0o700);
}

#[test]
fn setgid_directories() {
    let env = e2e!();
    let site = "/usr/local/lib/python3.11/site-packages";
    let body = format!(
        "RUN chgrp -R staff /usr/local && find /usr/local -type d -exec chmod g+ws {{}} +\n{INSTALL}"
    );
    let tree = either(env, &body, "alpha-tool\nshell-tool").plinth.tree();
    assert_eq!(tree.get(site).unwrap().mode & 0o2000, 0o2000);
    assert_ne!(
        tree.get(&format!("{site}/alpha")).unwrap().gid,
        0,
        "what is made in a setgid directory has its group"
    );
}

#[test]
fn sticky_and_foreign_directories() {
    let env = e2e!();
    let body = format!(
        "RUN chmod 1777 /usr/local/bin && chown 1000:1000 /usr/local/lib/python3.11/site-packages && chmod 0711 /usr/local/lib\n{INSTALL}"
    );
    either(env, &body, "alpha-tool");
}

/// The `lib64` of a virtual environment is a link; a directory in its place would hide what is installed.
#[test]
fn a_virtual_environment() {
    let env = e2e!();
    let body = &format!("{VENV}\nENV PATH=/venv/bin:$PATH\n{INSTALL}");
    let outcome = assembled(
        env,
        body,
        "alpha-tool\ntest \"$(command -v alpha-tool)\" = /venv/bin/alpha-tool\n/venv/bin/python-tool",
    );
    assert_eq!(outcome.plinth.tree().get("/venv/lib64").unwrap().kind, Kind::Link);
}

#[test]
fn a_virtual_environment_by_path() {
    let env = e2e!();
    either(
        env,
        &format!("{VENV}\nRUN /venv/bin/pip install --no-cache-dir -i @INDEX@ alpha"),
        "/venv/bin/alpha-tool",
    );
}

#[test]
fn a_linked_man_directory() {
    let env = e2e!();
    let body = format!(
        "RUN rm -rf /usr/local/man /usr/local/share/man && mkdir -p /usr/local/share/pages && ln -s pages /usr/local/share/man && ln -s share/man /usr/local/man\n{INSTALL}"
    );
    let outcome = either(env, &body, "test -f /usr/local/man/man1/datafull.1");
    let tree = outcome.plinth.tree();
    assert_eq!(tree.get("/usr/local/share/man").unwrap().kind, Kind::Link);
    assert!(tree.get("/usr/local/share/pages/man1/datafull.1").is_some());
}

#[test]
fn a_linked_site_packages() {
    let env = e2e!();
    let site = "/usr/local/lib/python3.11/site-packages";
    let body = format!(
        "RUN mkdir -p /data && mv {site} /data/site && ln -s /data/site {site}\nRUN pip install --no-cache-dir -i @INDEX@ alpha"
    );
    let outcome = either(env, &body, "alpha-tool");
    assert_eq!(outcome.plinth.tree().get(site).unwrap().kind, Kind::Link);
}

/// Base images merge `/bin` and `/lib` into `/usr` by links.
#[test]
fn a_merged_usr() {
    let env = e2e!();
    let tree = assembled(env, INSTALL, "alpha-tool").plinth.tree();
    for link in ["/bin", "/lib", "/sbin"] {
        assert_eq!(tree.get(link).unwrap().kind, Kind::Link, "{link}");
    }
}

#[test]
fn files_in_the_way() {
    let env = e2e!();
    let body = format!(
        "RUN echo mine >/usr/local/bin/alpha-tool && chmod 0600 /usr/local/bin/alpha-tool && mkdir -p /usr/local/etc && echo old >/usr/local/etc/datafull.conf && chown 7:7 /usr/local/etc/datafull.conf\n{INSTALL}"
    );
    either(env, &body, "alpha-tool\ngrep -q 'a = 1' /usr/local/etc/datafull.conf");
}

#[test]
fn leftovers_of_an_older_version() {
    let env = e2e!();
    let body = "RUN pip install --no-cache-dir -i @INDEX@ alpha==1.0 && python3 -c 'import alpha.only_1_0'\nRUN touch /usr/local/lib/python3.11/site-packages/alpha/mine.txt\nRUN pip install --no-cache-dir -i @INDEX@ alpha==2.0";
    let outcome = either(env, body, "python3 -c 'import alpha.only_2_0'");
    assert!(outcome.plinth.tree().get("/usr/local/lib/python3.11/site-packages/alpha/mine.txt").is_some());
}

#[test]
fn uninstalled_again() {
    let env = e2e!();
    let outcome =
        either(env, &format!("{INSTALL}\nRUN pip uninstall -y datafull"), "! command -v shell-tool");
    assert!(outcome.plinth.tree().get("/usr/local/etc/datafull.conf").is_none());
}

/// What a later step writes over an installed module is what runs: byte code must not hide it.
#[test]
fn a_patch_by_a_later_run() {
    let env = e2e!();
    let module = "/usr/local/lib/python3.11/site-packages/alpha/__init__.py";
    // Same size: only the time tells, in whole seconds. Without the pause, plain pip's own byte code would hide the patch.
    let body = format!("{INSTALL}\nRUN sleep 2 && sed -i 's/2.0/9.9/' {module}");
    assembled(env, &body, "python3 -c 'import alpha; assert alpha.VERSION == \"9.9\", alpha.VERSION'");
}

#[test]
fn a_patch_by_a_later_copy() {
    let env = e2e!();
    let index = Index::of(&wheels());
    let case = Case {
        body: &format!(
            "{INSTALL}\nCOPY patched.py /usr/local/lib/python3.11/site-packages/alpha/__init__.py"
        ),
        files: &[("patched.py", "VERSION = '9.9'\n\n\ndef where():\n    return 0\n")],
        expect: Expect::Assembled,
        check: "python3 -c 'import alpha; assert alpha.VERSION == \"9.9\", alpha.VERSION'",
    };
    check(env, &index, &case);
}

/// Byte code that is there must be used: an import that has to write some would make every start slower.
#[test]
fn byte_code_is_fresh() {
    let env = e2e!();
    assembled(
        env,
        INSTALL,
        "chmod -R a-w /usr/local/lib/python3.11/site-packages/alpha\npython3 -v -c 'import alpha' 2>&1 | grep -q 'matches /usr/local/lib/python3.11/site-packages/alpha/__init__.py'",
    );
}
