//! The second level: layers that hold the same, though their blobs differ.

use serde::Serialize;

use super::Total;
use super::table::Table;

/// Layers of equal content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Layers {
    /// All layers that could be read; a copy is one whose entries are the same, whatever their order and times.
    #[serde(flatten)]
    pub total: Total,
    /// Of the saving: what is the same byte for byte once uncompressed (one diff ID).
    pub recompressed: u64,
    /// The groups, those first that would save most. Layers by their place in the table.
    pub groups: Vec<Group>,
}

/// Layers with the same content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// What they differ in.
    pub differ: Differ,
    /// The layers, by their place in the table.
    pub layers: Vec<usize>,
    /// Bytes of all of them.
    pub stored: u64,
    /// Bytes that storing one would save.
    pub saving: u64,
}

/// What layers with the same content differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Differ {
    /// Only in how they are compressed.
    Compression,
    /// In the times or the order of their entries, or in how the tar format spells them.
    Times,
}

/// Finds the layers that hold the same.
#[must_use]
pub(super) fn layers(table: &Table) -> Layers {
    let size = |at: &usize| table.rows[*at].blob.size;
    let saving = |group: &[usize]| {
        let sizes = group.iter().map(size);
        sizes.clone().sum::<u64>() - sizes.max().unwrap_or_default()
    };
    let mut all = Layers::default();
    let known = table.rows.iter().filter(|row| row.shape.is_some());
    let (copies, stored) = known.fold((0, 0), |(copies, stored), row| (copies + 1, stored + row.blob.size));
    all.total = Total { distinct: copies, copies, stored, repeated: 0, saving: 0 };
    all.recompressed = table.equal(|shape| shape.diff_id).iter().map(|group| saving(group)).sum();
    for group in table.equal(|shape| shape.canonical) {
        let diff_id = |at: &usize| table.rows[*at].shape.as_ref().map(|shape| shape.diff_id);
        let same = group.iter().all(|at| diff_id(at) == diff_id(&group[0]));
        let stored = group.iter().map(size).sum();
        let row = Group {
            differ: if same { Differ::Compression } else { Differ::Times },
            stored,
            saving: saving(&group),
            layers: group,
        };
        all.total.distinct -= row.layers.len() as u64 - 1;
        all.total.repeated += row.stored;
        all.total.saving += row.saving;
        all.groups.push(row);
    }
    all.groups.sort_by(|a, b| b.saving.cmp(&a.saving).then_with(|| a.layers.cmp(&b.layers)));
    all
}
