//! States in which layers would not give what an installer leaves: the step must run as written.
#![allow(clippy::unwrap_used)]

mod wheels;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use plinth_layers::resolution::Plan;
use plinth_layers::steps::record::Verdict;
use wheels::{Site, Wheel, pips};

fn site() -> Site {
    Site::new("venv", pips().last().unwrap())
}

fn wheel() -> Wheel {
    Wheel::new("thing", "1")
        .file("thing/__init__.py", "x = 1\n")
        .data("data/man/man1/thing.1", "man\n", 0o100_644)
        .info("entry_points.txt", "[console_scripts]\nthing = thing:main\n")
}

/// The reason for which the wheels are refused after `change` was made to the environment.
fn reason(
    site: &Site,
    wheels: &[&Wheel],
    remove: &[(&str, &str)],
    change: impl Fn(&Path),
    edit: impl Fn(&mut Plan),
) -> String {
    let before = site.snapshot("before");
    change(&before.join(site.venv.strip_prefix("/").unwrap()));
    let mut plan = site.plan(wheels, remove);
    edit(&mut plan);
    let (verdict, _) = site.assemble(&plan, wheels, &before, &[]);
    fs::remove_dir_all(&before).unwrap();
    match verdict {
        Verdict::Assembled => panic!("assembled"),
        Verdict::Refused { reason } => reason,
    }
}

fn lib(site: &Site) -> PathBuf {
    Path::new(&site.scheme.purelib).strip_prefix(&site.venv).unwrap().to_owned()
}

#[test]
fn states_that_object() {
    let site = site();
    let lib = lib(&site);
    let check = |change: &dyn Fn(&Path), why: &str| {
        let reason = reason(&site, &[&wheel()], &[], change, |_| {});
        assert!(reason.contains(why), "{reason}");
    };
    check(&|v| symlink("share", v.join("man")).unwrap(), "/man is on the way of");
    check(&|v| fs::write(v.join("man"), "").unwrap(), "/man is on the way of");
    check(&|v| symlink("elsewhere", v.join(&lib).join("thing")).unwrap(), "/thing is on the way of");
    check(&|v| fs::create_dir(v.join("bin/thing")).unwrap(), "bin/thing is a directory");
    check(&|v| symlink("nowhere", v.join("bin/thing")).unwrap(), "link that would be written through");
    check(&|v| fs::create_dir(v.join(&lib).join("thing-1.dist-info")).unwrap(), "is there already");
    check(
        &|v| fs::set_permissions(v.join(&lib), fs::Permissions::from_mode(0o2755)).unwrap(),
        "site-packages is setgid",
    );
    check(
        &|v| {
            let cache = v.join(&lib).join("thing/__pycache__");
            fs::create_dir_all(&cache).unwrap();
            let pyc = format!("__init__.{}.pyc", site.interpreter.cache_tag);
            fs::write(cache.join("other"), "").unwrap();
            symlink("other", cache.join(pyc)).unwrap();
        },
        "link that would be written through",
    );
}

#[test]
fn plans_that_are_not_understood() {
    let site = site();
    let check = |wheels: &[&Wheel], edit: &dyn Fn(&mut Plan), why: &str| {
        let reason = reason(&site, wheels, &[], |_| {}, edit);
        assert!(reason.contains(why), "{reason}");
    };
    let wheel = wheel();
    check(&[&wheel], &|p| p.installer_version = "21.0".into(), "pip 21.0 leaves behind is not known");
    check(&[&wheel], &|p| p.installer = "uv".into(), "is not known exactly");
    check(&[&wheel], &|p| p.scheme.scripts.push('x'), "laid out for other install paths");
    check(&[&wheel], &|p| p.interpreter.cache_tag = "cpython-20".into(), "compiled for");
    check(&[&wheel], &|p| p.interpreter.executable = "python3".into(), "not absolute");
    check(&[&wheel], &|p| p.interpreter.executable = "/p/coding:x/python".into(), "encoding");
    let headers = Wheel::new("Headed", "1").data("headers/x.h", "", 0o100_644);
    check(&[&headers], &|_| {}, "spelled");
    let headers = Wheel::new("headed", "1").data("headers/x.h", "", 0o100_644);
    check(&[&headers], &|p| p.install[0].spelling = Some("Headed".into()), "spelled");
    let mut asks = Wheel::new("asks", "1");
    asks.metadata_extra = "Requires-Dist: HEADed >= 1\n".into();
    check(&[&headers, &asks], &|_| {}, "spelled");
    let one = Wheel::new("one", "1").file("shared.txt", "1");
    let two = Wheel::new("two", "1").file("shared.txt", "2");
    check(&[&one, &two], &|_| {}, "one and two both write");
    let executable = Wheel::new("two", "1").mode("shared.txt", "1", 0o100_755);
    check(&[&one, &executable], &|_| {}, "one and two both write");
    let below = Wheel::new("two", "1").file("shared.txt/x", "2");
    check(&[&one, &below], &|_| {}, "is both a file and a directory");
    check(&[&one, &Wheel::new("one", "2")], &|_| {}, "would be installed twice");
    let script = Wheel::new("two", "1").data("scripts/thing", "#!/bin/sh\n", 0o100_755);
    check(&[&wheel, &script], &|_| {}, "both write");
}

#[test]
fn removals_that_are_not_understood() {
    let site = site();
    let lib = lib(&site);
    let old = Wheel::new("old", "1").file("old/a.py", "").file("moved.txt", "1").file("keep/x", "");
    site.pip_install(&[], &[&old]);
    let new = Wheel::new("old", "2").file("old/a.py", "2");
    let check = |wheels: &[&Wheel], change: &dyn Fn(&Path), why: &str| {
        let reason = reason(&site, wheels, &[("old", "1")], change, |_| {});
        assert!(reason.contains(why), "{reason}");
    };
    check(&[&wheel()], &|_| {}, "no other version is installed");
    let mover = Wheel::new("mover", "1").file("moved.txt", "new");
    check(&[&mover, &new], &|_| {}, "moved.txt is installed by one distribution and then removed");
    let nested = Wheel::new("nested", "1").file("old/b.txt", "new");
    check(&[&nested, &new], &|_| {}, "is installed into a directory that goes with old");
    check(
        &[&new],
        &|v| fs::remove_file(v.join(&lib).join("old-1.dist-info/RECORD")).unwrap(),
        "has no RECORD",
    );
    let record = |line: &str, v: &Path| {
        let path = v.join(&lib).join("old-1.dist-info/RECORD");
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str(line);
        fs::write(path, text).unwrap();
    };
    let outside = |v: &Path| {
        fs::write(v.with_file_name("outside"), "").unwrap();
        record("../../../../outside,,\r\n", v);
    };
    check(&[&new], &outside, "outside is outside of");
    check(&[&new], &|v| record("a/../../x,,\r\n", v), "odd path");
    check(&[&new], &|v| record("keep,,\r\n", v), "keep is not a regular file");
    check(
        &[&new],
        &|v| {
            fs::rename(v.join(&lib).join("keep"), v.join(&lib).join("kept")).unwrap();
            symlink("kept", v.join(&lib).join("keep")).unwrap();
        },
        "is reached through the link",
    );
}

/// Directories on the way keep mode and owner, and their time unless something appears directly in them.
#[test]
fn parent_directories_are_restated() {
    let site = site();
    let lib = lib(&site);
    let before = site.snapshot("before");
    let venv = before.join(site.venv.strip_prefix("/").unwrap());
    fs::set_permissions(&venv, fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(venv.join("lib"), fs::Permissions::from_mode(0o2755)).unwrap();
    fs::create_dir(venv.join("man")).unwrap();
    fs::set_permissions(venv.join("man"), fs::Permissions::from_mode(0o1777)).unwrap();
    std::os::unix::fs::chown(venv.join("man"), Some(1234), Some(5678)).unwrap();
    let time = |p: &Path| fs::metadata(p).unwrap().mtime();
    let old = time(&venv.join("lib"));
    let wheel = wheel();
    let (verdict, merged) = site.assemble(&site.plan(&[&wheel], &[]), &[&wheel], &before, &[]);
    assert_eq!(verdict, Verdict::Assembled);
    let record = merged.parent().unwrap().join("record").join(site.venv.strip_prefix("/").unwrap());
    let at = |p: &str| {
        let m = fs::metadata(record.join(p)).unwrap();
        (m.mode() & 0o7777, m.uid(), m.gid(), m.mtime())
    };
    let fixed = i64::try_from(plinth_layers::tree::MTIME).unwrap();
    assert_eq!(at(""), (0o700, 0, 0, time(&venv)));
    assert_eq!(at("lib"), (0o2755, 0, 0, old));
    assert_eq!(at("man"), (0o1777, 1234, 5678, fixed));
    assert_eq!(at(lib.to_str().unwrap()), (0o755, 0, 0, fixed));
    assert_eq!(at("bin"), (0o755, 0, 0, fixed));
    // New directories are the payload's; the record layer holds only those that it needs.
    assert!(!record.join("man/man1").exists());
    assert!(record.join(&lib).join("thing-1.dist-info/RECORD").exists());
}
