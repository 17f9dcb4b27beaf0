//! The comparison as tables for people.

use super::figures::{Comparison, Master, Pair, PhaseRow, Total};
use super::gates::{Gate, saved, saved_bytes};
use crate::decisions::Counts;
use crate::table::{cells, table, text};

/// The longest service name shown in full.
const NAME: usize = 21;

/// The whole report.
pub(crate) fn render(comparison: &Comparison) -> String {
    let mut parts = Vec::new();
    if !comparison.services.is_empty() {
        parts.push(services(comparison));
        parts.push(work(comparison));
    }
    if comparison.phases.len() > 1 {
        parts.push(phases(&comparison.phases));
    }
    if !comparison.without.is_empty() {
        parts.push(without(comparison));
    }
    if let Some(overhead) = &comparison.overhead {
        parts.push(format!(
            "All-cached build, median: plain {:.3} s, plinth {:.3} s, difference {:+.3} s",
            overhead.plain_seconds, overhead.plinth_seconds, overhead.difference_seconds
        ));
    }
    if let Some(master) = &comparison.master {
        parts.push(self::master(master, &comparison.total.plain));
    }
    if !comparison.services.is_empty() {
        parts.push(comparison.gates.iter().map(gate).collect::<Vec<_>>().join("\n"));
    }
    for failure in &comparison.failures {
        let what = format!("FAILED {} ({}, {})", failure.service, failure.side.name(), failure.phase.name());
        let log = failure.log.iter().map(|line| format!("    {line}"));
        parts.push(std::iter::once(what).chain(log).collect::<Vec<_>>().join("\n"));
    }
    if !comparison.notes.is_empty() {
        parts
            .push(comparison.notes.iter().map(|note| format!("note: {note}")).collect::<Vec<_>>().join("\n"));
    }
    let mut text = parts.join("\n\n");
    text.push('\n');
    text
}

fn services(comparison: &Comparison) -> String {
    let mut table = table(&["service", "size MB", "left MB", "shared MB", "layers", "seconds", "done"]);
    for row in &comparison.services {
        let (plain, plinth) = (&row.sides.plain, &row.sides.plinth);
        table.add_row(cells([
            shortened(&row.name),
            arrow(mb(plain.bytes), mb(plinth.bytes)),
            arrow(mb(plain.leftover_bytes), mb(plinth.leftover_bytes)),
            arrow(mb(plain.shared_bytes), mb(plinth.shared_bytes)),
            arrow(plain.layers, plinth.layers),
            arrow(seconds(plain.seconds), seconds(plinth.seconds)),
            row.steps.as_ref().map_or_else(|| String::from("-"), ToString::to_string),
        ]));
    }
    let (plain, plinth) = (&comparison.total.plain, &comparison.total.plinth);
    table.add_row(cells([
        format!("{} services, unique", comparison.services.len()),
        arrow(mb(plain.unique_bytes), mb(plinth.unique_bytes)),
        arrow(mb(plain.leftover_bytes), mb(plinth.leftover_bytes)),
        arrow(mb(plain.shared_bytes), mb(plinth.shared_bytes)),
        arrow(plain.layers, plinth.layers),
        arrow(seconds(plain.seconds), seconds(plinth.seconds)),
        String::new(),
    ]));
    format!(
        "Cold build, plain → through plinth, {} at once. Size: compressed bytes, in the total each blob once.\n\
         Left: of these, what pip left behind by chance (byte code, download cache); never counted as saved.\n\
         Done: b base replaced, a step assembled, s split, r removed, w run as written, c copy of layers.\n\n{}\n\n{}\n{}",
        comparison.jobs,
        text(table),
        stored("plain ", plain),
        stored("plinth", plinth),
    )
}

fn stored(side: &str, total: &Total) -> String {
    let (all, left) = (mb(total.unique_bytes), mb(total.leftover_bytes));
    format!("{side}  {all} MB stored, of which {left} MB left behind by pip")
}

fn gate(gate: &Gate) -> String {
    let mark = if gate.met { "met   " } else { "MISSED" };
    let (saved, required) = (percent(gate.saved), percent(gate.required));
    let mut line = format!("{mark}  {:<10}  {saved} saved, {required} required", gate.name);
    if let (Some(stored), Some(without)) = (gate.saved_as_stored, gate.saved_without_leftovers) {
        let (stored, without) = (percent(stored), percent(without));
        line.push_str(&format!("\n        {stored} as stored, {without} without what pip left behind on both sides; the smaller counts"));
    }
    line
}

fn work(comparison: &Comparison) -> String {
    let mut table = table(&["seconds of", "plain", "plinth", "saved"]);
    let (plain, plinth) = (&comparison.total.plain.work, &comparison.total.plinth.work);
    let rows = [
        ("pip", plain.pip, plinth.pip),
        ("apt", plain.apt, plinth.apt),
        ("apt and pip in one", plain.apt_and_pip, plinth.apt_and_pip),
        ("pulling images", plain.pull, plinth.pull),
        ("export and push", plain.export, plinth.export),
        ("the rest", plain.rest, plinth.rest),
    ];
    for (name, before, after) in rows {
        if before > 0.0 || after > 0.0 {
            let part = if before > 0.0 { percent(saved(before, after)) } else { String::from("-") };
            table.add_row(cells([name.into(), seconds(before), seconds(after), part]));
        }
    }
    let (before, after) = (comparison.total.plain.seconds, comparison.total.plinth.seconds);
    table.add_row(cells(["all".into(), seconds(before), seconds(after), percent(saved(before, after))]));
    let parts = comparison.time_saved;
    let part = |name: &str, part: Option<f64>| {
        part.map_or_else(
            || format!("no seconds of {name} plain"),
            |part| format!("{} of {name}", percent(part)),
        )
    };
    format!(
        "{}\n\nTime saved: {}; {}; {}",
        text(table),
        part("pip", parts.pip),
        part("apt", parts.apt),
        part("the other seconds", parts.other)
    )
}

fn phases(rows: &[PhaseRow]) -> String {
    let mut table = table(&["round", "services", "seconds", "saved", "new MB", "left MB", "saved"]);
    for row in rows {
        let (plain, plinth) = (&row.sides.plain, &row.sides.plinth);
        table.add_row(cells([
            row.phase.name().into(),
            row.services.to_string(),
            arrow(seconds(plain.seconds), seconds(plinth.seconds)),
            percent(saved(plain.seconds, plinth.seconds)),
            arrow(mb(plain.new_bytes), mb(plinth.new_bytes)),
            arrow(mb(plain.new_leftover_bytes), mb(plinth.new_leftover_bytes)),
            percent(plain.saved_bytes(plinth)),
        ]));
    }
    text(table)
}

/// What is saved with all passes, and with some of them left out.
fn without(comparison: &Comparison) -> String {
    let mut table = table(&["cold", "seconds", "saved", "pip", "apt", "MB", "saved", "done"]);
    let side = |side: &Total| {
        (seconds(side.seconds), seconds(side.work.pip), seconds(side.work.apt), mb(side.unique_bytes))
    };
    let (all, pip, apt, bytes) = side(&comparison.total.plain);
    let none = String::new;
    table.add_row(cells(["plain".into(), all, none(), pip, apt, bytes, none(), none()]));
    let mut row = |name: String, total: &Pair<Total>, steps: Counts| {
        let (all, pip, apt, bytes) = side(&total.plinth);
        let stored = |side: &Total| (side.unique_bytes, side.leftover_bytes);
        table.add_row(cells([
            name,
            all,
            percent(saved(total.plain.seconds, total.plinth.seconds)),
            pip,
            apt,
            bytes,
            percent(saved_bytes(stored(&total.plain), stored(&total.plinth)).judged()),
            steps.to_string(),
        ]));
    };
    let steps = comparison.services.iter().filter_map(|service| service.steps).sum();
    row("through plinth".into(), &comparison.total, steps);
    for left_out in &comparison.without {
        row(format!("without {}", left_out.passes), &left_out.total, left_out.steps);
    }
    text(table)
}

fn master(master: &Master, plain: &Total) -> String {
    let size = |bytes: u64| {
        format!("{} MB ({} saved)", mb(bytes), percent(saved(plain.unique_bytes as f64, bytes as f64)))
    };
    let mut lines = vec![
        format!("Master images: {}", master.images.join(", ")),
        format!(
            "  size with what they add ({} MB): {}; without: {}",
            mb(master.bytes),
            size(master.unique_bytes_with),
            size(master.unique_bytes_without)
        ),
    ];
    if let Some(own) = master.seconds {
        let time = |s: f64| format!("{} s ({} saved)", seconds(s), percent(saved(plain.seconds, s)));
        lines.push(format!(
            "  time with their own build ({} s): {}; without: {}",
            seconds(own),
            time(master.seconds_with),
            time(master.seconds_with - own)
        ));
    } else {
        lines.push("  time of their own build not counted (give it with --master-seconds)".into());
    }
    lines.join("\n")
}

fn arrow(before: impl ToString, after: impl ToString) -> String {
    format!("{} → {}", before.to_string(), after.to_string())
}

fn mb(bytes: u64) -> String {
    let mb = bytes as f64 / 1e6;
    // Of thousands, a tenth says nothing.
    if mb < 999.95 { format!("{mb:.1}") } else { format!("{mb:.0}") }
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.1}")
}

fn percent(part: f64) -> String {
    let rounded = (part * 1000.0).round() / 10.0;
    // Adding zero turns a negative zero, which would print with its sign, into a positive one.
    format!("{:.1} %", rounded + 0.0)
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME {
        return name.to_owned();
    }
    name.chars().take(NAME - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::figures::{SCHEMA_VERSION, TimeSaved, WithoutRow};
    use super::super::gates::judge;
    use super::super::measure::{self, tests as sample};
    use super::*;
    use crate::decisions::Counts;

    fn comparison(names: &[String]) -> Comparison {
        let mut rounds = sample::rounds(names);
        // Megabytes, so that the tables show something.
        for round in rounds.sides.plain.iter_mut().chain(&mut rounds.sides.plinth) {
            for image in round.images.values_mut() {
                image.blobs = image
                    .blobs
                    .iter()
                    .cloned()
                    .map(|mut b| {
                        b.size *= 1_000_000;
                        b
                    })
                    .collect();
            }
        }
        rounds.left.values_mut().for_each(|bytes| *bytes *= 1_000_000);
        let total = rounds.total();
        let own = sample::image(&[("master", 60_000_000), ("cm", 2_000_000)]).blobs;
        let master = rounds.master(vec!["r/python-master:3.12".into()], &own, None, Some(9.0));
        let mut services = rounds.services();
        services[0].steps = Some(Counts { assembled: 2, as_written: 1, substituted: 1, ..Counts::default() });
        services[1].name = "a-service-with-a-name-beyond-all-measure".into();
        Comparison {
            schema_version: SCHEMA_VERSION,
            plinth: "0.1.0",
            images: "r/compare/x".into(),
            frontend: "r/plinth:dev".into(),
            jobs: 1,
            compression: None,
            empty_caches: true,
            services,
            gates: judge(&total, Some(&master), 0.4, 0.7),
            time_saved: TimeSaved::of(&total),
            total,
            master: Some(master),
            phases: rounds.phases(),
            overhead: measure::overhead(1, &[(0.25, 0.4)]),
            without: vec![],
            failures: rounds.failures(),
            notes: vec!["a note".into()],
        }
    }

    #[test]
    fn the_whole_text() {
        let names = sample::names();
        let text = render(&comparison(&names));
        assert_eq!(text, EXPECTED.trim_start_matches('\n'));
    }

    #[test]
    fn passes_left_out_are_a_table_of_their_own() {
        let names = sample::names();
        let mut comparison = comparison(&names);
        let mut total = comparison.total.clone();
        total.plinth.seconds = 35.0;
        total.plinth.unique_bytes = 181_500_000;
        comparison.without.push(WithoutRow {
            passes: "base,apt".into(),
            services: 2,
            time_saved: TimeSaved::of(&total),
            total,
            steps: Counts { assembled: 3, ..Counts::default() },
        });
        let text = render(&comparison);
        let expected = "
cold              seconds   saved   pip   apt     MB   saved      done
plain                70.0          40.0  10.0  242.0
through plinth       14.0  80.0 %   2.0   0.0  111.0  51.3 %  1b 2a 1w
without base,apt     35.0  50.0 %   2.0   0.0  181.5  19.9 %        3a
";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn it_fits() {
        let names = sample::names();
        let mut comparison = comparison(&names);
        for row in &mut comparison.services {
            row.sides.plain.bytes = 123_456_789_012;
            row.sides.plinth.bytes = 23_456_789_012;
            row.sides.plain.leftover_bytes = 123_456_789;
            row.sides.plain.shared_bytes = 1_234_567_890;
            row.sides.plain.seconds = 1234.5;
            row.steps = Some(Counts { assembled: 12, as_written: 14, substituted: 3, ..Counts::default() });
        }
        let text = render(&comparison);
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 100, "{widest}:\n{text}");
        assert!(text.contains("123457 → 23457"), "{text}");
        assert!(text.contains("a-service-with-a-nam…"), "{text}");
    }

    #[test]
    fn a_missed_gate_or_a_service_lost_is_a_finding() {
        let names = sample::names();
        let mut comparison = comparison(&names);
        assert!(comparison.has_finding());
        comparison.failures.retain(|f| f.side == super::super::build::Side::Plain);
        assert!(!comparison.gates[1].met && comparison.has_finding());
        comparison.gates[1].met = true;
        assert!(!comparison.has_finding());
    }

    const EXPECTED: &str = "
Cold build, plain → through plinth, 1 at once. Size: compressed bytes, in the total each blob once.
Left: of these, what pip left behind by chance (byte code, download cache); never counted as saved.
Done: b base replaced, a step assembled, s split, r removed, w run as written, c copy of layers.

service                      size MB     left MB     shared MB  layers      seconds      done
api                    151.0 → 106.0  10.0 → 2.0  50.0 → 100.0   2 → 3   40.0 → 8.0  1b 2a 1w
a-service-with-a-nam…  141.0 → 105.0   8.0 → 2.0  50.0 → 100.0   2 → 3   30.0 → 6.0         -
2 services, unique     242.0 → 111.0  18.0 → 2.0  50.0 → 100.0   4 → 6  70.0 → 14.0

plain   242.0 MB stored, of which 18.0 MB left behind by pip
plinth  111.0 MB stored, of which 2.0 MB left behind by pip

seconds of  plain  plinth    saved
pip          40.0     2.0   95.0 %
apt          10.0     0.0  100.0 %
the rest     20.0    12.0   40.0 %
all          70.0    14.0   80.0 %

Time saved: 95.0 % of pip; 100.0 % of apt; 40.0 % of the other seconds

round      services      seconds   saved         new MB     left MB      saved
cold              2  70.0 → 14.0  80.0 %  242.0 → 111.0  18.0 → 2.0     51.3 %
unchanged         2    1.5 → 1.5   0.0 %    7.0 → 244.0  0.0 → 18.0  -3385.7 %

All-cached build, median: plain 0.250 s, plinth 0.400 s, difference +0.150 s

Master images: r/python-master:3.12
  size with what they add (62.0 MB): 113.0 MB (53.3 % saved); without: 51.0 MB (78.9 % saved)
  time with their own build (9.0 s): 23.0 s (67.1 % saved); without: 14.0 s (80.0 % saved)

met     size        50.4 % saved, 40.0 % required
        53.3 % as stored, 50.4 % without what pip left behind on both sides; the smaller counts
MISSED  build time  67.1 % saved, 70.0 % required

FAILED broken (plain, cold)
    no such file

FAILED unlucky (plinth, cold)
    plinth: no

note: a note
";
}
