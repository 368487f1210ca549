//! `update`: imports as their sources are now.

use std::path::PathBuf;

use super::import::{content_of, root_of, shown_source};
use super::record::Record;
use super::source::{Desk, Fetched, NamedBy, SourceRepository, UrlSource, remember};
use super::{BrokenPointer, CheckedOut, Output, OutputState, RepoError, Repository, Result, Selected, StatusRequest};
use crate::causes::in_one_line;
use crate::git::{Import, Pointer, PointerContent, RepositoryImport};
use crate::object::Node;
use crate::path::RepoPath;

/// What to update.
#[derive(Debug, Clone, Default)]
pub struct UpdateOptions {
    /// Imports, or directories they are in; nothing means all.
    pub targets: Vec<PathBuf>,
    /// The revision that imports of repositories follow from now on, if given.
    pub rev: Option<String>,
    /// Only ask whether the sources have moved on.
    pub dry_run: bool,
    /// Whether changes that were made here may be lost.
    pub force: bool,
}

/// What became of imports.
#[derive(Debug, serde::Serialize)]
pub struct UpdateOutcome {
    /// Whether nothing was changed because that was asked.
    pub dry_run: bool,
    /// The imports, by path.
    pub imports: Vec<Updated>,
    /// Pointers that cannot be read: whether they are of imports is not known.
    pub broken: Vec<BrokenPointer>,
}

/// What became of an import.
#[derive(Debug, serde::Serialize)]
pub struct Updated {
    /// The output.
    pub path: RepoPath,
    /// Where it comes from.
    pub url: String,
    /// What became of it.
    pub state: UpdateState,
    /// The commit or mark of the version that it was of, if there is one.
    pub before: Option<String>,
    /// The same of the version that the source has now, if it is known.
    pub after: Option<String>,
    /// How the workspace was written, if it was.
    pub checkout: Option<CheckedOut>,
    /// Why it could not be updated, if so.
    pub reason: Option<String>,
}

/// What became of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpdateState {
    /// The source has the version that is here.
    Unchanged,
    /// The source has another version, with the same content; only the pointer was written.
    SameContent,
    /// The source's new content is here now.
    Updated,
    /// The source has another version; nothing was changed because that was asked.
    MovedOn,
    /// It was changed here and is left as it is.
    Modified,
    /// It could not be updated.
    Failed,
}

/// Whether the source of an import is as it was.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceState {
    /// It has the version that the pointer names.
    Unchanged,
    /// It has another version.
    MovedOn,
    /// It could not be asked; why.
    Unknown(String),
}

/// A version of a source that was brought into the cache.
struct Newer {
    node: Node,
    import: Import,
}

impl Repository {
    /// Brings imports to what their sources have now. One that cannot be updated does not keep the others from it.
    ///
    /// # Errors
    /// When a target is no import, or the workspace cannot be read.
    pub fn update(&self, options: &UpdateOptions) -> Result<UpdateOutcome> {
        let mut imports = Vec::new();
        let Selected { targets, broken, .. } = self.targets(&options.targets)?;
        for target in targets {
            if target.output.pointer.import.is_some() {
                imports.push(target.output);
            } else if target.named {
                return Err(RepoError::NotAnImport {
                    path: target.output.path,
                });
            }
        }
        let mut outcome = UpdateOutcome {
            dry_run: options.dry_run,
            imports: Vec::new(),
            broken,
        };
        for output in imports {
            let Some(import) = output.pointer.import.as_deref().cloned() else {
                continue;
            };
            let mut updated = Updated {
                path: output.path.clone(),
                url: shown_source(&import),
                state: UpdateState::Unchanged,
                before: mark(&import),
                after: None,
                checkout: None,
                reason: None,
            };
            if let Err(error) = self.update_one(&output, &import, options, &mut updated) {
                self.progress().check()?;
                updated.state = UpdateState::Failed;
                updated.reason = Some(in_one_line(&error));
            }
            outcome.imports.push(updated);
        }
        Ok(outcome)
    }

    fn update_one(
        &self,
        output: &Output,
        import: &Import,
        options: &UpdateOptions,
        updated: &mut Updated,
    ) -> Result<()> {
        let import = follow(import, options.rev.as_deref())?;
        let moved = self.has_moved_on(&import)?;
        if !moved && output.pointer.import.as_deref() == Some(&import) {
            updated.after.clone_from(&updated.before);
            return Ok(());
        }
        if options.dry_run {
            updated.state = UpdateState::MovedOn;
            return Ok(());
        }
        let status = self.status(&StatusRequest {
            targets: vec![output.path.on_disk(self.root())],
            ..StatusRequest::default()
        })?;
        let changed_here = status.outputs.iter().any(|output| {
            let state = output.state;
            matches!(
                state,
                OutputState::Modified | OutputState::Diverged | OutputState::TypeChanged | OutputState::Unknown
            )
        });
        if changed_here && !options.force {
            updated.state = UpdateState::Modified;
            return Ok(());
        }
        let newer = self.fetch_newest(&import)?;
        updated.after = mark(&newer.import);
        let same = root_of(&newer.node) == Some(output.root()) && same_kind(&newer.node, output);
        let pointer = Pointer {
            content: content_of(&newer.node),
            size: newer.node.size(),
            import: Some(Box::new(newer.import)),
            ..output.pointer.clone()
        };
        self.record_update(output, pointer)?;
        updated.state = if same {
            UpdateState::SameContent
        } else {
            UpdateState::Updated
        };
        if !same || options.force {
            updated.checkout = self.check_out_import(&output.path, options.force)?;
        }
        Ok(())
    }

    /// Brings the newest version of an import into the cache.
    fn fetch_newest(&self, import: &Import) -> Result<Newer> {
        let desk = Desk::of(self);
        match import {
            Import::Repository(import) => {
                let source =
                    SourceRepository::open(&desk, &import.url, self.root(), NamedBy::Pointer, import.rev.as_deref())?;
                let found = source.find(&import.path)?;
                source.fetch(&found, &[])?;
                Ok(Newer {
                    node: found.node,
                    import: Import::Repository(RepositoryImport {
                        commit: source.commit,
                        ..import.clone()
                    }),
                })
            }
            Import::Url(import) => {
                let Fetched { node, version } = UrlSource::open(&desk, &import.url, self.root())?.fetch(None)?;
                Ok(Newer {
                    node,
                    import: Import::Url(remember(import.url.clone(), version)),
                })
            }
        }
    }

    fn record_update(&self, before: &Output, pointer: Pointer) -> Result<()> {
        let _lock = self.lock_workspace()?;
        let now = self.outputs()?.outputs;
        let unchanged = now
            .iter()
            .any(|output| output.path == before.path && output.pointer == before.pointer);
        if !unchanged {
            return Err(crate::git::GitError::Changed {
                path: before.pointer_path()?,
            }
            .into());
        }
        self.record(&[Record::Track(before.path.clone(), pointer)])
    }

    /// Whether the source of an output is as it was; `None` if it was not imported.
    pub(super) fn source_state(&self, output: &Output) -> Result<Option<SourceState>> {
        let Some(import) = &output.pointer.import else {
            return Ok(None);
        };
        let state = match self.has_moved_on(import) {
            Ok(false) => SourceState::Unchanged,
            Ok(true) => SourceState::MovedOn,
            Err(error) => {
                self.progress().check()?;
                SourceState::Unknown(in_one_line(&error))
            }
        };
        Ok(Some(state))
    }
}

/// The import with another revision to follow.
fn follow(import: &Import, rev: Option<&str>) -> Result<Import> {
    match (import, rev) {
        (import, None) => Ok(import.clone()),
        (Import::Repository(import), Some(rev)) => Ok(Import::Repository(RepositoryImport {
            rev: Some(rev.to_owned()),
            ..import.clone()
        })),
        (Import::Url(_), Some(_)) => Err(RepoError::NoRevisions),
    }
}

fn same_kind(node: &Node, output: &Output) -> bool {
    match (content_of(node), output.pointer.content) {
        (PointerContent::File { executable: a, .. }, PointerContent::File { executable: b, .. }) => a == b,
        _ => true,
    }
}

/// What names the version of an import.
fn mark(import: &Import) -> Option<String> {
    match import {
        Import::Repository(import) => Some(import.commit.clone()),
        Import::Url(import) => import.etag.clone().or_else(|| import.modified.clone()),
    }
}
