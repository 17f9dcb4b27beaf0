//! The choice of layers: those of an earlier plan that stay, then new ones.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use plinth_layers::lock::LAYERS;

use super::requests::{Requests, Which};
use super::{Numbers, Wheel};

/// A wheel of this many bytes stands alone.
const BIG: u64 = 1 << 20;
/// Less than these bytes aren't worth a layer.
const WORTH_A_LAYER: u64 = 16 << 10;

impl Requests {
    /// Chooses the layers: those of an earlier plan in their order, then new ones, the most popular first.
    pub(super) fn choose(&self, before: &[BTreeSet<Wheel>]) -> Vec<Numbers> {
        let kept = self.kept(before);
        let place: BTreeMap<usize, usize> =
            kept.iter().enumerate().flat_map(|(at, layer)| layer.iter().map(move |one| (*one, at))).collect();
        // Layers that go together have the place of the first.
        let order = |layer: &Numbers| {
            layer.iter().filter_map(|wheel| place.get(wheel)).min().copied().unwrap_or(usize::MAX)
        };
        let mut layers = kept.clone();
        let mut classes: BTreeMap<Which, Numbers> = BTreeMap::new();
        for wheel in self.sized().filter(|wheel| !place.contains_key(wheel)) {
            classes.entry(self.having([&wheel])).or_default().insert(wheel);
        }
        for class in classes.into_values() {
            let alone = |wheel: &usize| {
                self.size[*wheel] >= Some(BIG) || self.conditional.contains(&self.wheels[*wheel].0)
            };
            let (big, small): (Numbers, Numbers) = class.into_iter().partition(alone);
            let big = big.into_iter().filter(|wheel| self.size[*wheel] >= Some(WORTH_A_LAYER));
            layers.extend(big.map(|wheel| Numbers::from([wheel])));
            if self.bytes(&small) >= WORTH_A_LAYER {
                layers.push(small);
            }
        }
        self.fit(&mut layers);
        layers.sort_by_cached_key(|layer| {
            (order(layer), Reverse(self.services(layer)), Reverse(self.bytes(layer)), layer.clone())
        });
        layers
    }

    /// The earlier layers that stay: each wheel in one of them at most.
    fn kept(&self, before: &[BTreeSet<Wheel>]) -> Vec<Numbers> {
        let old: BTreeSet<&Wheel> = before.iter().flatten().collect();
        // New versions take the places of those that are gone, the most popular first.
        let mut new: Vec<usize> = self.sized().filter(|wheel| !old.contains(&self.wheels[*wheel])).collect();
        new.sort_by_cached_key(|wheel| (Reverse(self.services([wheel])), *wheel));
        let mut instead: BTreeMap<&str, VecDeque<usize>> = BTreeMap::new();
        for wheel in new {
            instead.entry(&self.wheels[wheel].0).or_default().push_back(wheel);
        }
        let mut kept = Vec::new();
        for earlier in before {
            let mut layer = Numbers::new();
            for wheel in earlier {
                let same = self.number(wheel).filter(|wheel| self.size[*wheel].is_some());
                layer.extend(same.or_else(|| instead.get_mut(wheel.0.as_str())?.pop_front()));
            }
            // A request with only some of them has these once more, by itself.
            let fits = !self.having(&layer).is_empty() && self.in_parts(&layer) <= self.bytes(&layer);
            if !layer.is_empty() && fits {
                kept.push(layer);
            }
        }
        kept
    }

    /// Puts layers together that the same requests have, until no request has too many, or nothing can be done about it.
    fn fit(&self, layers: &mut Vec<Numbers>) {
        let mut having: Vec<Which> = layers.iter().map(|layer| self.having(layer)).collect();
        for request in 0..self.all.len() {
            loop {
                let mine: Vec<usize> =
                    (0..layers.len()).filter(|layer| having[*layer].has(request)).collect();
                if mine.len() <= LAYERS {
                    break;
                }
                let mut classes: BTreeMap<&Which, Vec<usize>> = BTreeMap::new();
                for layer in mine {
                    classes.entry(&having[layer]).or_default().push(layer);
                }
                let bytes = |layer: &usize| self.bytes(&layers[*layer]);
                let pairs = classes.into_values().filter_map(|mut class| {
                    class.sort_by_cached_key(bytes);
                    let pair = (*class.first()?, *class.get(1)?);
                    Some((bytes(&pair.0) + bytes(&pair.1), pair))
                });
                let Some((_, (first, second))) = pairs.min() else { break };
                let (first, second) = (first.min(second), first.max(second));
                having.remove(second);
                let more = layers.remove(second);
                layers[first].extend(more);
            }
        }
    }
}
