//! Figures of a made-up fleet.
#![allow(clippy::unwrap_used)]
use super::super::figures::TimeSaved;
use super::*;
use crate::trace::Work;

pub(crate) fn image(blobs: &[(&str, u64)]) -> Image {
    let blobs: BTreeSet<Blob> =
        blobs.iter().map(|&(digest, size)| Blob { digest: digest.into(), size }).collect();
    // A config's name has two letters and begins with one of these.
    let config = |digest: &str| digest.len() == 2 && digest.starts_with(['c', 'n', 'p']);
    let layer_digests = blobs.iter().map(|b| b.digest.clone()).filter(|d| !config(d)).collect();
    let (digest, layers) = ("sha256:x".into(), blobs.len() - 1);
    Image { digest, layers, blobs, layer_digests, labels: BTreeMap::new() }
}

pub(crate) fn built(started: f64, seconds: f64, intervals: &[Interval]) -> Built {
    Built { started, seconds, intervals: intervals.to_vec(), failure: None }
}

fn round(phase: Phase, items: Vec<(usize, Built, Option<Image>)>) -> Round {
    let mut round = Round { phase, builds: BTreeMap::new(), images: BTreeMap::new() };
    for (service, built, image) in items {
        round.builds.insert(service, built);
        if let Some(image) = image {
            round.images.insert(service, image);
        }
    }
    round
}

/// Two services that build on both sides, one that never does, one that fails through plinth only.
pub(crate) fn names() -> Vec<String> {
    ["api", "worker", "broken", "unlucky"].map(String::from).to_vec()
}

pub(crate) fn rounds(names: &[String]) -> Rounds<'_> {
    let failed = |log: &str| Built { failure: Some(vec![log.into()]), ..built(0.0, 1.0, &[]) };
    let plain = round(
        Phase::Cold,
        vec![
            (
                0,
                built(100.0, 40.0, &[(Work::Pip, 110.0, 140.0)]),
                Some(image(&[("base", 50), ("a", 100), ("c0", 1)])),
            ),
            (
                1,
                built(140.0, 30.0, &[(Work::Pip, 150.0, 160.0), (Work::Apt, 160.0, 170.0)]),
                Some(image(&[("base", 50), ("b", 90), ("c1", 1)])),
            ),
            (2, failed("no such file"), None),
            (3, built(170.0, 5.0, &[]), Some(image(&[("base", 50), ("d", 900), ("c3", 1)]))),
        ],
    );
    let plinth = round(
        Phase::Cold,
        vec![
            (
                0,
                built(200.0, 8.0, &[(Work::Pip, 202.0, 204.0)]),
                Some(image(&[("master", 60), ("w", 40), ("a2", 5), ("p0", 1)])),
            ),
            (1, built(208.0, 6.0, &[]), Some(image(&[("master", 60), ("w", 40), ("b2", 4), ("p1", 1)]))),
            (3, failed("plinth: no"), None),
        ],
    );
    let again = |extra: u64| {
        round(
            Phase::Unchanged,
            vec![
                (0, built(300.0, 1.0, &[]), Some(image(&[("base", 50), ("a", 100), ("n0", extra)]))),
                (1, built(300.5, 1.0, &[]), Some(image(&[("base", 50), ("b", 90), ("c1", 1)]))),
            ],
        )
    };
    let left = BTreeMap::from([("a".into(), 10), ("b".into(), 8), ("w".into(), 2)]);
    Rounds { names, sides: Pair { plain: vec![plain, again(7)], plinth: vec![plinth, again(3)] }, left }
}

#[test]
fn a_blob_counts_once_and_only_services_of_both_sides_count() {
    let names = names();
    let total = rounds(&names).total();
    assert_eq!(
        (total.plain.unique_bytes, total.plain.summed_bytes, total.plain.shared_bytes),
        (242, 292, 50)
    );
    assert_eq!(
        (total.plinth.unique_bytes, total.plinth.summed_bytes, total.plinth.shared_bytes),
        (111, 211, 100)
    );
    assert_eq!((total.plain.layers, total.plinth.layers), (4, 6));
    assert_eq!((total.plain.seconds, total.plinth.seconds), (70.0, 14.0));
    let work = Breakdown { apt: 10.0, pip: 40.0, rest: 20.0, ..Breakdown::default() };
    assert_eq!(total.plain.work, work);
}

#[test]
fn what_pip_left_behind_counts_once_and_never_more_than_its_layer() {
    let names = names();
    let mut rounds = rounds(&names);
    let total = rounds.total();
    assert_eq!((total.plain.leftover_bytes, total.plinth.leftover_bytes), (10 + 8, 2));
    let rows = rounds.services();
    assert_eq!((rows[0].sides.plain.leftover_bytes, rows[0].sides.plinth.leftover_bytes), (10, 2));
    assert_eq!((rows[1].sides.plain.leftover_bytes, rows[1].sides.plinth.leftover_bytes), (8, 2));
    let new = rounds.phases().into_iter().map(|row| row.sides.plain.new_leftover_bytes);
    assert_eq!(new.collect::<Vec<_>>(), [18, 0]);
    rounds.left.insert("b".into(), 95);
    assert_eq!(rounds.total().plain.leftover_bytes, 10 + 90);
}

#[test]
fn what_a_round_saves_is_judged_like_the_gate() {
    let side =
        |new_bytes, new_leftover_bytes| PhaseSide { new_bytes, new_leftover_bytes, ..PhaseSide::default() };
    assert_eq!(side(1000, 200).saved_bytes(&side(500, 0)), 0.375);
    assert_eq!(side(1000, 200).saved_bytes(&side(600, 200)), 0.4);
}

#[test]
fn only_layers_of_one_side_are_looked_into() {
    let names = names();
    let mut rounds = rounds(&names);
    // In the second round, both sides have "base", "a" and "b".
    let found: Vec<_> = rounds.unshared_layers();
    assert_eq!(
        found.iter().map(|(digest, side, ..)| (*digest, *side)).collect::<Vec<_>>(),
        ["a2", "b2", "master", "w"].map(|digest| (digest, Side::Plinth))
    );
    rounds.sides.plain.truncate(1);
    rounds.sides.plinth.truncate(1);
    let found = rounds.unshared_layers();
    assert_eq!(found[0], ("a", Side::Plain, 0, Phase::Cold));
    assert_eq!(found[2], ("base", Side::Plain, 0, Phase::Cold));
    // "d" belongs to a service that doesn't build on both sides, configs are no layers.
    let digests: Vec<&str> = found.iter().map(|(digest, ..)| *digest).collect();
    assert_eq!(digests, ["a", "b", "base", "a2", "b2", "master", "w"]);
}

#[test]
fn seconds_saved_by_kind() {
    let names = names();
    let saved = TimeSaved::of(&rounds(&names).total());
    assert_eq!((saved.pip, saved.apt, saved.all), (Some(0.95), Some(1.0), Some(0.8)));
    // 20 of plain, 12 of plinth.
    assert!((saved.other.unwrap() - 0.4).abs() < 1e-9);
    assert_eq!(TimeSaved::of(&Pair::default()), TimeSaved::default());
}

#[test]
fn shared_bytes_of_a_service() {
    let names = names();
    let rows = rounds(&names).services();
    assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["api", "worker"]);
    assert_eq!((rows[0].sides.plain.bytes, rows[0].sides.plain.shared_bytes), (151, 50));
    assert_eq!((rows[0].sides.plinth.bytes, rows[0].sides.plinth.shared_bytes), (106, 100));
    assert_eq!(rows[0].sides.plinth.work, Breakdown { pip: 2.0, rest: 6.0, ..Breakdown::default() });
}

#[test]
fn a_round_counts_what_it_adds_and_overlapping_builds_once() {
    let names = names();
    let rows = rounds(&names).phases();
    assert_eq!((rows[0].sides.plain.new_bytes, rows[1].sides.plain.new_bytes), (242, 7));
    // The second round of the other side has other layers than its first.
    assert_eq!(rows[1].sides.plinth.new_bytes, 50 + 100 + 90 + 3 + 1);
    assert_eq!(rows[1].sides.plain.seconds, 1.5);
    assert_eq!((rows[0].services, rows[1].services), (2, 2));
}

#[test]
fn the_master_counts_whether_it_is_used_or_not() {
    let names = names();
    let rounds = rounds(&names);
    // "base" is in the plain fleet too, so it is not the master's doing; "extra" is in no service.
    let own = image(&[("base", 50), ("master", 60), ("extra", 20), ("cm", 2)]).blobs;
    let master = rounds.master(vec!["m".into()], &own, None, Some(9.0));
    assert_eq!((master.bytes, master.unique_bytes_with, master.unique_bytes_without), (82, 133, 51));
    assert_eq!(master.seconds_with, 23.0);
    assert_eq!(rounds.master(vec![], &own, Some(100), None).unique_bytes_without, 33);
}

#[test]
fn failures_of_both_sides_are_listed() {
    let names = names();
    let failures = rounds(&names).failures();
    let short: Vec<_> = failures.iter().map(|f| (f.side, f.service.as_str(), f.log[0].as_str())).collect();
    let expected = [(Side::Plain, "broken", "no such file"), (Side::Plinth, "unlucky", "plinth: no")];
    assert_eq!(short, expected);
}

#[test]
fn medians() {
    let pairs = [(0.2, 0.5), (0.3, 0.4), (0.1, 0.6)];
    let overhead = overhead(3, &pairs).unwrap();
    assert_eq!((overhead.plain_seconds, overhead.plinth_seconds), (0.2, 0.5));
    assert!((overhead.difference_seconds - 0.3).abs() < 1e-9);
    assert_eq!(median([1.0, 2.0].into_iter()), Some(1.5));
    assert_eq!(super::overhead(3, &[]), None);
}
