//! What the resolve step says, against what pip then really does in the same environment.
//!
//! With `PLINTH_TEST_PIPS=DIR` (a directory of pip wheels) each of those pips is tried as well.

#![allow(clippy::unwrap_used)]

mod resolve_index;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use plinth_layers::resolution::{Outcome, Plan, Resolution};
use plinth_layers::steps::{fetch, resolve};
use resolve_index::{Index, Venv, is_root, other_pips};

/// Names and versions by the `dist-info` directories.
fn installed(venv: &Venv) -> BTreeSet<String> {
    venv.dist_infos().iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

fn key(name: &str, version: &str) -> String {
    format!("{}-{version}", name.replace(['-', '.'], "_"))
}

fn key_of(stem: &str) -> String {
    let (name, version) = stem.rsplit_once('-').unwrap();
    key(name, version)
}

/// Resolves, then installs for real, and compares everything that the resolution claims.
fn compare(venv: &Venv, argv: &[&str]) {
    venv.save();
    let plan = venv.plan(argv);
    let before = installed(venv);
    let output = venv.run(argv);
    let after = installed(venv);

    let new: BTreeSet<_> = after.difference(&before).map(|stem| key_of(stem)).collect();
    let claimed: BTreeSet<_> = plan.install.iter().map(|d| key(&d.name, &d.version)).collect();
    assert_eq!(claimed, new, "{argv:?}");
    let gone: BTreeSet<_> = before.difference(&after).map(|stem| key_of(stem)).collect();
    let removed: BTreeSet<_> = plan.remove.iter().map(|d| key(&d.name, &d.version)).collect();
    assert_eq!(removed, gone, "{argv:?}");

    // pip names what it installs in the order in which it does so.
    let order = output.lines().find_map(|line| line.strip_prefix("Installing collected packages: "));
    if let Some(order) = order {
        let plain = |name: &str| name.to_lowercase().replace(['_', '.'], "-");
        let claimed: Vec<_> = plan.install.iter().map(|d| plain(&d.name)).collect();
        assert_eq!(claimed.join(", "), plain(order), "{argv:?}");
    }
    for dist in &plan.install {
        let stem = key(&dist.name, &dist.version);
        let dirs = venv.dist_infos();
        let info =
            dirs.iter().find(|path| key_of(path.file_stem().unwrap().to_str().unwrap()) == stem).unwrap();
        assert_eq!(info.join("REQUESTED").exists(), dist.requested, "{argv:?} {stem}");
        let direct = fs::read_to_string(info.join("direct_url.json")).ok();
        assert_eq!(dist.direct_url, direct, "{argv:?} {stem}");
        assert_eq!(fs::read_to_string(info.join("INSTALLER")).unwrap().trim(), plan.installer);
        assert!(info.starts_with(&plan.scheme.purelib));
        let script = fs::read_to_string(Path::new(&plan.scheme.scripts).join(&dist.name)).unwrap();
        assert_eq!(script.lines().next().unwrap(), format!("#!{}", plan.interpreter.executable), "{argv:?}");
    }
    venv.restore();
}

fn each_pip(test: impl Fn(&Index, &Venv, &str)) {
    let index = Index::start();
    let pips: Vec<Option<PathBuf>> =
        std::iter::once(None).chain(other_pips().into_iter().map(Some)).collect();
    for pip in pips {
        let venv = Venv::new(&index, pip.as_deref());
        let version = venv.run(&["pip", "--version"]).split_whitespace().nth(1).unwrap().to_owned();
        eprintln!("pip {version}");
        if is_root() {
            test(&index, &venv, &version);
        } else {
            assert_eq!(venv.refusal(&["pip", "install", "beta"]), "an install by a user other than root");
        }
    }
}

/// Wheels that are files of the state: found by `--find-links`, or named by path and URL.
#[test]
fn wheels_that_are_files() {
    each_pip(|index, venv, _| {
        let house = venv.app().join("wheels");
        fs::create_dir_all(&house).unwrap();
        for stem in ["alpha-1.0", "beta-2.0", "gamma-1.0"] {
            let file = format!("{stem}-py3-none-any.whl");
            fs::copy(index.dir.path().join("files").join(&file), house.join(&file)).unwrap();
        }
        let url = format!("file://{}/beta-2.0-py3-none-any.whl", house.display());
        let by_name = ["pip", "install", "--no-index", "--find-links=wheels", "alpha"];
        compare(venv, &by_name);
        let plan = venv.plan(&by_name);
        assert!(plan.install.iter().all(|wheel| wheel.path().is_some_and(|path| path.is_file())));
        let out = tempfile::tempdir().unwrap();
        fetch::run(&Resolution::of(Outcome::Assemble(Box::new(plan.clone()))), out.path()).unwrap();
        for wheel in &plan.install {
            assert_eq!(
                fs::read(out.path().join(&wheel.filename)).unwrap(),
                fs::read(wheel.path().unwrap()).unwrap()
            );
        }
        let by_path =
            ["pip", "install", "--no-index", "-fwheels", "./wheels/alpha-1.0-py3-none-any.whl", &url];
        compare(venv, &by_path);
        // Another file in its place is not fetched.
        fs::copy(house.join("gamma-1.0-py3-none-any.whl"), house.join("beta-2.0-py3-none-any.whl")).unwrap();
        let empty = tempfile::tempdir().unwrap();
        let error = fetch::run(&Resolution::of(Outcome::Assemble(Box::new(plan))), empty.path()).unwrap_err();
        assert!(error.to_string().contains("SHA-256 is"), "{error}");
    });
}

/// With secrets, no address is kept, and wheels are found again by name.
#[test]
fn no_address_in_a_step_with_secrets() {
    each_pip(|index, venv, _| {
        let argv = ["pip", "install", "--no-cache-dir", "alpha"];
        let mut context = venv.context(&argv);
        context.secrets = Some(vec!["PIP_INDEX_URL".to_owned()]);
        let resolution = resolve::resolve(&context).unwrap();
        let text = serde_json::to_string(&resolution).unwrap();
        assert!(!text.contains("://") && !text.contains(index.url.trim_start_matches("http://")), "{text}");
        let Outcome::Assemble(plan) = resolution.outcome else { panic!("{text}") };
        let known = venv.plan(&argv);
        let names = |plan: &Plan| -> Vec<_> {
            plan.install.iter().map(|wheel| (wheel.filename.clone(), wheel.sha256.clone())).collect()
        };
        assert_eq!(names(&plan), names(&known));
    });
}

#[test]
fn the_set_order_and_marks_are_those_of_a_real_install() {
    each_pip(|index, venv, _| {
        let app = venv.app();
        fs::write(app.join("c.txt"), "beta<2\n").unwrap();
        fs::write(
            app.join("r.txt"),
            "# why\nalpha[more] \\\n ; python_version > '3'\n-c c.txt\nabsent;os_name=='x'\n",
        )
        .unwrap();
        let hashed: String = ["alpha-1.0", "beta-2.0", "gamma-1.0"]
            .iter()
            .map(|stem| {
                let sha256 = index.sha256(&format!("{stem}-py3-none-any.whl"));
                format!("{} --hash=sha256:{sha256}\n", stem.replace('-', "=="))
            })
            .collect();
        fs::write(app.join("hashed.txt"), hashed).unwrap();
        for argv in [
            &["pip", "install", "alpha"][..],
            &["pip", "install", "--no-cache-dir", "-r", "r.txt"],
            &["pip", "install", "-qr", "r.txt"],
            &["pip", "--quiet", "install", "alpha[more]==1.0", "-cc.txt"],
            &["python", "-m", "pip", "install", "alpha", "beta==1.0"],
            &["python3", "-u", "-m", "pip", "install", "--", "alpha"],
            &["pip", "install", "--no-deps", "alpha"],
            &["pip", "install", "--pre", "alpha"],
            &["pip", "install", "delta"],
            &["pip", "install", "nohash", "mixed-case-NAME"],
            &["pip", "install", "lazy"],
            &["pip", "install", "--require-hashes", "-r", "hashed.txt"],
        ] {
            compare(venv, argv);
        }
    });
}

#[test]
fn what_is_there_already_counts_and_is_replaced_as_pip_does() {
    each_pip(|_, venv, _| {
        venv.run(&["pip", "install", "-q", "beta==1.0"]);
        compare(venv, &["pip", "install", "beta"]);
        compare(venv, &["pip", "install", "-U", "beta"]);
        compare(venv, &["pip", "install", "beta==2.0"]);
        compare(venv, &["pip", "install", "--pre", "alpha"]);
        compare(venv, &["pip", "install", "picky", "alpha"]);
        let plan = venv.plan(&["pip", "install", "beta", "gamma"]);
        assert_eq!(plan.satisfied, ["beta 1.0"]);
        assert_eq!(plan.install.len(), 1);
        let plan = venv.plan(&["pip", "install", "beta>1"]);
        let info = venv.dist_infos().into_iter().find(|path| path.ends_with("beta-1.0.dist-info")).unwrap();
        assert_eq!(Path::new(&plan.remove[0].dist_info), info);
    });
}

#[test]
fn a_wheel_by_url_keeps_its_origin() {
    each_pip(|index, venv, _| {
        let url = format!("{}/files/gamma-1.0-py3-none-any.whl", index.url);
        let pinned = format!("gamma @ {url}#sha256={}", index.sha256("gamma-1.0-py3-none-any.whl"));
        for requirement in [url.as_str(), pinned.as_str()] {
            compare(venv, &["pip", "install", requirement]);
        }
    });
}

#[test]
fn what_is_remembered_is_what_pip_computes() {
    let memo = include_str!("../src/pip/memo.py");
    let check = include_str!("resolve_index/remembered.py");
    each_pip(|_, venv, version| {
        fs::write(venv.app().join("check.py"), [memo, check].concat()).unwrap();
        venv.run(&["pip", "install", "-q", "alpha[more]"]);
        assert_eq!(venv.run(&["python", "check.py"]).trim(), "remembered", "pip {version}");
    });
}

#[test]
fn metadata_from_the_index_saves_the_download() {
    let index = Index::start();
    let venv = Venv::new(&index, None);
    if !is_root() {
        return;
    }
    let plan = venv.plan(&["pip", "install", "lazy"]);
    assert_eq!(plan.install.len(), 2);
    for dist in &plan.install {
        assert_eq!(dist.sha256, index.sha256(&dist.filename));
    }
    let log = index.log();
    assert!(log.contains("GET /files/lazy-1.0-py3-none-any.whl.metadata"), "{log}");
    assert!(!log.contains("lazy-1.0-py3-none-any.whl HTTP"), "{log}");
    assert!(!log.contains("lazy_dep-1.0-py3-none-any.whl HTTP"), "{log}");
}

#[test]
fn what_pip_would_do_otherwise_is_refused() {
    let index = Index::start();
    let venv = Venv::new(&index, None);
    if !is_root() {
        return;
    }
    let refusal = |argv: &[&str]| venv.refusal(argv);
    assert_eq!(refusal(&["pip", "install", "source"]), "needs a source build: source");
    assert_eq!(
        refusal(&["pip", "install", "nowhere"]),
        "pip could not resolve it: No matching distribution found for nowhere"
    );
    assert!(refusal(&["pip", "install", "picky", "beta>=2"]).starts_with("pip could not resolve it: "));
    assert_eq!(refusal(&["pip", "install", "-r", "none"]), "a requirements file that can't be read");
    assert_eq!(refusal(&["pip9", "install", "x"]), "not a pip command");
    assert_eq!(refusal(&["pip3.99", "install", "x"]), "a program that is not in PATH");
    assert_eq!(refusal(&["uv", "pip", "install", "--system", "x"]), "a program that is not in PATH");

    // Configuration.
    let config = venv.home().join(".pip");
    fs::create_dir(&config).unwrap();
    fs::write(config.join("pip.conf"), "[install]\ntarget = /x\n[download]\ndest = /y\n").unwrap();
    assert_eq!(refusal(&["pip", "install", "beta"]), "pip configuration key target");
    fs::write(config.join("pip.conf"), "[global]\nextra-index-url = https://me:hunter2@127.0.0.1:1/\n")
        .unwrap();
    assert_eq!(refusal(&["pip", "install", "--no-index", "beta"]), "the index needs credentials");
    fs::write(config.join("pip.conf"), "[global]\ntimeout = 9\nuser = no\n[search]\nx = y\n").unwrap();
    assert_eq!(venv.plan(&["pip", "install", "beta==1.0"]).install.len(), 1);
    fs::write(venv.home().join(".netrc"), "").unwrap();
    assert_eq!(refusal(&["pip", "install", "beta"]), "a netrc file, so the index may need credentials");
    fs::remove_file(venv.home().join(".netrc")).unwrap();

    fs::write(config.join("pip.conf"), "[global]\nconstraint = c.txt\n").unwrap();
    assert_eq!(refusal(&["pip", "install", "beta"]), "pip configuration key constraint");
    fs::remove_file(config.join("pip.conf")).unwrap();

    // Modules that run before pip, or in its place.
    let site = PathBuf::from(venv.plan(&["pip", "install", "beta"]).scheme.purelib);
    // One of the system, as Debian's Python has it, goes first, and then this one isn't run.
    let python = std::process::Command::new(venv.venv().join("bin/python"));
    let of_system = { python }.args(["-c", "import sitecustomize"]).output().unwrap().status.success();
    fs::write(site.join("sitecustomize.py"), "").unwrap();
    if !of_system {
        assert_eq!(refusal(&["pip", "install", "beta"]), "a sitecustomize or usercustomize module");
    }
    fs::remove_file(site.join("sitecustomize.py")).unwrap();
    fs::write(venv.app().join("pip.py"), "").unwrap();
    assert_eq!(
        refusal(&["python", "-m", "pip", "install", "beta"]),
        "a module in the working directory that shadows pip"
    );
    assert_eq!(venv.plan(&["pip", "install", "beta"]).install[0].name, "gamma");

    // A wrapper instead of pip's own script.
    let script = venv.venv().join("bin/pip");
    fs::write(&script, "#!/bin/sh\nexec python -m pip \"$@\"\n").unwrap();
    assert_eq!(refusal(&["pip", "install", "beta"]), "a pip that is not the script pip installs");

    // An environment that steers, or is followed.
    let mut context = venv.context(&["pip3", "install", "beta"]);
    fs::write(venv.app().join("c.txt"), "beta<2").unwrap();
    context.env.push(("PIP_CONSTRAINT".into(), "c.txt".into()));
    match resolve::resolve(&context).unwrap().outcome {
        Outcome::Assemble(plan) => assert_eq!(plan.install[0].version, "1.0"),
        other => panic!("{other:?}"),
    }
    fs::write(venv.app().join("c.txt"), "beta @ git+https://h/x").unwrap();
    assert_eq!(
        resolve::resolve(&context).unwrap().outcome,
        Outcome::Refuse { reason: "a requirement from version control".into() }
    );
    context.env.push(("PYTHONOPTIMIZE".into(), "1".into()));
    assert_eq!(
        resolve::resolve(&context).unwrap().outcome,
        Outcome::Refuse { reason: "environment variable PYTHONOPTIMIZE".into() }
    );
}

#[test]
fn an_install_that_is_no_dist_info_is_not_replaced() {
    let index = Index::start();
    let venv = Venv::new(&index, None);
    if !is_root() {
        return;
    }
    let site = PathBuf::from(venv.plan(&["pip", "install", "beta"]).scheme.purelib);
    let info = site.join("gamma-0.5.egg-info");
    fs::create_dir(&info).unwrap();
    fs::write(info.join("PKG-INFO"), "Metadata-Version: 1.0\nName: gamma\nVersion: 0.5\n").unwrap();
    assert_eq!(venv.refusal(&["pip", "install", "gamma>=1"]), "gamma can't be uninstalled by its RECORD");
}

#[test]
fn a_prefix_behind_a_symlink_is_refused() {
    let index = Index::start();
    let venv = Venv::new(&index, None);
    if !is_root() {
        return;
    }
    let lib = venv.venv().join("lib");
    let away = venv.app().join("lib");
    fs::rename(&lib, &away).unwrap();
    std::os::unix::fs::symlink(&away, &lib).unwrap();
    assert_eq!(
        venv.refusal(&["pip", "install", "beta"]),
        "an install prefix that is reached through a symlink"
    );
}

#[test]
fn the_same_question_gives_the_same_bytes() {
    let index = Index::start();
    let venv = Venv::new(&index, None);
    if !is_root() {
        return;
    }
    let ask = || {
        let resolution = resolve::resolve(&venv.context(&["pip", "install", "delta", "picky"])).unwrap();
        serde_json::to_string(&resolution).unwrap()
    };
    let first = ask();
    assert!(first.contains("\"kind\":\"assemble\""), "{first}");
    assert_eq!(ask(), first);
}

#[test]
fn the_wheels_of_a_plan_are_fetched_and_checked() {
    use std::os::unix::fs::MetadataExt as _;
    let index = Index::start();
    let venv = Venv::new(&index, None);
    if !is_root() {
        return;
    }
    let mut plan = venv.plan(&["pip", "install", "beta"]);
    let out = tempfile::tempdir().unwrap();
    let wrap = |plan| Resolution::of(Outcome::Assemble(Box::new(plan)));
    fetch::run(&wrap(plan.clone()), out.path()).unwrap();
    for dist in &plan.install {
        let meta = fs::metadata(out.path().join(&dist.filename)).unwrap();
        assert_eq!((meta.mtime(), meta.mode() & 0o7777), (315_532_800, 0o644));
        let bytes = fs::read(out.path().join(&dist.filename)).unwrap();
        use sha2::Digest as _;
        assert_eq!(hex::encode(sha2::Sha256::digest(bytes)), dist.sha256);
    }
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 2);

    // A checksum that differs, and text that would mean something else to pip.
    let empty = tempfile::tempdir().unwrap();
    plan.install[0].sha256 = "0".repeat(64);
    let error = fetch::run(&wrap(plan.clone()), empty.path()).unwrap_err().to_string();
    assert!(error.starts_with("fetch: pip could not download the wheels"), "{error}");
    plan.install[0].url.push_str("\n--extra-index-url http://h");
    let error = fetch::run(&wrap(plan.clone()), empty.path()).unwrap_err().to_string();
    assert_eq!(error, format!("fetch: {}: a name, URL or checksum of an unusual form", plan.install[0].name));
    let refused = Resolution::of(Outcome::Refuse { reason: "x".into() });
    assert_eq!(
        fetch::run(&refused, empty.path()).unwrap_err().to_string(),
        "fetch: the resolution is a refusal"
    );
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);
}
