//! Manifests that aren't what they should be. The rest is read all the same.

use crate::images::{INDEX, MANIFEST, Store, descriptor, digest};
use crate::server::{Reply, Server};
use crate::{look, options, problem};

fn serve(store: Store) -> Server {
    Server::start(move |request| store.answer(request))
}

#[test]
fn another_digest_than_was_asked_for() {
    let mut store = Store::new();
    let (child, _) = store.image(b"one");
    let (_, index) = store.index(std::slice::from_ref(&child));
    store.tag("2", INDEX, index);
    let asked = child["digest"].as_str().unwrap().to_owned();
    let other = store.manifests["1"].clone();
    store.manifests.insert(asked.clone(), other.clone());
    let server = serve(store);
    let (found, _) = look(&options(), &[&format!("{}/team/app:2", server.host)]);
    let problem = problem(&found);
    let expected = format!("{} sends {} for team/app@{asked}", server.host, digest(&other.1));
    assert!(problem.ends_with(&expected), "{problem}");
}

#[test]
fn a_tag_whose_digest_is_a_lie() {
    let store = Store::new();
    let wrong = digest(b"else");
    let said = wrong.clone();
    let server = Server::start(move |request| {
        let mut reply = store.answer(request);
        reply.headers.retain(|(name, _)| name != "Docker-Content-Digest");
        reply.header("Docker-Content-Digest", &said)
    });
    let (found, _) = look(&options(), &[&format!("{}/team/app:1", server.host)]);
    let problem = problem(&found);
    assert!(problem.contains(&format!("says that team/app:1 is {wrong}, but sends sha256:")), "{problem}");
}

#[test]
fn indexes_that_loop() {
    // It can only say that it is its own child: then it is another one than was asked for.
    let mut store = Store::default();
    let fake = digest(b"loop");
    let child = serde_json::json!({"mediaType": INDEX, "digest": fake, "size": 7});
    let (_, index) = store.index(&[child]);
    store.tag("1", INDEX, index.clone());
    store.manifests.insert(fake, (INDEX.into(), index));
    let server = serve(store);
    let (found, _) = look(&options(), &[&format!("{}/team/app:1", server.host)]);
    assert!(problem(&found).contains("sends sha256:"));
    assert_eq!(server.asked("GET", "/manifests/"), 2);
}

#[test]
fn indexes_within_indexes() {
    let mut store = Store::new();
    let (mut child, _) = store.image(b"one");
    let mut bytes = Vec::new();
    for _ in 0..12 {
        (child, bytes) = store.index(&[child.clone(), child]);
    }
    store.tag("2", INDEX, bytes);
    let server = serve(store);
    let (found, _) = look(&options(), &[&format!("{}/team/app:2", server.host)]);
    let problem = problem(&found);
    assert!(problem.ends_with("9 indexes within indexes; none is looked into further"), "{problem}");
}

#[test]
fn too_many_children() {
    let mut store = Store::new();
    let children: Vec<_> = (0..1200u32).map(|n| descriptor("application/x", &n.to_le_bytes())).collect();
    let (_, index) = store.index(&children);
    store.tag("2", INDEX, index);
    let server = serve(store);
    let (found, _) = look(&options(), &[&format!("{}/team/app:2", server.host)]);
    let problem = problem(&found);
    assert!(problem.ends_with("more than 1000 manifests; the rest isn't read"), "{problem}");
}

#[test]
fn too_large() {
    let store = Store::new();
    let server = Server::start(move |request| {
        if request.path.contains("/manifests/") {
            return Reply { chunked: true, ..Reply::ok(vec![b' '; (16 << 20) + 1]) };
        }
        store.answer(request)
    });
    let (found, _) = look(&options(), &[&format!("{}/team/app:1", server.host)]);
    let problem = problem(&found);
    assert!(problem.ends_with("answers with more than 16 MiB (team/app:1)"), "{problem}");
}

#[test]
fn a_tag_that_isnt_there() {
    let mut store = Store::new();
    let manifest = store.manifests["1"].1.clone();
    for tag in ["3.11", "3.12", "latest"] {
        store.tag(tag, MANIFEST, manifest.clone());
    }
    let server = serve(store);
    let (found, _) = look(&options(), &[&format!("{}/team/app:3.13", server.host)]);
    let problem = problem(&found);
    assert!(problem.ends_with("has no team/app:3.13; tags there are: 3.11, 3.12, 1, latest"), "{problem}");
    assert_eq!(server.asked("GET", "/tags/list"), 1);
}

#[test]
fn one_bad_tag_of_several() {
    let mut store = Store::new();
    store.tag("broken", MANIFEST, b"{".to_vec());
    store.tag("old", MANIFEST, br#"{"schemaVersion":1,"fsLayers":[]}"#.to_vec());
    let children: Vec<_> = [b"a", b"b"].iter().map(|bytes| descriptor(MANIFEST, *bytes)).collect();
    let (_, sparse) = store.index(&children);
    store.tag("sparse", INDEX, sparse);
    let server = serve(store);
    let (found, _) = look(&options(), &[&format!("{}/team/app", server.host)]);
    assert_eq!(found.images.len(), 1);
    let reasons: Vec<_> = found.problems.iter().map(|one| one.reason.as_str()).collect();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(reasons[0].starts_with("it is no JSON"), "{reasons:?}");
    assert!(reasons[1].starts_with("it is of Docker's schema 1"), "{reasons:?}");
    assert!(
        reasons[2].starts_with("2 of the 2 manifests aren't there, the first for sha256:"),
        "{reasons:?}"
    );
}

#[test]
fn a_config_that_cant_be_read() {
    let mut store = Store::new();
    let gone = store.blobs.iter().find(|(_, bytes)| bytes.starts_with(b"{")).unwrap().0.clone();
    store.blobs.remove(&gone);
    let server = serve(store);
    let (found, _) = look(&options(), &[&format!("{}/team/app:1", server.host)]);
    assert_eq!(found.images[0].layers.len(), 1, "its layers are stored all the same");
    assert!(problem(&found).contains("has no team/app@sha256:"));
}

#[test]
fn one_platform_of_an_index() {
    let mut store = Store::new();
    let mut children: Vec<_> = [b"a", b"b"].iter().map(|layer| store.image(*layer).0).collect();
    children[0]["platform"] = serde_json::json!({"os": "linux", "architecture": "amd64"});
    children[1]["platform"] = serde_json::json!({"os": "linux", "architecture": "arm64"});
    let (mut about, _) = store.image(b"c");
    about["annotations"] = serde_json::json!({
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": children[1]["digest"],
    });
    about["platform"] = serde_json::json!({"os": "unknown", "architecture": "unknown"});
    children.push(about);
    let (_, index) = store.index(&children);
    store.tag("2", INDEX, index);
    let server = serve(store);
    let spec = format!("{}/team/app:2", server.host);
    let (found, _) = look(&options(), &[&spec]);
    let platforms: Vec<_> = found.images.iter().map(|image| image.platform.as_str()).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    let kinds: Vec<_> = found.others.iter().map(|other| (other.kind.as_str(), other.blobs.len())).collect();
    assert_eq!(kinds, [("index", 1), ("attestation-manifest", 3)]);
    let mut options = options();
    options.platform = Some("linux/amd64".parse().unwrap());
    let (found, _) = look(&options, &[&spec]);
    assert_eq!((found.images.len(), found.others.len(), found.problems.len()), (1, 1, 0));
    options.platform = Some("linux/s390x".parse().unwrap());
    let (found, _) = look(&options, &[&spec]);
    assert!(problem(&found).ends_with("it has no image for linux/s390x, but for linux/amd64, linux/arm64"));
}

#[test]
fn layers_that_the_registry_doesnt_store() {
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let layer = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    let config = serde_json::json!({
        "os": "windows", "architecture": "amd64",
        "rootfs": {"diff_ids": [digest(b"base diff"), digest(b"own diff")]},
        "history": [{"created_by": "Apply"}, {"created_by": "ENV", "empty_layer": true}, {"created_by": "COPY"}],
    });
    let config = config.to_string().into_bytes();
    let mut base = descriptor(foreign, b"base");
    base["urls"] = serde_json::json!(["https://example.com/base"]);
    let manifest = serde_json::json!({
        "config": descriptor("application/vnd.docker.container.image.v1+json", &config),
        "layers": [base, descriptor(layer, b"own")],
    });
    let mut store = Store::default();
    store.blobs.insert(digest(&config), config);
    store.tag("1", MANIFEST, manifest.to_string().into_bytes());
    let server = serve(store);
    let (found, _) = look(&options(), &[&format!("{}/team/app:1", server.host)]);
    assert_eq!(found.problems, []);
    let [own] = &found.images[0].layers[..] else { panic!("{:?}", found.images) };
    assert_eq!(own.blob.digest.to_string(), digest(b"own"));
    assert_eq!(own.diff_id.unwrap().to_string(), digest(b"own diff"));
    assert_eq!(own.created_by.as_deref(), Some("COPY"));
}

#[test]
fn what_is_no_image() {
    let mut store = Store::default();
    let image_config = "application/vnd.oci.image.config.v1+json";
    let empty = descriptor("application/vnd.oci.empty.v1+json", b"{}");
    let blob = |media_type: &str| descriptor(media_type, b"blob");
    for (tag, manifest) in [
        (
            "chart",
            serde_json::json!({"config": descriptor("application/vnd.cncf.helm.config.v1+json", b"{}"),
            "layers": [blob("application/vnd.cncf.helm.chart.content.v1.tar+gzip")]}),
        ),
        (
            "sbom",
            serde_json::json!({"artifactType": "application/spdx+json", "config": empty, "layers": [empty, blob("x/y")]}),
        ),
        (
            "signature",
            serde_json::json!({"config": descriptor(image_config, b"{}"),
            "layers": [blob("application/vnd.dev.cosign.simplesigning.v1+json")]}),
        ),
        ("strange", serde_json::json!({"mediaType": "application/x-strange", "blobs": [blob("x/y")]})),
    ] {
        store.tag(tag, "application/json", manifest.to_string().into_bytes());
    }
    let server = serve(store);
    let (found, _) = look(&options(), &[&format!("{}/team/app", server.host)]);
    assert_eq!((found.images.len(), found.problems.len()), (0, 0), "{:?}", found.problems);
    let kinds: Vec<_> = found.others.iter().map(|other| (other.kind.as_str(), other.blobs.len())).collect();
    let expected = [
        ("application/vnd.cncf.helm.config.v1+json", 3),
        ("application/spdx+json", 3),
        ("application/vnd.dev.cosign.simplesigning.v1+json", 3),
        ("application/x-strange", 2),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(server.asked("GET", "/blobs/"), 0, "nothing of it is read");
}

#[test]
fn a_config_of_another_size_than_the_manifest_says() {
    let mut store = Store::new();
    let (_, manifest) = store.manifests["1"].clone();
    let mut manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    manifest["config"]["size"] = 5_000_000_000u64.into();
    store.tag("1", MANIFEST, manifest.to_string().into_bytes());
    let server = serve(store);
    let (found, _) = look(&options(), &[&format!("{}/team/app:1", server.host)]);
    assert!(problem(&found).ends_with("its descriptor says 5000000000"));
}
