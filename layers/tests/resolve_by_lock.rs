//! What follows from a lock without asking pip, against what pip says with the same lock: over many small fleets of
//! distributions, made up by chance, of which some are installed already.

#![allow(clippy::unwrap_used, dead_code)]

mod resolve_index;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use plinth_layers::lock::{Lock, Needs, Package, Set};
use plinth_layers::pip::normalized;
use plinth_layers::resolution::{Locked, Outcome, Plan};
use plinth_layers::steps::resolve::{Followed, Requests, follow_lock, resolve};
use resolve_index::{Index, Venv, is_root};

/// How many fleets there are. With `PLINTH_TEST_FLEETS=N`, as many as that.
const FLEETS: u64 = 12;

/// Numbers by chance, the same in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn of<'t>(&mut self, list: &[&'t str]) -> &'t str {
        list[usize::try_from(self.below(list.len() as u64)).unwrap()]
    }
}

const NAMES: &[&str] = &["app", "Base.Kit", "core", "data_set", "edge", "fast", "Grid", "hub", "item", "jet"];
const VERSIONS: &[&str] = &["1.0", "1.5", "2.0.post1", "2.1"];
/// The first are met by every version.
const SPECIFIERS: &[&str] =
    &["", ">=1.0", "<3", "!=1.7", ">=1,<2.2", "~=1.0", ">1.0", "==1.*", "<=2.1", "<2.0"];
const MARKERS: &[&str] = &[
    "",
    "",
    "",
    "",
    "; python_version >= '3.9'",
    "; python_version < '3'",
    "; sys_platform == 'linux'",
    "; sys_platform == 'win32' or platform_machine != 's390x'",
    "; implementation_name in 'pypy jython'",
    "; platform_python_implementation != 'PyPy' and os_name == 'posix'",
    "; extra == 'more'",
    "; extra == 'more' and python_full_version > '3.8.0'",
    "; extra == 'other-one'",
    "; extra == 'more' and os_name != 'nt'",
];

struct Fleet {
    lock: Lock,
    /// Name, version and needs of what is there before.
    installed: Vec<(String, String, Needs)>,
    requests: Vec<String>,
}

fn requirement(chance: &mut Chance, marked: bool) -> String {
    let name = chance.of(NAMES);
    let name = if chance.one_in(4) { name.to_uppercase() } else { name.to_owned() };
    let extra = if chance.one_in(5) {
        match chance.below(12) {
            0 => "[none]",
            1..4 => "[more,other-one]",
            4..7 => "[other-one]",
            _ => "[more]",
        }
    } else {
        ""
    };
    let marker = if marked { chance.of(MARKERS) } else { chance.of(&MARKERS[..8]) };
    let specifier = if chance.one_in(12) { chance.of(SPECIFIERS) } else { chance.of(&SPECIFIERS[..5]) };
    format!("{name}{extra}{specifier}{marker}")
}

fn fleet(chance: &mut Chance, python: &str, glibc: &str, index: &str) -> Fleet {
    let mut lock = Lock::new(&format!("{}-manylinux_{}", std::env::consts::ARCH, glibc.replace('.', "_")));
    lock.index = Some(index.to_owned());
    let mut installed = Vec::new();
    // Few needs go back, so that circles are rare, but there.
    for name in NAMES {
        let needs = |chance: &mut Chance| Needs {
            name: (*name).to_owned(),
            python: chance.one_in(2).then(|| chance.of(&[">=3.7", "!=3.0.*", ">=3.8,<4", "<3.5"]).to_owned()),
            requires: (0..chance.below(4)).map(|_| requirement(chance, true)).collect(),
            extras: vec!["more".to_owned(), "other-one".to_owned()],
        };
        let version = chance.of(VERSIONS).to_owned();
        let mut of_lock = needs(chance);
        if of_lock.python.as_deref() == Some("<3.5") && !chance.one_in(12) {
            of_lock.python = None;
        }
        if chance.one_in(4) {
            let version = if chance.one_in(2) { version.clone() } else { chance.of(VERSIONS).to_owned() };
            installed.push(((*name).to_owned(), version, needs(chance)));
        }
        let key = normalized(name).unwrap();
        let stem = key.replace('-', "_");
        if chance.one_in(25) {
            continue;
        }
        lock.package.push(Package {
            python: python.to_owned(),
            url: format!("{index}/files/{stem}-{version}-py3-none-any.whl"),
            sha256: format!("{:064x}", key.len()),
            name: key,
            version,
            size: None,
            apart: false,
            needs: Some(of_lock),
        });
    }
    let requests: Vec<String> = (0..=chance.below(3)).map(|_| requirement(chance, false)).collect();
    lock.set.push(Set {
        python: python.to_owned(),
        services: vec!["s".to_owned()],
        requirements: requests.iter().map(|text| normalized(text).unwrap()).collect(),
        versions: Vec::new(),
        reason: None,
    });
    Fleet { lock, installed, requests }
}

/// Describes a distribution as installed in `site`.
fn describe(site: &Path, name: &str, version: &str, needs: &Needs) {
    let info = site.join(format!("{}-{version}.dist-info", name.replace(['-', '.'], "_")));
    fs::create_dir_all(&info).unwrap();
    let mut text = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    text.extend(needs.python.iter().map(|python| format!("Requires-Python: {python}\n")));
    text.extend(needs.requires.iter().map(|one| format!("Requires-Dist: {one}\n")));
    text.extend(needs.extras.iter().map(|extra| format!("Provides-Extra: {extra}\n")));
    fs::write(info.join("METADATA"), text).unwrap();
    fs::write(
        info.join("RECORD"),
        format!("{0}/METADATA,,\n{0}/RECORD,,\n", info.file_name().unwrap().display()),
    )
    .unwrap();
    fs::write(info.join("INSTALLER"), "pip\n").unwrap();
}

/// Whether something needs itself, in the end. pip's order is by chance then.
fn in_circles(lock: &Lock, installed: &[(String, String, Needs)]) -> bool {
    let name = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c)).unwrap_or(text.len());
        normalized(&text[..end]).unwrap()
    };
    let of = |needs: &Needs| needs.requires.iter().map(|text| name(text)).collect::<BTreeSet<_>>();
    let mut edges: Vec<(String, BTreeSet<String>)> = Vec::new();
    edges.extend(
        lock.package.iter().map(|package| (package.name.clone(), of(package.needs.as_ref().unwrap()))),
    );
    edges.extend(installed.iter().map(|(known, _, needs)| (normalized(known).unwrap(), of(needs))));
    loop {
        let names: BTreeSet<String> = edges.iter().map(|(name, _)| name.clone()).collect();
        let before = edges.len();
        edges.retain(|(_, needs)| needs.iter().any(|need| names.contains(need)));
        match edges.len() {
            0 => return false,
            same if same == before => return true,
            _ => {}
        }
    }
}

/// What can be compared: pip's own spelling of what others ask for shows in few things, and is looked at there.
fn parts(plan: &Plan, sorted: bool) -> Parts {
    let install = plan.install.iter().map(|one| (one.name.clone(), one.sha256.clone(), one.requested));
    parts_of(
        install.collect(),
        plan.remove.iter().map(|one| (one.name.clone(), one.version.clone())).collect(),
        &plan.satisfied,
        sorted,
    )
}

type Parts = (Vec<(String, String, bool)>, Vec<(String, String)>, Vec<String>);

fn parts_of(
    mut install: Vec<(String, String, bool)>,
    mut remove: Vec<(String, String)>,
    satisfied: &[String],
    sorted: bool,
) -> Parts {
    if sorted {
        install.sort();
    }
    remove.sort();
    (install, remove, satisfied.to_vec())
}

fn followed_parts(followed: &Followed, sorted: bool) -> Parts {
    let install = followed.install.iter().map(|one| (one.name.clone(), one.sha256.clone(), one.requested));
    let remove = followed.remove.iter().map(|one| (one.name.clone(), one.version.clone()));
    parts_of(install.collect(), remove.collect(), &followed.satisfied, sorted)
}

#[test]
fn pips_answer_with_a_lock_follows_from_it() {
    if !is_root() {
        return;
    }
    let index = Index::start();
    let mut venv = Venv::new(&index, None);
    // Whatever isn't answered by the lock finds nothing.
    const NOWHERE: &str = "http://127.0.0.1:9/simple";
    venv.env.retain(|(name, _)| name != "PIP_INDEX_URL");
    venv.env.extend(
        [("PIP_INDEX_URL", NOWHERE), ("PIP_RETRIES", "0")].map(|(a, b)| (a.to_owned(), b.to_owned())),
    );
    let said = venv.run(&[
        "python",
        "-c",
        "import os, platform; print(platform.python_version(), os.confstr('CS_GNU_LIBC_VERSION'))",
    ]);
    let words: Vec<&str> = said.split_whitespace().collect();
    let [version, _, glibc] = words.as_slice() else { panic!("{said}") };
    let python = version.rsplit_once('.').unwrap().0;
    let site = venv.venv().join(format!("lib/python{python}/site-packages"));
    let architecture = if std::env::consts::ARCH == "x86_64" { "amd64" } else { "arm64" };
    let count =
        std::env::var("PLINTH_TEST_FLEETS").ok().and_then(|count| count.parse().ok()).unwrap_or(FLEETS);
    let (mut answers, mut none, mut only_pip, mut removals) = (0, 0, 0, 0);
    for number in 0..count {
        let mut chance = Chance(number);
        let _ = chance.below(2);
        let Fleet { lock, installed, requests } = fleet(&mut chance, python, glibc, NOWHERE);
        let root = tempfile::tempdir().unwrap();
        let own = root.path().join(format!("usr/local/lib/python{python}/site-packages"));
        venv.save();
        for (name, version, needs) in &installed {
            describe(&site, name, version, needs);
            describe(&own, name, version, needs);
        }
        let mut argv = vec!["pip", "install"];
        argv.extend(requests.iter().map(String::as_str));
        let mut context = venv.context(&argv);
        context.lock = Some(lock.clone());
        let by_pip = match resolve(&context).map(|resolution| resolution.outcome) {
            Ok(Outcome::Assemble(plan)) if plan.locked == Some(Locked::Covered) => Ok(*plan),
            other => Err(format!("{other:?}")),
        };
        let asked: BTreeSet<String> = requests.iter().map(|text| normalized(text).unwrap()).collect();
        let requests = Requests { asked, requirements: requests.clone() };
        let by_lock = follow_lock(&lock, &requests, root.path(), version, architecture);
        let circles = in_circles(&lock, &installed);
        match (&by_pip, &by_lock) {
            (Ok(plan), Ok(followed)) => {
                let what = format!("fleet {number}: {:?}\n{lock:#?}\n{installed:#?}", requests.requirements);
                assert_eq!(followed_parts(followed, circles), parts(plan, circles), "{what}");
                answers += 1;
                removals += plan.remove.len();
            }
            (Err(_), Err(_)) => none += 1,
            // pip may find that what is there can't stay, and take the same version from the lock: it searches. Such an
            // install runs as written.
            (Ok(_), Err(_)) => only_pip += 1,
            (Err(reason), Ok(followed)) => {
                panic!(
                    "fleet {number}: {:?}: pip has no answer: {reason}\n{followed:#?}\n{lock:#?}\n{installed:#?}",
                    requests.requirements
                )
            }
        }
        venv.restore();
    }
    eprintln!("{answers} answers with {removals} removals, {only_pip} of pip alone, {none} without one");
    assert!(answers > 0 && none > 0 && only_pip * 10 <= answers);
}
