//! OCI image layouts.

use std::path::Path;

use plinth_analyze::source::{Options, Spec, find};

use super::{Entry, digest, layers, look, problem, tar};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const LAYER: &[u8] = &[3; 4000];

/// The files of a layout with one image for each name, all of one layer.
fn files(names: &[Option<&str>]) -> Vec<(String, Vec<u8>)> {
    let mut files = vec![("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec())];
    let mut add = |bytes: &[u8]| {
        files.push((format!("blobs/sha256/{}", &digest(bytes)[7..]), bytes.to_vec()));
        serde_json::json!({"digest": digest(bytes), "size": bytes.len()})
    };
    let mut layer = add(LAYER);
    layer["mediaType"] = "application/vnd.oci.image.layer.v1.tar".into();
    let mut entries = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let config = serde_json::json!({
            "os": "linux", "architecture": "amd64", "config": {"Labels": {"n": n.to_string()}},
            "rootfs": {"type": "layers", "diff_ids": [digest(LAYER)]},
        });
        let config = add(config.to_string().as_bytes());
        let manifest = serde_json::json!({"schemaVersion": 2, "config": config, "layers": [layer]});
        let mut entry = add(manifest.to_string().as_bytes());
        entry["mediaType"] = MANIFEST.into();
        if let Some(name) = name {
            entry["annotations"] = serde_json::json!({
                "io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rsplit(':').next(),
            });
        }
        entries.push(entry);
    }
    let index = serde_json::json!({"schemaVersion": 2, "manifests": entries});
    files.push(("index.json".into(), index.to_string().into_bytes()));
    files
}

fn write(dir: &Path, files: &[(String, Vec<u8>)]) {
    for (name, bytes) in files {
        let file = dir.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
}

const NAMES: &[Option<&str>] = &[Some("docker.io/library/app:1"), Some("docker.io/team/app:2"), None];

#[test]
fn as_a_directory_and_as_a_tar() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(NAMES);
    write(&dir.path().join("d"), &files);
    let entries = files.iter().map(|(name, bytes)| (name.as_str(), Entry::File(bytes.clone())));
    // As Docker writes it today: with a list of the old form, too.
    let old = [("manifest.json", Entry::File(b"[]".to_vec()))];
    tar(&dir.path().join("t"), entries.chain(old).collect());
    for prefix in ["oci:", "", "oci-archive:", "docker-archive:"] {
        for path in ["d", "t"] {
            let path = dir.path().join(path).display().to_string();
            let (found, sources) = look(&format!("{prefix}{path}"));
            assert_eq!(found.problems, [], "{prefix}{path}");
            let names: Vec<_> = found.images.iter().map(|image| image.name.replace(&path, "PATH")).collect();
            let unnamed = format!("oci:PATH@{}", found.images[2].manifest.digest);
            assert_eq!(
                names,
                ["oci:PATH:docker.io/library/app:1", "oci:PATH:docker.io/team/app:2", &unnamed]
            );
            assert_eq!(layers(&found, &sources), [LAYER; 3]);
        }
    }
}

#[test]
fn one_file_under_several_names() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("d"), &files(NAMES));
    std::os::unix::fs::symlink("d", dir.path().join("link")).unwrap();
    let root = dir.path().display();
    let specs = [
        format!("oci:{root}/d:team/app:2"),
        format!("{root}/d"),
        format!("oci:{root}/./d/../d"),
        format!("{root}/link:1"),
        format!("{root}/link"),
    ];
    let specs: Vec<_> = specs.iter().map(|spec| Spec::parse(spec).unwrap()).collect();
    let (found, sources) = find(&specs, &Options::default(), &());
    assert_eq!(found.problems, []);
    assert_eq!(found.images.len(), NAMES.len(), "{:?}", found.images);
    assert!(found.images.iter().all(|image| image.place == format!("{root}/d")));
    assert_eq!(layers(&found, &sources), [LAYER; 3]);
}

#[test]
fn one_of_several() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &files(NAMES));
    let path = dir.path().display();
    let unnamed = look(&format!("oci:{path}")).0.images[2].name.clone();
    let labels = |spec: &str| {
        let (found, _) = look(spec);
        assert_eq!(found.problems, [], "{spec}");
        found.images.iter().map(|image| image.labels["n"].clone()).collect::<Vec<_>>()
    };
    for (name, expected) in [
        ("docker.io/library/app:1", "0"),
        ("app:1", "0"),
        ("1", "0"),
        ("docker.io/library/*:*", "0"),
        ("team/app:2", "1"),
    ] {
        assert_eq!(labels(&format!("oci:{path}:{name}")), [expected], "{name}");
    }
    assert_eq!(labels(&unnamed), ["2"]);
    let (found, _) = look(&format!("oci:{path}:nope"));
    let expected = format!("`{path}` has no `nope`; it has docker.io/library/app:1, docker.io/team/app:2");
    assert_eq!(problem(&found), expected);
}

#[test]
fn blobs_that_are_missing_or_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(&[Some("a:1"), Some("a:2")]);
    write(dir.path(), &files);
    let of =
        |part: &str| files.iter().find(|(_, bytes)| String::from_utf8_lossy(bytes).contains(part)).unwrap();
    // The first manifest isn't there; the second image's config has other bytes of the same size.
    std::fs::remove_file(dir.path().join(&of("schemaVersion").0)).unwrap();
    let (name, bytes) = of("\"n\":\"1\"");
    std::fs::write(dir.path().join(name), vec![b' '; bytes.len()]).unwrap();
    let (found, _) = look(&format!("oci:{}", dir.path().display()));
    let reasons: Vec<_> = found.problems.iter().map(|one| one.reason.as_str()).collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(found.problems[0].what.contains("a:1 (sha256:"), "{:?}", found.problems);
    assert!(reasons[0] == "it isn't there", "{reasons:?}");
    assert!(reasons[1].starts_with("its bytes are those of sha256:"), "{reasons:?}");
    assert_eq!(found.images.len(), 1);
    // A layer of another size than its descriptor says.
    std::fs::write(dir.path().join(format!("blobs/sha256/{}", &digest(LAYER)[7..])), [3; 3999]).unwrap();
    let (found, sources) = look(&format!("oci:{}", dir.path().display()));
    use plinth_analyze::source::Blobs as _;
    let error = sources.open(&found.images[0].layers[0].blob).err().unwrap().to_string();
    assert_eq!(error, "it has 3999 bytes, its descriptor says 4000");
}

#[test]
fn nothing_in_it() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("index.json"), r#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
    assert_eq!(problem(&look(&format!("oci:{}", dir.path().display())).0), "there is nothing in it");
    std::fs::write(dir.path().join("index.json"), "{}").unwrap();
    let reason = problem(&look(&format!("oci:{}", dir.path().display())).0);
    assert!(reason.ends_with("it has no list of manifests"), "{reason}");
    let empty = tempfile::tempdir().unwrap();
    let reason = problem(&look(&format!("oci:{}", empty.path().display())).0);
    assert!(reason.ends_with("is no OCI layout: it has no index.json"), "{reason}");
}
