//! What a command says, as headings, lines and tables; how they look is for [`render`] to say.

mod render;

pub(crate) use self::render::{markdown, text};

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// The most frequent of everything.
    Most,
    /// Everything.
    All,
}

/// A part of the report.
pub(crate) struct Section {
    pub(crate) title: String,
    /// Lines above the table.
    pub(crate) lines: Vec<String>,
    pub(crate) header: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
    /// How many rows are left out.
    pub(crate) more: usize,
}

/// A section without lines.
pub(crate) fn section(title: impl Into<String>, header: &[&'static str], rows: Vec<Vec<String>>) -> Section {
    Section { title: title.into(), lines: Vec::new(), header: header.to_vec(), rows, more: 0 }
}

impl Section {
    /// Leaves rows out, if not all are to be shown.
    pub(crate) fn at_most(mut self, count: usize, detail: Detail) -> Self {
        if detail == Detail::Most && self.rows.len() > count {
            self.more = self.rows.len() - count;
            self.rows.truncate(count);
        }
        self
    }
}
