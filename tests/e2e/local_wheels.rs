//! Wheels that are files: wheelhouses of another stage, and what an application brings along.

use crate::pip::{BASE, compare, same_config, wheels};
use crate::support::build::{Build, Side};
use crate::support::env::{Env, e2e};
use crate::support::files::Files;
use crate::support::report::Report;
use crate::support::tree::Tree;

/// Builds a Dockerfile whose steps before `app` make `/wheels` in the stage `builder`, and compares the trees. Gives what
/// became of the installs, and plinth's tree.
#[track_caller]
fn run(env: &Env, body: &str) -> (Vec<String>, Tree) {
    let files = Files::new();
    let mut hashed = String::new();
    for wheel in wheels() {
        files.write(&format!("dist/{}", wheel.file), &wheel.bytes);
        if let Some(version) = wheel.file.strip_prefix("beta-1.5").map(|_| "beta==1.5") {
            hashed = format!("{version} --hash=sha256:{}\n", wheel.sha256());
        }
    }
    files.write("hashed.txt", hashed);
    files.write("requirements.txt", "alpha==2.0\ndatafull\n");
    let before = format!(
        "FROM {BASE} AS builder\nWORKDIR /wheels\nCOPY dist ./\nFROM {BASE} AS app\nWORKDIR /app\nCOPY *.txt ./\nENV PIP_NO_CACHE_DIR=1\n"
    );
    files.write("before.Dockerfile", &before);
    files.write("Dockerfile", format!("{before}{body}\n"));
    let base = Build::new(env, Side::Plain, files.path()).opt("filename", "before.Dockerfile").image().tree();
    let [plain, plinth] = Side::BOTH.map(|side| Build::new(env, side, files.path()).layout().run().ok());
    let outcomes = Report::of_build(&plinth).map(|report| report.outcomes()).unwrap_or_default();
    let (plain, plinth) = (plain.layout().image(), plinth.layout().image());
    compare(env, &plain, &plinth, &base).assert_equal();
    same_config(&plain, &plinth);
    plinth.check();
    (outcomes, plinth.tree())
}

#[track_caller]
fn assembled(env: &Env, body: &str) -> Tree {
    let (outcomes, tree) = run(env, body);
    assert!(env.frontend.is_none() || outcomes.iter().all(|it| it == "assembled"), "{body}: {outcomes:?}");
    tree
}

const SITE: &str = "/usr/local/lib/python3.11/site-packages";

#[test]
fn a_wheelhouse_that_is_copied() {
    let env = e2e!();
    let tree = assembled(
        env,
        "COPY --from=builder /wheels /wheels\nRUN pip install --no-index --find-links=/wheels -r requirements.txt",
    );
    assert!(tree.get(&format!("{SITE}/alpha-2.0.dist-info/direct_url.json")).is_none());
    assert!(tree.get("/usr/local/bin/alpha-tool").is_some());
}

#[test]
fn a_wheelhouse_that_is_mounted() {
    let env = e2e!();
    for mount in
        ["type=bind,from=builder,source=/wheels,target=/wheels", "type=bind,source=dist,target=/wheels"]
    {
        assembled(
            env,
            &format!(
                "ENV PIP_FIND_LINKS=/wheels\nRUN --mount={mount} pip install --no-index -r requirements.txt --find-links file:///wheels"
            ),
        );
    }
}

/// By path or URL, pip notes where it was.
#[test]
fn wheels_by_path() {
    let env = e2e!();
    let tree = assembled(
        env,
        "COPY dist ./dist\nRUN pip install --no-index -f dist ./dist/gamma-2.0-py3-none-any.whl 'dist/alpha-2.0-py3-none-any.whl[fast]'\nRUN pip install --no-index file:///app/dist/datafull-0.1-py3-none-any.whl 'ns-one @ file:///app/dist/ns_one-1.0-py3-none-any.whl'\nRUN cd dist && pip install --no-index ns_two-1.0-py3-none-any.whl",
    );
    for project in ["gamma-2.0", "alpha-2.0", "datafull-0.1", "ns_one-1.0", "ns_two-1.0"] {
        let path = format!("{SITE}/{project}.dist-info/direct_url.json");
        assert!(tree.get(&path).is_some(), "{path}");
    }
}

#[test]
fn wheels_in_requirements_files() {
    let env = e2e!();
    let tree = assembled(
        env,
        "COPY dist ./dist\nRUN echo ./dist/gamma-2.0-py3-none-any.whl >more.txt && echo '--find-links dist' >>more.txt\nRUN pip install --no-index -r more.txt -r requirements.txt",
    );
    assert!(tree.get(&format!("{SITE}/gamma-2.0.dist-info/direct_url.json")).is_some());
    assembled(env, "COPY dist ./dist\nRUN pip install --no-index -f dist --require-hashes -r hashed.txt");
}

/// Links are followed as pip follows them; the name is the link's.
#[test]
fn links_on_the_way() {
    let env = e2e!();
    let body = "COPY dist /data/dist\nRUN ln -s /data/dist /wheels && ln -s beta-1.5-py3-none-any.whl /data/dist/beta-1.6-py3-none-any.whl\nRUN pip install --no-index -f /wheels 'beta==1.5' alpha==1.0";
    assembled(env, body);
    // A wheel whose name lies about its version is pip's to refuse, or not.
    let lying = "COPY dist /data/dist\nRUN cp /data/dist/gamma-2.0-py3-none-any.whl /data/dist/gamma-2.0-1-py3-none-any.whl\nRUN pip install --no-index -f /data/dist gamma";
    run(env, lying);
}

#[test]
fn what_is_left_alone() {
    let env = e2e!();
    for (body, why) in [
        (
            "COPY dist ./dist\nRUN mkdir -p /srv/.cache && cp -r dist /srv/.cache/dist\nRUN pip install --no-index -f /srv/.cache/dist gamma",
            "a wheel that comes neither by http nor from a plain path: gamma",
        ),
        ("COPY dist ./dist\nRUN pip install --no-index dist/beta-1.0*.whl", "a requirement by local path"),
        (
            "COPY dist ./dist\nRUN mkdir pkg && printf '[project]\\nname=\"pkg\"\\nversion=\"1\"\\n' >pkg/pyproject.toml\nRUN pip install --no-index --no-build-isolation ./pkg || pip install --no-index -f dist gamma",
            "a requirement by local path",
        ),
    ] {
        let (outcomes, _) = run(env, body);
        assert!(
            env.frontend.is_none() || outcomes.last().is_some_and(|it| it == why),
            "{body}: {outcomes:?}"
        );
    }
}
