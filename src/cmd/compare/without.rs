//! What single passes are worth: plinth's side once more, cold, on a builder of its own, with some of them left out.
//!
//! All of it is one run, against the same plain side: figures of different runs tell more about the machine.

use std::fmt;
use std::str::FromStr;

use plinth_frontend::passes::switch::Pass;

use super::build::Setup;
use super::figures::{Pair, TimeSaved, WithoutRow};
use super::measure::{Round, Rounds};

/// Passes to leave out, as `PLINTH_WITHOUT` names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Without(String);

impl FromStr for Without {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if Pass::list(text)?.is_empty() {
            return Err("it names no pass; it looks like split,copies".into());
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Without {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Without {
    /// How to build without them. The images have a place of their own, so that no push is saved by those of another
    /// round.
    pub(crate) fn setup(&self, setup: &Setup) -> Setup {
        let mut own = setup.clone();
        own.prefix.push_str("/without-");
        own.prefix.push_str(&self.0.replace([',', ' '], "-"));
        own.build_args.push(format!("PLINTH_WITHOUT={}", self.0));
        own
    }

    /// What came out.
    pub(crate) fn row(&self, rounds: &Rounds<'_>) -> WithoutRow {
        let (services, total) = (rounds.services(), rounds.total());
        WithoutRow {
            passes: self.0.clone(),
            services: services.len(),
            time_saved: TimeSaved::of(&total),
            total,
            steps: services.iter().filter_map(|service| service.steps).sum(),
        }
    }
}

/// Each of these rounds against the cold round of the plain side.
pub(crate) fn rounds<'a>(all: &Rounds<'a>, without: Vec<(Without, Round)>) -> Vec<(Without, Rounds<'a>)> {
    let plain: Vec<Round> = all.sides.plain.iter().take(1).cloned().collect();
    let against = |round| Pair { plain: plain.clone(), plinth: vec![round] };
    let rounds = |round| Rounds { names: all.names, sides: against(round), left: all.left.clone() };
    without.into_iter().map(|(left_out, round)| (left_out, rounds(round))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::super::measure::tests as sample;
    use super::*;

    #[test]
    fn only_passes_that_there_are() {
        assert_eq!("base,apt".parse::<Without>().unwrap().to_string(), "base,apt");
        assert!("".parse::<Without>().unwrap_err().contains("names no pass"));
        assert!("bases".parse::<Without>().unwrap_err().contains("what can be left out is: base"));
    }

    #[test]
    fn layers_are_read_from_the_images_that_were_pushed() {
        let names = sample::names();
        let all = sample::rounds(&names);
        let again = all.sides.plinth[0].clone();
        let (left_out, rounds) = rounds(&all, vec![(Without("base,apt".into()), again)]).remove(0);
        let setup = Setup {
            prefix: "r/x".into(),
            frontend: String::new(),
            policy: vec![],
            build_args: vec![],
            targets: BTreeMap::new(),
            compression: None,
            platform: None,
            plain_http: false,
            plain_twice: false,
            pushed: Arc::default(),
        };
        let own = left_out.setup(&setup);
        assert_eq!(own.build_args, ["PLINTH_WITHOUT=base,apt"]);
        let images = rounds.layers_to_scan(Pair { plain: &setup, plinth: &own });
        assert_eq!(images["a"], "r/x/plain/api:cold");
        assert_eq!(images["w"], "r/x/without-base-apt/plinth/api:cold");
    }

    #[test]
    fn the_cold_round_of_plain_is_the_measure() {
        let names = sample::names();
        let all = sample::rounds(&names);
        let again = all.sides.plinth[0].clone();
        let mut without = rounds(&all, vec![(Without("split".into()), again)]);
        let (left_out, rounds) = &mut without[0];
        rounds.know_leftovers(&all.left);
        let row = left_out.row(rounds);
        assert_eq!((row.passes.as_str(), row.services), ("split", 2));
        assert_eq!(row.total, all.total());
    }
}
