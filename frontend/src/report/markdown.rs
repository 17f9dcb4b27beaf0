//! The report as Markdown, for a pull request or a job summary.

use super::text::{Row, base_rows, headline, step_rows};
use super::{Report, one_line};

/// The report as GitHub's Markdown: one section per group of platforms, one table per kind of decision.
pub fn render_markdown(report: &Report) -> String {
    let mut out = format!("**plinth {}**: {}\n", escape(&report.plinth), headline(report.summary()));
    for (names, platform) in report.grouped() {
        out.push_str(&format!("\n### {}\n", escape(&names)));
        table(&mut out, "Base image", &base_rows(platform));
        table(&mut out, "Install step", &step_rows(platform));
    }
    out
}

fn table(out: &mut String, subject: &str, rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    out.push_str(&format!("\n| Line | {subject} | Decision | Details |\n| ---: | --- | --- | --- |\n"));
    for row in rows {
        let line = row.line.map(|line| line.to_string()).unwrap_or_default();
        let stage = row.stage.as_ref().map(|stage| format!(" (stage {})", escape(stage))).unwrap_or_default();
        let details: Vec<String> = row.details.iter().map(|detail| escape(detail)).collect();
        let subject = code(&row.subject);
        out.push_str(&format!("| {line} | {subject}{stage} | {} | {} |\n", row.verb, details.join("<br>")));
    }
}

/// A code span in a table's cell: the fence is longer than any run of backquotes inside.
fn code(text: &str) -> String {
    let text = one_line(text).replace('|', "\\|");
    if text.is_empty() {
        return text;
    }
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// Text that Markdown and HTML take literally. Code spans in our own reasons (`` `cd` ``) stay code.
fn escape(text: &str) -> String {
    let text = one_line(text);
    let mut parts: Vec<&str> = text.split('`').collect();
    // An odd number of backquotes has no pairs to keep.
    let unpaired = if parts.len().is_multiple_of(2) { parts.pop() } else { None };
    let mut out = String::new();
    for (i, part) in parts.iter().enumerate() {
        match i % 2 {
            1 if !part.is_empty() => out.push_str(&code(part)),
            1 => out.push_str("\\`\\`"),
            _ => out.push_str(&plain(part)),
        }
    }
    if let Some(part) = unpaired {
        out.push_str("\\`");
        out.push_str(&plain(part));
    }
    out
}

fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '*' | '_' | '[' | ']' | '|' | '~' | '#' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}
