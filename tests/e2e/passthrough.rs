//! With nothing to rewrite, plinth is invisible: the same digest, warnings, errors and answers as the built-in
//! frontend, over Dockerfiles that together use every instruction and flag.

use std::collections::BTreeMap;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::support::build::{Build, Built, Side};
use crate::support::env::{Env, e2e};
use crate::support::files::Files;
use crate::support::image::Layout;
use crate::support::server::{Answer, Server};

/// What a Dockerfile of the corpus needs besides its directory (`case.toml`).
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Case {
    /// Options of the frontend.
    opts: BTreeMap<String, String>,
    /// Options of the plain side only.
    plain_opts: BTreeMap<String, String>,
    /// Secrets: id and value.
    secrets: BTreeMap<String, String>,
    /// An agent is forwarded.
    ssh: bool,
    /// Named contexts: name and directory.
    contexts: BTreeMap<String, String>,
    /// Entitlements of the build.
    allow: Vec<String>,
    /// The build argument URL is a server with `remote.txt` and `archive.tar.gz`.
    server: bool,
    /// The build fails, and says this.
    fails: Option<String>,
    /// Rules that the plain build warns of, sorted.
    warnings: Vec<String>,
}

/// A case set up: what it needs lives as long as this.
pub(crate) struct Corpus {
    case: Case,
    dir: PathBuf,
    extra: Files,
    server: Option<Server>,
    _agent: Option<UnixListener>,
}

impl Corpus {
    /// Where the cases are.
    pub(crate) fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
    }

    /// Sets one up.
    pub(crate) fn open(name: &str) -> Self {
        let dir = Self::root().join(name);
        let case: Case = match std::fs::read_to_string(dir.join("case.toml")) {
            Ok(text) => toml::from_str(&text).unwrap(),
            Err(_) => Case::default(),
        };
        let extra = Files::new();
        for (id, value) in &case.secrets {
            extra.write(id, value);
        }
        let server = case.server.then(|| {
            let server = Server::start();
            server.put("/remote.txt", Answer::file(b"hello world\n"));
            server.put("/archive.tar.gz", Answer::file(&std::fs::read(dir.join("archive.tar.gz")).unwrap()));
            server
        });
        let agent = case.ssh.then(|| UnixListener::bind(extra.join("agent")).unwrap());
        Self { case, dir, extra, server, _agent: agent }
    }

    /// Is the build meant to succeed?
    pub(crate) fn succeeds(&self) -> bool {
        self.case.fails.is_none()
    }

    /// The build of one side.
    pub(crate) fn build(&self, env: &Env, side: Side) -> Build {
        let mut build = Build::new(env, side, &self.dir);
        for (key, value) in &self.case.opts {
            build = build.opt(key, value);
        }
        if side == Side::Plain || env.frontend.is_none() {
            for (key, value) in &self.case.plain_opts {
                build = build.opt(key, value);
            }
        }
        for id in self.case.secrets.keys() {
            build = build.secret(id, &self.extra.join(id));
        }
        if self.case.ssh {
            build = build.flag("--ssh", format!("default={}", self.extra.join("agent").display()));
        }
        for (name, dir) in &self.case.contexts {
            build = build.context(name, &self.dir.join(dir));
        }
        for entitlement in &self.case.allow {
            build = build.flag("--allow", entitlement);
        }
        if let Some(server) = &self.server {
            build = build.arg("URL", &server.url());
        }
        build
    }
}

/// Runs a case on both sides and compares all that a user can see.
fn check(name: &str) {
    let env = e2e!();
    let corpus = Corpus::open(name);
    let [plain, plinth] = Side::BOTH.map(|side| corpus.build(env, side).layout().run());
    if let Some(frontend) = &env.frontend {
        assert!(
            plinth.progress.vertices().any(|v| v.name.contains(frontend.as_str())),
            "plinth had no part in this build"
        );
    }
    same_warnings(&plain, &plinth);
    if let Some(message) = &corpus.case.fails {
        let expected = plain.error();
        assert!(
            expected.contains(message),
            "the corpus expects {message:?}, and the plain build says:\n{expected}"
        );
        assert_eq!(plinth.error(), expected);
        return;
    }
    let (plain, plinth) = (plain.ok(), plinth.ok());
    let mut rules: Vec<_> = plain
        .progress
        .warnings
        .iter()
        .map(|warning| warning.short.split(':').next().unwrap_or_default().to_owned())
        .collect();
    rules.sort();
    rules.dedup();
    assert_eq!(rules, corpus.case.warnings, "what the plain build warns of");
    same_image(plain.layout(), plinth.layout());
}

#[track_caller]
fn same_warnings(plain: &Built, plinth: &Built) {
    assert_eq!(plinth.progress.sorted_warnings(), plain.progress.sorted_warnings());
}

/// The digest says it all; when it differs, the configs and manifests say why.
#[track_caller]
fn same_image(plain: Layout, plinth: Layout) {
    let (a, b) = (plain.top(), plinth.top());
    let (plain, plinth) = (plain.images(), plinth.images());
    for (plain, plinth) in plain.iter().zip(&plinth) {
        assert_eq!(plinth.platform, plain.platform);
        assert_eq!(plinth.config, plain.config);
        assert_eq!(plinth.manifest, plain.manifest);
    }
    assert_eq!((b.digest, b.media_type, b.size), (a.digest, a.media_type, a.size));
}

macro_rules! corpus {
    ($($test:ident $name:literal,)*) => {
        $(#[test]
        fn $test() {
            check($name);
        })*

        /// Names of the cases that are tests.
        pub(crate) const CASES: &[&str] = &[$($name),*];
    };
}

corpus! {
    add "add",
    args "args",
    bom_crlf "bom-crlf",
    check_error "check-error",
    check_skip "check-skip",
    config "config",
    config_shell_forms "config-shell-forms",
    copy "copy",
    directives "directives",
    empty "empty",
    error_base "error-base",
    error_copy "error-copy",
    error_empty "error-empty",
    error_flag "error-flag",
    error_run "error-run",
    error_secret "error-secret",
    error_stage "error-stage",
    error_syntax "error-syntax",
    error_target "error-target",
    escape "escape",
    foreign "foreign",
    named_contexts "named-contexts",
    no_cache "no-cache",
    onbuild "onbuild",
    other_name "other-name",
    platforms "platforms",
    python_app "python-app",
    run_forms "run-forms",
    run_mounts "run-mounts",
    run_network "run-network",
    run_network_host "run-network-host",
    run_security "run-security",
    scratch "scratch",
    stages "stages",
    warnings "warnings",
}

#[test]
fn every_directory_of_the_corpus_is_a_test() {
    let mut found: Vec<_> = std::fs::read_dir(Corpus::root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, CASES);
}

/// Every instruction of the language is somewhere in the corpus; a new one has to be added by hand.
#[test]
fn the_corpus_uses_every_instruction_and_flag() {
    let mut all = String::new();
    for name in CASES {
        let dir = Corpus::root().join(name);
        for file in [dir.join("Dockerfile"), dir.join("build/Custom.Dockerfile")] {
            all.push_str(&std::fs::read_to_string(file).unwrap_or_default());
        }
    }
    let words = [
        "ADD ",
        "ARG ",
        "CMD ",
        "COPY ",
        "ENTRYPOINT ",
        "ENV ",
        "EXPOSE ",
        "FROM ",
        "HEALTHCHECK ",
        "LABEL ",
        "MAINTAINER ",
        "ONBUILD ",
        "RUN ",
        "SHELL ",
        "STOPSIGNAL ",
        "USER ",
        "VOLUME ",
        "WORKDIR ",
        "# syntax=",
        "# escape=",
        "# check=",
        "--platform=",
        " AS ",
        "--mount=type=bind",
        "--mount=type=cache",
        "--mount=type=tmpfs",
        "--mount=type=secret",
        "--mount=type=ssh",
        "--network=none",
        "--network=host",
        "--network=default",
        "--security=sandbox",
        "--security=insecure",
        "--from=",
        "--chown=",
        "--chmod=",
        "--link",
        "--parents",
        "--exclude=",
        "--checksum=",
        "--unpack=",
        "--interval=",
        "--timeout=",
        "--start-period=",
        "--start-interval=",
        "--retries=",
        "HEALTHCHECK NONE",
        "RUN <<",
        "COPY <<",
        "ADD <<",
        ",env=",
        ",required=true",
        ",sharing=locked",
        ",sharing=private",
    ];
    for word in words {
        assert!(all.contains(word), "no Dockerfile of the corpus has {word:?}");
    }
}

/// `# syntax=` in the file itself, instead of a build argument.
#[test]
fn the_syntax_line_in_the_file() {
    let env = e2e!();
    let Some(frontend) = &env.frontend else { return };
    let body = "FROM debian:bookworm-slim\nRUN echo syntax >/a\nCMD [\"a\"]\n";
    let with = Files::dockerfile(&format!("# syntax={frontend}\n{body}"));
    let without = Files::dockerfile(&format!("# syntax=is/not/used\n{body}"));
    let plinth = Build::new(env, Side::Plain, with.path()).layout().run().ok();
    assert!(
        plinth.progress.vertices().any(|v| v.name.contains(frontend.as_str())),
        "the frontend was resolved"
    );
    let plain =
        Build::new(env, Side::Plain, without.path()).opt("cmdline", "is/not/used").layout().run().ok();
    same_image(plain.layout(), plinth.layout());
}

/// Called as `gateway.v0` there is no `cmdline` option; a frontend that forgets it calls itself for ever.
#[test]
fn called_as_the_gateway() {
    let env = e2e!();
    let Some(frontend) = &env.frontend else { return };
    let body = "FROM debian:bookworm-slim\nRUN echo gateway >/a\n";
    let files = Files::dockerfile(&format!("# syntax={frontend}\n{body}"));
    // The later --frontend wins.
    let build =
        Build::new(env, Side::Plain, files.path()).flag("--frontend", "gateway.v0").opt("source", frontend);
    let plinth = build.layout().run().ok();
    let plain = Build::new(env, Side::Plain, files.path()).opt("cmdline", "built-in").layout().run().ok();
    same_image(plain.layout(), plinth.layout());
}

/// `PLINTH=off` for one build, with a policy and a pip step that would be rewritten.
#[test]
fn turned_off() {
    let env = e2e!();
    let index =
        crate::support::index::Index::of(&[crate::support::wheel::Wheel::simple("offdemo", "1.0").make()]);
    let files = Files::dockerfile(&format!(
        "FROM python:3.11-slim\nRUN pip install --no-cache-dir --index-url {} offdemo\n",
        index.url()
    ))
    .with("plinth.toml", crate::bases::policy(env, "python:3.11*"));
    let [plain, plinth] =
        Side::BOTH.map(|side| Build::new(env, side, files.path()).arg("PLINTH", "off").layout().run().ok());
    same_image(plain.layout(), plinth.layout());
}

/// A plain export of times that are rewritten to the epoch.
#[test]
fn rewritten_timestamps() {
    let env = e2e!();
    let corpus = Corpus::open("copy");
    let [plain, plinth] = Side::BOTH
        .map(|side| corpus.build(env, side).layout_with(",rewrite-timestamp=true").run().ok().layout());
    same_image(plain, plinth);
}

/// Other compression, media types, and annotations of the exporter.
#[test]
fn options_of_the_exporter() {
    let env = e2e!();
    let corpus = Corpus::open("scratch");
    let attributes =
        ",compression=zstd,force-compression=true,oci-mediatypes=true,annotation.org.example=yes";
    let [plain, plinth] =
        Side::BOTH.map(|side| corpus.build(env, side).layout_with(attributes).run().ok().layout());
    assert!(plain.images().iter().all(|image| image.manifest["annotations"]["org.example"] == "yes"));
    let plain = corpus.build(env, Side::Plain).layout_with(attributes).run().ok().layout();
    same_image(plain, plinth);
}

/// Files instead of an image.
#[test]
fn exported_as_files() {
    let env = e2e!();
    let corpus = Corpus::open("scratch");
    for side in Side::BOTH {
        let built = corpus.build(env, side).files().run().ok();
        assert_eq!(std::fs::read_to_string(built.files().join("hello.txt")).unwrap(), "hello\n");
        assert_eq!(std::fs::read_dir(built.files()).unwrap().count(), 2, "hello.txt and owned/");
    }
}

/// Cache exports of both sides hold the same records, and either side can build from the other's.
#[test]
fn cache_export_and_import() {
    let env = e2e!();
    let files = Files::new()
        .with("Dockerfile", "FROM debian:bookworm-slim AS a\nRUN echo 1 >/one\nFROM debian:bookworm-slim\nCOPY --from=a /one /\nRUN date +%N >/two\n");
    let cache =
        |side: Side| format!("type=registry,ref={}/e2e/cache-{side:?}:1", env.registry).to_lowercase();
    let digests = Side::BOTH.map(|side| {
        let build =
            Build::new(env, side, files.path()).flag("--export-cache", format!("{},mode=max", cache(side)));
        build.layout().run().ok().layout().top().digest
    });
    assert_eq!(digests[1], digests[0]);
    for (from, to) in [(Side::Plain, Side::Plinth), (Side::Plinth, Side::Plain)] {
        let empty = crate::support::builder::Builder::start(env, &[]);
        let build = Build::new(env, to, files.path()).on(&empty.host).flag("--import-cache", cache(from));
        let built = build.layout().run().ok();
        let ran: Vec<_> = built
            .progress
            .ran()
            .into_iter()
            .filter(|name| name.contains("RUN") || name.contains("COPY"))
            .collect();
        assert!(ran.is_empty(), "{to:?} ran {ran:?} although {from:?} exported it");
        assert_eq!(built.layout().top().digest, digests[0]);
    }
}

/// Inline cache is put into the config by the exporter. Two plain builds differ in it too: it holds the times of the
/// records.
#[test]
fn inline_cache() {
    let env = e2e!();
    let corpus = Corpus::open("python-app");
    let [plain, plinth] = Side::BOTH.map(|side| {
        let mut image = corpus.build(env, side).flag("--export-cache", "type=inline").image();
        let cache = image.config.as_object_mut().unwrap().remove("moby.buildkit.cache.v0");
        assert!(
            cache.is_some_and(|cache| !cache.as_str().unwrap().is_empty()),
            "{side:?}: no cache in the config"
        );
        image
    });
    assert_eq!(plinth.config, plain.config);
    assert_eq!(plinth.layers(), plain.layers());
}

/// An image from an OCI layout of the client, as a named context.
#[test]
fn a_named_context_that_is_an_oci_layout() {
    let env = e2e!();
    let base = Files::dockerfile("FROM scratch\nCOPY Dockerfile /from-layout\nENV FROM_LAYOUT=1\n");
    let layout = Build::new(env, Side::Plain, base.path()).layout().run().ok().layout();
    let files = Files::dockerfile("FROM whatever AS x\nCOPY Dockerfile /y\n");
    let [plain, plinth] = Side::BOTH.map(|side| {
        Build::new(env, side, files.path())
            .flag("--oci-layout", format!("store={}", layout.path().display()))
            .opt("context:whatever", &format!("oci-layout://store@{}", layout.top().digest))
            .layout()
            .run()
            .ok()
            .layout()
    });
    same_image(plain, plinth);
}

/// A secret that only one side could read would be a leak; its value is nowhere in what a build shows.
#[test]
fn secrets_stay_secret() {
    let env = e2e!();
    let files = Files::dockerfile(
        "FROM debian:bookworm-slim\nRUN --mount=type=secret,id=t,env=T test -n \"$T\" && exit 3\n",
    )
    .with("t", "swordfish-7163");
    for side in Side::BOTH {
        let built = Build::new(env, side, files.path()).secret("t", &files.join("t")).layout().run();
        assert!(!built.error().contains("swordfish"), "{side:?}: {}", built.stderr);
        assert!(!built.stderr.contains("swordfish"));
    }
}

/// Every subrequest answers the same, on a file with something to say and on one of many stages.
#[test]
fn subrequests() {
    let env = e2e!();
    for name in ["args", "stages", "warnings", "onbuild"] {
        let corpus = Corpus::open(name);
        for request in [
            "frontend.outline",
            "frontend.targets",
            "frontend.lint",
            "frontend.convertllb",
            "frontend.subrequests.describe",
        ] {
            let [plain, plinth] =
                Side::BOTH.map(|side| corpus.build(env, side).opt("requestid", request).run().ok());
            assert!(
                request == "frontend.lint" || !plain.stdout.is_empty(),
                "{request} of {name} says nothing"
            );
            if request == "frontend.convertllb" {
                assert_eq!(definition(&plinth.stdout), definition(&plain.stdout), "{request} of {name}");
            } else {
                assert_eq!(neutral(&plinth.stdout), neutral(&plain.stdout), "{request} of {name}");
            }
        }
        let [plain, plinth] =
            Side::BOTH.map(|side| corpus.build(env, side).opt("requestid", "frontend.nonsense").run());
        assert_eq!(plinth.error(), plain.error());
    }
}

/// Operations and source of an answer with a definition.
fn definition(answer: &str) -> (Vec<String>, usize, Vec<String>) {
    let json: Value = serde_json::from_str(answer.trim_start_matches("result.json").trim()).unwrap();
    let mut ops: Vec<_> =
        json["def"].as_object().unwrap().values().map(|op| neutral(&format!("{op:#}"))).collect();
    ops.sort();
    assert!(ops.len() > 1, "a definition of nothing: {answer}");
    let files = json["source"]["infos"].as_array().unwrap();
    let files = files.iter().map(|info| format!("{}: {}", info["filename"], info["data"])).collect();
    (ops, json["source"]["locations"].as_object().unwrap().len(), files)
}

/// Answers are a set of keys in any order; definitions carry the session and digests that depend on it.
fn neutral(answer: &str) -> String {
    let mut lines: Vec<_> = answer
        .lines()
        .map(|line| {
            let mut line = line.to_owned();
            if let Some(at) = line.find("sha256:") {
                line.replace_range(at + 7..(at + 71).min(line.len()), "-");
            }
            if let Some(at) = line.find("local.session") {
                line.truncate(at);
            }
            line.trim().trim_end_matches(',').to_owned()
        })
        .collect();
    lines.sort();
    lines.join("\n")
}

/// A generator of software bills: a scratch-like image that follows the scanner protocol.
fn scanner(env: &Env) -> String {
    let reference = format!("{}/e2e/scanner:1", env.registry);
    let script = r#"#!/bin/sh
set -e
for target in "$BUILDKIT_SCAN_SOURCE" "$BUILDKIT_SCAN_SOURCE_EXTRAS"/*; do
  [ -d "$target" ] || continue
  count=$(ls "$target" | wc -l)
  printf '{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","predicate":{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","dataLicense":"CC0-1.0","name":"%s","files":[],"comment":"%s"}}' \
    "$(basename "$target")" "$count entries" >"$BUILDKIT_SCAN_DESTINATION/$(basename "$target").spdx.json"
done
"#;
    let files =
        Files::dockerfile("FROM debian:bookworm-slim\nCOPY --chmod=755 scan /scan\nENTRYPOINT [\"/scan\"]\n")
            .with("scan", script);
    Build::new(env, Side::Plain, files.path()).push(&reference).run().ok();
    reference
}

/// Digests of the images, and the statements about them.
type Attested = (Vec<String>, Vec<(String, Value)>);

/// Statements of both sides for a case, with these options.
fn attested(env: &Env, name: &str, opts: &[(&str, &str)]) -> [Attested; 2] {
    let corpus = Corpus::open(name);
    Side::BOTH.map(|side| {
        let build = opts.iter().fold(corpus.build(env, side), |build, (key, value)| build.opt(key, value));
        let layout = build.layout().run().ok().layout();
        let statements = layout.attestations();
        (layout.images().into_iter().map(|image| image.digest).collect(), statements)
    })
}

#[test]
fn software_bills() {
    let env = e2e!();
    let generator = format!("generator={}", scanner(env));
    for name in ["scratch", "stages", "platforms"] {
        let opts = [
            ("attest:sbom", generator.as_str()),
            ("build-arg:BUILDKIT_SBOM_SCAN_CONTEXT", "true"),
            ("build-arg:BUILDKIT_SBOM_SCAN_STAGE", "true"),
        ];
        let [plain, plinth] = attested(env, name, &opts);
        assert!(plain.1.iter().any(|(kind, _)| kind == "https://spdx.dev/Document"), "{name} has a bill");
        assert_eq!(plinth, plain, "{name}");
    }
}

#[test]
fn provenance() {
    let env = e2e!();
    for (name, mode) in [("stages", "max"), ("platforms", "max"), ("args", "min")] {
        let [plain, plinth] = attested(env, name, &[("attest:provenance", &format!("mode={mode}"))]);
        assert_eq!(plinth.0, plain.0, "image digests of {name}");
        assert_eq!(plinth.1.len(), plain.1.len());
        for ((_, a), (_, b)) in plain.1.iter().zip(&plinth.1) {
            assert_eq!(b["subject"], a["subject"]);
            assert_eq!(b["predicateType"], a["predicateType"]);
            assert_eq!(materials(b, env), materials(a, env), "what {name} was made of");
            assert_eq!(shape(build_config(b)), shape(build_config(a)), "the steps of {name}");
            let source = |v: &Value| {
                v.pointer("/predicate/metadata/buildkit_metadata/source/infos").map(Value::to_string)
            };
            assert_eq!(source(b), source(a), "the source of {name}");
        }
    }
}

fn build_config(statement: &Value) -> &Value {
    statement
        .pointer("/predicate/buildConfig")
        .or_else(|| statement.pointer("/predicate/buildDefinition/internalParameters/buildConfig"))
        .unwrap_or(&Value::Null)
}

/// The materials; through a frontend image, that image is one more, and says so.
fn materials(statement: &Value, env: &Env) -> Vec<String> {
    let list = statement
        .pointer("/predicate/materials")
        .or_else(|| statement.pointer("/predicate/buildDefinition/resolvedDependencies"));
    let mut list: Vec<_> = list
        .and_then(Value::as_array)
        .expect("provenance without materials")
        .iter()
        .map(Value::to_string)
        .collect();
    if let Some(frontend) = &env.frontend {
        let name = frontend.rsplit_once(':').map_or(frontend.as_str(), |(name, _)| name);
        list.retain(|material| !material.contains(name) && !material.contains(&name.replace(':', "%3A")));
    }
    list.sort();
    list
}

/// Every operation of the steps, without digests, which depend on the session.
fn shape(config: &Value) -> Vec<String> {
    let steps = config.get("llbDefinition").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut shapes: Vec<_> = steps.iter().map(|step| neutral(&format!("{:#}", step["op"]))).collect();
    shapes.sort();
    shapes
}
