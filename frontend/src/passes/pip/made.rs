//! What a step was made into.

use plinth_proto::graph::Edge;

use super::Treatment;
use super::carry::Known;
use super::ops::Payload;
use crate::image::LayerNote;

/// A step that was replaced.
pub(super) struct Assembled {
    /// What takes the place of its result.
    pub(super) edge: Edge,
    /// Its layers, for the history.
    pub(super) notes: Vec<LayerNote>,
    /// For the report.
    pub(super) treatment: Treatment,
    /// Those of its layers that are payloads.
    pub(super) payloads: Vec<(Payload, Known)>,
}

impl Assembled {
    /// A step with nothing to do.
    pub(super) fn satisfied(before: Edge, reason: String) -> Self {
        let treatment = Treatment::Satisfied(reason);
        Self { edge: before, notes: Vec::new(), treatment, payloads: Vec::new() }
    }
}

/// What the installs of a step have come to so far.
#[derive(Default)]
pub(super) struct Made {
    /// Its layers, for the history.
    pub(super) notes: Vec<LayerNote>,
    /// `name version` of the wheels with a layer of their own.
    pub(super) alone: Vec<String>,
    /// `name version` of the wheels of tail layers.
    pub(super) tail: Vec<String>,
    /// `name version` of what was removed first.
    pub(super) removed: Vec<String>,
    /// Files that the shell makes of what installers print.
    pub(super) outputs: Vec<String>,
    /// Some install has the versions of the fleet's lock.
    pub(super) locked: bool,
    /// Why an install has no versions of the fleet's lock: the first reason.
    pub(super) outside: Option<String>,
    /// The payloads that are a layer of their own.
    pub(super) payloads: Vec<(Payload, Known)>,
    /// What ran by itself.
    pub(super) runs: Vec<String>,
}

impl Made {
    /// What comes next.
    pub(super) fn add(&mut self, next: Self) {
        self.notes.extend(next.notes);
        self.alone.extend(next.alone);
        self.tail.extend(next.tail);
        self.removed.extend(next.removed);
        self.outputs.extend(next.outputs);
        self.locked |= next.locked;
        self.outside = self.outside.take().or(next.outside);
        self.payloads.extend(next.payloads);
        self.runs.extend(next.runs);
    }

    /// The step, with this as its result.
    pub(super) fn assembled(self, edge: Edge, installs: usize) -> Assembled {
        let treatment = self.treatment(installs);
        Assembled { edge, notes: self.notes, treatment, payloads: self.payloads }
    }

    fn treatment(&self, installs: usize) -> Treatment {
        let Self { notes, alone, tail, removed, outputs, locked, outside, runs, .. } = self;
        let layers = notes.len();
        match (layers - runs.len(), installs) {
            (0, 0) => Treatment::Satisfied("its conditions aren't met, so it installs nothing".to_owned()),
            (0, _) => Treatment::Satisfied("everything that it asks for is installed already".to_owned()),
            _ => Treatment::Assembled {
                alone: alone.clone(),
                tail: tail.clone(),
                removed: removed.clone(),
                outputs: outputs.clone(),
                locked: *locked,
                outside: outside.clone(),
                runs: runs.clone(),
                layers,
            },
        }
    }
}
