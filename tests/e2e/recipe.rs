//! The base image that `plinth plan` writes a recipe for: it is built with a real apt, and on it the apt steps of the
//! fleet have nothing to do.

use std::process::Command;

use crate::pip::{BASE, wheels};
use crate::support::build::{Build, Side};
use crate::support::env::e2e;
use crate::support::files::Files;
use crate::support::index::Index;
use crate::support::report::Report;

#[test]
fn the_recipe_of_a_base_takes_apt_steps_out() {
    let env = e2e!();
    if env.frontend.is_none() {
        return;
    }
    let index = Index::of(&wheels());
    let service = |apt: &str| {
        let apt = match apt {
            "" => String::new(),
            apt => format!("RUN apt-get update && apt-get install -y {apt} && rm -rf /var/lib/apt/lists/*\n"),
        };
        format!("FROM {BASE}\n{apt}RUN pip install --no-cache-dir -i {} gamma\n", index.url())
    };
    let files = Files::new()
        .with("services/one/Dockerfile", service("less tree"))
        .with("services/two/Dockerfile", service("tree"))
        .with("services/three/Dockerfile", service("less ed"))
        .with("services/four/Dockerfile", service(""))
        .with("platform/README", "");
    let plan = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plinth"));
        command.current_dir(files.path()).args(["plan", "services", "-o", "platform"]).args(more);
        command.args(["--index-url", &index.url()]).env("UV_CACHE_DIR", files.join("cache"));
        command.env("PLINTH_UV", std::env::var("PLINTH_UV").unwrap()).output().unwrap()
    };
    let output = plan(&[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let said = format!(
        "bases/python-3.11: less (2), tree (2) on {BASE}; of 3 services that install something with apt, 2 need nothing else"
    );
    assert!(text.contains(&said), "{text}");
    let recipe = files.join("platform/bases/python-3.11");
    let dockerfile = std::fs::read_to_string(recipe.join("Dockerfile")).unwrap();
    // `ed` is installed by one only.
    assert!(!dockerfile.contains("ed \\"), "{dockerfile}");
    assert_eq!(plan(&["--check"]).status.code(), Some(0));
    std::fs::write(recipe.join("Dockerfile"), "FROM scratch\n").unwrap();
    assert_eq!(plan(&["--check"]).status.code(), Some(1));
    assert_eq!(plan(&[]).status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(recipe.join("Dockerfile")).unwrap(), dockerfile);

    // What this plan has no use for goes, if an earlier plan wrote it.
    let old = files.join("platform/bases/python-3.9");
    std::fs::create_dir(&old).unwrap();
    std::fs::write(old.join("Dockerfile"), &dockerfile).unwrap();
    assert_eq!(plan(&["--check"]).status.code(), Some(1));
    assert_eq!(plan(&[]).status.code(), Some(0));
    assert!(!old.exists());

    let master = format!("{}/recipe-test/python:3.11", env.registry);
    Build::new(env, Side::Plain, &recipe).push(&master).run().ok();
    let policy =
        format!("version = 1\n[[base]]\nname = \"python\"\nimage = \"{master}\"\nreplaces = [\"{BASE}\"]\n");
    std::fs::write(files.join("platform/plinth.toml"), policy).unwrap();
    let built = |name: &str| {
        let context = files.join(&format!("services/{name}"));
        let built = Build::new(env, Side::Plinth, &context).context("plinth", &files.join("platform"));
        Report::of_build(&built.layout().run().ok()).unwrap().treatments()
    };
    assert_eq!(built("one"), ["satisfied", "assembled"]);
    assert_eq!(built("two"), ["satisfied", "assembled"]);
    // It wants something else too.
    assert_eq!(built("three"), ["as_written", "assembled"]);
}
