//! Makes small wheels, and installs them: with the real pip into a virtual environment, and with the payload
//! and record steps over a copy of that environment's state before.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, missing_docs)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use plinth_layers::resolution::{Distribution, Interpreter, Plan, Removal, Scheme};
use plinth_layers::steps::payload::{self, PayloadSpec};
use plinth_layers::steps::record::{self, RecordSpec, Verdict};
use plinth_layers::steps::remove;
use plinth_layers::tree::{LAYOUT, MTIME};
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;

pub fn sha256(data: &[u8]) -> String {
    hex::encode(Sha256::digest(data))
}

/// A wheel in the making.
#[derive(Clone)]
pub struct Wheel {
    pub name: String,
    pub version: String,
    pub purelib: bool,
    pub files: Vec<(String, Vec<u8>, u32)>,
    pub directories: Vec<String>,
    /// Extra rows of RECORD, and paths left out of it.
    pub extra_rows: String,
    pub unlisted: Vec<String>,
    pub wheel_version: String,
    pub metadata_extra: String,
}

impl Wheel {
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            purelib: true,
            files: Vec::new(),
            directories: Vec::new(),
            extra_rows: String::new(),
            unlisted: Vec::new(),
            wheel_version: "1.0".into(),
            metadata_extra: String::new(),
        }
    }

    #[must_use]
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.mode(path, content, 0o100_644)
    }

    #[must_use]
    pub fn mode(mut self, path: &str, content: impl AsRef<[u8]>, mode: u32) -> Self {
        self.files.push((path.into(), content.as_ref().to_vec(), mode));
        self
    }

    #[must_use]
    pub fn platlib(mut self) -> Self {
        self.purelib = false;
        self
    }

    pub fn stem(&self) -> String {
        format!("{}-{}", self.name.replace(['-', '.'], "_"), self.version)
    }

    #[must_use]
    pub fn info(self, file: &str, content: impl AsRef<[u8]>) -> Self {
        let path = format!("{}.dist-info/{file}", self.stem());
        self.file(&path, content)
    }

    #[must_use]
    pub fn data(self, path: &str, content: impl AsRef<[u8]>, mode: u32) -> Self {
        let path = format!("{}.data/{path}", self.stem());
        self.mode(&path, content, mode)
    }

    pub fn filename(&self) -> String {
        format!("{}-py3-none-any.whl", self.stem())
    }

    /// All entries, metadata last, RECORD computed.
    pub fn entries(&self) -> Vec<(String, Vec<u8>, u32)> {
        let info = format!("{}.dist-info", self.stem());
        let mut files = self.files.clone();
        let metadata = format!(
            "Metadata-Version: 2.1\nName: {}\nVersion: {}\n{}\n",
            self.name, self.version, self.metadata_extra
        );
        let wheel = format!(
            "Wheel-Version: {}\nGenerator: test\nRoot-Is-Purelib: {}\nTag: py3-none-any\n\n",
            self.wheel_version, self.purelib
        );
        files.push((format!("{info}/METADATA"), metadata.into_bytes(), 0o100_644));
        files.push((format!("{info}/WHEEL"), wheel.into_bytes(), 0o100_644));
        let mut record = String::new();
        for (path, content, _) in &files {
            if self.unlisted.contains(path) {
                continue;
            }
            let hash = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Sha256::digest(content));
            let shown = if path.contains([',', '"']) {
                format!("\"{}\"", path.replace('"', "\"\""))
            } else {
                path.clone()
            };
            record.push_str(&format!("{shown},sha256={hash},{}\n", content.len()));
        }
        record.push_str(&self.extra_rows);
        record.push_str(&format!("{info}/RECORD,,\n"));
        files.push((format!("{info}/RECORD"), record.into_bytes(), 0o100_644));
        files
    }

    pub fn bytes(&self) -> Vec<u8> {
        zip(&self.entries(), &self.directories)
    }

    pub fn write(&self, directory: &Path) -> PathBuf {
        let path = directory.join(self.filename());
        fs::write(&path, self.bytes()).unwrap();
        path
    }
}

pub fn zip(files: &[(String, Vec<u8>, u32)], directories: &[String]) -> Vec<u8> {
    let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for name in directories {
        out.add_directory(name.as_str(), SimpleFileOptions::default()).unwrap();
    }
    for (name, content, mode) in files {
        let options = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated)
            .unix_permissions(*mode);
        out.start_file(name.as_str(), options).unwrap();
        out.write_all(content).unwrap();
    }
    out.finish().unwrap().into_inner()
}

/// The interpreter that the tests use: `PLINTH_TEST_PYTHON`, or the `python3` of PATH.
pub fn python() -> String {
    std::env::var("PLINTH_TEST_PYTHON").unwrap_or_else(|_| "python3".into())
}

pub fn output(command: &mut Command) -> String {
    let out = command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    assert!(
        out.status.success(),
        "{command:?}\n{}\n{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).unwrap()
}

/// Facts about the interpreter at `python`.
pub fn interpreter(python: &Path) -> (Interpreter, Scheme) {
    let text = output(Command::new(python).arg("-c").arg(
        "import sys, sysconfig, json, os, importlib.util as u\n\
         p = sysconfig.get_paths()\n\
         v = '%d.%d' % sys.version_info[:2]\n\
         inc = os.path.join(sys.prefix, 'include', 'site', 'python' + v)\n\
         print(json.dumps([dict(executable=sys.executable, physical=os.path.realpath(sys.executable),\
         version='%d.%d.%d' % sys.version_info[:3], cache_tag=sys.implementation.cache_tag,\
         abi=sysconfig.get_config_var('SOABI'), magic=u.MAGIC_NUMBER.hex(), fingerprint=''),\
         dict(purelib=p['purelib'], platlib=p['platlib'], headers=inc, scripts=p['scripts'], data=p['data'])]))",
    ));
    serde_json::from_str(&text).unwrap()
}

/// The pips to compare with: the one that the interpreter brings, and the wheels in `PLINTH_TEST_PIPS`.
pub fn pips() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let bundled =
        output(Command::new(python()).arg("-c").arg(
            "import ensurepip, os; print(os.path.join(os.path.dirname(ensurepip.__file__), '_bundled'))",
        ));
    // Debian keeps the bundled wheels apart, and none at all without python3-pip-whl.
    let mut directories = vec![PathBuf::from(bundled.trim()), "/usr/share/python-wheels".into()];
    directories.retain(|d| d.is_dir());
    directories.extend(std::env::var_os("PLINTH_TEST_PIPS").map(PathBuf::from));
    for directory in directories {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let version = name.strip_prefix("pip-").and_then(|n| n.split('-').next());
            if let Some(version) = version.filter(|_| name.ends_with(".whl")) {
                found.push((version.to_owned(), path.clone()));
            }
        }
    }
    assert!(!found.is_empty(), "the tests need an interpreter that brings pip (on Debian: python3-venv)");
    found.sort();
    found.dedup_by(|a, b| a.0 == b.0);
    found
}

/// A virtual environment and everything around it.
pub struct Site {
    pub temp: tempfile::TempDir,
    pub venv: PathBuf,
    pub wheels: PathBuf,
    pub interpreter: Interpreter,
    pub scheme: Scheme,
    pub pip: PathBuf,
    pub pip_version: String,
}

impl Site {
    /// `name`: of the environment's directory.
    pub fn new(name: &str, pip: &(String, PathBuf)) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let base = temp.path().canonicalize().unwrap();
        let venv = base.join(name);
        output(Command::new(python()).args(["-m", "venv", "--without-pip"]).arg(&venv));
        let (interpreter, scheme) = interpreter(&venv.join("bin/python"));
        let wheels = base.join("wheels");
        fs::create_dir(&wheels).unwrap();
        Self { temp, venv, wheels, interpreter, scheme, pip: pip.1.clone(), pip_version: pip.0.clone() }
    }

    pub fn pip(&self, arguments: &[&str]) -> String {
        output(
            Command::new(self.venv.join("bin/python"))
                .args(["-m", "pip"])
                .args(arguments)
                .env_clear()
                .env("PATH", "/usr/bin:/bin")
                .env("HOME", self.temp.path())
                .env("LC_ALL", "C.UTF-8")
                .env("PYTHONPATH", &self.pip)
                .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
                .current_dir(self.temp.path()),
        )
    }

    pub fn pip_install(&self, extra: &[&str], wheels: &[&Wheel]) {
        for wheel in wheels {
            wheel.write(&self.wheels);
        }
        let mut arguments = vec!["install", "--no-index", "--no-cache-dir", "--find-links"];
        let links = self.wheels.to_str().unwrap().to_owned();
        arguments.push(&links);
        arguments.extend(extra);
        let names: Vec<String> = wheels.iter().map(|w| format!("{}=={}", w.name, w.version)).collect();
        arguments.extend(names.iter().map(String::as_str));
        self.pip(&arguments);
    }

    /// A copy of the environment, below a root in which it has its own path.
    pub fn snapshot(&self, name: &str) -> PathBuf {
        let root = self.temp.path().join(name);
        let at = root.join(self.venv.strip_prefix("/").unwrap());
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        output(Command::new("cp").arg("-a").arg(&self.venv).arg(&at));
        root
    }

    pub fn plan(&self, wheels: &[&Wheel], remove: &[(&str, &str)]) -> Plan {
        let removal = |(name, version): &(&str, &str)| Removal {
            name: (*name).into(),
            version: (*version).into(),
            dist_info: format!("{}/{}.dist-info", self.scheme.purelib, Wheel::new(name, version).stem()),
        };
        Plan {
            installer: "pip".into(),
            installer_version: self.pip_version.clone(),
            interpreter: self.interpreter.clone(),
            scheme: self.scheme.clone(),
            install: wheels.iter().map(|w| distribution(w)).collect(),
            remove: remove.iter().map(removal).collect(),
            satisfied: Vec::new(),
            left: Vec::new(),
            fetch_with: Vec::new(),
            locked: None,
            compiler: None,
        }
    }

    /// Runs the steps for a plan on the state at `root`: verdict, and the tree that results.
    pub fn assemble(
        &self,
        plan: &Plan,
        wheels: &[&Wheel],
        root: &Path,
        tail: &[usize],
    ) -> (Verdict, PathBuf) {
        for wheel in wheels {
            wheel.write(&self.wheels);
        }
        let files: Vec<PathBuf> = wheels.iter().map(|w| self.wheels.join(w.filename())).collect();
        self.assemble_files(plan, &files, root, tail)
    }

    /// As [`Site::assemble`], from files on disk.
    pub fn assemble_files(
        &self,
        plan: &Plan,
        files: &[PathBuf],
        root: &Path,
        tail: &[usize],
    ) -> (Verdict, PathBuf) {
        let base = tempfile::tempdir_in(self.temp.path()).unwrap().keep();
        let dir = |name: &str| {
            let path = base.join(name);
            fs::create_dir_all(&path).unwrap();
            path
        };
        for (i, (file, distribution)) in files.iter().zip(&plan.install).enumerate() {
            let (out, meta) = (dir(&format!("trees/{i}")), dir(&format!("metas/{i}")));
            let spec = PayloadSpec {
                layout: LAYOUT,
                name: distribution.name.clone(),
                version: distribution.version.clone(),
                filename: distribution.filename.clone(),
                sha256: distribution.sha256.clone(),
                scheme: self.scheme.clone(),
                interpreter: self.interpreter.clone(),
                laid_out_as: plan.layout(),
                foreign: false,
            };
            payload::run(&spec, file, &out, &meta).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        }
        let (record_out, tail_out, status) = (dir("record"), dir("tail"), dir("status"));
        let spec = RecordSpec { layout: LAYOUT, tail: tail.to_vec() };
        let (metas, trees) = (dir("metas"), dir("trees"));
        record::run(plan, &spec, root, &metas, &trees, &record_out, &tail_out, &status).unwrap();
        let verdict = serde_json::from_slice(&fs::read(status.join(Verdict::FILE)).unwrap()).unwrap();
        let merged = base.join("merged");
        if verdict == Verdict::Assembled {
            output(Command::new("cp").arg("-a").arg(root).arg(&merged));
            remove::run(plan, &merged).unwrap();
            for i in (0..files.len()).filter(|i| !tail.contains(i)) {
                overlay(&trees.join(i.to_string()), &merged);
            }
            if !tail.is_empty() {
                overlay(&tail_out, &merged);
            }
            overlay(&record_out, &merged);
        } else {
            assert!(fs::read_dir(&record_out).unwrap().next().is_none());
            assert!(fs::read_dir(&tail_out).unwrap().next().is_none());
        }
        (verdict, merged)
    }

    /// Installs one wheel file, without what it requires, with pip and with the steps, and compares.
    pub fn compare_file(&self, file: &Path, distribution: Distribution) {
        let before = self.snapshot("before");
        let mut plan = self.plan(&[], &[]);
        plan.install.push(distribution);
        let (verdict, merged) = self.assemble_files(&plan, &[file.to_owned()], &before, &[]);
        assert_eq!(verdict, Verdict::Assembled);
        let (at, d) = (file.parent().unwrap().to_str().unwrap(), &plan.install[0]);
        let wanted = format!("{}=={}", d.name, d.version);
        self.pip(&["install", "--no-index", "--no-deps", "--no-cache-dir", "--find-links", at, &wanted]);
        let ours = merged.join(self.venv.strip_prefix("/").unwrap());
        assert_same(&self.venv, &ours, &self.interpreter);
        let old = before.join(self.venv.strip_prefix("/").unwrap());
        assert_times(&old, &self.venv, &ours);
    }

    /// Installs the wheels with pip and with the steps, and compares.
    pub fn compare(&self, extra: &[&str], wheels: &[&Wheel], remove: &[(&str, &str)], tail: &[usize]) {
        let before = self.snapshot("before");
        let plan = self.plan(wheels, remove);
        let (verdict, merged) = self.assemble(&plan, wheels, &before, tail);
        assert_eq!(verdict, Verdict::Assembled);
        self.pip_install(extra, wheels);
        let ours = merged.join(self.venv.strip_prefix("/").unwrap());
        assert_same(&self.venv, &ours, &self.interpreter);
        let old = before.join(self.venv.strip_prefix("/").unwrap());
        assert_times(&old, &self.venv, &ours);
        fs::remove_dir_all(&before).unwrap();
    }
}

pub fn distribution(wheel: &Wheel) -> Distribution {
    Distribution {
        name: wheel.name.clone(),
        version: wheel.version.clone(),
        filename: wheel.filename(),
        url: String::new(),
        sha256: sha256(&wheel.bytes()),
        requested: true,
        direct_url: None,
        spelling: None,
    }
}

/// Puts a layer on top of a tree: files replace, directories take the layer's attributes.
pub fn overlay(layer: &Path, onto: &Path) {
    // An archive keeps every attribute, directories included.
    let tar = onto.with_extension("tar");
    output(Command::new("tar").arg("-C").arg(layer).arg("-cf").arg(&tar).arg("."));
    output(Command::new("tar").arg("-pC").arg(onto).arg("-xf").arg(&tar));
    fs::remove_file(&tar).unwrap();
}

/// Every path of a tree with a description of what is there.
pub fn tree(root: &Path) -> BTreeMap<String, String> {
    fn walk(path: &Path, shown: &str, out: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let shown = format!("{shown}/{}", entry.file_name().to_str().unwrap());
            let meta = fs::symlink_metadata(entry.path()).unwrap();
            let owner = format!("{:o} {}:{}", meta.mode() & 0o7777, meta.uid(), meta.gid());
            let what = if meta.is_dir() {
                walk(&entry.path(), &shown, out);
                format!("dir {owner}")
            } else if meta.is_symlink() {
                format!("link {}", fs::read_link(entry.path()).unwrap().display())
            } else if shown.ends_with(".pyc") {
                format!("pyc {owner}")
            } else {
                let content = fs::read(entry.path()).unwrap();
                let text = String::from_utf8(content.clone()).ok().filter(|t| t.len() < 4000);
                format!("file {owner} {} {text:?}", sha256(&content))
            };
            out.insert(shown, what);
        }
    }
    let mut out = BTreeMap::new();
    walk(root, "", &mut out);
    out
}

pub fn assert_same(expected: &Path, found: &Path, interpreter: &Interpreter) {
    let (e, f) = (tree(expected), tree(found));
    let mut differences = Vec::new();
    for key in e.keys().chain(f.keys().filter(|k| !e.contains_key(*k))) {
        if e.get(key) != f.get(key) {
            differences.push(format!("{key}\n  pip:  {:?}\n  ours: {:?}", e.get(key), f.get(key)));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    let pycs: Vec<&String> = e.keys().filter(|k| k.ends_with(".pyc")).collect();
    let script = "import sys, marshal, types\n\
        def shape(x):\n\
        \x20   if isinstance(x, types.CodeType):\n\
        \x20       return ('code',) + tuple(shape(getattr(x, a)) for a in sorted(dir(x)) if a.startswith('co_') and not callable(getattr(x, a)))\n\
        \x20   if isinstance(x, (tuple, list)):\n\
        \x20       return tuple(map(shape, x))\n\
        \x20   if isinstance(x, frozenset):\n\
        \x20       return tuple(sorted(map(repr, x)))\n\
        \x20   return (type(x).__name__, repr(x))\n\
        bad = 0\n\
        for line in sys.stdin.read().split('\\n'):\n\
        \x20   if not line: continue\n\
        \x20   a, b = (open(d + line, 'rb').read() for d in sys.argv[1:])\n\
        \x20   # magic and flags, then the source's size; its time differs\n\
        \x20   if a[:4] != b[:4] or len(a) < 16 and a != b: print('header', line); bad = 1; continue\n\
        \x20   if a == b: continue\n\
        \x20   if a[4:8] != b[4:8] or a[12:16] != b[12:16]: print('header', line, a[:16], b[:16]); bad = 1\n\
        \x20   if shape(marshal.loads(a[16:])) != shape(marshal.loads(b[16:])): print('code', line); bad = 1\n\
        sys.exit(bad)\n";
    let list: String = pycs.iter().map(|p| format!("{p}\n")).collect();
    let mut child = Command::new(&interpreter.physical)
        .arg("-c")
        .arg(script)
        .arg(expected)
        .arg(found)
        .env("PYTHONUTF8", "1")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    for pyc in pycs {
        assert_times_of_byte_code(found, pyc);
    }
}

/// Byte code that the steps made must be valid for its source: the recorded time is the source's.
fn assert_times_of_byte_code(root: &Path, pyc: &str) {
    let (head, tail) = pyc.rsplit_once('/').unwrap();
    let Some(head) = head.strip_suffix("/__pycache__") else { return };
    let stem = tail.rsplit('.').nth(2).map(|_| tail.rsplitn(3, '.').nth(2).unwrap()).unwrap_or(tail);
    let source = root.join(format!("{}/{stem}.py", head.trim_start_matches('/')));
    let Ok(meta) = fs::metadata(&source) else { return };
    // A time that a layer gives: of its own, or by the content.
    if !(MTIME..MTIME + (1 << 28)).contains(&(meta.mtime() as u64)) {
        return;
    }
    let bytes = fs::read(root.join(pyc.trim_start_matches('/'))).unwrap();
    if bytes.len() >= 16 {
        assert_eq!(u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as i64, meta.mtime(), "{pyc}");
        assert_eq!(u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as u64, meta.size(), "{pyc}");
    }
}

/// Directories that pip touched have the fixed time, others the one they had.
fn assert_times(before: &Path, pip: &Path, ours: &Path) {
    for (path, what) in tree(ours).iter().filter(|(_, w)| w.starts_with("dir")) {
        let at = |root: &Path| {
            fs::metadata(root.join(path.trim_start_matches('/'))).map(|m| (m.mtime(), m.mtime_nsec()))
        };
        let _ = what;
        let (Ok(old), Ok(new)) = (at(before), at(pip)) else {
            assert_eq!(at(ours).unwrap().0 as u64, MTIME, "new directory {path}");
            continue;
        };
        if old == new {
            assert_eq!(at(ours).unwrap().0, old.0, "untouched directory {path}");
        } else {
            assert_eq!(at(ours).unwrap().0 as u64, MTIME, "touched directory {path}");
        }
    }
}
