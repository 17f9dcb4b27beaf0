//! Command lines: what is understood, and what is refused with which reason.

#![allow(clippy::unwrap_used)]

use plinth_layers::pip::{PipCommand, Program, Tool};
use proptest::prelude::*;

fn parse(line: &str) -> Result<PipCommand, String> {
    let argv: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    PipCommand::parse(&argv).map_err(|error| error.reason)
}

#[test]
fn the_usual_forms_are_understood() {
    for (line, files, constraints, requirements) in [
        ("pip install -r requirements.txt", "requirements.txt", "", ""),
        ("pip3 install --no-cache-dir -r requirements.txt", "requirements.txt", "", ""),
        ("pip install --no-cache -r requirements.txt", "requirements.txt", "", ""),
        ("pip3.11 install -qr requirements.txt", "requirements.txt", "", ""),
        ("/usr/local/bin/pip install -qqUr/srv/a.txt -cb.txt x", "/srv/a.txt", "b.txt", "x"),
        ("pip install --requirement=a.txt --constraint=b.txt", "a.txt", "b.txt", ""),
        ("pip install -r a.txt -r b.txt c -c d.txt e", "a.txt b.txt", "d.txt", "c e"),
        ("pip install x -- y", "", "", "x y"),
        ("pip -q --no-cache-dir --timeout 60 install x", "", "", "x"),
        ("pip --timeout=60 install x", "", "", "x"),
        ("python -m pip install x", "", "", "x"),
        ("python3 -u -B -m pip install x", "", "", "x"),
        ("/opt/venv/bin/python3.12 -m pip install x", "", "", "x"),
        (
            "pip install uvicorn[standard]==0.30.* fastapi>=0.115.6",
            "",
            "",
            "uvicorn[standard]==0.30.* fastapi>=0.115.6",
        ),
        ("pip install --index-url=https://h/simple --extra-index-url https://i/simple x", "", "", "x"),
        ("pip install -ihttps://h/simple x -f https://h/links --no-index", "", "", "x"),
        ("pip install -r --upgrade", "--upgrade", "", ""),
        (
            "pip install --upgrade --upgrade-strategy eager --pre --prefer-binary --only-binary :all: x",
            "",
            "",
            "x",
        ),
        (
            "pip install --disable-pip-version-check --root-user-action=ignore --progress-bar off x",
            "",
            "",
            "x",
        ),
        ("pip install --break-system-packages --no-deps --require-hashes -r a", "a", "", ""),
        ("pip install x@https://h/x-1-py3-none-any.whl", "", "", "x@https://h/x-1-py3-none-any.whl"),
        ("uv pip install --system --no-cache -r requirements.txt", "requirements.txt", "", ""),
    ] {
        let command = parse(line).unwrap_or_else(|reason| panic!("{line}: {reason}"));
        assert_eq!(command.requirement_files.join(" "), files, "{line}");
        assert_eq!(command.constraint_files.join(" "), constraints, "{line}");
        assert_eq!(command.requirements.join(" "), requirements, "{line}");
        assert_eq!(command.arguments[command.install_at], "install", "{line}");
    }
}

#[test]
fn what_is_not_understood_has_its_reason() {
    for (line, reason) in [
        ("", "an empty command"),
        ("apt-get install x", "not a pip command"),
        ("pipx install x", "not a pip command"),
        ("pip2 install x", "not a pip command"),
        ("pip3.x install x", "not a pip command"),
        ("bin/pip install x", "a program by a relative path"),
        ("python setup.py install", "a Python program other than `-m pip`"),
        ("python -I -m pip install x", "a Python program other than `-m pip`"),
        ("python -O -m pip install x", "a Python program other than `-m pip`"),
        ("python -mpip install x", "a Python program other than `-m pip`"),
        ("uv sync", "uv with something other than `pip install`"),
        ("pip", "a sub-command other than install"),
        ("pip wheel x", "a sub-command other than install"),
        ("pip -- install x", "a sub-command other than install"),
        ("pip --cache-dir install install x", "an option value that reads `install`"),
        ("pip install", "an install of nothing"),
        ("pip install --", "an install of nothing"),
        ("pip install -c b.txt", "an install of nothing"),
        ("pip install -r", "--requirement without its value"),
        ("pip install x --timeout", "--timeout without its value"),
        ("pip install --upgrade=yes x", "--upgrade with a value"),
        ("pip install --req a.txt", "abbreviated option --req"),
        ("pip install --no-cache-di x", "abbreviated option --no-cache-di"),
        ("pip install --targ /x y", "abbreviated option --targ"),
        ("pip install --nonsense x", "option --nonsense"),
        ("pip install -Z x", "option -Z"),
        ("pip install -qZ x", "option -Z"),
        ("pip install --\u{1b}[31m x", "option of an unknown form"),
        ("pip install --target /x y", "option --target"),
        ("pip install -t/x y", "option --target"),
        ("pip install -qt /x y", "option --target"),
        ("pip install --user --prefix=/x y", "--user and --prefix together"),
        ("pip install --prefix=x y", "--prefix with a path that is not absolute and plain"),
        ("pip install --prefix /x/../y z", "--prefix with a path that is not absolute and plain"),
        ("pip install --root=/x y", "option --root"),
        ("pip install -e .", "option --editable"),
        ("pip install --no-compile x", "option --no-compile"),
        ("pip install --force-reinstall x", "option --force-reinstall"),
        ("pip install -I x", "option --ignore-installed"),
        ("pip install --no-binary :all: x", "option --no-binary"),
        ("pip install --config-settings a=b x", "option --config-settings"),
        ("pip install --report - x", "option --report"),
        ("pip install --dry-run x", "option --dry-run"),
        ("pip --python /x install y", "option --python"),
        ("pip --version", "option --version"),
        ("pip -r a install x", "option -r"),
        ("pip install --use-feature in-tree-build x", "a value of --use-feature"),
        ("pip install .", "a requirement by local path"),
        ("uv pip install ./dist/x-1-py3-none-any.whl", "a requirement by local path"),
        ("pip install git+https://h/x", "a requirement from version control"),
        ("pip install -- -x/y", "a requirement by local path"),
        ("pip install -r HTTPS://h/requirements.txt", "--requirement by URL"),
        ("pip install -r file:///requirements.txt", "--requirement by URL"),
        ("pip install -c https://u@h/c.txt x", "credentials in --constraint"),
        ("pip install -r /dev/stdin", "--requirement that is no file"),
        ("pip install -c - x", "--constraint that is no file"),
        ("pip install -i https://user:hunter2@h/simple x", "credentials in --index-url"),
        ("pip install --extra-index-url=https://${TOKEN}@h/simple x", "credentials in --extra-index-url"),
    ] {
        assert_eq!(parse(line).unwrap_err(), reason, "{line}");
    }
}

#[test]
fn programs_and_options_are_told_apart() {
    let command = parse("python3 -u -m pip --proxy http://p install --trusted-host h -vv x").unwrap();
    assert_eq!(command.tool, Tool::Pip);
    assert_eq!(command.program, Program::Module { python: "python3".into(), flags: vec!["-u".into()] });
    assert_eq!(command.network_options, ["--proxy", "--trusted-host"]);
    assert_eq!(command.arguments.join(" "), "--proxy http://p install --trusted-host h -vv x");
    assert_eq!(command.install_at, 2);
    assert!(command.has("--verbose") && !command.has("--quiet"));
    assert_eq!(parse("uv pip install --system x").unwrap().tool, Tool::Uv);
}

/// Words that come near to command lines, so that parsing gets past the first word.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "pip",
            "python3",
            "-m",
            "install",
            "-r",
            "-qr",
            "--",
            "-",
            "--index-url",
            "--index-url=",
            "-c",
            "x[y]",
            "a @ https://h/a.whl",
            "--no-cache-dir",
            "é",
            "-é",
            "--é=",
            "=",
            "@",
            "[",
            "uv",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,12}",
        "-{1,2}[a-zA-Z=é]{0,6}",
    ]
}

proptest! {
    #[test]
    fn parsing_never_panics(argv in prop::collection::vec(word(), 0..8)) {
        let _ = PipCommand::parse(&argv);
        let prefixed: Vec<String> = ["pip".to_owned(), "install".to_owned()].into_iter().chain(argv).collect();
        if let Ok(command) = PipCommand::parse(&prefixed) {
            // Nothing is lost: every argument is an option, its value, or a requirement.
            prop_assert_eq!(&command.arguments[..], &prefixed[1..]);
            prop_assert!(!command.requirements.is_empty() || !command.requirement_files.is_empty());
        }
    }
}
