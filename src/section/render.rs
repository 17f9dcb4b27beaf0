//! Sections as text for a terminal, and as Markdown.

use super::Section;
use crate::table::{plain, row, table, text as table_text};

/// For a terminal, or whatever standard output is.
pub(crate) fn text(sections: &[Section]) -> String {
    let heading = anstyle::Style::new().bold();
    let mut parts = Vec::new();
    for section in sections {
        let mut part = format!("{heading}{}{heading:#}\n", section.title);
        for line in &section.lines {
            part.push_str(&format!("  {}\n", plain(line)));
        }
        if !section.rows.is_empty() {
            let mut table = table(&section.header);
            for cells in &section.rows {
                table.add_row(row(cells.iter().map(|cell| plain(cell))));
            }
            for line in table_text(table).lines() {
                part.push_str(&format!("  {line}\n"));
            }
        }
        if section.more > 0 {
            part.push_str(&format!("  … and {} more (--all shows them)\n", section.more));
        }
        parts.push(part);
    }
    parts.join("\n")
}

/// For a pull request.
pub(crate) fn markdown(sections: &[Section]) -> String {
    let mut parts = Vec::new();
    for section in sections {
        let mut part = format!("## {}\n\n", section.title);
        for line in &section.lines {
            part.push_str(&format!("- {}\n", escaped(line)));
        }
        if !section.rows.is_empty() {
            // Right behind a list, a table would be text of its last line.
            if !section.lines.is_empty() {
                part.push('\n');
            }
            let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
            part.push_str(&row(section.header.iter().map(|name| (*name).to_owned()).collect()));
            part.push_str(&row(section.header.iter().map(|_| "---".to_owned()).collect()));
            for cells in &section.rows {
                part.push_str(&row(cells.iter().map(|cell| escaped(cell)).collect()));
            }
        }
        if section.more > 0 {
            part.push_str(&format!("\n… and {} more\n", section.more));
        }
        parts.push(part);
    }
    parts.join("\n")
}

/// Nothing of what was found is markup.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '`' | '|' | '<' | '>' | '*' | '_' | '[' | ']' | '\\' | '#' | '~' => out.extend(['\\', letter]),
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::Section;
    use super::*;

    #[test]
    fn what_was_found_steers_no_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }

    #[test]
    fn what_was_found_is_no_markup() {
        let section = Section {
            title: "T".into(),
            lines: vec!["a *b*".into()],
            header: vec!["x", "y"],
            rows: vec![vec!["<script>|".into(), "1".into()]],
            more: 2,
        };
        let text = markdown(&[section]);
        assert_eq!(
            text,
            "## T\n\n- a \\*b\\*\n\n| x | y |\n| --- | --- |\n| \\<script\\>\\| | 1 |\n\n… and 2 more\n"
        );
    }
}
