//! Whole trees: what builds has no error, what doesn't has the right one, and what is hostile ends.
#![allow(clippy::unwrap_used)]

use std::fs;

use plinth_scan::{Fleet, Foreseen, Kind, Options, Severity, scan};

/// Scans a tree of these files.
fn of(files: &[(&str, &str)]) -> Fleet {
    let tree = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = tree.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    scan(&[tree.path().to_owned()], &Options::default()).unwrap()
}

fn errors(fleet: &Fleet) -> Vec<String> {
    let errors = fleet.findings.iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(ToString::to_string).collect()
}

/// A service with a requirement file, and an `app` directory that has one too.
fn service(body: &str) -> Fleet {
    let dockerfile = format!("FROM python:3.11-slim\n{body}\n");
    of(&[
        ("Dockerfile", &dockerfile),
        ("requirements.txt", "flask>=2\n"),
        ("app/requirements.txt", "django\n"),
        ("app/main.py", ""),
    ])
}

#[test]
fn what_builds_has_no_error() {
    for body in [
        "COPY requirements.txt /tmp\nRUN pip install -r /tmp/requirements.txt",
        "RUN mkdir -p /deps\nCOPY requirements.txt /deps\nRUN pip install -r /deps/requirements.txt",
        "RUN --mount=type=bind,source=requirements.txt,target=/tmp/r.txt pip install -r /tmp/r.txt",
        "WORKDIR /x\nRUN --mount=type=bind,target=. pip install -r requirements.txt",
        "RUN --mount=type=secret,id=r pip install -r /run/secrets/r",
        "RUN cat <<EOF >/r.txt\nflask\nEOF\nRUN pip install -r /r.txt",
        "RUN python3 - <<'EOF'\nfrom x import y\nEOF",
        "COPY . /src\nRUN cp -r /src/. /app/ && cd /app && pip install -r requirements.txt",
        "RUN [\"git\", \"clone\", \"https://example.com/x\", \"/x\"]\nRUN pip install -r /x/r.txt",
        "RUN echo flask | tee /r.txt && pip install -r /r.txt",
        "COPY app /app\nRUN pip install -r /app/req*.txt",
        "COPY app /app\nRUN for f in /app/requirements.txt; do pip install -r $f; done",
        "RUN for p in a b; do pip install $p; done",
        "COPY app /app\nRUN D=/app && pip install -r $D/requirements.txt",
        "COPY app /app\nRUN if [ \"$X\" = 1 ]; then pip install -r /dev.txt; else pip install -r /app/requirements.txt; fi",
        "ARG E\nCOPY cfg-${E}.yml /\nRUN pip install -r requirements-${E}.txt",
        "COPY <<requirements.txt /app/\nflask\nrequirements.txt\nRUN pip install -r /app/requirements.txt",
        "COPY --parents app/requirements.txt /x/\nRUN pip install -r /x/app/requirements.txt",
        "RUN pip install -r /dev/stdin < requirements.txt",
    ] {
        let fleet = service(body);
        assert_eq!(errors(&fleet), Vec::<String>::new(), "{body}");
        assert!(fleet.services[0].readable, "{body}");
    }
    let base = "FROM tiangolo/uvicorn-gunicorn-fastapi\nCOPY requirements.txt .\nRUN pip install -r /app/requirements.txt\n";
    assert_eq!(errors(&of(&[("Dockerfile", base), ("requirements.txt", "a\n")])), Vec::<String>::new());
}

#[test]
fn requirements_are_found_where_they_are() {
    for (body, wanted) in [
        ("COPY requirements.txt /tmp\nRUN pip install -r /tmp/requirements.txt", "flask>=2"),
        ("RUN --mount=type=bind,source=app,target=/m pip install -r /m/requirements.txt", "django"),
        ("WORKDIR /srv\nCOPY . .\nRUN cd app && pip install -r requirements.txt", "django"),
        ("ENV D=/opt\nCOPY app $D/x\nRUN pip install -r $D/x/requirements.txt", "django"),
        ("COPY --from=alpine /x /none\nCOPY requirements.txt r.txt\nRUN pip install -r r.txt", "flask>=2"),
    ] {
        let fleet = service(body);
        let texts: Vec<&str> = fleet.services[0].requirements.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(texts, [wanted], "{body}");
        assert_eq!(fleet.services[0].steps[0].foreseen, Foreseen::Assembled, "{body}");
    }
}

#[test]
fn what_does_not_build_is_told() {
    for (body, kind, line) in [
        ("COPY none.txt /", Kind::CopyMissing, 2),
        ("RUN pip install -r requirements.txt", Kind::RequirementsMissing, 2),
        ("RUN pip install flask>=2", Kind::ShellRedirect, 2),
        ("COPY --from=b /x /\nFROM python:3.11 AS b\nCOPY --from=0 /y /\nFROM b", Kind::StageCycle, 2),
        ("RUM true", Kind::DockerfileUnreadable, 2),
    ] {
        let fleet = service(body);
        let found: Vec<(Kind, Option<usize>)> = fleet
            .findings
            .iter()
            .filter(|f| f.severity == Severity::Error)
            .map(|f| (f.kind, f.line))
            .collect();
        assert!(found.contains(&(kind, Some(line))), "{body}: {:?}", fleet.findings);
    }
}

#[test]
fn no_credentials_are_shown() {
    let fleet = service("RUN pip install --index-url https://user:secret@h.example/simple flask");
    assert!(!format!("{fleet:?}").contains("secret"), "{fleet:?}");
}

#[test]
fn compose_overrides_and_bases_of_bake_are_no_errors() {
    let fleet = of(&[
        ("compose.yaml", "services: {api: {build: ./api}}\n"),
        ("docker-compose.override.yml", "services: {api: {build: {target: dev}}}\n"),
        ("docker-compose.ci.yml", "services: {api: {build: {context: \"${CTX}\"}}}\n"),
        (
            "docker-bake.hcl",
            "target \"_common\" { args = { V = \"1\" } }\ntarget \"api\" {\n  inherits = [\"_common\"]\n  context = \"api\"\n}\ntarget \"each\" {\n  matrix = { item = [\"a\"] }\n  name = item\n  context = \"./${item}\"\n}\n",
        ),
        ("api/Dockerfile", "FROM python:3.11-slim\nARG V\n"),
    ]);
    assert_eq!(errors(&fleet), Vec::<String>::new());
    let names: Vec<&str> = fleet.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn hostile_files_end() {
    let doubling: String = (1..40).map(|n| format!("ARG A{n}=$A{0}$A{0}\n", n - 1)).collect();
    let doubled = format!("ARG A0=xxxxxxxxxx\n{doubling}FROM python:3.11\n");
    let mut files: Vec<(String, String)> = vec![
        ("double/Dockerfile".into(), doubled),
        ("deep/Dockerfile".into(), format!("FROM a\nRUN echo {}\n", "$(".repeat(50_000))),
        ("word/Dockerfile".into(), format!("ARG X={}\nFROM a\n", "${A:-".repeat(100_000))),
        (
            "docker-bake.hcl".into(),
            "target \"a\" { inherits = [\"a\", \"b\", \"b\", \"b\"] }\ntarget \"b\" { inherits = [\"a\", \"a\", \"a\"] }\n".into(),
        ),
        ("many/Dockerfile".into(), "FROM python:3.11\nCOPY . /\nRUN pip install -r /r0\n".into()),
    ];
    for number in 0..16 {
        files.push((format!("many/r{number}"), format!("-r r{}\n", number + 1).repeat(20)));
    }
    files.push(("many/r16".into(), "flask\n".into()));
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let fleet = of(&files);
    assert!(
        fleet.findings.iter().any(|finding| finding.kind == Kind::RequirementsUnreadable),
        "{:?}",
        fleet.findings
    );
}
