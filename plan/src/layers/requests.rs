//! The requests of one interpreter, and which of them have which wheels.

use std::collections::{BTreeMap, BTreeSet};

use plinth_layers::pip::Named;

use super::Wheel;
use crate::choose::Plan;
use crate::wheels::Wheels;

/// What the requests of one interpreter install.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// The wheels, sorted; elsewhere each is its number here.
    pub(super) wheels: Vec<Wheel>,
    /// Bytes of each wheel, if its size is known.
    pub(super) size: Vec<Option<u64>>,
    /// The requests that have it.
    having: Vec<Which>,
    /// The wheels of each request, and how many services have it.
    pub(super) all: Vec<(Vec<usize>, usize)>,
    /// Packages that something needs on some releases of the interpreter only: with others in one layer, that would fit on
    /// those alone.
    pub(super) conditional: BTreeSet<String>,
}

/// Some of the requests: a bit for each.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Which(Vec<u64>);

impl Which {
    fn none(of: usize) -> Self {
        Self(vec![0; of.div_ceil(64)])
    }

    fn add(&mut self, number: usize) {
        self.0[number / 64] |= 1 << (number % 64);
    }

    pub(super) fn has(&self, number: usize) -> bool {
        self.0[number / 64] >> (number % 64) & 1 == 1
    }

    fn and(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(one, other)| *one &= other);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|bits| *bits == 0)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        let ones = |(at, bits): (usize, &u64)| {
            let bits = *bits;
            (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| at * 64 + bit)
        };
        self.0.iter().enumerate().filter(|(_, bits)| **bits != 0).flat_map(ones)
    }

    /// How many there are that the other has not.
    fn without(&self, other: &Self) -> u64 {
        self.0.iter().zip(&other.0).map(|(one, other)| u64::from((one & !other).count_ones())).sum()
    }
}

impl Requests {
    pub(super) fn of(plan: &Plan, known: &Wheels, python: &str) -> Self {
        let planned: Vec<_> = plan.planned.iter().filter(|planned| planned.set.python == python).collect();
        let mut size: BTreeMap<Wheel, Option<u64>> = BTreeMap::new();
        let mut conditional = BTreeSet::new();
        for pin in planned.iter().flat_map(|planned| planned.pins.values()) {
            let wheel = (pin.name.clone(), pin.version.clone());
            if size.contains_key(&wheel) {
                continue;
            }
            let known = known.get(&pin.sha256);
            size.insert(wheel, known.and_then(|known| known.size));
            let needs = known.and_then(|known| known.needs.as_ref());
            let named = needs.into_iter().flat_map(|needs| &needs.requires);
            let some = named.filter(|text| text.contains("python_full_version"));
            conditional.extend(some.filter_map(|text| Named::parse(text).ok()).map(|named| named.name));
        }
        let wheels = |planned: &&crate::choose::Planned| {
            planned.pins.values().map(|pin| (pin.name.clone(), pin.version.clone())).collect::<Vec<_>>()
        };
        let all = planned.iter().map(|planned| (wheels(planned), planned.set.services.len()));
        Self::new(all, size, conditional)
    }

    /// Requests by their wheels, with how many services have each; and the bytes of all wheels.
    pub(super) fn new(
        all: impl Iterator<Item = (Vec<Wheel>, usize)>,
        size: BTreeMap<Wheel, Option<u64>>,
        conditional: BTreeSet<String>,
    ) -> Self {
        let (wheels, size): (Vec<Wheel>, Vec<Option<u64>>) = size.into_iter().unzip();
        let mut requests = Self { wheels, size, conditional, ..Self::default() };
        requests.all = all
            .map(|(wheels, services)| {
                let numbers: BTreeSet<usize> =
                    wheels.iter().filter_map(|wheel| requests.number(wheel)).collect();
                (numbers.into_iter().collect(), services)
            })
            .collect();
        requests.having = vec![Which::none(requests.all.len()); requests.wheels.len()];
        for (request, (wheels, _)) in requests.all.iter().enumerate() {
            wheels.iter().for_each(|wheel| requests.having[*wheel].add(request));
        }
        requests
    }

    pub(super) fn number(&self, wheel: &Wheel) -> Option<usize> {
        self.wheels.binary_search(wheel).ok()
    }

    /// Wheels whose size is known, which alone have layers.
    pub(super) fn sized(&self) -> impl Iterator<Item = usize> {
        (0..self.wheels.len()).filter(|wheel| self.size[*wheel].is_some())
    }

    pub(super) fn bytes<'a>(&self, wheels: impl IntoIterator<Item = &'a usize>) -> u64 {
        wheels.into_iter().filter_map(|wheel| self.size[*wheel]).sum()
    }

    /// The requests that have all of some wheels.
    pub(super) fn having<'a>(&self, wheels: impl IntoIterator<Item = &'a usize>) -> Which {
        let mut wheels = wheels.into_iter();
        let Some(first) = wheels.next() else { return Which::none(self.all.len()) };
        let mut having = self.having[*first].clone();
        wheels.for_each(|wheel| having.and(&self.having[*wheel]));
        having
    }

    /// The services that have all of some wheels.
    pub(super) fn services<'a>(&self, wheels: impl IntoIterator<Item = &'a usize>) -> usize {
        self.having(wheels).iter().map(|request| self.all[request].1).sum()
    }

    /// The bytes that requests with only a part of some wheels have of them.
    pub(super) fn in_parts<'a>(&self, wheels: impl IntoIterator<Item = &'a usize> + Clone) -> u64 {
        let whole = self.having(wheels.clone());
        let of = |wheel: &usize| self.size[*wheel].unwrap_or(0) * self.having[*wheel].without(&whole);
        wheels.into_iter().map(of).sum()
    }
}
