//! A fleet's lock decides the versions of the installs that it covers: what comes out is what pip gives with the lock's
//! versions as constraints. All others are resolved as without a lock, and the report says why.

use crate::pip::{BASE, before, compare, wheels};
use crate::support::build::{Build, Built, Side};
use crate::support::env::{Env, e2e};
use crate::support::files::Files;
use crate::support::index::Index;
use crate::support::report::Report;

/// Older versions than an index gives by itself, for all that ask for `alpha` and `gamma`, and for one that wants another
/// `beta`.
const LOCK: &str = r#"version = 3
platform = "x86_64-manylinux_2_36"
package = [
  { python = "3.11", name = "alpha", version = "1.0", url = "https://h/a.whl", sha256 = "00" },
  { python = "3.11", name = "beta", version = "1.0", url = "https://h/b.whl", sha256 = "00" },
  { python = "3.11", name = "beta", version = "1.5", url = "https://h/b.whl", sha256 = "00", apart = true },
  { python = "3.11", name = "delta", version = "1.0.post1", url = "https://h/d.whl", sha256 = "00" },
  { python = "3.11", name = "gamma", version = "2.0", url = "https://h/g.whl", sha256 = "00" },
]

[[set]]
python = "3.11"
services = ["api"]
requirements = ["alpha[fast]", "gamma"]

[[set]]
python = "3.11"
services = ["other"]
requirements = ["alpha", "beta>=1.5"]
versions = ["beta==1.5"]
reason = "it wants a newer beta"
"#;

/// What the lock comes to for the first of its sets, and for the second.
const SHARED: &str = "alpha==1.0\nbeta==1.0\ndelta==1.0.post1\ngamma==2.0\n";
const OTHER: &str = "alpha==1.0\nbeta==1.5\ndelta==1.0.post1\ngamma==2.0\n";

fn policy(lock: &str) -> Files {
    Files::new().with("plinth.toml", "version = 1\n").with("plinth.lock", lock)
}

/// Builds through plinth, with a policy and its lock as named context.
fn through_plinth(env: &Env, files: &Files, policy: &Files) -> Built {
    Build::new(env, Side::Plinth, files.path()).context("plinth", policy.path()).layout().run()
}

/// The `outside_lock` of each assembled step, and the reasons of all others.
fn outside(built: &Built) -> Vec<Option<String>> {
    let report = Report::of_build(built).unwrap();
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    report.steps().iter().map(|step| text(&step["outside_lock"]).or_else(|| text(&step["reason"]))).collect()
}

/// Builds `install` plain with these constraints in pip's own variable, and through plinth with the lock.
#[track_caller]
fn same_as_constrained(env: &Env, install: &str, files: &[(&str, &str)], constraints: &str) {
    let index = Index::of(&wheels());
    let install = install.replace("@INDEX@", &index.url());
    let dockerfile = |run: &str| format!("FROM {BASE}\nWORKDIR /app\nCOPY *.in ./\nRUN {run}{install}\n");
    let context = |dockerfile: String| {
        let context = Files::dockerfile(&dockerfile).with("none.in", "");
        files.iter().for_each(|(name, text)| context.write(name, text));
        context
    };
    let constrained =
        context(dockerfile("--mount=type=bind,source=c.txt,target=/c.txt PIP_CONSTRAINT=/c.txt "))
            .with("c.txt", constraints);
    let plain = Build::new(env, Side::Plain, constrained.path()).layout().run().ok();
    let files = context(dockerfile(""));
    let plinth = through_plinth(env, &files, &policy(LOCK)).ok();
    if env.frontend.is_some() {
        assert_eq!(outside(&plinth), [None]);
        let report = Report::of_build(&plinth).unwrap();
        assert_eq!(report.treatments(), ["assembled"]);
        assert_eq!(report.steps()[0]["locked"], true, "{}", report.json());
    }
    let base = before(env, &files);
    compare(env, &plain.layout().image(), &plinth.layout().image(), &base).assert_equal();
}

#[test]
fn a_covered_install_has_the_locks_versions() {
    let env = e2e!();
    if env.frontend.is_none() {
        return;
    }
    // Written otherwise than in the lock, and a part of what is planned.
    same_as_constrained(
        env,
        "pip install --no-cache-dir -i @INDEX@ -r r.in",
        &[("r.in", "# web\nAlpha[FAST]  # pinned by the lock\n")],
        SHARED,
    );
    same_as_constrained(env, "pip install --no-cache-dir -i @INDEX@ 'beta >= 1.5' alpha", &[], OTHER);
}

#[test]
fn an_install_outside_of_the_lock_is_resolved_as_without() {
    let env = e2e!();
    if env.frontend.is_none() {
        return;
    }
    let index = Index::of(&wheels());
    let url = index.url();
    let text = format!(
        "FROM {BASE}\nCOPY c.txt /c.txt\nENV PIP_NO_CACHE_DIR=1 PIP_INDEX_URL={url}\nRUN pip install 'gamma>1'\n\
         RUN pip install gamma delta\nRUN pip install -c /c.txt alpha\nRUN for p in beta; do pip install $p; done\n"
    );
    let files = Files::dockerfile(&text).with("c.txt", "alpha<2\n");
    let with = through_plinth(env, &files, &policy(LOCK)).ok();
    let reasons = outside(&with);
    assert_eq!(reasons[0].as_deref(), Some("the lock doesn't cover `gamma>1`"));
    // gamma is there already, so only delta is installed.
    assert_eq!(reasons[1].as_deref(), Some("the lock doesn't cover `delta`"));
    assert_eq!(reasons[2].as_deref(), Some("it has constraints of its own"));
    assert!(reasons[3].as_deref().unwrap().ends_with("; it takes no versions from the lock"), "{reasons:?}");
    let without = Build::new(env, Side::Plinth, files.path()).layout().run().ok();
    let base = before(env, &files);
    compare(env, &without.layout().image(), &with.layout().image(), &base).assert_equal();
}

#[test]
fn a_lock_that_fits_nothing_that_is_installed_is_left_out() {
    let env = e2e!();
    if env.frontend.is_none() {
        return;
    }
    let index = Index::of(&wheels());
    let lock = LOCK.replace("\"1.0\", url = \"https://h/a.whl\"", "\"9.9\", url = \"https://h/a.whl\"");
    let text =
        format!("FROM {BASE}\nRUN pip install --no-cache-dir -i {} gamma 'alpha[fast]'\n", index.url());
    let files = Files::dockerfile(&text);
    let built = through_plinth(env, &files, &policy(&lock)).ok();
    assert_eq!(outside(&built), [Some("pip finds no answer with the versions of the lock".to_owned())]);
    assert_eq!(Report::of_build(&built).unwrap().treatments(), ["assembled"]);
}

#[test]
fn a_broken_lock_stops_the_build() {
    let env = e2e!();
    if env.frontend.is_none() {
        return;
    }
    let files = Files::dockerfile(&format!("FROM {BASE}\nRUN true\n"));
    for (lock, message) in [
        ("version = 7\n", "plinth.lock beside the policy: it has format 7, and this release knows 3"),
        ("version = 3\nplatfrom = 1\n", "plinth.lock beside the policy: it is no plinth.lock"),
    ] {
        let built = through_plinth(env, &files, &policy(lock));
        assert_eq!(built.code, Some(1));
        assert!(built.error().contains(message), "{}", built.error());
    }
}

#[test]
fn the_lock_comes_from_where_the_policy_is() {
    let env = e2e!();
    if env.frontend.is_none() {
        return;
    }
    let index = Index::of(&wheels());
    let text =
        format!("FROM {BASE}\nRUN pip install --no-cache-dir -i {} gamma 'alpha[fast]'\n", index.url());
    // Beside the Dockerfile.
    let files = Files::dockerfile(&text).with("plinth.toml", "version = 1\n").with("plinth.lock", LOCK);
    let built = Build::new(env, Side::Plinth, files.path()).layout().run().ok();
    assert_eq!(outside(&built), [None]);
    let shared = Report::of_build(&built).unwrap().json();
    assert!(shared.contains("alpha 1.0") || shared.contains("\"tail\": 4"), "{shared}");
    // Baked into the organisation's frontend image.
    let frontend = env.frontend.as_deref().unwrap();
    let image = format!("{}/lock-test/plinth:1", env.registry);
    let own = Files::dockerfile(&format!("FROM {frontend}\nCOPY plinth.toml plinth.lock /\n"))
        .with("plinth.toml", "version = 1\n")
        .with("plinth.lock", LOCK);
    Build::new(env, Side::Plain, own.path()).push(&image).run().ok();
    let bare = Files::dockerfile(&text);
    let built = Build::new(env, Side::Plain, bare.path()).arg("BUILDKIT_SYNTAX", &image).layout().run().ok();
    assert_eq!(outside(&built), [None]);
}

#[test]
fn uv_has_the_locks_versions_too() {
    let env = e2e!();
    if env.frontend.is_none() {
        return;
    }
    let index = Index::of(&wheels());
    let uv = |constraint: &str, install: &str| {
        let url = index.url();
        Files::dockerfile(&format!(
            "FROM {BASE}\nRUN pip install --no-cache-dir {}\nENV UV_DEFAULT_INDEX={url}\n\
             RUN rm /usr/lib/python3.11/EXTERNALLY-MANAGED\n\
             RUN {constraint}uv pip install --system --no-cache {install}\n",
            crate::uv::pin()
        ))
    };
    let constrained =
        uv("--mount=type=bind,source=c.txt,target=/c.txt UV_CONSTRAINT=/c.txt ", "'alpha[fast]'")
            .with("c.txt", SHARED);
    let plain = Build::new(env, Side::Plain, constrained.path()).layout().run().ok();
    let files = uv("", "'alpha[fast]'");
    let plinth = through_plinth(env, &files, &policy(LOCK)).ok();
    let report = Report::of_build(&plinth).unwrap();
    assert_eq!(report.treatments(), ["assembled", "assembled"], "{}", report.json());
    assert_eq!(report.steps()[1]["locked"], true, "{}", report.json());
    let base = before(env, &files);
    compare(env, &plain.layout().image(), &plinth.layout().image(), &base).assert_equal();
    // What it doesn't have is resolved as without it.
    let built = through_plinth(env, &uv("", "'gamma>1'"), &policy(LOCK)).ok();
    assert_eq!(outside(&built)[1].as_deref(), Some("the lock doesn't cover `gamma>1`"));
}
