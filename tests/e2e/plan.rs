//! `plinth plan` with a real uv against an index: one version per package where the requirements allow it, and a build
//! that takes it from the lock.

use std::path::Path;
use std::process::{Command, Output};

use crate::pip::{BASE, before, compare, wheels};
use crate::support::build::{Build, Side};
use crate::support::env::e2e;
use crate::support::files::Files;
use crate::support::image::Image;
use crate::support::index::Index;
use crate::support::report::Report;
use crate::support::wheel::{Made, Wheel};

/// The uv of `hack/index`, which `hack/test` names.
fn uv() -> String {
    std::env::var("PLINTH_UV").expect("PLINTH_UV isn't set: hack/test sets it to the uv of hack/index")
}

fn plan(tree: &Path, index: &str, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plinth"));
    command.current_dir(tree).args(["plan", "services", "-o", "platform", "--index-url", index]);
    command.args(more).env("PLINTH_UV", uv()).env("UV_CACHE_DIR", tree.join("cache"));
    command.output().unwrap()
}

fn service(install: &str) -> String {
    format!("FROM {BASE}\nRUN pip install {install}\n")
}

fn fleet() -> Files {
    Files::new()
        .with("services/api/Dockerfile", service("'alpha[fast]'"))
        .with("services/old/Dockerfile", service("'alpha<2' beta"))
        .with("services/pinned/Dockerfile", service("beta==1.0"))
        .with("services/newer/Dockerfile", service("'beta>=1.5'"))
        .with("services/gone/Dockerfile", service("gamma==9"))
        .with(
            "services/own/Dockerfile",
            "FROM python:3.11-slim\nCOPY c.txt /\nRUN pip install -c /c.txt alpha\n",
        )
        .with("services/own/c.txt", "alpha==2.0\n")
        .with("platform/plinth.toml", "version = 1\n")
}

#[test]
fn one_version_where_the_requirements_allow_it() {
    let env = e2e!();
    let index = Index::of(&wheels());
    let files = fleet();
    let first = plan(files.path(), &index.url(), &[]);
    let text = String::from_utf8(first.stdout).unwrap();
    assert_eq!(first.status.code(), Some(0), "{text}\n{}", String::from_utf8_lossy(&first.stderr));
    assert!(
        text.contains(
            "4 services planned: 3 with the shared versions, 1 with some of their own; 1 don't resolve"
        ),
        "{text}"
    );
    assert!(text.contains("Python 3.11: 4 packages, 3 with one version, 1 with more"), "{text}");
    assert!(text.contains("older than alone: api: alpha 1.0 and not 2.0"), "{text}");
    assert!(text.contains("left out: gone: Because there is no version of gamma==9"), "{text}");
    let read = |name: &str| std::fs::read_to_string(files.join(&format!("platform/{name}"))).unwrap();
    let constraints = read("constraints.txt");
    assert!(constraints.contains("\nalpha==1.0\n") && constraints.contains("# not for "), "{constraints}");
    let lock = read("plinth.lock");

    // Once more, the same; and that is what --check says.
    assert_eq!(plan(files.path(), &index.url(), &[]).status.code(), Some(0));
    assert_eq!((read("plinth.lock"), read("constraints.txt")), (lock.clone(), constraints));
    assert_eq!(plan(files.path(), &index.url(), &["--check"]).status.code(), Some(0));

    // One service more is one set more, and nothing else.
    files.write("services/another/Dockerfile", service("delta"));
    assert_eq!(plan(files.path(), &index.url(), &["--check"]).status.code(), Some(1));
    assert_eq!(read("plinth.lock"), lock, "--check writes nothing");
    assert_eq!(plan(files.path(), &index.url(), &[]).status.code(), Some(0));
    let more = read("plinth.lock");
    let added: Vec<&str> = more.lines().filter(|line| !lock.contains(line)).collect();
    assert_eq!(added, ["services = [\"another\"]", "requirements = [\"delta\"]"]);
    assert_eq!(lock.lines().filter(|line| !more.contains(line)).count(), 0);

    // What a team sets by hand binds the shared versions, and is left alone. Who can't have it goes apart.
    files.write("platform/overrides.txt", "alpha>1.5\n");
    assert_eq!(plan(files.path(), &index.url(), &[]).status.code(), Some(0));
    assert!(read("constraints.txt").contains("\nalpha==2.0\n"), "{}", read("constraints.txt"));
    assert!(read("constraints.txt").contains("# not for old\n"), "{}", read("constraints.txt"));
    assert_eq!(read("overrides.txt"), "alpha>1.5\n");
    std::fs::remove_file(files.join("platform/overrides.txt")).unwrap();
    files.write("platform/plinth.lock", &more);
    assert_eq!(plan(files.path(), &index.url(), &[]).status.code(), Some(0));
    assert_eq!(read("plinth.lock"), more);

    // What can't be obeyed is said, with its line; so is what nobody has.
    files.write("platform/overrides.txt", "# by hand\nalpha>\n");
    let output = plan(files.path(), &index.url(), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("platform/overrides.txt:2: "));
    files.write("platform/overrides.txt", "unheard-of<2\n");
    let output = plan(files.path(), &index.url(), &["--check"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("overrides.txt: no service has `unheard-of`"));
    std::fs::remove_file(files.join("platform/overrides.txt")).unwrap();

    // All files or none.
    let constraints = files.join("platform/constraints.txt");
    std::fs::remove_file(&constraints).unwrap();
    std::fs::create_dir(&constraints).unwrap();
    files.write("services/late/Dockerfile", service("gamma delta"));
    let output = plan(files.path(), &index.url(), &[]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    assert_eq!(read("plinth.lock"), more);
    std::fs::remove_dir(&constraints).unwrap();
    std::fs::remove_dir_all(files.join("services/late")).unwrap();
    // A lock of a later release is somebody's work.
    files.write("platform/plinth.lock", "version = 99\n");
    assert_eq!(plan(files.path(), &index.url(), &[]).status.code(), Some(2));
    files.write("platform/plinth.lock", &more);
    assert_eq!(plan(files.path(), &index.url(), &[]).status.code(), Some(0));

    // An index that is down, or that isn't one, changes nothing.
    for index in ["http://127.0.0.1:9/simple/", &format!("{}none/", index.url())] {
        let output = plan(files.path(), index, &["--upgrade"]);
        assert_eq!(output.status.code(), Some(2), "{index}: {}", String::from_utf8_lossy(&output.stdout));
        assert!(String::from_utf8_lossy(&output.stderr).contains("nothing was written"));
        assert_eq!(read("plinth.lock"), more);
    }

    // A build takes its versions from there.
    if env.frontend.is_none() {
        return;
    }
    let build = |service: &str| {
        let text = std::fs::read_to_string(files.join(&format!("services/{service}/Dockerfile"))).unwrap();
        let install = format!("RUN pip install --no-cache-dir -i {}", index.url());
        let context =
            Files::dockerfile(&text.replace("RUN pip install", &install)).with("c.txt", "alpha==2.0\n");
        let built = Build::new(env, Side::Plinth, context.path()).context("plinth", &files.join("platform"));
        Report::of_build(&built.run().ok()).unwrap().json()
    };
    for service in ["api", "newer"] {
        let report = build(service);
        assert!(report.contains("\"assembled\"") && !report.contains("outside_lock"), "{report}");
    }
    // Its author has decided.
    let own = build("own");
    assert!(own.contains("it has constraints of its own"), "{own}");
}

#[test]
fn a_service_more_changes_only_what_it_must() {
    e2e!();
    let version = |version: &str| Wheel::simple("alpha", version).file("alpha/data", "x").make();
    let index = Index::of(&[
        version("1.0"),
        version("1.1"),
        version("2.0"),
        Wheel::simple("beta", "1.0").make(),
        Wheel::simple("beta", "1.5").make(),
    ]);
    let apt = |install: &str| {
        format!("FROM {BASE}\nRUN apt-get update && apt-get install -y less\nRUN pip install {install}\n")
    };
    let files = Files::new()
        .with("services/new-1/Dockerfile", apt("'alpha>=2' beta"))
        .with("services/new-2/Dockerfile", service("'alpha>=2' beta"))
        .with("services/old/Dockerfile", apt("'alpha<2' beta"))
        .with("shared/README", "");
    for number in 0..6 {
        files.write(&format!("services/other-{number}/Dockerfile"), service("beta"));
    }
    let read = |name: &str| std::fs::read_to_string(files.join(&format!("platform/{name}"))).unwrap();
    let planned = || {
        let output = plan(files.path(), &index.url(), &[]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stderr).unwrap();
        // Nobody watches, so there is a line for each phase.
        let count = |text: &str| said.lines().filter(|line| *line == text).count();
        for phase in ["Python 3.11: requests with the plan", "what the wheels need", "layers"] {
            assert_eq!(count(phase), 1, "{said}");
        }
        let recipe = read("bases/python-3.11/Dockerfile");
        (read("plinth.lock"), recipe, String::from_utf8(output.stdout).unwrap())
    };
    // The lock may be a link to one that others have too.
    std::fs::create_dir_all(files.join("platform")).unwrap();
    std::os::unix::fs::symlink("../shared/plinth.lock", files.join("platform/plinth.lock")).unwrap();
    let (lock, recipe, _) = planned();
    assert!(files.join("shared/plinth.lock").is_file());
    assert!(lock.contains("versions = [\"alpha==1.1\"]"), "{lock}");
    assert!(recipe.contains("      less \\"), "{recipe}");

    // Two that are more, and want less: one version more, and it is only theirs. `less` is below one in five now.
    for name in ["late-1", "late-2"] {
        files.write(&format!("services/{name}/Dockerfile"), service("'alpha<1.1' beta"));
    }
    let (more, same, said) = planned();
    let without_reasons = |lock: &str| -> Vec<String> {
        lock.lines().filter(|line| !line.starts_with("reason")).map(str::to_owned).collect()
    };
    let (before, after) = (without_reasons(&lock), without_reasons(&more));
    assert_eq!(before.iter().filter(|line| !after.contains(line)).count(), 0, "{more}\n{said}");
    assert!(more.contains("versions = [\"alpha==1.0\"]"), "{more}");
    assert_eq!(same, recipe);
    assert!(files.join("platform/plinth.lock").is_symlink());

    // Chosen anew, one version less does.
    let output = plan(files.path(), &index.url(), &["--upgrade"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(!read("plinth.lock").contains("alpha==1.1"), "{}", read("plinth.lock"));
    assert!(!files.join("platform/bases/python-3.11").exists());
}

/// Two services with their plan, its lock, and its constraints.
fn planned(index: &Index) -> (Files, String, String) {
    let files = Files::new()
        .with("services/api/Dockerfile", service("'Alpha[fast]' gamma"))
        .with("services/old/Dockerfile", service("'alpha<2' beta"))
        .with("platform/plinth.toml", "version = 1\n");
    let planned = plan(files.path(), &index.url(), &[]);
    assert_eq!(planned.status.code(), Some(0), "{}", String::from_utf8_lossy(&planned.stderr));
    let read = |name: &str| std::fs::read_to_string(files.join(&format!("platform/{name}"))).unwrap();
    let (lock, constraints) = (read("plinth.lock"), read("constraints.txt"));
    (files, lock, constraints)
}

/// What was asked of the index: pages and metadata, and no wheels.
fn questions(index: &Index) -> Vec<String> {
    index.server.requests().into_iter().filter(|request| !request.ends_with(".whl")).collect()
}

#[test]
fn a_covered_install_asks_no_index() {
    let env = e2e!();
    if env.frontend.is_none() {
        return;
    }
    let index = Index::of(&wheels());
    let (files, lock, constraints) = planned(&index);
    assert!(lock.contains(&format!("index = \"{}\"", index.url())), "{lock}");
    let service = |install: &str| {
        let text = format!("FROM {BASE}\nENV PIP_INDEX_URL={}\nRUN {install}\n", index.url());
        Files::dockerfile(&text)
    };
    let build = |files: &Files, policy: &Path| {
        let built = Build::new(env, Side::Plinth, files.path()).context("plinth", policy).layout().run().ok();
        let report = Report::of_build(&built).unwrap();
        assert_eq!(report.treatments(), ["assembled"]);
        assert_eq!(report.steps()[0]["locked"], true, "{}", report.json());
        built.layout().image()
    };
    // What pip itself makes of it with the lock's versions.
    let same = |files: &Files, image: &Image| {
        let pip = "RUN --mount=type=bind,source=c.txt,target=/c.txt PIP_CONSTRAINT=/c.txt pip";
        let text = std::fs::read_to_string(files.join("Dockerfile")).unwrap().replace("RUN pip", pip);
        let constrained = Files::dockerfile(&text).with("c.txt", &constraints);
        let plain = Build::new(env, Side::Plain, constrained.path()).layout().run().ok().layout().image();
        compare(env, &plain, image, &before(env, &constrained)).assert_equal();
    };
    index.server.requests();
    let covered = service("pip install --no-cache-dir 'alpha[fast]' gamma");
    let image = build(&covered, &files.join("platform"));
    assert_eq!(questions(&index), Vec::<String>::new());
    same(&covered, &image);

    // With an index of its own, or another one than the lock's, that one is asked.
    index.server.requests();
    let own =
        service(&format!("pip install --no-cache-dir --extra-index-url {} gamma 'alpha[fast]'", index.url()));
    build(&own, &files.join("platform"));
    assert!(!questions(&index).is_empty());
    let other = lock.replace(&format!("index = \"{}\"", index.url()), "index = \"https://h/simple\"");
    let policy = Files::new().with("plinth.toml", "version = 1\n").with("plinth.lock", &other);
    let again = service("pip install --no-cache-dir 'alpha[fast]'");
    build(&again, policy.path());
    assert!(!questions(&index).is_empty());
    // So it is where another wheel of the same version may fit better.
    let other = lock.replace("x86_64-manylinux_2_36", "x86_64-manylinux_2_17");
    let policy = Files::new().with("plinth.toml", "version = 1\n").with("plinth.lock", &other);
    build(&again, policy.path());
    assert!(!questions(&index).is_empty());
    // What the lock says too little of is asked for.
    let unknown = lock.replace("requires = [\"beta", "requires = [\"unheard-of\", \"beta");
    assert_ne!(unknown, lock);
    let policy = Files::new().with("plinth.toml", "version = 1\n").with("plinth.lock", &unknown);
    let image = build(&covered, policy.path());
    assert!(!questions(&index).is_empty());
    same(&covered, &image);

    // So is an extra that a stub doesn't have: pip itself would only warn, and leave out what it needs.
    let trimmed = lock.replace("extras = [\"fast\"]\n", "");
    assert_ne!(trimmed, lock);
    let policy = Files::new().with("plinth.toml", "version = 1\n").with("plinth.lock", &trimmed);
    let image = build(&again, policy.path());
    assert!(!questions(&index).is_empty());
    same(&again, &image);
}

#[test]
fn uv_asks_no_index_either() {
    let env = e2e!();
    if env.frontend.is_none() {
        return;
    }
    let index = Index::of(&wheels());
    let (_files, lock, constraints) = planned(&index);
    let service = |constraint: &str, install: &str| {
        Files::dockerfile(&format!(
            "FROM {BASE}\nRUN pip install --no-cache-dir {}\nENV UV_DEFAULT_INDEX={}\n\
             RUN rm /usr/lib/python3.11/EXTERNALLY-MANAGED\n\
             RUN {constraint}uv pip install --system --no-cache {install}\n",
            crate::uv::pin(),
            index.url()
        ))
        .with("c.txt", &constraints)
    };
    let same_with = |lock: &str, install: &str| {
        let policy = Files::new().with("plinth.toml", "version = 1\n").with("plinth.lock", lock);
        let covered = service("", install);
        index.server.requests();
        let built = Build::new(env, Side::Plinth, covered.path())
            .context("plinth", policy.path())
            .layout()
            .run()
            .ok();
        let asked = questions(&index);
        let report = Report::of_build(&built).unwrap();
        assert_eq!(report.treatments(), ["assembled", "assembled"], "{}", report.json());
        assert_eq!(report.steps()[1]["locked"], true, "{}", report.json());
        let own = service("--mount=type=bind,source=c.txt,target=/c.txt UV_CONSTRAINT=/c.txt ", install);
        let plain = Build::new(env, Side::Plain, own.path()).layout().run().ok();
        let base = before(env, &covered);
        compare(env, &plain.layout().image(), &built.layout().image(), &base).assert_equal();
        asked
    };
    assert_eq!(same_with(&lock, "'alpha[fast]' gamma"), Vec::<String>::new());
    // With another platform's wheels, or too little said of them, the index is asked.
    let other = lock.replace("x86_64-manylinux_2_36", "x86_64-manylinux_2_17");
    assert_ne!(other, lock);
    assert!(!same_with(&other, "gamma").is_empty());
    let unknown = lock.replace("requires = [\"beta", "requires = [\"unheard-of\", \"beta");
    assert_ne!(unknown, lock);
    assert!(!same_with(&unknown, "'alpha[fast]'").is_empty());
    let trimmed = lock.replace("extras = [\"fast\"]\n", "");
    assert_ne!(trimmed, lock);
    assert!(!same_with(&trimmed, "'alpha[fast]'").is_empty());
    // What is installed already has to be what the lock says: here uv would remove it first.
    let covered = service("", "'alpha[fast]'");
    let text = std::fs::read_to_string(covered.join("Dockerfile")).unwrap();
    let older = "RUN uv pip install --system --no-cache beta==1.0\nRUN uv pip";
    covered.write("Dockerfile", text.replace("RUN uv pip", older));
    let policy = Files::new().with("plinth.toml", "version = 1\n").with("plinth.lock", &lock);
    let built = Build::new(env, Side::Plinth, covered.path()).context("plinth", policy.path()).run().ok();
    let report = Report::of_build(&built).unwrap();
    let reason = report.steps()[2]["reason"].to_string();
    assert!(reason.contains("an uninstall by uv: beta"), "{}", report.json());
    // Its own index is asked.
    let own = format!("--default-index {} gamma", index.url());
    assert!(!same_with(&lock, &own).is_empty());
}

#[test]
fn what_patch_releases_need_is_planned() {
    let env = e2e!();
    let omega = Wheel::simple("omega", "1.0")
        .metadata("Requires-Dist: beta>=1.5; python_full_version > \"3.11.0\"")
        .metadata("Requires-Dist: delta; python_full_version < \"3.11.1\"")
        .make();
    let index = Index::of(&[wheels(), vec![omega]].concat());
    let files = Files::new()
        .with("services/one/Dockerfile", service("omega"))
        .with("services/none/Dockerfile", service("omega beta==1.0"))
        .with("platform/plinth.toml", "version = 1\n");
    let planned = plan(files.path(), &index.url(), &[]);
    let text = String::from_utf8(planned.stdout).unwrap();
    assert_eq!(planned.status.code(), Some(0), "{text}");
    // Only on the very first release could it have that beta.
    assert!(text.contains("left out: none: Because "), "{text}");
    let constraints = std::fs::read_to_string(files.join("platform/constraints.txt")).unwrap();
    let pins: Vec<&str> = constraints.lines().filter(|line| line.contains("==")).collect();
    assert_eq!(pins, ["beta==1.5", "delta==1.0.post1", "omega==1.0"]);
    // A newer version that wants a late patch release isn't for all.
    let needs = |name: &str, needs: &str| {
        let needs = format!("Requires-Dist: {needs}; python_full_version < \"3.11.3\"");
        Wheel::simple(name, "1.0").metadata(&needs).make()
    };
    let of = |services: &[&str], wheels: &[Made]| {
        let index = Index::of(wheels);
        let files = Files::new().with("platform/plinth.toml", "version = 1\n");
        for name in services {
            files.write(&format!("services/{name}/Dockerfile"), service(name));
        }
        let planned = plan(files.path(), &index.url(), &[]);
        assert_eq!(planned.status.code(), Some(0), "{}", String::from_utf8_lossy(&planned.stderr));
        let constraints = std::fs::read_to_string(files.join("platform/constraints.txt")).unwrap();
        constraints.lines().filter(|line| line.contains("==")).map(str::to_owned).collect::<Vec<_>>()
    };
    let at = |version: &str| Wheel::simple("at", version).make();
    let late = Wheel::simple("late", "1.0").metadata("Requires-Python: >=3.11.4").make();
    let early = Wheel::simple("late", "0.9").make();
    let found = of(&["one", "late"], &[needs("one", "at>=4"), at("4.0"), late, early]);
    assert_eq!(found, ["at==4.0", "late==0.9", "one==1.0"]);
    // Nothing is right for the first release: then it is for the later ones.
    let both = [needs("one", "at>=5"), needs("two", "at<5,>=4"), at("4.0"), at("5.0")];
    assert_eq!(of(&["one", "two"], &both), ["one==1.0", "two==1.0"]);
    if env.frontend.is_none() {
        return;
    }
    let install = format!("RUN pip install --no-cache-dir -i {} omega", index.url());
    let context = Files::dockerfile(&format!("FROM {BASE}\n{install}\n"));
    let built = Build::new(env, Side::Plinth, context.path()).context("plinth", &files.join("platform"));
    let report = Report::of_build(&built.run().ok()).unwrap();
    assert_eq!(report.steps()[0]["locked"], true, "{}", report.json());
    assert_eq!(report.steps()[0]["distributions"], 2, "{}", report.json());
}
