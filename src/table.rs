//! Tables for people, without lines, that fit the terminal.

use std::io::{IsTerminal as _, stdout};

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use rustix::termios::tcgetwinsize;

/// The columns that tables keep to: those of the terminal, or 100 in a file or a pipe.
fn width() -> u16 {
    let out = stdout();
    let terminal = out.is_terminal().then(|| tcgetwinsize(&out).ok()).flatten();
    columns(terminal.map(|size| size.ws_col))
}

/// Lines that are longer than these are hard to follow, and columns in fewer hard to read. Some terminals say 0.
fn columns(terminal: Option<u16>) -> u16 {
    terminal.filter(|columns| *columns > 0).map_or(100, |columns| columns.clamp(60, 160))
}

/// A table with a heading for each column.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width());
    table.set_header(cells(header.iter().map(|name| (*name).to_owned())));
    table
}

/// Without a margin on the left, and without blanks at the end of a line.
pub(crate) fn text(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A text that may hold anything, without what steers a terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// Figures and amounts right, everything else left.
pub(crate) fn row(texts: impl IntoIterator<Item = String>) -> Vec<Cell> {
    const UNITS: [&str; 9] = ["", " B", " kB", " MB", " GB", " TB", " PB", " EB", " %"];
    let figure = |text: &str| {
        let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        end > 0 && UNITS.contains(&&text[end..])
    };
    let align = |text: String| match figure(&text) {
        true => Cell::new(text).set_alignment(CellAlignment::Right),
        false => Cell::new(text),
    };
    texts.into_iter().map(align).collect()
}

/// The first left, the others right.
pub(crate) fn cells(texts: impl IntoIterator<Item = String>) -> Vec<Cell> {
    let align = |(n, text)| {
        Cell::new(text).set_alignment(if n == 0 { CellAlignment::Left } else { CellAlignment::Right })
    };
    texts.into_iter().enumerate().map(align).collect()
}

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn tables_fit() {
        assert_eq!([None, Some(0), Some(80), Some(20), Some(300)].map(columns), [100, 100, 80, 60, 160]);
    }
}
