//! Transparent files in the work tree: whether they hold their content, and writing it in the place of pointers.
//!
//! What git can do with such files is left to git; here is what it cannot know: that a pointer's text stands for
//! content that is not here.

use std::io::Read as _;

use rayon::prelude::*;

use super::{
    CheckedOut, CheckoutFailure, CheckoutOptions, LeftAlone, LeftReason, Output, OutputMode, OutputState,
    OutputStatus, Repository, Result, Target,
};
use crate::causes::in_one_line;
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
            clashes: Vec::new(),
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

    /// Writes content in the place of pointers in the work tree, as far as the cache has it, and tells the index. Files
    /// that hold anything else are left alone, unless that is to be replaced.
    pub(super) fn write_transparent(&self, targets: &[Target], options: &CheckoutOptions) -> Result<Written> {
        let found = self.look_at(targets, |file| self.look(file, options.force))?;
        if !options.dry_run && (!found.work.is_empty() || !found.forgotten.is_empty()) {
            // Without it, git would take the content for a change, and store it itself.
            self.git.configure_filter()?;
        }
        if !options.dry_run {
            // Of a run that was killed before it told the index.
            self.git.refresh(&found.forgotten)?;
        }
        self.write_found(found, options.dry_run, true)
    }

    /// Writes what transparent files are in a revision into the work tree. The index is not told: to git, and to
    /// `status`, they are changed. Content that is stored nowhere is left alone, unless it is to be replaced.
    pub(super) fn restore_transparent(&self, targets: &[Target], options: &CheckoutOptions) -> Result<Written> {
        let now = self.git.transparent_files()?;
        let found = self.look_at(targets, |file| {
            let now = now.iter().find(|now| now.path == file.path);
            self.look_for_other(file, now, options.force)
        })?;
        self.write_found(found, options.dry_run, false)
    }

    fn look_at<'a>(
        &self,
        targets: &'a [Target],
        look: impl Fn(&TransparentFile) -> Result<Found> + Sync,
    ) -> Result<Work<'a>> {
        let looked: Vec<Result<Option<(&TransparentFile, Found)>>> = targets
            .par_iter()
            .map(|target| match &target.output.mode {
                OutputMode::InPlace(file) => Ok(Some((file, look(file)?))),
                OutputMode::Beside | OutputMode::Stage(_) => Ok(None),
            })
            .collect();
        let mut work = Work::default();
        for one in looked {
            match one? {
                None | Some((_, Found::Same)) => {}
                Some((file, Found::Forgotten)) => work.forgotten.push(file),
                Some((file, Found::Replaceable(stat))) => work.work.push((file, stat)),
                Some((file, Found::Left(reason))) => work.left.push(LeftAlone {
                    path: file.path.clone(),
                    reason,
                }),
            }
        }
        Ok(work)
    }

    fn look(&self, file: &TransparentFile, force: bool) -> Result<Found> {
        if self.is_behind_link(&file.path)? {
            return Ok(Found::Left(LeftReason::TypeChanged));
        }
        let stat = fs::stat(&file.path.on_disk(self.root()))?;
        let is_dir = stat.as_ref().is_some_and(|stat| stat.kind == FileKind::Dir);
        Ok(match self.transparent_state(file)? {
            OutputState::Absent => Found::Replaceable(stat),
            OutputState::Unchanged => match stat {
                Some(stat) if !file.is_known_to_git(&stat) => Found::Forgotten,
                _ => Found::Same,
            },
            _ if force && !is_dir => Found::Replaceable(stat),
            OutputState::Deleted => Found::Left(LeftReason::Deleted),
            OutputState::TypeChanged => Found::Left(LeftReason::TypeChanged),
            _ => Found::Left(LeftReason::Modified),
        })
    }

    /// As [`Self::look`], for content that is not what the index has at this path.
    fn look_for_other(&self, file: &TransparentFile, now: Option<&TransparentFile>, force: bool) -> Result<Found> {
        if self.is_behind_link(&file.path)? {
            return Ok(Found::Left(LeftReason::TypeChanged));
        }
        let Some(stat) = fs::stat(&file.path.on_disk(self.root()))? else {
            return Ok(Found::Replaceable(None));
        };
        if stat.kind != FileKind::File {
            return Ok(match force && stat.kind != FileKind::Dir {
                true => Found::Replaceable(Some(stat)),
                false => Found::Left(LeftReason::TypeChanged),
            });
        }
        let is_stored = match self.read_pointer_text(&file.path, &stat)? {
            Some(pointer) => pointer == file.pointer || now.is_some_and(|now| now.pointer == pointer),
            None => {
                let id = self.hash_file(&file.path)?;
                if id == file.pointer.id {
                    return Ok(Found::Same);
                }
                self.cache()?.contains(&id)?
            }
        };
        Ok(match is_stored || force {
            true => Found::Replaceable(Some(stat)),
            false => Found::Left(LeftReason::Modified),
        })
    }

    /// Whether something that is no directory is in the place of a directory above.
    fn is_behind_link(&self, path: &RepoPath) -> Result<bool> {
        let mut above = path.parent();
        while let Some(dir) = above.filter(|dir| !dir.is_root()) {
            let stat = match fs::stat(&dir.on_disk(self.root())) {
                // Below a file there is nothing.
                Err(error) if error.source.kind() == std::io::ErrorKind::NotADirectory => return Ok(true),
                stat => stat?,
            };
            if stat.is_some_and(|stat| stat.kind != FileKind::Dir) {
                return Ok(true);
            }
            above = dir.parent();
        }
        Ok(false)
    }

    fn write_found(&self, found: Work<'_>, dry_run: bool, tell_index: bool) -> Result<Written> {
        let mut written = Written {
            outputs: Vec::with_capacity(found.work.len()),
            left: found.left,
        };
        for batch in found.work.chunks(BATCH) {
            let results: Vec<Result<Option<CheckedOut>>> = batch
                .par_iter()
                .map(|(file, stat)| self.write_one(file, stat.as_ref(), dry_run))
                .collect();
            let (mut done, mut failed) = (Vec::with_capacity(batch.len()), None);
            let mut to_tell = Vec::new();
            for ((file, _), result) in batch.iter().zip(results) {
                match result {
                    Ok(Some(one)) => {
                        if one.failures.is_empty() {
                            to_tell.push(*file);
                        }
                        done.push(one);
                    }
                    Ok(None) => written.left.push(LeftAlone {
                        path: file.path.clone(),
                        reason: LeftReason::Modified,
                    }),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            if tell_index && !dry_run {
                // Also after an error: what has its content must not look changed to git.
                self.git.refresh(&to_tell)?;
            }
            if let Some(error) = failed {
                return Err(error);
            }
            written.outputs.extend(done);
            self.progress.check()?;
        }
        Ok(written)
    }

    /// `None`: somebody changed the file meanwhile, and it was left alone.
    fn write_one(&self, file: &TransparentFile, was: Option<&Stat>, dry_run: bool) -> Result<Option<CheckedOut>> {
        let mut outcome = CheckedOut::new(file.path.clone(), false);
        outcome.transparent = true;
        let written = if dry_run {
            self.cache()?.contains(&file.pointer.id).map(|found| match found {
                true => Ok(true),
                false => Err(StoreError::MissingFile(file.pointer.id)),
            })?
        } else {
            self.replace(file, was)?
        };
        match written {
            Ok(false) => return Ok(None),
            Ok(true) => {
                match was {
                    Some(_) => outcome.done.replaced = 1,
                    None => outcome.done.created = 1,
                }
                outcome.done.bytes = file.pointer.size;
                self.progress.advance(1, file.pointer.size);
            }
            Err(error) => outcome.failures.push(CheckoutFailure {
                path: file.path.clone(),
                missing: matches!(error, StoreError::MissingFile(_)),
                damaged: error.is_damage(),
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
    fn replace(&self, file: &TransparentFile, was: Option<&Stat>) -> Result<std::result::Result<bool, StoreError>> {
        let path = file.path.on_disk(self.root());
        if let (None, Some(dir)) = (was, path.parent()) {
            fs::create_dir_all(dir)?;
        }
        // Under the workspace lock; what a killed run left is replaced.
        let mut temp = TempFile::create_alone(&path)?;
        let copied = self.cache()?.copy_file::<StoreError>(file.pointer.id, &mut |bytes| {
            self.progress.check()?;
            Ok(temp.write_all(bytes)?)
        });
        match copied {
            Ok(_) => {}
            Err(error @ (StoreError::Fs(_) | StoreError::Interrupted(_))) => return Err(error.into()),
            Err(error) => return Ok(Err(error)),
        }
        match was.filter(|was| was.kind == FileKind::File) {
            Some(was) => temp.set_mode(with_executable(was.mode, file.executable))?,
            None => {
                let mode = fs::stat(temp.path())?.map_or(0o644, |stat| stat.mode);
                temp.set_mode(with_executable(mode, file.executable))?;
            }
        }
        let unchanged = match (fs::stat(&path)?, was) {
            (Some(now), Some(was)) => now.same_content(was),
            (None, None) => true,
            _ => false,
        };
        if unchanged {
            temp.rename(&path)?;
        }
        Ok(Ok(unchanged))
    }
}

/// What becomes of a transparent file.
enum Found {
    /// It is as it should be.
    Same,
    /// It is as it should be, and git does not know.
    Forgotten,
    /// Its content may take the place of what is there, if anything is.
    Replaceable(Option<Stat>),
    Left(LeftReason),
}

/// What there is to do.
#[derive(Default)]
struct Work<'a> {
    work: Vec<(&'a TransparentFile, Option<Stat>)>,
    forgotten: Vec<&'a TransparentFile>,
    left: Vec<LeftAlone>,
}

/// What was done to transparent files.
pub(super) struct Written {
    pub(super) outputs: Vec<CheckedOut>,
    pub(super) left: Vec<LeftAlone>,
}

/// Permissions of a file that can be executed by all who can read it, or by nobody.
const fn with_executable(mode: u32, executable: bool) -> u32 {
    match executable {
        true => mode | ((mode & 0o444) >> 2),
        false => mode & !0o111,
    }
}
