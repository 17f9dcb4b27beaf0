//! Assembled pip steps give what pip gives: trees, configs, imports; and what plinth leaves alone stays as it is.

use serde_json::Value;

use crate::support::build::{Build, Side};
use crate::support::bytecode;
use crate::support::compare::{Comparison, Exception, Sides, compare_trees};
use crate::support::env::{Env, e2e};
use crate::support::files::Files;
use crate::support::image::Image;
use crate::support::index::Index;
use crate::support::report::{LABEL, Report};
use crate::support::tree::Tree;
use crate::support::wheel::{Made, Wheel};

/// The image that all these build on.
pub(crate) const BASE: &str = "python:3.11-slim";

/// What must become of the pip steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Every one is assembled.
    Assembled,
    /// None is: they run as they are.
    AsWritten,
    /// Whatever plinth decides, the result is the same.
    Either,
}

/// A small fleet of wheels: dependencies, extras, markers, scripts, data, a shared namespace, two versions.
pub(crate) fn wheels() -> Vec<Made> {
    let alpha = |version: &str| {
        Wheel::simple("alpha", version)
            .file("alpha/deep/__init__.py", "def main():\n    return 0\n")
            .file("alpha/deep/data.json", "{}\n")
            .file(&format!("alpha/only_{}.py", version.replace('.', "_")), "X = 1.5\n")
            .metadata("Requires-Dist: beta>=1")
            .metadata("Requires-Dist: gamma; extra == \"fast\"")
            .metadata("Requires-Dist: delta; sys_platform == \"linux\"")
            .metadata("Requires-Dist: never; python_version < \"3\"")
            .metadata("Provides-Extra: fast")
            .script("alpha-tool", "alpha.deep:main")
            .make()
    };
    let data = Wheel::simple("datafull", "0.1")
        .data_script("shell-tool", "#!/bin/sh\necho shell tool\n")
        .data("scripts/not-executable", "#!python\n")
        .data_script("python-tool", "#!python\nimport datafull\nprint(datafull.VERSION)\n")
        .data("data/etc/datafull.conf", "a = 1\n")
        .data("data/share/man/man1/datafull.1", ".TH DATAFULL 1\n")
        .data("headers/datafull.h", "#define X 1\n")
        .data("purelib/datafull_pure.py", "PURE = 1\n\n\ndef main():\n    return 0\n")
        .data("platlib/datafull_plat.py", "PLAT = 1\n")
        .file_with_mode("datafull/run.sh", "#!/bin/sh\n", 0o755)
        .file("datafull/ünïcode.txt", "é\n")
        .file("datafull/with space.py", "SPACE = 1\n")
        .file("datafull/not_python_3.py", "print 'a syntax error is no error of the install'\n")
        .info("licenses/LICENSE", "free\n")
        .info("entry_points.txt", "[console_scripts]\ndata-one = datafull_pure:main\ndata.two = datafull_pure:main [extra]\n\n[gui_scripts]\ndata-gui = datafull_pure:main\n\n[some.plugin]\nx = datafull:where\n")
        .make();
    vec![
        alpha("1.0"),
        alpha("2.0"),
        Wheel::simple("beta", "1.0").make(),
        Wheel::simple("beta", "1.5").make(),
        Wheel::simple("beta", "2.0rc1").make(),
        Wheel::simple("gamma", "2.0").metadata("Requires-Python: >=3.8").make(),
        Wheel::simple("gamma", "3.0").metadata("Requires-Python: >=3.99").make(),
        Wheel::simple("delta", "1.0.post1").make(),
        Wheel::new("ns-one", "1.0")
            .file("ns/one.py", "ONE = 1\n")
            .file("ns/shared.py", "BY = 'same'\n")
            .make(),
        Wheel::new("ns-two", "1.0")
            .file("ns/two.py", "TWO = 2\n")
            .file("ns/shared.py", "BY = 'same'\n")
            .make(),
        Wheel::simple("Mixed.Case_Name", "1.0").make(),
        data,
    ]
}

/// A case: what the Dockerfile does between `FROM` and the end, its files, how it is checked.
pub(crate) struct Case<'c> {
    pub(crate) body: &'c str,
    pub(crate) files: &'c [(&'c str, &'c str)],
    pub(crate) expect: Expect,
    /// Run in a further stage, on both sides: imports, scripts.
    pub(crate) check: &'c str,
}

/// What a case gave.
pub(crate) struct Outcome {
    pub(crate) plain: Image,
    pub(crate) plinth: Image,
    pub(crate) comparison: Comparison,
    pub(crate) report: Option<Report>,
}

/// Builds a case on both sides and compares everything. `@INDEX@` in the texts is the address of the index.
#[track_caller]
pub(crate) fn check(env: &Env, index: &Index, case: &Case<'_>) -> Outcome {
    let (outcome, log) = build(env, index, case);
    let treatments = outcome.report.as_ref().map(Report::treatments).unwrap_or_default();
    // With the built-in frontend on both sides nothing is assembled: that run tests the harness.
    match if env.frontend.is_some() { case.expect } else { Expect::Either } {
        Expect::Assembled => {
            let json = outcome.report.as_ref().map(Report::json).unwrap_or_default();
            assert!(
                !treatments.is_empty() && treatments.iter().all(|t| t == "assembled"),
                "not assembled: {json}\n{log}"
            );
            assert!(Report::of(&outcome.plinth).is_some(), "a rewritten image says so in its label {LABEL}");
        }
        Expect::AsWritten => {
            assert!(
                treatments.iter().all(|t| t == "as_written"),
                "should have been left alone: {treatments:?}\n{log}"
            );
        }
        Expect::Either => {}
    }
    outcome.comparison.assert_equal();
    same_config(&outcome.plain, &outcome.plinth);
    outcome.plinth.check();
    outcome
}

fn context(index: &Index, case: &Case<'_>) -> Files {
    let fill = |text: &str| text.replace("@INDEX@", &index.url());
    let check = if case.check.is_empty() { "true" } else { case.check };
    let dockerfile = format!(
        "FROM {BASE} AS app\n{}\nFROM app AS check\nRUN <<CHECK\nset -e\n{check}\nCHECK\n",
        case.body
    );
    let files = Files::dockerfile(&fill(&dockerfile));
    for (path, content) in case.files {
        files.write(path, fill(content));
    }
    files
}

fn build(env: &Env, index: &Index, case: &Case<'_>) -> (Outcome, String) {
    let files = context(index, case);
    let [plain, plinth] =
        Side::BOTH.map(|side| Build::new(env, side, files.path()).opt("target", "app").layout().run().ok());
    let report = Report::of_build(&plinth);
    let log = plinth.stderr.clone();
    let (plain, plinth) = (plain.layout().image(), plinth.layout().image());
    let comparison = compare(env, &plain, &plinth, &before(env, &files));
    // Both sides: what plain can't do is a mistake of the test.
    for side in Side::BOTH {
        Build::new(env, side, files.path()).opt("target", "check").run().ok();
    }
    (Outcome { plain, plinth, comparison, report }, log)
}

/// An image from both sides.
pub(crate) struct Both {
    pub(crate) plain: Image,
    pub(crate) plinth: Image,
    pub(crate) report: Option<Report>,
}

impl Both {
    /// Builds a Dockerfile, whose stages all stand on [`BASE`], on both sides. The images must be equal.
    #[track_caller]
    pub(crate) fn of(env: &Env, files: &Files) -> Self {
        let [plain, plinth] = Side::BOTH.map(|side| Build::new(env, side, files.path()).layout().run().ok());
        let report = Report::of_build(&plinth);
        let (plain, plinth) = (plain.layout().image(), plinth.layout().image());
        files.write("base.Dockerfile", format!("FROM {BASE}\n"));
        let base =
            Build::new(env, Side::Plain, files.path()).opt("filename", "base.Dockerfile").image().tree();
        compare(env, &plain, &plinth, &base).assert_equal();
        same_config(&plain, &plinth);
        plinth.check();
        Self { plain, plinth, report }
    }
}

/// The tree before the first pip step of a context.
pub(crate) fn before(env: &Env, files: &Files) -> Tree {
    let text = std::fs::read_to_string(files.join("Dockerfile")).unwrap();
    let is_install =
        |line: &&str| line.starts_with("RUN") && line.contains("pip") && line.contains("install");
    let before: Vec<_> = text.lines().take_while(|line| !is_install(line)).collect();
    files.write("before.Dockerfile", before.join("\n") + "\n");
    Build::new(env, Side::Plain, files.path()).opt("filename", "before.Dockerfile").image().tree()
}

/// Compares two images whose pip steps began with the tree `base`.
pub(crate) fn compare(env: &Env, plain: &Image, plinth: &Image, base: &Tree) -> Comparison {
    let home = plain.config["config"]["Env"]
        .as_array()
        .into_iter()
        .flatten()
        .find_map(|e| e.as_str()?.strip_prefix("HOME=/").map(str::to_owned));
    let home = home.unwrap_or_else(|| "root".to_owned());
    let (a, b) = (plain.tree(), plinth.tree());
    let comparison = compare_trees(&Sides { base, plain: &a, plinth: &b, home: &home }, &Exception::ALL);
    bytecode::compare(env, BASE, comparison)
}

/// The configs are equal but for the report's label, the layers, and the history entries of the assembled steps.
#[track_caller]
pub(crate) fn same_config(plain: &Image, plinth: &Image) {
    let stripped = |image: &Image| {
        let mut config = image.config.clone();
        let object = config.as_object_mut().unwrap();
        object.remove("rootfs");
        object.remove("history");
        if let Some(labels) = object["config"].get_mut("Labels").and_then(Value::as_object_mut) {
            labels.shift_remove(LABEL);
            if labels.is_empty() {
                object["config"].as_object_mut().unwrap().shift_remove("Labels");
            }
        }
        config
    };
    assert_eq!(stripped(plinth), stripped(plain));
}

macro_rules! cases {
    ($($(#[$doc:meta])* $name:ident: $expect:ident, $body:expr, [$($file:expr),*], $check:expr;)*) => {
        $($(#[$doc])*
        #[test]
        fn $name() {
            let env = e2e!();
            let case = Case { body: $body, files: &[$($file),*], expect: Expect::$expect, check: $check };
            check(env, &Index::of(&wheels()), &case);
        })*
    };
}

cases! {
    requirements_file: Assembled,
        "WORKDIR /app\nCOPY requirements.txt .\nRUN pip install --no-cache-dir --index-url @INDEX@ -r requirements.txt\nCOPY app.py .\nCMD [\"python3\", \"app.py\"]",
        [("requirements.txt", "# what it needs\nalpha==2.0  # pinned\nbeta>=1,<2\n\nMixed.Case-Name ~= 1.0\n"), ("app.py", "import alpha\n")],
        "python3 /app/app.py\nalpha-tool\npip check";
    inline: Assembled, "RUN pip install --no-cache-dir --index-url @INDEX@ 'alpha>=1,<2' beta==1.0", [], "python3 -c 'import alpha; assert alpha.VERSION == \"1.0\"'";
    exec_form: Assembled, "RUN [\"pip\", \"install\", \"--no-cache-dir\", \"--index-url\", \"@INDEX@\", \"alpha\"]", [], "python3 -c 'import alpha.deep'";
    python_m_pip: Assembled, "RUN python3 -m pip install --no-cache-dir -i @INDEX@ alpha", [], "alpha-tool";
    pip3: Assembled, "RUN pip3 install --no-cache-dir -i @INDEX@ alpha", [], "alpha-tool";
    continued_lines: Assembled, "RUN pip install \\\n    --no-cache-dir \\\n    # a comment\n    -i @INDEX@ \\\n    alpha \\\n    datafull", [], "shell-tool\npython-tool\ndata-one\ndata-gui";
    constraints: Assembled, "COPY c.txt /tmp/c.txt\nRUN pip install --no-cache-dir -i @INDEX@ -c /tmp/c.txt alpha", [("c.txt", "beta==1.0\nalpha<2\n")],
        "python3 -c 'import beta, alpha; assert (beta.VERSION, alpha.VERSION) == (\"1.0\", \"1.0\")'";
    extras: Assembled, "RUN pip install --no-cache-dir -i @INDEX@ 'alpha[fast]'", [], "python3 -c 'import gamma; assert gamma.VERSION == \"2.0\"'";
    markers: Assembled, "COPY r.txt /\nRUN pip install --no-cache-dir -i @INDEX@ -r /r.txt",
        [("r.txt", "beta; python_version >= '3.11'\ngamma; python_version < '3'\ndelta; sys_platform == 'win32' or platform_system == 'Linux'\n")],
        "python3 -c 'import beta, delta'\n! python3 -c 'import gamma' 2>/dev/null";
    nested_files: Assembled, "COPY *.txt /r/\nRUN pip install --no-cache-dir -r /r/top.txt",
        [("top.txt", "--index-url @INDEX@\n-r more.txt\n-c limits.txt\nalpha\n"), ("more.txt", "delta\n"), ("limits.txt", "beta<1.5\n")],
        "python3 -c 'import delta, beta; assert beta.VERSION == \"1.0\"'";
    environment: Assembled, "ARG V=1.0\nENV PIP_INDEX_URL=@INDEX@ PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1\nRUN pip install alpha==${V}", [], "alpha-tool";
    dont_write_bytecode: Assembled, "ENV PYTHONDONTWRITEBYTECODE=1\nRUN pip install --no-cache-dir -i @INDEX@ alpha", [], "alpha-tool";
    cache_mount: Assembled, "RUN --mount=type=cache,target=/root/.cache/pip pip install -i @INDEX@ alpha", [], "alpha-tool";
    bind_mount: Assembled, "RUN --mount=type=bind,source=r.txt,target=/tmp/r.txt pip install --no-cache-dir -i @INDEX@ -r /tmp/r.txt", [("r.txt", "alpha\n")], "alpha-tool";
    data_schemes: Assembled, "RUN pip install --no-cache-dir -i @INDEX@ datafull", [],
        "shell-tool\npython-tool\ntest -f /usr/local/etc/datafull.conf\npython3 -c 'import datafull_pure, datafull_plat'";
    shared_namespace: Assembled, "RUN pip install --no-cache-dir -i @INDEX@ ns-two ns-one", [], "python3 -c 'import ns.one, ns.two, ns.shared'";
    two_steps: Assembled, "RUN pip install --no-cache-dir -i @INDEX@ beta==1.0\nRUN pip install --no-cache-dir -i @INDEX@ alpha", [], "python3 -c 'import beta; assert beta.VERSION == \"1.0\"'";
    upgrade: Assembled, "RUN pip install --no-cache-dir -i @INDEX@ alpha==1.0\nRUN pip install --no-cache-dir -i @INDEX@ alpha==2.0", [],
        "python3 -c 'import alpha, alpha.only_2_0; assert alpha.VERSION == \"2.0\"'\n! python3 -c 'import alpha.only_1_0' 2>/dev/null";
    upgrade_flag: Assembled, "RUN pip install --no-cache-dir -i @INDEX@ beta==1.0\nRUN pip install --no-cache-dir -i @INDEX@ --upgrade beta", [], "python3 -c 'import beta; assert beta.VERSION == \"1.5\"'";
    no_deps: Assembled, "RUN pip install --no-cache-dir --no-deps -i @INDEX@ alpha", [], "! python3 -c 'import beta' 2>/dev/null";
    prereleases: Assembled, "RUN pip install --no-cache-dir --pre -i @INDEX@ beta", [], "python3 -c 'import beta; assert beta.VERSION == \"2.0rc1\"'";
    no_compile: Either, "RUN pip install --no-cache-dir --no-compile -i @INDEX@ alpha", [], "alpha-tool";
    multi_stage: Assembled, "RUN pip install --no-cache-dir -i @INDEX@ beta\nFROM python:3.11-slim AS other\nCOPY --from=app /usr/local/lib/python3.11/site-packages /site\nFROM app AS app2\nRUN pip install --no-cache-dir -i @INDEX@ delta", [], "python3 -c 'import beta'";
    already_satisfied: Either, "RUN pip install --no-cache-dir -i @INDEX@ beta\nRUN pip install --no-cache-dir -i @INDEX@ 'beta>=1'", [], "python3 -c 'import beta'";
    /// An unquoted `>=` is a redirection: pip sees `beta`, and a file named `=1.0` has what it prints.
    a_redirection: Assembled, "WORKDIR /w\nRUN pip install --no-cache-dir -i @INDEX@ beta>=1.0", [], "grep -q '^Successfully installed beta-1.5$' /w/=1.0";
    redirections: Assembled,
        "WORKDIR /w\nRUN mkdir d && ln -s d l\n\
         RUN cd l && pip install -i @INDEX@ mixed.case_name>=0.1 ALPHA>=1,!=3 gamma>=0.1 2>/dev/null && pip install -i @INDEX@ ns-one>=2",
        [], "test -s /w/d/=0.1 && test -e /w/d/=1,!=3 && test ! -s /w/d/=1,!=3 && test -s /w/d/=2";
    a_quiet_redirection: Assembled, "RUN pip -q install -i @INDEX@ beta>=1.0", [], "test -e /=1.0 && test ! -s /=1.0";
    a_redirection_with_a_say: AsWritten,
        "ENV PIP_QUIET=0\nRUN pip install -i @INDEX@ beta>=1.0\nENV PIP_QUIET=\nRUN pip install -q -v -i @INDEX@ gamma>=1.0.0\nENV PYTHONIOENCODING=utf-16\nRUN pip install -i @INDEX@ delta>=1",
        [], "test -s /=1.0 && test -s /=1.0.0 && test -s /=1";
    a_redirection_to_what_is_there: AsWritten, "RUN touch /=1.0\nRUN pip install -i @INDEX@ beta>=1.0", [], "test -s /=1.0";
    a_redirection_into_a_mount: AsWritten,
        "WORKDIR /w\nRUN --mount=type=tmpfs,target=/w pip install -i @INDEX@ beta>=1.0", [], "test ! -e /w/=1.0";
    a_redirection_with_nothing_to_install: Either,
        "RUN pip install -i @INDEX@ beta\nRUN pip install -i @INDEX@ beta>=1.0", [], "grep -q already /=1.0";
    a_redirection_to_a_log: AsWritten, "RUN pip install -i @INDEX@ beta >/log", [], "grep -q Successfully /log";
    compound: Either, "RUN pip install --no-cache-dir -i @INDEX@ beta && echo done >/done", [], "test -s /done";
    fallback: Either, "RUN pip install --no-cache-dir -i @INDEX@ not-there || pip install --no-cache-dir -i @INDEX@ beta", [], "python3 -c 'import beta'";
    conditional: Either, "COPY r.txt /\nRUN if [ -f /r.txt ]; then pip install --no-cache-dir -i @INDEX@ -r /r.txt; fi", [("r.txt", "beta\n")], "python3 -c 'import beta'";
    another_user: AsWritten, "RUN useradd -m app\nUSER app\nRUN pip install --no-cache-dir --user -i @INDEX@ beta", [], "python3 -c 'import beta'";
    for_the_user: Assembled, "RUN pip install --no-cache-dir --user -i @INDEX@ alpha datafull", [],
        "/root/.local/bin/alpha-tool\npython3 -c 'import alpha, datafull_pure'\ntest -f /root/.local/etc/datafull.conf";
    for_the_user_beside_the_system: Assembled,
        "RUN pip install --no-cache-dir -i @INDEX@ delta\nRUN pip install --no-cache-dir --user -i @INDEX@ alpha gamma", [],
        "alpha-tool 2>/dev/null && exit 1; /root/.local/bin/alpha-tool && python3 -c 'import alpha, delta, gamma'";
    for_the_user_twice: Either,
        "RUN pip install --no-cache-dir --user -i @INDEX@ beta==1.0\nRUN pip install --no-cache-dir --user -i @INDEX@ beta==1.5", [],
        "python3 -c 'import beta; assert beta.VERSION == \"1.5\"'";
    below_a_prefix: Assembled, "RUN pip install --no-cache-dir --prefix=/install -i @INDEX@ alpha datafull", [],
        "PYTHONPATH=/install/lib/python3.11/site-packages /install/bin/alpha-tool";
    below_a_prefix_over_the_system: Either,
        "RUN pip install --no-cache-dir -i @INDEX@ beta==1.0\nRUN pip install --no-cache-dir --prefix /opt/p -i @INDEX@ beta==1.5 delta", [],
        "test -d /opt/p/lib/python3.11/site-packages/beta";
    into_a_target: Either, "RUN pip install --no-cache-dir --target /opt/x -i @INDEX@ beta", [], "test -f /opt/x/beta/__init__.py";
    a_flag_nobody_knows_well: AsWritten, "RUN pip install --no-cache-dir --no-clean -i @INDEX@ beta", [], "python3 -c 'import beta'";
    a_steering_variable: AsWritten, "ENV PYTHONPYCACHEPREFIX=/pyc\nRUN pip install --no-cache-dir -i @INDEX@ beta", [], "true";
    an_epoch_in_the_environment: Either, "ENV SOURCE_DATE_EPOCH=1600000000\nRUN pip install --no-cache-dir -i @INDEX@ beta", [], "python3 -c 'import beta'";
    a_umask: Either, "RUN umask 027 && pip install --no-cache-dir -i @INDEX@ beta", [], "python3 -c 'import beta'";
    a_command_substitution: AsWritten, "RUN pip install --no-cache-dir -i @INDEX@ $(echo beta)", [], "python3 -c 'import beta'";
    a_glob: Either, "WORKDIR /w\nRUN touch beta\nRUN pip install --no-cache-dir -i @INDEX@ bet[a]", [], "true";
}

/// The download cache is the only thing missing, and its bytes are known.
#[test]
fn download_cache() {
    let env = e2e!();
    let case = Case {
        // From http, pip caches only what comes from a trusted host.
        body: "RUN pip install --trusted-host 127.0.0.1 -i @INDEX@ alpha",
        files: &[],
        expect: Expect::Assembled,
        check: "alpha-tool",
    };
    let outcome = check(env, &Index::of(&wheels()), &case);
    assert!(outcome.comparison.excused_bytes(Exception::PipCache) > 0, "plain pip left a cache");
    assert!(outcome.plain.tree().get("/root/.cache/pip").is_some());
}

/// Hashes in the requirements are checked, and take nothing away from equality.
#[test]
fn required_hashes() {
    let env = e2e!();
    let wheels = wheels();
    let hash = |file: &str| wheels.iter().find(|w| w.file == file).unwrap().sha256();
    let requirements = format!("beta==1.5 --hash=sha256:{}\n", hash("beta-1.5-py3-none-any.whl"));
    let case = Case {
        body: "COPY r.txt /\nRUN pip install --no-cache-dir -i @INDEX@ --require-hashes -r /r.txt",
        files: &[("r.txt", &requirements)],
        expect: Expect::Either,
        check: "python3 -c 'import beta'",
    };
    check(env, &Index::of(&wheels), &case);
    let wrong = format!("beta==1.5 --hash=sha256:{}\n", hash("beta-1.0-py3-none-any.whl"));
    let files = context(&Index::of(&wheels), &Case { files: &[("r.txt", &wrong)], ..case });
    for side in Side::BOTH {
        let built = Build::new(env, side, files.path()).opt("target", "app").run();
        assert!(
            built.error().contains("DO NOT MATCH THE HASHES")
                || built.stderr.contains("DO NOT MATCH THE HASHES"),
            "{side:?}: {}",
            built.stderr
        );
    }
}

/// pip names the directory of a distribution's headers as the requirement that asked for it spells the distribution,
/// whoever that is. A payload has one name; so every other spelling is left to pip.
#[test]
fn headers_follow_the_spelling_of_the_requirement() {
    let env = e2e!();
    let mut wheels = wheels();
    wheels.push(Wheel::simple("asks", "1.0").metadata("Requires-Dist: DATAfull").make());
    let include = "/usr/local/include/site/python3.11";
    for (requirements, directory) in
        [("datafull\n", "datafull"), ("alpha\nDataFull == 0.1\n", "DataFull"), ("asks\n", "DATAfull")]
    {
        let test = format!("test -f {include}/{directory}/datafull.h\npython-tool");
        let case = Case {
            body: "COPY r.txt /\nRUN pip install --no-cache-dir -i @INDEX@ -r /r.txt",
            files: &[("r.txt", requirements)],
            expect: if directory == "datafull" { Expect::Assembled } else { Expect::AsWritten },
            check: &test,
        };
        let outcome = check(env, &Index::of(&wheels), &case);
        let headers = format!("{include}/{directory}/datafull.h");
        assert!(outcome.plinth.tree().get(&headers).is_some(), "{headers} is missing");
        if case.expect == Expect::AsWritten && env.frontend.is_some() {
            assert_eq!(
                outcome.report.unwrap().reasons(),
                [
                    "datafull has header files, whose directory is named as its requirement happens to be spelled"
                ]
            );
        }
    }
}

/// The report says what was put together, and nothing of where it came from.
#[test]
fn the_report_in_the_label() {
    let env = e2e!();
    if env.frontend.is_none() {
        return;
    }
    let index = Index::of(&wheels());
    let case = Case {
        body: "ARG TOKEN=hunter2\nRUN pip install --no-cache-dir --extra-index-url http://me:s3cret@127.0.0.1:9/simple -i @INDEX@ beta || true\nRUN pip install --no-cache-dir -i @INDEX@ alpha",
        files: &[],
        expect: Expect::Either,
        check: "",
    };
    let outcome = check(env, &index, &case);
    let report = Report::of(&outcome.plinth).expect("the second step is assembled").json();
    for secret in ["http://", "127.0.0.1", "s3cret", "hunter2"] {
        assert!(!report.contains(secret), "{secret:?} is in the label: {report}");
    }
    assert!(report.contains("alpha"), "{report}");
}

/// Two services that ask for the same thing on other files share the payload layers.
#[test]
fn payloads_are_shared() {
    let env = e2e!();
    let index = Index::of(&wheels());
    let image = |body: &str| {
        check(env, &index, &Case { body, files: &[], expect: Expect::Assembled, check: "" }).plinth
    };
    let one = image("RUN echo one >/one\nRUN pip install --no-cache-dir -i @INDEX@ alpha");
    let two = image(
        "RUN echo two >/two\nENV X=1\nWORKDIR /w2\nRUN python3 -m pip install --no-cache-dir -i @INDEX@ delta alpha",
    );
    let base =
        Build::new(env, Side::Plain, Files::dockerfile(&format!("FROM {BASE}\n")).path()).image().layers();
    let shared: Vec<_> = one
        .layers()
        .into_iter()
        .filter(|layer| two.layers().contains(layer) && !base.contains(layer))
        .collect();
    assert!(
        !shared.is_empty(),
        "no layer but the base's is shared:\n{:#?}\n{:#?}",
        one.layer_history(),
        two.layer_history()
    );
}

/// The other platform that runs here.
#[test]
fn two_platforms() {
    let env = e2e!();
    let index = Index::of(&wheels());
    let files = context(
        &index,
        &Case {
            body: "RUN pip install --no-cache-dir -i @INDEX@ alpha datafull",
            files: &[],
            expect: Expect::Assembled,
            check: "",
        },
    );
    let build = |side| {
        Build::new(env, side, files.path())
            .opt("target", "app")
            .opt("platform", "linux/amd64,linux/386")
            .layout()
            .run()
            .ok()
    };
    let (plain, plinth) = (build(Side::Plain), build(Side::Plinth));
    let treatments = Report::of_build(&plinth).expect("a report").treatments();
    assert_eq!(treatments, ["assembled", "assembled"]);
    for (plain, plinth) in plain.layout().images().iter().zip(&plinth.layout().images()) {
        assert_eq!(plinth.platform, plain.platform);
        plinth.check();
        same_config(plain, plinth);
        let from = Files::dockerfile(&format!("FROM {BASE}\n"));
        let base = Build::new(env, Side::Plain, from.path()).opt("platform", &plain.platform).image().tree();
        let (a, b) = (plain.tree(), plinth.tree());
        let found =
            compare_trees(&Sides { base: &base, plain: &a, plinth: &b, home: "root" }, &Exception::ALL);
        bytecode::compare(env, BASE, found).assert_equal();
    }
}

/// Every RUN leaves behind the directories onto which its runtime mounts something. The first one runs, then they are there.
#[test]
fn roots_without_mount_points() {
    let env = e2e!();
    let index = Index::of(&wheels());
    let before = format!(
        "FROM {BASE} AS python\nFROM scratch\nENV PATH=/usr/local/bin:/usr/bin:/bin\n\
         COPY --from=python /usr /usr\nCOPY --from=python /bin /bin\nCOPY --from=python /lib /lib\n\
         COPY --from=python /lib64 /lib64\nCOPY --from=python /etc /etc\nCOPY --from=python /root /root\n\
         COPY --from=python /tmp /tmp\nCOPY --from=python /var/tmp /var/tmp\n"
    );
    let install = format!("RUN pip install --no-cache-dir -i {}", index.url());
    let base = Files::dockerfile(&before);
    let base = Build::new(env, Side::Plain, base.path()).layout().run().ok().layout().image().tree();
    assert!(!base.nodes.contains_key("proc"));
    for (text, treatments) in [
        (format!("{install} beta\n{install} gamma\n"), ["as_written", "assembled"].as_slice()),
        // Nothing to install, and a script that comes to no install.
        (format!("{install} pip\n"), &["as_written"]),
        (
            format!("RUN if [ -f /none ]; then {} beta; fi\n", install.trim_start_matches("RUN ")),
            &["as_written"],
        ),
    ] {
        let files = Files::dockerfile(&format!("{before}{text}"));
        let [plain, plinth] = Side::BOTH.map(|side| Build::new(env, side, files.path()).layout().run().ok());
        if let Some(report) = Report::of_build(&plinth) {
            assert_eq!(report.treatments(), treatments, "{}", report.json());
            let reason = "its root has no /dev, which a RUN leaves behind";
            let found = report.steps()[0]["reason"].as_str().unwrap_or_default().to_owned();
            assert!(found.starts_with(reason), "{}", report.json());
        }
        let (plain, plinth) = (plain.layout().image(), plinth.layout().image());
        assert!(plain.tree().nodes.contains_key("proc"));
        compare(env, &plain, &plinth, &base).assert_equal();
    }
}
