//! From what was built to the figures: bytes, layers, seconds, and what was saved.
//!
//! Bytes are compressed bytes as a registry stores them: each blob (layers and configs) counts once for the whole
//! fleet. What BuildKit shares by itself is therefore shared on both sides and never counted as saved. Nor is the
//! absence of what pip leaves behind by chance: its bytes are known layer by layer and shown apart.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::build::{Built, Side};
use super::gates::{Gate, saved};
use super::phases::Phase;
use crate::decisions::Counts;
use crate::registry::{Blob, Image};
use crate::trace::{Breakdown, Interval, breakdown};

/// The version of the JSON document.
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// What one side did in one phase; services by their index.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    /// Which phase.
    pub(crate) phase: Phase,
    /// The builds, failed ones too.
    pub(crate) builds: BTreeMap<usize, Built>,
    /// The images that were pushed.
    pub(crate) images: BTreeMap<usize, Image>,
}

impl Round {
    fn succeeded(&self, service: usize) -> bool {
        self.images.contains_key(&service)
    }
}

/// The document that `--json` writes, and the source of the tables.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Comparison {
    /// [`SCHEMA_VERSION`].
    pub(crate) schema_version: u32,
    /// The version of plinth.
    pub(crate) plinth: &'static str,
    /// The prefix under which the images were pushed.
    pub(crate) images: String,
    /// The frontend image.
    pub(crate) frontend: String,
    /// Services built at once on each side.
    pub(crate) jobs: usize,
    /// The compression of new layers; none: the builder's default.
    pub(crate) compression: Option<String>,
    /// Whether both sides are known to have begun with an empty cache.
    pub(crate) empty_caches: bool,
    /// The services that were built on both sides.
    pub(crate) services: Vec<ServiceRow>,
    /// The fleet.
    pub(crate) total: Pair<Total>,
    /// The part of the seconds that is saved, by kind of work.
    pub(crate) time_saved: TimeSaved,
    /// The master images' own part in plinth's side, if a policy names any.
    pub(crate) master: Option<Master>,
    /// All rounds, the cold one first.
    pub(crate) phases: Vec<PhaseRow>,
    /// All-cached builds.
    pub(crate) overhead: Option<Overhead>,
    /// What was required, and what came out.
    pub(crate) gates: Vec<Gate>,
    /// Builds that failed.
    pub(crate) failures: Vec<FailureRow>,
    /// What a reader has to know to judge the figures.
    pub(crate) notes: Vec<String>,
}

/// A figure before and after.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Pair<T> {
    /// BuildKit's own frontend.
    pub(crate) plain: T,
    /// Through plinth.
    pub(crate) plinth: T,
}

/// One service in the cold round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ServiceRow {
    /// Its name.
    pub(crate) name: String,
    /// Both sides.
    #[serde(flatten)]
    pub(crate) sides: Pair<Measured>,
    /// How many steps were treated in which way; none: the image has no report, nothing was rewritten.
    pub(crate) steps: Option<Counts>,
}

/// One image of the cold round.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Measured {
    /// The digest that was pushed.
    pub(crate) digest: String,
    /// Its compressed bytes.
    pub(crate) bytes: u64,
    /// Those of them that another service of the same side has as well.
    pub(crate) shared_bytes: u64,
    /// Those of them that pip left behind by chance, in layers that only this side has.
    pub(crate) leftover_bytes: u64,
    /// Layers.
    pub(crate) layers: usize,
    /// Solve to the end of the push.
    pub(crate) seconds: f64,
    /// What these seconds went into.
    pub(crate) work: Breakdown,
}

/// One side of the fleet in the cold round.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Total {
    /// What a registry stores: each blob once.
    pub(crate) unique_bytes: u64,
    /// Those of them that pip left behind by chance, in layers that only this side has.
    pub(crate) leftover_bytes: u64,
    /// The sum over the images, as if nothing were shared.
    pub(crate) summed_bytes: u64,
    /// The difference of the two.
    pub(crate) shared_bytes: u64,
    /// The sum over the images.
    pub(crate) layers: usize,
    /// Seconds in which at least one build was running.
    pub(crate) seconds: f64,
    /// What these seconds went into.
    pub(crate) work: Breakdown,
}

/// The parts of the seconds of the cold round that are saved, 0 to 1; none: plain spent none on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct TimeSaved {
    /// Python packages: RUNs with pip, uv or poetry, and what plinth does in their place.
    pub(crate) pip: Option<f64>,
    /// Debian packages.
    pub(crate) apt: Option<f64>,
    /// Everything else: steps with both in one RUN, pulling, exporting and pushing, and the rest.
    pub(crate) other: Option<f64>,
    /// All seconds, a master's own build not among them.
    pub(crate) all: Option<f64>,
}

impl TimeSaved {
    /// What the fleet saved.
    pub(crate) fn of(total: &Pair<Total>) -> Self {
        let (plain, plinth) = (&total.plain, &total.plinth);
        let part = |before, after| (before > 0.0).then(|| saved(before, after));
        let other = |side: &Total| side.seconds - side.work.pip - side.work.apt;
        Self {
            pip: part(plain.work.pip, plinth.work.pip),
            apt: part(plain.work.apt, plinth.work.apt),
            other: part(other(plain), other(plinth)),
            all: part(plain.seconds, plinth.seconds),
        }
    }
}

/// What the master images themselves cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Master {
    /// Their names.
    pub(crate) images: Vec<String>,
    /// The bytes that they add to what the plain fleet has.
    pub(crate) bytes: u64,
    /// The seconds of their own build, if they were given.
    pub(crate) seconds: Option<f64>,
    /// The bytes of plinth's side with them, whether a service uses them or not.
    pub(crate) unique_bytes_with: u64,
    /// The same without them.
    pub(crate) unique_bytes_without: u64,
    /// The seconds of plinth's side with their build.
    pub(crate) seconds_with: f64,
}

/// One round of the whole fleet.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PhaseRow {
    /// Its name.
    pub(crate) phase: Phase,
    /// The services that were built on both sides in it.
    pub(crate) services: usize,
    /// Both sides.
    #[serde(flatten)]
    pub(crate) sides: Pair<PhaseSide>,
}

/// One side of a round.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct PhaseSide {
    /// Seconds in which at least one build was running.
    pub(crate) seconds: f64,
    /// What these seconds went into.
    pub(crate) work: Breakdown,
    /// Bytes that a registry did not have after the round before.
    pub(crate) new_bytes: u64,
    /// Those of them that pip left behind by chance, in layers that only this side has.
    pub(crate) new_leftover_bytes: u64,
    /// Seconds by service.
    pub(crate) service_seconds: BTreeMap<String, f64>,
}

impl PhaseSide {
    /// The part of the new bytes that the other side saves, judged as the size gate judges it.
    pub(crate) fn saved_bytes(&self, other: &Self) -> f64 {
        let stored = saved(self.new_bytes as f64, other.new_bytes as f64);
        let without = |side: &Self| side.new_bytes.saturating_sub(side.new_leftover_bytes) as f64;
        stored.min(saved(without(self), without(other)))
    }
}

/// The cost of the frontend when there is nothing to do: medians over all services and repetitions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Overhead {
    /// Repetitions of each service.
    pub(crate) repetitions: usize,
    /// Seconds of a build with BuildKit's own frontend.
    pub(crate) plain_seconds: f64,
    /// Seconds of a build through plinth.
    pub(crate) plinth_seconds: f64,
    /// The median difference of two builds one after the other.
    pub(crate) difference_seconds: f64,
}

/// A build that failed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct FailureRow {
    /// The service.
    pub(crate) service: String,
    /// The side.
    pub(crate) side: Side,
    /// The round.
    pub(crate) phase: Phase,
    /// The end of the log.
    pub(crate) log: Vec<String>,
}

impl Comparison {
    /// Exit code 1: a gate missed, or a service that only builds without plinth.
    pub(crate) fn has_finding(&self) -> bool {
        self.gates.iter().any(|gate| !gate.met) || self.failures.iter().any(|f| f.side == Side::Plinth)
    }
}

/// Both sides' rounds, in the same order, and the names of the services.
pub(crate) struct Rounds<'a> {
    /// The names by index.
    pub(crate) names: &'a [String],
    /// The rounds.
    pub(crate) sides: Pair<Vec<Round>>,
    /// The bytes that pip left behind, by layer; only those of [`Self::unshared_layers`] are known.
    pub(crate) left: BTreeMap<String, u64>,
}

impl Rounds<'_> {
    /// The services that were built on both sides in the cold round.
    pub(crate) fn compared(&self) -> Vec<usize> {
        self.both(0)
    }

    fn both(&self, round: usize) -> Vec<usize> {
        let (Some(plain), Some(plinth)) = (self.sides.plain.get(round), self.sides.plinth.get(round)) else {
            return Vec::new();
        };
        plain.images.keys().copied().filter(|&service| plinth.succeeded(service)).collect()
    }

    /// The layers that only one side has, in any round, each with a round's image that has it. What both sides have
    /// is no difference between them, whatever is in it.
    pub(crate) fn unshared_layers(&self) -> Vec<(&str, Side, usize, Phase)> {
        let plain = self.layers(Side::Plain, &self.sides.plain);
        let plinth = self.layers(Side::Plinth, &self.sides.plinth);
        let shared = |digest: &str| plain.contains_key(digest) && plinth.contains_key(digest);
        plain
            .iter()
            .chain(&plinth)
            .filter(|(digest, _)| !shared(digest))
            .map(|(&digest, &(side, service, phase))| (digest, side, service, phase))
            .collect()
    }

    fn layers<'a>(&self, side: Side, rounds: &'a [Round]) -> BTreeMap<&'a str, (Side, usize, Phase)> {
        let mut all = BTreeMap::new();
        for (n, round) in rounds.iter().enumerate() {
            for service in self.both(n) {
                for digest in round.images.get(&service).iter().flat_map(|image| &image.layer_digests) {
                    all.entry(digest.as_str()).or_insert((side, service, round.phase));
                }
            }
        }
        all
    }

    /// The failed builds, plain ones first. A service that already failed before is not built again.
    pub(crate) fn failures(&self) -> Vec<FailureRow> {
        let sides = [(Side::Plain, &self.sides.plain), (Side::Plinth, &self.sides.plinth)];
        let mut rows = Vec::new();
        for (side, rounds) in sides {
            for round in rounds {
                for (&service, built) in &round.builds {
                    if let Some(log) = &built.failure {
                        rows.push(FailureRow {
                            service: self.names[service].clone(),
                            side,
                            phase: round.phase,
                            log: log.clone(),
                        });
                    }
                }
            }
        }
        rows
    }

    /// One row for each service of [`Self::compared`].
    pub(crate) fn services(&self) -> Vec<ServiceRow> {
        let compared = self.compared();
        let (Some(plain), Some(plinth)) = (self.sides.plain.first(), self.sides.plinth.first()) else {
            return Vec::new();
        };
        let shared = Pair { plain: shared(plain, &compared), plinth: shared(plinth, &compared) };
        let rows = compared.iter().map(|&service| ServiceRow {
            name: self.names[service].clone(),
            sides: Pair {
                plain: measured(plain, service, &shared.plain, &self.left),
                plinth: measured(plinth, service, &shared.plinth, &self.left),
            },
            steps: Counts::of_labels(&plinth.images[&service].labels),
        });
        rows.collect()
    }

    /// The fleet in the cold round.
    pub(crate) fn total(&self) -> Pair<Total> {
        let compared = self.compared();
        let total = |rounds: &[Round]| {
            rounds.first().map(|round| total(round, &compared, &self.left)).unwrap_or_default()
        };
        Pair { plain: total(&self.sides.plain), plinth: total(&self.sides.plinth) }
    }

    /// One row for each round.
    pub(crate) fn phases(&self) -> Vec<PhaseRow> {
        let mut stored = Pair::<BTreeSet<Blob>>::default();
        let mut rows = Vec::new();
        for (n, (plain, plinth)) in self.sides.plain.iter().zip(&self.sides.plinth).enumerate() {
            let both = self.both(n);
            rows.push(PhaseRow {
                phase: plain.phase,
                services: both.len(),
                sides: Pair {
                    plain: self.phase_side(plain, &both, &mut stored.plain),
                    plinth: self.phase_side(plinth, &both, &mut stored.plinth),
                },
            });
        }
        rows
    }

    fn phase_side(&self, round: &Round, services: &[usize], stored: &mut BTreeSet<Blob>) -> PhaseSide {
        let new: BTreeSet<Blob> =
            union(round, services).into_iter().filter(|blob| !stored.contains(blob)).collect();
        let (seconds, work) = time(round, services);
        let service_seconds = services
            .iter()
            .filter_map(|&service| Some((self.names[service].clone(), round.builds.get(&service)?.seconds)))
            .collect();
        let (new_bytes, new_leftover_bytes) = (size(&new), left(&new, &self.left));
        stored.extend(new);
        PhaseSide { seconds, work, new_bytes, new_leftover_bytes, service_seconds }
    }

    /// The master images' part. `bytes` and `seconds` are what the user said, where the registry can't know.
    pub(crate) fn master(
        &self,
        names: Vec<String>,
        images: &BTreeSet<Blob>,
        bytes: Option<u64>,
        seconds: Option<f64>,
    ) -> Master {
        let compared = self.compared();
        let blobs = |rounds: &[Round]| rounds.first().map(|r| union(r, &compared)).unwrap_or_default();
        let (plain, plinth) = (blobs(&self.sides.plain), blobs(&self.sides.plinth));
        let own: BTreeSet<Blob> = images.difference(&plain).cloned().collect();
        let unused: u64 = size(own.difference(&plinth));
        let with = size(&plinth) + unused;
        let added = bytes.unwrap_or_else(|| size(&own));
        let built = self.total().plinth.seconds;
        Master {
            images: names,
            bytes: added,
            seconds,
            unique_bytes_with: with,
            unique_bytes_without: with.saturating_sub(added),
            seconds_with: built + seconds.unwrap_or(0.0),
        }
    }
}

/// The medians of pairs of seconds, plain and plinth.
pub(crate) fn overhead(repetitions: usize, pairs: &[(f64, f64)]) -> Option<Overhead> {
    Some(Overhead {
        repetitions,
        plain_seconds: median(pairs.iter().map(|pair| pair.0))?,
        plinth_seconds: median(pairs.iter().map(|pair| pair.1))?,
        difference_seconds: median(pairs.iter().map(|pair| pair.1 - pair.0))?,
    })
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

fn size<'a>(blobs: impl IntoIterator<Item = &'a Blob>) -> u64 {
    blobs.into_iter().map(|blob| blob.size).sum()
}

/// The bytes that pip left behind in these blobs, as far as they are known.
fn left<'a>(blobs: impl IntoIterator<Item = &'a Blob>, known: &BTreeMap<String, u64>) -> u64 {
    // Compressed by themselves they can't be more than the layer that they are in.
    blobs.into_iter().filter_map(|blob| Some(blob.size.min(*known.get(&blob.digest)?))).sum()
}

fn union(round: &Round, services: &[usize]) -> BTreeSet<Blob> {
    services
        .iter()
        .filter_map(|service| round.images.get(service))
        .flat_map(|image| image.blobs.clone())
        .collect()
}

/// By service, the bytes of its blobs that another service has as well.
fn shared(round: &Round, services: &[usize]) -> HashMap<usize, u64> {
    let mut users: HashMap<&str, usize> = HashMap::new();
    let images = || services.iter().filter_map(|service| Some((*service, round.images.get(service)?)));
    for (_, image) in images() {
        for blob in &image.blobs {
            *users.entry(&blob.digest).or_default() += 1;
        }
    }
    images()
        .map(|(service, image)| {
            (service, size(image.blobs.iter().filter(|blob| users.get(blob.digest.as_str()) > Some(&1))))
        })
        .collect()
}

fn measured(
    round: &Round,
    service: usize,
    shared: &HashMap<usize, u64>,
    known: &BTreeMap<String, u64>,
) -> Measured {
    let (Some(image), Some(built)) = (round.images.get(&service), round.builds.get(&service)) else {
        return Measured::default();
    };
    Measured {
        digest: image.digest.clone(),
        bytes: size(&image.blobs),
        shared_bytes: shared.get(&service).copied().unwrap_or(0),
        leftover_bytes: left(&image.blobs, known),
        layers: image.layers,
        seconds: built.seconds,
        work: breakdown(&built.intervals, built.seconds),
    }
}

fn total(round: &Round, services: &[usize], known: &BTreeMap<String, u64>) -> Total {
    let images: Vec<&Image> = services.iter().filter_map(|service| round.images.get(service)).collect();
    let unique = union(round, services);
    let unique_bytes = size(&unique);
    let summed_bytes = images.iter().map(|image| size(&image.blobs)).sum();
    let (seconds, work) = time(round, services);
    Total {
        unique_bytes,
        leftover_bytes: left(&unique, known),
        summed_bytes,
        shared_bytes: summed_bytes - unique_bytes,
        layers: images.iter().map(|image| image.layers).sum(),
        seconds,
        work,
    }
}

/// The seconds in which at least one of these builds was running, and what was done in them.
fn time(round: &Round, services: &[usize]) -> (f64, Breakdown) {
    let builds: Vec<&Built> = services.iter().filter_map(|service| round.builds.get(service)).collect();
    let mut spans: Vec<(f64, f64)> = builds.iter().map(|b| (b.started, b.started + b.seconds)).collect();
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut seconds, mut end) = (0.0, f64::NEG_INFINITY);
    for (from, to) in spans {
        if to > end {
            seconds += to - from.max(end);
            end = to;
        }
    }
    let intervals: Vec<Interval> = builds.iter().flat_map(|built| built.intervals.iter().copied()).collect();
    (seconds, breakdown(&intervals, seconds))
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
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
        let side = |new_bytes, new_leftover_bytes| PhaseSide {
            new_bytes,
            new_leftover_bytes,
            ..PhaseSide::default()
        };
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
        let short: Vec<_> =
            failures.iter().map(|f| (f.side, f.service.as_str(), f.log[0].as_str())).collect();
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
}
