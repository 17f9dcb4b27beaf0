//! The images, and the waste in each.

use super::Told;
use super::names::Names;
use crate::amount::{bytes, percent};
use crate::section::{Detail, Section, section};

pub(super) fn images(told: Told<'_>, detail: Detail, top: usize) -> Section {
    let Told { found, analysis, .. } = told;
    let names = Names::of(found);
    let mut rows: Vec<(u64, Vec<String>)> = Vec::new();
    for row in &names.rows {
        let image = &found.images[row[0]];
        let stored = image.layers.iter().map(|layer| layer.blob.size).sum();
        let mut cells = vec![names.label(row), bytes(stored), image.layers.len().to_string()];
        let wasted = match &analysis.waste[row[0]] {
            Some(waste) => {
                cells.extend([bytes(waste.hidden()), bytes(waste.left_behind()), percent(waste.efficiency)]);
                waste.hidden() + waste.left_behind()
            }
            None => {
                cells.extend(["?".to_owned(), "?".to_owned(), "?".to_owned()]);
                0
            }
        };
        rows.push((wasted, cells));
    }
    rows.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let rows = rows.into_iter().map(|(_, row)| row).collect();
    let header = ["image", "stored", "layers", "hidden", "left behind", "efficiency"];
    let title = match names.common.as_str() {
        "" => "Images, those first that waste most".to_owned(),
        common => format!("Images of {common}, those first that waste most"),
    };
    let mut images = section(title, &header, rows);
    let wasted = &analysis.wasted;
    if wasted.hidden + wasted.left_behind > 0 {
        images.lines.push(format!(
            "in all, each file once: {} hidden by upper layers, {} left behind by package managers",
            bytes(wasted.hidden),
            bytes(wasted.left_behind)
        ));
    }
    images.at_most(top, detail)
}
