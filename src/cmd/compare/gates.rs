//! What has to be saved, and whether it is.

use serde::Serialize;

use super::measure::{Master, Pair, Total};

/// One requirement and what came out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Gate {
    /// What is measured.
    pub(crate) name: &'static str,
    /// The part that must be saved, 0 to 1.
    pub(crate) required: f64,
    /// The part that is saved; negative: more than before.
    pub(crate) saved: f64,
    /// Whether that is enough.
    pub(crate) met: bool,
}

/// The part of `before` that `after` saves.
pub(crate) fn saved(before: f64, after: f64) -> f64 {
    if before > 0.0 { 1.0 - after / before } else { 0.0 }
}

/// Both gates. A master image that the policy names is part of what plinth's side costs.
pub(crate) fn judge(total: &Pair<Total>, master: Option<&Master>, size: f64, time: f64) -> Vec<Gate> {
    let bytes = master.map_or(total.plinth.unique_bytes, |master| master.unique_bytes_with);
    let seconds = master.map_or(total.plinth.seconds, |master| master.seconds_with);
    let gate = |name, required, saved: f64| Gate { name, required, saved, met: saved >= required };
    vec![
        gate("size", size, saved(total.plain.unique_bytes as f64, bytes as f64)),
        gate("build time", time, saved(total.plain.seconds, seconds)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(unique_bytes: u64, seconds: f64) -> Total {
        Total { unique_bytes, seconds, ..Total::default() }
    }

    #[test]
    fn a_gate_is_met_at_its_very_value() {
        let total = Pair { plain: total(1000, 100.0), plinth: total(500, 75.0) };
        let gates = judge(&total, None, 0.5, 0.3);
        assert_eq!(gates[0], Gate { name: "size", required: 0.5, saved: 0.5, met: true });
        assert_eq!(gates[1], Gate { name: "build time", required: 0.3, saved: 0.25, met: false });
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
