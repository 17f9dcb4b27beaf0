//! The levels, thing by thing.

use plinth_analyze::layer::Ecosystem;
use plinth_analyze::levels::Differ;

use super::{Told, command, short, shortened};
use crate::amount::bytes;
use crate::section::{Detail, Section, section};

/// Layers that hold the same.
pub(super) fn layers(told: Told<'_>, detail: Detail, top: usize) -> Section {
    let table = &told.analysis.table;
    let row = |group: &plinth_analyze::levels::Group| {
        let layers: Vec<String> = group.layers.iter().map(|at| short(&table[*at])).collect();
        let differ = match group.differ {
            Differ::Compression => "compression",
            Differ::Times => "times or order",
        };
        let made = shortened(&command(table[group.layers[0]].created_by.as_deref()), 40);
        vec![bytes(group.saving), layers.len().to_string(), differ.to_owned(), layers[..2].join(" "), made]
    };
    let rows = told.analysis.layers.groups.iter().map(row).collect();
    let header = ["could be saved", "layers", "differ in", "two of them", "made by"];
    section("Layers with the same content", &header, rows).at_most(top, detail)
}

/// Packages, those first that would save most.
pub(super) fn packages(told: Told<'_>, detail: Detail, top: usize) -> Section {
    let row = |package: &plinth_analyze::levels::Package| {
        vec![
            bytes(package.total.saving),
            bytes(package.total.stored),
            package.name.clone(),
            of(package.ecosystem).to_owned(),
            package.versions.len().to_string(),
            package.versions.iter().map(|version| version.layers.len()).sum::<usize>().to_string(),
            package.images.to_string(),
        ]
    };
    // What is there once is nothing to look at, if not all is asked for.
    let shown =
        |package: &&plinth_analyze::levels::Package| detail == Detail::All || package.total.saving > 0;
    let rows = told.analysis.packages.list.iter().filter(shown).map(row).collect();
    let header = ["could be saved", "stored", "package", "of", "versions", "layers", "images"];
    section("Packages stored more than once", &header, rows).at_most(top, detail)
}

/// The name of an ecosystem.
pub(super) fn of(ecosystem: Ecosystem) -> &'static str {
    match ecosystem {
        Ecosystem::Python => "Python",
        Ecosystem::Debian => "Debian",
        Ecosystem::Npm => "npm",
    }
}

/// Files with the same content.
pub(super) fn files(told: Told<'_>, detail: Detail, top: usize) -> Section {
    let row = |file: &plinth_analyze::levels::File| {
        let path = file.paths.first().map_or("", |place| place.path.as_str());
        vec![bytes(file.saving), file.copies.to_string(), bytes(file.size), path.to_owned()]
    };
    let rows = told.analysis.files.list.iter().map(row).collect();
    let header = ["could be saved", "copies", "size", "one of its paths"];
    let mut files = section("Files stored more than once", &header, rows).at_most(top, detail);
    files.more = (told.analysis.files.repeated_contents as usize).saturating_sub(files.rows.len());
    files
}
