//! Removing a setting or a remote.
//!
//! Done on the text, line by line, since comments above what is removed mostly belong to what stays (a file's header,
//! the explanation of a setting). Only inline tables are left to the TOML writer.

use std::ops::Range;
use std::path::Path;

use toml_edit::{Document, Item, Table, TableLike};

use crate::config::error::Result;
use crate::config::file;
use crate::config::keys::Key;
use crate::config::name::RemoteName;

/// `text` without `key`; a remote's table that would be left empty goes too.
pub(super) fn unset(path: &Path, text: &str, key: &Key) -> Result<String> {
    let document = file::document(path, text)?;
    if let Some(name) = key.remote()
        && let Some(table) = document.get("remote").and_then(|remotes| remotes.get(name.as_str()))
        && let Some(table) = table.as_table_like()
        && table.len() == 1
        && table.contains_key(key.spec().name)
    {
        return Ok(without(text, document, &["remote", name.as_str()]));
    }
    let mut names = key.tables();
    names.push(key.spec().name);
    Ok(without(text, document, &names))
}

/// `text` without the table of a remote, and without `core.remote` if it names it.
pub(super) fn remove_remote(path: &Path, text: &str, name: &RemoteName) -> Result<String> {
    let document = file::document(path, text)?;
    let default = document.get("core").and_then(|core| core.get("remote"));
    let is_default = default.and_then(Item::as_str) == Some(name.as_str());
    let mut edited = without(text, document, &["remote", name.as_str()]);
    if is_default {
        let document = file::document(path, &edited)?;
        edited = without(&edited, document, &["core", "remote"]);
    }
    Ok(edited)
}

/// `text` without the entry at the end of `names`: a value, or a table with all that is in it.
///
/// # Errors
/// When it is not TOML.
pub fn without_entry(path: &Path, text: &str, names: &[&str]) -> Result<String> {
    Ok(without(text, file::document(path, text)?, names))
}

fn without(text: &str, document: Document<&str>, names: &[&str]) -> String {
    match lines_of(text, document.as_table(), names) {
        Place::Nowhere => text.to_owned(),
        Place::Lines(mut lines) => {
            lines.sort_by_key(|range| range.start);
            let mut edited = text.to_owned();
            for range in lines.into_iter().rev() {
                edited.replace_range(tidy(text, range), "");
            }
            edited
        }
        Place::Inline => {
            let mut document = document.into_mut();
            let mut table: &mut dyn TableLike = document.as_table_mut();
            if let Some((last, tables)) = names.split_last() {
                for name in tables {
                    match table.get_mut(name).and_then(Item::as_table_like_mut) {
                        Some(inner) => table = inner,
                        None => return text.to_owned(),
                    }
                }
                table.remove(last);
            }
            document.to_string()
        }
    }
}

enum Place {
    Nowhere,
    /// Whole lines.
    Lines(Vec<Range<usize>>),
    /// In the middle of a line.
    Inline,
}

fn lines_of(text: &str, root: &Table, names: &[&str]) -> Place {
    let Some((last, tables)) = names.split_last() else {
        return Place::Nowhere;
    };
    let mut table = root;
    for name in tables {
        match table.get(name) {
            Some(Item::Table(inner)) => table = inner,
            Some(item) if item.is_inline_table() => return Place::Inline,
            _ => return Place::Nowhere,
        }
    }
    let Some(item) = table.get(last) else {
        return Place::Nowhere;
    };
    let Item::Table(removed) = item else {
        let spans = file::key_span(table, last).zip(item.span());
        return spans.map_or(Place::Inline, |(key, value)| {
            Place::Lines(std::iter::once(line_start(text, key.start)..line_end(text, value.end)).collect())
        });
    };
    let mut lines = Vec::new();
    lines_of_table(text, removed, &mut lines);
    Place::Lines(lines)
}

/// The lines of a table, and of the tables in it wherever they are written.
fn lines_of_table(text: &str, table: &Table, lines: &mut Vec<Range<usize>>) {
    let leaves: Vec<Range<usize>> = table
        .get_values()
        .iter()
        .filter_map(|(keys, value)| Some(keys.last()?.span()?.start..value.span()?.end))
        .map(|range| line_start(text, range.start)..line_end(text, range.end))
        .collect();
    match table.span().filter(|_| !table.is_dotted() && !table.is_implicit()) {
        Some(header) => {
            let start = with_comments_above(text, line_start(text, header.start));
            let end = leaves.iter().map(|leaf| leaf.end).max();
            let end = end.unwrap_or(0).max(line_end(text, header.end));
            lines.push(start..end);
        }
        None => lines.extend(leaves),
    }
    for (_, item) in table {
        match item {
            Item::Table(inner) if !inner.is_dotted() => lines_of_table(text, inner, lines),
            Item::ArrayOfTables(tables) => tables.iter().for_each(|inner| lines_of_table(text, inner, lines)),
            _ => {}
        }
    }
}

fn line_start(text: &str, offset: usize) -> usize {
    text.get(..offset)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |at| at + 1)
}

fn line_end(text: &str, offset: usize) -> usize {
    let rest = text.get(offset..).unwrap_or_default();
    rest.find('\n').map_or(text.len(), |at| offset + at + 1)
}

/// The start of the comment lines right above `start`; those at the top of the file are about the file.
fn with_comments_above(text: &str, start: usize) -> usize {
    let mut top = start;
    while top > 0 {
        let above = line_start(text, top - 1);
        if !text
            .get(above..top)
            .is_some_and(|line| line.trim_start().starts_with('#'))
        {
            return top;
        }
        top = above;
    }
    start
}

/// Takes the blank line before along, when one follows as well or nothing does.
fn tidy(text: &str, range: Range<usize>) -> Range<usize> {
    let is_blank = |line: &str| line.trim().is_empty();
    let above = range.start.checked_sub(1).map(|end| line_start(text, end));
    let blank_above = above.filter(|&above| text.get(above..range.start).is_some_and(is_blank));
    let below = text.get(range.end..line_end(text, range.end));
    match blank_above {
        Some(above) if below.is_none_or(is_blank) => above..range.end,
        _ => range,
    }
}
