//! What the stages of one version name: metrics, plots and parameters.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::Result;
use crate::path::{Name, RepoPath};
use crate::pipeline::{Out, OutKind, Pipelines, PlotOptions, Revisions, Stage, StageId, WorkTreeFiles};
use crate::repo::Repository;

/// The file that parameters are in when a stage names none.
const PARAMS_FILE: &str = "params.toml";

/// Keys of a file of parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Keys {
    /// All.
    All,
    /// These, each a value or a table.
    Some(BTreeSet<String>),
}

/// The stages of one version.
pub(super) struct Declared {
    pipelines: Rc<Pipelines>,
}

impl Declared {
    /// Reads them: of a commit, or of the workspace.
    pub(super) fn load(repository: &Repository, commit: Option<&str>, known: &RefCell<Revisions>) -> Result<Self> {
        let pipelines = match commit {
            None => Rc::new(Pipelines::load(&WorkTreeFiles::new(repository))?),
            Some(commit) => known.borrow_mut().load(repository, commit)?,
        };
        Ok(Self { pipelines })
    }

    fn stages(&self) -> &[Stage] {
        self.pipelines.stages()
    }

    fn outs(&self) -> impl Iterator<Item = (&Stage, &Out)> {
        self.stages()
            .iter()
            .flat_map(|stage| stage.outs.iter().map(move |out| (stage, out)))
    }

    /// The metrics, sorted.
    pub(super) fn metrics(&self) -> BTreeSet<RepoPath> {
        let metrics = self
            .outs()
            .filter(|(_, out)| matches!(out.kind, OutKind::Metric { .. }));
        metrics.map(|(_, out)| out.path.clone()).collect()
    }

    /// The plots, how each is drawn, and the directory of its project file; by path.
    pub(super) fn plots(&self) -> BTreeMap<RepoPath, (PlotOptions, RepoPath)> {
        let plots = self.outs().filter_map(|(stage, out)| match &out.kind {
            OutKind::Plot(options) => {
                let dir = stage.id.file.parent().unwrap_or_default();
                Some((out.path.clone(), ((**options).clone(), dir)))
            }
            _ => None,
        });
        plots.collect()
    }

    /// The parameters that stages name, by file; unless `only_named`, also all of each `params.toml` beside a project
    /// file.
    pub(super) fn params(&self, only_named: bool) -> BTreeMap<RepoPath, Keys> {
        let mut files: BTreeMap<RepoPath, Keys> = BTreeMap::new();
        for params in self.stages().iter().flat_map(|stage| &stage.params) {
            let keys = files
                .entry(params.file.clone())
                .or_insert_with(|| Keys::Some(BTreeSet::new()));
            match keys {
                Keys::Some(known) if !params.keys.is_empty() => known.extend(params.keys.iter().cloned()),
                _ => *keys = Keys::All,
            }
        }
        if !only_named && let Ok(name) = Name::new(PARAMS_FILE.as_bytes()) {
            let dirs = self.pipelines.files().iter().filter_map(RepoPath::parent);
            for file in dirs.map(|dir| dir.join(&name)) {
                files.insert(file, Keys::All);
            }
        }
        files
    }

    /// The stage that makes a file.
    pub(super) fn stage_of(&self, path: &RepoPath) -> Option<&StageId> {
        let made = self.outs().find(|(_, out)| path.starts_with(&out.path));
        made.map(|(stage, _)| &stage.id)
    }

    /// Whether a stage names this file of parameters, rather than it being the default one.
    pub(super) fn names_params(&self, path: &RepoPath) -> bool {
        self.stages()
            .iter()
            .any(|stage| stage.params.iter().any(|params| params.file == *path))
    }
}
