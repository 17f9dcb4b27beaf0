//! A package index on this machine, and virtual environments that install from it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use plinth_layers::resolution::{Outcome, Plan, Resolution};
use plinth_layers::steps::resolve::{Context, Error, resolve};
use tempfile::TempDir;

/// A served index; stopped when dropped.
pub(crate) struct Index {
    pub(crate) dir: TempDir,
    pub(crate) url: String,
    server: Child,
}

impl Index {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let make = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/resolve_index/make.py");
        let made = Command::new("python3").arg(make).arg(dir.path()).status().unwrap();
        assert!(made.success());
        let mut server = Command::new("python3")
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"])
            .arg(dir.path())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split(" port ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        Self { dir, url: format!("http://127.0.0.1:{port}"), server }
    }

    /// What was asked of it so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    pub(crate) fn sha256(&self, file: &str) -> String {
        use sha2::Digest as _;
        hex::encode(sha2::Sha256::digest(fs::read(self.dir.path().join("files").join(file)).unwrap()))
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A virtual environment with a working directory and a home of its own.
pub(crate) struct Venv {
    dir: TempDir,
    pub(crate) env: Vec<(String, String)>,
}

impl Venv {
    /// A fresh one, with the pip that its Python brings along or with `pip`, a wheel of another.
    pub(crate) fn new(index: &Index, pip: Option<&Path>) -> Self {
        let dir = TempDir::new_in(fs::canonicalize(std::env::temp_dir()).unwrap()).unwrap();
        for name in ["app", "home"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let venv = dir.path().join("venv");
        assert!(Command::new("python3").args(["-m", "venv"]).arg(&venv).status().unwrap().success());
        let path = format!("{}:/usr/bin:/bin", venv.join("bin").display());
        let env = [
            ("PATH", path),
            ("HOME", dir.path().join("home").display().to_string()),
            ("LANG", "C.UTF-8".to_owned()),
            ("PIP_INDEX_URL", format!("{}/simple", index.url)),
            ("PIP_DISABLE_PIP_VERSION_CHECK", "1".to_owned()),
            ("PIP_NO_CACHE_DIR", "1".to_owned()),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let this = Self { dir, env };
        if let Some(pip) = pip {
            this.run(&["python", "-m", "pip", "install", "-q", "--no-index", pip.to_str().unwrap()]);
        }
        this
    }

    pub(crate) fn venv(&self) -> PathBuf {
        self.dir.path().join("venv")
    }

    pub(crate) fn app(&self) -> PathBuf {
        self.dir.path().join("app")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// Runs a program for real; its output if it succeeded.
    pub(crate) fn try_run(&self, argv: &[&str]) -> Result<String, String> {
        let program = self.venv().join("bin").join(argv[0]);
        let mut command = Command::new(program);
        command.args(&argv[1..]).env_clear().current_dir(self.app());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        let out = command.output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        if out.status.success() {
            Ok(text)
        } else {
            Err(format!("{text}\n{}", String::from_utf8_lossy(&out.stderr)))
        }
    }

    pub(crate) fn run(&self, argv: &[&str]) -> String {
        self.try_run(argv).unwrap_or_else(|error| panic!("{argv:?}: {error}"))
    }

    pub(crate) fn context(&self, argv: &[&str]) -> Context {
        Context {
            argv: argv.iter().map(|text| (*text).to_owned()).collect(),
            env: self.env.clone(),
            cwd: self.app(),
            outputs: Vec::new(),
            secrets: None,
            lock: None,
            foreign: None,
        }
    }

    pub(crate) fn outcome(&self, argv: &[&str]) -> Outcome {
        resolve(&self.context(argv)).unwrap().outcome
    }

    pub(crate) fn plan(&self, argv: &[&str]) -> Plan {
        match self.outcome(argv) {
            Outcome::Assemble(plan) => *plan,
            other => panic!("{argv:?}: {other:?}"),
        }
    }

    /// Why there is no plan: for good, or because pip failed.
    pub(crate) fn refusal(&self, argv: &[&str]) -> String {
        match resolve(&self.context(argv)) {
            Ok(Resolution { outcome: Outcome::Refuse { reason }, .. }) => reason,
            Ok(other) => panic!("{argv:?}: {other:?}"),
            Err(Error::Unresolved { reason }) => reason,
            Err(error) => panic!("{argv:?}: {error}"),
        }
    }

    /// The venv's tree as it is now, put aside.
    pub(crate) fn save(&self) {
        let saved = self.dir.path().join("saved");
        let _ = fs::remove_dir_all(&saved);
        assert!(Command::new("cp").arg("-a").arg(self.venv()).arg(saved).status().unwrap().success());
    }

    /// Back to what was saved.
    pub(crate) fn restore(&self) {
        fs::remove_dir_all(self.venv()).unwrap();
        let saved = self.dir.path().join("saved");
        assert!(Command::new("cp").arg("-a").arg(saved).arg(self.venv()).status().unwrap().success());
    }

    /// `dist-info` directories by name.
    pub(crate) fn dist_infos(&self) -> Vec<PathBuf> {
        let lib = self.venv().join("lib");
        let python = fs::read_dir(lib).unwrap().next().unwrap().unwrap().path();
        let mut found: Vec<_> = fs::read_dir(python.join("site-packages"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "dist-info"))
            .collect();
        found.sort();
        found
    }
}

/// Root, as the installs that are assembled are.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Wheels of other pips to test with, from the directory that `PLINTH_TEST_PIPS` names.
pub(crate) fn other_pips() -> Vec<PathBuf> {
    let Some(dir) = std::env::var_os("PLINTH_TEST_PIPS") else { return Vec::new() };
    let mut found: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .collect();
    found.sort();
    found
}
