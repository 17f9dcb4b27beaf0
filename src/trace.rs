//! What a build spent its time on, read from the progress that `buildctl --progress rawjson` prints.
//!
//! Each line of it is one status message with vertices (what BuildKit calls a step of a build), their logs and
//! so on. Lines that are no JSON are messages of buildctl itself and are kept: that is where errors are.

use std::collections::{BTreeMap, HashMap, VecDeque};

use base64::Engine as _;
use serde::{Deserialize, Serialize};

/// How many of the last log lines are kept for each vertex, and of other lines in all.
const KEPT_LINES: usize = 40;

/// What a vertex does, as far as a measurement of savings cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    /// Debian packages: a RUN with apt or apt-get, and no Python package manager in it.
    Apt,
    /// Python packages: a RUN with pip, uv or poetry, or what plinth does in its place.
    Pip,
    /// One RUN with both.
    AptAndPip,
    /// Writing layers and pushing them.
    Export,
    /// Images that the build starts from, the frontend's among them.
    Pull,
}

/// Seconds by kind of work; `rest` is what no such vertex was active in, so that all of it sums up to the total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Breakdown {
    /// Debian packages.
    pub(crate) apt: f64,
    /// Python packages.
    pub(crate) pip: f64,
    /// Steps with both in one RUN.
    pub(crate) apt_and_pip: f64,
    /// Writing and pushing layers.
    pub(crate) export: f64,
    /// Pulling base images and the frontend.
    pub(crate) pull: f64,
    /// Everything else: sending the context, other RUNs, COPY, waiting.
    pub(crate) rest: f64,
}

/// An interval of seconds since the epoch in which one kind of work was going on.
pub(crate) type Interval = (Work, f64, f64);

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    vertexes: Vec<VertexMessage>,
    #[serde(default)]
    logs: Vec<LogMessage>,
    #[serde(default)]
    warnings: Vec<WarningMessage>,
    #[serde(default)]
    statuses: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct VertexMessage {
    digest: String,
    #[serde(default)]
    name: String,
    started: Option<String>,
    completed: Option<String>,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
struct LogMessage {
    #[serde(default)]
    vertex: String,
    #[serde(default)]
    data: String,
}

#[derive(Deserialize)]
struct WarningMessage {
    #[serde(default)]
    short: String,
}

#[derive(Default)]
struct Vertex {
    name: String,
    /// Each run of it, as (started, completed); a vertex may be started again by a second request of the same build.
    runs: Vec<(f64, f64)>,
    error: String,
    log: VecDeque<String>,
}

/// The progress of one build.
#[derive(Default)]
pub(crate) struct Trace {
    vertices: HashMap<String, Vertex>,
    warnings: Vec<String>,
    other: VecDeque<String>,
    latest: String,
}

impl Trace {
    /// Takes in one line of what buildctl wrote to its standard error.
    pub(crate) fn line(&mut self, line: &str) {
        let status = line.starts_with('{').then(|| serde_json::from_str::<Status>(line).ok()).flatten();
        let Some(status) = status else {
            keep(&mut self.other, line.to_owned());
            return;
        };
        let _ = status.statuses.len();
        for message in status.vertexes {
            let vertex = self.vertices.entry(message.digest).or_default();
            if !message.name.is_empty() {
                vertex.name = message.name;
            }
            if !message.error.is_empty() {
                vertex.error = message.error;
            }
            let started = message.started.as_deref().and_then(seconds);
            let completed = message.completed.as_deref().and_then(seconds);
            match (started, completed) {
                (Some(from), Some(to)) if !vertex.runs.contains(&(from, to)) => vertex.runs.push((from, to)),
                (Some(_), None) => self.latest.clone_from(&vertex.name),
                _ => {}
            }
        }
        for message in status.logs {
            let Ok(data) = base64::engine::general_purpose::STANDARD.decode(&message.data) else { continue };
            let vertex = self.vertices.entry(message.vertex).or_default();
            for line in String::from_utf8_lossy(&data).lines() {
                keep(&mut vertex.log, line.trim_end().to_owned());
            }
        }
        for message in status.warnings {
            if let Ok(short) = base64::engine::general_purpose::STANDARD.decode(&message.short) {
                self.warnings.push(String::from_utf8_lossy(&short).into_owned());
            }
        }
    }

    /// The name of the vertex that started last.
    pub(crate) fn latest(&self) -> &str {
        &self.latest
    }

    /// The titles of the warnings, in the order in which they came.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The intervals in which work of a kind that is told apart went on.
    pub(crate) fn intervals(&self) -> Vec<Interval> {
        let mut intervals: Vec<Interval> = self
            .vertices
            .values()
            .filter_map(|vertex| work(&vertex.name).map(|work| (work, vertex)))
            .flat_map(|(work, vertex)| vertex.runs.iter().map(move |&(from, to)| (work, from, to)))
            .collect();
        intervals.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.2.total_cmp(&b.2)).then(a.0.cmp(&b.0)));
        intervals
    }

    /// Why the build failed: the end of the log of the vertices that failed, then the messages of buildctl.
    pub(crate) fn failure(&self, lines: usize) -> Vec<String> {
        let failed: BTreeMap<&str, &Vertex> = self
            .vertices
            .values()
            .filter(|vertex| !vertex.error.is_empty() && !vertex.log.is_empty())
            .map(|vertex| (vertex.name.as_str(), vertex))
            .collect();
        let mut all = Vec::new();
        for (name, vertex) in failed {
            all.push(format!("> {name}"));
            all.extend(vertex.log.iter().cloned());
        }
        let messages: Vec<String> =
            self.other.iter().filter(|line| !line.trim().is_empty()).cloned().collect();
        // The messages say what failed: they are never the part that is cut.
        let room = lines.saturating_sub(messages.len().min(lines / 2));
        let mut kept = last(all, room);
        kept.extend(last(messages, lines - kept.len()));
        kept
    }
}

fn last(mut lines: Vec<String>, count: usize) -> Vec<String> {
    lines.split_off(lines.len().saturating_sub(count))
}

fn keep(lines: &mut VecDeque<String>, line: String) {
    if lines.len() == KEPT_LINES {
        lines.pop_front();
    }
    lines.push_back(line);
}

/// What a vertex of this name does.
pub(crate) fn work(name: &str) -> Option<Work> {
    if name.starts_with("exporting ") || name.starts_with("pushing ") {
        return Some(Work::Export);
    }
    // `[linux/amd64 builder 2/5] RUN …`, `[2/5] FROM …`
    let instruction =
        name.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map_or(name, |(_, rest)| rest);
    if instruction.starts_with("FROM ")
        || instruction.starts_with("docker-image://")
        || instruction.starts_with("resolve image config for ")
        || instruction.starts_with("load metadata for ")
    {
        return Some(Work::Pull);
    }
    if name == "[plinth] ask apt" {
        return Some(Work::Apt);
    }
    if name.starts_with("[plinth") || instruction.contains(".whl") {
        return Some(Work::Pip);
    }
    let command = instruction.strip_prefix("RUN ")?;
    let (mut apt, mut pip) = (false, false);
    for word in command.split(|c: char| c.is_whitespace() || ";&|()\"'`[],".contains(c)) {
        match word.rsplit('/').next().unwrap_or(word) {
            "apt" | "apt-get" => apt = true,
            "uv" | "poetry" | "pipenv" => pip = true,
            word if word
                .strip_prefix("pip")
                .is_some_and(|v| v.bytes().all(|b| b.is_ascii_digit() || b == b'.')) =>
            {
                pip = true;
            }
            _ => {}
        }
    }
    match (apt, pip) {
        (true, false) => Some(Work::Apt),
        (false, true) => Some(Work::Pip),
        (true, true) => Some(Work::AptAndPip),
        (false, false) => None,
    }
}

/// Spreads `total` seconds over the kinds of work. Where several kinds go on at once, each gets an equal part of
/// that time, so that nothing is counted twice.
pub(crate) fn breakdown(intervals: &[Interval], total: f64) -> Breakdown {
    let mut edges: Vec<f64> = intervals.iter().flat_map(|&(_, from, to)| [from, to]).collect();
    edges.sort_by(f64::total_cmp);
    edges.dedup();
    let mut sum = Breakdown::default();
    let mut busy = 0.0;
    for pair in edges.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let mut active: Vec<Work> =
            intervals.iter().filter(|i| i.1 <= from && i.2 >= to).map(|i| i.0).collect();
        active.sort();
        active.dedup();
        if active.is_empty() {
            continue;
        }
        busy += to - from;
        let part = (to - from) / active.len() as f64;
        for work in active {
            match work {
                Work::Apt => sum.apt += part,
                Work::Pip => sum.pip += part,
                Work::AptAndPip => sum.apt_and_pip += part,
                Work::Export => sum.export += part,
                Work::Pull => sum.pull += part,
            }
        }
    }
    sum.rest = (total - busy).max(0.0);
    sum
}

/// Seconds since the epoch of an RFC 3339 time.
fn seconds(time: &str) -> Option<f64> {
    let (date, rest) = time.split_once('T')?;
    let mut date = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let split = rest.find(['Z', '+', '-'])?;
    let (clock, zone) = rest.split_at(split);
    let mut clock = clock.splitn(3, ':');
    let (hour, minute) = (clock.next()?.parse::<i64>().ok()?, clock.next()?.parse::<i64>().ok()?);
    let second: f64 = clock.next()?.parse().ok()?;
    let offset = if zone == "Z" {
        0
    } else {
        let (hours, minutes) = zone[1..].split_once(':')?;
        let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
        if zone.starts_with('-') { -minutes } else { minutes }
    };
    // Days since 1970-01-01 in the proleptic Gregorian calendar, with years that begin in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day
        - 1
        - 719_468;
    Some((days * 86_400 + hour * 3_600 + (minute - offset) * 60) as f64 + second)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0.0));
        assert_eq!(seconds("2026-02-28T23:59:59.5Z"), Some(1_772_323_199.5));
        assert_eq!(seconds("2026-03-01T01:59:59.5+02:00"), Some(1_772_323_199.5));
        assert_eq!(seconds("2000-02-29T12:00:00-01:00"), Some(951_829_200.0));
        assert_eq!(seconds("yesterday"), None);
    }

    #[test]
    fn kinds_of_work_by_name() {
        let kinds = [
            ("[2/5] RUN apt-get update && apt-get install -y curl", Some(Work::Apt)),
            ("[linux/amd64 builder 3/5] RUN pip install --no-cache-dir -r requirements.txt", Some(Work::Pip)),
            ("[3/5] RUN /venv/bin/pip3.11 install x", Some(Work::Pip)),
            ("[3/5] RUN [\"python\", \"-m\", \"pip\", \"install\", \"x\"]", Some(Work::Pip)),
            ("[3/5] RUN apt-get update; pip install x", Some(Work::AptAndPip)),
            ("[4/5] RUN useradd pipeline", None),
            ("[5/5] COPY . .", None),
            ("[1/5] FROM docker.io/library/python:3.11-slim@sha256:00", Some(Work::Pull)),
            ("[internal] load metadata for docker.io/library/python:3.11-slim", Some(Work::Pull)),
            ("resolve image config for docker-image://127.0.0.1:5051/plinth:dev", Some(Work::Pull)),
            ("[internal] load build context", None),
            ("exporting to image", Some(Work::Export)),
            ("https://index.example/packages/x-1.0-py3-none-any.whl", Some(Work::Pip)),
            ("[plinth] x 1.0", Some(Work::Pip)),
            ("[plinth] resolve", Some(Work::Pip)),
            ("[plinth] ask apt", Some(Work::Apt)),
            ("[plinth] fetch x-1.0-py3-none-any.whl", Some(Work::Pip)),
            ("[plinth] record", Some(Work::Pip)),
            ("[plinth] warm up the interpreter", Some(Work::Pip)),
            ("[plinth] FROM python-3.11 on 127.0.0.1:5051/bases/python-master:3.11", Some(Work::Pull)),
            ("[plinth] load metadata for 127.0.0.1:5051/bases/python-master:3.11", Some(Work::Pull)),
        ];
        for (name, expected) in kinds {
            assert_eq!(work(name), expected, "{name}");
        }
    }

    fn vertex(name: &str, from: &str, to: &str) -> String {
        format!(
            r#"{{"vertexes":[{{"digest":"sha256:{name}","name":"{name}","started":"2026-01-01T00:00:{from}Z","completed":"2026-01-01T00:00:{to}Z"}}]}}"#
        )
    }

    #[test]
    fn overlapping_work_is_never_counted_twice() {
        let mut trace = Trace::default();
        trace.line(&vertex("[2/3] RUN apt-get install x", "01", "05"));
        trace.line(&vertex("[b 2/3] RUN pip install x", "03", "07"));
        trace.line(&vertex("exporting to image", "08", "09.5"));
        // The same message again, as a second request of the same build sends it.
        trace.line(&vertex("exporting to image", "08", "09.5"));
        let sum = breakdown(&trace.intervals(), 10.0);
        assert_eq!(sum, Breakdown { apt: 3.0, pip: 3.0, export: 1.5, rest: 2.5, ..Breakdown::default() });
    }

    #[test]
    fn a_failure_shows_the_log_of_what_failed_and_the_message() {
        let mut trace = Trace::default();
        trace.line(r#"{"vertexes":[{"digest":"sha256:a","name":"[2/2] RUN false"}]}"#);
        trace.line(r#"{"logs":[{"vertex":"sha256:a","stream":2,"data":"b25lCnR3bwo=","timestamp":"2026-01-01T00:00:00Z"}]}"#);
        trace.line(r#"{"logs":[{"vertex":"sha256:b","stream":2,"data":"ZmluZQo=","timestamp":"2026-01-01T00:00:00Z"}]}"#);
        trace.line(r#"{"vertexes":[{"digest":"sha256:a","name":"[2/2] RUN false","error":"exit code: 1"}]}"#);
        trace.line("error: failed to solve: exit code: 1");
        assert_eq!(
            trace.failure(10),
            ["> [2/2] RUN false", "one", "two", "error: failed to solve: exit code: 1"]
        );
        assert_eq!(trace.failure(2), ["two", "error: failed to solve: exit code: 1"]);
    }

    #[test]
    fn warnings_are_kept() {
        let mut trace = Trace::default();
        trace.line(r#"{"warnings":[{"vertex":"sha256:a","level":1,"short":"a2VwdA=="}]}"#);
        assert_eq!(trace.warnings(), ["kept"]);
    }
}
