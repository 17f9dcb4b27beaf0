//! Builds that once came out different from plain ones, one test for each.

use crate::bases::policy;
use crate::pip::{BASE, Case, Expect, check, wheels};
use crate::support::build::{Build, Side};
use crate::support::env::e2e;
use crate::support::files::Files;
use crate::support::index::Index;
use crate::support::report::{LABEL, Report};

fn same(expect: Expect, body: &str, then: &str) {
    let env = e2e!();
    check(env, &Index::of(&wheels()), &Case { body, files: &[], expect, check: then });
}

/// The builder makes a working directory that is missing, and leaves it in the layer.
#[test]
fn a_working_directory_that_is_not_there() {
    same(
        Expect::Either,
        "WORKDIR /gone\nRUN cd / && rmdir /gone\nRUN pip install --no-cache-dir -i @INDEX@ beta",
        "test -d /gone",
    );
}

/// Below a link, a mount over the place of the install isn't seen in the path that the Dockerfile names.
#[test]
fn a_mount_over_the_install_by_way_of_a_link() {
    same(
        Expect::Either,
        "RUN ln -s /usr/local/lib /mylib\nRUN --mount=type=bind,from=python:3.11-slim,source=/usr/local/lib/python3.11/site-packages,target=/mylib/python3.11/site-packages,rw pip install --no-cache-dir -i @INDEX@ beta",
        "! python3 -c 'import beta' 2>/dev/null",
    );
}

/// To bash, an exported function goes before a program.
#[test]
fn a_shell_function_called_pip() {
    same(
        Expect::AsWritten,
        "SHELL [\"/bin/bash\", \"-c\"]\nENV BASH_FUNC_pip%%=\"() { echo called >/called; }\"\nRUN pip install --no-cache-dir -i @INDEX@ beta\nENV BASH_FUNC_pip%%=",
        "test -s /called",
    );
}

/// A download cache in a directory of its own is no exception.
#[test]
fn a_download_cache_of_its_own() {
    same(
        Expect::AsWritten,
        "ENV PIP_CACHE_DIR=/opt/pip-cache\nRUN pip install --trusted-host 127.0.0.1 -i @INDEX@ beta",
        "test -d /opt/pip-cache/http",
    );
}

/// A later stage copies the download cache: without it, the build would fail.
#[test]
fn a_download_cache_that_is_copied() {
    let env = e2e!();
    let index = Index::of(&wheels());
    let files = Files::dockerfile(&format!(
        "FROM {BASE} AS fetch\nRUN pip install --trusted-host 127.0.0.1 -i {url} beta\nFROM {BASE}\nCOPY --from=fetch /root/.cache /root/.cache\nRUN pip install --no-cache-dir -i {url} beta\nRUN rm -rf /root/.cache\n",
        url = index.url()
    ));
    for side in Side::BOTH {
        let built = Build::new(env, side, files.path()).layout().run().ok();
        if let Some(report) = Report::of_build(&built) {
            // The step that leaves no cache is none of its business.
            assert_eq!(report.treatments(), ["as_written", "assembled"], "{}", report.json());
        }
    }
}

/// A module of the application stands before the library's when pip is started by `-m`: plain fails, so plinth does.
#[test]
fn a_module_that_shadows_the_library() {
    let env = e2e!();
    let index = Index::of(&wheels());
    let files = Files::dockerfile(&format!(
        "FROM {BASE}\nWORKDIR /app\nCOPY typing.py .\nRUN python3 -m pip install --no-cache-dir -i {} beta\n",
        index.url()
    ));
    files.write("typing.py", "raise SystemExit('shadowed')\n");
    for side in Side::BOTH {
        let built = Build::new(env, side, files.path()).layout().run();
        assert!(built.error().contains("Dockerfile:4"), "{side:?}: {}", built.stderr);
    }
}

/// An index whose address is a secret isn't in the provenance, and nowhere else in the result.
#[test]
fn a_secret_address_of_an_index() {
    let env = e2e!();
    let index = Index::of(&wheels());
    let files = Files::dockerfile(&format!(
        "FROM {BASE}\nRUN --mount=type=secret,id=index,env=PIP_INDEX_URL pip install --no-cache-dir beta\n"
    ));
    let outside = Files::dockerfile("");
    outside.write("index", index.url());
    let address = index.url();
    let host = address.trim_start_matches("http://").split('/').next().unwrap_or_default().to_owned();
    for side in Side::BOTH {
        let built = Build::new(env, side, files.path())
            .secret("index", &outside.join("index"))
            .opt("attest:provenance", "mode=max")
            .layout()
            .run()
            .ok();
        let mut todo = vec![built.files()];
        while let Some(path) = todo.pop() {
            if path.is_dir() {
                todo.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            assert!(
                !bytes.windows(host.len()).any(|w| w == host.as_bytes()),
                "{side:?}: {host} is in {}",
                path.display()
            );
        }
    }
}

/// A policy beside a Dockerfile that isn't at the root of its directory.
#[test]
fn a_policy_beside_a_dockerfile_in_a_subdirectory() {
    let env = e2e!();
    if env.frontend.is_none() {
        return;
    }
    let files = Files::dockerfile("FROM scratch\n");
    files.write("docker/Dockerfile", format!("FROM {BASE}\nRUN true\n"));
    files.write("docker/plinth.toml", "version = = 1\n");
    let built = Build::new(env, Side::Plinth, files.path()).opt("filename", "docker/Dockerfile").run();
    assert!(built.error().contains("docker/plinth.toml"), "{}", built.stderr);
}

/// A master without the user, or without the program, that the image's config names would build something broken.
#[test]
fn a_master_without_the_user_or_entry_point_of_the_image() {
    let env = e2e!();
    if env.frontend.is_none() {
        return;
    }
    for (name, line, reason) in [
        ("user", "RUN useradd -m somebody\nUSER somebody", "the user `somebody`"),
        (
            "entry",
            "RUN cp /bin/true /usr/local/bin/own-entry\nENTRYPOINT [\"own-entry\"]",
            "the program `own-entry`",
        ),
        ("path", "RUN cp /bin/true /own-entry\nENTRYPOINT [\"/own-entry\"]", "(`/own-entry`)"),
    ] {
        let image = format!("{}/e2e/master-{name}:1", env.registry);
        let original = Files::dockerfile(&format!("FROM {BASE}\n{line}\n"));
        Build::new(env, Side::Plain, original.path()).push(&image).run().ok();
        let files = Files::dockerfile(&format!("FROM {image}\nCMD [\"true\"]\n"));
        let replaces = format!("{}/e2e/master-{name}*", env.registry);
        files.write("plinth.toml", policy(env, &replaces));
        let built = Build::new(env, Side::Plinth, files.path()).layout().run().ok();
        let warnings = format!("{:?}", built.progress.warnings);
        assert!(warnings.contains("plinth keeps") && warnings.contains(reason), "{name}: {warnings}");
        assert_eq!(built.layout().image().label(LABEL), None, "nothing is rewritten");
    }
}
