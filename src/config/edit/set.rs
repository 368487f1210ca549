//! Giving a setting a value.

use std::path::Path;

use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike};

use super::wrong_place;
use crate::config::error::Result;
use crate::config::file;
use crate::config::keys::Key;
use crate::config::value::Value;

/// `text` with `key` set to `value`. A new table goes to the end of the file.
pub(super) fn set(path: &Path, text: &str, key: &Key, value: &Value) -> Result<String> {
    let mut document = file::document(path, text)?.into_mut();
    let fresh = add_tables(&mut document, key);
    let mut table: &mut dyn TableLike = document.as_table_mut();
    for name in key.tables() {
        table = table
            .get_mut(name)
            .and_then(Item::as_table_like_mut)
            .ok_or_else(|| wrong_place(path, key))?;
    }
    let mut new = value.to_toml();
    match table.get_mut(key.spec().name) {
        Some(Item::Value(old)) => {
            // Spelled another way it is still the same: leave it alone.
            let same = Value::from_toml(key.spec().kind, &Item::Value(old.clone()));
            if same.is_some_and(|same| same.as_ref() == Ok(value)) {
                return Ok(text.to_owned());
            }
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        Some(_) => return Err(wrong_place(path, key)),
        None => drop(table.insert(key.spec().name, Item::Value(new))),
    }
    let edited = document.to_string();
    if !fresh {
        return Ok(edited);
    }
    // A table may have been added where TOML does not allow one.
    match file::document(path, &edited) {
        Ok(_) => Ok(edited),
        Err(_) => Err(wrong_place(path, key)),
    }
}

/// Adds the tables of `key` that are not there; whether there were any.
fn add_tables(document: &mut DocumentMut, key: &Key) -> bool {
    let tables = key.tables();
    let empty = document.is_empty();
    // What follows the last line belongs before the new table, not behind it.
    let trailing = document.trailing().as_str().unwrap_or_default().to_owned();
    let mut parent: &mut dyn TableLike = document.as_table_mut();
    let mut added = false;
    let mut inline = false;
    for (depth, name) in tables.iter().enumerate() {
        if !parent.contains_key(name) {
            let item = if inline {
                Item::Value(InlineTable::new().into())
            } else {
                let mut table = Table::new();
                let last = depth + 1 == tables.len();
                table.set_implicit(!last);
                if last {
                    table.set_position(Some(isize::MAX));
                    let gap = if empty && trailing.is_empty() { "" } else { "\n" };
                    table.decor_mut().set_prefix(format!("{trailing}{gap}"));
                    added = true;
                }
                Item::Table(table)
            };
            parent.insert(name, item);
        }
        let Some(item) = parent.get_mut(name) else {
            return added;
        };
        inline = item.is_inline_table();
        let Some(table) = item.as_table_like_mut() else {
            return added;
        };
        parent = table;
    }
    if added {
        document.set_trailing("");
    }
    added
}
