//! A difference as Markdown, for a pull request.

use std::io::{self, Write};

use super::{DiffOutcome, bytes, count, file_line, number, show_counts, slash, unknown, word};
use crate::repo::{Changed, Content, OutputDiff, Source};

/// Files that are named before the rest is only counted: a comment on a pull request has an end.
const LISTED: usize = 200;

/// A table of the outputs, and below it, folded, their files.
pub(super) fn show(diff: &DiffOutcome, out: &mut dyn Write) -> io::Result<()> {
    let to = match &diff.to {
        Source::Revision(rev) => code(rev),
        Source::Workspace => "the workspace".to_owned(),
    };
    let from = code(&diff.from.to_string());
    if diff.outputs.is_empty() {
        return writeln!(out, "No tracked data differs from {from} to {to}.");
    }
    writeln!(
        out,
        "**Data, from {from} to {to}**: {}; +{}, -{}\n",
        show_counts(&diff.counts),
        bytes(diff.counts.bytes_added),
        bytes(diff.counts.bytes_deleted)
    )?;
    writeln!(out, "| Output | Change | Files | Size | Added | Deleted |")?;
    writeln!(out, "|---|---|---|---:|---:|---:|")?;
    for output in &diff.outputs {
        row(output, out)?;
    }
    let files: u64 = diff
        .outputs
        .iter()
        .filter_map(|output| output.files.as_ref())
        .map(|files| files.len() as u64)
        .sum();
    if files == 0 {
        return Ok(());
    }
    writeln!(
        out,
        "\n<details><summary>{}</summary>\n",
        count(files, "change", "changes")
    )?;
    let lines = diff.outputs.iter().flat_map(|output| output.files.iter().flatten());
    for file in lines.take(LISTED) {
        writeln!(out, "- {}", code(&file_line(file)))?;
    }
    match files.saturating_sub(LISTED as u64) {
        0 => {}
        more => writeln!(out, "- … and {} more", number(more))?,
    }
    writeln!(out, "\n</details>")
}

fn row(output: &OutputDiff, out: &mut dyn Write) -> io::Result<()> {
    let mut name = code(&format!("{}{}", output.path, slash(output)));
    if let Some(from) = &output.from {
        name = format!("{} → {name}", code(&from.to_string()));
    }
    let size = |content: &Option<Content>| content.as_ref().map(|content| bytes(content.size));
    let size = match (size(&output.before), size(&output.after)) {
        (Some(before), Some(after)) if before == after => before,
        (Some(before), Some(after)) => format!("{before} → {after}"),
        (before, after) => before.or(after).unwrap_or_default(),
    };
    let (files, added, deleted) = match &output.counts {
        Some(counts) => (
            show_counts(counts),
            format!("+{}", bytes(counts.bytes_added)),
            format!("-{}", bytes(counts.bytes_deleted)),
        ),
        None => (unknown(output), "?".to_owned(), "?".to_owned()),
    };
    let change = word(output.change).trim_end_matches(':');
    let change = if output.change == Changed::Modified {
        change
    } else {
        &format!("**{change}**")
    };
    writeln!(out, "| {name} | {change} | {files} | {size} | {added} | {deleted} |")
}

/// Text as it is, also in a table.
fn code(text: &str) -> String {
    let mut fence = 1;
    for run in text.split(|c| c != '`') {
        if run.len() >= fence {
            fence = run.len() + 1;
        }
    }
    let fence = "`".repeat(fence);
    let space = if text.contains('`') { " " } else { "" };
    format!("{fence}{space}{}{space}{fence}", text.replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::code;

    #[test]
    fn text_is_kept() {
        assert_eq!(code("a b"), "`a b`");
        assert_eq!(code("a|b"), "`a\\|b`");
        assert_eq!(code("a``b`"), "``` a``b` ```");
    }
}
