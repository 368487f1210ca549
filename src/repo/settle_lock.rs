//! Settling a lock file that a merge left in conflict: wherever both sides changed a stage, one of them is taken.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Output, RepoError, Repository, Result, Settled, Target};
use crate::fs;
use crate::git::{Lock, LockedIn, MAX_LOCK, PointerError, PointerProblem, Side};
use crate::object::pick;
use crate::path::RepoPath;

/// The sides of a lock file; `None` where a side has none.
struct Sides {
    base: Lock,
    ours: Option<Lock>,
    theirs: Option<Lock>,
}

impl Repository {
    /// Takes one side wherever a lock file is in conflict. The outputs that are to be brought into the workspace.
    pub(super) fn settle_lock(&self, side: Side, file: &RepoPath) -> Result<(Settled, Vec<Target>)> {
        let Some(Sides { base, ours, theirs }) = self.sides(file)? else {
            return Err(RepoError::NotInConflict { path: file.clone() });
        };
        let mut settled = 0;
        let new = if let (Some(ours), Some(theirs)) = (&ours, &theirs) {
            let mut new = Lock::default();
            let names: BTreeSet<&String> = base
                .stages
                .keys()
                .chain(ours.stages.keys())
                .chain(theirs.stages.keys())
                .collect();
            for name in names {
                let of = |lock: &Lock| lock.stages.get(name).cloned();
                let (ours, theirs) = (of(ours), of(theirs));
                let taken = pick(&of(&base), &ours, &theirs).unwrap_or_else(|| {
                    settled += 1;
                    if side == Side::Ours { ours } else { theirs }
                });
                new.stages.extend(taken.map(|stage| (name.clone(), stage)));
            }
            new
        } else {
            settled = 1;
            let taken = if side == Side::Ours { &ours } else { &theirs };
            taken.clone().unwrap_or_default()
        };
        // All that either side names, so that what goes loses its entry in `.gitignore`.
        let mut both = Lock::default();
        for (mark, lock) in [("ours", &ours), ("theirs", &theirs)] {
            for (name, stage) in lock.iter().flat_map(|lock| &lock.stages) {
                both.stages.insert(format!("{mark}@{name}"), stage.clone());
            }
        }
        let held = self.hold_lock_files()?;
        let before = fs::read_if_exists(&file.on_disk(self.root()), MAX_LOCK)?;
        let new = Arc::new(new);
        let touched = new.cached().map(|(path, ..)| path).collect();
        self.write_lock(file, (&both, before), &new, &touched)?;
        drop(held);
        let outputs = new.cached().map(|(path, stage, out)| Target {
            output: Output::locked(
                path,
                out,
                LockedIn {
                    lock: file.clone(),
                    stage: stage.to_owned(),
                    push: out.push,
                },
            ),
            parts: Vec::new(),
            named: false,
            commit: None,
        });
        let outcome = Settled {
            path: file.clone(),
            settled,
            left: 0,
            untracked: new.stages.is_empty(),
        };
        Ok((outcome, outputs.collect()))
    }

    /// That a path is the output of a stage whose lock file is in conflict; says what to settle.
    pub(super) fn not_in_conflicting_lock(&self, path: &RepoPath, locks: &[RepoPath]) -> Result<()> {
        for file in locks {
            let Some(sides) = self.sides(file)? else { continue };
            let mut outs = [&sides.ours, &sides.theirs]
                .into_iter()
                .flatten()
                .flat_map(Lock::cached);
            if outs.any(|(out, ..)| path.starts_with(out) || out.starts_with(path)) {
                return Err(PointerError {
                    path: file.clone(),
                    problem: PointerProblem::Conflict,
                }
                .into());
            }
        }
        Ok(())
    }

    fn sides(&self, file: &RepoPath) -> Result<Option<Sides>> {
        let Some(versions) = self.git.unmerged(file)? else {
            return Ok(None);
        };
        let parse = |bytes: &Option<Vec<u8>>| -> std::result::Result<Option<Lock>, PointerError> {
            let lock = bytes.as_ref().map(|bytes| Lock::parse(bytes, file));
            Ok(lock.transpose()?)
        };
        Ok(Some(Sides {
            // One that was itself merged with conflicts is no base to rely on.
            base: parse(&versions.base).ok().flatten().unwrap_or_default(),
            ours: parse(&versions.ours)?,
            theirs: parse(&versions.theirs)?,
        }))
    }
}
