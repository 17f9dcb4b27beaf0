//! Scripts as Dockerfiles have them: what is understood, what must be refused, and both mixed.

use std::ops::Range;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::Union;

use super::playground::{Case, FILES};

type Text = BoxedStrategy<String>;

/// Files that a script asks for, there or not.
const ASKED: &str = "requirements.txt % requirements.txt % more.txt % none.txt % none.txt % empty.txt % d % d/more.txt \
    % ./d/e % link % link/more.txt % dangling % requirements.txt/x % 'a b' % \"$SPACED\" % $FILE % \"${FILE}\" % '' % \\=1 \
    % @R@/w/site/made % @R@/w/first/pip % $R/w/cwd/more.txt % ../cwd/more.txt % -f";

/// One of the texts of a list, which ` % ` separates.
fn one(texts: &'static str) -> Text {
    select(texts.split(" % ").collect::<Vec<_>>()).prop_map(str::to_owned).boxed()
}

/// One of some strategies, by weight.
fn any_of(all: Vec<(u32, Text)>) -> Text {
    Union::new_weighted(all).boxed()
}

/// The second only now and then: it makes a step run as written, as a rule.
fn mostly(usual: Text, odd: &'static str) -> Text {
    any_of(vec![(40, usual), (1, one(odd))])
}

/// What stands between two words.
fn blank() -> Text {
    any_of(vec![(12, one(" ")), (1, one("   % \t %  \\\n     %  \\\n"))])
}

/// One of the programs that install.
fn program() -> Text {
    let usual = any_of(vec![
        (10, one("pip")),
        (6, one("pip3 % pip3.11 % python -m pip % python3 -m pip % python3 -u -m pip % @R@/bin/pip")),
        (2, one("\"pip\" % p'i'p % \\pip % $PIP % \"${PIP}3\" % uv pip % $R/bin/pip")),
    ]);
    mostly(usual, "@R@/w/venv/bin/pip % /nowhere/pip % ./pip % python3 % pip-tools % $EMPTY pip")
}

/// What an install is asked for.
fn wanted() -> Text {
    let file = one(ASKED).prop_map(|file| format!("-r {file}")).boxed();
    let usual = any_of(vec![
        (8, one("alpha % beta % 'gamma>=1' % \"delta[x]==1.0\" % eps~=0.1 % pip % setuptools")),
        (
            3,
            one(
                "-r requirements.txt % -r none.txt % -rmore.txt % --requirement=d/more.txt % -c more.txt alpha",
            ),
        ),
        (1, file),
        (2, one("made % newer % made newer")),
        (2, one("alpha>=1 % beta>=2.0,!=2.1 % c>=1 % alpha>=1 b>=2 % x>=")),
        (1, one("uvicorn[standard] % fast[a]")),
        (2, one("$NAME % \"${NAME}\" % $EMPTY alpha % $UNSET beta % al\\pha")),
    ]);
    mostly(
        usual,
        "unobtainable % -r nested.txt % -r dir.txt % -r *.txt % x>=1,<2 % a>1 % a>='1' % a* % d/* % \"$SPACED\" % $STAR \
         % $(echo alpha) % `echo a` % ${NAME:-x} % ~/x % {a,b} % 'unclosed % $1 % #x % a#b",
    )
}

/// A command of an installer, with where its output goes.
fn install() -> Text {
    let options = any_of(vec![
        (8, one("")),
        (4, one(" --no-cache-dir %  -q %  -U %  --upgrade %  --no-cache-dir -qq")),
    ]);
    let options = mostly(options, " --target /t %  --no-such-option %  -e .");
    let to = one(" 2>/dev/null %  >/dev/null 2>&1 %  >/dev/null %  2>&1 %  1>&2 %  2>>/dev/null");
    let to = mostly(
        any_of(vec![(4, one("")), (1, to)]),
        " >log %  2>err %  2>=1 %  >>=1 %  </dev/null %  3>/dev/null %  &>/dev/null",
    );
    let verb = mostly(one("install"), "uninstall % list % in\"stall\" % --version");
    (program(), blank(), verb, options, prop::collection::vec((blank(), wanted()), 1..3), to)
        .prop_map(|(program, blank, verb, options, wanted, to)| {
            let wanted: String = wanted.into_iter().map(|(blank, word)| blank + &word).collect();
            format!("{program}{blank}{verb}{options}{wanted}{to}")
        })
        .boxed()
}

/// A question about a file.
fn condition() -> Text {
    let usual =
        any_of(vec![(8, one("-f")), (5, one("-e % -d % -s")), (3, one("! -f % ! -e % ! -d % $BANG -f"))]);
    let operator = mostly(usual, "-r % -n % -h % ! ! -f % -f -a -e % $EMPTY -f % x =");
    let file = mostly(one(ASKED), "$EMPTY % *.txt % ~ % \"$(ls)\"");
    (operator, file, any::<bool>())
        .prop_map(|(operator, file, bracket)| match bracket {
            true => format!("[ {operator} {file} ]"),
            false => format!("test {operator} {file}"),
        })
        .boxed()
}

/// Commands that install nothing. What a removal names is relative: these scripts are run.
fn other() -> Text {
    let usual = any_of(vec![
        (6, one("true % false % : % echo x % echo 'a  b' >&2 % echo $NAME % set -x % true >/dev/null")),
        (2, one("exit 0 % exit 1 % exit 2 % set -e % set -ex")),
        (
            4,
            one(
                "cd d % cd d/e % cd ./d % cd link % cd none % cd d/ % cd @R@/w/site % cd . % cd \"$R/w/cwd\"",
            ),
        ),
        (3, one("rm -rf none % rm -f none.txt % rm -rf d/none none % rm -fr dangling % rm -rf '=1'")),
    ]);
    any_of(vec![
        (15, usual),
        (
            1,
            one(
                "rm none % rm -rf no* % rm -f -- none % rm -f requirements.txt % cd .. % cd - % cd % exit % exit 3 \
                 % set -u % set +e % make % export A=1 % A=1 % A=1 true % umask 077 % unset PATH % alias pip=true \
                 % command pip install x % [[ -f d ]] % [ -f d % [ d ] % [ a = a ] % test % return 1 \
                 % eval pip install x % . ./x % exec true",
            ),
        ),
    ])
}

/// What shells make of commands together.
fn joined(inner: BoxedStrategy<String>) -> Text {
    let two = (inner.clone(), inner.clone());
    let asked = any_of(vec![(3, condition()), (1, inner.clone())]);
    let and = any_of(vec![(6, one(" && ")), (1, one("&& %  \\\n &&  %  &&\n   %  && \\\n    "))]);
    let end = any_of(vec![(5, one("; ")), (5, one("\n")), (1, one("; %  ;\n %  # it's\n % \n\n % \n# c\n"))]);
    let bad = one(" |  %  &  %  |&  %  ;;  % \n; %  && && ");
    any_of(vec![
        (20, (inner.clone(), and, inner.clone()).prop_map(|(a, and, b)| a + &and + &b).boxed()),
        (12, two.clone().prop_map(|(a, b)| format!("{a} || {b}")).boxed()),
        (20, (inner.clone(), end.clone(), inner.clone()).prop_map(|(a, end, b)| a + &end + &b).boxed()),
        (6, inner.clone().prop_map(|a| format!("({a})")).boxed()),
        (
            10,
            (
                one("cd d && % cd d/e; % cd link\n % set -e;"),
                inner.clone(),
                one("; exit 0 % ; exit 1 %  % "),
                inner.clone(),
            )
                .prop_map(|(first, a, last, b)| format!("({first} {a}{last}) && {b}"))
                .boxed(),
        ),
        (
            5,
            (one("exit 0 % exit 1 % cd d; false"), inner.clone(), inner.clone())
                .prop_map(|(exit, a, b)| format!("({exit}; {a}) || {b}"))
                .boxed(),
        ),
        (6, inner.clone().prop_map(|a| format!("{{ {a}; }}")).boxed()),
        (2, inner.clone().prop_map(|a| format!("! {a}")).boxed()),
        (2, inner.clone().prop_map(|a| format!("! {{ {a}\n}}")).boxed()),
        (12, (asked.clone(), inner.clone()).prop_map(|(a, b)| format!("if {a}; then {b}; fi")).boxed()),
        (
            8,
            (asked.clone(), end, inner.clone(), inner.clone())
                .prop_map(|(a, end, b, c)| format!("if {a}{end}then {b}\nelse {c}\nfi"))
                .boxed(),
        ),
        (
            6,
            (asked.clone(), inner.clone(), asked, inner.clone(), inner.clone())
                .prop_map(|(a, b, c, d, e)| format!("if {a}; then {b}; elif {c}; then {d}; else {e}; fi"))
                .boxed(),
        ),
        (1, (two, bad).prop_map(|((a, b), bad)| a + &bad + &b).boxed()),
        (1, inner.prop_map(|a| format!("for i in 1 2; do {a}; done")).boxed()),
    ])
}

fn script() -> Text {
    let leaf = any_of(vec![(10, install()), (4, condition()), (4, other())]);
    let script = leaf.prop_recursive(4, 12, 3, joined);
    let before = any_of(vec![(6, one("")), (1, one("  % \n % # comment\n % set -e\n"))]);
    let after = any_of(vec![(6, one("")), (1, one("\n %  # end % ;"))]);
    (before, script, after).prop_map(|(before, script, after)| before + &script + &after).boxed()
}

fn in_shell(script: Text) -> BoxedStrategy<Vec<String>> {
    let shell = any_of(vec![
        (8, one("/bin/sh -c")),
        (4, one("/bin/sh -ec % /bin/sh -e -x -c % /bin/bash -eo pipefail -c % /bin/bash -o pipefail -c")),
    ]);
    (shell, script)
        .prop_map(|(shell, script)| shell.split(' ').map(str::to_owned).chain([script]).collect())
        .boxed()
}

fn exec_form() -> BoxedStrategy<Vec<String>> {
    let program = mostly(
        one("pip install % python3 -m pip install % @R@/bin/pip install"),
        "pip list % pip9 install % /nowhere/pip install",
    );
    let word =
        one("alpha % a b % uvicorn[standard] % x>=1 % -r % requirements.txt % none.txt % made % $NAME % ");
    (program, prop::collection::vec(word, 1..4))
        .prop_map(|(program, words)| program.split(' ').map(str::to_owned).chain(words).collect())
        .boxed()
}

fn case(args: BoxedStrategy<Vec<String>>) -> BoxedStrategy<Case> {
    let all: Vec<usize> = (0..FILES.len()).collect();
    let some = subsequence(all, 0..=FILES.len());
    (args, some).prop_map(|(args, files)| Case { args, files }).boxed()
}

/// A RUN with a script, or in exec form.
pub(super) fn any_case() -> BoxedStrategy<Case> {
    case(Union::new_weighted(vec![(20, in_shell(script())), (1, exec_form())]).boxed())
}

/// A RUN that does something before and after its installs.
pub(super) fn in_parts() -> BoxedStrategy<Case> {
    let quiet =
        "echo x % true % : % [ -f requirements.txt ] % test -d d % echo 'a  b' % echo \"$NAME\" % echo x >&2";
    let before = any_of(vec![
        (10, one("mkdir -p @R@/w/x/y % mkdir @R@/w/z % mkdir -p \\\n  @R@/w/x @R@/w/v")),
        (
            10,
            one(
                "python3 -m venv @R@/w/venv % python3 -m venv --clear @R@/w/venv % python -m venv @R@/w/venv",
            ),
        ),
        (
            10,
            one(
                "apt-get update % apt-get install -y --no-install-recommends gcc g++ % virtualenv @R@/w/venv",
            ),
        ),
        (4, one(quiet)),
        (8, one("umask 077 % export A=1 % cd d % set +e")),
        (
            1,
            one(
                "make % mkdir y % apt-get install bash % mkdir $R/w/y % mkdir @R@/w/cwd/d % apt-get update fail \
                 % pip3 list % rm -f none",
            ),
        ),
    ]);
    let install = any_of(vec![
        (6, install()),
        (2, one("@R@/w/venv/bin/pip install alpha % @R@/w/venv/bin/pip install -r more.txt")),
    ]);
    let within =
        any_of(vec![(8, install.clone()), (2, one(quiet)), (1, one("rm -rf none % rm -f more.txt"))]);
    let after = any_of(vec![
        (8, one("playwright install % playwright install --with-deps chromium")),
        (
            8,
            one("python3 -m nltk.downloader punkt % python3 -c 'import alpha' % python -m spacy download en"),
        ),
        (2, one("python -c \"import a, b; a.download('x')\" % python3 -m playwright install")),
        (3, one(quiet)),
        (
            1,
            one(
                "make % rm -rf none % python3 -c 'open(1)' % pip3 list % playwright fail % playwright install fail",
            ),
        ),
    ]);
    let joint = any_of(vec![(60, one(" && ")), (20, one(" \\\n &&  %  && \\\n     %  &&\n % &&"))]);
    let joint = mostly(joint, ";  %  ||  % \n");
    let list = |part: Text, range: Range<usize>| prop::collection::vec(part, range);
    let script = (list(before, 0..3), install, list(within, 0..3), list(after, 0..3), list(joint, 9..10));
    let script = script.prop_map(|(before, install, within, after, joints)| {
        let parts = before.into_iter().chain([install]).chain(within).chain(after);
        let mut joints = joints.into_iter();
        parts.reduce(|script, part| script + &joints.next().unwrap_or_default() + &part).unwrap_or_default()
    });
    case(in_shell(script.boxed()))
}
