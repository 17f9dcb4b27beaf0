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

use std::collections::{BTreeMap, BTreeSet};

use plinth_layers::lock::{LAYERS, Layer};
use plinth_layers::pip::Named;

use crate::choose::Plan;
use crate::wheels::Wheels;

/// A wheel of this many bytes stands alone.
const BIG: u64 = 1 << 20;
/// Less than these bytes aren't worth a layer.
const WORTH_A_LAYER: u64 = 16 << 10;

/// A wheel, by name and version.
type Wheel = (String, String);

/// What the requests of one interpreter install.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    /// The wheels of each, and how many services have it.
    all: Vec<(BTreeSet<Wheel>, usize)>,
    /// Bytes of each wheel whose size is known.
    size: BTreeMap<Wheel, u64>,
    /// Packages that something needs on some releases of the interpreter only: with others in one layer, that would fit on
    /// those alone.
    conditional: BTreeSet<String>,
}

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
}

/// The layers of all interpreters of a plan. `before` are those of an earlier one.
#[must_use]
pub fn layers(plan: &Plan, known: &Wheels, before: &[Layer]) -> Vec<Layer> {
    let mut layers = Vec::new();
    for python in plan.shared.keys() {
        let requests = Requests::of(plan, known, python);
        let chosen = requests.choose(&earlier(before, python));
        layers.extend(chosen.into_iter().map(|wheels| Layer {
            python: python.clone(),
            packages: wheels.into_iter().map(|(name, version)| format!("{name}=={version}")).collect(),
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
    let (now, earlier) = (packages(layers), packages(before));
    let chosen: Vec<BTreeSet<Wheel>> =
        layers.iter().filter(here).map(|layer| wheels(&layer.packages)).collect();
    let new: Vec<&Vec<String>> = now.difference(&earlier).collect();
    Comparison {
        wheels: requests.wheels().len(),
        bound: requests.bytes(&requests.wheels()),
        plan: requests.figures(&chosen, LAYERS),
        per_wheel: requests.figures(&requests.one_each(), usize::MAX),
        per_service: requests.figures(&[], LAYERS),
        popular: requests.figures(&requests.popular(LAYERS), LAYERS),
        kept: now.intersection(&earlier).count(),
        gone: earlier.difference(&now).count(),
        new: new.len(),
        new_bytes: new.into_iter().map(|packages| requests.bytes(&wheels(packages))).sum(),
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

impl Requests {
    fn of(plan: &Plan, known: &Wheels, python: &str) -> Self {
        let mut requests = Self::default();
        for planned in plan.planned.iter().filter(|planned| planned.set.python == python) {
            let mut wheels = BTreeSet::new();
            for pin in planned.pins.values() {
                let wheel = (pin.name.clone(), pin.version.clone());
                let known = known.get(&pin.sha256);
                if let Some(size) = known.and_then(|known| known.size) {
                    requests.size.insert(wheel.clone(), size);
                }
                let needs = known.and_then(|known| known.needs.as_ref());
                let named = needs.into_iter().flat_map(|needs| &needs.requires);
                let conditional = named.filter(|text| text.contains("python_full_version"));
                let names = conditional.filter_map(|text| Named::parse(text).ok());
                requests.conditional.extend(names.map(|named| named.name));
                wheels.insert(wheel);
            }
            requests.all.push((wheels, planned.set.services.len()));
        }
        requests
    }

    fn wheels(&self) -> BTreeSet<Wheel> {
        self.all.iter().flat_map(|(wheels, _)| wheels.iter().cloned()).collect()
    }

    fn bytes(&self, wheels: &BTreeSet<Wheel>) -> u64 {
        wheels.iter().filter_map(|wheel| self.size.get(wheel)).sum()
    }

    /// The requests that have all of some wheels.
    fn having(&self, wheels: &BTreeSet<Wheel>) -> BTreeSet<usize> {
        (0..self.all.len()).filter(|number| wheels.is_subset(&self.all[*number].0)).collect()
    }

    /// The services that have all of some wheels.
    fn services(&self, wheels: &BTreeSet<Wheel>) -> usize {
        self.having(wheels).into_iter().map(|number| self.all[number].1).sum()
    }

    fn one_each(&self) -> Vec<BTreeSet<Wheel>> {
        self.wheels().into_iter().map(|wheel| BTreeSet::from([wheel])).collect()
    }

    fn popular(&self, count: usize) -> Vec<BTreeSet<Wheel>> {
        let mut all = self.one_each();
        all.sort_by_cached_key(|layer| (std::cmp::Reverse(self.services(layer)), layer.clone()));
        all.truncate(count);
        all
    }

    /// Chooses the layers: those of an earlier plan in their order, then new ones, the most popular first.
    fn choose(&self, before: &[BTreeSet<Wheel>]) -> Vec<BTreeSet<Wheel>> {
        let kept = self.kept(before);
        let order = |layer: &BTreeSet<Wheel>| {
            kept.iter().position(|kept| kept.is_subset(layer)).unwrap_or(usize::MAX)
        };
        let mut layers = kept.clone();
        let taken: BTreeSet<&Wheel> = layers.iter().flatten().collect();
        let mut classes: BTreeMap<BTreeSet<usize>, BTreeSet<Wheel>> = BTreeMap::new();
        for wheel in self.size.keys().filter(|wheel| !taken.contains(wheel)) {
            classes.entry(self.having(&BTreeSet::from([wheel.clone()]))).or_default().insert(wheel.clone());
        }
        for class in classes.into_values() {
            let (big, small): (Vec<Wheel>, Vec<Wheel>) = class
                .into_iter()
                .partition(|wheel| self.size[wheel] >= BIG || self.conditional.contains(&wheel.0));
            let big = big.into_iter().filter(|wheel| self.size[wheel] >= WORTH_A_LAYER);
            layers.extend(big.map(|wheel| BTreeSet::from([wheel])));
            let small: BTreeSet<Wheel> = small.into_iter().collect();
            if self.bytes(&small) >= WORTH_A_LAYER {
                layers.push(small);
            }
        }
        while let Some((first, second)) = self.too_many(&layers) {
            let (first, second) = (first.min(second), first.max(second));
            let more = layers.remove(second);
            layers[first].extend(more);
        }
        layers.sort_by_cached_key(|layer| {
            let (services, bytes) = (self.services(layer), self.bytes(layer));
            (order(layer), std::cmp::Reverse(services), std::cmp::Reverse(bytes), layer.clone())
        });
        layers
    }

    /// The earlier layers that stay: each wheel in one of them at most.
    fn kept(&self, before: &[BTreeSet<Wheel>]) -> Vec<BTreeSet<Wheel>> {
        let old: BTreeSet<&Wheel> = before.iter().flatten().collect();
        // New versions take the places of those that are gone, the most popular first.
        let mut new: Vec<&Wheel> = self.size.keys().filter(|wheel| !old.contains(wheel)).collect();
        new.sort_by_cached_key(|wheel| {
            (std::cmp::Reverse(self.services(&BTreeSet::from([(*wheel).clone()]))), *wheel)
        });
        let mut kept = Vec::new();
        for earlier in before {
            let mut layer = BTreeSet::new();
            for wheel in earlier {
                if self.size.contains_key(wheel) {
                    layer.insert(wheel.clone());
                } else if let Some(place) = new.iter().position(|other| other.0 == wheel.0) {
                    layer.insert(new.remove(place).clone());
                }
            }
            // A request with only some of them has these once more, by itself.
            let whole = self.having(&layer);
            let others = (0..self.all.len()).filter(|number| !whole.contains(number));
            let extra: u64 = others
                .map(|number| self.bytes(&self.all[number].0.intersection(&layer).cloned().collect()))
                .sum();
            if !layer.is_empty() && !whole.is_empty() && extra <= self.bytes(&layer) {
                kept.push(layer);
            }
        }
        kept
    }

    /// Two layers that go together because some request has too many, and the same requests have both.
    fn too_many(&self, layers: &[BTreeSet<Wheel>]) -> Option<(usize, usize)> {
        let having: Vec<BTreeSet<usize>> = layers.iter().map(|layer| self.having(layer)).collect();
        for request in 0..self.all.len() {
            let mine: Vec<usize> =
                (0..layers.len()).filter(|layer| having[*layer].contains(&request)).collect();
            if mine.len() <= LAYERS {
                continue;
            }
            let mut classes: BTreeMap<&BTreeSet<usize>, Vec<usize>> = BTreeMap::new();
            for layer in mine {
                classes.entry(&having[layer]).or_default().push(layer);
            }
            let bytes = |layer: &usize| self.bytes(&layers[*layer]);
            let pairs = classes.into_values().filter_map(|mut class| {
                class.sort_by_key(bytes);
                let pair = (*class.first()?, *class.get(1)?);
                Some((bytes(&pair.0) + bytes(&pair.1), pair))
            });
            if let Some((_, pair)) = pairs.min() {
                return Some(pair);
            }
        }
        None
    }

    /// What layers come to if an install has no more than so many, the biggest, and the rest in one of its own.
    fn figures(&self, layers: &[BTreeSet<Wheel>], most: usize) -> Figures {
        let mut stored: BTreeSet<usize> = BTreeSet::new();
        let mut figures = Figures::default();
        let (mut sum, mut services) = (0, 0);
        // By wheel, the bytes of everything that has it in it.
        let mut touched: BTreeMap<&Wheel, u64> = BTreeMap::new();
        let having: Vec<BTreeSet<usize>> = layers.iter().map(|layer| self.having(layer)).collect();
        for (number, (wheels, count)) in self.all.iter().enumerate() {
            let mut mine: Vec<usize> =
                (0..layers.len()).filter(|layer| having[*layer].contains(&number)).collect();
            mine.sort_by_key(|layer| std::cmp::Reverse(self.bytes(&layers[*layer])));
            mine.truncate(most);
            let covered: BTreeSet<&Wheel> = mine.iter().flat_map(|layer| &layers[*layer]).collect();
            let tail: BTreeSet<Wheel> =
                wheels.iter().filter(|wheel| !covered.contains(wheel)).cloned().collect();
            let bytes = self.bytes(&tail);
            figures.stored += bytes;
            for wheel in wheels.iter().filter(|wheel| !covered.contains(wheel)) {
                *touched.entry(wheel).or_default() += bytes;
            }
            let layers = mine.len() + usize::from(!tail.is_empty());
            figures.most = figures.most.max(layers);
            sum += layers * count;
            services += count;
            stored.extend(mine);
        }
        for layer in stored {
            let bytes = self.bytes(&layers[layer]);
            figures.stored += bytes;
            for wheel in &layers[layer] {
                *touched.entry(wheel).or_default() += bytes;
            }
        }
        figures.mean = sum as f64 / services.max(1) as f64;
        figures.update = touched.values().sum::<u64>() / touched.len().max(1) as u64;
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KB: u64 = 1 << 10;

    /// Requests in words: `a:500 b:20`, sizes in KB.
    fn requests(texts: &[&str]) -> Requests {
        let mut requests = Requests::default();
        for text in texts {
            let mut wheels = BTreeSet::new();
            for word in text.split(' ') {
                let (name, size) = word.split_once(':').unwrap_or((word, "0"));
                let wheel = (name.to_owned(), "1".to_owned());
                requests.size.insert(wheel.clone(), size.parse::<u64>().unwrap_or(0) * KB);
                wheels.insert(wheel);
            }
            requests.all.push((wheels, 1));
        }
        requests
    }

    fn chosen(requests: &Requests, before: &[&[&str]]) -> Vec<String> {
        let wheel = |text: &&str| {
            let (name, version) = text.split_once('=').unwrap_or((text, "1"));
            (name.to_owned(), version.to_owned())
        };
        let before: Vec<BTreeSet<Wheel>> =
            before.iter().map(|wheels| wheels.iter().map(wheel).collect()).collect();
        let join = |layer: &BTreeSet<Wheel>| {
            layer.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" ")
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
        assert_eq!(figures.stored, fleet.bytes(&fleet.wheels()));
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
        assert_eq!(later.choose(&layers), layers);
    }

    #[test]
    fn no_request_has_too_many() {
        let many: Vec<String> = (0..60).map(|i| format!("p{i:02}:{}", 2000 + i)).collect();
        let fleet = requests(&[&many.join(" "), "q:2000"]);
        let layers = fleet.choose(&[]);
        assert_eq!(fleet.figures(&layers, usize::MAX).most, LAYERS);
        assert_eq!(fleet.figures(&layers, LAYERS).stored, fleet.bytes(&fleet.wheels()));
    }
}
