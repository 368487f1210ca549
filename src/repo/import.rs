//! `import`: content of another repository or of a plain URL as an output, whose pointer remembers where it came from.
//!
//! Order: the content comes into the cache, then the pointer is written, then the workspace. A run that is stopped
//! leaves at most content in the cache, or a pointer whose output `checkout` brings.

use std::path::{Path, PathBuf};

use super::record::Record;
use super::source::{
    Desk, Fetched, NamedBy, SourceRepository, UrlSource, last_name, of_source, path_inside, place, remember, shown,
    without_credentials,
};
use super::{CheckedOut, CheckoutOptions, Output, OutputMode, RepoError, Repository, Result, remotes};
use crate::fs::{self, FileKind};
use crate::git::{self, Import, Pointer, PointerContent, RepositoryImport, is_git_url};
use crate::hash::RootId;
use crate::object::{Node, Root};
use crate::path::RepoPath;

/// What to import from a repository.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// The repository: a URL that git can clone, or a path.
    pub url: String,
    /// A path in it.
    pub path: PathBuf,
    /// The revision; nothing means its newest commit, also for later updates.
    pub rev: Option<String>,
    /// What the output is called; nothing means the last name of the path, here.
    pub out: Option<PathBuf>,
    /// Whether what is in the way is replaced.
    pub force: bool,
    /// Whether only the pointer is written.
    pub no_download: bool,
    /// A description for the pointer, if given.
    pub desc: Option<String>,
    /// Labels for the pointer.
    pub labels: Vec<String>,
}

/// What to import from a plain URL.
#[derive(Debug, Clone, Default)]
pub struct ImportUrlOptions {
    /// `http(s)://`, `s3://`, `file://`, or a path.
    pub url: String,
    /// What the output is called; nothing means the last name of the URL, here.
    pub out: Option<PathBuf>,
    /// Whether what is in the way is replaced.
    pub force: bool,
    /// A description for the pointer, if given.
    pub desc: Option<String>,
    /// Labels for the pointer.
    pub labels: Vec<String>,
}

/// What was imported.
#[derive(Debug, serde::Serialize)]
pub struct ImportOutcome {
    /// The output.
    pub path: RepoPath,
    /// Where it came from, as the pointer remembers it.
    pub import: Import,
    /// Its content.
    pub id: RootId,
    /// Bytes.
    pub size: u64,
    /// Files and links.
    pub files: u64,
    /// How the workspace was written; `null` if only the pointer was.
    pub checkout: Option<CheckedOut>,
}

impl ImportOutcome {
    /// Whether the workspace is as the pointer says, as far as that was asked for.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let complete = |out: &CheckedOut| out.conflicts.is_empty() && out.failures.is_empty();
        self.checkout.as_ref().is_none_or(complete)
    }
}

impl Repository {
    /// Imports content of another repository.
    ///
    /// # Errors
    /// When it cannot be had, or may not be tracked at that place; nothing has changed then but the cache.
    pub fn import(&self, options: &ImportOptions) -> Result<ImportOutcome> {
        without_credentials(&options.url)?;
        let inside = path_inside(&options.path)?;
        if inside.is_root() {
            return Err(RepoError::WholeRepository);
        }
        let desk = Desk::of(self);
        let source = SourceRepository::open(&desk, &options.url, self.cwd(), NamedBy::User, options.rev.as_deref())?;
        let inside = source.path(inside);
        let path = self.import_path(options.out.as_deref(), || last_name(&inside))?;
        self.check_import(&path, options.force)?;
        let found = source.find(&inside)?;
        if !options.no_download {
            source.fetch(&found, &[])?;
        }
        let import = Import::Repository(RepositoryImport {
            url: self.url_to_remember(&options.url, is_git_url(&options.url))?,
            path: inside,
            rev: options.rev.clone(),
            commit: source.commit.clone(),
        });
        let pointer = pointer(&found.node, import, &options.desc, &options.labels);
        self.finish_import(&path, pointer, options.force, !options.no_download)
    }

    /// Imports what is at a plain URL.
    ///
    /// # Errors
    /// As [`Repository::import`].
    pub fn import_url(&self, options: &ImportUrlOptions) -> Result<ImportOutcome> {
        without_credentials(&options.url)?;
        let desk = Desk::of(self);
        let source = UrlSource::open(&desk, &options.url, self.cwd())?;
        let path = self.import_path(options.out.as_deref(), || source.name())?;
        self.check_import(&path, options.force)?;
        let Fetched { node, version } = source.fetch(None)?;
        let url = self.url_to_remember(&options.url, options.url.contains("://"))?;
        let import = Import::Url(remember(url, version));
        let pointer = pointer(&node, import, &options.desc, &options.labels);
        self.finish_import(&path, pointer, options.force, true)
    }

    /// The output that is wanted: a new name, or the last name of the source in a directory that exists.
    fn import_path(&self, out: Option<&Path>, name: impl FnOnce() -> Result<String>) -> Result<RepoPath> {
        let Some(out) = out else {
            return self.path_of(Path::new(&name()?));
        };
        let path = self.path_of(out)?;
        let is_dir = fs::stat(&path.on_disk(self.root()))?.is_some_and(|stat| stat.kind == FileKind::Dir);
        let has_pointer = git::pointer_path(&path).is_ok_and(|pointer| {
            let there = fs::stat(&pointer.on_disk(self.root()));
            there.is_ok_and(|stat| stat.is_some())
        });
        let is_output = || Ok::<_, RepoError>(self.outputs()?.outputs.iter().any(|output| output.path == path));
        if is_dir && !has_pointer && !is_output()? {
            return self.path_of(&out.join(name()?));
        }
        Ok(path)
    }

    /// Whether an import may be at a path.
    fn check_import(&self, path: &RepoPath, force: bool) -> Result<()> {
        let on_disk = path.on_disk(self.root());
        if super::get::is_in_git_dir(&on_disk)? {
            return Err(RepoError::InGitDir { path: on_disk });
        }
        let mut outputs = self.outputs()?;
        self.check_new_path(path, &outputs)?;
        self.check_git(std::slice::from_ref(path))?;
        if self.is_ignored(path, false)? || self.is_ignored(path, true)? {
            return Err(RepoError::Ignored { path: path.clone() });
        }
        let pointer = git::pointer_path(path)?;
        if let Some(at) = outputs.broken.iter().position(|error| error.path == pointer) {
            return Err(outputs.broken.swap_remove(at).into());
        }
        let there =
            fs::stat(&path.on_disk(self.root()))?.is_some() || fs::stat(&pointer.on_disk(self.root()))?.is_some();
        if there && !force {
            return Err(RepoError::InTheWay {
                path: path.on_disk(Path::new("")),
            });
        }
        Ok(())
    }

    fn finish_import(&self, path: &RepoPath, pointer: Pointer, force: bool, checkout: bool) -> Result<ImportOutcome> {
        let lock = self.lock_workspace()?;
        // Somebody may have put something there while the content was on its way.
        self.check_import(path, force)?;
        let missing: Vec<RepoPath> = std::iter::successors(path.parent(), RepoPath::parent)
            .take_while(|dir| matches!(fs::stat(&dir.on_disk(self.root())), Ok(None)))
            .collect();
        if let Some(dir) = missing.first() {
            fs::create_dir_all(&dir.on_disk(self.root()))?;
        }
        if let Err(error) = self.record(&[Record::Track(path.clone(), pointer.clone())]) {
            for dir in missing {
                // One that somebody has put something into stays.
                let _ = fs::remove_empty_dir(&dir.on_disk(self.root()));
            }
            return Err(error);
        }
        drop(lock);
        let output = Output {
            path: path.clone(),
            pointer,
            mode: OutputMode::Beside,
        };
        let checkout = if checkout {
            self.check_out_import(path, force)?
        } else {
            None
        };
        Ok(ImportOutcome {
            path: output.path.clone(),
            id: output.root().id(),
            size: output.pointer.size,
            files: super::observe::pointer_node(&output).files(),
            import: output
                .pointer
                .import
                .map(|import| *import)
                .ok_or_else(|| RepoError::NotAnImport { path: path.clone() })?,
            checkout,
        })
    }

    pub(super) fn check_out_import(&self, path: &RepoPath, force: bool) -> Result<Option<CheckedOut>> {
        let done = self.checkout(&CheckoutOptions {
            targets: vec![path.on_disk(self.root())],
            force,
            ..CheckoutOptions::default()
        })?;
        Ok(done.outputs.into_iter().next())
    }

    /// A URL as a pointer keeps it; a relative path starts at the root there.
    fn url_to_remember(&self, url: &str, is_url: bool) -> Result<String> {
        if is_url || Path::new(url).is_absolute() {
            return Ok(url.to_owned());
        }
        let kept = remotes::relative(&remotes::normal(&self.cwd().join(url)), self.root());
        // `a:b` would be taken for another machine.
        let kept = if is_git_url(&kept.to_string_lossy()) {
            Path::new(".").join(kept)
        } else {
            kept
        };
        kept.into_os_string()
            .into_string()
            .map_err(|path| RepoError::UrlNotText { path: path.into() })
    }

    /// Brings content of an import from where it came from, of the version that its pointer names, into the cache; of
    /// a directory only these parts, unless there are none.
    ///
    /// # Errors
    /// When the source cannot be read, or has something else now.
    pub(crate) fn fetch_import(&self, output: &Output, parts: &[RepoPath], only_look: bool) -> Result<()> {
        let Some(import) = output.pointer.import.as_deref() else {
            return Err(RepoError::NotAnImport {
                path: output.path.clone(),
            });
        };
        let desk = Desk::of(self);
        let changed = || {
            let path = output.path.clone();
            of_source(import.url())(RepoError::SourceChanged { path })
        };
        match import {
            Import::Repository(import) => {
                let source =
                    SourceRepository::open(&desk, &import.url, self.root(), NamedBy::Pointer, Some(&import.commit))?;
                let found = source.find(&import.path)?;
                if root_of(&found.node) != Some(output.root()) {
                    return Err(changed());
                }
                if only_look {
                    return Ok(());
                }
                source.fetch(&found, parts)
            }
            Import::Url(import) => {
                let source = UrlSource::open(&desk, &import.url, self.root())?;
                if only_look {
                    return source.ask(&import.into()).map(drop);
                }
                let Fetched { node, .. } = source.fetch(Some(output))?;
                if root_of(&node) != Some(output.root()) {
                    return Err(changed());
                }
                Ok(())
            }
        }
    }

    /// Whether the source of an import has another version now, asked as cheaply as it can be.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub(super) fn has_moved_on(&self, import: &Import) -> Result<bool> {
        let desk = Desk::of(self);
        match import {
            Import::Repository(import) => {
                let now = place::newest(&desk, import, self.root())?;
                Ok(now != import.commit)
            }
            Import::Url(import) => {
                let source = UrlSource::open(&desk, &import.url, self.root())?;
                Ok(source.ask(&import.into())?.is_some())
            }
        }
    }
}

/// What a node is the root of.
pub(super) fn root_of(node: &Node) -> Option<Root> {
    match node {
        Node::File { id, .. } => Some(Root::File(*id)),
        Node::Dir { id, .. } => Some(Root::Tree(*id)),
        Node::Symlink { .. } => None,
    }
}

/// What a pointer says of a node; never a link's.
pub(super) fn content_of(node: &Node) -> PointerContent {
    match *node {
        Node::Dir { id, files, .. } => PointerContent::Dir { id, files },
        Node::File { id, executable, .. } => PointerContent::File { id, executable },
        Node::Symlink { .. } => PointerContent::File {
            id: crate::hash::FileId::of(b""),
            executable: false,
        },
    }
}

fn pointer(node: &Node, import: Import, desc: &Option<String>, labels: &[String]) -> Pointer {
    Pointer {
        content: content_of(node),
        size: node.size(),
        desc: desc.clone(),
        labels: labels.to_vec(),
        remote: None,
        import: Some(Box::new(import)),
    }
}

/// Where an import came from, for people.
#[must_use]
pub(super) fn shown_source(import: &Import) -> String {
    shown(import.url())
}
