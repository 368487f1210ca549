//! A directory that holds only what a stage declares, and the files that git tracks: an input that is not declared is not
//! there, an output that is not declared is found.
//!
//! Not promised: that a command cannot reach outside. What a program names by an absolute path is read and written as
//! always; only where the command line itself names the workspace so, it is found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::aside::copy_all;
use super::error::{PipelineError, Result};
use super::execute::Ran;
use super::inputs::{self, Inputs, node_of};
use super::process::End;
use super::repro::Repro;
use super::session::Session;
use super::{Stage, inputs::locked_dep};
use crate::fs::{self, FileKind, Stat};
use crate::path::{Name, RepoPath};
use crate::repo::remove_path;

/// The directory; removed when dropped.
#[derive(Debug)]
pub(super) struct Sandbox {
    root: PathBuf,
    /// What was in it before the command ran.
    before: BTreeMap<RepoPath, Stat>,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // What cannot be removed is removed the next time.
        let _ = fs::remove_dir_all(&self.root);
    }
}

impl Sandbox {
    /// Makes it. The caller holds the lock of the stage.
    ///
    /// # Errors
    /// When something cannot be copied, or an input is neither in the workspace nor in the cache.
    pub(super) fn make(repro: &Repro<'_, '_>, stage: &Stage, known: &Inputs) -> Result<Self> {
        let session = repro.session;
        let repository = session.repository;
        if let Some(path) = reached(repository.root(), stage) {
            return Err(PipelineError::UndeclaredInput {
                stage: stage.id.clone(),
                path,
            });
        }
        let root = repository
            .stage_dir()
            .join("isolated")
            .join(inputs::file_name(&stage.id));
        fs::remove_dir_all(&root)?;
        fs::create_dir_all(&root)?;
        let mut sandbox = Self {
            root: fs::canonicalize(&root)?,
            before: BTreeMap::new(),
        };
        let tracked = repository.git().tracked()?.under(&RepoPath::root())?;
        for path in &tracked {
            if !session.is_made(path) {
                sandbox.copy_in(session, path)?;
            }
        }
        for (path, dep) in &known.deps {
            let there = session.contents.node(path)?;
            let Some(dep) = dep else { continue };
            if there
                .as_ref()
                .and_then(locked_dep)
                .is_some_and(|there| there.content == dep.content)
            {
                sandbox.copy_in(session, path)?;
                // What does not count must not be needed.
                for ignored in session.contents.left_out(path)? {
                    if !tracked.iter().any(|tracked| tracked.starts_with(&ignored)) {
                        remove_path(&ignored.on_disk(&sandbox.root))?;
                    }
                }
            } else {
                remove_path(&path.on_disk(&sandbox.root))?;
                let node = node_of(dep.content, dep.size);
                if !repository.has_content(&node)? {
                    return Err(PipelineError::AbsentDep {
                        stage: stage.id.clone(),
                        path: path.clone(),
                    });
                }
                repository.export_content(path, &node, &path.on_disk(&sandbox.root))?;
            }
        }
        for params in &stage.params {
            sandbox.copy_in(session, &params.file)?;
        }
        for out in stage.outs.iter().filter(|out| out.persist) {
            sandbox.copy_in(session, &out.path)?;
        }
        sandbox.make_dirs(stage)?;
        sandbox.before = sandbox.files()?;
        Ok(sandbox)
    }

    fn make_dirs(&self, stage: &Stage) -> Result<()> {
        fs::create_dir_all(&stage.wdir.on_disk(&self.root))?;
        for out in &stage.outs {
            if let Some(parent) = out.path.parent() {
                fs::create_dir_all(&parent.on_disk(&self.root))?;
            }
        }
        Ok(())
    }

    /// Where it is.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn copy_in(&self, session: &Session<'_>, path: &RepoPath) -> Result<()> {
        let from = path.on_disk(session.repository.root());
        let to = path.on_disk(&self.root);
        if fs::stat(&from)?.is_none() || fs::stat(&to)?.is_some_and(|stat| stat.kind != FileKind::Dir) {
            return Ok(());
        }
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        copy_all(&from, &to)
    }

    /// Removes what an attempt made, for the next one.
    pub(super) fn start_again(&self, repro: &Repro<'_, '_>, stage: &Stage) -> Result<()> {
        for out in &stage.outs {
            remove_path(&out.path.on_disk(&self.root))?;
            if out.persist {
                self.copy_in(repro.session, &out.path)?;
            }
        }
        self.make_dirs(stage)
    }

    /// Moves the declared outputs of a run that went well into the workspace. Returns what else it wrote.
    ///
    /// # Errors
    /// [`PipelineError::UndeclaredInput`] for a run that failed and whose log names something that the workspace has and
    /// the stage does not declare; when something cannot be moved.
    pub(super) fn collect(
        &self,
        repro: &Repro<'_, '_>,
        stage: &Stage,
        ran: &Ran,
        log: &[u8],
    ) -> Result<BTreeSet<RepoPath>> {
        self.explain(repro.session, stage, ran, log)?;
        if ran.end != End::Exited(0) {
            return Ok(BTreeSet::new());
        }
        let undeclared = self.undeclared(stage)?;
        let _workspace = repro.workspace()?;
        for out in &stage.outs {
            let from = out.path.on_disk(&self.root);
            let to = out.path.on_disk(repro.session.repository.root());
            if fs::stat(&from)?.is_some() {
                remove_path(&to)?;
                copy_all(&from, &to)?;
            }
        }
        Ok(undeclared)
    }

    /// Names the input that a failed run lacked, if its log does.
    pub(super) fn explain(&self, session: &Session<'_>, stage: &Stage, ran: &Ran, log: &[u8]) -> Result<()> {
        if ran.end == End::Exited(0) || ran.end == End::Interrupted {
            return Ok(());
        }
        match self.lacked(session, stage, log)? {
            None => Ok(()),
            Some(path) => Err(PipelineError::UndeclaredInput {
                stage: stage.id.clone(),
                path,
            }),
        }
    }

    /// The first path in the log that leads to something in the workspace and to nothing here.
    fn lacked(&self, session: &Session<'_>, stage: &Stage, log: &[u8]) -> Result<Option<RepoPath>> {
        let text = String::from_utf8_lossy(log);
        let root = session.repository.root();
        let mut seen = BTreeSet::new();
        for word in words(&text) {
            let word = word.trim_end_matches('.');
            if !seen.insert(word) || word.is_empty() {
                continue;
            }
            let (here, there) = (stage.wdir.on_disk(&self.root), stage.wdir.on_disk(root));
            let path = match Path::new(word).strip_prefix(&self.root) {
                Ok(below) => RepoPath::from_user(below, root, root),
                Err(_) if word.starts_with('/') => continue,
                Err(_) => RepoPath::from_user(Path::new(word), &there, root),
            };
            let Ok(path) = path else { continue };
            if path.is_root() || stage.outs.iter().any(|out| path.starts_with(&out.path)) {
                continue;
            }
            let is_there = |root: &Path| -> Result<bool> { Ok(fs::stat(&path.on_disk(root))?.is_some()) };
            if is_there(root)? && !is_there(&self.root)? && here.starts_with(&self.root) {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// What is new or changed and no declared output.
    pub(super) fn undeclared(&self, stage: &Stage) -> Result<BTreeSet<RepoPath>> {
        let mut found = BTreeSet::new();
        for (path, stat) in self.files()? {
            let is_out = stage.outs.iter().any(|out| path.starts_with(&out.path));
            let same = self.before.get(&path).is_some_and(|before| before.same_content(&stat));
            if !is_out && !same {
                found.insert(path);
            }
        }
        Ok(found)
    }

    fn files(&self) -> Result<BTreeMap<RepoPath, Stat>> {
        let mut files = BTreeMap::new();
        let mut pending = vec![RepoPath::root()];
        while let Some(dir) = pending.pop() {
            for name in fs::list(&dir.on_disk(&self.root))? {
                use std::os::unix::ffi::OsStrExt as _;
                let Ok(name) = Name::new(name.as_bytes()) else { continue };
                let path = dir.join(&name);
                match fs::stat(&path.on_disk(&self.root))? {
                    Some(stat) if stat.kind == FileKind::Dir => pending.push(path),
                    Some(stat) => drop(files.insert(path, stat)),
                    None => {}
                }
            }
        }
        Ok(files)
    }
}

/// What may be paths in a text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let apart = |c: char| c.is_whitespace() || "'\"`‘’:,;()[]<>=".contains(c);
    text.split(apart).filter(|word| !word.is_empty())
}

/// What a command names in the workspace by an absolute path, and the stage does not declare: it would be reached from
/// anywhere.
fn reached(root: &Path, stage: &Stage) -> Option<RepoPath> {
    let mut named = stage.cmd.iter().flat_map(|line| words(line)).filter_map(|word| {
        let below = Path::new(word).strip_prefix(root).ok()?;
        RepoPath::from_user(below, root, root).ok()
    });
    let params = stage.params.iter().map(|params| &params.file);
    let declared: Vec<&RepoPath> = stage.deps.iter().chain(params).collect();
    named.find(|path| !path.is_root() && !declared.iter().any(|declared| path.starts_with(declared)))
}
