//! Payload trees: canonical whatever the circumstances, with golden diff IDs for the layout.
#![allow(clippy::unwrap_used)]

mod wheels;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use plinth_layers::resolution::{Interpreter, Layout, Scheme};
use plinth_layers::steps::payload::{self, Error, PayloadSpec};
use plinth_layers::tree::fs::{mtime, time_of};
use plinth_layers::tree::{LAYOUT, MTIME, diff_id, tar};
use plinth_layers::wheel::{Kind, PayloadMeta};
use wheels::{Wheel, interpreter, output, python, sha256};

/// Where the wheels of the golden layers go, whatever interpreter runs the tests.
fn scheme() -> Scheme {
    let lib = "/usr/local/lib/python3.11/site-packages";
    Scheme {
        purelib: lib.into(),
        platlib: lib.into(),
        headers: "/usr/local/include/python3.11".into(),
        scripts: "/usr/local/bin".into(),
        data: "/usr/local".into(),
    }
}

fn spec(wheel: &Wheel, bytes: &[u8], interpreter: &Interpreter) -> PayloadSpec {
    PayloadSpec {
        layout: LAYOUT,
        name: wheel.name.clone(),
        version: wheel.version.clone(),
        filename: wheel.filename(),
        sha256: sha256(bytes),
        scheme: scheme(),
        interpreter: interpreter.clone(),
        laid_out_as: Layout::default(),
        foreign: false,
    }
}

/// With other bits on another processor, a constant that isn't a number is none of a wheel for that one.
#[test]
fn constants_that_are_no_numbers_are_refused_for_other_platforms() {
    let (interpreter, _) = interpreter(Path::new(&python()));
    let result = |text: &str, foreign: bool| {
        let wheel = Wheel::new("nan", "1.0")
            .file("nan/a.py", "X = (1.5, 2j, b'nan', ('a', {1, 2}), float('nan'))\n")
            .file("nan/b.py", text);
        let temp = tempfile::tempdir().unwrap();
        let (out, meta, file) =
            (temp.path().join("out"), temp.path().join("meta"), temp.path().join(wheel.filename()));
        fs::create_dir_all(&out).unwrap();
        fs::create_dir_all(&meta).unwrap();
        fs::write(&file, wheel.bytes()).unwrap();
        let spec = PayloadSpec { foreign, ..spec(&wheel, &wheel.bytes(), &interpreter) };
        payload::run(&spec, &file, &out, &meta).map_err(|error| error.to_string())
    };
    assert_eq!(result("X = 1e999\nY = -0.0\n", true), Ok(()));
    let reason = "nan/b.py: has a constant that isn't a number, whose bits depend on the processor";
    for nan in [
        "X = 1e999 - 1e999\n",
        "def f():\n    class A:\n        x = lambda: (0, (1e999 - 1e999, 'a'))\n",
        "def f(x):\n    return x in {1e999 - 1e999, 1}\n",
        "X = 1e999j * 1e999j * 1j\n",
    ] {
        assert_eq!(result(nan, true).unwrap_err(), reason, "{nan}");
        assert_eq!(result(nan, false), Ok(()), "{nan}");
    }
}

struct Made {
    _temp: tempfile::TempDir,
    out: PathBuf,
    meta_dir: PathBuf,
    meta: PayloadMeta,
}

fn make_at(
    wheel: &Wheel,
    bytes: &[u8],
    interpreter: &Interpreter,
    base: &Path,
) -> Result<PayloadMeta, Error> {
    let (out, meta, file) = (base.join("out"), base.join("meta"), base.join(wheel.filename()));
    fs::create_dir_all(&out).unwrap();
    fs::create_dir_all(&meta).unwrap();
    fs::write(&file, bytes).unwrap();
    payload::run(&spec(wheel, bytes, interpreter), &file, &out, &meta)?;
    Ok(serde_json::from_slice(&fs::read(meta.join(PayloadMeta::FILE)).unwrap()).unwrap())
}

fn make_bytes(wheel: &Wheel, bytes: &[u8]) -> Made {
    let temp = tempfile::tempdir().unwrap();
    let (interpreter, _) = interpreter(Path::new(&python()));
    let meta = make_at(wheel, bytes, &interpreter, temp.path()).unwrap();
    Made { out: temp.path().join("out"), meta_dir: temp.path().join("meta"), _temp: temp, meta }
}

fn make(wheel: &Wheel) -> Made {
    make_bytes(wheel, &wheel.bytes())
}

fn plain() -> Wheel {
    Wheel::new("golden", "1.0")
        .file("golden/data.json", "{}\n")
        .mode("golden/lib.so", "ELF", 0o100_755)
        .file("golden/empty", "")
        .file("golden.d/x", "sorted after golden/, before golden0\n")
        .file("golden0", "x\n")
        .data("scripts/golden", "#!/bin/sh\n", 0o100_755)
        .data("scripts/golden-py", "#!python\n", 0o100_755)
        .info("entry_points.txt", "[console_scripts]\ngolden-cli = golden:main\n")
}

fn long_names() -> Wheel {
    let deep = format!("deep/{}/{}", "d".repeat(60), "e".repeat(60));
    Wheel::new("golden-long", "2.0")
        .platlib()
        .file(&format!("{deep}/file.txt"), "long path\n")
        .file(&format!("{}/x.txt", "n".repeat(130)), "no field is long enough\n")
        .file(&format!("{deep}/{}/{}", "s".repeat(40), "t".repeat(99)), "too long even in halves\n")
        .file("unicode/naïve/文.txt", "not ASCII\n")
        .file(
            &format!("edge/{}", "f".repeat(100 - "usr/local/lib/python3.11/site-packages/edge/".len())),
            "100\n",
        )
        .file(
            &format!("edge/{}", "g".repeat(101 - "usr/local/lib/python3.11/site-packages/edge/".len())),
            "101\n",
        )
        .data("data/share/golden/page.1", "man\n", 0o100_644)
        .data("headers/golden.h", "\n", 0o100_644)
}

fn with_code() -> Wheel {
    Wheel::new("golden-code", "3.0")
        .file("golden_code/__init__.py", "X = {'a', 'b'}\n\n\ndef f(x):\n    return x in {'c', 'd', 'e'}\n")
        .file("golden_code/broken.py", "def (\n")
        .data("scripts/golden.py", "#!python\nprint('x')\n", 0o100_755)
}

#[test]
fn golden_diff_ids() {
    // A change here means that every payload layer in every registry is stored anew: raise LAYOUT with it.
    assert_eq!(LAYOUT, 2);
    assert_eq!(
        diff_id(&make(&plain()).out).unwrap(),
        "sha256:374abac937a97765a4d3b11ea11bd0e16efe1206eaa612c7c45486eb1cc09f5c"
    );
    assert_eq!(
        diff_id(&make(&long_names()).out).unwrap(),
        "sha256:8ec4b453d260c09ce488650493e77abc6048fc8f6982a23e06aa7ba6b68aa2ac"
    );
}

#[test]
fn golden_diff_id_with_byte_code() {
    // Byte code differs between Python's minor versions; this golden value is of 3.11.
    let Some(python) = [python(), "python3.11".to_owned()].into_iter().find(|p| {
        let version = Command::new(p).arg("-c").arg("import sys; print(sys.version_info[:2])").output();
        version.is_ok_and(|o| o.stdout == b"(3, 11)\n")
    }) else {
        eprintln!("no Python 3.11 here: not compared");
        return;
    };
    let temp = tempfile::tempdir().unwrap();
    let (interpreter, _) = interpreter(Path::new(&python));
    let wheel = with_code();
    let meta = make_at(&wheel, &wheel.bytes(), &interpreter, temp.path()).unwrap();
    assert_eq!(meta.entries.iter().filter(|e| e.pyc.is_some()).count(), 2);
    assert_eq!(
        diff_id(&temp.path().join("out")).unwrap(),
        "sha256:a139590fd707b65d051d5d38acde06c18832b0ac9f0fa1ba82401d72186d2147"
    );
}

#[test]
fn everything_in_the_tree_is_canonical() {
    let made = make(&with_code());
    let mut seen = 0;
    let mut pending = vec![made.out.clone(), made.meta_dir.clone()];
    while let Some(path) = pending.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let of_content = meta.is_file() && path.starts_with(&made.out);
        let time = if of_content { time_of(&sha256(&fs::read(&path).unwrap())) } else { mtime() };
        assert_eq!(meta.modified().unwrap(), time, "{path:?}");
        assert_eq!((meta.uid(), meta.gid()), (0, 0), "{path:?}");
        assert_eq!(meta.mode() & 0o7777, if meta.is_dir() { 0o755 } else { 0o644 }, "{path:?}");
        if meta.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        }
        seen += 1;
    }
    assert!(seen > 15);
}

#[test]
fn what_belongs_to_the_record_layer_is_left_out() {
    let wheel = plain().info("INSTALLER", "x").info("REQUESTED", "").info("direct_url.json", "{}");
    let made = make(&wheel);
    let info = made.out.join("usr/local/lib/python3.11/site-packages/golden-1.0.dist-info");
    let mut left: Vec<_> =
        fs::read_dir(info).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["METADATA", "WHEEL", "entry_points.txt"]);
    let bin: Vec<_> =
        fs::read_dir(made.out.join("usr/local/bin")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(bin, ["golden"]);
    let kinds = |k| made.meta.entries.iter().filter(|e| e.kind == k).count();
    assert_eq!((kinds(Kind::Kept), kinds(Kind::Script), kinds(Kind::Record)), (3, 1, 1));
    assert!(made.meta.directories.contains(&"/usr/local/bin".to_owned()));
    assert_eq!(made.meta.scripts.console[0].name, "golden-cli");
}

#[test]
fn order_in_the_archive_does_not_show() {
    let wheel = with_code();
    let mut entries = wheel.entries();
    entries.reverse();
    let reversed = make_bytes(&wheel, &wheels::zip(&entries, &["golden_code/nothing".to_owned()]));
    let straight = make(&wheel);
    assert_eq!(diff_id(&reversed.out).unwrap(), diff_id(&straight.out).unwrap());
    assert_ne!(reversed.meta.sha256, straight.meta.sha256);
}

/// Runs itself in a process with another umask and environment, told where by PLINTH_TEST_PAYLOAD.
#[test]
fn neither_umask_nor_place_nor_environment_shows() {
    let wheels = [plain(), long_names(), with_code()];
    if let Some(base) = std::env::var_os("PLINTH_TEST_PAYLOAD") {
        let (interpreter, _) = interpreter(Path::new(&python()));
        for wheel in wheels {
            make_at(&wheel, &wheel.bytes(), &interpreter, &Path::new(&base).join(&wheel.name)).unwrap();
        }
        return;
    }
    let run = |umask: &str, base: &Path| {
        let name = "neither_umask_nor_place_nor_environment_shows";
        output(
            Command::new("sh")
                .args(["-c", &format!("umask {umask} && exec \"$0\" --exact {name}")])
                .arg(std::env::current_exe().unwrap())
                .env("PLINTH_TEST_PAYLOAD", base)
                .env("PYTHONOPTIMIZE", "2")
                .env("PYTHONHASHSEED", "77")
                .env("SOURCE_DATE_EPOCH", "1"),
        );
    };
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let elsewhere = two.path().join("some/other/place");
    run("0077", one.path());
    run("0000", &elsewhere);
    for wheel in &wheels {
        let here = make(wheel);
        for other in [one.path(), &elsewhere] {
            let other = other.join(&wheel.name);
            assert_eq!(diff_id(&other.join("out")).unwrap(), diff_id(&here.out).unwrap());
            assert_eq!(diff_id(&other.join("meta")).unwrap(), diff_id(&here.meta_dir).unwrap());
        }
    }
}

#[test]
fn another_interpreter_than_the_specified_one_is_refused() {
    let (right, _) = interpreter(Path::new(&python()));
    let wheel = with_code();
    let fails = |change: &dyn Fn(&mut Interpreter)| {
        let temp = tempfile::tempdir().unwrap();
        let mut wrong = right.clone();
        change(&mut wrong);
        make_at(&wheel, &wheel.bytes(), &wrong, temp.path()).unwrap_err().to_string()
    };
    assert!(fails(&|i| i.version = "3.1.4".into()).contains("has version"));
    assert!(
        fails(&|i| i.cache_tag = "cpython-314".into()).contains("byte code is needed for \"cpython-314\"")
    );
    assert!(fails(&|i| i.magic = "00".into()).contains("has magic"));
    assert!(fails(&|i| i.abi = "x".into()).contains("has abi"));
    assert!(fails(&|i| i.physical = "/no/such/python".into()).contains("/no/such/python cannot compile"));
    assert!(fails(&|i| i.physical = "/bin/false".into()).contains("exit status: 1"));
}

#[test]
fn the_layer_is_a_tar_that_others_read() {
    let made = make(&long_names());
    let mut bytes = Vec::new();
    tar::write(&made.out, &mut bytes).unwrap();
    let temp = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for entry in ::tar::Archive::new(&bytes[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let time = entry.header().mtime().unwrap();
        let file = made.out.join(entry.path().unwrap());
        assert_eq!(time, fs::symlink_metadata(&file).unwrap().mtime() as u64);
        assert!((MTIME..MTIME + (1 << 28)).contains(&time));
        names.push(entry.path().unwrap().to_str().unwrap().to_owned());
        entry.unpack_in(temp.path()).unwrap();
    }
    let mut sorted = names.clone();
    sorted.sort_by(|a, b| a.split('/').cmp(b.split('/')));
    assert_eq!(names, sorted);
    assert!(names.iter().any(|n| n.ends_with("unicode/naïve/文.txt")) && names.iter().any(|n| n.len() > 150));
    assert_eq!(wheels::tree(temp.path()), wheels::tree(&made.out));
}
