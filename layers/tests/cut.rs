//! What a step left, cut into layers and put together again: it is what it was, and the layers are those of an assembled
//! step.
#![allow(clippy::unwrap_used)]

mod wheels;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use plinth_layers::steps::cut::{CutSpec, Dist, Made, Places, Survey, cut, rest_of, survey};
use plinth_layers::tree::{LAYOUT, diff_id};
use wheels::{Site, Wheel, assert_same, output, overlay, pips, tree};

/// An environment, and roots with copies of it before and after something was done there.
struct World {
    site: Site,
    before: PathBuf,
}

/// What was cut.
struct Cut {
    dists: Vec<Dist>,
    bytes: Vec<u64>,
    /// `N/` for each.
    trees: PathBuf,
    /// The state before with the layers on it.
    state: PathBuf,
}

fn big(name: &str) -> Wheel {
    Wheel::new(name, "1.0")
        .file(&format!("{name}/__init__.py"), "X = {'a', 'b'}\n")
        .file(&format!("{name}/deep/data.txt"), "data\n")
        .mode(&format!("{name}/tool"), "#!/bin/sh\n", 0o100_755)
        .file(&format!("{name}/broken.py"), "def (:\n")
        .data("data/share/one/readme.txt", "hi\n", 0o100_644)
        .data(&format!("scripts/{name}-run"), "#!python\nprint(1)\n", 0o100_755)
        .data(&format!("scripts/{name}.sh"), "#!/bin/sh\necho\n", 0o100_755)
        .info("entry_points.txt", format!("[console_scripts]\n{name}-cli = {name}:main\n"))
}

impl World {
    fn new() -> Self {
        let site = Site::new("env", pips().last().unwrap());
        let before = Self::root(&site, "before");
        Self { site, before }
    }

    /// A root with the environment, and with the interpreter in its place.
    fn root(site: &Site, name: &str) -> PathBuf {
        let root = site.snapshot(name);
        let python = root.join(site.interpreter.physical.trim_start_matches('/'));
        fs::create_dir_all(python.parent().unwrap()).unwrap();
        output(std::process::Command::new("cp").arg("-a").arg(&site.interpreter.physical).arg(&python));
        root
    }

    fn after(&self) -> PathBuf {
        Self::root(&self.site, "after")
    }

    fn survey(&self, after: &Path) -> Survey {
        let out = tempfile::tempdir_in(self.site.temp.path()).unwrap();
        survey(Places { before: &self.before, after }, out.path()).unwrap();
        serde_json::from_slice(&fs::read(out.path().join(Survey::FILE)).unwrap()).unwrap()
    }

    /// Cuts, and puts everything together again, which must be what it was.
    fn cut(&self, after: &Path) -> Cut {
        let Survey::Installed { dists } = self.survey(after) else { panic!("refused") };
        let base = tempfile::tempdir_in(self.site.temp.path()).unwrap().keep();
        let places = Places { before: &self.before, after };
        let [trees, metas, out] = ["trees", "metas", "out"].map(|name| base.join(name));
        fs::create_dir(&out).unwrap();
        for i in 0..dists.len() {
            for kind in [&trees, &metas] {
                fs::create_dir_all(kind.join(i.to_string())).unwrap();
            }
        }
        let (path_env, _) = self.site.interpreter.physical.rsplit_once('/').unwrap();
        let spec = CutSpec { layout: LAYOUT, path_env: path_env.into(), dists: dists.clone() };
        cut(&spec, places, &trees, &metas, &out).unwrap();
        let made: Made = serde_json::from_slice(&fs::read(out.join(Made::FILE)).unwrap()).unwrap();
        let state = base.join("state");
        output(std::process::Command::new("cp").arg("-a").arg(&self.before).arg(&state));
        for i in 0..dists.len() {
            overlay(&trees.join(i.to_string()), &state);
        }
        rest_of(places, dists.len(), &metas, &state).unwrap();
        assert_same(after, &state, &self.site.interpreter);
        Cut { dists, bytes: made.bytes, trees, state }
    }

    fn lib(&self, root: &Path) -> PathBuf {
        root.join(self.site.scheme.purelib.trim_start_matches('/'))
    }
}

/// Every file of a tree, without directories.
fn files(root: &Path) -> Vec<String> {
    tree(root).into_iter().filter(|(_, what)| !what.starts_with("dir")).map(|(path, _)| path).collect()
}

#[test]
fn the_layer_is_the_one_of_an_assembled_step() {
    let world = World::new();
    let (one, two) = (big("one"), big("two"));
    world.site.pip_install(&[], &[&one, &two]);
    let after = world.after();
    let cut = world.cut(&after);
    let names: Vec<&str> = cut.dists.iter().map(|dist| dist.name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);

    let wheels = [&one, &two];
    let (_, merged) = world.site.assemble(&world.site.plan(&wheels, &[]), &wheels, &world.before, &[]);
    for i in 0..2 {
        let (ours, assembled) =
            (cut.trees.join(i.to_string()), merged.parent().unwrap().join(format!("trees/{i}")));
        assert_eq!(tree(&ours), tree(&assembled));
        assert_eq!(diff_id(&ours).unwrap(), diff_id(&assembled).unwrap());
        let bytes: u64 =
            files(&ours).iter().map(|path| ours.join(&path[1..]).metadata().unwrap().len()).sum();
        assert_eq!((cut.bytes[i], cut.dists[i].bytes), (bytes, bytes));
    }
}

#[test]
fn what_is_not_as_record_says_is_left_out() {
    let world = World::new();
    let wheel = big("one")
        .file("one/patched.py", "A = 1\n")
        .file("one/gone.py", "B = 1\n")
        .file("one/old.py", "C = 1\n");
    world.site.pip_install(&[], &[&wheel]);
    let after = world.after();
    let lib = world.lib(&after);
    fs::write(lib.join("one/patched.py"), "A = 2\n").unwrap();
    fs::remove_file(lib.join("one/gone.py")).unwrap();
    fs::set_permissions(lib.join("one/deep/data.txt"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::hard_link(lib.join("one/tool"), lib.join("one/tool2")).unwrap();
    // Byte code that isn't its source's: an interpreter ignores it, and has to go on ignoring it.
    fs::File::open(lib.join("one/old.py")).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    fs::File::open(lib.join("one/old.py"))
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000))
        .unwrap();
    let cut = world.cut(&after);
    let left: Vec<String> = files(&cut.trees.join("0"));
    for name in ["patched", "gone", "data.txt", "tool", "old"] {
        assert!(
            !left
                .iter()
                .any(|path| path.contains(&format!("one/{name}")) || path.contains(&format!("/{name}."))),
            "{name}: {left:#?}"
        );
    }
    assert!(left.iter().any(|path| path.ends_with("one/__init__.py")), "{left:#?}");
    let state = world.lib(&cut.state);
    let time = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    assert_eq!(time(&state.join("one/old.py")), time(&lib.join("one/old.py")));
    use std::os::unix::fs::MetadataExt as _;
    let inode = |name: &str| fs::metadata(state.join(name)).unwrap().ino();
    assert_eq!(inode("one/tool"), inode("one/tool2"));
}

#[test]
fn a_source_with_byte_code_elsewhere_keeps_its_time() {
    let world = World::new();
    let wheel = big("one").file("one/linked.py", "A = 1\n").file("one/other.inc", "B = 12\n");
    world.site.pip_install(&[], &[&wheel]);
    let after = world.after();
    let lib = world.lib(&after);
    fs::create_dir(after.join("app")).unwrap();
    symlink(lib.join("one/linked.py"), after.join("app/alias.py")).unwrap();
    let python = &world.site.interpreter.physical;
    let compile = "import py_compile, sys; py_compile.compile(sys.argv[1], cfile=sys.argv[2] or None)";
    for (source, target) in [
        (after.join("app/alias.py"), PathBuf::new()),
        (lib.join("one/other.inc"), lib.join("one/__pycache__/other.cpython-311.pyc")),
    ] {
        output(std::process::Command::new(python).args(["-c", compile]).arg(source).arg(target));
    }
    let cut = world.cut(&after);
    let left = files(&cut.trees.join("0"));
    for (name, layered) in [("linked.py", false), ("other.inc", false), ("deep/data.txt", true)] {
        assert_eq!(left.iter().any(|path| path.ends_with(name)), layered, "{name}: {left:#?}");
    }
    let time =
        |root: &Path, name: &str| fs::metadata(world.lib(root).join(name)).unwrap().modified().unwrap();
    for name in ["one/linked.py", "one/other.inc"] {
        assert_eq!(time(&after, name), time(&cut.state, name));
    }
}

#[test]
fn another_version_of_the_same_size_has_another_time() {
    let world = World::new();
    let wheels = ["1", "2"].map(|n| {
        let mut wheel = Wheel::new("one", n);
        wheel.version = n.to_owned();
        wheel.file("one.py", format!("V = {n}\n"))
    });
    let times = wheels.each_ref().map(|wheel| {
        let wheels = [wheel];
        let (_, merged) = world.site.assemble(&world.site.plan(&wheels, &[]), &wheels, &world.before, &[]);
        fs::metadata(world.lib(&merged).join("one.py")).unwrap().modified().unwrap()
    });
    assert_ne!(times[0], times[1]);
}

#[test]
fn an_upgrade_leaves_nothing_behind() {
    let mut world = World::new();
    let old = big("one").file("one/only_before.py", "A = 1\n");
    world.site.pip_install(&[], &[&old]);
    fs::remove_dir_all(&world.before).unwrap();
    world.before = World::root(&world.site, "before");
    let mut new = big("one").file("one/only_after.py", "B = 1\n");
    new.version = "2.0".into();
    new.files = new
        .files
        .into_iter()
        .map(|(path, text, mode)| (path.replace("one-1.0", "one-2.0"), text, mode))
        .collect();
    world.site.pip_install(&[], &[&new]);
    let after = world.after();
    let cut = world.cut(&after);
    assert_eq!(cut.dists.len(), 1);
    assert_eq!(cut.dists[0].version, "2.0");
    assert!(!files(&cut.state).iter().any(|path| path.contains("only_before")));
}

#[test]
fn whatever_else_the_step_did_is_there() {
    let world = World::new();
    world.site.pip_install(&[], &[&big("one")]);
    let after = world.after();
    let lib = world.lib(&after);
    // A directory in the place of a file and the other way round, links, modes and times of directories.
    fs::create_dir_all(after.join("srv/app/empty")).unwrap();
    fs::write(after.join("srv/app/x"), "x").unwrap();
    symlink("app/x", after.join("srv/link")).unwrap();
    output(std::process::Command::new("touch").args(["-h", "-d", "@-1000.5"]).arg(after.join("srv/link")));
    fs::hard_link(after.join("srv/link"), after.join("srv/link2")).unwrap();
    fs::set_permissions(lib.join("one"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(after.join("srv"), fs::Permissions::from_mode(0o2770)).unwrap();
    let cfg = after.join(world.site.venv.join("pyvenv.cfg").strip_prefix("/").unwrap());
    fs::remove_file(&cfg).unwrap();
    fs::create_dir(&cfg).unwrap();
    fs::write(cfg.join("y"), "y").unwrap();
    let cut = world.cut(&after);
    let time = |root: &Path, path: &str| fs::symlink_metadata(root.join(path)).unwrap().modified().unwrap();
    for path in ["srv", "srv/app", "srv/app/x", "srv/link"] {
        assert_eq!(time(&after, path), time(&cut.state, path), "{path}");
    }
    use std::os::unix::fs::MetadataExt as _;
    let inode = |path: &str| fs::symlink_metadata(cut.state.join(path)).unwrap().ino();
    assert_eq!(inode("srv/link"), inode("srv/link2"));
    let lib = world.lib(Path::new("/"));
    let lib = lib.strip_prefix("/").unwrap().to_str().unwrap();
    for path in [lib, lib.rsplit_once('/').unwrap().0] {
        assert_eq!(time(&after, path), time(&cut.state, path), "{path}");
    }
}

#[test]
fn layers_of_another_run_are_no_harm() {
    let world = World::new();
    world.site.pip_install(&[], &[&big("one"), &big("two")]);
    let after = world.after();
    let cut = world.cut(&after);
    // The same build again, in which the step came to something else.
    let lib = world.lib(&after);
    fs::remove_dir_all(lib.join("two")).unwrap();
    fs::write(lib.join("two"), "a file").unwrap();
    fs::write(lib.join("one/__init__.py"), "X = 2\n").unwrap();
    fs::remove_dir_all(lib.join("one/__pycache__")).unwrap();
    let state = world.site.temp.path().join("again");
    output(std::process::Command::new("cp").arg("-a").arg(&world.before).arg(&state));
    for i in 0..2 {
        overlay(&cut.trees.join(i.to_string()), &state);
    }
    let metas = cut.trees.parent().unwrap().join("metas");
    rest_of(Places { before: &world.before, after: &after }, 2, &metas, &state).unwrap();
    assert_same(&after, &state, &world.site.interpreter);
}

#[test]
fn hostile_records_take_nothing_in() {
    let world = World::new();
    world.site.pip_install(&[], &[&big("one")]);
    let after = world.after();
    let lib = world.lib(&after);
    let info = lib.join("evil-1.dist-info");
    fs::create_dir(&info).unwrap();
    fs::create_dir_all(after.join("etc")).unwrap();
    fs::write(after.join("etc/target"), "x").unwrap();
    symlink("/etc", lib.join("way")).unwrap();
    let hash = "sha256=LXEWQrcmsEQBYnyp-6wy9chTD7GQPMTbAiWHF5IaSIE";
    let rows = [
        "way/target",
        "../../../../../../../../../../../../etc/target",
        "one",
        "/proc/self/environ",
        "",
        "a\\b",
    ];
    let text: String = rows.iter().map(|path| format!("{path},{hash},1\n")).collect();
    fs::write(info.join("RECORD"), text).unwrap();
    let cut = world.cut(&after);
    assert_eq!(cut.dists[0].name, "evil");
    assert_eq!((cut.dists[0].bytes, files(&cut.trees.join("0"))), (0, vec![]));
    // One that can't be read at all.
    fs::write(info.join("RECORD"), "\"unfinished").unwrap();
    assert_eq!(world.cut(&after).dists[0].bytes, 0);
}
