//! Which wheels share a layer.
//!
//! Every byte of a wheel is stored once if it stands in a layer that every service with that wheel has too. So wheels that
//! the same requests have may share a layer at no cost, and others may not. Within such a class, a big wheel is alone, so
//! that a new version of another one doesn't change its layer; the small ones are together, since layers cost round
//! trips. An install has no more than [`LAYERS`]: where one would have more, wheels of one class go together until it fits.
//! What an install has nevertheless beyond that, the smallest, goes into a layer of its own, which nobody shares.
//!
//! Layers of an earlier plan stay, even where a request has only some of their wheels now, as long as that stores no more
//! than the layer anew: for those that have it, nothing changes.
//!
//! ```text
//! requests  which requests have which wheels
//! choice    the choice of layers
//! figures   what layers come to
//! ```

mod choice;
mod figures;
mod requests;

use std::collections::BTreeSet;

use plinth_layers::lock::{LAYERS, Layer};

use crate::choose::Plan;
use crate::wheels::Wheels;
use requests::Requests;

/// A wheel, by name and version.
type Wheel = (String, String);
/// Wheels, by their numbers in [`Requests`].
type Numbers = BTreeSet<usize>;

/// Bytes and layers that a choice of layers comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Bytes that a registry stores: wheels as they are packed.
    pub stored: u64,
    /// The most layers that a service gets, without the records.
    pub most: usize,
    /// Layers of a service on average.
    pub mean: f64,
    /// Bytes that are stored and pulled anew if one wheel has a new version, on average over the wheels.
    pub update: u64,
}

/// Ways of laying out the layers of one interpreter, side by side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Wheels.
    pub wheels: usize,
    /// Bytes of all wheels, each once: no choice stores less.
    pub bound: u64,
    /// By the plan.
    pub plan: Figures,
    /// Every wheel a layer, however many that are.
    pub per_wheel: Figures,
    /// Every request a layer.
    pub per_service: Figures,
    /// The most popular wheels a layer each, the rest together by request.
    pub popular: Figures,
    /// Layers of the earlier plan that are there unchanged, those that aren't, and the bytes of new ones.
    pub kept: usize,
    /// See [`Self::kept`].
    pub gone: usize,
    /// Layers that weren't there.
    pub new: usize,
    /// Their bytes.
    pub new_bytes: u64,
    /// Layers that are there unchanged though some request has only a part of them.
    pub in_parts: usize,
    /// The bytes of these parts, which each such request stores by itself.
    pub in_parts_bytes: u64,
}

/// The layers of all interpreters of a plan. `before` are those of an earlier one.
#[must_use]
pub fn layers(plan: &Plan, known: &Wheels, before: &[Layer]) -> Vec<Layer> {
    let mut layers = Vec::new();
    for python in plan.shared.keys() {
        let requests = Requests::of(plan, known, python);
        let text = |wheel: usize| format!("{}=={}", requests.wheels[wheel].0, requests.wheels[wheel].1);
        layers.extend(requests.choose(&earlier(before, python)).into_iter().map(|wheels| Layer {
            python: python.clone(),
            packages: wheels.into_iter().map(text).collect(),
        }));
    }
    layers
}

/// Compares the layers of one interpreter with what others would do, and with those of an earlier plan.
#[must_use]
pub fn compare(plan: &Plan, known: &Wheels, python: &str, layers: &[Layer], before: &[Layer]) -> Comparison {
    let requests = Requests::of(plan, known, python);
    let here = |layer: &&Layer| layer.python == python;
    let packages = |layers: &[Layer]| -> BTreeSet<Vec<String>> {
        layers.iter().filter(here).map(|layer| layer.packages.clone()).collect()
    };
    let numbers = |packages: &Vec<String>| -> Numbers {
        wheels(packages).iter().filter_map(|wheel| requests.number(wheel)).collect()
    };
    let (now, earlier) = (packages(layers), packages(before));
    let chosen: Vec<Numbers> = layers.iter().filter(here).map(|layer| numbers(&layer.packages)).collect();
    let new: Vec<&Vec<String>> = now.difference(&earlier).collect();
    let in_parts: Vec<u64> = now
        .intersection(&earlier)
        .map(|packages| requests.in_parts(&numbers(packages)))
        .filter(|bytes| *bytes > 0)
        .collect();
    Comparison {
        wheels: requests.wheels.len(),
        bound: requests.size.iter().flatten().sum(),
        plan: requests.figures(&chosen, LAYERS),
        per_wheel: requests.figures(&requests.one_each(), usize::MAX),
        per_service: requests.figures(&[], LAYERS),
        popular: requests.figures(&requests.popular(LAYERS), LAYERS),
        kept: now.intersection(&earlier).count(),
        gone: earlier.difference(&now).count(),
        new: new.len(),
        new_bytes: new.into_iter().map(|packages| requests.bytes(&numbers(packages))).sum(),
        in_parts: in_parts.len(),
        in_parts_bytes: in_parts.into_iter().sum(),
    }
}

fn wheels(packages: &[String]) -> BTreeSet<Wheel> {
    let split =
        |pin: &String| pin.split_once("==").map(|(name, version)| (name.to_owned(), version.to_owned()));
    packages.iter().filter_map(split).collect()
}

/// Earlier layers of an interpreter.
fn earlier(before: &[Layer], python: &str) -> Vec<BTreeSet<Wheel>> {
    let here = before.iter().filter(|layer| layer.python == python);
    here.map(|layer| wheels(&layer.packages)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const KB: u64 = 1 << 10;

    /// Requests in words: `a:500 b:20`, sizes in KB.
    fn requests(texts: &[&str]) -> Requests {
        let (mut all, mut sizes) = (Vec::new(), BTreeMap::new());
        for text in texts {
            let mut wheels = Vec::new();
            for word in text.split(' ') {
                let (name, size) = word.split_once(':').unwrap_or((word, "0"));
                let wheel = (name.to_owned(), "1".to_owned());
                sizes.insert(wheel.clone(), Some(size.parse::<u64>().unwrap_or(0) * KB));
                wheels.push(wheel);
            }
            all.push((wheels, 1));
        }
        Requests::new(all.into_iter(), sizes, BTreeSet::new())
    }

    fn bound(requests: &Requests) -> u64 {
        requests.size.iter().flatten().sum()
    }

    fn chosen(requests: &Requests, before: &[&[&str]]) -> Vec<String> {
        let wheel = |text: &&str| {
            let (name, version) = text.split_once('=').unwrap_or((text, "1"));
            (name.to_owned(), version.to_owned())
        };
        let before: Vec<BTreeSet<Wheel>> =
            before.iter().map(|wheels| wheels.iter().map(wheel).collect()).collect();
        let join = |layer: &Numbers| {
            layer.iter().map(|wheel| requests.wheels[*wheel].0.as_str()).collect::<Vec<_>>().join(" ")
        };
        requests.choose(&before).iter().map(join).collect()
    }

    #[test]
    fn wheels_of_the_same_services_go_together() {
        let fleet = requests(&["a:20 b:20 c:9000 d:30", "a:20 b:20 c:9000", "x:2 y:3"]);
        // What is too small for a layer is in none.
        assert_eq!(chosen(&fleet, &[]), ["c", "a b", "d"]);
        let layers = fleet.choose(&[]);
        let figures = fleet.figures(&layers, LAYERS);
        assert_eq!(figures.stored, bound(&fleet));
        assert_eq!((figures.most, figures.mean), (3, 2.0));
        assert_eq!(fleet.figures(&[], LAYERS).stored, (40 + 9000 + 30 + 40 + 9000 + 5) * KB);
    }

    #[test]
    fn earlier_layers_stay_while_that_is_cheaper() {
        let now = requests(&["a:20 b:20 c:20", "a:20 b:20 c:20", "a:20"]);
        assert_eq!(chosen(&now, &[]), ["a", "b c"]);
        // 20 KB twice, and not 60 KB anew.
        assert_eq!(chosen(&now, &[&["a", "b", "c"]]), ["a b c"]);
        let later = requests(&["a:20 b:20 c:20", "a:20", "a:20 b:20", "b:20 a:20 d:9"]);
        assert_eq!(chosen(&later, &[&["a", "b", "c"]]), ["a", "b", "c"]);
        // A package that nobody has any more leaves its layer, and a new one doesn't join.
        let gone = requests(&["a:20 c:20 e:20", "a:20 c:20 e:20"]);
        assert_eq!(chosen(&gone, &[&["a", "b", "c"]]), ["a c", "e"]);
        // A new version takes the place of the old one.
        assert_eq!(chosen(&gone, &[&["a", "c=0.9"]]), ["a c", "e"]);
        // What was chosen is chosen again.
        let layers = later.choose(&[]);
        let before: Vec<BTreeSet<Wheel>> = layers
            .iter()
            .map(|layer| layer.iter().map(|wheel| later.wheels[*wheel].clone()).collect())
            .collect();
        assert_eq!(later.choose(&before), layers);
    }

    #[test]
    fn no_request_has_too_many() {
        let many: Vec<String> = (0..60).map(|i| format!("p{i:02}:{}", 2000 + i)).collect();
        let fleet = requests(&[&many.join(" "), "q:2000"]);
        let layers = fleet.choose(&[]);
        assert_eq!(fleet.figures(&layers, usize::MAX).most, LAYERS);
        assert_eq!(fleet.figures(&layers, LAYERS).stored, bound(&fleet));
    }
}
