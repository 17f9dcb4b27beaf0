//! `plinth analyze` on what real builders push and a real registry stores, against counts made without it: the sizes of the
//! files on the registry's disk, and the listings and checksums of another reader of tar.

mod registry;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use self::registry::Registry;
use crate::support::build::{Build, Side};
use crate::support::env::{Env, e2e};
use crate::support::files::Files;

const LEFT: &str = "FROM python:3.11-slim
RUN pip install --no-cache-dir click
RUN dd if=/dev/urandom of=/big bs=1000 count=500 2>/dev/null && cp /big /gone
RUN chmod 600 /big && rm /gone && mkdir -p /root/.cache/pip && cp /big /root/.cache/pip/kept
";
const RIGHT: &str = "FROM python:3.11-slim
RUN echo another > /first
RUN pip install --no-cache-dir click
RUN mkfifo /pipe && ln -s big /link && echo ä > '/a name with ä' && ln '/a name with ä' /hard
";

const INLINE: &str = "FROM python:3.11-slim AS made
RUN echo made > /made
FROM python:3.11-slim
COPY --link --from=made /made /made
RUN echo inline > /inline
";

/// What the command says.
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Said {
    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        serde_json::from_str(&self.stdout).unwrap()
    }
}

fn analyze(store: &Path, args: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plinth"));
    let output = command.arg("analyze").args(args).arg("--store").arg(store).output().unwrap();
    Said {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Two services, plain and through plinth, with caches of either kind; and where they are.
struct Fleet {
    registry: Registry,
    work: Files,
}

impl Fleet {
    fn build(env: &Env) -> Self {
        let fleet = Self { registry: Registry::start(), work: Files::new() };
        for (name, text) in [("left", LEFT), ("right", RIGHT)] {
            let service = Files::dockerfile(text);
            for (side, tag) in [(Side::Plain, "plain"), (Side::Plinth, "plinth")] {
                let image = format!("{}/team/{name}:{tag}", fleet.registry.host);
                let mut build = Build::new(env, side, service.path()).push(&image);
                if (name, tag) == ("left", "plain") {
                    let cache = format!("{}/cache/left:1", fleet.registry.host);
                    let local = fleet.work.join("cache");
                    build = build
                        .flag("--export-cache", format!("type=registry,ref={cache},mode=max"))
                        .flag("--export-cache", format!("type=local,dest={},mode=max", local.display()));
                }
                build.run().ok();
            }
        }
        let inline = format!("{}/cache/inline:1", fleet.registry.host);
        let service = Files::dockerfile(INLINE);
        let build = Build::new(env, Side::Plain, service.path()).push(&inline);
        build.flag("--export-cache", "type=inline").run().ok();
        fleet
    }

    fn all(&self) -> String {
        format!("{}/**", self.registry.host)
    }

    fn store(&self, name: &str) -> std::path::PathBuf {
        self.work.join(name)
    }
}

/// Files of these layers, counted by Python's tarfile: files with content, different contents, bytes.
fn counted(registry: &Registry, layers: &BTreeSet<String>) -> (u64, u64, u64) {
    const PROGRAM: &str = "
import hashlib, sys, tarfile
copies, contents, size = 0, set(), 0
for path in sys.argv[1:]:
    with tarfile.open(path) as layer:
        for member in layer:
            if member.isreg() and member.size and not member.name.rsplit('/', 1)[-1].startswith('.wh.'):
                copies += 1
                size += member.size
                contents.add(hashlib.sha256(layer.extractfile(member).read()).digest())
print(copies, len(contents), size)
";
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", PROGRAM]).args(layers.iter().map(|digest| registry.file(digest)));
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let figures: Vec<u64> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
    assert_eq!(figures.len(), 3, "{}", String::from_utf8_lossy(&output.stderr));
    (figures[0], figures[1], figures[2])
}

fn layers(document: &Value) -> BTreeSet<String> {
    let rows = document["table"].as_array().unwrap();
    rows.iter().map(|row| row["digest"].as_str().unwrap().to_owned()).collect()
}

fn image<'a>(document: &'a Value, name: &str) -> &'a Value {
    let images = document["images"].as_array().unwrap();
    images.iter().find(|image| image["name"].as_str().unwrap().ends_with(name)).unwrap()
}

#[test]
fn a_registry_is_counted_to_the_byte() {
    let env = e2e!();
    let fleet = Fleet::build(env);
    let registry = &fleet.registry;
    let document = analyze(&fleet.store("a"), &[&fleet.all(), "--json"]).json();
    assert_eq!(document["schema_version"], 1);
    assert_eq!(document["problems"].as_array().unwrap().len(), 0, "{:#}", document["problems"]);

    // Blobs: against the disk.
    let stored = registry.stored();
    assert_eq!(document["blobs"]["stored"], stored.values().sum::<u64>());
    assert_eq!(document["blobs"]["places"][&registry.host], stored.values().sum::<u64>());
    assert_eq!(document["blobs"]["distinct"], stored.len());

    // Files: against another reader.
    let layers = layers(&document);
    let (copies, contents, size) = counted(registry, &layers);
    let files = &document["files"];
    assert_eq!(
        (&files["copies"], &files["distinct"], &files["bytes"]),
        (&copies.into(), &contents.into(), &size.into())
    );
    // What the files take is what their layers take, to the byte, but for layers without any.
    let sum = |key: &str| -> u64 {
        document["table"].as_array().unwrap().iter().map(|row| row[key].as_u64().unwrap()).sum()
    };
    assert!(files["stored"].as_u64().unwrap() <= sum("size"));

    // Packages: click is in a layer of each plain image, and in one for both that plinth built.
    let packages = document["packages"]["list"].as_array().unwrap();
    let click = packages.iter().find(|package| package["name"] == "click").unwrap();
    assert_eq!(
        (&click["images"], &click["copies"], &click["distinct"]),
        (&4.into(), &3.into(), &1.into()),
        "{click:#}"
    );

    // Waste.
    let waste = &image(&document, "team/left:plain")["waste"];
    // Empty files that dpkg and pip write again have no size.
    assert_eq!((&waste["same_again"]["size"], &waste["deleted"]["size"]), (&500_000.into(), &500_000.into()));
    assert_eq!(waste["leftovers"]["cache of pip"]["size"], 500_000);

    // What plinth's layers would take of the plain images is what its images take.
    let achievable = |tag: &str| {
        let source = format!("{}/team/*:{tag}", registry.host);
        analyze(&fleet.store("a"), &[&source, "--json"]).json()["achievable"].clone()
    };
    let (plain, plinth) = (achievable("plain"), achievable("plinth"));
    let (would, does) = (plain["layered"].as_f64().unwrap(), plinth["now"].as_f64().unwrap());
    assert!((would / does - 1.0).abs() < 0.02, "foreseen {would}, measured {does}");
    assert!(would < plain["now"].as_f64().unwrap());

    // Nothing is read twice: a store that knows everything asks for no layer.
    let asked = |log: &str| layers.iter().filter(|digest| log.contains(&format!("blobs/{digest}"))).count();
    let before = registry.log();
    // The builder asks whether a blob is there before it pushes it: that is in the log as well, but no line is new now.
    assert_eq!(asked(&before), layers.len());
    let again = analyze(&fleet.store("a"), &[&fleet.all(), "--json"]).json();
    assert_eq!(asked(&registry.log()[before.len()..]), 0);
    assert_eq!(again["files"], document["files"]);

    // Whatever order the threads came in, the document is the same.
    let other = analyze(&fleet.store("b"), &[&fleet.all(), "--json", "--jobs", "1"]);
    assert_eq!(other.json(), document);
    tables(&fleet, &document);
    caches(&fleet, &document);
    rules(&fleet);
    drills(&fleet);
    damage(&fleet, &layers);
}

/// The tables, read by DuckDB as docs/analyze.md has it.
fn tables(fleet: &Fleet, document: &Value) {
    let index = std::env::var("PLINTH_INDEX_URL").expect("PLINTH_INDEX_URL isn't set: source .plinth/env");
    let at = fleet.work.join("tables");
    let out = at.to_str().unwrap();
    let said = analyze(&fleet.store("a"), &[&fleet.all(), "--format", "parquet", "--output", out]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let target = fleet.work.join("duckdb");
    let mut pip = Command::new("/usr/bin/python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--index-url", &index, "duckdb", "--target"]);
    let installed = pip.arg(&target).output().unwrap();
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    let docs = include_str!("../../../docs/analyze.md");
    let query = docs.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    let program =
        format!("import duckdb\nfor row in duckdb.sql('''{query}''').fetchall(): print(*row, sep='|')");
    let mut python = Command::new("/usr/bin/python3");
    let output = python.args(["-c", &program]).env("PYTHONPATH", &target).current_dir(&at).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    // The document's list has the same packages, those first that would save most.
    let list = document["packages"]["list"].as_array().unwrap();
    let first = text.lines().next().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let cells: Vec<&str> = first.split('|').collect();
    let package = list.iter().find(|package| package["name"] == cells[0]).unwrap();
    assert_eq!(package["stored"].to_string(), cells[2], "{first}");
    assert_eq!(package["saving"].to_string(), cells[3], "{first}");
}

fn caches(fleet: &Fleet, document: &Value) {
    let list = document["caches"]["list"].as_array().unwrap();
    let names: Vec<&str> = list.iter().map(|cache| cache["name"].as_str().unwrap()).collect();
    let of = |end: &str| {
        let at = names.iter().position(|name| name.ends_with(end));
        &list[at.unwrap_or_else(|| panic!("{end}: {names:?}"))]
    };
    let left = of("cache/left:1");
    // All of the image's layers are in it; of another image only the base's.
    let serves = left["serves"].as_array().unwrap();
    let served = |name: &str| {
        let at = document["images"]
            .as_array()
            .unwrap()
            .iter()
            .position(|image| image["name"].as_str().unwrap().ends_with(name));
        serves.iter().find(|row| row["image"] == at.unwrap()).unwrap_or_else(|| panic!("{name}: {left:#}"))
    };
    let whole = served("team/left:plain");
    assert_eq!(whole["layers"], whole["of"], "{whole}");
    let base = served("team/right:plain");
    assert!(base["layers"].as_u64().unwrap() > 0 && base["layers"].as_u64() < base["of"].as_u64(), "{base}");
    assert!(left["records"].as_u64().unwrap() > 0);
    // The context is a layer of the cache, and of no image.
    assert!(left["unused"].as_u64().unwrap() < 1000, "{left}");
    assert_eq!(of("cache/inline:1")["kind"], "inline");
    // The same cache once more, as a directory: what both hold is held twice.
    let local = format!("oci:{}", fleet.work.join("cache").display());
    let both = analyze(&fleet.store("a"), &[&fleet.all(), &local, "--json"]).json();
    let caches = &both["caches"];
    assert_eq!(caches["list"].as_array().unwrap().len(), list.len() + 1);
    assert!(caches["in_several"].as_u64() >= left["stored"].as_u64(), "{caches:#}");
    assert!(both["blobs"]["saving"].as_u64() >= left["stored"].as_u64());
}

fn rules(fleet: &Fleet) {
    let source = format!("{}/team/left:plain", fleet.registry.host);
    fleet.work.write("dive", "rules:\n  highestWastedBytes: 900KB\n  highestUserWastedPercent: disabled\n");
    let dive = fleet.work.join("dive");
    let said = analyze(&fleet.store("a"), &[&source, "--dive-ci", dive.to_str().unwrap()]);
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    assert!(said.stdout.contains("highestWastedBytes"), "{}", said.stdout);
    assert!(said.stdout.contains("1 rule kept, 1 not"), "{}", said.stdout);
    for (limit, code) in [("\"400 kB\"", 1), ("\"2 MB\"", 0)] {
        fleet.work.write("plinth.toml", format!("version = 1\n[analyze]\nmax_hidden_bytes = {limit}\n"));
        let policy = fleet.work.join("plinth.toml");
        let said = analyze(&fleet.store("a"), &[&source, "--policy", policy.to_str().unwrap()]);
        assert_eq!(said.code, Some(code), "{limit}: {}{}", said.stdout, said.stderr);
    }
}

fn drills(fleet: &Fleet) {
    let all = fleet.all();
    let said = |args: &[&str]| {
        let said = analyze(&fleet.store("a"), &[&[all.as_str()], args].concat());
        assert_eq!(said.code, Some(0), "{args:?}: {}", said.stderr);
        let wide = |line: &&str| line.chars().count() > 104;
        assert_eq!(said.stdout.lines().find(wide).filter(|_| args != ["--markdown"]), None);
        said.stdout
    };
    assert!(said(&["--image", "team/left:plain"]).contains("written again with the same content"));
    assert!(said(&["--package", "Click"]).contains("team/right:plain"));
    assert!(said(&["--file", "/big"]).contains("500 kB"));
    assert!(said(&["--file", "a name with ä"]).contains("3 B"));
    assert!(said(&["--markdown"]).contains("\n\n| level | different |"));
    assert!(!said(&[]).is_empty());
    let nothing = analyze(&fleet.store("a"), &[&all, "--package", "nothing"]);
    assert_eq!(nothing.code, Some(2));
    assert!(nothing.stderr.contains("no image here has a package named `nothing`"), "{}", nothing.stderr);
}

/// A registry that doesn't give what it says: that one layer is named, and the rest is told.
fn damage(fleet: &Fleet, layers: &BTreeSet<String>) {
    let digest = layers.iter().max_by_key(|digest| fleet.registry.stored()[*digest]).unwrap();
    let path = fleet.registry.file(digest);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let said = analyze(&fleet.store("c"), &[&fleet.all(), "--json"]);
    assert_eq!(said.code, Some(2), "{}", said.stderr);
    let document: Value = serde_json::from_str(&said.stdout).unwrap();
    let problems = document["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 1);
    let what = problems[0]["what"].as_str().unwrap();
    assert!(what.starts_with("layer 1 of ") && what.ends_with(&format!("({digest})")), "{what}");
    assert!(document["files"]["copies"].as_u64().unwrap() > 0);
    let unread = document["table"].as_array().unwrap().iter().filter(|row| row["diff_id"].is_null());
    assert_eq!(unread.count(), 1);
    assert!(said.stderr.contains("the figures above are without it"), "{}", said.stderr);
}

/// A file system of so many bytes, until it is dropped.
struct Small(Files);

impl Small {
    fn of(bytes: u32) -> Self {
        let place = Files::new();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(place.path())
            .status()
            .unwrap();
        assert!(mounted.success());
        Self(place)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_said_once() {
    let env = e2e!();
    let store = Small::of(64 << 10);
    let images = ["3.11", "3.13"].map(|python| format!("{}/library/python:{python}-slim", env.registry));
    let said = analyze(store.0.path(), &["--jobs", "1", &images[0], &images[1]]);
    assert_eq!(said.code, Some(2), "{}", said.stdout);
    let full = "No space left on device (os error 28); no more layers were read";
    assert_eq!(said.stderr.matches(full).count(), 1, "{}", said.stderr);
    assert!(!said.stderr.contains("more)"), "{}", said.stderr);
    let left = std::fs::read_dir(store.0.path().join("2")).unwrap().count();
    assert_eq!(left, 0, "nothing half-written");
}
