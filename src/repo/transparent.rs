//! Transparent files in the work tree: whether they hold their content, and writing it in the place of pointers.
//!
//! What git can do with such files is left to git; here is what it cannot know: that a pointer's text stands for
//! content that is not here.

use std::io::Read as _;

use rayon::prelude::*;

use super::transfer::in_one_line;
use super::{CheckedOut, CheckoutFailure, Output, OutputMode, OutputState, OutputStatus, Repository, Result, Target};
use crate::fs::{self, Attempt, FileKind, Stat, TempFile};
use crate::git::{TransparentFile, TransparentPointer};
use crate::hash::{FileId, Hasher};
use crate::path::RepoPath;
use crate::store::StoreError;

/// What is read at once, in bytes.
const PIECE: usize = 1 << 20;

/// Files whose content is written before the index is told.
const BATCH: usize = 4096;

impl Repository {
    /// How a transparent file compares with its pointer in git's index.
    pub(super) fn transparent_status(
        &self,
        output: &Output,
        file: &TransparentFile,
        granular: bool,
    ) -> Result<OutputStatus> {
        let state = self.transparent_state(file)?;
        let in_cache = match granular || state != OutputState::Unchanged {
            true => Some(self.cache()?.contains(&file.pointer.id)?),
            false => None,
        };
        Ok(OutputStatus {
            path: output.path.clone(),
            dir: false,
            transparent: true,
            stage: None,
            size: output.pointer.size,
            state,
            present: None,
            counts: None,
            files: None,
            in_cache,
            missing_files: in_cache.filter(|_| granular).map(|found| u64::from(!found)),
            in_remote: None,
            source: None,
            problems: Vec::new(),
        })
    }

    fn transparent_state(&self, file: &TransparentFile) -> Result<OutputState> {
        let path = file.path.on_disk(self.root());
        let Some(stat) = fs::stat(&path)? else {
            return Ok(OutputState::Deleted);
        };
        if stat.kind != FileKind::File {
            return Ok(OutputState::TypeChanged);
        }
        let size = file.pointer.size;
        if size > TransparentPointer::MAX_LEN as u64 && stat.size == size && file.is_as_git_saw_it(&stat) {
            return Ok(OutputState::Unchanged);
        }
        Ok(match self.read_pointer_text(&file.path, &stat)? {
            Some(pointer) if pointer == file.pointer => OutputState::Absent,
            Some(_) => OutputState::Modified,
            None if stat.size == size && self.hash_file(&file.path)? == file.pointer.id => OutputState::Unchanged,
            None => OutputState::Modified,
        })
    }

    /// The pointer that a file of the work tree holds instead of content.
    fn read_pointer_text(&self, path: &RepoPath, stat: &Stat) -> Result<Option<TransparentPointer>> {
        let limit = TransparentPointer::MAX_LEN as u64;
        if stat.size > limit {
            return Ok(None);
        }
        let bytes = fs::read_if_exists(&path.on_disk(self.root()), limit)?;
        Ok(bytes.as_deref().and_then(TransparentPointer::parse))
    }

    fn hash_file(&self, path: &RepoPath) -> Result<FileId> {
        let path = path.on_disk(self.root());
        let mut file = fs::open(&path)?;
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; PIECE];
        loop {
            self.progress.check()?;
            match file.read(&mut buffer).map_err(fs::at(Attempt::Read, &path))? {
                0 => return Ok(FileId::from_bytes(hasher.finish())),
                n => hasher.update(&buffer[..n]),
            }
        }
    }

    /// Writes content in the place of pointers in the work tree, as far as the cache has it, and tells the index.
    /// Files that hold anything else stay as they are: they are git's to replace.
    pub(super) fn write_transparent(&self, targets: &[Target], dry_run: bool) -> Result<Vec<CheckedOut>> {
        let mut work: Vec<(&TransparentFile, Stat)> = Vec::new();
        for target in targets {
            if let OutputMode::InPlace(file) = &target.output.mode
                && let Some(stat) = fs::stat(&file.path.on_disk(self.root()))?
                && stat.kind == FileKind::File
                && self.read_pointer_text(&file.path, &stat)? == Some(file.pointer)
            {
                work.push((file, stat));
            }
        }
        if !work.is_empty() && !dry_run {
            // Without it, git would take the content for a change, and store it itself.
            self.git.configure_filter()?;
        }
        let mut outcomes = Vec::with_capacity(work.len());
        for batch in work.chunks(BATCH) {
            let results: Vec<Result<Option<CheckedOut>>> = batch
                .par_iter()
                .map(|(file, stat)| self.write_one(file, stat, dry_run))
                .collect();
            let (mut done, mut failed) = (Vec::with_capacity(batch.len()), None);
            for result in results {
                match result {
                    Ok(one) => done.extend(one),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            let written: Vec<RepoPath> = done
                .iter()
                .filter(|one| one.failures.is_empty())
                .map(|one| one.path.clone())
                .collect();
            if !dry_run {
                // Also after an error: what has its content must not look changed to git.
                self.git.refresh(&written)?;
            }
            if let Some(error) = failed {
                return Err(error);
            }
            outcomes.extend(done);
            self.progress.check()?;
        }
        Ok(outcomes)
    }

    /// `None`: somebody changed the file meanwhile, and it was left alone.
    fn write_one(&self, file: &TransparentFile, stat: &Stat, dry_run: bool) -> Result<Option<CheckedOut>> {
        let mut outcome = CheckedOut::new(file.path.clone(), false);
        let written = if dry_run {
            self.cache()?.contains(&file.pointer.id).map(|found| match found {
                true => Ok(true),
                false => Err(StoreError::MissingFile(file.pointer.id)),
            })?
        } else {
            self.replace_pointer(file, stat)?
        };
        match written {
            Ok(false) => return Ok(None),
            Ok(true) => {
                outcome.done.replaced = 1;
                outcome.done.bytes = file.pointer.size;
                self.progress.advance(1, file.pointer.size);
            }
            Err(error) => outcome.failures.push(CheckoutFailure {
                path: file.path.clone(),
                missing: matches!(error, StoreError::MissingFile(_)),
                reason: match error {
                    StoreError::MissingFile(_) => "its content is not in the cache".to_owned(),
                    error => in_one_line(&error),
                },
            }),
        }
        Ok(Some(outcome))
    }

    /// Whether the file is written: whoever has changed it meanwhile keeps it. The inner error is about the content of
    /// this file alone.
    fn replace_pointer(&self, file: &TransparentFile, stat: &Stat) -> Result<std::result::Result<bool, StoreError>> {
        let path = file.path.on_disk(self.root());
        let mut temp = TempFile::create_beside(&path)?;
        let copied = self.cache()?.copy_file::<StoreError>(file.pointer.id, &mut |bytes| {
            self.progress.check()?;
            Ok(temp.write_all(bytes)?)
        });
        match copied {
            Ok(_) => {}
            Err(error @ (StoreError::Fs(_) | StoreError::Interrupted(_))) => return Err(error.into()),
            Err(error) => return Ok(Err(error)),
        }
        temp.set_mode(stat.mode)?;
        let unchanged = fs::stat(&path)?.is_some_and(|now| now.same_content(stat));
        if unchanged {
            temp.rename(&path)?;
        }
        Ok(Ok(unchanged))
    }
}
