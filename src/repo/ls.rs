//! `ls`: what the pointers say is tracked, whether or not it is here.

use std::path::PathBuf;

use super::observe::pointer_node;
use super::{BrokenPointer, Content, Output, RepoError, Repository, Result, Selected};
use crate::git;
use crate::object::{self, Node, Root, Visit};
use crate::path::RepoPath;

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct LsRequest {
    /// A directory, output or path inside one; nothing means where the user stands.
    pub path: Option<PathBuf>,
    /// Whether to list what is below directories, too.
    pub recursive: bool,
    /// The revision to list; none: what the pointers of the work tree say.
    pub rev: Option<String>,
}

/// One entry.
#[derive(Debug, serde::Serialize)]
pub struct Listed {
    /// Where it is, relative to the repository.
    pub path: RepoPath,
    /// Its path relative to what is listed.
    pub name: RepoPath,
    /// Whether it has a pointer of its own.
    pub output: bool,
    /// What it is.
    #[serde(flatten)]
    pub content: Content,
}

/// What is tracked.
#[derive(Debug, serde::Serialize)]
pub struct LsOutcome {
    /// What is listed, relative to the repository.
    pub path: RepoPath,
    /// The revision that is listed; `null` for the work tree.
    pub rev: Option<String>,
    /// The entries, by path.
    pub entries: Vec<Listed>,
    /// Pointers of the revision that cannot be read.
    pub broken: Vec<BrokenPointer>,
}

impl Repository {
    /// Lists tracked outputs, or what is inside one. Listings are read from the cache; nothing is fetched.
    ///
    /// # Errors
    /// When nothing is tracked at the path, or a listing is not in the cache.
    pub fn ls(&self, request: &LsRequest) -> Result<LsOutcome> {
        let rev = request.rev.as_deref();
        self.ls_at(rev, request).map_err(|error| error.at(rev))
    }

    fn ls_at(&self, rev: Option<&str>, request: &LsRequest) -> Result<LsOutcome> {
        let path = match &request.path {
            Some(path) => self.path_of(path)?,
            None => self.path_of(self.cwd())?,
        };
        let (outputs, Selected { broken, .. }) = self.select_at(rev, &[])?;
        let stem = git::output_path(&path).filter(|stem| outputs.iter().any(|output| output.path == *stem));
        let path = stem.unwrap_or(path);
        let mut entries = Vec::new();
        if let Some(output) = outputs.iter().find(|output| path.starts_with(&output.path)) {
            self.list_inside(output, &path, request.recursive, &mut entries)?;
        } else {
            for output in outputs.iter().filter(|output| output.path.starts_with(&path)) {
                let node = pointer_node(output);
                let name = output.path.strip_prefix(&path).unwrap_or_default();
                entries.push(Listed {
                    path: output.path.clone(),
                    name: name.clone(),
                    output: true,
                    content: Content::from(&node),
                });
                if request.recursive {
                    self.list_node(output, &output.path, &name, &node, true, &mut entries)?;
                }
            }
            if entries.is_empty() && request.path.is_some() {
                self.outputs_at(rev)?.readable(&path)?;
                return Err(match rev {
                    Some(rev) => RepoError::NotInRevision {
                        path,
                        rev: rev.to_owned(),
                    },
                    None => RepoError::NotTracked { path, nearest: None },
                });
            }
        }
        Ok(LsOutcome {
            broken: broken
                .into_iter()
                .filter(|broken| broken.path.starts_with(&path))
                .collect(),
            path,
            rev: request.rev.clone(),
            entries,
        })
    }

    fn list_inside(
        &self,
        output: &Output,
        path: &RepoPath,
        recursive: bool,
        entries: &mut Vec<Listed>,
    ) -> Result<()> {
        let (node, at) = self.tracked_node(output, path)?;
        if let Node::Dir { .. } = node {
            return self.list_node(output, &at, &RepoPath::root(), &node, recursive, entries);
        }
        let name = at.file_name().map(|name| RepoPath::root().join(&name));
        entries.push(Listed {
            name: name.unwrap_or_default(),
            output: at == output.path,
            path: at,
            content: Content::from(&node),
        });
        Ok(())
    }

    /// Lists what is below a directory, which is shown as `name`.
    fn list_node(
        &self,
        output: &Output,
        at: &RepoPath,
        name: &RepoPath,
        node: &Node,
        recursive: bool,
        entries: &mut Vec<Listed>,
    ) -> Result<()> {
        let Node::Dir { id, .. } = node else { return Ok(()) };
        let listed = object::walk(self, *id, |inside, node| {
            entries.push(Listed {
                path: at.join_path(inside),
                name: name.join_path(inside),
                output: false,
                content: Content::from(node),
            });
            Ok::<_, RepoError>(if recursive { Visit::Enter } else { Visit::Skip })
        });
        listed.map_err(|error| missing_listing(error, &output.path))
    }

    /// What the pointer of `output` says is at `path`, which is the output's or inside it.
    ///
    /// # Errors
    /// When there is nothing, or a listing is not in the cache.
    pub(super) fn tracked_node(&self, output: &Output, path: &RepoPath) -> Result<(Node, RepoPath)> {
        let inside = path.strip_prefix(&output.path).unwrap_or_default();
        if inside.is_root() {
            return Ok((pointer_node(output), output.path.clone()));
        }
        let found = match output.root() {
            Root::File(_) => None,
            Root::Tree(id) => {
                object::find(self, id, &inside).map_err(|error| missing_listing(error.into(), &output.path))?
            }
        };
        match found {
            Some(node) => Ok((node, path.clone())),
            None => Err(RepoError::NoEntry {
                path: inside,
                output: output.path.clone(),
            }),
        }
    }
}

/// Says which listing is missing in words that help.
pub(super) fn missing_listing(error: RepoError, output: &RepoPath) -> RepoError {
    match error {
        RepoError::Object(error) if error.is_missing() => RepoError::ListingNotHere {
            path: output.clone(),
            rev: None,
        },
        error => error,
    }
}
