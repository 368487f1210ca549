//! Outputs whose pointers a merge left in conflict: what is open, and settling it for one side.
//!
//! A part that is settled is written into the pointer file at once; with the last one the pointer is whole again, staged,
//! and its data comes into the workspace. Listings are stored before the pointer that needs them.

use std::path::PathBuf;

use super::merge::with_content;
use super::observe::root_node;
use super::record::Record;
use super::{CheckoutOptions, CheckoutOutcome, Content, Output, OutputMode, RepoError, Repository, Result, Target};
use crate::fs;
use crate::git::{self, Field, FileEdit, Pointer, PointerConflict, PointerError, PointerProblem, Side, Unmerged};
use crate::object::{self, Clash, Node};
use crate::path::{Name, RepoPath};

/// An output whose pointer is in conflict.
#[derive(Debug, serde::Serialize)]
pub struct ConflictedOutput {
    /// The output.
    pub path: RepoPath,
    /// What is open, inside a directory path by path.
    pub files: Vec<ConflictedFile>,
    /// What people wrote, both sides in their own way.
    pub fields: Vec<ConflictedField>,
}

/// A path that both sides changed, each in its own way.
#[derive(Debug, serde::Serialize)]
pub struct ConflictedFile {
    /// In the repository.
    pub path: RepoPath,
    /// What both sides began with; `null`: nothing.
    pub base: Option<Content>,
    /// What we made of it; `null`: nothing.
    pub ours: Option<Content>,
    /// What they made of it; `null`: nothing.
    pub theirs: Option<Content>,
}

/// A value of the pointer that both sides changed.
#[derive(Debug, serde::Serialize)]
pub struct ConflictedField {
    /// Which one.
    pub field: Field,
    /// Ours.
    pub ours: Option<String>,
    /// Theirs.
    pub theirs: Option<String>,
}

/// What settling did.
#[derive(Debug, serde::Serialize)]
pub struct SettleOutcome {
    /// Whose side was taken.
    pub side: Side,
    /// The outputs.
    pub outputs: Vec<Settled>,
    /// The data of outputs that are whole again.
    pub checkout: CheckoutOutcome,
}

/// What settling did to one output.
#[derive(Debug, serde::Serialize)]
pub struct Settled {
    /// The output.
    pub path: RepoPath,
    /// Parts that were settled.
    pub settled: u64,
    /// Parts that are still open.
    pub left: u64,
    /// Whether the side that was taken does not track it.
    pub untracked: bool,
}

/// What a pointer file in conflict amounts to.
enum Open {
    /// Parts of a pointer.
    Parts(PointerConflict),
    /// One side changed the output, the other no longer tracks it.
    Whole(Option<Pointer>, Option<Pointer>),
}

impl Repository {
    /// What is open in the pointer of an output; `None` when that cannot be told.
    pub(super) fn explain_conflict(&self, error: &PointerError) -> Result<Option<ConflictedOutput>> {
        if !matches!(error.problem, PointerProblem::Conflict) {
            return Ok(None);
        }
        let Some(path) = git::output_path(&error.path) else {
            return Ok(None);
        };
        let (clashes, fields) = match self.conflict_file(&error.path) {
            Ok(conflict) => (conflict.clashes, conflict.fields),
            // Git's own markers, where there is no merge driver.
            Err(_) => match self.git.unmerged(&error.path)? {
                Some(versions) => (vec![whole(&versions, &error.path)], Vec::new()),
                None => return Ok(None),
            },
        };
        let content = |node: &Option<Node>| node.as_ref().map(Content::from);
        Ok(Some(ConflictedOutput {
            files: clashes
                .iter()
                .map(|clash| ConflictedFile {
                    path: path.join_path(&clash.path),
                    base: content(&clash.base),
                    ours: content(&clash.ours),
                    theirs: content(&clash.theirs),
                })
                .collect(),
            fields: fields
                .into_iter()
                .map(|clash| ConflictedField {
                    field: clash.field,
                    ours: clash.ours,
                    theirs: clash.theirs,
                })
                .collect(),
            path,
        }))
    }

    /// Takes one side wherever the targets are in conflict: outputs, directories with outputs, or paths inside an output.
    ///
    /// # Errors
    /// When a target is not in conflict, or something cannot be read or written; nothing is settled then, or only whole
    /// outputs before the one that failed.
    pub fn settle(&self, side: Side, targets: &[PathBuf]) -> Result<SettleOutcome> {
        let lock = self.lock_workspace()?;
        let found = self.outputs()?;
        let mut pointers: Vec<RepoPath> = found
            .broken
            .into_iter()
            .filter(|error| matches!(error.problem, PointerProblem::Conflict))
            .map(|error| error.path)
            .collect();
        pointers.extend(self.git.unmerged_pointers()?);
        pointers.sort_unstable();
        pointers.dedup();
        let typed = targets
            .iter()
            .map(|target| self.path_of(target))
            .collect::<Result<Vec<_>>>()?;
        let mut wanted: Vec<(RepoPath, Vec<RepoPath>)> = Vec::new();
        let mut locks: Vec<RepoPath> = pointers
            .iter()
            .filter(|file| git::is_lock_path(file))
            .cloned()
            .collect();
        let mut wanted_locks = std::collections::BTreeSet::new();
        for typed in &typed {
            let mut known = false;
            for pointer in &pointers {
                let Some(output) = git::output_path(pointer) else {
                    if pointer.starts_with(typed) {
                        known = true;
                        wanted_locks.insert(pointer.clone());
                    }
                    continue;
                };
                let part = match typed.strip_prefix(&output) {
                    Some(part) => part,
                    None if typed == pointer || output.starts_with(typed) => RepoPath::root(),
                    None => continue,
                };
                known = true;
                match wanted.iter_mut().find(|(path, _)| path == pointer) {
                    Some((_, parts)) => parts.push(part),
                    None => wanted.push((pointer.clone(), vec![part])),
                }
            }
            if !known {
                self.not_in_conflicting_lock(typed, &locks)?;
                return Err(RepoError::NotInConflict { path: typed.clone() });
            }
        }
        // All of them are looked at before anything is written.
        let mut plans = Vec::new();
        for (pointer, parts) in wanted {
            plans.push((self.settle_one(side, &pointer, &parts)?, pointer));
        }
        let (mut outputs, mut targets) = (Vec::new(), Vec::new());
        locks.retain(|lock| wanted_locks.contains(lock));
        for lock in &locks {
            let (settled, of_lock) = self.settle_lock(side, lock)?;
            outputs.push(settled);
            targets.extend(of_lock);
        }
        for ((open, settled), pointer) in plans {
            targets.extend(self.write_settled(open, &settled.path, &pointer, side)?);
            outputs.push(settled);
        }
        let whole = CheckoutOptions {
            whole: true,
            ..CheckoutOptions::default()
        };
        let checkout = self.check_out(targets, Vec::new(), &whole)?;
        drop(lock);
        Ok(SettleOutcome {
            side,
            outputs,
            checkout,
        })
    }

    /// What is left of a conflict when these parts of it are settled. Listings are stored.
    fn settle_one(&self, side: Side, pointer: &RepoPath, parts: &[RepoPath]) -> Result<(Open, Settled)> {
        let path = git::output_path(pointer).unwrap_or_default();
        let mut outcome = Settled {
            path: path.clone(),
            settled: 1,
            left: 0,
            untracked: false,
        };
        let all = parts.iter().any(RepoPath::is_root);
        let mut conflict = match self.open_conflict(pointer)? {
            Open::Parts(conflict) => conflict,
            Open::Whole(ours, theirs) if all => {
                let taken = if side == Side::Ours { &ours } else { &theirs };
                outcome.untracked = taken.is_none();
                return Ok((Open::Whole(ours, theirs), outcome));
            }
            Open::Whole(..) => {
                return Err(RepoError::NotInConflict {
                    path: path.join_path(&parts[0]),
                });
            }
        };
        if !all {
            self.merge_by_path(&mut conflict)?;
        }
        let before = conflict.clashes.len() + conflict.fields.len();
        let mut edits = Vec::new();
        for part in parts {
            let (taken, rest): (Vec<Clash>, Vec<Clash>) = conflict
                .clashes
                .drain(..)
                .partition(|clash| clash.path.starts_with(part));
            conflict.clashes = rest;
            let mut fields = Vec::new();
            if part.is_root() {
                fields.append(&mut conflict.fields);
            }
            if taken.is_empty() && fields.is_empty() {
                return Err(RepoError::NotInConflict {
                    path: path.join_path(part),
                });
            }
            if side == Side::Ours {
                // The pointer has our side wherever something is open.
                continue;
            }
            for field in fields {
                match field.field {
                    Field::Desc => conflict.pointer.desc = field.theirs,
                    Field::Remote => conflict.pointer.remote = field.theirs,
                }
            }
            for clash in taken {
                if clash.path.is_root() {
                    conflict.pointer = with_content(&conflict.pointer, clash.theirs.as_ref());
                } else {
                    edits.push((clash.path, clash.theirs));
                }
            }
        }
        if let (false, Node::Dir { id, .. }) = (edits.is_empty(), root_node(&conflict.pointer)) {
            let (node, trees) = object::replace(self, id, edits)?;
            self.store_trees(&trees)?;
            conflict.pointer = with_content(&conflict.pointer, Some(&node));
        }
        let left = conflict.clashes.len() + conflict.fields.len();
        (outcome.settled, outcome.left) = ((before - left) as u64, left as u64);
        Ok((Open::Parts(conflict), outcome))
    }

    /// A directory that could not be merged path by path then, for want of listings, is now.
    fn merge_by_path(&self, conflict: &mut PointerConflict) -> Result<()> {
        let [clash] = &conflict.clashes[..] else { return Ok(()) };
        let side = |node: &Option<Node>| with_content(&conflict.pointer, node.as_ref());
        let is_dir = |node: &Option<Node>| matches!(node, Some(Node::Dir { .. }));
        if !(clash.path.is_root() && is_dir(&clash.ours) && is_dir(&clash.theirs)) {
            return Ok(());
        }
        let base = is_dir(&clash.base).then(|| side(&clash.base));
        let (merged, why_not) = self.merge_all(base.as_ref(), &side(&clash.ours), &side(&clash.theirs))?;
        if why_not.is_none() {
            conflict.pointer = merged.pointer;
            conflict.clashes = merged.clashes;
        }
        Ok(())
    }

    /// Writes what is left, or the whole pointer; the output to bring into the workspace, if it is whole.
    fn write_settled(&self, open: Open, path: &RepoPath, pointer: &RepoPath, side: Side) -> Result<Option<Target>> {
        let whole = match open {
            Open::Whole(ours, theirs) => {
                if side == Side::Ours {
                    ours
                } else {
                    theirs
                }
            }
            Open::Parts(conflict) if conflict.is_settled() => Some(conflict.pointer),
            Open::Parts(conflict) => {
                let mut edit = FileEdit::read(self.root(), pointer)?;
                edit.after = Some(bytes(conflict.to_bytes(), pointer)?);
                edit.apply(self.root())?;
                return Ok(None);
            }
        };
        let ignore = path.parent().unwrap_or_default().join(&Name::new(b".gitignore")?);
        if self.git.unmerged(&ignore)?.is_some() {
            // Staging would settle that file too, as it is.
            let mut edit = FileEdit::read(self.root(), pointer)?;
            edit.after = whole
                .as_ref()
                .map(|whole| bytes(whole.to_bytes(), pointer))
                .transpose()?;
            edit.apply(self.root())?;
            if self.config.autostage() {
                self.git.stage(std::slice::from_ref(pointer))?;
            }
        } else {
            self.record(&[match &whole {
                Some(whole) => Record::Track(path.clone(), whole.clone()),
                None => Record::Untrack(path.clone()),
            }])?;
        }
        Ok(whole.map(|pointer| Target {
            output: Output {
                path: path.clone(),
                pointer,
                mode: OutputMode::Beside,
            },
            parts: Vec::new(),
            named: false,
            commit: None,
        }))
    }

    fn open_conflict(&self, pointer: &RepoPath) -> Result<Open> {
        let broken = match self.conflict_file(pointer) {
            Ok(conflict) => return Ok(Open::Parts(conflict)),
            Err(error) => error,
        };
        let Some(versions) = self.git.unmerged(pointer)? else {
            return Err(broken);
        };
        let parse = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| Pointer::parse(bytes, pointer)).transpose();
        match (parse(&versions.ours)?, parse(&versions.theirs)?) {
            (Some(ours), Some(theirs)) => {
                let base = parse(&versions.base).ok().flatten();
                Ok(Open::Parts(self.merge_all(base.as_ref(), &ours, &theirs)?.0))
            }
            (ours, theirs) => Ok(Open::Whole(ours, theirs)),
        }
    }

    fn conflict_file(&self, pointer: &RepoPath) -> Result<PointerConflict> {
        let bytes = fs::read_if_exists(&pointer.on_disk(self.root()), git::MAX_CONFLICT)?.unwrap_or_default();
        PointerConflict::parse(&bytes).map_err(|source| RepoError::Conflict {
            path: pointer.clone(),
            source,
        })
    }
}

fn bytes(written: std::result::Result<Vec<u8>, PointerProblem>, pointer: &RepoPath) -> Result<Vec<u8>> {
    written.map_err(|problem| {
        PointerError {
            path: pointer.clone(),
            problem,
        }
        .into()
    })
}

/// The output as a whole, both sides.
fn whole(versions: &Unmerged, pointer: &RepoPath) -> Clash {
    let node = |bytes: &Option<Vec<u8>>| Some(root_node(&Pointer::parse(bytes.as_ref()?, pointer).ok()?));
    Clash {
        path: RepoPath::root(),
        base: node(&versions.base),
        ours: node(&versions.ours),
        theirs: node(&versions.theirs),
    }
}
