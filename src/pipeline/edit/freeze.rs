//! Freezing stages and letting them run again.

use toml_edit::{Item, Value};

use super::{document, edit, named, stages};
use crate::config::without_entry;
use crate::path::RepoPath;
use crate::pipeline::StageId;
use crate::pipeline::definition::{DefinitionError, Result};
use crate::repo::Repository;

/// What freezing or unfreezing did.
#[derive(Debug, serde::Serialize)]
pub struct StagesFrozen {
    /// Whether they are frozen now.
    pub frozen: bool,
    /// Those that were changed.
    pub changed: Vec<StageId>,
    /// Those that were so already.
    pub unchanged: Vec<StageId>,
}

/// Freezes definitions of stages, so that they do not run by themselves; or undoes that.
///
/// # Errors
/// When a target is no definition, or a file cannot be written. Then no file, or only whole files, were changed.
pub fn freeze(repo: &Repository, cwd: &RepoPath, targets: &[String], frozen: bool) -> Result<StagesFrozen> {
    let mut outcome = StagesFrozen {
        frozen,
        changed: Vec::new(),
        unchanged: Vec::new(),
    };
    for (file, names) in named(repo, cwd, targets)? {
        for name in names {
            let on_disk = file.on_disk(repo.root());
            let changed = edit(repo, &file, |text| {
                let layout = || DefinitionError::Layout { file: file.clone() };
                if !frozen {
                    return Ok(without_entry(&on_disk, text, &["stages", &name, "frozen"])?);
                }
                let mut document = document(&file, text)?;
                let stages = stages(&mut document).ok_or_else(layout)?;
                let stage = stages.get_mut(&name).and_then(Item::as_table_like_mut);
                let stage = stage.ok_or_else(layout)?;
                match stage.get_mut("frozen") {
                    Some(Item::Value(old)) if old.as_bool() == Some(true) => return Ok(text.to_owned()),
                    Some(Item::Value(old)) => {
                        let mut value = Value::from(true);
                        *value.decor_mut() = old.decor().clone();
                        *old = value;
                    }
                    Some(_) => return Err(layout()),
                    None => drop(stage.insert("frozen", toml_edit::value(true))),
                }
                Ok(document.to_string())
            })?;
            let id = StageId {
                file: file.clone(),
                name,
            };
            if changed {
                outcome.changed.push(id);
            } else {
                outcome.unchanged.push(id);
            }
        }
    }
    Ok(outcome)
}
