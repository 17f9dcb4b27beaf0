//! What a COPY takes along, and what is left of it: together they are what was copied.
#![allow(clippy::unwrap_used)]

mod wheels;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use plinth_layers::steps::carry::{Carried, CarrySpec, Places, carry, rest};
use plinth_layers::steps::record::Verdict;
use plinth_layers::tree::LAYOUT;
use wheels::{Site, Wheel, overlay, pips, tree};

/// An environment with two wheels in it, as the steps make it.
struct World {
    site: Site,
    /// `trees/`, `metas/`, `merged/`.
    made: PathBuf,
    /// The environment in the merged state.
    venv: PathBuf,
    to: PathBuf,
}

impl World {
    fn new() -> Self {
        let site = Site::new("env", pips().last().unwrap());
        let wheel = |name: &str| {
            Wheel::new(name, "1.0")
                .file(&format!("{name}/__init__.py"), "X = 1\n")
                .file(&format!("{name}/sub/a.txt"), "a\n")
        };
        let (one, two) = (wheel("one"), wheel("two"));
        let wheels = [&one, &two];
        let before = site.snapshot("before");
        let (verdict, merged) = site.assemble(&site.plan(&wheels, &[]), &wheels, &before, &[]);
        assert_eq!(verdict, Verdict::Assembled);
        let venv = merged.join(site.venv.strip_prefix("/").unwrap());
        let to = site.temp.path().join("to");
        fs::create_dir(&to).unwrap();
        Self { made: merged.parent().unwrap().to_owned(), site, venv, to }
    }

    fn spec(&self) -> CarrySpec {
        CarrySpec {
            layout: LAYOUT,
            path: self.site.venv.to_str().unwrap().to_owned(),
            layers: vec![1, 1],
            source: String::new(),
        }
    }

    fn carried(&self) -> Carried {
        self.carried_as(vec![1, 1])
    }

    /// With so many payloads in each layer.
    fn carried_as(&self, layers: Vec<usize>) -> Carried {
        let out = tempfile::tempdir_in(self.site.temp.path()).unwrap();
        let spec = CarrySpec { layers, ..self.spec() };
        carry(&spec, self.places(&self.made.join("metas")), out.path()).unwrap();
        serde_json::from_slice(&fs::read(out.path().join(Carried::FILE)).unwrap()).unwrap()
    }

    fn places<'a>(&'a self, metas: &'a Path) -> Places<'a> {
        Places { to: &self.to, from: &self.venv, metas }
    }

    /// The state that is copied to with the payloads and the rest on it.
    fn layered(&self, carried: &Carried) -> PathBuf {
        let out = tempfile::tempdir_in(self.site.temp.path()).unwrap();
        rest(&self.spec(), self.places(&self.made.join("metas")), carried, out.path()).unwrap();
        let Carried::Whole { layers } = carried else { panic!("refused") };
        for index in layers {
            overlay(&self.made.join(format!("trees/{index}")), &self.to);
        }
        overlay(out.path(), &self.to);
        self.to.join(self.site.venv.strip_prefix("/").unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.venv.join("lib").join(self.site.scheme.purelib.rsplit_once("/lib/").unwrap().1).join(name)
    }
}

fn whole(layers: &[usize]) -> Carried {
    Carried::Whole { layers: layers.to_vec() }
}

#[test]
fn payloads_and_the_rest_are_the_whole() {
    let world = World::new();
    symlink("nowhere", world.venv.join("link")).unwrap();
    fs::write(world.venv.join("secret"), "s").unwrap();
    fs::set_permissions(world.venv.join("secret"), fs::Permissions::from_mode(0o4640)).unwrap();
    fs::set_permissions(world.file("one/sub"), fs::Permissions::from_mode(0o700)).unwrap();
    let carried = world.carried();
    assert_eq!(carried, whole(&[0, 1]));
    assert_eq!(world.carried_as(vec![2]), whole(&[0]));
    assert_eq!(tree(&world.layered(&carried)), tree(&world.venv));
}

#[test]
fn hard_links_stay_hard_links() {
    let world = World::new();
    fs::hard_link(world.venv.join("pyvenv.cfg"), world.venv.join("hard.cfg")).unwrap();
    fs::hard_link(world.file("two/sub/a.txt"), world.venv.join("hard.txt")).unwrap();
    let carried = world.carried();
    assert_eq!(carried, whole(&[0]));
    // In one layer with the other, it doesn't come along either.
    assert_eq!(world.carried_as(vec![2]), whole(&[]));
    let ours = world.layered(&carried);
    assert_eq!(tree(&ours), tree(&world.venv));
    let inode = |name: &str| fs::metadata(ours.join(name)).unwrap().ino();
    assert_eq!(inode("hard.cfg"), inode("pyvenv.cfg"));
    let site = world.file("two/sub/a.txt");
    assert_eq!(inode("hard.txt"), inode(site.strip_prefix(&world.venv).unwrap().to_str().unwrap()));
}

#[test]
fn the_directory_itself_is_what_it_was() {
    for there in [None, Some(0o711)] {
        let world = World::new();
        fs::set_permissions(&world.venv, fs::Permissions::from_mode(0o700)).unwrap();
        let at = world.to.join(world.site.venv.strip_prefix("/").unwrap());
        if let Some(mode) = there {
            fs::create_dir_all(&at).unwrap();
            fs::set_permissions(&at, fs::Permissions::from_mode(mode)).unwrap();
        }
        let ours = world.layered(&world.carried());
        assert_eq!(fs::metadata(ours).unwrap().mode() & 0o7777, there.unwrap_or(0o755));
    }
}

#[test]
fn what_was_changed_is_the_rest() {
    for change in [
        |world: &World| fs::write(world.file("one/sub/a.txt"), "b\n").unwrap(),
        |world: &World| fs::remove_file(world.file("one/sub/a.txt")).unwrap(),
        |world: &World| {
            fs::set_permissions(world.file("one/sub/a.txt"), fs::Permissions::from_mode(0o600)).unwrap();
        },
        |world: &World| {
            fs::rename(world.file("one/sub/a.txt"), world.file("one/b")).unwrap();
            symlink("../b", world.file("one/sub/a.txt")).unwrap();
        },
    ] {
        let world = World::new();
        change(&world);
        let carried = world.carried();
        assert_eq!(carried, whole(&[1]));
        assert_eq!(tree(&world.layered(&carried)), tree(&world.venv));
    }
}

#[test]
fn what_is_refused() {
    let refused = |change: fn(&World, &Path)| {
        let world = World::new();
        let at = world.to.join(world.site.venv.strip_prefix("/").unwrap());
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        change(&world, &at);
        match world.carried() {
            Carried::Refused { reason } => reason.replace(world.site.venv.to_str().unwrap(), "VENV"),
            whole @ Carried::Whole { .. } => panic!("{whole:?}"),
        }
    };
    let reason = refused(|_, at| symlink("/elsewhere", at).unwrap());
    assert_eq!(reason, "VENV is there and is not a real directory");
    let reason = refused(|_, at| {
        fs::create_dir(at).unwrap();
        symlink("/elsewhere", at.join("bin")).unwrap();
    });
    assert_eq!(reason, "VENV/bin is there already, and is something else");
    let reason = refused(|_, at| {
        fs::set_permissions(at.parent().unwrap(), fs::Permissions::from_mode(0o2755)).unwrap();
    });
    assert!(reason.ends_with(" is setgid: what is made in it takes its group"), "{reason}");
    let reason = refused(|world, _| {
        std::os::unix::net::UnixListener::bind(world.venv.join("socket")).unwrap();
    });
    assert_eq!(reason, "VENV/socket is a special file");
    let reason = refused(|world, _| {
        let file = world.venv.join("pyvenv.cfg");
        rustix::fs::lsetxattr(&file, "user.x", b"1", rustix::fs::XattrFlags::empty()).unwrap();
    });
    assert_eq!(reason, "VENV/pyvenv.cfg has extended attributes");
}
