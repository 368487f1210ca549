//! `track` and `untrack`: which files are transparent.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use super::ls::missing_listing;
use super::observe::pointer_node;
use super::record::Record;
use super::targets::beside;
use super::{Output, RepoError, Repository, Result};
use crate::fs;
use crate::git::{self, FileEdit, Held, TrackedPattern};
use crate::object::{self, Node, Visit};
use crate::path::{RepoPath, quote};

/// What to track.
#[derive(Debug, Default)]
pub struct TrackOptions {
    /// Patterns as in `.gitattributes`, for the directory in which the user stands.
    pub patterns: Vec<OsString>,
    /// The patterns are names: nothing in them is special.
    pub literal: bool,
    /// Outputs with pointers beside them, to be made transparent.
    pub convert: Vec<PathBuf>,
    /// Only find out what would be done.
    pub dry_run: bool,
}

/// A pattern of transparent files.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Tracked {
    /// The `.gitattributes` that holds it.
    pub file: RepoPath,
    /// The pattern; paths are quoted in it as they are elsewhere.
    pub pattern: String,
    /// Whether it was added just now.
    pub new: bool,
}

/// An output that was made transparent.
#[derive(Debug, serde::Serialize)]
pub struct Converted {
    /// Where it is.
    pub path: RepoPath,
    /// Whether it is a directory, all of whose files are transparent now.
    pub dir: bool,
    /// Directories in it without files: git does not keep them.
    pub empty_dirs: u64,
}

/// An output that is to be made transparent.
struct Convertible {
    output: Output,
    /// Its files and links, as the pointer says.
    files: Vec<(RepoPath, Node)>,
    empty_dirs: u64,
}

/// What is transparent.
#[derive(Debug, serde::Serialize)]
pub struct TrackOutcome {
    /// The patterns that were asked for; all of the repository, if none were.
    pub patterns: Vec<Tracked>,
    /// The outputs that were made transparent.
    pub converted: Vec<Converted>,
    /// Whether the filter was configured just now.
    pub configured: bool,
    /// Files that fit a pattern and that git has as they are.
    pub unfiltered: u64,
    /// One of them.
    pub unfiltered_example: Option<RepoPath>,
    /// Whether nothing was written because that was asked.
    pub dry_run: bool,
}

/// What is no longer transparent.
#[derive(Debug, serde::Serialize)]
pub struct UntrackOutcome {
    /// The `.gitattributes` that was changed.
    pub file: RepoPath,
    /// The patterns that are gone from it.
    pub patterns: Vec<String>,
    /// Files of which git has the pointer still, and no pattern says so.
    pub left: u64,
}

impl Repository {
    /// Makes files transparent: writes patterns into `.gitattributes` and configures the filter. Without patterns and
    /// outputs, lists the patterns of the repository and changes nothing.
    ///
    /// # Errors
    /// When a pattern cannot be tracked, an output cannot be converted, or something cannot be written. Everything is
    /// checked before anything is written.
    pub fn track(&self, options: &TrackOptions) -> Result<TrackOutcome> {
        let here = self.path_of(self.cwd())?;
        if options.patterns.is_empty() && options.convert.is_empty() {
            return self.tracked_now(&here);
        }
        let _lock = self.lock_workspace()?;
        let mut edits = Vec::new();
        let patterns = patterns(&options.patterns, options.literal)?;
        if !patterns.is_empty() {
            edits.push(git::track_edit(self.root(), &here, &patterns)?);
        }
        let outputs = self.convertible(&options.convert)?;
        let mut outcome = TrackOutcome {
            patterns: Vec::new(),
            converted: Vec::new(),
            configured: false,
            unfiltered: 0,
            unfiltered_example: None,
            dry_run: options.dry_run,
        };
        let new = edits.first().is_some_and(FileEdit::is_change);
        outcome.patterns.extend(patterns.iter().map(|pattern| Tracked {
            file: edits[0].path.clone(),
            pattern: quote(pattern).into_owned(),
            new,
        }));
        outcome.converted.extend(outputs.iter().map(|one| Converted {
            path: one.output.path.clone(),
            dir: one.output.is_dir(),
            empty_dirs: one.empty_dirs,
        }));
        if options.dry_run {
            return Ok(outcome);
        }
        outcome.configured = self.git.configure_filter()?;
        for edit in &edits {
            edit.apply(self.root())?;
        }
        self.stage_edits(&edits)?;
        for output in &outputs {
            self.convert(output)?;
        }
        self.finish_conversions(&options.convert)?;
        let unfiltered = self.git.unfiltered_files()?;
        outcome.unfiltered = unfiltered.len() as u64;
        outcome.unfiltered_example = unfiltered.into_iter().next();
        Ok(outcome)
    }

    fn tracked_now(&self, here: &RepoPath) -> Result<TrackOutcome> {
        let patterns = self.git.tracked_patterns(here)?;
        Ok(TrackOutcome {
            patterns: patterns
                .into_iter()
                .map(|TrackedPattern { file, pattern }| Tracked {
                    file,
                    pattern: quote(&pattern).into_owned(),
                    new: false,
                })
                .collect(),
            converted: Vec::new(),
            configured: false,
            unfiltered: 0,
            unfiltered_example: None,
            dry_run: false,
        })
    }

    /// Takes patterns out of the `.gitattributes` of the directory in which the user stands. The files stay as they
    /// are, in the work tree and in git, until they are added again.
    ///
    /// # Errors
    /// When a pattern is not there; nothing is changed then.
    pub fn untrack(&self, typed: &[OsString], literal: bool) -> Result<UntrackOutcome> {
        let _lock = self.lock_workspace()?;
        let here = self.path_of(self.cwd())?;
        let patterns = patterns(typed, literal)?;
        let before = self.git.transparent_files()?.len();
        let (edit, unknown) = git::untrack_edit(self.root(), &here, &patterns)?;
        if let Some(pattern) = unknown.first() {
            return Err(RepoError::PatternNotTracked {
                pattern: quote(pattern).into_owned(),
                file: edit.path,
            });
        }
        edit.apply(self.root())?;
        self.stage_edits(std::slice::from_ref(&edit))?;
        let after = self.git.transparent_files()?.len();
        Ok(UntrackOutcome {
            file: edit.path,
            patterns: patterns.iter().map(|pattern| quote(pattern).into_owned()).collect(),
            left: before.saturating_sub(after) as u64,
        })
    }

    fn stage_edits(&self, edits: &[FileEdit]) -> Result<()> {
        if self.config.autostage() {
            let paths: Vec<RepoPath> = edits.iter().map(|edit| edit.path.clone()).collect();
            self.git.stage(&paths)?;
        }
        Ok(())
    }

    /// The outputs that are to be made transparent: whole, here, and as their pointers say.
    fn convertible(&self, inputs: &[PathBuf]) -> Result<Vec<Convertible>> {
        if inputs.is_empty() {
            return Ok(Vec::new());
        }
        let mut outputs = Vec::new();
        for target in beside(self.targets(inputs)?.targets, "add")? {
            let path = target.output.path.clone();
            if let Some(part) = target.parts.first() {
                return Err(RepoError::InsideOutput {
                    path: path.join_path(part),
                    output: path,
                });
            }
            if fs::stat(&path.on_disk(self.root()))?.is_none() {
                return Err(RepoError::NotHere { path });
            }
            if !self.is_stored(&path, &target.output)? {
                return Err(RepoError::Modified { path });
            }
            outputs.push(self.convertible_one(target.output)?);
        }
        Ok(outputs)
    }

    /// An output with what is in it, all of which has to be here: git takes what is in the work tree.
    fn convertible_one(&self, output: Output) -> Result<Convertible> {
        let mut files = Vec::new();
        let mut empty_dirs = 0;
        match pointer_node(&output) {
            Node::Dir { id, .. } => {
                let walked = object::walk(self, id, |inside, node| {
                    match node {
                        Node::Dir { files: 0, .. } => empty_dirs += 1,
                        Node::Dir { .. } => return Ok(Visit::Enter),
                        node => files.push((output.path.join_path(inside), node.clone())),
                    }
                    Ok::<_, RepoError>(Visit::Skip)
                });
                walked.map_err(|error| missing_listing(error, &output.path))?;
            }
            node => files.push((output.path.clone(), node)),
        }
        for (path, _) in &files {
            if fs::stat(&path.on_disk(self.root()))?.is_none() {
                return Err(RepoError::NotHere { path: path.clone() });
            }
        }
        Ok(Convertible {
            output,
            files,
            empty_dirs,
        })
    }

    /// Makes one output transparent. The attributes come first: from then on, git stores a pointer in its place whoever
    /// adds it. The pointer beside it goes last, when git has everything that it stands for: whenever this process dies,
    /// the files are in one of both.
    fn convert(&self, convertible: &Convertible) -> Result<()> {
        let output = &convertible.output;
        let dir = output.path.parent().unwrap_or_default();
        let name = RepoPath::root().join(&super::inputs::name_of(&output.path)?);
        let mut pattern = git::literal_pattern(&name);
        if output.is_dir() {
            pattern.extend_from_slice(b"/**");
        }
        let edit = git::track_edit(self.root(), &dir, &[pattern])?;
        let before = self.git.tracked()?;
        edit.apply(self.root())?;
        if let Err(error) = self.stage_converted(convertible, &edit) {
            let paths = convertible.files.iter().map(|(path, _)| path);
            let new: Vec<RepoPath> = paths.filter(|path| !before.contains(path)).cloned().collect();
            // As far as it can be: what is staged too much loses nothing.
            let _ = self.git.unstage(&new);
            if edit.revert(self.root()).is_ok() {
                let _ = self.git.stage(std::slice::from_ref(&edit.path));
            }
            return Err(error);
        }
        // Without a pointer, what has a state is taken for data that has to go.
        fs::remove_file(&self.state_file(&output.path))?;
        // The pointer leaves the index with what takes its place, whatever `core.autostage` says; and before it leaves the
        // work tree, so that as long as it is anywhere, converting again finds it there.
        let pointer = [output.pointer_path()?];
        self.git.unstage(&pointer)?;
        let removed = self.record(&[Record::Untrack(output.path.clone())]);
        if removed.is_err() && fs::stat(&pointer[0].on_disk(self.root()))?.is_some() {
            let _ = self.git.stage(&pointer);
        }
        removed
    }

    /// After a run that was killed when the pointer was gone, what git was told to ignore is left.
    fn finish_conversions(&self, inputs: &[PathBuf]) -> Result<()> {
        if inputs.is_empty() {
            return Ok(());
        }
        let files = self.git.transparent_files()?;
        let mut records = Vec::new();
        for input in inputs {
            let path = self.path_of(input)?;
            let Ok(pointer) = git::pointer_path(&path) else {
                continue;
            };
            let is_transparent = files.iter().any(|file| file.path.starts_with(&path));
            if is_transparent && fs::stat(&pointer.on_disk(self.root()))?.is_none() {
                records.push(Record::Untrack(path));
            }
        }
        self.record(&records)
    }

    /// Has git take everything that the pointer stands for, also what the user's rules ignore, and looks whether it did.
    fn stage_converted(&self, convertible: &Convertible, attributes: &FileEdit) -> Result<()> {
        self.git.stage(std::slice::from_ref(&attributes.path))?;
        let paths: Vec<RepoPath> = convertible.files.iter().map(|(path, _)| path.clone()).collect();
        self.git.stage_ignored(&paths)?;
        for ((path, node), held) in convertible.files.iter().zip(self.git.held(&paths)?) {
            let is_held = match (node, held) {
                (Node::Symlink { target }, Held::Link(held)) => **target == *held,
                (Node::File { id, size, executable }, Held::File { pointer, executable: x }) => {
                    *executable == x && pointer.map_or(*size == 0, |pointer| pointer.id == *id)
                }
                _ => false,
            };
            if !is_held {
                return Err(RepoError::NotConverted {
                    path: path.clone(),
                    output: convertible.output.path.clone(),
                });
            }
        }
        Ok(())
    }
}

fn patterns(typed: &[OsString], literal: bool) -> Result<Vec<Vec<u8>>> {
    let mut patterns = Vec::with_capacity(typed.len());
    for text in typed {
        let bytes = text.as_bytes();
        let pattern = match RepoPath::new(bytes) {
            Ok(path) if literal => git::attribute_pattern(&git::literal_pattern(&path)),
            _ => git::attribute_pattern(bytes),
        };
        patterns.push(pattern.map_err(|source| RepoError::Pattern {
            pattern: quote(bytes).into_owned(),
            source,
        })?);
    }
    patterns.dedup();
    Ok(patterns)
}
