//! Directories to run scripts in, and programs that say what they were asked.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A RUN, with the files of its working directory.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// Its arguments. `@R@` is the playground.
    pub(super) args: Vec<String>,
    /// What is there, by its number in [`FILES`].
    pub(super) files: Vec<usize>,
}

/// What can be in the working directory: a file with its content, or a directory, or a link.
pub(super) const FILES: &[(&str, What)] = &[
    ("requirements.txt", What::File("alpha\n")),
    ("more.txt", What::File("beta>=1\n")),
    // What it includes is never there.
    ("nested.txt", What::File("-r nowhere.txt\n")),
    ("empty.txt", What::File("")),
    ("d", What::Directory),
    ("d/more.txt", What::File("gamma\n")),
    ("d/e", What::Directory),
    ("link", What::Link("d")),
    ("dangling", What::Link("nowhere")),
    ("dir.txt", What::Directory),
    ("a b", What::File("x")),
    ("uvicorns", What::File("x")),
    ("=1", What::File("x")),
    ("pip", What::Directory),
];

#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    File(&'static str),
    Directory,
    Link(&'static str),
}

/// A call of a program that went well: what it has of the shell beside its files, directory, program, arguments.
pub(super) type Call = Vec<String>;

/// What is left of a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ran {
    pub(super) calls: Vec<Call>,
    pub(super) success: bool,
    /// Everything below the playground's state, by its path, with what it is.
    pub(super) tree: BTreeMap<PathBuf, String>,
}

/// The form of a script that installers generate.
const PIP: &str = "from pip._internal.cli.main import main\nimport sys\nsys.exit(main())\n";

/// The interpreter: of a pip script, or called itself. Fails as pip does if a file of requirements isn't there.
const PYTHON: &str = r#"#!/bin/sh
cd -P .
case "$1" in
*/pip | */pip3 | */pip3.11) program=$1 && shift ;;
*) program=$0 ;;
esac
readable() {
  [ -f "$1" ] || exit 1
  while read -r word rest; do [ "$word" != -r ] || exit 1; done <"$1"
}
value= made= newer= venv=
for word; do
  case "$value$word" in
  file*) readable "$word" && value= ;;
  -r | -c) value=file ;;
  -r?*) readable "${word#-r}" ;;
  --requirement=*) readable "${word#*=}" ;;
  unobtainable | fail) exit 1 ;;
  made) made=1 ;;
  newer) newer=1 ;;
  venv) value=venv ;;
  venv*) venv=$word value= ;;
  esac
done
printf '%s\0' "$#" "$(umask) $A" "$PWD" "$program" "$@" >>"$R/log"
[ -z "$made" ] || : >"$R/w/site/made"
[ -z "$newer" ] || cp "$R/bin/pip" "$R/w/first/pip"
[ -z "$venv" ] || { mkdir -p "$venv/bin" && cp "$R/bin/pip" "$R/bin/python" "$R/bin/python3" "$venv/bin"; }
printf said
"#;

/// What prints like the recorder above.
pub(super) const SAID: &str = "said";

/// Any other program.
const OTHER: &str = r#"#!/bin/sh
cd -P .
printf '%s\0' "$#" "$(umask) $A" "$PWD" "$0" "$@" >>"$R/log"
for word; do [ "$word" != fail ] || exit 1; done
"#;

/// How a shell is started: its file, the name that it is called by, and its own first argument.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shell(&'static str, &'static str, Option<&'static str>);

/// What can be `/bin/sh` in an image.
const SHELLS: &[Shell] = &[
    Shell("/bin/dash", "sh", None),
    Shell("/bin/bash", "sh", None),
    Shell("/bin/bash", "bash", None),
    Shell("/usr/bin/busybox", "busybox", Some("sh")),
];

impl Shell {
    /// Those that are here and know the options of `args`; one of them for an exec form.
    pub(super) fn of(args: &[String]) -> Vec<Self> {
        let here = SHELLS.iter().copied().filter(|shell| Path::new(shell.0).exists());
        match args[0].as_str() {
            "/bin/bash" => here.filter(|shell| shell.1 != "sh").collect(),
            "/bin/sh" => here.collect(),
            _ => here.take(1).collect(),
        }
    }
}

/// The directory.
pub(super) struct Playground {
    _dir: tempfile::TempDir,
    pub(super) root: PathBuf,
    pub(super) env: Vec<(String, String)>,
    /// What a call has of a shell that has changed nothing.
    pub(super) usual: String,
}

impl Playground {
    pub(super) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("plinth-generated-").tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for name in ["bin", "home"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        let program = |name: &str, text: &str| {
            let path = root.join("bin").join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        for name in ["python", "python3"] {
            program(name, PYTHON);
        }
        for name in ["pip", "pip3", "pip3.11"] {
            program(name, &format!("#!{}/bin/python3\n{PIP}", root.display()));
        }
        for name in ["uv", "apt-get", "virtualenv", "playwright", "make"] {
            program(name, if name == "uv" { PYTHON } else { OTHER });
        }
        let r = root.display().to_string();
        let env = [
            ("PATH", &*format!("{r}/w/venv/bin:{r}/w/first:{r}/bin:/usr/bin:/bin")),
            ("HOME", &format!("{r}/home")),
            ("PIP_NO_CACHE_DIR", "1"),
            ("UV_NO_CACHE", "1"),
            ("R", &r),
            ("PIP", "pip"),
            ("NAME", "alpha"),
            ("FILE", "requirements.txt"),
            ("EMPTY", ""),
            ("SPACED", "a b"),
            ("BANG", "!"),
            ("STAR", "*"),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let umask = Command::new("/bin/sh").args(["-c", "umask"]).output().unwrap().stdout;
        let usual = format!("{} ", String::from_utf8(umask).unwrap().trim());
        Self { _dir: dir, root, env, usual }
    }

    pub(super) fn cwd(&self) -> PathBuf {
        self.root.join("w/cwd")
    }

    /// The arguments of a case, here.
    pub(super) fn args(&self, case: &Case) -> Vec<String> {
        case.args.iter().map(|arg| arg.replace("@R@", &self.root.display().to_string())).collect()
    }

    /// The state before a case. What is there already is left alone: making files is what takes the time here.
    pub(super) fn reset(&self, case: &Case) {
        let state = self.root.join("w");
        let wanted = case.files.iter().map(|at| FILES[*at]).map(|(path, what)| (self.cwd().join(path), what));
        let mut wanted: BTreeMap<PathBuf, What> = wanted.collect();
        for name in ["", "cwd", "site", "first"] {
            wanted.insert(state.join(name), What::Directory);
        }
        for path in wanted.keys().cloned().collect::<Vec<_>>() {
            wanted.entry(path.parent().unwrap().to_owned()).or_insert(What::Directory);
        }
        let mut found = BTreeMap::new();
        scan(&self.root, &mut found);
        for (path, _) in found.into_iter().filter(|(path, _)| path.starts_with(&state)) {
            match (wanted.get(&path), path.symlink_metadata()) {
                (Some(What::Directory), Ok(there)) if there.is_dir() => {}
                (Some(What::Link(target)), Ok(_))
                    if fs::read_link(&path).is_ok_and(|to| to == Path::new(target)) => {}
                (Some(What::File(text)), Ok(there))
                    if there.is_file() && fs::read_to_string(&path).unwrap() == *text => {}
                (_, Ok(there)) if there.is_dir() => fs::remove_dir_all(&path).unwrap(),
                (_, Ok(_)) => fs::remove_file(&path).unwrap(),
                // Gone with its directory.
                (_, Err(_)) => {}
            }
        }
        for (path, what) in wanted.into_iter().filter(|(path, _)| path.symlink_metadata().is_err()) {
            match what {
                What::File(text) => fs::write(path, text).unwrap(),
                What::Directory => fs::create_dir(path).unwrap(),
                What::Link(target) => symlink(target, path).unwrap(),
            }
        }
        fs::write(self.root.join("log"), "").unwrap();
    }

    /// Runs arguments as BuildKit would, with this shell in the place of theirs. Gives whether that went well.
    pub(super) fn execute(&self, shell: Shell, args: &[String]) -> bool {
        let mut command = if ["/bin/sh", "/bin/bash"].contains(&args[0].as_str()) {
            let Shell(file, name, first) = shell;
            let mut command = Command::new(file);
            command.arg0(name).args(first);
            command
        } else {
            Command::new(&args[0])
        };
        command.args(&args[1..]).env_clear().envs(self.env.iter().cloned()).current_dir(self.cwd());
        // A program that isn't there is a failure like any other.
        command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
    }

    /// One more call, of what isn't run.
    pub(super) fn log(&self, call: &[String]) {
        let mut log = fs::read(self.root.join("log")).unwrap();
        // Only arguments are counted.
        for word in [&(call.len() - 3).to_string()].into_iter().chain(call) {
            log.extend(word.as_bytes());
            log.push(0);
        }
        fs::write(self.root.join("log"), log).unwrap();
    }

    /// What is left now.
    pub(super) fn left(&self, success: bool) -> Ran {
        let log = fs::read_to_string(self.root.join("log")).unwrap();
        let mut words = log.split_terminator('\0').map(str::to_owned);
        let mut calls = Vec::new();
        while let Some(count) = words.next() {
            let count: usize = count.parse().unwrap();
            calls.push(words.by_ref().take(count + 3).collect());
        }
        let mut tree = BTreeMap::new();
        scan(&self.root.join("w"), &mut tree);
        Ran { calls, success, tree }
    }
}

fn scan(directory: &Path, tree: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let found = path.symlink_metadata().unwrap();
        let what = if found.is_dir() {
            scan(&path, tree);
            "a directory".to_owned()
        } else if found.is_symlink() {
            format!("a link to {}", fs::read_link(&path).unwrap().display())
        } else {
            let text = fs::read_to_string(&path).unwrap();
            // What is longer is one of the programs.
            let text = if text.len() < 40 { text } else { format!("{} bytes", text.len()) };
            format!("{:o} {text}", found.permissions().mode())
        };
        tree.insert(path, what);
    }
}
