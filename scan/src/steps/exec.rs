//! The operation that BuildKit's Dockerfile frontend would make of a RUN, as far as a look at it needs.

use std::path::PathBuf;

use parse_dockerfile::{Flag, RunInstruction};
use plinth_proto::pb;

use super::absolute;
use crate::dockerfile::{Run, script};
use crate::image::Image;

/// The operation of a RUN in a stage. The environment is what the Dockerfile sets; what its base sets isn't known.
pub(super) fn of(run: &RunInstruction<'_>, image: &Image, escape: char) -> pb::ExecOp {
    let args = match script(run, escape) {
        Run::Exec(args) => args,
        Run::Shell(text) => {
            let shell = if image.shell.is_empty() {
                vec!["/bin/sh".to_owned(), "-c".to_owned()]
            } else {
                image.shell.clone()
            };
            shell.into_iter().chain([text]).collect()
        }
    };
    let meta = pb::Meta {
        args,
        env: image.env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        cwd: absolute(&image.workdir).display().to_string(),
        user: image.user.clone(),
        ..Default::default()
    };
    let root = pb::Mount { dest: "/".to_owned(), ..Default::default() };
    let mut exec = pb::ExecOp { meta: Some(meta), mounts: vec![root], ..Default::default() };
    for flag in &run.options {
        add(&mut exec, flag);
    }
    exec
}

fn add(exec: &mut pb::ExecOp, flag: &Flag<'_>) {
    let value = flag.value.as_ref().map(|value| value.value.as_ref()).unwrap_or_default();
    match flag.name.value.as_ref() {
        "mount" => exec.mounts.push(mount(value, exec)),
        "security" if value == "insecure" => exec.security = pb::SecurityMode::Insecure as i32,
        "network" if value == "host" => exec.network = pb::NetMode::Host as i32,
        "network" if value == "none" => exec.network = pb::NetMode::None as i32,
        _ => {}
    }
}

/// Where a RUN has mounts, and which path of the build context is there; none where it is something else.
pub(super) fn mounted(run: &RunInstruction<'_>, image: &Image) -> Vec<(PathBuf, Option<String>)> {
    let mut all = vec![(PathBuf::from("/run/secrets"), None)];
    for flag in run.options.iter().filter(|flag| flag.name.value == "mount") {
        let text = flag.value.as_ref().map(|value| value.value.as_ref()).unwrap_or_default();
        let bind = field(text, &["type"]).is_none_or(|kind| kind == "bind");
        let own = bind && field(text, &["from"]).is_none();
        let source = field(text, &["source", "src"]).unwrap_or_default();
        let dest =
            field(text, &["target", "dst", "destination"]).unwrap_or_else(|| "/run/secrets".to_owned());
        let dest = absolute(&image.resolve(&dest));
        all.push((dest, own.then_some(source)));
    }
    all
}

/// A field of a mount.
fn field(text: &str, names: &[&str]) -> Option<String> {
    let mut fields = text.split(',').filter_map(|field| field.split_once('='));
    fields.find(|(name, _)| names.contains(name)).map(|(_, value)| value.to_owned())
}

/// `type=cache,target=/root/.cache/pip,…`. Without a type it is a bind mount, which is read-only unless it says so.
fn mount(text: &str, exec: &pb::ExecOp) -> pb::Mount {
    let field = |names: &[&str]| field(text, names);
    let mount_type = match field(&["type"]).as_deref() {
        Some("cache") => pb::MountType::Cache,
        Some("secret") => pb::MountType::Secret,
        Some("ssh") => pb::MountType::Ssh,
        Some("tmpfs") => pb::MountType::Tmpfs,
        _ => pb::MountType::Bind,
    };
    let dest = field(&["target", "dst", "destination"]).unwrap_or_else(|| "/run".to_owned());
    let cwd = exec.meta.as_ref().map(|meta| meta.cwd.clone()).unwrap_or_default();
    let dest = std::path::Path::new(&cwd).join(dest).display().to_string();
    let writable =
        text.split(',').any(|field| matches!(field, "rw" | "readwrite" | "rw=true" | "readwrite=true"));
    let bind = mount_type == pb::MountType::Bind;
    pb::Mount {
        dest,
        input: -1,
        output: -1,
        readonly: bind && !writable,
        mount_type: mount_type as i32,
        ..Default::default()
    }
}
