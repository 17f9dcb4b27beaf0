//! What the steps make of a `uv pip install`, against what uv itself then leaves in the same environment.
//!
//! `PLINTH_TEST_UVS` names a directory with one program `VERSION/uv` for each release to compare with; `hack/index` makes
//! one, and `hack/check` uses it. Without the variable there is nothing to compare with: these tests are skipped, with a
//! message.
#![allow(clippy::unwrap_used)]

mod wheels;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;

use plinth_layers::resolution::{LeftFile, Outcome, Plan};
use plinth_layers::steps::record::Verdict;
use plinth_layers::steps::resolve::{Context, Error, resolve};
use wheels::{Site, Wheel, assert_same, output, pips, sha256};

/// None if there is nothing to compare with; never none if there should be.
fn uvs() -> Vec<PathBuf> {
    static SKIPPED: Once = Once::new();
    let Some(directory) = std::env::var_os("PLINTH_TEST_UVS") else {
        // Written to the descriptor itself: the test runner would swallow what goes through eprintln.
        SKIPPED.call_once(|| {
            let message = b"tests with uv are skipped: PLINTH_TEST_UVS names no directory of VERSION/uv\n";
            let _ = std::io::stderr().write_all(message);
        });
        return Vec::new();
    };
    let mut found: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path().join("uv")).collect();
    found.retain(|path| path.is_file());
    found.sort();
    assert!(!found.is_empty(), "no VERSION/uv in PLINTH_TEST_UVS");
    found
}

fn each_uv(test: impl Fn(&Path)) {
    for uv in uvs() {
        eprintln!("{}", uv.display());
        test(&uv);
    }
}

/// An index of wheels, a virtual environment, and a uv.
struct World {
    site: Site,
    uv: String,
    url: String,
    server: Child,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl World {
    fn new(uv: &Path, wheels: &[&Wheel]) -> Self {
        let site = Site::new("venv", &pips()[0]);
        let root = site.temp.path().canonicalize().unwrap().join("index");
        for wheel in wheels {
            let name = wheel.name.to_lowercase().replace(['_', '.'], "-");
            let directory = root.join("simple").join(name);
            fs::create_dir_all(&directory).unwrap();
            let file = wheel.write(&directory);
            fs::copy(&file, site.wheels.join(wheel.filename())).unwrap();
            let page = directory.join("index.html");
            let before = fs::read_to_string(&page).unwrap_or_default();
            let link =
                format!("<a href=\"{0}#sha256={1}\">{0}</a>\n", wheel.filename(), sha256(&wheel.bytes()));
            fs::write(page, before + &link).unwrap();
        }
        for name in ["app", "home"] {
            fs::create_dir(site.temp.path().join(name)).unwrap();
        }
        let mut server = Command::new("python3")
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"])
            .arg(&root)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split(" port ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        let url = format!("http://127.0.0.1:{port}/simple/");
        Self { site, uv: uv.to_str().unwrap().into(), url, server }
    }

    fn app(&self) -> PathBuf {
        self.site.temp.path().canonicalize().unwrap().join("app")
    }

    fn argv(&self, arguments: &[&str]) -> Vec<String> {
        let head = [self.uv.as_str(), "pip", "install", "--no-cache", "--index-url", &self.url];
        head.iter().chain(arguments).map(|text| (*text).to_owned()).collect()
    }

    fn context(&self, arguments: &[&str]) -> Context {
        let env = [
            ("PATH", format!("{}:/usr/bin:/bin", self.site.venv.join("bin").display())),
            ("HOME", self.site.temp.path().join("home").display().to_string()),
            ("LANG", "C.UTF-8".to_owned()),
            ("VIRTUAL_ENV", self.site.venv.display().to_string()),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Context {
            argv: self.argv(arguments),
            env,
            cwd: self.app(),
            outputs: Vec::new(),
            secrets: None,
            lock: None,
            foreign: None,
        }
    }

    fn plan(&self, arguments: &[&str]) -> Plan {
        match resolve(&self.context(arguments)).unwrap().outcome {
            Outcome::Assemble(plan) => *plan,
            other => panic!("{arguments:?}: {other:?}"),
        }
    }

    fn refusal(&self, arguments: &[&str]) -> String {
        match resolve(&self.context(arguments)) {
            Ok(resolution) => match resolution.outcome {
                Outcome::Refuse { reason } => reason,
                other => panic!("{arguments:?}: {other:?}"),
            },
            Err(Error::Unresolved { reason }) => reason,
            Err(error) => panic!("{arguments:?}: {error}"),
        }
    }

    fn install(&self, arguments: &[&str]) {
        let context = self.context(arguments);
        output(
            Command::new(&context.argv[0])
                .args(&context.argv[1..])
                .env_clear()
                .envs(context.env.iter().map(|(name, value)| (name, value)))
                .current_dir(&context.cwd),
        );
    }

    /// Resolves, assembles a copy, installs for real, compares the trees.
    fn compare(&self, arguments: &[&str], tail: &[usize]) -> Plan {
        let lock = self.site.venv.join(".lock");
        let locked = lock.exists();
        let mut plan = self.plan(arguments);
        if !locked {
            // The root is read-only where this runs for real; here the dry run has made the file.
            let mode = fs::metadata(&lock).unwrap().permissions().mode() & 0o7777;
            fs::remove_file(&lock).unwrap();
            assert_eq!(plan.left, []);
            plan.left.push(LeftFile {
                path: lock.to_str().unwrap().to_owned(),
                mode,
                content: String::new(),
            });
        }
        assert_eq!(plan.installer, "uv");
        assert_eq!(plan.scheme, self.site.scheme);
        let before = self.site.snapshot("before");
        let files: Vec<PathBuf> = plan.install.iter().map(|d| self.site.wheels.join(&d.filename)).collect();
        let (verdict, merged) = self.site.assemble_files(&plan, &files, &before, tail);
        assert_eq!(verdict, Verdict::Assembled);
        self.install(arguments);
        let ours = merged.join(self.site.venv.strip_prefix("/").unwrap());
        assert_same(&self.site.venv, &ours, &self.site.interpreter);
        fs::remove_dir_all(before).unwrap();
        plan
    }
}

/// A wheel with all that is laid out as uv does it.
fn everything() -> Wheel {
    Wheel::new("Every.Thing", "1.0")
        .file("every/__init__.py", "VALUE = 1\n")
        .file("every/ümlaut/mod_é.py", "def f():\n    return 1\n")
        .file("every/odd, \"name\".txt", "quoted\n")
        .file("every/broken.py", "def (:\n")
        .mode("every/tool.py", "print(1)\n", 0o100_755)
        .mode("every/data.bin", [0_u8, 1, 2, 255], 0o100_700)
        .mode("every/read-only.txt", "x\n", 0o100_444)
        .mode("every/no-mode.txt", "x\n", 0)
        .data("purelib/every_pure.py", "p = 1\n", 0o100_644)
        .data("platlib/every_plat/x.py", "q = 1\n", 0o100_644)
        .data("headers/inc/every.h", "#define X\n", 0o100_644)
        .data("data/share/every/readme.txt", "hi\n", 0o100_644)
        .data("data/top.cfg", "x\n", 0o100_755)
        .data("scripts/plain.sh", "#!/bin/sh\necho\n", 0o100_755)
        .data("scripts/not-executable", "#!/bin/sh\necho\n", 0o100_644)
        .data("scripts/every-run", "#!python\nimport sys\nprint(sys.argv)\n", 0o100_755)
        .data("scripts/every-quiet", "#!python\nprint(1)\n", 0o100_644)
        .data("scripts/every-mod.py", "#!python -*- coding: latin-1 -*-\nprint('x')\n", 0o100_755)
        .data("scripts/every-two.py", "#!python2\nprint 'x'\n", 0o100_755)
        .data("scripts/just-marker", "#!python", 0o100_755)
        .data("scripts/env.py", "#!/usr/bin/env python\nprint(3)\n", 0o100_755)
        .info(
            "entry_points.txt",
            "[console_scripts]\nzz = every:zz\nevery-cli = every:main\nevery.dotted = every.sub:Class.method [extra]\n\n\
             [gui_scripts]\nevery-gui=every:gui\n[other.group]\na = b\n",
        )
        .info("licenses/LICENSE", "free\n")
}

fn normal() -> Wheel {
    let mut wheel = everything();
    // The headers' directory is only known for names in the normal form.
    wheel.name = "every-thing".into();
    for (path, ..) in &mut wheel.files {
        *path = path.replace("Every_Thing-1.0", "every_thing-1.0");
    }
    wheel.metadata_extra =
        "Requires-Dist: dep-one>=1\nRequires-Dist: dep-two; extra == 'x'\nRequires-Dist: never; python_version < '3'\nProvides-Extra: x\n".into();
    wheel
}

fn dep(name: &str, version: &str) -> Wheel {
    let module = name.replace(['-', '.'], "_");
    Wheel::new(name, version)
        .file(&format!("{module}.py"), format!("V = '{version}'\n"))
        .file("shared/ns.py", "")
}

#[test]
fn trees_are_those_of_uv() {
    each_uv(|uv| {
        let late = Wheel::new("late", "1").file("shared/late.py", "");
        let (one, two) = (dep("dep-one", "1.0"), dep("dep-one", "2.0"));
        let plat = dep("Dep.Two", "1.0.post1").platlib().mode("dep_two.so", "ELF", 0o100_755);
        let world =
            World::new(uv, &[&normal(), &one, &two, &plat, &dep("dep-two", "1.0"), &late, &dep("over", "1")]);
        fs::write(world.app().join("c.txt"), "dep-one<2\n").unwrap();
        fs::write(world.app().join("r.txt"), "every-thing[x]\n-c c.txt\n").unwrap();
        let plan = world.compare(&["-r", "r.txt"], &[1]);
        let names: Vec<_> = plan.install.iter().map(|d| format!("{} {}", d.name, d.version)).collect();
        assert_eq!(names, ["dep-one 1.0", "dep-two 1.0.post1", "every-thing 1.0"]);
        assert_eq!(plan.left.len(), 1);
        // On what is there already, lock included.
        let plan = world.compare(&["late", "dep-one"], &[]);
        assert_eq!((plan.install.len(), plan.left), (1, vec![]));
        assert_eq!(world.plan(&["late"]).install, []);
        // It brings a file that another one has brought.
        let (plan, before) = (world.plan(&["over"]), world.site.snapshot("over"));
        let files = [world.site.wheels.join(&plan.install[0].filename)];
        let Verdict::Refused { reason } = world.site.assemble_files(&plan, &files, &before, &[]).0 else {
            panic!("{plan:?}")
        };
        assert!(
            reason.ends_with("shared/ns.py is there already, and how uv replaces it is not known"),
            "{reason}"
        );
        assert_eq!(world.refusal(&["dep-one>1"]), "an uninstall by uv: dep-one");
        assert_eq!(world.refusal(&["-U", "dep-one"]), "an uninstall by uv: dep-one");
    });
}

#[test]
fn what_is_not_known_of_uv_is_refused() {
    each_uv(|uv| {
        let world = World::new(uv, &[&dep("dep-one", "1.0")]);
        let direct = format!("dep-one @ {}dep-one/dep_one-1.0-py3-none-any.whl", world.url);
        assert_eq!(world.refusal(&[&direct]), "a requirement by URL, with uv");
        assert_eq!(world.refusal(&["--compile-bytecode", "dep-one"]), "uv with byte code");
        assert_eq!(
            world.refusal(&["--link-mode=symlink", "dep-one"]),
            "files of uv that are links into its cache"
        );
        assert!(world.refusal(&["absent"]).starts_with("uv could not resolve it: "));
        assert!(
            world.refusal(&["dep-one", "--python", "venv/bin/python"]).contains("relative path")
                || world.refusal(&["dep-one", "--python", "venv/bin/python"]).starts_with("uv could not")
        );
        fs::write(world.app().join("h.txt"), format!("dep-one==1.0 --hash=sha256:{}\n", "0".repeat(64)))
            .unwrap();
        assert_eq!(world.refusal(&["-r", "h.txt"]), "hashes checked by uv");
        fs::write(world.app().join("i.txt"), format!("--index-url {}\ndep-one\n", world.url)).unwrap();
        assert_eq!(world.refusal(&["-r", "i.txt"]), "--index-url in a requirements file, with uv");
        fs::write(world.app().join("pyproject.toml"), "[tool.uv.pip]\nsystem = true\n").unwrap();
        assert_eq!(world.refusal(&["dep-one"]), "a configuration file of uv");
        fs::remove_file(world.app().join("pyproject.toml")).unwrap();
    });
}

#[test]
fn a_program_around_uv_is_refused() {
    each_uv(|uv| {
        let world = World::new(uv, &[&dep("dep-one", "1.0")]);
        let wrapper = world.app().join("uv");
        fs::write(&wrapper, format!("#!/bin/sh\nexec {} \"$@\"\n", world.uv)).unwrap();
        output(Command::new("chmod").arg("755").arg(&wrapper));
        let mut context = world.context(&["dep-one"]);
        context.argv[0] = wrapper.to_str().unwrap().into();
        let Outcome::Refuse { reason } = resolve(&context).unwrap().outcome else { panic!("assembled") };
        assert_eq!(reason, "a uv that is not the program itself");
    });
}
