//! A patch of the base image: its packages' layers stay as they are, and nothing is unpacked or compiled again.

use crate::grouped::{layer, lock, wheels_with};
use crate::pip::{BASE, before, compare};
use crate::support::build::{Build, Side};
use crate::support::env::e2e;
use crate::support::files::Files;
use crate::support::index::Index;

#[test]
fn a_patched_base_makes_no_package_again() {
    let env = e2e!();
    if env.frontend.is_none() {
        return;
    }
    // No builder has made these before.
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let wheels = wheels_with(&now.to_string());
    let index = Index::of(&wheels);
    let master = |number: u32| format!("{}/patch-test/master:{number}", env.registry);
    let push = |number: u32, dockerfile: &str| {
        let files = Files::dockerfile(dockerfile);
        Build::new(env, Side::Plain, files.path()).push(&master(number)).run().ok().digest()
    };
    let digest = push(1, &format!("FROM {BASE}\nRUN echo 1 >/etc/patch-level\n"));
    push(2, &format!("FROM {}\nRUN echo 2 >/etc/patch-level\n", master(1)));
    let policy = |number: u32, compilers: &str| {
        let text = format!(
            "version = 1\n[[base]]\nname = \"python\"\nimage = \"{}\"\nreplaces = [\"{BASE}\"]\n",
            master(number)
        );
        // In front of the first table.
        let lock = lock(&wheels).replacen("[[package]]", &format!("{compilers}[[package]]"), 1);
        Files::new().with("plinth.toml", text).with("plinth.lock", lock)
    };
    let compilers = format!("compilers = [\"{}@{digest}\"]\n", master(1));
    let install = format!("RUN pip install --no-cache-dir -i {} one two three\n", index.url());
    let files = Files::dockerfile(&format!("FROM {BASE}\n{install}"));
    let build = |policy: &Files| {
        Build::new(env, Side::Plinth, files.path()).context("plinth", policy.path()).layout().run().ok()
    };
    let made = |built: &crate::support::build::Built| {
        built.progress.ran().iter().filter(|name| name.starts_with("[plinth] one 1.0")).count()
    };
    let one = build(&policy(1, &compilers));
    assert_eq!(made(&one), 1, "{:?}", one.progress.ran());
    let two = build(&policy(2, &compilers));
    assert_eq!(made(&two), 0, "{:?}", two.progress.ran());
    let (one, two) = (one.layout().image(), two.layout().image());
    for note in ["plinth: one 1.0, two 1.0", "plinth: three 1.0"] {
        assert!(layer(&one, note).is_some(), "{:?}", one.layer_history());
        assert_eq!(layer(&one, note), layer(&two, note));
    }
    assert_ne!(one.layers(), two.layers());

    // What it comes to is what plain pip makes of the patched base.
    let patched = Files::dockerfile(&format!("FROM {}\n{install}", master(2)));
    let plain = Build::new(env, Side::Plain, patched.path()).layout().run().ok().layout().image();
    compare(env, &plain, &two, &before(env, &patched)).assert_equal();

    // An image that is gone is no reason to stop.
    let gone = format!("compilers = [\"{}/patch-test/gone:1@{digest}\"]\n", env.registry);
    assert_eq!(build(&policy(2, &gone)).layout().image().layers(), two.layers());
}
