//! Editing stages in `mv.toml`: what an edit is not about stays as it is, with comments and order.
//!
//! An edit reads, changes and writes under the lock that settings are edited under, atomically. What it writes is TOML,
//! and after `add` all definitions of the repository are sound.

mod add;
mod freeze;
mod remove;

use toml_edit::{Document, DocumentMut};

pub use add::{NewOut, NewParams, NewStage, StageAdded};
pub use freeze::{StagesFrozen, freeze};
pub use remove::{StagesRemoved, remove};

use super::definition::{DefinitionError, MAX_PROJECT_FILE, Result, Source, project_file_in, resolve};
use crate::config::nearest;
use crate::git::FileEdit;
use crate::path::RepoPath;
use crate::repo::Repository;

/// Changes a project file; whether it was changed.
fn edit(repo: &Repository, file: &RepoPath, change: impl Fn(&str) -> Result<String>) -> Result<bool> {
    let _lock = repo.lock_project_files()?;
    let mut edit = FileEdit::read(repo.root(), file)?;
    let before = edit.before.clone().unwrap_or_default();
    let text = Source::new(file, &before)?.text.to_owned();
    let mut after = change(&text)?;
    if text.contains("\r\n") {
        after = after.replace("\r\n", "\n").replace('\n', "\r\n");
    }
    if after == text {
        return Ok(false);
    }
    if after.len() as u64 > MAX_PROJECT_FILE {
        return Err(DefinitionError::TooLong {
            file: file.clone(),
            limit: MAX_PROJECT_FILE,
        });
    }
    Source::new(file, after.as_bytes())?.parse()?;
    edit.after = Some(after.into_bytes());
    edit.apply(repo.root())?;
    if repo.config().autostage() {
        repo.git().stage(std::slice::from_ref(file))?;
    }
    Ok(true)
}

/// The text of a file, to be edited.
fn document(file: &RepoPath, text: &str) -> Result<DocumentMut> {
    let source = Source::new(file, text.as_bytes())?;
    match Document::parse(text) {
        Ok(document) => Ok(document.into_mut()),
        // The same mistakes, said as elsewhere.
        Err(error) => Err(source.parse().err().unwrap_or_else(|| DefinitionError::Syntax {
            place: source.place(error.span().map_or(0, |span| span.start)),
            column: 1,
            message: error.message().to_owned(),
        })),
    }
}

/// Definitions that the user named: in which files, and their names there, in order.
///
/// The files are not read as definitions: a mistake in one must not keep it from being edited.
fn named(repo: &Repository, cwd: &RepoPath, targets: &[String]) -> Result<Vec<(RepoPath, Vec<String>)>> {
    let mut found: Vec<(RepoPath, Vec<String>)> = Vec::new();
    for target in targets {
        let unknown = |nearest| DefinitionError::UnknownTarget {
            target: target.clone(),
            nearest,
        };
        let (file, name) = match target.rsplit_once(':') {
            Some((path, name)) => (resolve(cwd, path).map_err(|_| unknown(None))?, name),
            None => (
                file_around(repo, cwd)?.ok_or(DefinitionError::NoStages)?,
                target.as_str(),
            ),
        };
        let prefix = &target[..target.len() - name.len()];
        let names = names_in(repo, &file)?.ok_or_else(|| unknown(None))?;
        if !names.iter().any(|there| there == name) {
            if let Some((group, _)) = name.split_once('@')
                && names.iter().any(|there| there == group)
            {
                return Err(DefinitionError::OneOfMany {
                    member: name.to_owned(),
                    group: group.to_owned(),
                });
            }
            let nearest = nearest(name, names.iter().map(String::as_str));
            return Err(unknown(nearest.map(|nearest| format!("{prefix}{nearest}"))));
        }
        let name = name.to_owned();
        match found.iter_mut().find(|(there, _)| *there == file) {
            Some((_, names)) if names.contains(&name) => {}
            Some((_, names)) => names.push(name),
            None => found.push((file, vec![name])),
        }
    }
    Ok(found)
}

/// The nearest project file with stages, in a directory or above it.
fn file_around(repo: &Repository, cwd: &RepoPath) -> Result<Option<RepoPath>> {
    let mut dir = Some(cwd.clone());
    while let Some(there) = dir {
        let file = project_file_in(&there);
        if names_in(repo, &file)?.is_some_and(|names| !names.is_empty()) {
            return Ok(Some(file));
        }
        dir = there.parent();
    }
    Ok(None)
}

/// The names of the definitions in a file; `None` if there is no such file.
fn names_in(repo: &Repository, file: &RepoPath) -> Result<Option<Vec<String>>> {
    let edit = FileEdit::read(repo.root(), file)?;
    let Some(bytes) = edit.before else { return Ok(None) };
    let source = Source::new(file, &bytes)?;
    let document = source.parse()?;
    let stages = document
        .get_ref()
        .get("stages")
        .and_then(|stages| stages.get_ref().as_table());
    let names = stages.map(|stages| stages.keys().map(|key| key.get_ref().as_ref().to_owned()).collect());
    Ok(Some(names.unwrap_or_default()))
}

/// The table of the stages.
fn stages(document: &mut DocumentMut) -> Option<&mut dyn toml_edit::TableLike> {
    document.get_mut("stages")?.as_table_like_mut()
}
