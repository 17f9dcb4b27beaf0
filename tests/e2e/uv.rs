//! Steps of `uv pip install` give what uv gives: assembled, or as written with the reason that is in the docs.
//!
//! The base images' own index has the uv that `hack/fleet/tests.lock` names; `hack/index` puts it there.
//! `PLINTH_TEST_UV_WHEEL` names the wheel of another release, to run these tests with that one.

use crate::pip::{BASE, Case, Expect, before, check, compare, same_config, wheels};
use crate::support::build::{Build, Side};
use crate::support::env::{Env, e2e};
use crate::support::files::Files;
use crate::support::index::Index;
use crate::support::report::Report;
use crate::support::wheel::Made;

/// The steps before, on both sides: how uv gets into the image.
struct Uv {
    index: Index,
    install: String,
}

/// The uv of the base images' own index.
pub(crate) fn pin() -> &'static str {
    let lock = include_str!("../../hack/fleet/tests.lock");
    lock.split_whitespace().find(|word| word.starts_with("uv==")).unwrap()
}

fn uv() -> Uv {
    let mut all = wheels();
    let Ok(path) = std::env::var("PLINTH_TEST_UV_WHEEL") else {
        return Uv { index: Index::of(&all), install: format!("pip install --no-cache-dir {}", pin()) };
    };
    let file = path.rsplit('/').next().unwrap().to_owned();
    let metadata = Vec::new();
    all.push(Made { project: "uv".to_owned(), file, metadata, bytes: std::fs::read(&path).unwrap() });
    Uv { index: Index::of(&all), install: "pip install --no-cache-dir -i @INDEX@ uv".to_owned() }
}

const ASSEMBLED: &str = "assembled";

/// Builds plain and through plinth after an install of uv, compares everything, and says what became of each step.
#[track_caller]
fn outcomes(env: &Env, body: &str, files: &[(&str, &str)], test: &str) -> Vec<String> {
    let uv = uv();
    // Debian's interpreter forbids what those of official images allow.
    let body = body.replace("@FREE@", "RUN rm /usr/lib/python3.11/EXTERNALLY-MANAGED");
    let body = format!("RUN {}\n{body}", uv.install);
    let outcome = check(env, &uv.index, &Case { body: &body, files, expect: Expect::Either, check: test });
    let mut outcomes = outcome.report.as_ref().map(Report::outcomes).unwrap_or_default();
    if env.frontend.is_some() {
        assert_eq!(
            outcomes.remove(0),
            ASSEMBLED,
            "the install of uv itself: is it in the index (hack/index)?"
        );
    }
    outcomes
}

macro_rules! cases {
    ($($(#[$doc:meta])* $name:ident: [$($outcome:expr),*], $body:expr, [$($file:expr),*], $check:expr;)*) => {
        $($(#[$doc])*
        #[test]
        fn $name() {
            let env = e2e!();
            let outcomes = outcomes(env, $body, &[$($file),*], $check);
            if env.frontend.is_some() {
                assert_eq!(outcomes, [$($outcome),*]);
            }
        })*
    };
}

cases! {
    requirements_file: [ASSEMBLED],
        "@FREE@\nWORKDIR /app\nCOPY requirements.txt .\nRUN uv pip install --system --index-url @INDEX@ -r requirements.txt --no-cache\nCOPY app.py .",
        [("requirements.txt", "# what it needs\nalpha==2.0  # pinned\nbeta>=1,<2\n\nMixed.Case-Name ~= 1.0\ndatafull\n"), ("app.py", "import alpha, datafull\n")],
        "/usr/bin/python3 /app/app.py\nalpha-tool\nshell-tool\npython-tool\nnot-executable\ndata-one\ndata-gui";
    an_index_in_a_variable: [ASSEMBLED],
        "@FREE@\nENV UV_INDEX_URL=@INDEX@ UV_EXTRA_INDEX_URL=@INDEX@\nRUN uv pip install --system --no-cache alpha==2.0",
        [], "alpha-tool";
    in_an_activated_environment: [ASSEMBLED],
        "RUN python3 -m venv /opt/v && . /opt/v/bin/activate && uv pip install --no-cache -i @INDEX@ alpha==2.0",
        [], "/opt/v/bin/alpha-tool && test ! -e /usr/local/bin/alpha-tool";
    a_default_index_in_a_variable: [ASSEMBLED],
        "@FREE@\nENV UV_DEFAULT_INDEX=@INDEX@\nRUN uv pip install --system --no-cache alpha==2.0 datafull",
        [], "alpha-tool";
    exec_form: [ASSEMBLED],
        "@FREE@\nRUN [\"/usr/local/bin/uv\", \"pip\", \"install\", \"--system\", \"--no-cache-dir\", \"-i\", \"@INDEX@\", \"alpha>=1,<2\", \"DataFull\"]",
        [], "alpha-tool\ndata-one\n/usr/bin/python3 -c 'import alpha; assert alpha.VERSION == \"1.0\"'";
    a_managed_interpreter: [ASSEMBLED],
        "RUN uv pip install --system --break-system-packages --no-cache -i @INDEX@ alpha datafull", [], "/usr/bin/python3 -c 'import alpha'";
    an_environment_made_by_uv: [ASSEMBLED],
        "RUN uv venv /opt/venv\nENV VIRTUAL_ENV=/opt/venv PATH=/opt/venv/bin:$PATH\nRUN uv pip install --no-cache --index-url @INDEX@ alpha datafull",
        [], "alpha-tool\ntest \"$(command -v alpha-tool)\" = /opt/venv/bin/alpha-tool\n/opt/venv/bin/python-tool";
    an_interpreter_by_option: [ASSEMBLED, ASSEMBLED],
        "ENV UV_NO_CACHE=1\nRUN uv pip install --python /usr/local/bin/python3 -i @INDEX@ 'alpha>=1,<2' datafull\n\
         ENV VIRTUAL_ENV=/usr/local\nRUN uv pip install -i @INDEX@ gamma", [], "alpha-tool\ndata-one\npython3 -c 'import alpha, gamma'";
    extras_and_markers: [ASSEMBLED], "@FREE@\nCOPY r.txt /\nRUN uv pip install --system --no-cache -i @INDEX@ -r /r.txt 'delta; python_version > \"3\"'",
        [("r.txt", "alpha[fast]; python_version >= '3.11'\nns-one; python_version < '3'\nns-two; sys_platform == 'win32' or platform_system == 'Linux'\n")],
        "/usr/bin/python3 -c 'import delta, gamma, ns.two; assert gamma.VERSION == \"2.0\"'\n! /usr/bin/python3 -c 'import ns.one' 2>/dev/null";
    constraints: [ASSEMBLED], "@FREE@\nCOPY *.txt /r/\nRUN uv pip install --system --no-cache -i @INDEX@ -r /r/top.txt --constraint /r/c.txt",
        [("top.txt", "-r more.txt\n-c limits.txt\nalpha\n"), ("more.txt", "delta\n"), ("limits.txt", "alpha<2\n"), ("c.txt", "beta<1.5\n")],
        "/usr/bin/python3 -c 'import beta, alpha; assert (beta.VERSION, alpha.VERSION) == (\"1.0\", \"1.0\")'";
    variables: [ASSEMBLED, ASSEMBLED],
        "@FREE@\nENV UV_SYSTEM_PYTHON=1 UV_NO_CACHE=true UV_LINK_MODE=copy UV_COMPILE_BYTECODE=0\n\
         RUN uv pip install -i @INDEX@ beta==1.0\nRUN uv pip install -i @INDEX@ alpha",
        [], "alpha-tool\n/usr/bin/python3 -c 'import beta, alpha.deep; assert beta.VERSION == \"1.0\"'";
    /// pip finds what uv has installed, and the other way round.
    beside_pip: [ASSEMBLED, ASSEMBLED, ASSEMBLED],
        "ENV VIRTUAL_ENV=/usr/local UV_NO_CACHE=1\nRUN uv pip install -i @INDEX@ beta==1.0\nRUN pip install --no-cache-dir -i @INDEX@ alpha==1.0\nRUN uv pip install -i @INDEX@ 'alpha[fast]' delta",
        [], "alpha-tool\npython3 -c 'import beta, gamma; assert beta.VERSION == \"1.0\"'";
    /// Where the cache is on another file system, uv copies, with a warning unless it is told to.
    mounts: [ASSEMBLED, ASSEMBLED, ASSEMBLED],
        "@FREE@\nRUN --mount=type=cache,target=/root/.cache/uv --mount=type=bind,source=r.txt,target=/tmp/r.txt uv pip install --system -i @INDEX@ -r /tmp/r.txt\n\
         ENV UV_LINK_MODE=copy\nRUN --mount=type=cache,target=/root/.cache/uv uv pip install --system -i @INDEX@ alpha datafull\n\
         ENV UV_CACHE_DIR=/cache\nRUN --mount=type=cache,target=/cache uv pip install --system -i @INDEX@ gamma",
        [("r.txt", "beta<2\n")], "alpha-tool\n/usr/bin/python3 -c 'import beta, gamma'";
    again: [ASSEMBLED, ASSEMBLED, ASSEMBLED, "an uninstall by uv: alpha", "satisfied"],
        "@FREE@\nENV UV_SYSTEM_PYTHON=1 UV_NO_CACHE=1\nRUN uv pip install --no-deps -i @INDEX@ alpha==1.0\nRUN uv pip install -U -i @INDEX@ beta\n\
         RUN uv pip install -i @INDEX@ alpha\nRUN uv pip install -i @INDEX@ alpha==2.0\nRUN uv pip install -i @INDEX@ 'beta>=1'",
        [], "alpha-tool\n/usr/bin/python3 -c 'import alpha; assert alpha.VERSION == \"2.0\"'";
    one_file_of_two: [ASSEMBLED], "@FREE@\nRUN uv pip install --system --no-cache -i @INDEX@ ns-one ns-two", [],
        "/usr/bin/python3 -c 'import ns.one, ns.two, ns.shared'";
    as_written_by_what_the_step_says: [
            "uv with byte code",
            "uv's cache, which stays in the image (`--no-cache`, or a cache mount, avoids that)",
            "option --prerelease",
            "option --target",
            "a Python program other than `-m pip`",
            "its script removes `/root/.cache`, which is there",
            "uv with byte code",
            "environment variable UV_PRERELEASE"
        ],
        "@FREE@\nRUN uv pip install --system --no-cache --compile-bytecode -i @INDEX@ alpha\n\
         RUN uv pip install --system -i @INDEX@ delta\nRUN rm -rf /root/.cache/uv\n\
         RUN uv pip install --system --no-cache --prerelease=allow -U -i @INDEX@ beta\n\
         RUN uv pip install --system --no-cache --target /opt/t -i @INDEX@ beta\n\
         RUN python3 -m uv pip install --system --no-cache -i @INDEX@ gamma\n\
         RUN uv pip install --system --no-cache -i @INDEX@ ns-one && rm -rf /root/.cache\n\
         ENV UV_COMPILE_BYTECODE=1\nRUN uv pip install --system --no-cache -i @INDEX@ ns-two\n\
         ENV UV_COMPILE_BYTECODE=0 UV_PRERELEASE=disallow UV_DEFAULT_INDEX=@INDEX@\nRUN uv pip install --system --no-cache datafull",
        [], "alpha-tool\n/usr/bin/python3 -c 'import beta; assert beta.VERSION == \"2.0rc1\"'";
    as_written_by_what_is_in_files: [
            "--index-url in a requirements file, with uv",
            "hashes checked by uv",
            "a requirements file of another kind",
            "a configuration file of uv"
        ],
        "@FREE@\nCOPY *.txt /\nCOPY pyproject.toml /p/\nRUN uv pip install --system --no-cache -r /index.txt\n\
         RUN uv pip install --system --no-cache -i @INDEX@ -r /hash.txt\n\
         RUN uv pip install --system --no-cache -i @INDEX@ -r /p/pyproject.toml\n\
         WORKDIR /p\nRUN uv pip install --system --no-cache -i @INDEX@ alpha",
        [
            ("index.txt", "--index-url @INDEX@\nns-one\n"),
            ("hash.txt", &format!("beta==1.0 --hash=sha256:{}\n", wheels().iter().find(|w| w.file.starts_with("beta-1.0-")).unwrap().sha256())),
            ("pyproject.toml", "[project]\nname = \"p\"\nversion = \"1\"\ndependencies = [\"beta\"]\n[tool.uv.pip]\nno-deps = true\n")
        ],
        "/usr/bin/python3 -c 'import ns.one, beta, alpha'";
}

/// What uv refuses, it refuses with its own words, as without plinth.
#[test]
fn what_fails_fails_alike() {
    let env = e2e!();
    let uv = uv();
    for (what, message) in [
        ("alpha", "externally managed"),
        ("--break-system-packages not-there", "not-there was not found"),
        ("--break-system-packages 'beta<1'", "you require beta<1"),
    ] {
        let text = format!(
            "FROM {BASE}\nRUN {}\nRUN uv pip install --system --no-cache -i @INDEX@ {what}\n",
            uv.install
        );
        let files = Files::dockerfile(&text.replace("@INDEX@", &uv.index.url()));
        let [plain, plinth] = Side::BOTH.map(|side| Build::new(env, side, files.path()).run());
        assert!(plain.stderr.contains(message), "{}", plain.stderr);
        assert!(plinth.stderr.contains(message), "{}", plinth.stderr);
        // Before it, what each of them has tried is shown.
        let end = |error: String| error.rsplit("\n------\n").next().unwrap().to_owned();
        assert!(end(plain.error()).contains(">>> RUN uv pip install"), "{}", plain.stderr);
        assert_eq!(end(plinth.error()), end(plain.error()));
    }
}

/// The program from another image or stage, which is how uv itself says it should be done.
#[test]
fn the_program_from_another_stage() {
    let env = e2e!();
    let uv = uv();
    let text = format!(
        "FROM {BASE} AS tool\nRUN {}\nFROM {BASE}\nCOPY --from=tool /usr/local/bin/uv /usr/local/bin/uvx /bin/\n\
         RUN uv pip install --system --break-system-packages --no-cache -i @INDEX@ alpha datafull\n",
        uv.install
    );
    let files = Files::dockerfile(&text.replace("@INDEX@", &uv.index.url()));
    let [plain, plinth] = Side::BOTH.map(|side| Build::new(env, side, files.path()).layout().run().ok());
    if env.frontend.is_some() {
        assert_eq!(Report::of_build(&plinth).unwrap().outcomes(), [ASSEMBLED, ASSEMBLED]);
    }
    let base = before(env, &files);
    let (plain, plinth) = (plain.layout().image(), plinth.layout().image());
    compare(env, &plain, &plinth, &base).assert_equal();
    same_config(&plain, &plinth);
    let layers = plinth.layer_history().join("\n");
    assert!(!layers.contains("plinth: uv "), "uv is not of this image: {layers}");
    assert!(layers.contains("plinth: install records"), "{layers}");
}
