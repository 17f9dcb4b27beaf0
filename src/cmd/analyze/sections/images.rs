//! The images, and the waste in each.

use super::{Told, shortened};
use crate::amount::{bytes, percent};
use crate::section::{Detail, Section, section};

pub(super) fn images(told: Told<'_>, detail: Detail, top: usize) -> Section {
    let Told { found, analysis, .. } = told;
    let mut rows: Vec<(u64, Vec<String>)> = Vec::new();
    let (mut hidden, mut left) = (0, 0);
    for (image, waste) in found.images.iter().zip(&analysis.waste) {
        let stored = image.layers.iter().map(|layer| layer.blob.size).sum();
        let mut row = vec![shortened(&image.name, 40), bytes(stored), image.layers.len().to_string()];
        let wasted = match waste {
            Some(waste) => {
                row.extend([bytes(waste.hidden()), bytes(waste.left_behind()), percent(waste.efficiency)]);
                hidden += waste.hidden();
                left += waste.left_behind();
                waste.hidden() + waste.left_behind()
            }
            None => {
                row.extend(["?".to_owned(), "?".to_owned(), "?".to_owned()]);
                0
            }
        };
        rows.push((wasted, row));
    }
    rows.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let rows = rows.into_iter().map(|(_, row)| row).collect();
    let header = ["image", "stored", "layers", "hidden", "left behind", "efficiency"];
    let mut images = section("Images, those first that waste most", &header, rows);
    if hidden + left > 0 {
        images.lines.push(format!(
            "hidden by upper layers of the same image: {}; left behind by package managers: {}",
            bytes(hidden),
            bytes(left)
        ));
    }
    images.at_most(top, detail)
}
