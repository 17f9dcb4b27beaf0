//! What layers come to.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::requests::Requests;
use super::{Figures, Numbers};

impl Requests {
    pub(super) fn one_each(&self) -> Vec<Numbers> {
        self.sized().map(|wheel| Numbers::from([wheel])).collect()
    }

    pub(super) fn popular(&self, count: usize) -> Vec<Numbers> {
        let mut all = self.one_each();
        all.sort_by_cached_key(|layer| (Reverse(self.services(layer)), layer.clone()));
        all.truncate(count);
        all
    }

    /// What layers come to if an install has no more than so many, the biggest, and the rest in one of its own.
    pub(super) fn figures(&self, layers: &[Numbers], most: usize) -> Figures {
        let mut figures = Figures::default();
        let (mut sum, mut services) = (0, 0);
        let mut stored: BTreeSet<usize> = BTreeSet::new();
        // By wheel, the bytes of everything that has it in it.
        let mut touched: Vec<u64> = vec![0; self.wheels.len()];
        let bytes: Vec<u64> = layers.iter().map(|layer| self.bytes(layer)).collect();
        let mut by_request: Vec<Vec<usize>> = vec![Vec::new(); self.all.len()];
        for (layer, wheels) in layers.iter().enumerate() {
            self.having(wheels).iter().for_each(|request| by_request[request].push(layer));
        }
        for ((wheels, count), mut mine) in self.all.iter().zip(by_request) {
            mine.sort_by_key(|layer| Reverse(bytes[*layer]));
            mine.truncate(most);
            let covered: BTreeSet<usize> = mine.iter().flat_map(|layer| &layers[*layer]).copied().collect();
            let tail: Vec<usize> = wheels.iter().filter(|wheel| !covered.contains(wheel)).copied().collect();
            let size = self.bytes(&tail);
            figures.stored += size;
            tail.iter().for_each(|wheel| touched[*wheel] += size);
            let layers = mine.len() + usize::from(!tail.is_empty());
            figures.most = figures.most.max(layers);
            sum += layers * count;
            services += count;
            stored.extend(mine);
        }
        for layer in stored {
            figures.stored += bytes[layer];
            layers[layer].iter().for_each(|wheel| touched[*wheel] += bytes[layer]);
        }
        figures.mean = sum as f64 / services.max(1) as f64;
        figures.update = touched.iter().sum::<u64>() / touched.len().max(1) as u64;
        figures
    }
}
