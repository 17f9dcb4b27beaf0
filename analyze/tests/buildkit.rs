//! Against a real BuildKit and a real registry: what `buildctl` exports is found, and every byte of it can be read.
//!
//! Runs where BUILDKIT_HOST and PLINTH_REGISTRY are set (`hack/up`); elsewhere there is nothing to run against.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use plinth_analyze::cache::CacheKind;
use plinth_analyze::image::Found;
use plinth_analyze::source::{Blobs as _, Options, Sources, Spec, find};
use sha2::Digest as _;

const DOCKERFILE: &str = "\
FROM docker.io/library/python:3.11-slim AS other
RUN mkdir /d && echo one > /d/one
FROM docker.io/library/python:3.11-slim
RUN echo two > /two
COPY --link --from=other /d /d
ENV A=b
LABEL team=analysis
RUN echo three > /three
";

/// The registry, if there is one.
fn registry() -> Option<String> {
    std::env::var_os("BUILDKIT_HOST")?;
    std::env::var("PLINTH_REGISTRY").ok()
}

fn build(context: &Path, more: &[String]) {
    let local = |name: &str| format!("{name}={}", context.display());
    let mut command = Command::new("buildctl");
    command.args(["build", "--frontend", "dockerfile.v0"]);
    command.args(["--local", &local("context"), "--local", &local("dockerfile")]).args(more);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Everything that a source has, without problems; each layer has been read and is what its digest says.
fn whole(spec: &str) -> Found {
    let (found, sources) = find(&[Spec::parse(spec).unwrap()], &Options::default(), &());
    assert_eq!(found.problems, [], "{spec}");
    read_all(&found, &sources);
    found
}

fn read_all(found: &Found, sources: &Sources) {
    let images = found.images.iter().flat_map(|image| image.layers.iter().map(|layer| &layer.blob));
    let caches = found.caches.iter().flat_map(|cache| cache.layers.iter().map(|layer| &layer.blob));
    let blobs: BTreeMap<_, _> = images.chain(caches).map(|blob| (blob.digest, blob)).collect();
    for (digest, blob) in blobs {
        let mut hash = sha2::Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        let mut reader = sources.open(blob).unwrap();
        let mut size = 0;
        loop {
            match reader.read(&mut buffer).unwrap() {
                0 => break,
                n => {
                    hash.update(&buffer[..n]);
                    size += n as u64;
                }
            }
        }
        assert_eq!((digest.0, blob.size), (<[u8; 32]>::from(hash.finalize()), size));
    }
}

#[test]
fn what_buildkit_exports() {
    let Some(registry) = registry() else { return };
    let dir = tempfile::tempdir().unwrap();
    let context = dir.path().join("context");
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("Dockerfile"), DOCKERFILE).unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let text = |text: &str| text.to_owned();
    let export = |what: &str| vec![text("--export-cache"), text(what)];
    let output = |what: &str| vec![text("--output"), text(what)];
    let name = format!("{registry}/analyze-test/e2e");

    for (tag, form) in [("index", "image-manifest=false"), ("manifest", "image-manifest=true")] {
        let reference = format!("{name}:{tag}");
        build(&context, &export(&format!("type=registry,ref={reference},mode=max,{form}")));
        let found = whole(&reference);
        assert_eq!((found.images.len(), found.caches.len(), found.others.len()), (0, 1, 0), "{tag}");
        let cache = &found.caches[0];
        assert_eq!((cache.kind, cache.own.len(), &cache.name), (CacheKind::Manifest, 2, &reference));
        assert!(cache.layers.len() >= 6 && cache.layers.iter().all(|layer| layer.diff_id.is_some()));
        assert!(cache.records.iter().any(|record| !record.results.is_empty()));
    }

    build(&context, &export(&format!("type=local,dest={},mode=max", at("local"))));
    let local = whole(&format!("oci:{}", at("local")));
    assert_eq!((local.images.len(), local.caches.len()), (0, 1));

    let image = format!("type=image,name={name}:image,push=true");
    build(&context, &[export("type=inline"), output(&image)].concat());
    let pushed = whole(&format!("{name}:image"));
    assert_eq!((pushed.images.len(), pushed.caches.len()), (1, 1));
    let inline = &pushed.caches[0];
    assert_eq!((inline.kind, inline.own.len()), (CacheKind::Inline, 0));
    assert_eq!(inline.layers.len(), pushed.images[0].layers.len());
    assert!(inline.records.iter().any(|record| !record.chains.is_empty()), "of COPY --link");
    let image = &pushed.images[0];
    assert_eq!(image.labels["team"], "analysis");
    assert!(image.layers.last().unwrap().created_by.as_ref().unwrap().contains("echo three"));

    build(&context, &output(&format!("type=oci,dest={}", at("oci.tar"))));
    build(&context, &output(&format!("type=oci,dest={},tar=false", at("oci"))));
    build(&context, &output(&format!("type=docker,dest={},name=analyze/app:1", at("docker.tar"))));
    let attested = [
        output(&format!("type=oci,dest={}", at("attested.tar"))),
        vec![text("--opt"), text("attest:provenance=mode=min")],
    ];
    build(&context, &attested.concat());
    for name in ["oci.tar", "oci", "docker.tar", "attested.tar"] {
        let found = whole(&at(name));
        assert_eq!((found.images.len(), found.caches.len()), (1, 0), "{name}");
        // The same layers, whoever has them; the config has no inline cache here.
        assert_eq!(found.images[0].layers, image.layers, "{name}");
        let kinds: Vec<_> = found.others.iter().map(|other| other.kind.as_str()).collect();
        let expected: &[&str] = if name == "attested.tar" { &["index", "attestation-manifest"] } else { &[] };
        assert_eq!(kinds, expected, "{name}");
        if name == "docker.tar" {
            assert!(found.images[0].name.ends_with("docker.tar:docker.io/analyze/app:1"));
            whole(&format!("docker-archive:{}:analyze/app:1", at(name)));
        }
    }

    // All of it at once, by the catalog.
    let found = whole(&format!("{registry}/analyze-test/e2*"));
    assert_eq!((found.images.len(), found.caches.len()), (1, 3));
}
