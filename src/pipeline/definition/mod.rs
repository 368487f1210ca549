//! Reading `mv.toml` files into stages (`docs/mv-toml.md`).
//!
//! Each file is parsed once, with the place of every value; variables are filled in; `matrix` and `foreach` become one
//! stage per member. Every mistake is an error with file, line and the nearest right spelling.
//!
//! Not checked here: whether dependencies exist, and how stages fit together, which [`super::Graph`] does.

mod document;
mod error;
mod expand;
mod fields;
mod files;
mod interpolate;
pub mod keys;
mod paths;
mod quantity;
mod read;
mod select;
#[cfg(test)]
mod tests;
mod vars;

use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(super) use document::Source;
pub use error::{DefinitionError, PathProblem, Place, Problem, Result};
pub use files::{MAX_PROJECT_FILE, ProjectFiles, RevisionProjectFiles, Revisions, WorkTreeFiles};
pub use select::{Reach, SelectOptions};

use document::Node;
use interpolate::{Mode, Scope};
pub(super) use paths::{project_file_in, resolve};
use vars::{VarFiles, Variables};

use super::{Stage, StageId};
use crate::config::{keys::KEYS, nearest};
use crate::path::RepoPath;

/// The stages of a work tree or revision.
#[derive(Debug, Default)]
pub struct Pipelines {
    /// Sorted by [`StageId`].
    stages: Vec<Stage>,
    /// The project files, sorted.
    files: Vec<RepoPath>,
    /// Definitions whose matrix or list is empty.
    empty: Vec<StageId>,
    /// Definitions whose members a pattern on files makes.
    by_pattern: BTreeSet<StageId>,
}

impl Pipelines {
    /// Reads all project files.
    ///
    /// # Errors
    /// The first mistake in them, with its place.
    pub fn load(files: &dyn ProjectFiles) -> Result<Self> {
        let mut pipelines = Self {
            files: files.project_files()?,
            ..Self::default()
        };
        let variables = VarFiles::new(files);
        for file in pipelines.files.clone() {
            if let Some(bytes) = files.read(&file, MAX_PROJECT_FILE)? {
                pipelines.read(&Source::new(&file, &bytes)?, files, &variables)?;
            }
        }
        pipelines.stages.sort_by(|a, b| a.id.cmp(&b.id));
        pipelines.outs_hold_no_project()?;
        Ok(pipelines)
    }

    /// All stages, sorted by their ids.
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The project files, sorted; also those without stages.
    #[must_use]
    pub fn files(&self) -> &[RepoPath] {
        &self.files
    }

    /// The place of a stage in [`Pipelines::stages`].
    #[must_use]
    pub fn find(&self, id: &StageId) -> Option<usize> {
        self.stages.binary_search_by(|stage| stage.id.cmp(id)).ok()
    }

    /// Whether a pattern on files makes the members of this definition.
    #[must_use]
    pub fn is_by_pattern(&self, group: &StageId) -> bool {
        self.by_pattern.contains(group)
    }

    fn read(&mut self, source: &Source<'_>, files: &dyn ProjectFiles, var_files: &VarFiles<'_>) -> Result<()> {
        let document = source.parse()?;
        let root = document.get_ref();
        let dir = source.file.parent().unwrap_or_default();
        if !dir.is_root() {
            only_stages(source, root)?;
        }
        let Some((_, stages)) = entry(root, "stages") else {
            return Ok(());
        };
        let DeValue::Table(stages) = stages.get_ref() else {
            return Err(wrong_type(source, stages, "stages", "a table: [stages.NAME]"));
        };
        let mut variables = var_files.defaults(&dir)?;
        if let Some((_, vars)) = entry(root, "vars") {
            let vars = Node::read(source, vars, None, Mode::Text)?;
            variables = var_files.extend(&variables, source, "vars", &vars)?;
        }
        self.stages.reserve(stages.len());
        for (name, stage) in stages {
            let at = name.span().start;
            let name = name.get_ref().as_ref();
            if !is_stage_name(name) {
                let name = name.to_owned();
                return Err(source.error(at, Problem::StageName { name }));
            }
            let DeValue::Table(table) = stage.get_ref() else {
                return Err(wrong_type(source, stage, &format!("stages.{name}"), "a table"));
            };
            self.definition(source, files, var_files, &variables, (at, name, table))?;
        }
        Ok(())
    }

    /// Adds the stages of one `[stages.NAME]`.
    fn definition(
        &mut self,
        source: &Source<'_>,
        files: &dyn ProjectFiles,
        var_files: &VarFiles<'_>,
        variables: &Variables,
        (at, name, table): (usize, &str, &DeTable<'_>),
    ) -> Result<()> {
        let own;
        let variables = match entry(table, "vars") {
            None => variables,
            Some((_, vars)) => {
                let vars = Node::read(source, vars, None, Mode::Text)?;
                own = var_files.extend(variables, source, &format!("stages.{name}.vars"), &vars)?;
                &own
            }
        };
        let scope = Scope {
            variables: variables.map(),
            own: &[],
        };
        let read = |value| Node::read(source, value, Some(&scope), Mode::Text);
        let members = match (entry(table, "matrix"), entry(table, "foreach")) {
            (Some((key, _)), Some(_)) => return Err(source.error(key, Problem::MatrixAndForeach)),
            (Some((_, matrix)), None) => expand::matrix(source, name, &read(matrix)?)?,
            (None, Some((_, foreach))) => {
                let foreach = read(foreach)?;
                if expand::is_pattern(&foreach) {
                    self.by_pattern.insert(StageId {
                        file: source.file.clone(),
                        name: name.to_owned(),
                    });
                }
                expand::foreach(source, files, name, &foreach)?
            }
            (None, None) => {
                let entries = stage_entries(source, table, &scope)?;
                self.stages
                    .push(read::stage(source, at, name.to_owned(), None, entries)?);
                return Ok(());
            }
        };
        if members.is_empty() {
            self.empty.push(StageId {
                file: source.file.clone(),
                name: name.to_owned(),
            });
        }
        for member in members {
            let scope = Scope {
                variables: variables.map(),
                own: &member.own,
            };
            let entries = stage_entries(source, table, &scope)?;
            let full = format!("{name}@{}", member.key);
            self.stages
                .push(read::stage(source, at, full, Some(name.to_owned()), entries)?);
        }
        Ok(())
    }

    fn outs_hold_no_project(&self) -> Result<()> {
        for stage in &self.stages {
            for out in &stage.outs {
                let at = self.files.partition_point(|file| *file < out.path);
                if self.files.get(at).is_some_and(|file| file.starts_with(&out.path)) {
                    return Err(DefinitionError::At {
                        place: stage.place(),
                        problem: Box::new(Problem::Path {
                            what: "output",
                            path: out.path.to_string(),
                            problem: PathProblem::HoldsProject,
                        }),
                    });
                }
            }
        }
        Ok(())
    }
}

impl Stage {
    /// Where it is defined.
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            file: self.id.file.clone(),
            line: self.line,
        }
    }
}

/// Of the known paths, the one that `path` is most likely a slip of.
#[must_use]
pub fn nearest_path<'a>(path: &RepoPath, known: impl IntoIterator<Item = &'a RepoPath>) -> Option<RepoPath> {
    let known: Vec<String> = known.into_iter().map(ToString::to_string).collect();
    let found = nearest(&path.to_string(), known.iter().map(String::as_str))?;
    RepoPath::new(&crate::path::unquote(found)?).ok()
}

/// Whether a text may be the name of a stage in a file.
#[must_use]
pub fn is_stage_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') && name.chars().all(allowed)
}

/// What the stage reader gets: everything but what made it one of several.
fn stage_entries(source: &Source<'_>, table: &DeTable<'_>, scope: &Scope<'_>) -> Result<Vec<document::Entry>> {
    Node::entries(source, table, |key| match key {
        "matrix" | "foreach" | "vars" => None,
        "cmd" => Some((Some(scope), Mode::Command)),
        // Written for people.
        "desc" | "meta" => Some((None, Mode::Text)),
        _ => Some((Some(scope), Mode::Text)),
    })
}

/// A key of a table: where it is written, and its value.
fn entry<'a, 'i>(table: &'a DeTable<'i>, key: &str) -> Option<(usize, &'a Spanned<DeValue<'i>>)> {
    let (key, value) = table.get_key_value(key)?;
    Some((key.span().start, value))
}

fn only_stages(source: &Source<'_>, root: &DeTable<'_>) -> Result<()> {
    for key in root.keys() {
        let name = key.get_ref().as_ref();
        if matches!(name, "stages" | "vars") {
            continue;
        }
        let settings = name == "project" || KEYS.iter().any(|spec| spec.section == name);
        let problem = if settings {
            Problem::SettingsInSubdirectory {
                section: name.to_owned(),
            }
        } else {
            Problem::UnknownKey {
                key: name.to_owned(),
                nearest: nearest(name, ["stages", "vars"]).map(str::to_owned),
                instead: None,
            }
        };
        return Err(source.error(key.span().start, problem));
    }
    Ok(())
}

fn wrong_type(
    source: &Source<'_>,
    value: &Spanned<DeValue<'_>>,
    key: &str,
    expected: &'static str,
) -> DefinitionError {
    // Only for its name.
    let found = Node::read(source, value, None, Mode::Text).map_or("something else", |node| node.data.type_name());
    source.error(
        value.span().start,
        Problem::WrongType {
            key: key.to_owned(),
            expected,
            found,
        },
    )
}
