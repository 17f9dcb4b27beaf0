#![allow(clippy::unwrap_used)]
use super::*;

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn kept(image: &str, line: u32, reason: &str) -> BaseEntry {
    BaseEntry {
        stage: None,
        image: image.into(),
        line: Some(line),
        action: BaseAction::Kept { reason: reason.into() },
    }
}

fn example() -> Report {
    let platform = Platform {
        platform: "linux/amd64".into(),
        bases: vec![
            BaseEntry {
                stage: Some("builder".into()),
                image: "python:3.11-slim".into(),
                line: Some(2),
                action: BaseAction::Substituted {
                    by: "python-3.12".into(),
                    by_image: "registry.example.com/bases/python-master:3.12".into(),
                    digest: DIGEST.into(),
                },
            },
            kept(
                "postgres:16",
                14,
                "PostgreSQL is a database: its server, data directory and upgrade path belong to its own image",
            ),
        ],
        steps: vec![
            StepEntry::new(
                Some("builder".into()),
                Some(5),
                "pip install --no-cache-dir\n  -i https://me:pw@index.example.com/simple -r requirements.txt",
                Treatment::Assembled {
                    distributions: 24,
                    layers: 4,
                    shared: vec!["numpy 1.26.4".into(), "fastapi 0.115.6".into()],
                    tail: 22,
                    outputs: vec!["/app/=0.30".into()],
                    locked: false,
                    outside_lock: None,
                    runs: vec![],
                },
            ),
            StepEntry::new(
                None,
                Some(9),
                "pip install fastapi >log",
                Treatment::AsWritten {
                    reason: "the shell redirects output to the file `log` (an unquoted `>`)".into(),
                },
            ),
        ],
    };
    let mut other = platform.clone();
    other.platform = "linux/386".into();
    Report { schema_version: 1, plinth: "0.1.0".into(), platforms: vec![platform, other] }
}

#[test]
fn text() {
    let wanted = "\
plinth 0.1.0: base images: 2 replaced, 2 kept; install steps: 2 assembled, 2 as written

linux/amd64, linux/386
  base images
    line 2   replaced  python:3.11-slim (stage builder)
                       by python-3.12: registry.example.com/bases/python-master:3.12
                       sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    line 14  kept      postgres:16
                       PostgreSQL is a database: its server, data directory and upgrade path belong
                       to its own image
  install steps
    line 5  assembled   pip install --no-cache-dir -i <url> -r requirements.txt (stage builder)
                        24 distributions in 4 layers, 22 of them together in the tail layer
                        own layers: numpy 1.26.4, fastapi 0.115.6
                        the shell reads `>=0.30` as a redirection: no version is asked for
    line 9  as written  pip install fastapi >log
                        the shell redirects output to the file `log` (an unquoted `>`)
";
    assert_eq!(render(&example()), wanted);
}

#[test]
fn markdown() {
    let wanted = "\
**plinth 0.1.0**: base images: 2 replaced, 2 kept; install steps: 2 assembled, 2 as written

### linux/amd64, linux/386

| Line | Base image | Decision | Details |
| ---: | --- | --- | --- |
| 2 | `python:3.11-slim` (stage builder) | replaced | by python-3.12: registry.example.com/bases/python-master:3.12<br>\
sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa |
| 14 | `postgres:16` | kept | PostgreSQL is a database: its server, data directory and upgrade path belong to its own image |

| Line | Install step | Decision | Details |
| ---: | --- | --- | --- |
| 5 | `pip install --no-cache-dir -i <url> -r requirements.txt` (stage builder) | assembled | 24 distributions in 4 layers, \
22 of them together in the tail layer<br>own layers: numpy 1.26.4, fastapi 0.115.6<br>the shell reads `>=0.30` as a redirection: no version is asked for |
| 9 | `pip install fastapi >log` | as written | the shell redirects output to the file `log` (an unquoted `>`) |
";
    assert_eq!(render_markdown(&example()), wanted);
}

#[test]
fn markdown_takes_other_peoples_text_literally() {
    let mut report = Report { plinth: "0".into(), ..Report::new() };
    let step = StepEntry::new(
        None,
        None,
        "a | `b` ``",
        Treatment::AsWritten { reason: "x `a|b` <i> *y* ` z".into() },
    );
    report.platforms.push(Platform { platform: "p".into(), bases: vec![], steps: vec![step] });
    assert_eq!(
        render_markdown(&report).lines().last().unwrap(),
        "|  | ``` a \\| `b` `` ``` | as written | x `a\\|b` &lt;i&gt; \\*y\\* \\` z |"
    );
}

#[test]
fn label_is_one_text_for_one_set_of_decisions() {
    let report = example();
    let mut shuffled = report.clone();
    shuffled.platforms.reverse();
    for platform in &mut shuffled.platforms {
        platform.bases.reverse();
        platform.steps.reverse();
        let again = platform.bases[0].clone();
        platform.bases.push(again);
        let Treatment::Assembled { shared, .. } = &mut platform.steps[1].treatment else {
            panic!("not assembled")
        };
        shared.reverse();
    }
    assert_eq!(report.to_label(), shuffled.to_label());
    let platform = r#"{"platform":"linux/386","bases":[{"stage":"builder","image":"python:3.11-slim","line":2,"action":"substituted","by":"python-3.12","by_image":"registry.example.com/bases/python-master:3.12","digest":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},{"image":"postgres:16","line":14,"action":"kept","reason":"PostgreSQL is a database: its server, data directory and upgrade path belong to its own image"}],"steps":[{"stage":"builder","line":5,"command":"pip install --no-cache-dir -i <url> -r requirements.txt","treatment":"assembled","distributions":24,"layers":4,"shared":["fastapi 0.115.6","numpy 1.26.4"],"tail":22,"outputs":["/app/=0.30"]},{"line":9,"command":"pip install fastapi >log","treatment":"as_written","reason":"the shell redirects output to the file `log` (an unquoted `>`)"}]}"#;
    let other = platform.replace("linux/386", "linux/amd64");
    let wanted = format!(r#"{{"schema_version":1,"plinth":"0.1.0","platforms":[{platform},{other}]}}"#);
    assert_eq!(report.to_label(), wanted);
    let read = Report::from_label(&wanted).unwrap();
    assert_eq!(read.to_label(), wanted);
    assert_eq!(read.summary(), report.summary());
}

#[test]
fn nothing_secret_reaches_the_label() {
    let mut report = Report::new();
    let leak = "curl https://me:hunter2@h/x".to_owned();
    report.platforms.push(Platform {
        platform: "linux/amd64".into(),
        bases: vec![kept("x:1", 1, &leak)],
        // Not through `StepEntry::new`.
        steps: vec![StepEntry {
            stage: None,
            line: None,
            command: leak.clone(),
            treatment: Treatment::AsWritten { reason: leak },
        }],
    });
    assert_eq!(report.to_label().matches("curl <url>").count(), 3);
    assert!(!report.to_label().contains("hunter2"));
}

#[test]
fn labels_that_are_no_reports() {
    assert_eq!(
        Report::from_label(r#"{"schema_version":2}"#).unwrap_err().to_string(),
        "the label dev.plinth.report has version 2 of the report, and this release reads version 1; use the plinth \
         release that built the image, or a later one"
    );
    let error = Report::from_label("x").unwrap_err().to_string();
    assert_eq!(
        error,
        "the label dev.plinth.report isn't a plinth report: expected value at line 1 column 1; was the image changed \
         after it was built?"
    );
}

#[test]
fn long_and_hostile_text_stays_in_its_lines() {
    let command = format!("pip install {} \u{1b}[31mred\u{202e} {}", "a".repeat(150), "b ".repeat(200));
    let step = StepEntry::new(None, Some(1), &command, Treatment::AsWritten { reason: "r".repeat(120) });
    assert_eq!(step.command.chars().count(), 299);
    let mut report = Report { plinth: "0".into(), ..Report::new() };
    report.platforms.push(Platform { platform: "linux/amd64".into(), bases: vec![], steps: vec![step] });
    let text = render(&report);
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    assert!(text.contains("\u{fffd}[31mred\u{fffd} b b"), "{text}");
}

#[test]
fn styles_get_each_piece_with_its_role() {
    struct Marks;
    impl Style for Marks {
        fn paint(&self, role: Role, text: &str) -> String {
            format!("<{role:?}:{text}>")
        }
    }
    let mut report = Report { plinth: "0".into(), ..Report::new() };
    report.platforms.push(Platform {
        platform: "p".into(),
        bases: vec![kept("x:1", 1, "why")],
        steps: vec![],
    });
    let wanted = "\
<Detail:plinth 0: base images: 1 kept>

<Heading:p>
  <Heading:base images>
    <Place:line 1  ><Kept:kept>  <Subject:x:1>
                  <Detail:why>
";
    assert_eq!(render_with(&report, &Marks), wanted);
}

#[test]
fn an_empty_report_says_so() {
    let report = Report { plinth: "0".into(), ..Report::new() };
    assert_eq!(render(&report), "plinth 0: there was nothing to decide\n");
    assert!(!report.rewritten());
    assert!(example().rewritten());
}
