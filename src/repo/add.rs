//! `add` and `commit`: workspace → cache, pointers, git's index.

use std::path::PathBuf;

use super::observe::{Observed, pointer_node};
use super::record::Record;
use super::targets::beside;
use super::threeway::Since;
use super::{BrokenPointer, Output, PushOptions, PushOutcome, Repository, Result, Target};
use crate::git::{Pointer, PointerContent, Scope};
use crate::hash::RootId;
use crate::object::Node;
use crate::path::RepoPath;
use crate::progress::Phase;
use crate::store::{Stored, Transaction};
use crate::workspace::{Scopes, Snapshot, Within, WorkspaceError};

/// What to add.
#[derive(Debug, Default)]
pub struct AddOptions {
    /// Files, directories and patterns, as typed.
    pub paths: Vec<PathBuf>,
    /// Only say what would be done.
    pub dry_run: bool,
    /// A description for the pointers, if given.
    pub desc: Option<String>,
    /// Labels for the pointers, if any were given.
    pub labels: Vec<String>,
    /// The remote the outputs belong to, if given.
    pub remote: Option<String>,
    /// Push them right away.
    pub to_remote: bool,
    /// Record what is here also where the pointer changed since it was brought here.
    pub force: bool,
}

/// How an output's pointer changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recorded {
    /// It is tracked for the first time.
    New,
    /// It names other content, or says something else about it.
    Updated,
    /// It was right already.
    Unchanged,
}

/// One output that was added.
#[derive(Debug, serde::Serialize)]
pub struct Added {
    /// The output.
    pub path: RepoPath,
    /// How its pointer changed.
    pub change: Recorded,
    /// Its content.
    pub id: RootId,
    /// Bytes.
    pub size: u64,
    /// Files and links in it.
    pub files: u64,
    /// Files that had to be read.
    pub files_read: u64,
    /// Files that belong to it and are not present in this workspace.
    pub files_absent: u64,
    /// Where it was imported from, if it is not what was imported any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was_import: Option<String>,
}

/// What an add did.
#[derive(Debug, serde::Serialize)]
pub struct AddOutcome {
    /// The outputs.
    pub outputs: Vec<Added>,
    /// What was new to the cache.
    pub stored: Stored,
    /// Pointers that cannot be read: what they stand for was left alone.
    pub broken: Vec<BrokenPointer>,
    /// Whether nothing was written because that was asked.
    pub dry_run: bool,
    /// What was pushed, if that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed: Option<PushOutcome>,
}

impl Repository {
    /// Stores files and directories and writes their pointers.
    ///
    /// # Errors
    /// When a path may not be tracked, or something cannot be read, stored or written. Pointers, `.gitignore` and the
    /// workspace are then as before.
    pub fn add(&self, options: &AddOptions) -> Result<AddOutcome> {
        let lock = self.lock_workspace()?;
        if let Some(remote) = &options.remote {
            self.config.remote(remote)?;
        }
        if options.to_remote {
            // What cannot be pushed to need not be added for it.
            self.remote(options.remote.as_deref())?.exists()?;
        }
        let mut outputs = self.outputs()?.beside();
        let paths = self.inputs(&options.paths, &outputs)?;
        // What looks like the pointer and is none is a merge that has to be decided, or somebody's file.
        if let Some(at) = paths.iter().find_map(|path| outputs.broken_around(path)) {
            return Err(outputs.broken.swap_remove(at).into());
        }
        self.check_git(&paths)?;
        let before = |path: &RepoPath| outputs.outputs.iter().find(|output| output.path == *path).cloned();
        let work = paths.into_iter().map(|path| Work {
            before: before(&path),
            path,
            named: true,
        });
        let work = work.collect();
        let mut outcome = self.store(work, options)?;
        drop(lock);
        if options.to_remote && !options.dry_run {
            let targets = outcome.outputs.iter().map(|added| added.path.on_disk(self.root()));
            let push = PushOptions {
                scope: Scope::workspace(),
                targets: targets.collect(),
                remotes: options.remote.clone().into_iter().collect(),
                dry_run: false,
                no_imports: false,
            };
            outcome.pushed = Some(self.push(&push)?);
        }
        Ok(outcome)
    }

    /// Whether an output of a stage is here as its lock file says, and was never stored here.
    fn is_unstored(&self, output: &Output) -> Result<bool> {
        let is_here = crate::fs::stat(&output.path.on_disk(self.root()))?.is_some();
        if !is_here || self.is_tracked(&output.path)? {
            return Ok(false);
        }
        let observed = self.observe_output(output)?;
        Ok(self.identify(observed, None)?.node == Some(super::observe::pointer_node(output)))
    }

    /// Stores the changes of outputs that are tracked already; of an output of a stage, what is here counts as what the
    /// stage made. One that is as an earlier pointer says is left alone
    /// unless it is named: it was not changed here.
    ///
    /// # Errors
    /// As [`Repository::add`]; also when an output is not there at all.
    pub fn commit(&self, targets: &[PathBuf], force: bool, dry_run: bool) -> Result<AddOutcome> {
        let _lock = self.lock_workspace()?;
        let mut work = Vec::new();
        let selected = self.targets(targets)?;
        let (of_stages, others): (Vec<Target>, Vec<Target>) = selected
            .targets
            .into_iter()
            .partition(|target| target.output.stage().is_some());
        // What nobody names may be half made, unless it is what the stage made and only was not stored.
        let mut targets = beside(others, "add")?;
        for mut target in of_stages {
            target.named = target.named || self.is_unstored(&target.output)?;
            if target.named {
                targets.push(target);
            }
        }
        self.check_not_being_made(targets.iter().map(|target| &target.output.path))?;
        for target in targets {
            let there = crate::fs::stat(&target.output.path.on_disk(self.root()))?.is_some();
            if there {
                work.push(Work {
                    before: Some(target.output.clone()),
                    path: target.output.path,
                    named: target.named,
                });
            } else if target.named {
                return Err(super::RepoError::NotFound {
                    path: target.output.path.on_disk(self.root()),
                });
            }
        }
        let options = AddOptions {
            dry_run,
            force,
            ..AddOptions::default()
        };
        let mut outcome = self.store(work, &options)?;
        outcome.broken = selected.broken;
        Ok(outcome)
    }

    fn store(&self, work: Vec<Work>, options: &AddOptions) -> Result<AddOutcome> {
        self.progress.start(Phase::Scanning, 0, 0);
        let mut observed = Vec::with_capacity(work.len());
        for work in work {
            let seen = match &work.before {
                Some(output) if output.path == work.path => self.observe_output(output)?,
                before => self.observe(&work.path, before.as_ref().map(Output::root))?,
            };
            observed.push((work, seen));
        }
        let (files, bytes) = observed.iter().fold((0, 0), |sum, (_, seen)| {
            let unknown = unknown(seen);
            (sum.0 + unknown.0, sum.1 + unknown.1)
        });
        self.progress.start(Phase::Adding, files, bytes);
        if options.dry_run {
            let (outputs, _, _) = self.identify_all(observed, None, options)?;
            return Ok(AddOutcome {
                outputs,
                stored: Stored::default(),
                broken: Vec::new(),
                dry_run: true,
                pushed: None,
            });
        }
        let transaction = self.cache()?.transaction(&self.progress)?;
        let (outputs, records, states) = match self.identify_all(observed, Some(&transaction), options) {
            Ok(identified) => identified,
            Err(super::RepoError::Workspace(WorkspaceError::Store(error))) => {
                return Err(transaction.cause(error).into());
            }
            Err(error) => return Err(error),
        };
        let stored = transaction.commit()?;
        let mut prepared = Vec::with_capacity(states.len());
        for (path, snapshot, scopes) in &states {
            prepared.push(snapshot.prepare_state(&self.state_path(path)?, snapshot.root(), scopes)?);
        }
        self.record(&records)?;
        // Only now: what a state names and no pointer does is taken for data that is tracked no more. Without it, the
        // next look only takes longer.
        for state in prepared {
            let _ = state.publish();
        }
        Ok(AddOutcome {
            outputs,
            stored,
            broken: Vec::new(),
            dry_run: false,
            pushed: None,
        })
    }

    #[allow(clippy::type_complexity, reason = "three parallel lists, used right here")]
    fn identify_all(
        &self,
        observed: Vec<(Work, Observed)>,
        transaction: Option<&Transaction>,
        options: &AddOptions,
    ) -> Result<(Vec<Added>, Vec<Record>, Vec<(RepoPath, Snapshot, Scopes)>)> {
        let (mut added, mut records, mut states) = (Vec::new(), Vec::new(), Vec::new());
        for (Work { before, path, named }, seen) in observed {
            let last = seen.last;
            let mut scopes = seen.scopes.clone();
            let snapshot = match self.identify(seen, transaction) {
                Err(super::RepoError::Workspace(WorkspaceError::Object(error))) if error.is_missing() => {
                    // Nothing tells what else belongs to it, unless all of it is here.
                    let whole = match &before {
                        Some(output) => self.whole_as_pointed(output, transaction)?,
                        None => None,
                    };
                    scopes = Scopes::whole();
                    whole.ok_or_else(|| super::RepoError::ListingNotHere {
                        path: path.clone(),
                        rev: None,
                    })?
                }
                snapshot => snapshot.map_err(|error| super::RepoError::in_output(&path, error))?,
            };
            let Some(node) = snapshot.node.clone() else {
                return Err(super::RepoError::NotFound {
                    path: path.on_disk(self.root()),
                });
            };
            if let Some(output) = &before
                && let Some(last) = last.filter(|last| *last != output.root())
                && snapshot.root() != Some(output.root())
                && !options.force
            {
                match self.since(output, &snapshot, last, &scopes)? {
                    Since::AsItWas if !named => continue,
                    Since::AsItWas => {}
                    // All that is new in the pointer is here: nothing of it is undone.
                    Since::Changed(Some(joined))
                        if joined.clashes.is_empty() && snapshot.node.as_ref() == Some(&joined.node) => {}
                    Since::Changed(joined) => {
                        let can_join = joined
                            .as_ref()
                            .is_some_and(|joined| snapshot.node.as_ref() != Some(&joined.node));
                        let clashes = joined.into_iter().flat_map(|joined| joined.clashes);
                        return Err(super::RepoError::Diverged {
                            clashes: clashes.map(|clash| path.join_path(&clash)).collect(),
                            can_join,
                            path,
                        });
                    }
                }
            }
            let pointer = pointer_of(&node, before.as_ref(), options);
            let (present, _) = snapshot.scan.totals();
            added.push(Added {
                path: path.clone(),
                change: match &before {
                    None => Recorded::New,
                    Some(output) if output.pointer == pointer => Recorded::Unchanged,
                    Some(_) => Recorded::Updated,
                },
                id: super::outputs::pointer_root(&pointer).id(),
                size: node.size(),
                files: node.files(),
                files_read: snapshot.read.0,
                files_absent: node.files().saturating_sub(present),
                was_import: match (before.as_ref().and_then(|b| b.pointer.import.as_ref()), &pointer.import) {
                    (Some(import), None) => Some(import.url().to_owned()),
                    _ => None,
                },
            });
            let scopes = present_scopes(&snapshot, scopes, node.files() == present);
            records.push(match before.as_ref().and_then(Output::stage) {
                None => Record::Track(path.clone(), pointer),
                Some(of) => Record::Lock(path.clone(), pointer, of.clone()),
            });
            states.push((path, snapshot, scopes));
        }
        Ok((added, records, states))
    }
}

impl Repository {
    /// What is here, if that is all that the pointer names: no listing is needed to see that.
    fn whole_as_pointed(&self, output: &Output, transaction: Option<&Transaction>) -> Result<Option<Snapshot>> {
        let look = || -> Result<Observed> {
            Ok(Observed {
                base: None,
                scopes: Scopes::whole(),
                ..self.observe(&output.path, Some(output.root()))?
            })
        };
        if self.identify(look()?, None)?.node.as_ref() != Some(&pointer_node(output)) {
            return Ok(None);
        }
        let stored = self.identify(look()?, transaction);
        Ok(Some(
            stored.map_err(|error| super::RepoError::in_output(&output.path, error))?,
        ))
    }
}

/// One output to store.
struct Work {
    /// As its pointer says, if there is one.
    before: Option<Output>,
    path: RepoPath,
    /// Whether the user named it.
    named: bool,
}

/// Files that have to be read, and their bytes.
fn unknown(seen: &Observed) -> (u64, u64) {
    let rows = seen.scan.dirs.iter().flat_map(|dir| dir.table.rows());
    rows.filter(|row| row.kind() == crate::fs::FileKind::File && row.id().is_none())
        .fold((0, 0), |sum, row| (sum.0 + 1, sum.1 + row.size))
}

fn pointer_of(node: &Node, before: Option<&Output>, options: &AddOptions) -> Pointer {
    let before = before.map(|output| &output.pointer);
    let content = match *node {
        Node::Dir { id, files, .. } => PointerContent::Dir { id, files },
        Node::File { id, executable, .. } => PointerContent::File { id, executable },
        // An output is never a link.
        Node::Symlink { .. } => PointerContent::File {
            id: crate::hash::FileId::of(b""),
            executable: false,
        },
    };
    let kept = |given: &Option<String>, kept: Option<&Option<String>>| given.clone().or_else(|| kept?.clone());
    Pointer {
        content,
        size: node.size(),
        desc: kept(&options.desc, before.map(|p| &p.desc)),
        labels: if options.labels.is_empty() {
            before.map(|p| p.labels.clone()).unwrap_or_default()
        } else {
            options.labels.clone()
        },
        remote: kept(&options.remote, before.map(|p| &p.remote)),
        // Content that was changed here is not the source's any more.
        import: before
            .filter(|before| before.content == content)
            .and_then(|before| before.import.clone()),
    }
}

/// What is present after an add: what was, and every file that was found beside it, so that its later deletion counts.
fn present_scopes(snapshot: &Snapshot, before: Scopes, complete: bool) -> Scopes {
    if complete || before.is_whole() {
        return Scopes::whole();
    }
    let mut found = before.paths().to_vec();
    for dir in &snapshot.scan.dirs {
        if before.within(&dir.path) == Within::Inside {
            continue;
        }
        for row in dir
            .table
            .rows()
            .iter()
            .filter(|row| row.kind() != crate::fs::FileKind::Dir)
        {
            let name = crate::path::Name::new(dir.table.name(row));
            if let Ok(path) = name.map(|name| dir.path.join(&name))
                && before.within(&path) != Within::Inside
            {
                found.push(path);
            }
        }
    }
    Scopes::new(found)
}
