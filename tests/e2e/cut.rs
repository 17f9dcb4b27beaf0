//! A step that isn't assembled runs as it is written, and what it left is cut into layers: the image is the one that the
//! step gives plain, and the layers are those of assembled steps.

use crate::pip::{BASE, Both, wheels};
use crate::support::build::{Build, Side};
use crate::support::env::{Env, e2e};
use crate::support::files::Files;
use crate::support::image::Image;
use crate::support::index::Index;
use crate::support::report::Report;
use crate::support::wheel::Wheel;

/// The fleet of wheels, and two that are big enough to be worth it.
fn index() -> Index {
    let big = |name: &str, version: &str| {
        let module =
            (0..8_000).map(|i| format!("def f{i}():\n    return {i}  # {version}\n")).collect::<String>();
        Wheel::simple(name, version)
            .file(&format!("{name}/big.py"), module)
            .file(&format!("{name}/only_{}.py", version.replace('.', "_")), "X = {'a', 'b', 'c'}\n")
            .script(&format!("{name}-tool"), &format!("{name}.big:f0"))
            .make()
    };
    let mut all = wheels();
    all.extend([big("heavy", "1.0"), big("heavy", "2.0"), big("bulky", "1.0")]);
    Index::of(&all)
}

trait Split {
    fn outcomes(&self) -> Vec<Result<Vec<String>, String>>;
    fn shared_with(&self, other: &Image) -> usize;
}

impl Split for Both {
    /// What the steps that install came to: the layers of a split, or the reason or the treatment.
    fn outcomes(&self) -> Vec<Result<Vec<String>, String>> {
        let steps = self.report.as_ref().map(Report::steps).unwrap_or_default();
        steps
            .iter()
            .map(|step| match step["treatment"].as_str().unwrap() {
                "split" => {
                    let shared = step["shared"].as_array().unwrap();
                    Ok(shared.iter().map(|title| title.as_str().unwrap().to_owned()).collect())
                }
                "as_written" => Err(step["reason"].as_str().unwrap().to_owned()),
                treatment => Err(treatment.to_owned()),
            })
            .collect()
    }

    fn shared_with(&self, other: &Image) -> usize {
        let base = self.plain.layers().iter().zip(other.layers()).take_while(|(a, b)| **a == *b).count();
        other.layers()[base..].iter().filter(|layer| self.plinth.layers().contains(layer)).count()
    }
}

/// Builds a service on both sides, and compares.
#[track_caller]
fn build(env: &Env, index: &Index, text: &str, more: &[(&str, &str)]) -> Both {
    let files = Files::dockerfile(&format!("FROM {BASE}\n{text}").replace("@INDEX@", &index.url()));
    for (name, content) in more {
        files.write(name, content);
    }
    Both::of(env, &files)
}

fn both() -> Result<Vec<String>, String> {
    Ok(vec!["bulky 1.0".to_owned(), "heavy 1.0".to_owned()])
}

/// An image whose step is assembled.
fn assembled(env: &Env, index: &Index, text: &str) -> Image {
    let files = Files::dockerfile(&format!("FROM {BASE}\n{text}").replace("@INDEX@", &index.url()));
    Build::new(env, Side::Plinth, files.path()).image()
}

#[test]
fn the_layers_are_those_of_assembled_steps() {
    let env = e2e!();
    let index = index();
    // What is done to a file that an install brought can't be known beforehand.
    let text = "RUN pip install --no-cache-dir -i @INDEX@ heavy==1.0 bulky==1.0 alpha && sed -i 's/x/y/' /usr/local/bin/alpha-tool\n\
        RUN python3 -c 'import heavy.big, bulky.big, alpha' && heavy-tool\n";
    let done = build(env, &index, text, &[]);
    if env.frontend.is_none() {
        return;
    }
    assert_eq!(done.outcomes()[0], both());
    let other = assembled(env, &index, "RUN pip install --no-cache-dir -i @INDEX@ bulky==1.0 heavy==1.0\n");
    assert_eq!(done.shared_with(&other), 2, "{:?}\n{:?}", other.layers(), done.plinth.layers());
    assert_eq!(done.plinth.layers().len(), done.plain.layers().len() + 2);
}

#[test]
fn a_project_with_its_dependencies() {
    let env = e2e!();
    let project = "[project]\nname = \"service\"\nversion = \"1\"\ndependencies = [\"heavy==1.0\", \"bulky\"]\n\
        [build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n";
    // The smallest build backend: one wheel with one module, for installing and for editing.
    let backend = r#"
import base64, hashlib, zipfile
INFO = {"service-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: service\nVersion: 1\nRequires-Dist: heavy==1.0\nRequires-Dist: bulky\n",
        "service-1.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
def make(directory, files):
    files = dict(files, **INFO)
    digest = lambda text: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    record = "".join(f"{n},sha256={digest(t)},{len(t.encode())}\n" for n, t in files.items())
    files["service-1.dist-info/RECORD"] = record + "service-1.dist-info/RECORD,,\n"
    name = "service-1-py3-none-any.whl"
    with zipfile.ZipFile(f"{directory}/{name}", "w") as out:
        for n, t in files.items():
            out.writestr(n, t)
    return name
def build_wheel(directory, config_settings=None, metadata_directory=None):
    return make(directory, {"service.py": "import heavy.big, bulky.big\n"})
def build_editable(directory, config_settings=None, metadata_directory=None):
    return make(directory, {"service.pth": "/app\n"})
"#;
    let index = index();
    for install in [".", "-e ."] {
        let text = format!(
            "WORKDIR /app\nCOPY . .\nRUN pip install --no-cache-dir -i @INDEX@ {install}\nRUN cd / && python3 -c 'import service'\n"
        );
        let more =
            [("pyproject.toml", project), ("backend.py", backend), ("service.py", "import heavy.big\n")];
        let done = build(env, &index, &text, &more);
        if env.frontend.is_some() {
            assert_eq!(done.outcomes()[0], both(), "{install}");
        }
    }
}

#[test]
fn another_user() {
    let env = e2e!();
    let index = index();
    let text = "RUN useradd -m -u 1234 app && install -d -m 0700 -o app -g app /home/app/.local\nUSER app\nWORKDIR /home/app\n\
        RUN pip install --user --no-cache-dir -i @INDEX@ heavy==1.0 bulky==1.0 alpha\n\
        RUN python3 -c 'import heavy.big, bulky.big, alpha' && touch .local/lib/python3.11/site-packages/heavy/mine\n";
    let done = build(env, &index, text, &[]);
    if env.frontend.is_some() {
        assert_eq!(done.outcomes(), [both()]);
    }
}

#[test]
fn an_upgrade_in_a_step_that_is_not_understood() {
    let env = e2e!();
    let index = index();
    let text = "RUN pip install --no-cache-dir -i @INDEX@ heavy==1.0 bulky==1.0\n\
        RUN pip install --no-cache-dir -i @INDEX@ --force-reinstall heavy==2.0 alpha\n\
        RUN python3 -c 'import heavy.only_2_0' && ! python3 -c 'import heavy.only_1_0' 2>/dev/null\n";
    let done = build(env, &index, text, &[]);
    if env.frontend.is_some() {
        let outcomes = done.outcomes();
        assert_eq!(outcomes[..2], [Err("assembled".to_owned()), Ok(vec!["heavy 2.0".to_owned()])]);
    }
}

#[test]
fn the_copies_of_it_take_layers_along() {
    let env = e2e!();
    let index = index();
    let text = "WORKDIR /x\nRUN python3 -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir -i @INDEX@ --force-reinstall heavy==1.0 bulky==1.0\n\
        FROM python:3.11-slim\nCOPY --from=0 /opt/venv /opt/venv\nRUN /opt/venv/bin/python -c 'import heavy.big'\n";
    let done = build(env, &index, text, &[]);
    if env.frontend.is_some() {
        let steps = done.report.as_ref().unwrap().steps();
        let treatments: Vec<&str> = steps.iter().map(|step| step["treatment"].as_str().unwrap()).collect();
        assert_eq!(treatments[..2], ["split", "carried"], "{steps:#?}");
    }
}

#[test]
fn what_is_too_small_or_fails_stays_as_it_is() {
    let env = e2e!();
    let index = index();
    let done = build(env, &index, "RUN pip install --no-cache-dir -i @INDEX@ --force-reinstall alpha\n", &[]);
    if env.frontend.is_none() {
        return;
    }
    let [Err(reason)] = &done.outcomes()[..] else { panic!("{:?}", done.outcomes()) };
    assert!(reason.contains("--force-reinstall"), "{reason}");
    assert_eq!(done.plain.layers(), done.plinth.layers());

    let files = Files::dockerfile(
        &format!(
            "FROM {BASE}\nRUN pip install --no-cache-dir -i @INDEX@ --force-reinstall heavy==1.0 && false\n"
        )
        .replace("@INDEX@", &index.url()),
    );
    let [plain, plinth] = Side::BOTH.map(|side| Build::new(env, side, files.path()).run());
    assert!(plain.code != Some(0) && plain.code == plinth.code);
    assert_eq!(plain.error(), plinth.error());
}

#[test]
fn byte_code_of_an_old_version_is_not_taken_for_the_new() {
    let env = e2e!();
    let wheel = |version: &str| {
        let text = format!("V = {version}\n");
        Wheel::simple("twin", version).file("twin/value.py", text).make()
    };
    let mut all = wheels();
    all.extend([wheel("1.0"), wheel("2.0")]);
    let index = Index::of(&all);
    for flags in ["", "--force-reinstall "] {
        let install =
            |version: &str| format!("RUN pip install --no-cache-dir -i @INDEX@ {flags}twin=={version}\n");
        let import = "RUN PYTHONPYCACHEPREFIX=/pyc python3 -c 'import twin.value; print(twin.value.V)'";
        // Byte code knows its source's time by the second: within one, plain takes the old one for the new itself.
        let text = format!(
            "{}{import} && sleep 2\n{}{import} >/value && rm -r /pyc\n",
            install("1.0"),
            install("2.0")
        );
        let done = build(env, &index, &text, &[]);
        let tree = done.plinth.tree();
        assert_eq!(tree.get("value").and_then(|node| node.text()).as_deref(), Some("2.0\n"), "{flags}");
    }
}

#[test]
fn what_layers_can_not_hold_is_not_split() {
    let env = e2e!();
    let index = index();
    let install = "pip install --no-cache-dir -i @INDEX@ --force-reinstall heavy==1.0 bulky==1.0";
    let attribute = "python3 -c 'import os; os.setxattr(\"/srv\", \"user.a\", b\"x\")'";
    for (before, after, why) in [
        ("true", "touch /usr/local/lib/python3.11/site-packages/heavy/.wh.big.py", "mark deletions"),
        ("true", "chown 5:6 /", "it changes / itself"),
        (attribute, "python3 -c 'import os; os.removexattr(\"/srv\", \"user.a\")'", "extended attributes"),
    ] {
        let text = format!("RUN {before}\nRUN {install} && {after}\n");
        let files = Files::dockerfile(&format!("FROM {BASE}\n{text}").replace("@INDEX@", &index.url()));
        let built = Build::new(env, Side::Plinth, files.path()).layout().run().ok();
        let Some(report) = Report::of_build(&built) else { return };
        let outcomes = report.outcomes();
        assert!(outcomes[0].contains("not split, because") && outcomes[0].contains(why), "{outcomes:?}");
    }
}

#[test]
fn passes_can_be_left_out() {
    let env = e2e!();
    let index = index();
    let text =
        format!("FROM {BASE}\nRUN pip install --no-cache-dir -i {} heavy==1.0 bulky==1.0\n", index.url());
    let files = Files::dockerfile(&text);
    let treatments = |without: &str| {
        let built =
            Build::new(env, Side::Plinth, files.path()).arg("PLINTH_WITHOUT", without).layout().run().ok();
        Report::of_build(&built).map(|report| report.treatments())
    };
    if env.frontend.is_none() {
        return;
    }
    assert_eq!(treatments("split,copies,base").unwrap(), ["assembled"]);
    assert_eq!(treatments("install").unwrap(), ["split"]);
    assert_eq!(treatments("install,split").unwrap(), ["as_written"]);
    let wrong = Build::new(env, Side::Plinth, files.path()).arg("PLINTH_WITHOUT", "pip").run();
    assert!(wrong.error().contains("PLINTH_WITHOUT names \"pip\"; what can be left out is: base, apt,"));
}

#[test]
fn nothing_is_done_again_in_the_next_build() {
    let env = e2e!();
    let index = index();
    let text = format!(
        "FROM {BASE}\nRUN pip install --no-cache-dir -i {} --force-reinstall heavy==1.0 bulky==1.0\n",
        index.url()
    );
    let files = Files::dockerfile(&text);
    let [first, second] = [(), ()].map(|()| Build::new(env, Side::Plinth, files.path()).layout().run().ok());
    if env.frontend.is_none() {
        return;
    }
    assert_eq!(first.digest(), second.digest());
    let ran = second.progress.ran();
    let operations = ran
        .iter()
        .filter(|name| name.contains("packages of") || name.contains("cut") || name.contains("RUN"));
    assert_eq!(operations.count(), 0, "{ran:?}");
}
