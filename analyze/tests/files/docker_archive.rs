//! What `docker save` wrote before it wrote layouts.

use super::{Entry, digest, layers, look, problem, tar};

fn config(architecture: &str, layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers.iter().map(|layer| digest(layer)).collect();
    let config = serde_json::json!({
        "os": "linux", "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": layers.iter().map(|_| serde_json::json!({"created_by": "COPY"})).collect::<Vec<_>>(),
    });
    config.to_string().into_bytes()
}

fn manifest(value: serde_json::Value) -> Entry {
    Entry::File(value.to_string().into_bytes())
}

/// Random enough that no two are alike, and no tar: nothing here looks into layers.
const ONE: &[u8] = &[1; 3000];
const TWO: &[u8] = &[2; 5000];

#[test]
fn layers_that_are_links() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.tar");
    tar(
        &file,
        vec![
            ("a/layer.tar", Entry::File(ONE.to_vec())),
            ("b/layer.tar", Entry::Symlink("../a/layer.tar")),
            ("./c.tar", Entry::File(TWO.to_vec())),
            ("d/layer.tar", Entry::Hardlink("c.tar")),
            ("1.json", Entry::File(config("amd64", &[ONE, TWO]))),
            ("2.json", Entry::File(config("arm64", &[ONE, TWO]))),
            (
                "manifest.json",
                manifest(serde_json::json!([
                    {"Config": "1.json", "RepoTags": ["app:1", "app:latest"], "Layers": ["a/layer.tar", "c.tar"]},
                    {"Config": "2.json", "RepoTags": null, "Layers": ["b/layer.tar", "d/layer.tar"]},
                ])),
            ),
        ],
    );
    let path = file.display();
    let (found, sources) = look(&file.display().to_string());
    assert_eq!(found.problems, []);
    let names: Vec<_> =
        found.images.iter().map(|image| (image.name.clone(), image.platform.as_str())).collect();
    let expected = [
        (format!("docker-archive:{path}:app:1"), "linux/amd64"),
        (format!("docker-archive:{path}:app:latest"), "linux/amd64"),
        (format!("docker-archive:{path}"), "linux/arm64"),
    ];
    assert_eq!(names, expected);
    assert_eq!(layers(&found, &sources), [ONE, TWO, ONE, TWO, ONE, TWO]);
    assert_eq!(found.images[0].layers[1].created_by.as_deref(), Some("COPY"));
    // By the names as they are told.
    let (found, _) = look(&format!("docker-archive:{path}:app:latest"));
    assert_eq!((found.images.len(), found.problems.len()), (1, 0));
    let (found, _) = look(&format!("docker-archive:{path}:nope"));
    assert_eq!(problem(&found), format!("`{path}` has no `nope`; it has app:1, app:latest"));
}

#[test]
fn a_layer_that_is_missing_and_one_that_is_compressed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.tar");
    let compressed = [&[0x1f, 0x8b][..], TWO].concat();
    let list = serde_json::json!([
        {"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["gone.tar", "two.tar.gz", "loop"]},
    ]);
    tar(
        &file,
        vec![
            ("two.tar.gz", Entry::File(compressed.clone())),
            ("loop", Entry::Symlink("loop")),
            ("c.json", Entry::File(config("amd64", &[ONE, TWO, ONE]))),
            ("manifest.json", manifest(list)),
        ],
    );
    let (found, sources) = look(&file.display().to_string());
    let reasons: Vec<_> = found.problems.iter().map(|one| one.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "its layer 1 of 3 is left out: gone.tar isn't in the archive",
            "its layer 3 of 3 is left out: loop is a link that leads nowhere"
        ]
    );
    assert_eq!(layers(&found, &sources), [compressed], "by the digest of what is stored");
    assert_eq!(found.images[0].layers[0].diff_id.unwrap().to_string(), digest(TWO));
}

#[test]
fn archives_that_cant_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let of = |bytes: &[u8]| {
        let file = dir.path().join("x.tar.gz");
        std::fs::write(&file, bytes).unwrap();
        problem(&look(&file.display().to_string()).0).replace(&file.display().to_string(), "FILE")
    };
    assert_eq!(
        of(&[0x1f, 0x8b, 8, 0]),
        "`FILE` is compressed with gzip, so that its parts can't be read one by one; unpack it first: gunzip -k FILE"
    );
    assert!(of(&[0x28, 0xb5, 0x2f, 0xfd]).ends_with("unpack it first: unzstd FILE"));
    assert_eq!(of(&[7; 2000]), "`FILE` is no tar");
    // What a file has in it isn't for a terminal.
    let mut odd = tar::Header::new_gnu();
    odd.set_path("a").unwrap();
    odd.as_mut_bytes()[124..136].copy_from_slice(b"\x1b]0;pwned!\x07\0");
    odd.set_cksum();
    let mut bytes = vec![0; 512];
    let mut plain = tar::Header::new_gnu();
    plain.set_path("b").unwrap();
    plain.set_size(0);
    plain.set_cksum();
    bytes.copy_from_slice(plain.as_bytes());
    bytes.extend_from_slice(odd.as_bytes());
    let reason = of(&bytes);
    assert!(reason.starts_with("`FILE` is broken as a tar: "), "{reason}");
    assert!(!reason.contains(char::is_control), "{reason:?}");
    let neither =
        "`FILE` is neither an OCI layout nor a docker-archive: it has neither index.json nor manifest.json";
    assert_eq!(of(b""), neither);
    let file = dir.path().join("cut.tar");
    tar(&file, vec![("a", Entry::File(vec![1; 100_000]))]);
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(of(&bytes[..50_000]), "`FILE` ends in the middle of a: it is not all there");
    tar(&file, vec![("manifest.json", Entry::File(b"{}".to_vec()))]);
    assert!(of(&std::fs::read(&file).unwrap()).starts_with("manifest.json of `FILE` can't be read: "));
}

#[test]
fn a_directory_of_skopeo() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = r#"{"schemaVersion":2,"config":{},"layers":[]}"#;
    std::fs::write(dir.path().join("manifest.json"), manifest).unwrap();
    let path = dir.path().display().to_string();
    let expected = "`DIR` is in skopeo's dir: format; `skopeo copy dir:DIR oci:OUT` makes a layout of it";
    assert_eq!(problem(&look(&path).0).replace(&path, "DIR"), expected);
}

#[test]
fn a_directory_isnt_left() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("secret"), "{}").unwrap();
    let inner = dir.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let list = serde_json::json!([{"Config": "../secret", "RepoTags": ["a:1"], "Layers": []}]);
    std::fs::write(inner.join("manifest.json"), list.to_string()).unwrap();
    let (found, _) = look(&inner.display().to_string());
    assert_eq!(problem(&found), "cannot read ../secret: its path leads out of the directory");
}
