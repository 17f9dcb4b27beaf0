//! What has to be saved, and whether it is.

use serde::Serialize;

use super::figures::{Master, Pair, Total};

/// One requirement and what came out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Gate {
    /// What is measured.
    pub(crate) name: &'static str,
    /// The part that must be saved, 0 to 1.
    pub(crate) required: f64,
    /// The part that is saved; negative: more than before. Of the two figures below, the smaller one.
    pub(crate) saved: f64,
    /// Of size: the part saved of all bytes that are stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) saved_as_stored: Option<f64>,
    /// Of size: the part saved when what pip left behind by chance is left out of account on both sides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) saved_without_leftovers: Option<f64>,
    /// Whether that is enough.
    pub(crate) met: bool,
}

/// The part of `before` that `after` saves.
pub(crate) fn saved(before: f64, after: f64) -> f64 {
    if before > 0.0 { 1.0 - after / before } else { 0.0 }
}

/// The part of the bytes that is saved, reckoned twice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SavedBytes {
    /// Of all bytes that are stored.
    pub(crate) stored: f64,
    /// When what pip left behind by chance is left out of account on both sides.
    pub(crate) without_leftovers: f64,
}

impl SavedBytes {
    /// The smaller of the two: that plinth's images lack what pip leaves behind must not count as saved. Leaving it out
    /// of account makes both sides smaller, which can make the same difference look larger.
    pub(crate) fn judged(self) -> f64 {
        self.stored.min(self.without_leftovers)
    }
}

/// What the second saves of the first; each is all bytes, and those of them that pip left behind.
pub(crate) fn saved_bytes(before: (u64, u64), after: (u64, u64)) -> SavedBytes {
    let without = |(bytes, left): (u64, u64)| bytes.saturating_sub(left) as f64;
    SavedBytes {
        stored: saved(before.0 as f64, after.0 as f64),
        without_leftovers: saved(without(before), without(after)),
    }
}

/// Both gates. A master image that the policy names is part of what plinth's side costs.
pub(crate) fn judge(total: &Pair<Total>, master: Option<&Master>, size: f64, time: f64) -> Vec<Gate> {
    let bytes = master.map_or(total.plinth.unique_bytes, |master| master.unique_bytes_with);
    let seconds = master.map_or(total.plinth.seconds, |master| master.seconds_with);
    let size_saved = saved_bytes(
        (total.plain.unique_bytes, total.plain.leftover_bytes),
        (bytes, total.plinth.leftover_bytes),
    );
    let time_saved = saved(total.plain.seconds, seconds);
    vec![
        Gate {
            name: "size",
            required: size,
            saved: size_saved.judged(),
            saved_as_stored: Some(size_saved.stored),
            saved_without_leftovers: Some(size_saved.without_leftovers),
            met: size_saved.judged() >= size,
        },
        Gate {
            name: "build time",
            required: time,
            saved: time_saved,
            saved_as_stored: None,
            saved_without_leftovers: None,
            met: time_saved >= time,
        },
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn total(unique_bytes: u64, seconds: f64) -> Total {
        Total { unique_bytes, seconds, ..Total::default() }
    }

    #[test]
    fn a_gate_is_met_at_its_very_value() {
        let total = Pair { plain: total(1000, 100.0), plinth: total(500, 75.0) };
        let gates = judge(&total, None, 0.5, 0.3);
        assert_eq!(
            (gates[0].name, gates[0].required, gates[0].saved, gates[0].met),
            ("size", 0.5, 0.5, true)
        );
        assert_eq!((gates[1].required, gates[1].saved, gates[1].met), (0.3, 0.25, false));
        assert_eq!(gates[1].saved_as_stored, None);
    }

    #[test]
    fn what_pip_left_behind_is_not_saved() {
        let side = |unique_bytes, leftover_bytes| Total { unique_bytes, leftover_bytes, ..Total::default() };
        let size = |plain, plinth| {
            let gate = judge(&Pair { plain, plinth }, None, 0.5, 0.0).remove(0);
            (gate.saved_as_stored.unwrap(), gate.saved_without_leftovers.unwrap(), gate.saved, gate.met)
        };
        assert_eq!(size(side(1000, 200), side(500, 0)), (0.5, 0.375, 0.375, false));
        // Steps that ran as written leave the same behind on both sides: no reason to count more than is stored.
        assert_eq!(size(side(1000, 200), side(600, 200)), (0.4, 0.5, 0.4, false));
        assert_eq!(size(side(200, 200), side(0, 0)), (1.0, 0.0, 0.0, false));
    }

    #[test]
    fn the_master_counts() {
        let total = Pair { plain: total(1000, 100.0), plinth: total(500, 25.0) };
        let master = Master {
            images: vec!["m".into()],
            bytes: 250,
            seconds: Some(50.0),
            unique_bytes_with: 750,
            unique_bytes_without: 500,
            seconds_with: 75.0,
        };
        let gates = judge(&total, Some(&master), 0.5, 0.5);
        assert_eq!((gates[0].saved, gates[1].saved), (0.25, 0.25));
        assert!(!gates[0].met && !gates[1].met);
    }

    #[test]
    fn nothing_built_saves_nothing() {
        let total = Pair::<Total>::default();
        assert!(judge(&total, None, 0.6, 0.7).iter().all(|gate| gate.saved == 0.0 && !gate.met));
    }
}
