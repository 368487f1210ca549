//! `get`: content of another repository, or of a plain URL, as files that nobody tracks.
//!
//! What is new is complete before it takes its name. Nothing else changes: no pointer is written, and the cache keeps
//! what came only where there is a repository.

use std::path::{Path, PathBuf};

use super::source::{
    Desk, Fetched, NamedBy, SourceRepository, UrlSource, last_name, path_inside, repository_around, shown,
};
use super::{OpenOptions, RepoError, Result};
use crate::fs::{self, FileKind};
use crate::hash::{FileId, RootId};
use crate::object::Node;
use crate::path::RepoPath;
use crate::progress::{Phase, Progress};
use crate::store::Cache;
use crate::workspace::{CheckoutPlan, CheckoutRequest, IgnoreRules, Mode, ScanRequest, Scopes, StateFile, scan};

/// What to get.
#[derive(Debug, Clone, Default)]
pub struct GetOptions {
    /// A repository if there is a path in it, or else a plain URL or path.
    pub url: String,
    /// A path in the repository.
    pub path: Option<PathBuf>,
    /// The revision of the repository; nothing means its newest commit.
    pub rev: Option<String>,
    /// Where to write it: a new name, or a directory that exists. Nothing means the last name of what is got, here.
    pub out: Option<PathBuf>,
    /// Whether files that are in the way are replaced.
    pub force: bool,
}

/// What was got.
#[derive(Debug, serde::Serialize)]
pub struct GetOutcome {
    /// Where it came from.
    pub url: String,
    /// The commit, if that is a repository.
    pub commit: Option<String>,
    /// Where it is, as the user would name it.
    pub out: PathBuf,
    /// Its id; not known of a single file of a plain URL.
    pub id: Option<RootId>,
    /// Bytes.
    pub size: u64,
    /// Files and links.
    pub files: u64,
}

/// Gets content of another place. Works in and outside of repositories.
///
/// # Errors
/// When the content cannot be had, or something is in the way. What was there before is then as it was, except that
/// files of a directory that was there may be replaced already if that was asked for.
pub fn get(options: &OpenOptions, request: &GetOptions) -> Result<GetOutcome> {
    let repository = repository_around(options)?;
    let desk = Desk::at(options, repository.as_ref())?;
    match &request.path {
        Some(path) => from_repository(&desk, request, path),
        None => from_url(&desk, request),
    }
}

fn from_repository(desk: &Desk<'_>, request: &GetOptions, path: &Path) -> Result<GetOutcome> {
    let path = path_inside(path)?;
    let source = SourceRepository::open(desk, &request.url, &desk.cwd, NamedBy::User, request.rev.as_deref())?;
    let path = source.path(path);
    let name = match (&request.out, path.is_root()) {
        (Some(_), true) => String::new(),
        _ => last_name(&path)?,
    };
    let (out, full) = out(desk, request, &name)?;
    free(&full, request.force)?;
    let found = source.find(&path)?;
    let content = source.content(&found)?;
    write(desk, &content, &found.node, &full, request.force)?;
    Ok(outcome(request, Some(source.commit), out, &found.node))
}

fn from_url(desk: &Desk<'_>, request: &GetOptions) -> Result<GetOutcome> {
    let source = UrlSource::open(desk, &request.url, &desk.cwd)?;
    let name = match &request.out {
        Some(_) => source.name().unwrap_or_default(),
        None => source.name()?,
    };
    let (out, full) = out(desk, request, &name)?;
    free(&full, request.force)?;
    let Some((file, _)) = source.download(&full)? else {
        let Fetched { node, .. } = source.fetch(None)?;
        write(desk, desk.cache()?, &node, &full, request.force)?;
        return Ok(outcome(request, None, out, &node));
    };
    let size = fs::stat_file(file.file(), file.path())?.size;
    if request.force {
        file.persist(&full)?;
    } else if !file.persist_new(&full)? {
        return Err(RepoError::InTheWay { path: full });
    }
    Ok(GetOutcome {
        url: shown(&request.url),
        commit: None,
        out,
        id: None,
        size,
        files: 1,
    })
}

fn outcome(request: &GetOptions, commit: Option<String>, out: PathBuf, node: &Node) -> GetOutcome {
    GetOutcome {
        url: shown(&request.url),
        commit,
        out,
        id: super::Content::from(node).id,
        size: node.size(),
        files: node.files(),
    }
}

/// Where to write it: as the user would name it, and in full.
fn out(desk: &Desk<'_>, request: &GetOptions, name: &str) -> Result<(PathBuf, PathBuf)> {
    let mut out = request.out.clone().unwrap_or_else(|| PathBuf::from(name));
    let full = desk.cwd.join(&out);
    // Following links: the user may keep a directory elsewhere.
    let there = fs::canonicalize(&full).ok();
    if let Some(there) = there
        && request.out.is_some()
        && !name.is_empty()
        && fs::stat(&there)?.is_some_and(|stat| stat.kind == FileKind::Dir)
    {
        out.push(name);
    }
    // Without `.` and `..` at the end, which are no names.
    let full = desk.cwd.join(&out);
    let full = match (full.parent(), full.file_name()) {
        (Some(parent), Some(name)) => match fs::canonicalize(parent) {
            Ok(parent) => parent.join(name),
            Err(error) if error.is_not_found() => {
                return Err(RepoError::NotFound {
                    path: parent.to_owned(),
                });
            }
            Err(error) => return Err(error.into()),
        },
        _ => return Err(RepoError::InTheWay { path: full }),
    };
    if is_in_git_dir(&full)? {
        return Err(RepoError::InGitDir { path: full });
    }
    Ok((out, full))
}

/// Whether a path, whose directory is resolved, is git's: what is written there git may run, or never find again.
pub(super) fn is_in_git_dir(path: &Path) -> Result<bool> {
    if path
        .components()
        .any(|name| name.as_os_str().eq_ignore_ascii_case(".git"))
    {
        return Ok(true);
    }
    for dir in path.ancestors().skip(1) {
        let has = |name: &str| Ok::<_, RepoError>(fs::stat(&dir.join(name))?.is_some());
        // A work tree, which may itself be inside a bare repository.
        if has(".git")? {
            break;
        }
        if has("HEAD")? && has("objects")? && has("refs")? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn free(path: &Path, force: bool) -> Result<()> {
    if !force && fs::stat(path)?.is_some() {
        return Err(RepoError::InTheWay { path: path.to_owned() });
    }
    Ok(())
}

/// Writes what is in a cache to a place that is no output.
fn write(desk: &Desk<'_>, content: &Cache, node: &Node, full: &Path, force: bool) -> Result<()> {
    // Only in a cache of our own may anything be written.
    let unique = format!("get-{}", std::process::id());
    let state = StateFile {
        path: desk.cache()?.tmp_dir().join(&unique),
        output: RepoPath::root(),
    };
    let there = fs::stat(full)?.is_some();
    if there {
        // Into what is there, file by file.
        let written = check_out(content, node, full, force, &state, &desk.progress);
        let _ = fs::remove_file(&state.path);
        return written;
    }
    let name = FileId::of(full.as_os_str().as_encoded_bytes()).short();
    let Some(last) = full.file_name() else {
        return Err(RepoError::InTheWay { path: full.to_owned() });
    };
    // In a directory that is not seen as content, under the name that it will have.
    let aside = full.with_file_name(format!(".modver-tmp-{unique}-{name}"));
    fs::create_dir_all(&aside)?;
    let complete = aside.join(last);
    let written = check_out(content, node, &complete, false, &state, &desk.progress).and_then(|()| {
        // Something may have appeared there meanwhile.
        if fs::rename_new(&complete, full)? {
            Ok(())
        } else {
            Err(RepoError::InTheWay { path: full.to_owned() })
        }
    });
    let _ = fs::remove_file(&state.path);
    let removed = fs::remove_dir_all(&aside);
    written.and_then(|()| Ok(removed?))
}

fn check_out(
    cache: &Cache,
    node: &Node,
    to: &Path,
    force: bool,
    state: &StateFile,
    progress: &std::sync::Arc<Progress>,
) -> Result<()> {
    progress.start(Phase::CheckingOut, node.files(), node.size());
    let ignore = IgnoreRules::none();
    let scan = scan(
        &ScanRequest {
            root: to,
            state: None,
            ignore: &ignore,
        },
        progress,
    )?;
    let whole = Scopes::whole();
    let snapshot = scan.snapshot(Mode::HashOnly, None, &whole, cache, progress)?;
    let plan = CheckoutPlan::new(
        CheckoutRequest {
            target: Some(node),
            scopes: &whole,
            base: None,
            present: None,
            force,
        },
        snapshot,
        cache,
    )?;
    if let (Some(_), false) = (plan.conflicts.first(), force) {
        return Err(RepoError::InTheWay { path: to.to_owned() });
    }
    let checked = plan.execute(state, progress)?;
    progress.check()?;
    match checked.failures.into_iter().next() {
        Some(failure) => Err(RepoError::NotWritten {
            path: failure.path.on_disk(to),
            source: failure.reason,
        }),
        None => Ok(()),
    }
}
