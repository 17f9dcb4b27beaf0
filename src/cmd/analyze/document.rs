//! Everything, as a document for machines.

use plinth_analyze::image::Image;
use plinth_analyze::levels::{Analysis, Waste};
use plinth_analyze::problem::Problem;
use plinth_analyze::rules::Verdict;
use serde::Serialize;

use super::sections::Told;

/// The version of this document: one more whenever a field changes its meaning or goes.
const SCHEMA_VERSION: u32 = 1;

/// An analysis. Layers and images are named by their place in `table` and `images`.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    schema_version: u32,
    plinth: &'static str,
    sources: &'a [String],
    images: Vec<ImageRow<'a>>,
    #[serde(flatten)]
    levels: &'a Analysis,
    others: Vec<&'a plinth_analyze::image::Other>,
    rules: &'a [Verdict],
    problems: &'a [Problem],
}

#[derive(Serialize)]
struct ImageRow<'a> {
    #[serde(flatten)]
    image: &'a Image,
    /// Bytes of its layers as they are stored.
    stored: u64,
    waste: Option<&'a Waste>,
}

/// The document.
pub(super) fn document<'a>(sources: &'a [String], told: Told<'a>) -> Document<'a> {
    let images = told.found.images.iter().zip(&told.analysis.waste).map(|(image, waste)| ImageRow {
        image,
        stored: image.layers.iter().map(|layer| layer.blob.size).sum(),
        waste: waste.as_ref(),
    });
    Document {
        schema_version: SCHEMA_VERSION,
        plinth: env!("CARGO_PKG_VERSION"),
        sources,
        images: images.collect(),
        levels: told.analysis,
        others: told.found.others.iter().collect(),
        rules: told.verdicts,
        problems: told.problems,
    }
}
