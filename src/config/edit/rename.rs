//! Renaming a remote.

use std::path::Path;

use toml_edit::{Item, Key};

use crate::config::error::{ConfigError, Result};
use crate::config::file;
use crate::config::name::RemoteName;

/// `text` with the remote `old` named `new`, in its place.
pub(super) fn rename(path: &Path, text: &str, old: &RemoteName, new: &RemoteName) -> Result<String> {
    let mut document = file::document(path, text)?.into_mut();
    let mut changed = false;
    if let Some(remotes) = document.get_mut("remote") {
        let table = remotes.as_table_like();
        if old != new
            && table.is_some_and(|table| table.contains_key(old.as_str()) && table.contains_key(new.as_str()))
        {
            return Err(ConfigError::RemoteExists {
                file: path.to_owned(),
                name: new.clone(),
            });
        }
        changed |= rekey(remotes, old.as_str(), new.as_str());
    }
    let default = document.get_mut("core").and_then(|core| core.get_mut("remote"));
    if let Some(Item::Value(default)) = default
        && default.as_str() == Some(old.as_str())
    {
        let mut value = toml_edit::Value::from(new.as_str());
        *value.decor_mut() = default.decor().clone();
        *default = value;
        changed = true;
    }
    Ok(if changed { document.to_string() } else { text.to_owned() })
}

/// Gives an entry another key without changing the order; whether there was one.
fn rekey(item: &mut Item, old: &str, new: &str) -> bool {
    let renamed = |key: Key| {
        if key.get() != old {
            return key;
        }
        Key::new(new)
            .with_leaf_decor(key.leaf_decor().clone())
            .with_dotted_decor(key.dotted_decor().clone())
    };
    match item {
        Item::Table(table) if table.contains_key(old) => {
            let names: Vec<String> = table.iter().map(|(name, _)| name.to_owned()).collect();
            for (key, item) in names
                .iter()
                .filter_map(|name| table.remove_entry(name))
                .collect::<Vec<_>>()
            {
                table.insert_formatted(&renamed(key), item);
            }
            true
        }
        Item::Value(toml_edit::Value::InlineTable(table)) if table.contains_key(old) => {
            let names: Vec<String> = table.iter().map(|(name, _)| name.to_owned()).collect();
            for (key, value) in names
                .iter()
                .filter_map(|name| table.remove_entry(name))
                .collect::<Vec<_>>()
            {
                table.insert_formatted(&renamed(key), value);
            }
            true
        }
        _ => false,
    }
}
