//! Which stages the user means.

use globset::GlobBuilder;

use super::error::{DefinitionError, Result};
use super::paths::resolve;
use super::{Pipelines, StageId};
use crate::config::nearest;
use crate::path::RepoPath;
use crate::pipeline::{Graph, Stage};
use crate::repo::{LOCK_FILE, PROJECT_FILE};

/// What belongs to the stages that were named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// They and all they depend on.
    #[default]
    Upstream,
    /// They alone.
    Single,
    /// They and all that depends on them.
    Downstream,
    /// All that is connected with them.
    Pipeline,
}

/// How targets are understood.
#[derive(Debug, Clone, Copy, Default)]
pub struct SelectOptions {
    /// Without targets: all stages of the repository.
    pub all: bool,
    /// What belongs to the targets.
    pub reach: Reach,
    /// Targets are patterns on the names of stages.
    pub glob: bool,
}

impl Pipelines {
    /// The stages that are meant, in the order in which they run.
    ///
    /// A target is, whichever it is first: the name of a stage, or of a matrix or list, in the project file around
    /// `cwd`; `path/to/mv.toml:NAME`; a project file; an output or something inside one; a directory with project files.
    /// Without targets it is the project file around `cwd`: the nearest `mv.toml` with stages, there or above.
    ///
    /// # Errors
    /// When a target is none of these.
    pub fn select(
        &self,
        graph: &Graph,
        targets: &[String],
        cwd: &RepoPath,
        options: SelectOptions,
    ) -> Result<Vec<usize>> {
        let mut chosen = vec![false; self.stages.len()];
        if targets.is_empty() {
            let file = if options.all {
                None
            } else {
                Some(self.file_around(cwd).ok_or(DefinitionError::NoStages)?)
            };
            for (at, stage) in self.stages.iter().enumerate() {
                chosen[at] = file.is_none_or(|file| stage.id.file == *file);
            }
        }
        for target in targets {
            for at in self.target(target, cwd, options.glob)? {
                chosen[at] = true;
            }
        }
        match options.reach {
            Reach::Single => {}
            Reach::Upstream => graph.spread(&mut chosen, Graph::upstream),
            Reach::Downstream => graph.spread(&mut chosen, Graph::downstream),
            Reach::Pipeline => graph.spread_both(&mut chosen),
        }
        Ok(graph.order().iter().copied().filter(|&at| chosen[at]).collect())
    }

    /// The nearest project file with stages, in a directory or above it.
    #[must_use]
    pub fn file_around(&self, cwd: &RepoPath) -> Option<&RepoPath> {
        let mut dir = Some(cwd.clone());
        while let Some(there) = dir {
            let has_stages = |file: &&RepoPath| {
                let in_file = |stage: &Stage| stage.id.file == **file;
                self.stages.iter().any(in_file) || self.empty.iter().any(|id| id.file == **file)
            };
            let in_dir = |file: &&RepoPath| file.parent().as_ref() == Some(&there);
            if let Some(file) = self.files.iter().filter(in_dir).find(has_stages) {
                return Some(file);
            }
            dir = there.parent();
        }
        None
    }

    fn target(&self, target: &str, cwd: &RepoPath, glob: bool) -> Result<Vec<usize>> {
        let around = self.file_around(cwd).cloned();
        let (file, name) = match target.rsplit_once(':') {
            Some((path, name)) => match self.project_file(path, cwd) {
                Some(file) => (Some(file), name),
                None => return Err(self.unknown(target, cwd)),
            },
            None => (around, target),
        };
        if glob {
            return self.like(file.as_ref(), name, target);
        }
        if let Some(file) = file {
            let found = self.named(&file, name);
            if !found.is_empty() {
                return Ok(found);
            }
            let id = StageId {
                file,
                name: name.to_owned(),
            };
            if self.empty.contains(&id) {
                return Err(DefinitionError::NoMembers(id));
            }
        }
        if !target.contains(':') {
            if let Some(file) = self.project_file(target, cwd) {
                return Ok(self.positions(|stage| stage.id.file == file));
            }
            if let Ok(path) = resolve(cwd, target) {
                let makes = |stage: &Stage| stage.outs.iter().any(|out| path.starts_with(&out.path));
                let found = self.positions(makes);
                if !found.is_empty() {
                    return Ok(found);
                }
                let found = self.positions(|stage| stage.id.file.parent().is_some_and(|dir| dir.starts_with(&path)));
                if !found.is_empty() {
                    return Ok(found);
                }
            }
        }
        Err(self.unknown(target, cwd))
    }

    fn positions(&self, is: impl Fn(&Stage) -> bool) -> Vec<usize> {
        (0..self.stages.len()).filter(|&at| is(&self.stages[at])).collect()
    }

    /// A stage, or all of a matrix or list.
    fn named(&self, file: &RepoPath, name: &str) -> Vec<usize> {
        self.positions(|stage| {
            (stage.id.name == name || stage.group.as_deref() == Some(name)) && stage.id.file == *file
        })
    }

    fn like(&self, file: Option<&RepoPath>, pattern: &str, target: &str) -> Result<Vec<usize>> {
        let glob = GlobBuilder::new(pattern)
            .build()
            .map_err(|error| DefinitionError::BadPattern {
                pattern: pattern.to_owned(),
                problem: error.kind().to_string(),
            })?;
        let glob = glob.compile_matcher();
        let found = self.positions(|stage| {
            Some(&stage.id.file) == file
                && (glob.is_match(&stage.id.name) || stage.group.as_ref().is_some_and(|group| glob.is_match(group)))
        });
        if found.is_empty() {
            return Err(DefinitionError::NoMatch(target.to_owned()));
        }
        Ok(found)
    }

    /// The project file that `path` names: itself, its lock file, or the directory they are in with a `:NAME` behind.
    fn project_file(&self, path: &str, cwd: &RepoPath) -> Option<RepoPath> {
        let path = resolve(cwd, if path.is_empty() { "." } else { path }).ok()?;
        let name = path.file_name();
        let file = match name.as_ref().map(|name| name.as_bytes()) {
            Some(name) if name == LOCK_FILE.as_bytes() => path
                .parent()?
                .join(&crate::path::Name::new(PROJECT_FILE.as_bytes()).ok()?),
            _ => path,
        };
        self.files.binary_search(&file).is_ok().then_some(file)
    }

    fn unknown(&self, target: &str, cwd: &RepoPath) -> DefinitionError {
        let around = self.file_around(cwd);
        let mut known: Vec<String> = Vec::new();
        for stage in &self.stages {
            if Some(&stage.id.file) == around {
                known.push(stage.id.name.clone());
                known.extend(stage.group.clone());
            }
            known.push(format!("{}:{}", stage.id.file, stage.id.name));
            known.extend(stage.outs.iter().map(|out| out.path.to_string()));
        }
        known.extend(self.files.iter().map(ToString::to_string));
        // The name alone, of a stage elsewhere.
        let elsewhere = self
            .stages
            .iter()
            .find(|stage| stage.id.name == target || stage.group.as_deref() == Some(target));
        let nearest = match elsewhere {
            Some(stage) => Some(format!("{}:{target}", stage.id.file)),
            None => nearest(target, known.iter().map(String::as_str)).map(str::to_owned),
        };
        DefinitionError::UnknownTarget {
            target: target.to_owned(),
            nearest,
        }
    }
}
