//! Requirements and constraints by URL, hashes, and which versions count: pip's answer, and pip's files.

use crate::pip::{Case, Expect, Outcome, check, wheels};
use crate::support::env::{Env, e2e};
use crate::support::index::Index;
use crate::support::server::Answer;

fn index() -> Index {
    let wheels = wheels();
    let index = Index::of(&wheels);
    let sha256 = |file: &str| wheels.iter().find(|wheel| wheel.file.starts_with(file)).unwrap().sha256();
    let put = |name: &str, text: &str| index.server.put(&format!("/{name}"), Answer::file(text.as_bytes()));
    put("constraints.txt", "beta<1.5\n# more\n-c more.txt\n");
    put("more.txt", "delta==1.0.post1\n");
    put("requirements.txt", "gamma\n-c constraints.txt\nalpha==2.0\n");
    put(
        "hashed.txt",
        &format!(
            "beta==1.5 --hash=sha256:{}\ngamma==2.0 --hash=sha256:{}\n",
            sha256("beta-1.5"),
            sha256("gamma-2.0")
        ),
    );
    put("wrong.txt", &format!("beta==1.5 --hash=sha256:{}\n", sha256("gamma-2.0")));
    put("editable.txt", "-e /app/nothing-there\n");
    // The newest of beta is yanked.
    let link = |file: &str, more: &str| {
        format!(
            "<a href=\"/files/{file}#sha256={}\"{more}>{file}</a>\n",
            sha256(file.trim_end_matches("-py3-none-any.whl"))
        )
    };
    let page = ["beta-1.0", "beta-1.5", "beta-2.0rc1"].map(|stem| {
        let more = if stem == "beta-1.5" { " data-yanked=\"broken\"" } else { "" };
        link(&format!("{stem}-py3-none-any.whl"), more)
    });
    index.server.put(
        "/yanked/beta/",
        Answer::html(&format!("<!DOCTYPE html><html><body>{}</body></html>", page.concat())),
    );
    index
}

fn run(env: &Env, expect: Expect, install: &str, test: &str) -> Outcome {
    let index = index();
    let install = install.replace("@SERVER@", &index.server.url());
    let body = format!("WORKDIR /app\nENV PIP_INDEX_URL=@INDEX@ PIP_NO_CACHE_DIR=1\nRUN {install}");
    check(env, &index, &Case { body: &body, files: &[], expect, check: test })
}

#[test]
fn files_by_url() {
    let env = e2e!();
    let version = |name: &str, version: &str| {
        format!("test -d /usr/local/lib/python3.11/site-packages/{name}-{version}.dist-info")
    };
    run(env, Expect::Assembled, "pip install -c @SERVER@/constraints.txt alpha", &version("beta", "1.0"));
    run(env, Expect::Assembled, "pip install -r @SERVER@/requirements.txt", &version("beta", "1.0"));
    run(
        env,
        Expect::Assembled,
        "printf 'alpha\\n-c @SERVER@/constraints.txt\\n' >r.txt\nRUN pip install -r r.txt",
        &version("beta", "1.0"),
    );
}

#[test]
fn hashes() {
    let env = e2e!();
    run(
        env,
        Expect::Assembled,
        "pip install --require-hashes -r @SERVER@/hashed.txt",
        "python3 -c 'import beta, gamma'",
    );
    run(
        env,
        Expect::AsWritten,
        "pip install --require-hashes -r @SERVER@/wrong.txt || pip install gamma",
        "python3 -c 'import gamma'; ! python3 -c 'import beta'",
    );
}

#[test]
fn what_a_file_by_url_builds() {
    let env = e2e!();
    run(
        env,
        Expect::AsWritten,
        "pip install -r @SERVER@/editable.txt || pip install gamma",
        "python3 -c 'import gamma'",
    );
}

/// Yanked releases only if nothing else will do, pre-releases only if asked for.
#[test]
fn which_versions_count() {
    let env = e2e!();
    let yanked = "pip install -i @SERVER@/yanked";
    for (wanted, version) in [
        ("beta", "1.0"),
        ("'beta>=1'", "1.0"),
        ("beta==1.5", "1.5"),
        ("--pre beta", "2.0rc1"),
        ("'beta>=2.0rc1'", "2.0rc1"),
    ] {
        run(
            env,
            Expect::Assembled,
            &format!("{yanked} {wanted}"),
            &format!("test -d /usr/local/lib/python3.11/site-packages/beta-{version}.dist-info"),
        );
    }
}
