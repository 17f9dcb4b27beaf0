//! Platforms that the builder can't run: everything is decided for them, and nothing of theirs is run to decide it.
//!
//! The images for arm64 are made here, of a program that does nothing: what plinth reads of an image are the names of
//! its files. A builder that emulates arm64 runs that program, and one that doesn't fails to; either way both sides do
//! the same.

use std::sync::OnceLock;

use serde_json::Value;

use crate::support::build::{Build, Built, Side};
use crate::support::env::{Env, e2e};
use crate::support::files::Files;
use crate::support::image::Image;
use crate::support::index::Index;
use crate::support::progress::Vertex;
use crate::support::wheel::Wheel;

const BOTH: &str = "linux/amd64,linux/arm64";
const ARM64: &str = "linux/arm64";

/// An executable for Linux on arm64 that exits with 0: an ELF header, one segment, three instructions.
fn program() -> Vec<u8> {
    const HEADERS: u64 = 64 + 56;
    const START: u64 = 0x40_0000;
    // mov x0, #0; mov x8, #93 (exit); svc #0
    let code: Vec<u8> =
        [0xd280_0000_u32, 0xd280_0ba8, 0xd400_0001].into_iter().flat_map(u32::to_le_bytes).collect();
    let size = HEADERS + code.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    let mut half = |values: &[u16]| file.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    half(&[2, 183, 1, 0]);
    let mut wide = |values: &[u64]| file.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    wide(&[START + HEADERS, 64, 0]);
    let mut half = |values: &[u16]| file.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    half(&[0, 0, 64, 56, 1, 0, 0, 0]);
    half(&[1, 0, 5, 0]);
    let mut wide = |values: &[u64]| file.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    wide(&[0, START, START, size, size, 0x1000]);
    file.extend(code);
    file
}

/// Pushes an image for both platforms: this one for amd64, and a Python of this version for arm64, with a file of its
/// own.
fn publish(env: &Env, name: &str, amd64: &str, python: &str) -> String {
    let reference = format!("{}/e2e/{name}", env.registry);
    let dockerfile = format!(
        "FROM {amd64} AS amd64\nUSER root\nWORKDIR /\n\
         FROM scratch AS arm64\n\
         COPY --chmod=755 program /lib/ld-linux-aarch64.so.1\n\
         COPY --chmod=755 program /bin/sh\n\
         COPY --chmod=755 program /usr/local/bin/python{python}\n\
         COPY --chmod=755 program /usr/local/bin/python3\n\
         COPY --chmod=755 pip /usr/local/bin/pip\n\
         COPY passwd group os-release /etc/\n\
         FROM ${{TARGETARCH}}\n\
         ENV PATH=/usr/local/bin:/usr/bin:/bin\n\
         COPY <<IMAGE /image\n{name}\nIMAGE\n\
         CMD [\"python3\"]\n"
    );
    let files = Files::dockerfile(&dockerfile)
        .with("program", program())
        .with("pip", format!("#!/usr/local/bin/python{python}\nfrom pip._internal.cli.main import main\n"))
        .with("passwd", "root:x:0:0:root:/root:/bin/sh\n")
        .with("group", "root:x:0:\n")
        .with("os-release", "ID=debian\nVERSION_ID=\"12\"\n");
    Build::new(env, Side::Plain, files.path()).opt("platform", BOTH).push(&reference).run().ok();
    reference
}

/// The references of the images of these tests.
struct Images {
    /// What the Dockerfiles build on.
    base: String,
    /// A master for both platforms.
    master: String,
    /// A master that is another Python on arm64.
    mixed: String,
}

fn images(env: &Env) -> &'static Images {
    static IMAGES: OnceLock<Images> = OnceLock::new();
    IMAGES.get_or_init(|| Images {
        base: publish(env, "foreign-python:3.11", "python:3.11-slim", "3.11"),
        master: publish(
            env,
            "foreign-master:3.11",
            &format!("{}/bases/python-master:3.11", env.registry),
            "3.11",
        ),
        mixed: publish(env, "foreign-mixed:3.11", "python:3.11-slim", "3.12"),
    })
}

fn policy(base: &str, master: &str) -> String {
    format!("version = 1\n\n[[base]]\nname = \"m\"\nimage = \"{master}\"\nreplaces = [\"{base}\"]\n")
}

/// A context with a policy that puts `master` in the place of the base.
fn context(dockerfile: &str, master: &str, base: &str) -> Files {
    Files::dockerfile(dockerfile)
        .with("plinth.toml", policy(base, master))
        .with(".dockerignore", "plinth.toml\n")
}

/// What `plinth explain` reads: per platform, the report's entry.
fn explained(env: &Env, files: &Files) -> (Vec<Value>, Built) {
    let build = Build::new(env, Side::Plinth, files.path()).opt("platform", BOTH);
    let built = build.opt("requestid", "plinth.explain").opt("plinth.format", "json").run().ok();
    let answer: Value =
        serde_json::from_str(built.stdout.trim_start().trim_start_matches("result.json").trim()).unwrap();
    let platforms = answer["platforms"].as_array().unwrap().clone();
    let ids: Vec<_> = platforms.iter().map(|p| p["platform"].as_str().unwrap()).collect();
    assert_eq!(ids, ["linux/amd64", ARM64]);
    (platforms, built)
}

/// Does the builder itself run arm64?
fn emulated(env: &Env) -> bool {
    let out = std::process::Command::new("buildctl")
        .args(["--addr", &env.host, "debug", "workers", "--format", "{{json .}}"])
        .output()
        .unwrap();
    assert!(out.status.success());
    String::from_utf8_lossy(&out.stdout).contains("\"architecture\":\"arm64\"")
}

/// An operation of a build. Its digest covers all that it stands on.
fn vertex<'b>(built: &'b Built, name: &str) -> &'b Vertex {
    let found = built.progress.vertices().find(|v| v.name.contains(name));
    found.unwrap_or_else(|| {
        let names: Vec<_> = built.progress.vertices().map(|v| &v.name).collect();
        panic!("no operation {name:?}: {names:#?}\n{}", built.stderr)
    })
}

/// A RUN for arm64: the same operations, and the same end, good or bad.
#[test]
fn a_step_of_the_platform_is_the_same_operation() {
    let env = e2e!();
    let Images { base, .. } = images(env);
    let dockerfile = format!(
        "FROM --platform=$BUILDPLATFORM debian:bookworm-slim AS tool\nARG TARGETARCH\nRUN echo $TARGETARCH >/arch\n\
         FROM {base}\nARG TARGETARCH\nENV A=$TARGETARCH\nCOPY --from=tool /arch /\n\
         RUN --mount=type=cache,target=/c foreign $A\n"
    );
    let files = Files::dockerfile(&dockerfile);
    let [plain, plinth] =
        Side::BOTH.map(|side| Build::new(env, side, files.path()).opt("platform", ARM64).layout().run());
    let [a, b] = [&plain, &plinth].map(|built| vertex(built, "RUN --mount=type=cache,target=/c foreign"));
    assert_eq!((&b.digest, &b.inputs, &b.name), (&a.digest, &a.inputs, &a.name));
    assert_eq!(plinth.code, plain.code);
    if plain.code == Some(0) {
        assert_eq!(plinth.layout().top().digest, plain.layout().top().digest);
    } else {
        assert_eq!(plinth.error(), plain.error());
    }
}

/// Masters are looked at and put in place on a platform that the builder can't run, and the image is made.
#[test]
fn an_image_for_the_platform_moves_to_its_master() {
    let env = e2e!();
    let Images { base, master, .. } = images(env);
    let files =
        context(&format!("FROM {base}\nCOPY <<FILE /own\nown\nFILE\nENV OWN=1\nUSER 12\n"), master, base);
    let built = Build::new(env, Side::Plinth, files.path()).opt("platform", BOTH).layout().run().ok();
    let found = built.layout().images();
    let masters = Build::new(env, Side::Plain, Files::dockerfile(&format!("FROM {master}\n")).path())
        .opt("platform", BOTH)
        .layout()
        .run()
        .ok()
        .layout()
        .images();
    assert_eq!(found.len(), 2);
    for (image, master) in found.iter().zip(&masters) {
        assert_eq!(image.platform, master.platform);
        image.check();
        let (own, below) = (image.layers(), master.layers());
        assert_eq!(own[..below.len()], below, "{}: on the master of its platform", image.platform);
        assert_eq!(own.len(), below.len() + 1);
        assert_eq!(image.config["architecture"], master.config["architecture"]);
        assert_eq!(image.config["config"]["User"], "12");
        assert_eq!(own_file(image, "/own"), "own\n");
        assert_eq!(own_file(image, "/image"), "foreign-master:3.11\n");
    }
    assert_ne!(masters[0].layers(), masters[1].layers());
}

fn own_file(image: &Image, path: &str) -> String {
    image.tree().get(path).unwrap().text().unwrap()
}

/// The answer to `plinth explain` for both: the step is assembled where its interpreter runs and left as it is where it
/// doesn't, and nothing for arm64 was run to find that out.
#[test]
fn an_install_for_the_platform_is_explained() {
    let env = e2e!();
    let Images { base, master, .. } = images(env);
    let index = Index::of(&[Wheel::simple("abroad", "1.0").make()]);
    let install = format!("pip install --no-cache-dir --index-url {} abroad", index.url());
    let files = context(&format!("FROM {base}\nRUN true\nRUN {install}\n"), master, base);
    let (platforms, built) = explained(env, &files);
    for platform in &platforms {
        let id = platform["platform"].as_str().unwrap();
        assert_eq!(platform["bases"][0]["action"], "substituted", "{id}: {platform:#}");
        assert_eq!(platform["bases"][0]["by_image"], master.as_str());
    }
    assert_eq!(platforms[0]["bases"][0]["digest"], platforms[1]["bases"][0]["digest"], "that of the index");
    let step = |platform: &Value| platform["steps"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(step(&platforms[0])["treatment"], "assembled", "{:#}", platforms[0]);
    let abroad = step(&platforms[1]);
    assert_eq!(abroad["treatment"], "as_written", "{abroad:#}");
    if !emulated(env) {
        let reason = abroad["reason"].as_str().unwrap();
        assert!(
            reason.starts_with("it is for linux/arm64, whose programs this builder's kernel"),
            "{reason}"
        );
        let ran = built.progress.vertices().filter(|v| v.started && v.name.starts_with("[linux/arm64"));
        let ran: Vec<_> = ran.map(|v| &v.name).filter(|name| name.contains("RUN")).collect();
        assert!(ran.is_empty(), "steps of arm64 were run: {ran:?}");
    }
}

/// The rewritten definition: on arm64 the step is the very operation that a Dockerfile on the master would have.
#[test]
fn the_definition_of_an_install_for_the_platform() {
    let env = e2e!();
    let Images { base, master, .. } = images(env);
    let index = Index::of(&[Wheel::simple("overseas", "1.0").make()]);
    let dockerfile = |from: &str| {
        format!("FROM {from}\nRUN pip install --no-cache-dir --index-url {} overseas\n", index.url())
    };
    let files = context(&dockerfile(base), master, base);
    let rewritten = Build::new(env, Side::Plinth, files.path()).opt("platform", ARM64).layout().run();
    let direct = Files::dockerfile(&dockerfile(master));
    let direct = Build::new(env, Side::Plain, direct.path()).opt("platform", ARM64).layout().run();
    let step = vertex(&rewritten, "RUN pip install");
    let wanted = vertex(&direct, "RUN pip install");
    assert_eq!(step.digest, wanted.digest, "the operation, with all that it stands on");
    assert_eq!(step.inputs, wanted.inputs);
    assert_eq!(rewritten.code, direct.code);
    for unwanted in ["[plinth] resolve", "[plinth] record", "[plinth] overseas"] {
        let found = rewritten.progress.vertices().any(|v| v.name.starts_with(unwanted) && v.error.is_empty());
        assert!(!found, "{unwanted} for a platform that isn't run");
    }
}

/// What is read from the files of one platform decides for all.
#[test]
fn a_master_that_is_wrong_for_the_platform_is_refused_on_all() {
    let env = e2e!();
    let Images { base, mixed, .. } = images(env);
    let only_here = format!("{}/bases/python-master:3.11", env.registry);
    for (master, why) in [
        (mixed.as_str(), "3.12"),
        // There for amd64 and 386.
        (only_here.as_str(), "the base `m` isn't there for linux/arm64"),
    ] {
        let (platforms, built) = explained(env, &context(&format!("FROM {base}\nENV A=1\n"), master, base));
        for platform in &platforms {
            let refused = &platform["bases"][0];
            assert_eq!(refused["action"], "refused", "{master}: {platform:#}");
            assert!(refused["reason"].as_str().unwrap().contains(why), "{refused:#}");
        }
        let warned = built.progress.warnings.iter().filter(|w| w.short.contains(why));
        assert_eq!(warned.map(|w| w.lines.clone()).collect::<Vec<_>>(), [[(1, 1)]], "once, at the FROM");
    }
}

/// A stage of the builder's own platform in a build for another: that step's interpreter runs, so it is assembled.
#[test]
fn a_stage_of_the_build_platform() {
    let env = e2e!();
    let index = Index::of(&[Wheel::simple("athome", "1.0").make()]);
    let files = Files::dockerfile(&format!(
        "FROM --platform=$BUILDPLATFORM python:3.11-slim AS build\n\
         RUN pip install --no-cache-dir --index-url {} athome\n\
         FROM {}\nCOPY --from=build /usr/local/lib/python3.11/site-packages/athome /athome\n",
        index.url(),
        images(env).base
    ));
    let [plain, plinth] =
        Side::BOTH.map(|side| Build::new(env, side, files.path()).opt("platform", ARM64).layout().run().ok());
    let report = crate::support::report::Report::of_build(&plinth).unwrap();
    assert_eq!(report.treatments(), ["assembled"], "{}", report.json());
    let [plain, plinth] = [plain, plinth].map(|built| built.layout().images().remove(0));
    assert_eq!(plinth.config["architecture"], "arm64");
    for path in ["/athome/__init__.py", "/image"] {
        assert_eq!(own_file(&plinth, path), own_file(&plain, path));
    }
    assert_eq!(plinth.layers().len(), plain.layers().len());
}
