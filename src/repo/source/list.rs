//! `ls` of another repository.

use std::path::PathBuf;

use super::copy::Depth;
use super::desk::Desk;
use super::place::NamedBy;
use super::repository::SourceRepository;
use super::{of_source, path_inside, shown};
use crate::git::GitError;
use crate::object::{self, Node, Root, Visit};
use crate::path::RepoPath;
use crate::repo::observe::pointer_node;
use crate::repo::{BrokenPointer, Content, Listed, LsOutcome, OpenOptions, Output, RepoError, Repository, Result};

/// What to list of another repository.
#[derive(Debug, Clone)]
pub struct SourceRequest {
    /// The repository: a URL, or a path.
    pub url: String,
    /// A directory, output or path inside one; nothing means everything.
    pub path: Option<PathBuf>,
    /// The revision; nothing means the newest commit.
    pub rev: Option<String>,
    /// Whether to list what is below directories, too.
    pub recursive: bool,
}

/// What is tracked in another repository.
#[derive(Debug, serde::Serialize)]
pub struct SourceListing {
    /// The repository.
    pub url: String,
    /// The commit.
    pub commit: String,
    /// What is tracked there.
    #[serde(flatten)]
    pub listing: LsOutcome,
}

/// The repository around the user, if there is one.
pub(in crate::repo) fn repository_around(options: &OpenOptions) -> Result<Option<Repository>> {
    match Repository::open(options) {
        Ok(repository) => Ok(Some(repository)),
        Err(RepoError::Git(GitError::NotARepository { .. } | GitError::Bare { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Lists what is tracked in another repository. Listings of directories are fetched, files are not.
///
/// # Errors
/// When the repository cannot be read, or nothing is tracked at the path.
pub fn ls_source(options: &OpenOptions, request: &SourceRequest) -> Result<SourceListing> {
    let repository = repository_around(options)?;
    let desk = Desk::at(options, repository.as_ref())?;
    let base = desk.cwd.clone();
    let source = SourceRepository::open(&desk, &request.url, &base, NamedBy::User, request.rev.as_deref())?;
    let path = request
        .path
        .as_deref()
        .map(path_inside)
        .transpose()?
        .unwrap_or_default();
    let lister = Lister {
        desk: &desk,
        source: &source,
        recursive: request.recursive,
    };
    let (entries, broken) = lister
        .list(&path, request.path.is_some())
        .map_err(of_source(&request.url))?;
    Ok(SourceListing {
        url: shown(&request.url),
        commit: source.commit,
        listing: LsOutcome {
            path,
            rev: request.rev.clone(),
            entries,
            broken,
        },
    })
}

struct Lister<'a> {
    desk: &'a Desk<'a>,
    source: &'a SourceRepository<'a>,
    recursive: bool,
}

impl Lister<'_> {
    fn list(&self, path: &RepoPath, named: bool) -> Result<(Vec<Listed>, Vec<BrokenPointer>)> {
        let mut entries = Vec::new();
        if let Some((output, inside)) = self.source.output_around(path)? {
            self.inside(&output, &inside, &mut entries)?;
            return Ok((entries, Vec::new()));
        }
        let (outputs, broken) = self.source.outputs(path)?;
        for output in outputs {
            let node = pointer_node(&output);
            let name = output.path.strip_prefix(path).unwrap_or_default();
            entries.push(Listed {
                path: output.path.clone(),
                name: name.clone(),
                output: true,
                content: Content::from(&node),
            });
            if self.recursive {
                self.below(&output, &RepoPath::root(), &name, &node, &mut entries)?;
            }
        }
        if entries.is_empty() && broken.is_empty() && named {
            return Err(self.source.nothing_at(path));
        }
        Ok((entries, broken.iter().map(BrokenPointer::from).collect()))
    }

    fn inside(&self, output: &Output, inside: &RepoPath, entries: &mut Vec<Listed>) -> Result<()> {
        let path = output.path.join_path(inside);
        let node = match output.root() {
            _ if inside.is_root() => pointer_node(output),
            Root::File(_) => return Err(self.source.nothing_at(&path)),
            Root::Tree(id) => {
                self.source
                    .bring(output, std::slice::from_ref(inside), Depth::Listings)?;
                object::find(self.desk.cache()?, id, inside)?.ok_or_else(|| self.source.nothing_at(&path))?
            }
        };
        if let Node::Dir { .. } = node {
            return self.below(output, inside, &RepoPath::root(), &node, entries);
        }
        let name = path.file_name().map(|name| RepoPath::root().join(&name));
        entries.push(Listed {
            name: name.unwrap_or_default(),
            output: inside.is_root(),
            path,
            content: Content::from(&node),
        });
        Ok(())
    }

    /// Lists what is below a directory of an output, which is shown as `name`.
    fn below(
        &self,
        output: &Output,
        inside: &RepoPath,
        name: &RepoPath,
        node: &Node,
        entries: &mut Vec<Listed>,
    ) -> Result<()> {
        let Node::Dir { id, .. } = node else { return Ok(()) };
        let parts = if inside.is_root() {
            Vec::new()
        } else {
            vec![inside.clone()]
        };
        self.source.bring(output, &parts, Depth::Listings)?;
        object::walk(self.desk.cache()?, *id, |below, node| {
            entries.push(Listed {
                path: output.path.join_path(inside).join_path(below),
                name: name.join_path(below),
                output: false,
                content: Content::from(node),
            });
            Ok::<_, RepoError>(if self.recursive { Visit::Enter } else { Visit::Skip })
        })
    }
}
