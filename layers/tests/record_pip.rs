//! The payload and record steps leave what the real pip leaves: same tree, same modes, same texts, same code.
#![allow(clippy::unwrap_used)]

mod wheels;

use wheels::{Site, Wheel, pips};

fn each_pip(test: impl Fn(&(String, std::path::PathBuf))) {
    for pip in pips() {
        eprintln!("pip {}", pip.0);
        test(&pip);
    }
}

/// One wheel with everything that the format has.
fn everything() -> Wheel {
    Wheel::new("Every.Thing", "1.0")
        .file("every/__init__.py", "VALUE = 1\n")
        .file("every/ümlaut/mod_é.py", "def f():\n    return {'a', 'b', 'c'}\n")
        .file("every/odd, \"name\".txt", "quoted\n")
        .file("every/broken.py", "def (:\n")
        .file("every/encoding.py", b"x = '\xff\xfe'\n")
        .file("every/latin.py", b"# -*- coding: latin-1 -*-\nx = '\xe9'\n")
        .file("every/nul.py", b"x = 1\0\n")
        .file("every/empty.py", "")
        .file("every/.py", "x = 1\n")
        .file("every/two.dots.py", "x = 1\n")
        .mode("every/tool.py", "print(1)\n", 0o100_755)
        .mode("every/data.bin", [0_u8, 1, 2, 255], 0o100_700)
        .mode("every/unmarked.sh", "echo\n", 0o755)
        .data("purelib/every_pure.py", "p = 1\n", 0o100_644)
        .data("platlib/every_plat/x.py", "q = 1\n", 0o100_644)
        .data("headers/inc/every.h", "#define X\n", 0o100_644)
        .data("data/share/every/readme.txt", "hi\n", 0o100_644)
        .data("data/share/every/shared.py", "r = 1\n", 0o100_644)
        .data("data/top.cfg", "x\n", 0o100_755)
        .data("scripts/plain.sh", "#!/bin/sh\necho\n", 0o100_755)
        .data("scripts/every-run", "#!python\nimport sys\nprint(sys.argv)\n", 0o100_755)
        .data("scripts/every-args", "#!pythonw -u\r\nprint(1)\n", 0o100_644)
        .data("scripts/every-mod.py", "#!python -*- coding: latin-1 -*-\nprint('x')\n", 0o100_755)
        .data("scripts/every-two.py", "#!python2\nprint 'x'\n", 0o100_755)
        .data("scripts/just-marker", "#!python", 0o100_755)
        .data("scripts/sub/deep.py", "#!/usr/bin/env python\nprint(3)\n", 0o100_755)
        .data("scripts/every-cli", "#!python\nold wrapper\n", 0o100_755)
        .data("scripts/every-cli-script.py", "#!python\nold wrapper\n", 0o100_755)
        .data("scripts/every-gui.exe", "MZ", 0o100_755)
        .info(
            "entry_points.txt",
            "[console_scripts]\nevery-cli = every:main\nevery.dotted = every.sub:Class.method [extra]\n\n\
             [gui_scripts]\nevery-gui=every:gui\n[other.group]\na = b\n",
        )
        .info("top_level.txt", "every\n")
        .info("licenses/LICENSE", "free\n")
}

#[test]
fn everything_that_wheels_have() {
    each_pip(|pip| {
        let mut wheel = everything();
        // pip names the headers' directory as the requirement is spelled: keep to the normal form.
        wheel.name = "every-thing".into();
        wheel.files.clear();
        let source = everything();
        wheel.files = source
            .files
            .into_iter()
            .map(|(p, c, m)| (p.replace("Every_Thing-1.0", "every_thing-1.0"), c, m))
            .collect();
        wheel.directories = vec!["every/empty_directory".into()];
        Site::new("venv", pip).compare(&[], &[&wheel], &[], &[]);
        let site = Site::new("venv", pip);
        site.compare(&[], &[&wheel], &[], &[0]);
    });
}

#[test]
fn platlib_wheels() {
    each_pip(|pip| {
        let wheel = Wheel::new("plat", "2.0.1")
            .platlib()
            .file("plat/__init__.py", "")
            .mode("plat/native.so", "ELF", 0o100_755)
            .file("plat.pth", "import os\n");
        Site::new("venv", pip).compare(&[], &[&wheel], &[], &[]);
    });
}

#[test]
fn files_of_the_installer_that_the_wheel_brings() {
    each_pip(|pip| {
        let tag = Site::new("probe", pip).interpreter.cache_tag;
        let wheel = Wheel::new("brings", "1")
            .file("brings.py", "x = 1\n")
            .file(&format!("__pycache__/brings.{tag}.pyc"), "stale")
            .file("sick.py", "x = (\n")
            .mode(&format!("__pycache__/sick.{tag}.pyc"), "kept", 0o100_755)
            .file("__pycache__/brings.cpython-20.pyc", "other")
            .info("INSTALLER", "someone\n")
            .mode("brings-1.dist-info/REQUESTED", "yes\n", 0o100_755)
            .info("direct_url.json", "{}")
            .info("RECORD.jws", "sig");
        Site::new("venv", pip).compare(&[], &[&wheel], &[], &[]);
        let mut unsigned = wheel.clone();
        unsigned.unlisted = vec!["brings-1.dist-info/RECORD.jws".into()];
        Site::new("venv", pip).compare(&[], &[&unsigned], &[], &[]);
    });
}

#[test]
fn two_distributions_share_a_namespace() {
    each_pip(|pip| {
        let one =
            Wheel::new("ns-one", "1").file("ns/one/__init__.py", "a = 1\n").file("ns/same.py", "s = 1\n");
        let two = Wheel::new("ns-two", "1").file("ns/two.py", "b = 1\n").file("ns/same.py", "s = 1\n");
        Site::new("venv", pip).compare(&[], &[&one, &two], &[], &[1]);
    });
}

#[test]
fn long_and_spaced_prefixes() {
    each_pip(|pip| {
        let wheel = Wheel::new("runner", "1")
            .file("runner.py", "x = 1\n")
            .data("scripts/rewritten", "#!python\nx\n", 0o100_755)
            .info("entry_points.txt", "[console_scripts]\nrunner = runner:main\n");
        Site::new("a venv", pip).compare(&[], &[&wheel], &[], &[]);
        Site::new(&"v".repeat(130), pip).compare(&[], &[&wheel], &[], &[]);
    });
}

#[test]
fn pip_and_setuptools_own_scripts() {
    each_pip(|pip| {
        let wheel = Wheel::new("pretender", "1").file("p.py", "").info(
            "entry_points.txt",
            "[console_scripts]\npip = p:main\npip3 = p:main\npip3.4 = p:main\npip3.10 = p:main\npipe = p:x\n\
             easy_install = p:e\neasy_install-3.9 = p:e\neasy_install-3.10 = p:e\n",
        );
        Site::new("venv", pip).compare(&[], &[&wheel], &[], &[]);
    });
}

#[test]
fn existing_files_are_replaced() {
    each_pip(|pip| {
        let site = Site::new("venv", pip);
        let lib = std::path::Path::new(&site.scheme.purelib).to_owned();
        std::fs::write(lib.join("over.py"), "old\n").unwrap();
        std::os::unix::fs::symlink(lib.join("over.py"), site.venv.join("bin/over")).unwrap();
        std::fs::create_dir(lib.join("pkg")).unwrap();
        let wheel = Wheel::new("over", "1")
            .file("over.py", "new = 1\n")
            .file("pkg/sub/x.py", "")
            .info("entry_points.txt", "[console_scripts]\nover = over:main\n");
        site.compare(&[], &[&wheel], &[], &[]);
        assert_eq!(std::fs::read_to_string(lib.join("over.py")).unwrap(), "new = 1\n");
    });
}

#[test]
fn requested_and_direct_url() {
    each_pip(|pip| {
        let site = Site::new("venv", pip);
        let mut wheel = Wheel::new("direct", "1").file("direct.py", "");
        let file = wheel.write(&site.wheels);
        let dependency = Wheel::new("dep", "1").file("dep.py", "");
        dependency.write(&site.wheels);
        wheel.metadata_extra = "Requires-Dist: dep\n".into();
        wheel.write(&site.wheels);
        let before = site.snapshot("before");
        let url = format!("file://{}", file.display());
        let links = site.wheels.to_str().unwrap();
        site.pip(&["install", "--no-index", "--no-cache-dir", "--find-links", links, &url]);
        let mut plan = site.plan(&[&dependency, &wheel], &[]);
        plan.install[0].requested = false;
        let left = std::path::Path::new(&site.scheme.purelib).join("direct-1.dist-info/direct_url.json");
        plan.install[1].direct_url = Some(std::fs::read_to_string(left).unwrap());
        let (verdict, merged) = site.assemble(&plan, &[&dependency, &wheel], &before, &[]);
        assert_eq!(verdict, plinth_layers::steps::record::Verdict::Assembled);
        let ours = merged.join(site.venv.strip_prefix("/").unwrap());
        wheels::assert_same(&site.venv, &ours, &site.interpreter);
    });
}

#[test]
fn upgrades_remove_what_pip_removes() {
    each_pip(|pip| {
        let old = Wheel::new("up", "1")
            .file("up/__init__.py", "v = 1\n")
            .file("up/gone/a.py", "v = 1\n")
            .file("up/gone/deep/b.txt", "v")
            .file("up/stays/a.py", "v = 1\n")
            .file("upns/inner/a.py", "v = 1\n")
            .file("single.py", "v = 1\n")
            .data("data/share/up/x", "1", 0o100_644)
            .data("scripts/old-script.py", "#!python\nx = 1\n", 0o100_755)
            .info("entry_points.txt", "[console_scripts]\nup-old = up:m\nup = up:m\n");
        let other = Wheel::new("other", "1").file("other.py", "").file("upns2/x.py", "");
        let new = Wheel::new("up", "2")
            .file("up/__init__.py", "v = 2\n")
            .file("up/fresh/a.py", "v = 2\n")
            .info("entry_points.txt", "[console_scripts]\nup = up:main\n");
        let site = Site::new("venv", pip);
        site.pip_install(&[], &[&old, &other]);
        // Left by a user: keeps its directory.
        std::fs::write(std::path::Path::new(&site.scheme.purelib).join("up/stays/mine.txt"), "mine").unwrap();
        // A directory with nothing but removed files and an empty directory goes as a whole.
        std::fs::create_dir(std::path::Path::new(&site.scheme.purelib).join("up/gone/empty")).unwrap();
        site.compare(&[], &[&new], &[("up", "1")], &[]);
        let lib = std::path::Path::new(&site.scheme.purelib);
        assert!(!lib.join("up/gone").exists() && lib.join("up/stays/mine.txt").exists());
        assert!(lib.join("upns").exists() && !lib.join("upns/inner").exists());
    });
}

#[test]
fn reinstalling_the_same_version() {
    each_pip(|pip| {
        let wheel = everything();
        let mut wheel = Wheel { files: wheel.files, ..Wheel::new("same", "1") };
        wheel.files.retain(|(p, ..)| !p.contains("headers") && !p.contains(".dist-info"));
        for file in &mut wheel.files {
            file.0 = file.0.replace("Every_Thing-1.0", "same-1");
        }
        let site = Site::new("venv", pip);
        site.pip_install(&[], &[&wheel]);
        site.compare(&["--force-reinstall"], &[&wheel], &[("same", "1")], &[]);
    });
}

/// The comparison itself: another release's scripts are noticed.
#[test]
#[should_panic(expected = "argv[0].endswith")]
fn a_difference_is_noticed() {
    let pip = pips().into_iter().find(|p| p.0.as_str() < "25.2").expect("a pip before 25.2");
    let mut site = Site::new("venv", &pip);
    site.pip_version = "25.3".into();
    let wheel = Wheel::new("cli", "1").info("entry_points.txt", "[console_scripts]\ncli = cli:main\n");
    site.compare(&[], &[&wheel], &[], &[]);
}

/// Real wheels: every one in the directory `PLINTH_TEST_WHEELS` that pip installs here.
#[test]
#[ignore = "needs a directory of wheels in PLINTH_TEST_WHEELS"]
fn real_wheels() {
    let directory = std::env::var("PLINTH_TEST_WHEELS").expect("PLINTH_TEST_WHEELS");
    let pip = pips().pop().unwrap();
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let (mut same, mut different) = (0, Vec::new());
    for file in files.iter().filter(|f| f.extension().is_some_and(|e| e == "whl")) {
        let filename = file.file_name().unwrap().to_str().unwrap().to_owned();
        let mut parts = filename.split('-');
        let (name, version) = (parts.next().unwrap(), parts.next().unwrap());
        let distribution = plinth_layers::resolution::Distribution {
            name: name.replace('_', "-").to_lowercase(),
            version: version.to_owned(),
            filename: filename.clone(),
            url: String::new(),
            sha256: wheels::sha256(&std::fs::read(file).unwrap()),
            requested: true,
            direct_url: None,
            spelling: None,
        };
        let site = Site::new("venv", &pip);
        let compared = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            site.compare_file(file, distribution);
        }));
        match compared {
            Ok(()) => same += 1,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                different.push(format!("{filename}: {}", text.chars().take(600).collect::<String>()));
            }
        }
    }
    eprintln!("{same} wheels are the same");
    assert!(same > 0 && different.is_empty(), "{}", different.join("\n"));
}
