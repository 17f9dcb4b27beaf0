//! The document of a comparison: what `--json` writes and the tables show.

use std::collections::BTreeMap;

use serde::Serialize;

use super::build::Side;
use super::gates::{Gate, saved, saved_bytes};
use super::phases::Phase;
use crate::decisions::Counts;
use crate::trace::Breakdown;

/// The version of the JSON document.
pub(crate) const SCHEMA_VERSION: u32 = 1;

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
    /// The cold round with passes left out, in the order asked for.
    pub(crate) without: Vec<WithoutRow>,
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
        let bytes = |side: &Self| (side.new_bytes, side.new_leftover_bytes);
        saved_bytes(bytes(self), bytes(other)).judged()
    }
}

/// The cold round once more, with passes left out on plinth's side.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct WithoutRow {
    /// What was left out, as `PLINTH_WITHOUT` names it.
    pub(crate) passes: String,
    /// The services that were built on both sides.
    pub(crate) services: usize,
    /// These services on both sides; plain is the same round as elsewhere.
    pub(crate) total: Pair<Total>,
    /// The part of the seconds that is saved, by kind of work.
    pub(crate) time_saved: TimeSaved,
    /// How many of their steps were treated in which way.
    pub(crate) steps: Counts,
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
