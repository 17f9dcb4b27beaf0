//! From what was built to the figures: bytes, layers, seconds, and what was saved.
//!
//! Bytes are compressed bytes as a registry stores them: each blob (layers and configs) counts once for the whole
//! fleet. What BuildKit shares by itself is therefore shared on both sides and never counted as saved. Nor is the
//! absence of what pip leaves behind by chance: its bytes are known layer by layer and shown apart.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::build::{Built, Setup, Side};
use super::figures::{FailureRow, Master, Measured, Overhead, Pair, PhaseRow, PhaseSide, ServiceRow, Total};
use super::phases::Phase;
use crate::decisions::Counts;
use crate::registry::{Blob, Image};
use crate::trace::{Breakdown, Interval, breakdown};

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

    /// [`Self::unshared_layers`], each with the name of an image that has it: of the two setups by which the sides were
    /// built.
    pub(crate) fn layers_to_scan(&self, setups: Pair<&Setup>) -> BTreeMap<String, String> {
        let image = |(digest, side, service, phase): (&str, Side, usize, Phase)| {
            let setup = if side == Side::Plain { setups.plain } else { setups.plinth };
            (digest.to_owned(), setup.image(side, &self.names[service], phase))
        };
        self.unshared_layers().into_iter().map(image).collect()
    }

    /// Takes what is known of [`Self::unshared_layers`] from what is known of more layers.
    pub(crate) fn know_leftovers(&mut self, known: &BTreeMap<String, u64>) {
        let layers = self.unshared_layers();
        self.left = layers
            .iter()
            .filter_map(|(digest, ..)| Some(((*digest).to_owned(), *known.get(*digest)?)))
            .collect();
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
pub(crate) mod tests;
