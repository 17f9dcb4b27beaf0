//! Byte code: how many processes make it shows nowhere, and what Python rejects has none.
#![allow(clippy::unwrap_used)]

mod wheels;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use plinth_layers::install::compile::{Job, compile};
use wheels::{interpreter, output, python};

/// Jobs for sources, each in a directory of its own below `base`.
fn jobs(base: &Path, sources: &[Vec<u8>]) -> Vec<Job> {
    let job = |(i, text): (usize, &Vec<u8>)| {
        let directory = base.join(i.to_string());
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("m.py"), text).unwrap();
        Job {
            source: directory.join("m.py"),
            size: text.len() as u64,
            shown: format!("/lib/{i:03}/m.py"),
            target: directory.join("__pycache__/m.pyc"),
        }
    };
    sources.iter().enumerate().map(job).collect()
}

/// Compiles in a new directory, whose sources are as old as those of every other call.
fn byte_code(sources: &[Vec<u8>], at_once: usize) -> Vec<Option<Vec<u8>>> {
    let temp = tempfile::tempdir().unwrap();
    let (interpreter, _) = interpreter(Path::new(&python()));
    let mut jobs = jobs(temp.path(), sources);
    for job in &jobs {
        let time = plinth_layers::tree::fs::mtime();
        fs::File::options().write(true).open(&job.source).unwrap().set_modified(time).unwrap();
    }
    // The order of the list is not the order of compilation.
    jobs.reverse();
    let mut done = compile(&interpreter, &jobs, at_once).unwrap();
    done.reverse();
    jobs.reverse();
    let read = |(job, done): (&Job, bool)| {
        assert_eq!(job.target.parent().unwrap().exists(), done, "{job:?}");
        done.then(|| fs::read(&job.target).unwrap())
    };
    jobs.iter().zip(done).map(read).collect()
}

#[test]
fn the_number_of_processes_does_not_show() {
    // Names that the files share, and enough of a comment to need several processes.
    let source = |i: usize| {
        let mut text = format!(
            "def f{i}(alpha, beta):\n    return alpha in {{'x', 'y', None}} or beta.gamma{}\n# ",
            i % 2
        );
        text.push_str(&"x".repeat(3600 << 10));
        text.push('\n');
        text.into_bytes()
    };
    let sources: Vec<Vec<u8>> = (0..9).map(source).collect();
    let one = byte_code(&sources, 1);
    assert!(one.iter().all(Option::is_some));
    assert_eq!(byte_code(&sources, 2), one);
    assert_eq!(byte_code(&sources, 64), one);
}

#[test]
fn the_header_names_time_and_size_of_the_source() {
    let made = byte_code(&[b"x = 1\n".to_vec()], 1);
    let header = &made[0].as_ref().unwrap()[4..16];
    let time = u32::try_from(plinth_layers::tree::MTIME).unwrap().to_le_bytes();
    assert_eq!(header, [[0; 4], time, 6_u32.to_le_bytes()].concat());
}

/// The same sources as for `compileall`, which pip uses.
#[test]
fn what_compileall_rejects_has_no_byte_code() {
    let sources: Vec<Vec<u8>> = [
        "x = 1\n",
        "x = (\n",
        "x = '\\d' if 1 is 1 else 2\n",
        "x\0y\n",
        "# coding: none-such\n",
        "# coding: latin-1\nx = '\u{e9}'\n",
        "def f():\n\treturn 1\n        return 2\n",
        "return\n",
        "",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([
        b"\xff\n".to_vec(),
        b"\xef\xbb\xbfx = 1\n".to_vec(),
        format!("{}1\n", "-".repeat(200_000)).into_bytes(),
        format!("{}{}\n", "(".repeat(2000), ")".repeat(2000)).into_bytes(),
        format!("a{}\n", "+a".repeat(100_000)).into_bytes(),
    ])
    .collect();
    let ours: Vec<bool> = byte_code(&sources, 2).iter().map(Option::is_some).collect();
    let temp = tempfile::tempdir().unwrap();
    let program = "import compileall, sys, warnings\n\
                   warnings.filterwarnings('ignore')\n\
                   for path in sys.argv[1:]:\n    \
                       done = compileall.compile_file(path, force=True, quiet=2)\n    \
                       print('compiled' if done else 'rejected')";
    let paths: Vec<PathBuf> = jobs(temp.path(), &sources).into_iter().map(|job| job.source).collect();
    let theirs = output(Command::new(python()).args(["-c", program]).args(&paths));
    let theirs: Vec<bool> = theirs.lines().map(|line| line == "compiled").collect();
    assert_eq!(ours, theirs);
    assert!(ours.contains(&true) && ours.contains(&false));
}
