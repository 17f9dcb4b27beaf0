//! Indexes that ask for a password: it is a secret of the build, and stays one.

use std::io::Read as _;
use std::path::Path;

use crate::pip::{BASE, compare, same_config, wheels};
use crate::support::build::{Build, Side};
use crate::support::env::{Env, e2e};
use crate::support::files::Files;
use crate::support::index::Index;
use crate::support::report::Report;

/// What must be nowhere. Not a word that anything else could have.
const PASSWORD: &str = "x7Qm0wZk4tJ9hunter2";

struct Locked {
    index: Index,
    /// What the client has.
    secrets: Files,
}

impl Locked {
    fn new() -> Self {
        let index = Index::of(&wheels());
        index.server.lock(&format!("somebody:{PASSWORD}"));
        let secrets = Files::new();
        let host = index.server.url().trim_start_matches("http://").to_owned();
        let address = format!("http://somebody:{PASSWORD}@{host}/simple/");
        secrets.write("conf", format!("[global]\nindex-url = {address}\n"));
        secrets.write("url", &address);
        secrets.write("netrc", format!("machine 127.0.0.1\nlogin somebody\npassword {PASSWORD}\n"));
        Self { index, secrets }
    }

    fn build(&self, env: &Env, side: Side, context: &Path) -> Build {
        let build = Build::new(env, side, context);
        ["conf", "url", "netrc"].into_iter().fold(build, |build, id| build.secret(id, &self.secrets.join(id)))
    }

    /// Builds on both sides, compares, and looks for the password in everything that comes out of plinth's build: the
    /// image with its attestations, where the definition is, all layers of a cache export, and the log.
    #[track_caller]
    fn run(&self, env: &Env, body: &str) -> Vec<String> {
        let before = format!("FROM {BASE}\nENV PIP_NO_CACHE_DIR=1\n");
        let body = body.replace("@INDEX@", &self.index.url());
        let files = Files::dockerfile(&format!("{before}{body}\n"));
        files.write("before.Dockerfile", &before);
        let base =
            Build::new(env, Side::Plain, files.path()).opt("filename", "before.Dockerfile").image().tree();
        let cache = Files::new();
        let [plain, plinth] = Side::BOTH.map(|side| {
            let at = cache.join(&format!("{side:?}"));
            self.build(env, side, files.path())
                .opt("attest:provenance", "mode=max")
                .flag("--export-cache", format!("type=local,mode=max,dest={}", at.display()))
                .layout()
                .run()
                .ok()
        });
        assert_eq!(found(PASSWORD, &cache.join("Plinth")), Vec::<String>::new());
        assert_eq!(found(PASSWORD, &plinth.files()), Vec::<String>::new());
        assert!(!plinth.stderr.contains(PASSWORD), "{}", plinth.stderr);
        assert!(!format!("{:?}", plinth.metadata).contains(PASSWORD));
        let outcomes = Report::of_build(&plinth).map(|report| report.outcomes()).unwrap_or_default();
        let (plain, plinth) = (plain.layout().image(), plinth.layout().image());
        compare(env, &plain, &plinth, &base).assert_equal();
        same_config(&plain, &plinth);
        plinth.check();
        outcomes
    }
}

/// Files below a directory that hold a text, also compressed.
fn found(text: &str, directory: &Path) -> Vec<String> {
    let (mut all, mut todo) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let mut bytes = std::fs::read(&path).unwrap();
        if bytes.starts_with(b"\x1f\x8b") {
            let mut plain = Vec::new();
            flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
            bytes = plain;
        }
        if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
            all.push(path.display().to_string());
        }
    }
    all
}

/// The search would see it: in a file of a layer, in a definition.
#[test]
fn the_search_finds_what_is_there() {
    let env = e2e!();
    let files = Files::dockerfile(&format!("FROM scratch\nCOPY x /x\nLABEL a={PASSWORD}\n"));
    files.write("x", PASSWORD);
    let built =
        Build::new(env, Side::Plain, files.path()).opt("attest:provenance", "mode=max").layout().run().ok();
    assert!(found(PASSWORD, &built.files()).len() >= 2, "{:?}", found(PASSWORD, &built.files()));
}

#[test]
fn in_a_configuration_file() {
    let env = e2e!();
    let locked = Locked::new();
    for target in ["/etc/pip.conf", "/root/.pip/pip.conf"] {
        let outcomes = locked.run(
            env,
            &format!("RUN --mount=type=secret,id=conf,target={target} pip install alpha==2.0 datafull"),
        );
        assert!(env.frontend.is_none() || outcomes == ["assembled"], "{target}: {outcomes:?}");
    }
    let outcomes = locked.run(
        env,
        "ENV PIP_CONFIG_FILE=/run/secrets/conf\nRUN --mount=type=secret,id=conf pip install alpha==2.0 gamma",
    );
    assert!(env.frontend.is_none() || outcomes == ["assembled"], "{outcomes:?}");
}

#[test]
fn in_a_variable() {
    let env = e2e!();
    let outcomes = Locked::new()
        .run(env, "RUN --mount=type=secret,id=url,env=PIP_INDEX_URL pip install alpha==2.0 datafull");
    assert!(env.frontend.is_none() || outcomes == ["assembled"], "{outcomes:?}");
    let outcomes = Locked::new().run(
        env,
        "RUN --mount=type=secret,id=url,env=PIP_EXTRA_INDEX_URL pip install -i http://127.0.0.1:1/simple --retries 0 beta gamma",
    );
    assert!(env.frontend.is_none() || outcomes.len() == 1, "{outcomes:?}");
}

#[test]
fn in_a_netrc() {
    let env = e2e!();
    let outcomes = Locked::new().run(
        env,
        "RUN --mount=type=secret,id=netrc,target=/root/.netrc pip install --index-url @INDEX@ alpha==2.0 'ns-one==1.0'",
    );
    assert!(env.frontend.is_none() || outcomes == ["assembled"], "{outcomes:?}");
}

/// What is no secret, or may keep an address.
#[test]
fn what_is_left_alone() {
    let env = e2e!();
    let locked = Locked::new();
    let host = locked.index.server.url().trim_start_matches("http://").to_owned();
    // A password in the Dockerfile is in the image as it is: only what becomes of the step is looked at.
    for (body, why) in [
        (
            format!("ENV PIP_INDEX_URL=http://somebody:{PASSWORD}@{host}/simple/\nRUN pip install gamma"),
            "credentials in environment variable PIP_INDEX_URL",
        ),
        (
            format!(
                "ENV PIP_INDEX_URL=http://somebody:{PASSWORD}@{host}/simple/\nRUN --mount=type=secret,id=netrc,target=/x pip install gamma"
            ),
            "credentials in environment variable PIP_INDEX_URL",
        ),
        (
            format!(
                "RUN --mount=type=secret,id=netrc,target=/root/.netrc pip install http://{host}/files/gamma-2.0-py3-none-any.whl"
            ),
            "a requirement by URL, in a step with a secret: gamma",
        ),
        (
            format!(
                "RUN echo '-i http://{host}/simple/' >r.txt && echo gamma >>r.txt\nRUN --mount=type=secret,id=netrc,target=/root/.netrc pip install -r r.txt"
            ),
            "an index in a requirements file, in a step with a secret",
        ),
    ] {
        let files = Files::dockerfile(&format!("FROM {BASE}\nENV PIP_NO_CACHE_DIR=1\n{body}\n"));
        let built = locked.build(env, Side::Plinth, files.path()).layout().run().ok();
        let outcomes = Report::of_build(&built).map(|report| report.outcomes()).unwrap_or_default();
        assert!(env.frontend.is_none() || outcomes == [why], "{body}: {outcomes:?}");
        assert!(!Report::of_build(&built).is_some_and(|report| report.json().contains(PASSWORD)));
    }
}
